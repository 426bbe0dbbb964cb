"""Oscillators of a bar within its recent range: Williams %R, the commodity channel index and the money flow index."""

from __future__ import annotations

import polars as pl

from champion.indicators.numeric.mechanics import highest, lowest, sharing, true_range_units, typical_units, units


def williams_r(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return Williams %R, -100 (close at the low of the last `window` sessions) to 0 (at the high).

    0 where high and low are equal throughout. Null on the first `window` - 1 rows. TA-Lib WILLR; Williams, How I Made
    One Million Dollars (1973).

    >>> bars = pl.DataFrame({"high": [12.0, 13.0], "low": [10.0, 11.0], "close": [11.0, 12.25]})
    >>> bars.select(williams_r(pl.col("high"), pl.col("low"), pl.col("close"), 2)).to_series().to_list()
    [None, -25.0]
    """
    top, bottom = pl.field("top"), pl.field("bottom")
    below = -100 * (top - units(close)) / (top - bottom)
    share = pl.when(top == bottom).then(0.0).otherwise(below)
    return sharing(share, top=highest(units(high), window), bottom=lowest(units(low), window))


def ultimate_oscillator(
    high: pl.Expr, low: pl.Expr, close: pl.Expr, short: int = 7, middle: int = 14, long: int = 28
) -> pl.Expr:
    """Return the ultimate oscillator, 0 to 100: buying pressure over true range, windows weighted 4, 2 and 1.

    Buying pressure is the close less the lower of the low and the previous close; a window without range counts as 0.
    Null on the first `long` rows, the longest window's. TA-Lib ULTOSC; Williams, Stocks & Commodities (1985).

    >>> bars = pl.DataFrame({"high": [11.0, 12.0, 13.0], "low": [10.0, 11.0, 12.0], "close": [10.0, 12.0, 12.5]})
    >>> last = bars.select(ultimate_oscillator(*(pl.col(name) for name in bars.columns), 1, 1, 2)).to_series()[2]
    >>> round(last, 4)
    54.7619
    """
    low_before = pl.min_horizontal(units(low), units(close).shift(1))
    pressure, reach = pl.field("pressure"), pl.field("reach")
    windows = sorted((short, middle, long))
    shares = (
        weight * pl.when(reach.rolling_sum(n) == 0).then(0.0).otherwise(pressure.rolling_sum(n) / reach.rolling_sum(n))
        for weight, n in zip((4, 2, 1), windows, strict=True)
    )
    share = pl.sum_horizontal(shares, ignore_nulls=False)
    both = {"pressure": units(close) - low_before, "reach": true_range_units(high, low, close)}
    return sharing(100 * (share / pl.lit(7.0)), **both)


def cci(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 20) -> pl.Expr:
    """Return the commodity channel index: the typical price less its mean, over 0.015 times its mean deviation.

    The typical price is (high + low + close) / 3; deviations are absolute. No bounds; 0 where the typical price is
    constant (TA-Lib may return +-66.67 there, the ratio of two rounding errors). Null on the first
    `window` - 1 rows. TA-Lib CCI; Lambert, Commodities (1980).

    >>> closes = pl.DataFrame({"close": [10.0, 10.0, 13.0]})
    >>> closes.select(cci(pl.col("close"), pl.col("close"), pl.col("close"), 3)).to_series().round(4).to_list()
    [None, None, 100.0]
    """
    typical = typical_units(high, low, close)
    price, total, deviation = pl.field("price"), pl.field("total"), pl.field("deviation")
    apart = pl.sum_horizontal((window * price.shift(lag) - total).abs() for lag in range(window))
    beyond = (window * price - total) / deviation * (window / 0.015)
    full = pl.when(total.is_null()).then(None).when(deviation == 0).then(0.0).otherwise(beyond)
    sums = sharing(pl.struct(price, total, deviation=apart), price=typical, total=typical.rolling_sum(window))
    return sums.struct.with_fields(cci=full).struct.field("cci")


def mfi(high: pl.Expr, low: pl.Expr, close: pl.Expr, volume: pl.Expr, window: int = 14) -> pl.Expr:
    """Return the money flow index, 0 to 100: the share of typical price times volume in sessions that rose.

    Sessions with an unchanged typical price count on neither side; 0 if no session of the window has both a change and
    volume. Null on the first `window` rows. TA-Lib MFI; Quong and Soudack, Stocks & Commodities (1989).

    >>> bars = pl.DataFrame({"close": [10.0, 11.0, 10.0], "volume": [5, 10, 33]})
    >>> bars.select(mfi(*[pl.col("close")] * 3, pl.col("volume"), 2)).to_series().to_list()
    [None, None, 25.0]
    """
    typical = typical_units(high, low, close)
    change, flow = typical.diff(), typical.cast(pl.Int128) * volume
    known = change.is_not_null() & flow.is_not_null()
    sides = (pl.when(known & moved).then(flow).when(known).then(0) for moved in (change > 0, change < 0))
    rising, falling = (side.rolling_sum(window) for side in sides)
    share = 100 * (rising.cast(pl.Float64) / (rising + falling).cast(pl.Float64))
    return pl.when(rising + falling == 0).then(0.0).otherwise(share)
