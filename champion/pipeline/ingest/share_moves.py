"""Moves of shares: how far each share's close moved from the one before, across splits, bonuses and new listings.

The input is contract `normalized_equity_ohlc`. Three kinds of bars say nothing about the market and are left out:

1. A rights entitlement trades for a week beside the share, in the share's series. Its symbol ends in `-RE` and a
   number, and the security type in its ISIN is 20, that of a share 01 (ISIN of NSDL, characters 8 and 9).
2. On its first session a share has no close before; the exchange gives the issue price instead. The lake's own first
   session is no listing.
3. A bar whose close before is unknown or 0.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from champion import workspace
from champion.contracts.datasets import BARS
from champion.lake import Lake
from champion.pipeline.ingest.adjusted_bars import adjusted_bars

_COLUMNS = ("trade_date", "instrument_id", "symbol", "isin", "series", "prev_close", "close", "volume", "turnover")
_ENTITLEMENT = "20"


def is_share(symbol: pl.Expr, isin: pl.Expr) -> pl.Expr:
    """Return whether a bar in an equity series is of a share or a fund unit, and not of a rights entitlement.

    >>> bars = pl.DataFrame({"s": ["GRASIM", "GRASIM-RE", "PATINT-RE2"], "i": ["INE047A01021", "INE047A20013", None]})
    >>> bars.select(is_share(pl.col("s"), pl.col("i"))).to_series().to_list()
    [True, False, False]
    """
    by_isin = isin.str.starts_with("INE") & (isin.str.slice(7, 2) == _ENTITLEMENT)
    return ~(symbol.str.contains(r"-RE\d*$") | by_isin.fill_null(value=False))


def moves(lake: Lake, start: date | None = None, end: date | None = None) -> pl.DataFrame:
    """Return one row a session and share that moved or stood still, sorted by both; empty where there are no bars.

    Columns: trade_date, instrument_id, symbol, isin, series, prev_close and close (rupees, in the scale of the last
    session of the range), volume, turnover (rupees), adjustment_factor, adjustment_date, volume_factor, and change,
    close / prev_close - 1, a decimal. Funds traded in an equity series are among them.
    """
    bars = adjusted_bars(lake, start, end, columns=_COLUMNS)
    share = is_share(pl.col("symbol"), pl.col("isin"))
    known = bars.filter(share, pl.col("prev_close") > 0, pl.col("close").is_not_null())
    change = pl.col("close") / pl.col("prev_close") - 1
    traded_before = known.join(_listings(lake, bars), on=["instrument_id", "trade_date"], how="anti")
    return traded_before.with_columns(change=change).sort("trade_date", "instrument_id")


def share_moves(start: date | str | None = None, end: date | str | None = None) -> pl.DataFrame:
    """Return the moves of shares in this workspace, as `share_moves("2024-01-01", "2024-01-31")`; dates included.

    For breadth and movers: adjusted for splits and bonuses, without rights entitlements and first sessions. See
    `champion.pipeline.ingest.share_moves.moves` for the columns.

    >>> share_moves("2024-01-16").columns[:5]
    ['trade_date', 'instrument_id', 'symbol', 'isin', 'series']
    """
    return moves(workspace.lake(), workspace.as_date(start), workspace.as_date(end))


def _listings(lake: Lake, bars: pl.DataFrame) -> pl.DataFrame:
    """Return instrument_id and trade_date of the bars that are an instrument's first in the lake, after the lake's."""
    first = bars.group_by("instrument_id").agg(pl.col("trade_date").min())
    sessions = lake.sessions(BARS)
    candidates = first.filter(pl.col("trade_date") > sessions[0]) if sessions else first
    if candidates.is_empty():
        return candidates
    before = lake.scan(BARS, end=min(bars["trade_date"].unique()) - timedelta(days=1))
    known = before.filter(pl.col("instrument_id").is_in(candidates["instrument_id"].implode()))
    seen = known.select("instrument_id").unique().collect()
    return candidates.join(seen, on="instrument_id", how="anti")
