"""Volume indicators: the session's average price, on-balance volume and average volume."""

from __future__ import annotations

import polars as pl

from champion.indicators._mechanics import divide, units


def vwap(turnover: pl.Expr, volume: pl.Expr) -> pl.Expr:
    """Return the session's own volume-weighted average price, turnover over volume, in rupees; null without volume."""
    return pl.when(volume > 0).then(turnover / volume)


def obv(close: pl.Expr, volume: pl.Expr) -> pl.Expr:
    """Return on-balance volume in shares (Int64), from the first row on.

    It starts at the first volume, adds the volume of a session that closed higher and subtracts that of one that closed
    lower. Its level depends on where the history begins; its changes do not. TA-Lib OBV.
    """
    change = units(close).diff()
    return pl.when(change.is_null()).then(volume).otherwise(change.sign() * volume).cum_sum()


def volume_ma(volume: pl.Expr, window: int = 20) -> pl.Expr:
    """Return the simple average of volume over the last `window` sessions, in shares; null on the first rows."""
    return divide(volume.rolling_sum(window), window)
