"""Trend channel: the least-squares line of the closes, and how far they scatter around it."""

from __future__ import annotations

import polars as pl

from champion.indicators.numeric.mechanics import PRICE_UNIT, divide, sharing, units

_CROSSED, _SQUARES, _TOTAL, _PRICE = (pl.field(name) for name in ("crossed", "squares", "total", "price"))


def regression_channel(close: pl.Expr, window: int = 20, deviations: float = 2.0) -> pl.Expr:
    """Return the channel around the regression line of the last `window` closes, as a struct.

    `slope` is in rupees a bar and `middle` the line at the last bar, in rupees (TA-Lib LINEARREG_SLOPE and LINEARREG);
    `width` is 2 * `deviations` standard deviations of the residuals (of the population), in rupees; `position` is 0 at
    the lower line, 1 at the upper, null for a channel without width. All are null on the first `window` - 1 rows and
    while the window holds a null. Sums are exact, in 128 bits.

    >>> closes = pl.DataFrame({"close": [1.0, 2.0, 4.5]})
    >>> closes.select(regression_channel(pl.col("close"), 3)).unnest("channel").row(2)[:2]
    (1.75, 4.25)
    """
    row = pl.int_range(pl.len(), dtype=pl.Int64).cast(pl.Int128)
    wide = _PRICE.cast(pl.Int128)
    newest = (row * wide).rolling_sum(window) - (row - (window - 1)) * wide.rolling_sum(window)  # rows from 0
    sums = sharing(
        pl.struct(
            price=wide,
            total=wide.rolling_sum(window),
            # `window` times the sums of products of deviations, of prices and rows, and of prices
            crossed=window * newest - (window * (window - 1) // 2) * wide.rolling_sum(window),
            squares=window * (wide * wide).rolling_sum(window) - wide.rolling_sum(window) * wide.rolling_sum(window),
        ),
        price=units(close),
    )
    rows = window * window * (window * window - 1) // 12  # `window` times the squared deviations of the rows
    line = 2 * rows * _TOTAL + window * (window - 1) * _CROSSED
    scatter = (_SQUARES * rows - _CROSSED * _CROSSED).cast(pl.Float64)
    deviation = divide(divide(scatter, rows).sqrt(), window * PRICE_UNIT)
    parts = 2 * window * rows * PRICE_UNIT
    width = 2 * deviations * deviation
    off = divide(2 * window * rows * _PRICE - line, parts)
    channel = pl.struct(
        slope=divide(_CROSSED, rows * PRICE_UNIT),
        middle=divide(line, parts),
        width=width,
        position=pl.when(width > 0).then(0.5 + off / width),
    )
    return sums.struct.with_fields(_result=channel).struct.field("_result").alias("channel")
