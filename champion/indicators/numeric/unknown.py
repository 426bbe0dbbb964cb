"""Treat NaN and infinity, which sort above every number, as unknown values: null."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray


def known(values: pl.Expr) -> pl.Expr:
    """Return the values with NaN and infinity as null.

    >>> frame = pl.DataFrame({"x": [0.5, float("nan"), float("-inf"), None]})
    >>> frame.select(known(pl.col("x"))).to_series().to_list()
    [0.5, None, None, None]
    """
    return pl.when(values.is_finite()).then(values)


def finite(values: pl.Series) -> NDArray[np.float64]:
    """Return the finite values, sorted.

    >>> finite(pl.Series([2.0, float("nan"), None, 1.0])).tolist()
    [1.0, 2.0]
    """
    floats = values.cast(pl.Float64).drop_nulls()
    return np.sort(floats.filter(floats.is_finite()).to_numpy())
