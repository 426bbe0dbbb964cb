"""Levels and returns of benchmarks on the sessions of the lake.

Three bases, never mixed: the total return index as published, a total return estimated from closes and dividend yields
(`champion.market.reference.benchmarks`), and the price index without dividends. Values come from the index provider's
histories; closes and yields that they lack come from the index closes of each session, and then closes from the market
activity reports. The method of the estimate and its error by year are in `benchmarks/evidence/README.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Literal, TypeAlias

import polars as pl

from champion import workspace
from champion.base.counting import quantity
from champion.contracts.datasets import BARS, INDEX_BARS, INDEX_HISTORY, MARKET_ACTIVITY
from champion.errors import UsageError
from champion.lake import Lake
from champion.market.index_bars import EXCHANGE, RENAMED
from champion.market.reference.benchmarks import estimate_total_return
from champion.market.reference.covered import ranges
from champion.market.reference.index_short_names import FULL_NAMES
from champion.market.reference.rolling_lists import merged_history
from champion.sources.lists.index_list import canonical_index

Basis: TypeAlias = Literal["published", "estimated", "price"]
BENCHMARKS: Mapping[str, Basis] = {
    "NIFTY 50": "published",
    "NIFTY 500": "estimated",
    "NIFTY50 EQUAL WEIGHT": "price",
    "NIFTY100 EQUAL WEIGHT": "price",
}
"""The usual benchmarks, each with the basis that its public data allow."""
_SOURCES: Mapping[Basis, tuple[tuple[str, ...], Sequence[str]]] = {
    "published": (("total_return",), (INDEX_HISTORY,)),
    "estimated": (("close", "dividend_yield"), (INDEX_HISTORY, INDEX_BARS)),
    "price": (("close",), (INDEX_HISTORY, INDEX_BARS, MARKET_ACTIVITY)),
}
"""The values that each basis needs, and the datasets that have them, the best first."""
_LONGEST_GAP = timedelta(10)
_SHOWN = 12  # names of indices in a message


def benchmark(
    name: str,
    start: date | str,
    end: date | str,
    basis: Basis | None = None,
    *,
    allow_gaps: bool = False,
    lake: Lake | None = None,
) -> pl.DataFrame:
    """Return a benchmark on each session of the lake from `start` to `end`, both included, oldest first.

    Columns: trade_date; index_id, as NSE:NIFTY 50; level, in index points if published or price, and relative to the
    first close if estimated; daily_return, the simple return since the lake's session before; basis. The first
    daily_return is null if the session before is not covered, or lies more than ten days back.

    Args:
        name: an index in any spelling that the exchange has used, such as `NIFTY 50` or `CNX Nifty`.
        start: the first date.
        end: the last date.
        basis: `published`, `estimated` or `price`; by default the one of `BENCHMARKS`.
        allow_gaps: instead of an error, sessions without a value have a null level, and they and the session after
            have a null daily_return. The levels on both sides of a gap remain comparable; an estimate is null from
            the first gap of more than ten days on.
        lake: by default that of this workspace.

    Raises:
        UsageError: the lake has no session between the dates, or no value of the index on one of them; the message has
            the sessions that are covered. Or there is no such index or basis; the message has those that exist.

    >>> benchmark("NIFTY 50", "2024-01-15", "2024-01-15", "price").row(0)
    (datetime.date(2024, 1, 15), 'NSE:NIFTY 50', 2.0, None, 'price')
    """
    where = lake or workspace.lake()
    index, basis = _named(name, basis)
    first, last = (workspace.required_date(day) for day in (start, end))
    if not (sessions := where.sessions(BARS, first, last)):
        raise UsageError(f"the lake has no session from {first} to {last}: ask for others, or run `champion backfill`")
    before = where.sessions(BARS, sessions[0] - _LONGEST_GAP, sessions[0] - timedelta(1))[-1:]
    values = _values(where, index, basis)
    inside = values.filter(pl.col("trade_date").is_between([*before, *sessions][0], sessions[-1]))
    levels = _levels(inside, basis)
    missing = sorted({*sessions} - {*levels["trade_date"]})
    if missing and not allow_gaps:
        raise UsageError(_not_covered(where, index, basis, _levels(values, basis), sessions, missing))
    known = pl.DataFrame({"trade_date": [*before, *sessions]}).join(levels, on="trade_date", how="left")
    found = known.sort("trade_date").with_columns(daily_return=pl.col("level") / pl.col("level").shift(1) - 1)
    return found.filter(pl.col("trade_date") >= sessions[0]).select(
        "trade_date", pl.lit(f"{EXCHANGE}:{index}").alias("index_id"), "level", "daily_return", basis=pl.lit(basis)
    )


def _named(name: str, basis: Basis | None) -> tuple[str, Basis]:
    """Return the current name of the index, in capitals, and the basis."""
    capitals = canonical_index(name)
    full = FULL_NAMES.get(capitals, capitals)
    index = RENAMED.get(full, full)
    letters = index.replace(" ", "").replace("-", "")
    index = next((usual for usual in BENCHMARKS if usual.replace(" ", "") == letters), index)
    chosen = basis or BENCHMARKS.get(index)
    if chosen is None or chosen not in _SOURCES:
        asked = f"no basis {basis!r}" if basis else f"no usual basis for {name!r}"
        usual = ", ".join(f"{index} ({usual})" for index, usual in BENCHMARKS.items())
        raise UsageError(f"there is {asked}: choose one of {', '.join(_SOURCES)}; the usual benchmarks are {usual}")
    return index, chosen


def _values(lake: Lake, index: str, basis: Basis) -> pl.DataFrame:
    """Return trade_date and the values that the basis needs, where all are known, oldest first."""
    columns, datasets = _SOURCES[basis]
    frames = [_of_dataset(lake, dataset, f"{EXCHANGE}:{index}", columns) for dataset in datasets]
    return (
        pl.concat(frame for frame in frames if frame.height or frame is frames[0])
        .group_by("trade_date", maintain_order=True)
        .agg(pl.col(*columns).drop_nulls().first())
        .drop_nulls()
        .sort("trade_date")
    )


def _of_dataset(lake: Lake, dataset: str, index_id: str, columns: Sequence[str]) -> pl.DataFrame:
    rows = lake.scan(dataset).filter(pl.col("index_id") == index_id)
    wanted = ["trade_date", *(pl.col(column).cast(pl.Float64) for column in columns)]
    if dataset == INDEX_HISTORY:
        return merged_history(rows.collect(), index_id).select(wanted)
    return rows.select(wanted).collect()


def _levels(values: pl.DataFrame, basis: Basis) -> pl.DataFrame:
    """Return trade_date and level; a session without yield lies within the estimate of the sessions around it.

    An estimate ends before the first gap of more than ten days: its level after the gap is not known.
    """
    if basis == "estimated" and values.height:
        apart = pl.col("trade_date").diff() > _LONGEST_GAP
        values = values.filter(~apart.fill_null(value=False).cum_max())
        return estimate_total_return(values).select("trade_date", "level")
    return values.select("trade_date", pl.last().alias("level"))


def _not_covered(
    lake: Lake, index: str, basis: Basis, levels: pl.DataFrame, sessions: Sequence[date], missing: Sequence[date]
) -> str:
    covered = ranges(levels["trade_date"].to_list(), lake.sessions(BARS))
    others = [other for other in _SOURCES if other != basis and _values(lake, index, other).height]
    if covered == "none" and not others:
        names = _known_indices(lake)
        also = f"the lake has {', '.join(names[:_SHOWN])}" if names else "the lake has values of no index"
    else:
        also = f"or ask for another basis that has values: {', '.join(others) or 'none has'}"
    count = f"{len(missing)} of {quantity(len(sessions), 'session')}"
    return (
        f"{index} ({basis}) has no value on {count}, first {missing[0]}; "
        f"covered: {covered}. Ask for these sessions, or put the provider's files into indices/history/ of the archive "
        f"or of the folder of lists and run `champion lists refresh`; `champion lists ls` names refused files; {also}"
    )


def _known_indices(lake: Lake) -> list[str]:
    found = set[str]()
    for dataset in (INDEX_HISTORY, INDEX_BARS, MARKET_ACTIVITY):
        found |= {*lake.scan(dataset).select(pl.col("index_id").unique()).collect()["index_id"]}
    return sorted(name.removeprefix(f"{EXCHANGE}:") for name in found)
