"""Carried values over whole histories: what recursive features remember, computed once and shared by all of them.

1. Where an instrument has its `lookback`-th bar, a carried value is its expression over the bars up to there.
2. From there on it moves towards its `values`, which are taken over the whole column at once. Before, a mean stands at
   its start, from where a move by alpha * 0 does not take it, so that the column has no nulls; a sum gains nothing.
3. An exponential mean, or a running sum, of both is all that is left to do instrument by instrument.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from champion.errors import UsageError
from champion.features.sets import Carried, Feature

_ID = "instrument_id"
BAR, _RUN = "_bar", "_run"


def numbered(bars: pl.DataFrame) -> pl.DataFrame:
    """Return two columns: which instrument in turn each bar is of, and how many bars that one had before it."""
    first = bars.select((pl.col(_ID) != pl.col(_ID).shift(1)).fill_null(value=True).arg_true()).to_series().to_numpy()
    lengths = np.diff(first, append=bars.height)
    run = np.repeat(np.arange(first.size), lengths)
    bar = np.arange(bars.height) - np.repeat(first, lengths)
    return pl.DataFrame([pl.Series(_RUN, run).set_sorted(), pl.Series(BAR, bar)])  # sorted: twice as quick to group by


def recursive(bars: pl.DataFrame, numbers: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    """Return these recursive features of bars in session order by instrument, null while they warm up."""
    if not features:
        return bars.select()
    shared = {each.name: each for feature in features for each in feature.carried}
    made = carried(bars, numbers, list(shared.values())).hstack(numbers)
    values = (
        pl.when(pl.col(BAR) >= each.lookback - 1).then(each.value).alias(each.name)
        for each in features
        if each.value is not None
    )
    alone = bars.select(each.expression.over(_ID).alias(each.name) for each in features if each.value is None)
    after = made.lazy().select(*values).collect()
    return pl.concat([after, alone], how="horizontal").select(each.name for each in features)


def carried(bars: pl.DataFrame, numbers: pl.DataFrame, wanted: Sequence[Carried]) -> pl.DataFrame:
    """Return the carried values after each bar, of bars in session order by instrument; null before they start.

    Raises:
        UsageError: two of them need each other's last value.
    """
    names = {each.name for each in wanted}
    frame = bars.hstack(numbers)
    made = frame.select(_alone(each).alias(each.name) for each in wanted if each.values is None)
    waiting = [each for each in wanted if each.values is not None]
    while waiting:
        ready = [each for each in waiting if _needs(each, names) <= {*made.columns}]
        if not ready:
            raise UsageError(f"{', '.join(each.name for each in waiting)} need each other's last value")
        before = frame.lazy().with_columns(made.select(pl.all().shift(1)))
        taken = (each.values.alias(each.name) for each in ready if each.values is not None)
        started = before.select(_RUN, BAR, *taken).collect()  # lazy: what they share, once
        started = started.with_columns(_starting(frame, started[each.name], each) for each in ready)
        made = pl.concat([made, started.select(_moved(each).over(_RUN) for each in ready)], how="horizontal")
        waiting = [each for each in waiting if each not in ready]
    there = ((pl.col(BAR) >= each.lookback - 1, each.name) for each in wanted)
    return made.hstack(numbers).select(pl.when(mature).then(name).alias(name) for mature, name in there)


def _alone(each: Carried) -> pl.Expr:
    return each.expression if each.expression.meta.is_column() else each.expression.over(_ID)


def _needs(each: Carried, names: set[str]) -> set[str]:
    """Return the other carried values whose last value it moves by."""
    return set() if each.values is None else {*each.values.meta.root_names()} & names


def _starting(frame: pl.DataFrame, values: pl.Series, each: Carried) -> pl.Series:
    """Return the values it moves by, on the first `lookback` bars of an instrument its start; a sum has 0 before."""
    ends = np.flatnonzero(frame[BAR].to_numpy() == each.lookback - 1)
    rows = (ends[:, None] + np.arange(1 - each.lookback, 1)).ravel()
    used = sorted({_RUN, *each.expression.meta.root_names()})
    first = frame.select(used)[rows].select(each.expression.over(_RUN)).to_series()
    made = first.gather_every(each.lookback, each.lookback - 1).to_numpy()
    starts = np.zeros((ends.size, each.lookback), made.dtype)
    starts[:, -1 if each.alpha is None else 0 :] = made[:, None]
    return values.scatter(rows, starts.ravel())


def _moved(each: Carried) -> pl.Expr:
    """Return the exponential mean, or the running sum, of what was started."""
    if each.alpha is None:
        return pl.col(each.name).cum_sum()
    return pl.col(each.name).ewm_mean(alpha=each.alpha, adjust=False, ignore_nulls=True, min_samples=1)
