"""Features once a week: what is stale is built, and what carried state made is held against whole histories."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from prefect import flow, task
from prefect.logging import get_run_logger

from champion.base import clock
from champion.base.counting import quantity
from champion.contracts.datasets import BARS
from champion.errors import LakeError
from champion.lake import Lake
from champion.pipeline.feature_store import build
from champion.pipeline.feature_store.verify import compare_with_rebuild
from champion.pipeline.ingest import market_data_lock
from champion.settings import Settings
from flows import feature_sets, steps
from flows.notifications import HOOKS
from flows.policy import FLOW_SECONDS, named
from flows.run_tracking import recorded


@flow(name="weekly_feature_recompute", flow_run_name=named("features to", "end"), timeout_seconds=FLOW_SECONDS, **HOOKS)
def weekly_feature_recompute(end: date | None = None, sessions: int = 20) -> dict[str, Any]:
    """Build all stale features up to `end`, load them, and compare the last sessions with whole histories.

    Raises:
        LakeError: features in the lake differ from their recomputation: carried state is wrong.
    """
    end = end or clock.today()
    with (
        recorded("weekly-feature-recompute", f"features to {end}", {"end": end, "sessions": sessions}) as recording,
        market_data_lock.changing(Settings(), get_run_logger().info),
    ):
        lake = Lake(Settings().lake)
        held = lake.sessions(BARS, end=end)
        if not held:
            return recording.kept({"sessions": 0})
        done = {name: _one(lake, name, held, sessions, recording.run_id) for name in Settings().feature_sets}
        return recording.kept(done)


def _one(lake: Lake, name: str, held: Sequence[date], sessions: int, parent: str) -> dict[str, Any]:
    """Build, load and compare one feature set."""
    stale, outcome = build.stale_sessions(lake, held[-1], name), "nothing stale"
    if stale:
        outcome = feature_sets.build_set(name, (stale[0], held[-1]), parent=parent).outcome.value
    loaded = steps.load(stale[0], held[-1]) if stale else {}
    compared = compare(held[-sessions:][0], held[-1], name)
    return {"stale": len(stale), "features": outcome, "loaded": loaded, **compared}


@task(name="recompute_features", task_run_name="recompute {feature_set}, {start} to {end}")
def compare(start: date, end: date, feature_set: str) -> dict[str, Any]:
    """Return how many sessions and rows equal their recomputation from whole histories.

    Raises:
        LakeError: some do not; it names them.
    """
    found = compare_with_rebuild(Lake(Settings().lake), start, end, feature_set=feature_set)
    if found.differing:
        shown = ", ".join(map(str, found.differing[:5]))
        raise LakeError(
            f"features of {quantity(len(found.differing), 'session')} unlike whole histories: {shown}. "
            "Delete their partitions and the carried state, then run `champion features`"
        )
    return {"compared_sessions": len(found.sessions), "compared_rows": found.rows, "differing": 0}
