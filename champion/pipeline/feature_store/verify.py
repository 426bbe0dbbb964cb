"""Holding features against a recomputation from whole histories: what is in the lake came from carried state."""

from __future__ import annotations

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
    """The sessions compared, their rows, and the sessions that differ in any bit of any feature."""

    sessions: Sequence[date]
    rows: int
    differing: Sequence[date]


def compare_with_rebuild(lake: Lake, start: date, end: date, *, feature_set: str = "v1") -> RebuildComparison:
    """Return how the features in the lake compare with those of whole histories; nothing is written.

    Only sessions whose features are current are compared: stale ones are known to differ, and a build makes them anew.
    """
    build = fingerprints.plan(lake, end, ensure_contracts(lake, feature_set), known_factors(lake))
    stale = set(build.stale(start))
    sessions = [session for session in build.sessions if session >= start and session not in stale]
    if not sessions:
        return RebuildComparison([], 0, [])
    rows, differing = 0, list[date]()
    for made in strategies.from_histories(build, sessions):
        few = pl.col("trade_date").is_in(list(made.sessions))
        held = lake.scan(build.chosen.contract, made.sessions[0], made.sessions[-1]).filter(few)
        differing += _differing(made.rows, held.collect(), contracts.load(build.chosen.contract).polars_schema)
        rows += made.rows.height
    return RebuildComparison(sessions, rows, differing)


def _differing(made: pl.DataFrame, held: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> list[date]:
    """Return the sessions whose rows are not the same; compared as the contract stores them."""
    key = ["trade_date", "instrument_id"]
    columns = [name for name in held.columns if name in made.columns]
    typed = made.select(pl.col(name).cast(schema[name]) for name in columns).sort(key)
    stored = held.select(columns).sort(key)
    if typed.equals(stored):
        return []
    sessions = sorted(set(typed["trade_date"]) | set(stored["trade_date"]))
    return [day for day in sessions if not _of(typed, day).equals(_of(stored, day))]


def _of(rows: pl.DataFrame, session: date) -> pl.DataFrame:
    return rows.filter(pl.col("trade_date") == session)
