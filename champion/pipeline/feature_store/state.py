"""The carried state of recursive features in the lake: one partition per session, for the last sessions built.

A state is used only if its manifest records the history that the present bars and actions give.
"""

from datetime import date, timedelta

import polars as pl

from champion import contracts, features
from champion.features import FeatureSet
from champion.lake import layout, partitions
from champion.lake.vacuum import sweep
from champion.pipeline.feature_store.fingerprints import BuildPlan, actions_seen

KEPT = 5  # sessions: a correction within the last week advances from a state, an older one needs a repair
VERSION = "1"  # raise it when a state of the same history gets another meaning


def keeps_state(chosen: FeatureSet) -> bool:
    """Whether state of this feature set is kept: the set can advance, and its state has a contract."""
    return chosen.advances and chosen.state_contract in contracts.names()


def latest_state(build: BuildPlan, before: date) -> date | None:
    """Return the latest session before `before` with a state of the present history."""
    if not keeps_state(build.chosen):
        return None
    name = build.chosen.state_contract
    for session in reversed(build.lake.sessions(name, end=before)):
        inputs = build.made_from.get(session)
        if session < before and inputs and build.lake.is_current(name, session, {**inputs, "state": VERSION}):
            return session
    return None


def last_state(build: BuildPlan) -> date | None:
    """Return the last session with a state of any history."""
    return max(build.lake.sessions(build.chosen.state_contract), default=None) if keeps_state(build.chosen) else None


def state_history(build: BuildPlan, session: date) -> str | None:
    """Return the recorded history of a session's state; None if it was built by other rules."""
    manifest = build.lake.manifest(build.chosen.state_contract, session)
    inputs = dict(manifest.current.inputs) if manifest else {}
    wanted = {**build.made_from[session], "state": VERSION}
    if any(inputs.get(name) != wanted.get(name) for name in ("feature_set", "features", "state")):
        return None
    return inputs["history"]


def read_state(build: BuildPlan, session: date) -> pl.DataFrame:
    """Return the state after a session: the columns of `features.state_after`, bars_seen and actions_seen."""
    columns = [*features.carried_schema(build.chosen), "bars_seen", "actions_seen"]
    return build.lake.scan(build.chosen.state_contract, session, session).select(columns).collect()


def write_state(build: BuildPlan, session: date, state: pl.DataFrame) -> None:
    """Commit the state after a session, unless a later one is kept, and remove old states."""
    chosen, lake = build.chosen, build.lake
    if not keeps_state(chosen) or (last_state(build) or session) > session:
        return
    contract = contracts.load(chosen.state_contract)
    seen = actions_seen(build.factors, session)
    stamped = state.drop("actions_seen", strict=False).join(seen, on="instrument_id", how="left", maintain_order="left")
    known = pl.col("actions_seen").fill_null(0)
    frame = stamped.with_columns(known, trade_date=pl.lit(session), feature_version=pl.lit(chosen.version))
    inputs = {**build.made_from[session], "state": VERSION}
    lake.write(contract.name, session, frame.select(list(contract.polars_schema)), inputs)
    # Only builds read states, and no build reads older ones than the last.
    with layout.locked(lake.root, contract):
        for old in lake.sessions(contract.name)[:-KEPT]:
            manifest = layout.partition_folder(lake.root, contract, old, None) / layout.SUCCESS
            if manifest.exists():  # a session of a sealed year has none
                partitions.retire(manifest)
    sweep(lake, [contract.name], timedelta(0))
