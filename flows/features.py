"""The weekly flow of features: build stale sessions, and compare features from carried state with whole histories."""

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
from champion.pipeline.feature_store.build import compare_with_rebuild
from champion.pipeline.ingest import market_data_lock
from champion.settings import Settings
from flows import feature_sets, steps
from flows.notifications import HOOKS
from flows.policy import FLOW_SECONDS, run_name
from flows.run_tracking import record_flow


@flow(
    name="weekly_feature_recompute", flow_run_name=run_name("features to", "end"), timeout_seconds=FLOW_SECONDS, **HOOKS
)
def weekly_feature_recompute(end: date | None = None, sessions: int = 20) -> dict[str, Any]:
    """Build all stale features up to `end`, load them, and compare the last sessions with whole histories.

    Raises:
        LakeError: features in the lake differ from their recomputation: carried state is wrong.
    """
    end = end or clock.today()
    with (
        record_flow("weekly-feature-recompute", f"features to {end}", {"end": end, "sessions": sessions}) as recording,
        market_data_lock.changing(Settings(), get_run_logger().info),
    ):
        lake = Lake(Settings().lake)
        if not (held := lake.sessions(BARS, end=end)):
            return recording.keep_result({"sessions": 0})
        sets = Settings().feature_sets
        return recording.keep_result({name: _recompute(lake, name, held, sessions, recording.run_id) for name in sets})


def _recompute(lake: Lake, name: str, held: Sequence[date], sessions: int, parent: str) -> dict[str, Any]:
    """Build, load and compare one feature set."""
    stale, outcome, loaded = build.stale_sessions(lake, held[-1], name), "nothing stale", dict[str, int]()
    if stale:
        outcome = feature_sets.build_set(name, (stale[0], held[-1]), parent=parent).outcome.value
        loaded = steps.load(stale[0], held[-1])
    return {"stale": len(stale), "features": outcome, "loaded": loaded, **compare(held[-sessions:][0], held[-1], name)}


@task(name="recompute_features", task_run_name="recompute {feature_set}, {start} to {end}")
def compare(start: date, end: date, feature_set: str) -> dict[str, Any]:
    """Compare features with their recomputation from whole histories; return the numbers of sessions and rows.

    Raises:
        LakeError: sessions differ; it names them.
    """
    comparison = compare_with_rebuild(Lake(Settings().lake), start, end, feature_set=feature_set)
    if comparison.differing:
        shown = ", ".join(map(str, comparison.differing[:5]))
        raise LakeError(
            f"features of {quantity(len(comparison.differing), 'session')} differ from whole histories: {shown}. "
            "Delete their partitions and the carried state, then run `champion features`"
        )
    return {"compared_sessions": len(comparison.sessions), "compared_rows": comparison.rows, "differing": 0}
