"""Holding features against a recomputation from whole histories: what is in the lake came from carried state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from champion import contracts
from champion.lake import Lake
from champion.pipeline import history, ways
from champion.pipeline.actions import known_factors
from champion.pipeline.declare import known_to


@dataclass(frozen=True, slots=True)
class Compared:
    """The sessions compared, their rows, and the sessions that differ in any bit of any feature."""

    sessions: Sequence[date]
    rows: int
    differing: Sequence[date]


def recompute(lake: Lake, start: date, end: date, *, feature_set: str = "v1") -> Compared:
    """Return how the features in the lake compare with those of whole histories; nothing is written.

    Only sessions whose features are current are compared: stale ones are known to differ, and a build makes them anew.
    """
    build = history.plan(lake, end, known_to(lake, feature_set), known_factors(lake))
    stale = set(build.stale(start))
    sessions = [session for session in build.sessions if session >= start and session not in stale]
    if not sessions:
        return Compared([], 0, [])
    rows, differing = 0, list[date]()
    for made in ways.rebuilt(build, sessions):
        few = pl.col("trade_date").is_in(list(made.sessions))
        held = lake.scan(build.chosen.contract, made.sessions[0], made.sessions[-1]).filter(few)
        differing += _differing(made.rows, held.collect(), contracts.load(build.chosen.contract).polars_schema)
        rows += made.rows.height
    return Compared(sessions, rows, differing)


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
