"""Whether values vary: numbers that differ by rounding alone count as equal, so that nothing is divided by residue."""

from __future__ import annotations

import polars as pl

RESIDUE = 1e-12
"""Share of the largest value by which equal numbers may differ after floating-point arithmetic."""


def varies(values: pl.Expr, *, scale: float = 0.0) -> pl.Expr:
    """Return one Boolean: whether the values differ by more than `RESIDUE` of the largest of them, or of `scale`.

    Give `scale=1.0` for decimals that come of a ratio near 1, as returns: their rounding is that of the ratio. Null
    values do not count; fewer than two values do not vary.

    >>> pl.DataFrame({"x": [0.3, 0.1 + 0.2, None]}).select(varies(pl.col("x"))).item()
    False
    >>> pl.DataFrame({"x": [0.3, 0.3001]}).select(varies(pl.col("x"))).item()
    True
    """
    numbers = values.cast(pl.Float64)
    largest = pl.max_horizontal(numbers.abs().max(), pl.lit(scale))
    return (numbers.max() - numbers.min() > RESIDUE * largest).fill_null(value=False)
