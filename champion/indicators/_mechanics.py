"""Shared mechanics of the indicators: exact price units, seeded exponential means, warm-up rows.

Sums are taken over whole numbers, so a window's value depends on the window alone: neither on what came before it nor
on where a recomputation started. Floating-point running sums do not have that property.
"""

from __future__ import annotations

import polars as pl

PRICE_UNIT = 10_000
"""Price units in a rupee: prices are read to 1/10,000 rupee, the grain of adjusted prices."""


def units(price: pl.Expr) -> pl.Expr:
    """Return a price in rupees as a whole number (Int64) of price units; null stays null."""
    return (price * PRICE_UNIT).round().cast(pl.Int64)


def divide(total: pl.Expr, by: int) -> pl.Expr:
    """Return total / by, correctly rounded, so that the mean of equal prices is that price.

    Polars 2.1 multiplies by the reciprocal when the divisor is one number, which is off in the last bit for a third of
    all totals; it divides by a column. `pl.repeat` and when-then stay one number to it, so the column is a clipped
    range.
    """
    return total.cast(pl.Float64) / pl.int_range(pl.len()).clip(by, by)


def rupees(amount: pl.Expr) -> pl.Expr:
    """Return whole price units as rupees (Float64)."""
    return divide(amount, PRICE_UNIT)


def mean_rupees(amount: pl.Expr, window: int) -> pl.Expr:
    """Return the mean in rupees of the last `window` whole price units; null until the window is full."""
    return divide(amount.rolling_sum(window), PRICE_UNIT * window)


def from_row(row: int, values: pl.Expr) -> pl.Expr:
    """Return the values from the 0-based `row` on; null before it."""
    return pl.when(pl.int_range(pl.len()) >= row).then(values)


def seeded_ewm(values: pl.Expr, *, seed: pl.Expr, row: int, alpha: float) -> pl.Expr:
    """Return the exponential mean that equals `seed` at the 0-based `row`, then moves by alpha * (value - mean).

    Null before `row`. TA-Lib seeds with a simple mean; Polars' own `ewm_mean` starts from the first value.
    """
    index = pl.int_range(pl.len())
    started = pl.when(index > row).then(values).when(index == row).then(seed)
    return started.ewm_mean(alpha=alpha, adjust=False, ignore_nulls=True, min_samples=1)
