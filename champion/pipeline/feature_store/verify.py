"""Compare stored features, which are built from carried state, with a rebuild from whole histories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from champion import contracts
from champion.lake import Lake
from champion.pipeline.feature_store import fingerprints, strategies
from champion.pipeline.feature_store.contracts import ensure_contracts
from champion.pipeline.ingest.corporate_actions import known_factors


@dataclass(frozen=True, slots=True)
class RebuildComparison:
    """The compared sessions, their number of rows, and the sessions that differ in any bit of any feature."""

    sessions: Sequence[date]
    rows: int
    differing: Sequence[date]


def compare_with_rebuild(lake: Lake, start: date, end: date, *, feature_set: str = "v1") -> RebuildComparison:
    """Compare the features in the lake with features computed from whole histories; nothing is written.

    Stale sessions are left out: they are known to differ until the next build.
    """
    build = fingerprints.plan(lake, end, ensure_contracts(lake, feature_set), known_factors(lake))
    stale = set(build.stale(start))
    sessions = [session for session in build.sessions if session >= start and session not in stale]
    if not sessions:
        return RebuildComparison([], 0, [])
    rows, differing = 0, list[date]()
    contract = contracts.load(build.chosen.contract)
    for batch in strategies.from_histories(build, sessions):
        in_batch = pl.col("trade_date").is_in(list(batch.sessions))
        stored = lake.scan(contract.name, batch.sessions[0], batch.sessions[-1]).filter(in_batch).collect()
        differing += _differing(batch.rows, stored, contract.polars_schema)
        rows += batch.rows.height
    return RebuildComparison(sessions, rows, differing)


def _differing(rebuilt: pl.DataFrame, stored: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> list[date]:
    """Return the sessions whose rows differ, compared with the contract's types."""
    key = ["trade_date", "instrument_id"]
    columns = [name for name in stored.columns if name in rebuilt.columns]
    typed = rebuilt.select(pl.col(name).cast(schema[name]) for name in columns).sort(key)
    stored = stored.select(columns).sort(key)
    if typed.equals(stored):
        return []
    sessions = sorted(set(typed["trade_date"]) | set(stored["trade_date"]))
    return [day for day in sessions if not typed.filter(trade_date=day).equals(stored.filter(trade_date=day))]
