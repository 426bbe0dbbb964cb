"""Carried values over whole histories: what recursive features remember, computed once and shared by all of them.

1. On the bar that is an instrument's `lookback`-th, a carried value is its expression over the bars up to there.
2. From there on it moves towards its `values`, which are taken over the whole column at once. Before, a mean stands at
   its start, from where a move by alpha * 0 does not take it, so that the column has no nulls; a sum gains nothing.
3. An exponential mean, or a running sum, of both is all that is left to do instrument by instrument.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from champion.errors import UsageError
from champion.features.sets import Carried, Feature, Kernel

Lengths = npt.NDArray[np.int64]

_ID = "instrument_id"
_RUN = "_run"


def lengths(bars: pl.DataFrame) -> Lengths:
    """Return how many bars each instrument has, of bars in session order by instrument.

    >>> lengths(pl.DataFrame({"instrument_id": ["A", "A", "B"]})).tolist()
    [2, 1]
    """
    first = (pl.col(_ID) != pl.col(_ID).shift(1)).fill_null(value=True).arg_true()
    return np.diff(bars.select(first).to_series().to_numpy().astype(np.int64), append=bars.height)


def bars_before(counts: Lengths) -> pl.Series:
    """Return how many bars its instrument had before each bar.

    >>> bars_before(np.array([2, 1])).to_list()
    [0, 1, 0]
    """
    return pl.Series("bars_before", np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts))


def _runs(counts: Lengths) -> pl.Series:
    """Return which instrument in turn each bar is of; known to be sorted, it is twice as quick to group by."""
    return pl.Series(_RUN, np.repeat(np.arange(counts.size), counts)).set_sorted()


def starts(bars: pl.DataFrame, counts: Lengths, wanted: Sequence[Carried]) -> pl.DataFrame:
    """Return what each instrument's carried values start with, one row an instrument; 0 where it has too few bars."""
    return pl.DataFrame({each.name: _start(bars, counts, each) for each in wanted if each.values is not None})


def _start(bars: pl.DataFrame, counts: Lengths, each: Carried) -> npt.NDArray[np.generic]:
    rows = _first_rows(counts, each.lookback)
    first = bars.select(sorted({*each.expression.meta.root_names()}))[rows.ravel()]
    runs = _runs(np.full(len(rows), each.lookback))
    made = first.with_columns(runs).select(each.expression.over(_RUN)).to_series()
    ends = made.gather_every(each.lookback, each.lookback - 1).to_numpy()
    found = np.zeros(counts.size, ends.dtype)
    found[counts >= each.lookback] = ends
    return found


def _first_rows(counts: Lengths, lookback: int) -> npt.NDArray[np.int64]:
    """Return the rows of the first `lookback` bars of each instrument that has as many, a line each."""
    first = (np.cumsum(counts) - counts)[counts >= lookback]
    found: npt.NDArray[np.int64] = first[:, None] + np.arange(lookback)
    return found


def recursive(bars: pl.DataFrame, counts: Lengths, started: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    """Return these recursive features of bars in session order by instrument; before their `lookback`, nonsense."""
    if not features:
        return bars.select()
    shared = {each.name: each for feature in features for each in feature.carried}
    made = carried(bars, counts, started, list(shared.values()))
    values = [each.value.alias(each.name) for each in features if each.value is not None]
    return made.lazy().select(*values).collect()  # lazy: what they share, once


def carried(bars: pl.DataFrame, counts: Lengths, started: pl.DataFrame, wanted: Sequence[Carried]) -> pl.DataFrame:
    """Return the carried values after each bar, of bars in session order by instrument; before they start, nonsense.

    Raises:
        UsageError: two of them need each other's last value.
    """
    names, runs = {each.name for each in wanted}, _runs(counts)
    made = bars.select(_alone(each).alias(each.name) for each in wanted if each.values is None)
    waiting = [each for each in wanted if each.values is not None]
    while waiting:
        ready = [each for each in waiting if _needs(each, names) <= {*made.columns}]
        if not ready:
            raise UsageError(f"{', '.join(each.name for each in waiting)} need each other's last value")
        before = pl.concat([bars, made.select(pl.all().shift(1))], how="horizontal")
        taken = Kernel.select(before, [(e.name, e.values, e.kernel) for e in ready if e.values is not None])
        begun = pl.DataFrame([runs, *(_starting(taken[e.name], counts, started[e.name], e) for e in ready)])
        made = pl.concat([made, begun.select(_moved(each).over(_RUN) for each in ready)], how="horizontal")
        waiting = [each for each in waiting if each not in ready]
    return made.select(each.name for each in wanted)


def _alone(each: Carried) -> pl.Expr:
    return each.expression if each.expression.meta.is_column() else each.expression.over(_ID)


def _needs(each: Carried, names: set[str]) -> set[str]:
    """Return the other carried values whose last value it moves by."""
    return set() if each.values is None else {*each.values.meta.root_names()} & names


def _starting(values: pl.Series, counts: Lengths, started: pl.Series, each: Carried) -> pl.Series:
    """Return the values it moves by; on an instrument's first `lookback` bars its start, of a sum 0 but on the last."""
    rows = _first_rows(counts, each.lookback)
    block = np.zeros(rows.shape, started.to_numpy().dtype)
    block[:, -1 if each.alpha is None else 0 :] = started.to_numpy()[counts >= each.lookback, None]
    return values.scatter(rows.ravel(), block.ravel())


def _moved(each: Carried) -> pl.Expr:
    """Return the exponential mean, or the running sum, of what was started."""
    if each.alpha is None:
        return pl.col(each.name).cum_sum()
    return pl.col(each.name).ewm_mean(alpha=each.alpha, adjust=False, ignore_nulls=True, min_samples=1)
