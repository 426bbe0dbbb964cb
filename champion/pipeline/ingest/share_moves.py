"""Share moves: the change of each share's close from the previous close, adjusted for splits and bonuses.

The input is contract `normalized_equity_ohlc`. Three sorts of bars are left out:

1. Instruments of other kinds than the wanted ones, by default all but company shares: fund units, rights entitlements
   and DVR shares trade in the series of shares too (`champion.market.reference.instrument_kind`).
2. The first session of a share, for which the exchange gives the issue price as previous close. The lake's first
   session is not a listing.
3. Bars whose previous close is unknown or 0.
"""

from collections.abc import Collection
from datetime import date, timedelta

import polars as pl

from champion import workspace
from champion.contracts.datasets import BARS
from champion.contracts.instrument_kinds import EQUITY
from champion.lake import Lake
from champion.pipeline.ingest.adjusted_bars import adjusted_bars

_COLUMNS = ("trade_date", "instrument_id", "symbol", "isin", "series", "prev_close", "close", "volume", "turnover")


def moves(
    lake: Lake, start: date | None = None, end: date | None = None, *, kinds: Collection[str] | None = EQUITY
) -> pl.DataFrame:
    """Return one row per session and share, sorted by both; empty if there are no bars.

    Columns: trade_date, instrument_id, symbol, isin, series, prev_close and close (rupees, in the scale of the last
    session of the range), volume, turnover (rupees), adjustment_factor, adjustment_date, volume_factor, and change,
    close / prev_close - 1, a decimal. `kinds` is as in `equity_bars`.
    """
    bars = adjusted_bars(lake, start, end, columns=_COLUMNS, kinds=kinds)
    known = bars.filter(pl.col("prev_close") > 0, pl.col("close").is_not_null())
    traded_before = known.join(_listings(lake, bars), on=["instrument_id", "trade_date"], how="anti")
    changes = traded_before.with_columns(change=pl.col("close") / pl.col("prev_close") - 1)
    return changes.sort("trade_date", "instrument_id")


def share_moves(
    start: date | str | None = None, end: date | str | None = None, *, kinds: Collection[str] | None = EQUITY
) -> pl.DataFrame:
    """Return the share moves of this workspace, as `share_moves("2024-01-01", "2024-01-31")`; dates included.

    For breadth and movers: adjusted for splits and bonuses, of company shares without their first sessions. `kinds`
    names other kinds, as `kinds=("fund",)`. See `champion.pipeline.ingest.share_moves.moves` for the columns.

    >>> share_moves("2024-01-16").columns[:5]
    ['trade_date', 'instrument_id', 'symbol', 'isin', 'series']
    """
    return moves(workspace.lake(), workspace.as_date(start), workspace.as_date(end), kinds=kinds)


def _listings(lake: Lake, bars: pl.DataFrame) -> pl.DataFrame:
    """Return instrument_id and trade_date of each instrument's first bar, after the first session of the lake."""
    first = bars.group_by("instrument_id").agg(pl.col("trade_date").min())
    sessions = lake.sessions(BARS)
    candidates = first.filter(pl.col("trade_date") > sessions[0]) if sessions else first
    if candidates.is_empty():
        return candidates
    before = lake.scan(BARS, end=min(bars["trade_date"].unique()) - timedelta(days=1))
    known = before.filter(pl.col("instrument_id").is_in(candidates["instrument_id"].implode()))
    return candidates.join(known.select("instrument_id").unique().collect(), on="instrument_id", how="anti")
