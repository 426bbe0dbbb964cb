"""What each instrument is exposed to at the close of a session: the market, one sector, and styles."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from champion.errors import UsageError
from champion.indicators import cross_section
from champion.indicators.numeric.unknown import known
from champion.modeling.styles import SECTOR, STYLES, styles

FACTORS = (*STYLES, "style_momentum")
"""The styles of the risk model."""
LOOKBACK = 253
"""Bars of an instrument that momentum uses, the session's included."""
MARKET, UNKNOWN, OTHER = "market", "Unknown", "Other"
FEWEST_MEMBERS = 5
"""Sectors with fewer members in a session count as `Other`: a factor of one share would have no specific risk."""
_KEY = ["instrument_id", "trade_date"]
_MONTH, _TURNOVERS = 21, 20


def exposures(bars: pl.DataFrame, sectors: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return trade_date, instrument_id, sector, traded_value (rupees) and `FACTORS`, sorted by the first two.

    Styles are ranks among all bars of the session, from -0.5 to 0.5: those of `styles.styles`, and momentum, the return
    from 252 to 21 bars ago. Where volatility, beta or liquidity is unknown, the instrument has no row: its risk is not
    known. An unknown momentum, as in the first year of a listing, is 0, the middle. traded_value is the median turnover
    of the last 20 bars. Everything is known at the close of trade_date.

    Args:
        bars: adjusted: instrument_id, trade_date, close and turnover, of the `LOOKBACK` bars before the first session.
        sectors: instrument_id, trade_date and sector as known on the session. Null, or no row, is the sector `Unknown`;
            sectors with fewer than 5 instruments in a session are `Other`.

    Raises:
        ContractError: the bars break their contract.
        UsageError: the sectors lack a column, or name an instrument twice in a session.

    >>> from datetime import date, timedelta
    >>> days = [date(2024, 1, 1) + timedelta(n) for n in range(30)]
    >>> closes = {"A": [10.0, 11.0] * 15, "B": [10.0] * 30}
    >>> bars = pl.concat([
    ...     pl.DataFrame({"trade_date": days, "close": close, "turnover": 4e6}).with_columns(instrument_id=pl.lit(name))
    ...     for name, close in closes.items()
    ... ])
    >>> exposures(bars).tail(2).select("instrument_id", "sector", "traded_value", "style_volatility").rows()
    [('A', 'Other', 4000000.0, 0.25), ('B', 'Other', 4000000.0, -0.25)]
    """
    closes = bars.select(*_KEY, "close", "turnover").sort(_KEY) if set(bars.columns) >= {*_KEY, "close"} else bars
    ranked = styles(bars)  # it checks the bars
    moved = known(pl.col("close").shift(_MONTH) / pl.col("close").shift(LOOKBACK - 1) - 1)
    valued = closes.select(
        *_KEY,
        traded_value=pl.col("turnover").cast(pl.Float64).rolling_median(_TURNOVERS).over("instrument_id"),
        style_momentum=moved.over("instrument_id"),
    ).with_columns(cross_section.rank(pl.col("style_momentum")).over("trade_date").fill_null(0.0))
    joined = ranked.join(valued, on=_KEY).drop_nulls([*STYLES, "traded_value"])
    placed = joined.with_columns(pl.lit(UNKNOWN).alias(SECTOR)) if sectors is None else _placed(joined, sectors)
    few = pl.len().over("trade_date", SECTOR) < FEWEST_MEMBERS
    placed = placed.with_columns(pl.when(few).then(pl.lit(OTHER)).otherwise(SECTOR).alias(SECTOR))
    return placed.select("trade_date", "instrument_id", SECTOR, "traded_value", *FACTORS).sort(
        "trade_date", "instrument_id"
    )


def require_columns(what: str, frame: pl.DataFrame, columns: Iterable[str]) -> None:
    """Refuse a frame that lacks columns.

    Raises:
        UsageError: it does; the message names them and those that it has.

    >>> require_columns("bars", pl.DataFrame({"close": []}), ["close", "open"])
    Traceback (most recent call last):
    ...
    champion.errors.UsageError: the bars lack open; they have close
    """
    if missing := [name for name in columns if name not in frame.columns]:
        raise UsageError(f"the {what} lack {', '.join(missing)}; they have {', '.join(frame.columns)}")


def _placed(rows: pl.DataFrame, sectors: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with their sector.

    Raises:
        UsageError: the sectors lack a column, or name an instrument twice in a session.
    """
    require_columns("sectors", sectors, (*_KEY, SECTOR))
    named = sectors.select(*_KEY, SECTOR)
    if not (twice := named.filter(pl.struct(_KEY).is_duplicated())).is_empty():
        name, day = twice.select(_KEY).row(0)
        raise UsageError(f"the sectors name {name} twice on {day}; give one row per instrument and session")
    return rows.join(named, on=_KEY, how="left").with_columns(pl.col(SECTOR).fill_null(UNKNOWN))
