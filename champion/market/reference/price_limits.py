"""The highest and lowest price that a band allows: the previous close plus and minus the band, rounded to the tick.

The upper limit is rounded down and the lower limit up, so that both lie within the band. The tick was 5 paise; since
2024-06-10 it is 1 paisa for securities below 250 rupees, except those of the SME series. The bars show the change: from
that date on, 45% of the highs of such shares are no multiple of 5 paise, and none of the SME series (measured on bars
of 2024-05 to 2025-02). The exchange assigns the tick by the last close of a month, this module by the previous close.
"""

from datetime import date

import polars as pl

FINE_TICK_FROM = date(2024, 6, 10)
FINE_BELOW = 250_00  # paise
COARSE, FINE = 5, 1  # paise
SME_SERIES = ("SM", "ST", "SZ")
"""The series of small companies, which trade in lots."""
_PERCENT = 100


def paise(price: pl.Expr) -> pl.Expr:
    """Return prices in rupees as whole paise."""
    return (price * 100).round(0).cast(pl.Int64)


def tick(session: pl.Expr, series: pl.Expr, previous: pl.Expr) -> pl.Expr:
    """Return the tick in paise; `previous` is the previous close in paise."""
    is_fine = (session >= FINE_TICK_FROM) & (previous < FINE_BELOW) & ~series.is_in(SME_SERIES)
    return pl.when(is_fine).then(FINE).otherwise(COARSE)


def upper(previous: pl.Expr, band: pl.Expr, step: pl.Expr) -> pl.Expr:
    """Return the upper limit in paise: the previous close plus `band` percent, rounded down to the tick.

    >>> price, five, step = pl.lit(1005), pl.lit(5), pl.lit(5)
    >>> pl.select(lower(price, five, step)).item(), pl.select(upper(price, five, step)).item()
    (955, 1055)
    """
    return (previous * (_PERCENT + band)) // (_PERCENT * step) * step


def lower(previous: pl.Expr, band: pl.Expr, step: pl.Expr) -> pl.Expr:
    """Return the lower limit in paise: the previous close less `band` percent, rounded up to the tick."""
    return -(-(previous * (_PERCENT - band)) // (_PERCENT * step)) * step
