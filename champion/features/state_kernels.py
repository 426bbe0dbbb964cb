"""Compute the carried values of a `StateKernel`: over whole histories, or after one more bar of each instrument.

NaN in the arrays of a recurrence is null in the columns of the state. Several lines of a state column are a list, of
which the lines without a number are left out.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import polars as pl

from champion.features.sets import Carried, Kernel, StateKernel
from champion.indicators.numeric.recurrence import BARS, Array

_NAN = float("nan")


def over_histories(
    bars: pl.DataFrame, counts: npt.NDArray[np.int64], kernel: StateKernel, wanted: Collection[str]
) -> list[pl.Series]:
    """Return the carried values of the names `wanted` after each bar, for bars sorted by instrument and session.

    `counts` has the number of bars of each instrument. Lists are only known after an instrument's last bar.
    """
    number = pl.Series(np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts))
    windows = Kernel.select(bars, [(each.name, each.expression, each.kernel) for each in kernel.inputs])
    inputs = windows.select(pl.when(number >= each.lookback - 1).then(pl.col(each.name)) for each in kernel.inputs)
    columns = bars.select(kernel.bar_columns).hstack(inputs)
    chosen = [each for each in kernel.carried if each.name in wanted]
    plain = [each.name for each in chosen if not isinstance(each.dtype, pl.List)]
    values, last = kernel.recurrence.over(_arrays(columns), counts, plain)
    return [
        _column(each, values[each.name]) if each.name in values else _at_ends(each, last[each.name], counts)
        for each in chosen
    ]


def after_bar(state: pl.DataFrame, bars: pl.DataFrame, number: pl.Series, kernel: StateKernel) -> list[pl.Series]:
    """Return the carried values after one more bar: `bars` has its columns and inputs, and `number` its number."""
    before = {each.name: _array(each, state[each.name], kernel) for each in kernel.carried}
    bar = _arrays(bars.select(kernel.recurrence.reads)) | {BARS: number.to_numpy().astype(np.float64)}
    with np.errstate(all="ignore"):
        after = kernel.recurrence.step(before, bar)
    return [_column(each, after[each.name]) for each in kernel.carried]


def _arrays(columns: pl.DataFrame) -> dict[str, Array]:
    return {each.name: each.cast(pl.Float64).fill_null(_NAN).to_numpy() for each in columns}


def _array(each: Carried, column: pl.Series, kernel: StateKernel) -> Array:
    if not isinstance(each.dtype, pl.List):
        return column.cast(pl.Float64).fill_null(_NAN).to_numpy().copy()  # a step may overwrite it
    lines = np.full((kernel.recurrence.widths[each.name], column.len()), np.nan)
    for place, values in enumerate(column.to_list()):
        if values:
            lines[: len(values), place] = values
    return lines


def _column(each: Carried, values: Array) -> pl.Series:
    if values.ndim == 1:
        return pl.Series(each.name, values).fill_nan(None).cast(each.dtype)
    lists = [line[~np.isnan(line)].tolist() for line in values.T]
    return pl.Series(each.name, lists, dtype=pl.List(pl.Float64)).cast(each.dtype)


def _at_ends(each: Carried, values: Array, counts: npt.NDArray[np.int64]) -> pl.Series:
    """Return a list on the last bar of each instrument, and null on all others."""
    rows: list[list[float] | None] = [None] * int(counts.sum())
    for end, own in zip(np.cumsum(counts).tolist(), _column(each, values).to_list(), strict=True):
        rows[end - 1] = own
    return pl.Series(each.name, rows, dtype=each.dtype)
