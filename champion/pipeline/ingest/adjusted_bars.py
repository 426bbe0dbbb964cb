"""Adjusted bars, whose prices and volumes compare across sessions."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta

import polars as pl

from champion import workspace
from champion.contracts.instrument_kinds import EQUITY
from champion.lake import Lake
from champion.market.actions.adjustment import adjust
from champion.market.envelope import session_close
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.ingest.corporate_actions import known_factors


def adjusted_bars(
    lake: Lake,
    start: date | None = None,
    end: date | None = None,
    as_of: datetime | None = None,
    columns: Sequence[str] | None = None,
    *,
    total_return: bool = False,
    kinds: Collection[str] | None = EQUITY,
) -> pl.DataFrame:
    """Return the bars of company shares from `start` to `end` in the scale of `end`, as known at `as_of`.

    `kinds` names other kinds of instruments in the series of shares, as ("equity", "fund"); None means all of them.

    Without a list of actions in the lake they are as traded, with adjustment_factor 1. A split after `end` does not
    change them. With `as_of`, they are the bars of the sessions closed by then, in the scale of the last of them, from
    the files published and the factors known by then. See `adjustment.adjust`.
    """
    bars = equity_bars(lake, start, end, as_of, kinds=kinds)
    chosen = (bars if columns is None else bars.select(columns)).collect()
    return adjust(chosen, known_factors(lake, as_of), total_return=total_return)


def history_around(
    lake: Lake, instrument_id: str | None, day: date | None, days: int, as_of: date | None = None
) -> pl.DataFrame:
    """Return one instrument's adjusted bars from `days` calendar days before `day` to as many after it, in order.

    With `as_of`, they are as known at the close of that date. Empty if the instrument or the day is None.
    """
    if instrument_id is None or day is None:
        return adjusted_bars(lake, date.max)
    around, known = timedelta(days=days), None if as_of is None else session_close(as_of)
    bars = adjusted_bars(lake, day - around, day + around, known, kinds=None)
    return bars.filter(pl.col("instrument_id") == instrument_id).sort("trade_date")


def scan_adjusted(
    start: date | str | None = None,
    end: date | str | None = None,
    *,
    as_of: datetime | date | str | None = None,
    total_return: bool = False,
    kinds: Collection[str] | None = EQUITY,
) -> pl.LazyFrame:
    """Return this workspace's adjusted bars, as `scan_adjusted("2024-01-01", as_of="2024-06-28")`; dates included.

    They are of company shares. `kinds` names other kinds that trade in the same series, as `kinds=("equity", "fund")`
    (`champion.contracts.instrument_kinds.KINDS`); None means all of them.

    They are sorted by session and instrument, in the scale of the last session of the range. With `as_of` (a date means
    its close), later sessions, files and corporate actions are left out. `total_return` adjusts prices for dividends
    too. `adjustment_factor` is the number by which each price was divided.

    >>> scan_adjusted("2024-01-16").filter(symbol="ACME").select("close", "adjustment_factor").collect().row(0)
    (116.25, 1.0)
    """
    known = as_of if isinstance(as_of, datetime) else None
    if known is None and (day := workspace.as_date(as_of)):
        known = session_close(day)
    first, last = workspace.as_date(start), workspace.as_date(end)
    bars = adjusted_bars(workspace.lake(), first, last, known, total_return=total_return, kinds=kinds)
    return bars.sort("trade_date", "instrument_id").lazy()
