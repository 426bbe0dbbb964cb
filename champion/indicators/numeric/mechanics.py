"""Building blocks of the indicators: exact price units, seeded exponential means, warm-up rows.

Sums are over whole numbers, so a value depends on its window alone, not on earlier values or on the start of a
recomputation. Floating-point running sums do not have this property.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

PRICE_UNIT = 10_000
"""Price units in a rupee: prices are rounded to 1/10,000 rupee, as adjusted prices are."""

RETURN_UNIT = 2**49
"""Grains in a return of 1, simple or log: a grain is 1.8e-15. The log of any ratio of two prices fits in 64 bits."""


def units(price: pl.Expr) -> pl.Expr:
    """Return a price in rupees as a whole number (Int64) of price units; null stays null."""
    return (price * PRICE_UNIT).round().cast(pl.Int64)


def grains(values: pl.Expr, unit: int, window: int) -> pl.Expr:
    """Return values as whole grains (Int64), `unit` of them in 1; null from 2**63 / `window` grains on.

    This bound keeps `spread` over the window within 128 bits.

    >>> pl.DataFrame({"x": [0.5, -2.0, 1e9]}).select(grains(pl.col("x"), 2**30, 20)).to_series().to_list()
    [536870912, -2147483648, None]
    """
    whole = (values * unit).round()
    return pl.when(whole.abs() < 2**63 // window).then(whole).cast(pl.Int64)


def log_grains(price: pl.Expr, base: pl.Expr) -> pl.Expr:
    """Return log(price / base) in whole grains (Int64), `RETURN_UNIT` of them in 1."""
    return (log_ratio(price, base) * RETURN_UNIT).round().cast(pl.Int64)


def log_ratio(price: pl.Expr, base: pl.Expr) -> pl.Expr:
    """Return the natural log of price / base, accurate to the last digits even if the two are close."""
    return ((units(price) - units(base)) / units(base)).log1p()


def spread(x: pl.Expr, y: pl.Expr, window: int) -> pl.Expr:
    """Return window**2 times the population covariance of the last `window` whole numbers (Int128).

    Null until there are `window` pairs. Exact: products are summed in 128 bits.
    """
    wide_x, wide_y = x.cast(pl.Int128), y.cast(pl.Int128)
    return window * (wide_x * wide_y).rolling_sum(window) - wide_x.rolling_sum(window) * wide_y.rolling_sum(window)


def divide(total: pl.Expr, by: int) -> pl.Expr:
    """Return total / by, correctly rounded, so the mean of equal prices is that price.

    For a scalar divisor Polars 2.1 multiplies by its reciprocal, which changes the last bit of a third of all totals;
    for a column it divides. It treats `pl.repeat` and when-then as scalars, so the column is built from a range.
    """
    return total.cast(pl.Float64) / (pl.int_range(pl.len()) * 0 + by)


def rupees(amount: pl.Expr) -> pl.Expr:
    """Return whole price units as rupees (Float64)."""
    return divide(amount, PRICE_UNIT)


def highest(values: pl.Expr, window: int) -> pl.Expr:
    """Return the highest of the last `window` whole numbers; null until the window is full."""
    return _extreme(values, window, pl.Expr.gt)


def lowest(values: pl.Expr, window: int) -> pl.Expr:
    """Return the lowest of the last `window` whole numbers; null until the window is full."""
    return _extreme(values, window, pl.Expr.lt)


def _extreme(values: pl.Expr, window: int, beats: Callable[[pl.Expr, pl.Expr], pl.Expr]) -> pl.Expr:
    """Return the extreme of the last `window` numbers, built from windows half as long.

    Three whole-column operations per doubling are about twice as fast as Polars' queue for each row.
    """
    extreme, now, then = values, pl.field("now"), pl.field("then")
    reach = 1
    while reach < window:
        lag = min(reach, window - reach)
        best = pl.when(beats(then, now)).then(then).when(then.is_not_null()).then(now)
        extreme = sharing(sharing(best, now=now, then=now.shift(lag)), now=extreme)
        reach += lag
    return extreme


def known_so_far(values: pl.Expr) -> pl.Expr:
    """Return the number of values up to each row that are not null (Int64); warm-ups count these, not rows.

    >>> pl.DataFrame({"x": [None, 4.0, None, 5.0]}).select(known_so_far(pl.col("x"))).to_series().to_list()
    [0, 1, 1, 2]
    """
    return values.is_not_null().cast(pl.Int64).cum_sum()


def after_known(count: int, values: pl.Expr) -> pl.Expr:
    """Return the values with the first `count` non-null values set to null.

    >>> pl.DataFrame({"x": [None, 4.0, None, 5.0]}).select(after_known(1, pl.col("x"))).to_series().to_list()
    [None, None, None, 5.0]
    """
    return sharing(pl.when(known_so_far(pl.field("late")) > count).then(pl.field("late")), late=values)


def first_known(values: pl.Expr, count: int, *, skip: int = 0) -> pl.Expr:
    """Return up to `count` non-null values after the first `skip`."""
    return values.drop_nulls().slice(skip, count)


def first_mean(values: pl.Expr, count: int) -> pl.Expr:
    """Return the mean of the first `count` non-null values as a scalar; null if there are fewer."""
    return first_known(values, count).rolling_mean(count).last()


def sharing(result: pl.Expr, **values: pl.Expr) -> pl.Expr:
    """Evaluate `result`, an expression of `pl.field(name)`, so that each value is computed once.

    The result has the name of the first value. Polars does not eliminate common subexpressions within one expression
    or under `.over`.

    >>> square = sharing(pl.field("y") * pl.field("y"), y=pl.col("x") + 1)
    >>> pl.DataFrame({"x": [1, 2]}).select(square).to_series().to_list()
    [4, 9]
    """
    fields = [value.alias(name) for name, value in values.items()]
    shared = pl.struct(fields).struct.with_fields(_result=result).struct.field("_result")
    name = next(iter(values.values())).meta.output_name(raise_if_undetermined=False)
    return shared if name is None else shared.alias(name)


def exp_mean(values: pl.Expr, window: int, *, alpha: float, unit: int = 1) -> pl.Expr:
    """Return the exponential mean of whole numbers over `unit`; it starts as the mean of the first `window` known ones.

    With alpha = 1 / `window` it is Wilder's mean.
    """
    whole = pl.field("whole")
    first = divide(first_known(whole, window).sum(), unit * window)
    mean = seeded_ewm(divide(whole, unit), seed=first, count=window, alpha=alpha)
    return sharing(mean, whole=values)


def ema_of(values: pl.Expr, span: int) -> pl.Expr:
    """Return the EMA of an indicator, seeded with the simple average of its first `span` known values."""
    value = pl.field("value")
    mean = seeded_ewm(value, seed=first_mean(value, span), count=span, alpha=2 / (span + 1))
    return sharing(mean, value=values)


def typical_units(high: pl.Expr, low: pl.Expr, close: pl.Expr) -> pl.Expr:
    """Return three times the typical price, high + low + close, in whole price units (Int64)."""
    return units(high) + units(low) + units(close)


def true_range_units(high: pl.Expr, low: pl.Expr, close: pl.Expr) -> pl.Expr:
    """Return the true range in price units; null on the first row."""
    return widest_units(units(close).shift(1), units(high), units(low))


def widest_units(before: pl.Expr, top: pl.Expr, bottom: pl.Expr) -> pl.Expr:
    """Return the true range from the previous close and the session's high and low; null if one of them is."""
    widest = pl.max_horizontal(top - bottom, (top - before).abs(), (bottom - before).abs())
    return pl.when(pl.all_horizontal(before.is_not_null(), top.is_not_null(), bottom.is_not_null())).then(widest)


def seeded_ewm(values: pl.Expr, *, seed: pl.Expr, count: int, alpha: float, counted: pl.Expr | None = None) -> pl.Expr:
    """Return the exponential mean that equals `seed` on the `count`-th non-null value.

    From there it changes by alpha * (value - mean). Null before, and where the value is null, which leaves the mean
    unchanged. If `counted` is given, the warm-up counts its values instead. TA-Lib seeds with a simple mean; Polars'
    `ewm_mean` starts from the first value.

    >>> late = pl.DataFrame({"x": [None, 1.0, 3.0, None, 4.0]})
    >>> late.select(seeded_ewm(pl.col("x"), seed=pl.lit(2.0), count=2, alpha=0.5)).to_series().to_list()
    [None, None, 2.0, None, 3.0]
    """
    each = values if counted is None else counted
    known = known_so_far(each)
    started = pl.when(known > count).then(values).when((known == count) & each.is_not_null()).then(seed)
    return started.ewm_mean(alpha=alpha, adjust=False, ignore_nulls=True, min_samples=1)
