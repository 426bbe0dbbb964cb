"""Test whether values vary beyond rounding, before dividing by their spread."""

from __future__ import annotations

import polars as pl

RESIDUE = 1e-12
"""Largest relative difference of equal numbers after floating-point arithmetic."""


def varies(values: pl.Expr, *, scale: float = 0.0) -> pl.Expr:
    """Return a scalar Boolean: whether the values differ by more than `RESIDUE` times the largest, or `scale`.

    Use `scale=1.0` for decimals computed from a ratio near 1, such as returns: their rounding error is that of the
    ratio. Null values are ignored; fewer than two values do not vary.

    >>> pl.DataFrame({"x": [0.3, 0.1 + 0.2, None]}).select(varies(pl.col("x"))).item()
    False
    >>> pl.DataFrame({"x": [0.3, 0.3001]}).select(varies(pl.col("x"))).item()
    True
    """
    numbers = values.cast(pl.Float64)
    largest = pl.max_horizontal(numbers.abs().max(), pl.lit(scale))
    return (numbers.max() - numbers.min() > RESIDUE * largest).fill_null(value=False)
