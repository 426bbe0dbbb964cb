"""Unknown values are null: NaN and infinity, which sort above every number, become null."""

from __future__ import annotations

import polars as pl


def known(values: pl.Expr) -> pl.Expr:
    """Return the numbers, null where they are NaN or infinite.

    >>> frame = pl.DataFrame({"x": [0.5, float("nan"), float("-inf"), None]})
    >>> frame.select(known(pl.col("x"))).to_series().to_list()
    [0.5, None, None, None]
    """
    return pl.when(values.is_finite()).then(values)
