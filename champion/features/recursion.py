"""Compute carried values over whole histories: the state of recursive features, computed once and shared by them.

1. On an instrument's `lookback`-th bar, a carried value is its expression over the bars so far.
2. From then on it is updated with its `values`, which are computed over the whole column. Before this bar, the column
   has the start value for a mean (an exponential mean of equal values is this value) and 0 for a sum, so it has no
   nulls.
3. The exponential mean, or the running sum, of this column is computed per instrument.
4. The values of a `StateKernel` are computed bar by bar, for all instruments at the same time. NaN in the arrays of its
   recurrence is null in a column. Several lines of a state column are a list, without the lines that have no number.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from champion.errors import UsageError
from champion.features.sets import Carried, Feature, Kernel, StateKernel
from champion.indicators.numeric.recurrence import BARS, Array

Lengths = npt.NDArray[np.int64]

_ID = "instrument_id"
_RUN = "_run"
_NAN = float("nan")


def lengths(bars: pl.DataFrame) -> Lengths:
    """Return the number of bars of each instrument, for bars sorted by instrument and session.

    >>> lengths(pl.DataFrame({"instrument_id": ["A", "A", "B"]})).tolist()
    [2, 1]
    """
    first = (pl.col(_ID) != pl.col(_ID).shift(1)).fill_null(value=True).arg_true()
    return np.diff(bars.select(first).to_series().to_numpy().astype(np.int64), append=bars.height)


def bars_before(counts: Lengths) -> pl.Series:
    """Return the number of earlier bars of the instrument, for each bar.

    >>> bars_before(np.array([2, 1])).to_list()
    [0, 1, 0]
    """
    return pl.Series("bars_before", np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts))


def _runs(counts: Lengths) -> pl.Series:
    """Return the instrument number of each bar; a column marked as sorted is twice as fast to group by."""
    return pl.Series(_RUN, np.repeat(np.arange(counts.size), counts)).set_sorted()


def starts(bars: pl.DataFrame, counts: Lengths, wanted: Sequence[Carried]) -> pl.DataFrame:
    """Return the start of each carried value, one row per instrument; 0 with too few bars."""
    return pl.DataFrame({each.name: _start(bars, counts, each) for each in wanted if each.values is not None})


def _start(bars: pl.DataFrame, counts: Lengths, each: Carried) -> npt.NDArray[np.generic]:
    rows = _first_rows(counts, each.lookback)
    first = bars.select(sorted({*each.expression.meta.root_names()}))[rows.ravel()]
    runs = _runs(np.full(len(rows), each.lookback))
    values = first.with_columns(runs).select(each.expression.over(_RUN)).to_series()
    ends = values.gather_every(each.lookback, each.lookback - 1).to_numpy()
    start = np.zeros(counts.size, ends.dtype)
    start[counts >= each.lookback] = ends
    return start


def _first_rows(counts: Lengths, lookback: int) -> npt.NDArray[np.int64]:
    """Return the row numbers of the first `lookback` bars of each instrument with at least as many, one line each."""
    first = (np.cumsum(counts) - counts)[counts >= lookback]
    return np.asarray(first[:, None] + np.arange(lookback), dtype=np.int64)


def recursive(bars: pl.DataFrame, counts: Lengths, started: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    """Return the recursive features; values before the `lookback`-th bar are arbitrary."""
    if not features:
        return bars.select()
    shared = {each.name: each for feature in features for each in feature.carried}
    plain = [each for each in shared.values() if not isinstance(each.dtype, pl.List)]  # no feature is a list
    state = carried(bars, counts, started, plain)
    values = [each.value.alias(each.name) for each in features if each.value is not None]
    return state.lazy().select(*values).collect()  # lazy evaluation computes common subexpressions once


def carried(bars: pl.DataFrame, counts: Lengths, started: pl.DataFrame, wanted: Sequence[Carried]) -> pl.DataFrame:
    """Return the carried values after each bar; values before their start are arbitrary.

    Bars are sorted by instrument and session.

    Raises:
        UsageError: two of them need each other's last value.
    """
    names, runs = {each.name for each in wanted}, _runs(counts)
    plain = {each.name: each.expression for each in wanted if each.values is None and each.together is None}
    together = dict.fromkeys(each.together for each in wanted if each.together is not None)
    columns = bars.select((e if e.meta.is_column() else e.over(_ID)).alias(name) for name, e in plain.items())
    of_kernels = (stepped(bars, counts, kernel, names) for kernel in together)
    columns = columns.hstack([column for of_kernel in of_kernels for column in of_kernel])
    pending = [each for each in wanted if each.values is not None]
    while pending:
        ready = [
            e for e in pending if e.values is not None and names & {*e.values.meta.root_names()} <= {*columns.columns}
        ]
        if not ready:
            raise UsageError(f"{', '.join(each.name for each in pending)} need each other's last value")
        before = pl.concat([bars, columns.select(pl.all().shift(1))], how="horizontal")
        values = Kernel.select(before, [(e.name, e.values, e.kernel) for e in ready if e.values is not None])
        filled = pl.DataFrame([runs, *(_with_start(values[e.name], counts, started[e.name], e) for e in ready)])
        columns = pl.concat([columns, filled.select(_accumulate(each).over(_RUN) for each in ready)], how="horizontal")
        pending = [each for each in pending if each not in ready]
    return columns.select(each.name for each in wanted)


def _with_start(values: pl.Series, counts: Lengths, started: pl.Series, each: Carried) -> pl.Series:
    """Return the values, replaced at each instrument's first `lookback` bars: see step 2 above."""
    rows = _first_rows(counts, each.lookback)
    block = np.zeros(rows.shape, started.to_numpy().dtype)
    block[:, -1 if each.alpha is None else 0 :] = started.to_numpy()[counts >= each.lookback, None]
    return values.scatter(rows.ravel(), block.ravel())


def _accumulate(each: Carried) -> pl.Expr:
    if each.alpha is None:
        return pl.col(each.name).cum_sum()
    return pl.col(each.name).ewm_mean(alpha=each.alpha, adjust=False, ignore_nulls=True, min_samples=1)


def stepped(bars: pl.DataFrame, counts: Lengths, kernel: StateKernel, wanted: Collection[str]) -> list[pl.Series]:
    """Return the carried values of the names `wanted` after each bar, for bars sorted by instrument and session.

    `counts` has the number of bars of each instrument. Lists are only known after an instrument's last bar.
    """
    number = bars_before(counts)
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


def _at_ends(each: Carried, values: Array, counts: Lengths) -> pl.Series:
    """Return a list on the last bar of each instrument, and null on all others."""
    rows: list[list[float] | None] = [None] * int(counts.sum())
    for end, own in zip(np.cumsum(counts).tolist(), _column(each, values).to_list(), strict=True):
        rows[end - 1] = own
    return pl.Series(each.name, rows, dtype=each.dtype)
