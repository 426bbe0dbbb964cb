"""The carried state in the lake: one partition a session, of the last few sessions that were built.

A state is used only where its manifest says that it was made from the very history that the bars and actions make
now; anything else is as good as none.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl

from champion import contracts, features
from champion.features import FeatureSet
from champion.lake import Lake, layout, partitions
from champion.lake.vacuum import sweep
from champion.pipeline.feature_store.fingerprints import BuildPlan, actions_seen

KEPT = 5  # sessions: a correction within the last week is a few steps from a state, an older one is a repair
VERSION = "1"  # raise it when state of the same history means something else
_ID = "instrument_id"


def is_kept(chosen: FeatureSet) -> bool:
    """Tell whether state of this feature set is kept: it can advance, and there is a contract for its state."""
    return chosen.advances and chosen.state_contract in contracts.names()


def latest(build: BuildPlan, before: date) -> date | None:
    """Return the latest session before `before` with a state that the history of now would make."""
    if not is_kept(build.chosen):
        return None
    for session in reversed(build.lake.sessions(build.chosen.state_contract, end=before)):
        inputs = build.made_from.get(session)
        if session < before and inputs and build.lake.is_current(build.chosen.state_contract, session, _of(inputs)):
            return session
    return None


def last(build: BuildPlan) -> date | None:
    """Return the last session with a state, of whatever history."""
    return max(build.lake.sessions(build.chosen.state_contract), default=None) if is_kept(build.chosen) else None


def history(build: BuildPlan, session: date) -> str | None:
    """Return the history that the state of a session was made from; None where it was made by other rules."""
    manifest = build.lake.manifest(build.chosen.state_contract, session)
    inputs = dict(manifest.current.inputs) if manifest else {}
    same = ("feature_set", "features", "state")
    if [inputs.get(name) for name in same] != [_of(build.made_from[session]).get(name) for name in same]:
        return None
    return inputs["history"]


def read(build: BuildPlan, session: date) -> pl.DataFrame:
    """Return the state after a session: that of `features.state_after`, bars_seen and actions_seen."""
    columns = [*features.carried_schema(build.chosen), "bars_seen", "actions_seen"]
    return build.lake.scan(build.chosen.state_contract, session, session).select(columns).collect()


def write(build: BuildPlan, session: date, state: pl.DataFrame) -> None:
    """Commit the state after a session, unless that of a later session is kept, and let old ones go."""
    chosen, lake = build.chosen, build.lake
    if not is_kept(chosen) or (last(build) or session) > session:
        return
    contract = contracts.load(chosen.state_contract)
    stamped = state.drop("actions_seen", strict=False).join(
        actions_seen(build.factors, session), on=_ID, how="left", maintain_order="left"
    )
    frame = stamped.with_columns(
        pl.col("actions_seen").fill_null(0), trade_date=pl.lit(session), feature_version=pl.lit(chosen.version)
    )
    lake.write(
        chosen.state_contract, session, frame.select(list(contract.polars_schema)), _of(build.made_from[session])
    )
    _let_go(lake, chosen.state_contract)


def _let_go(lake: Lake, name: str) -> None:
    """Remove all but the last states: builds alone read them, and none reads one that is so old."""
    contract = contracts.load(name)
    with layout.locked(lake.root, contract):
        for session in lake.sessions(name)[:-KEPT]:
            manifest = layout.partition_folder(lake.root, contract, session, None) / layout.SUCCESS
            if manifest.exists():  # a session of a sealed year has none
                partitions.retire(manifest)
    sweep(lake, [name], timedelta(0))


def _of(inputs: Mapping[str, str]) -> dict[str, str]:
    return {**inputs, "state": VERSION}
