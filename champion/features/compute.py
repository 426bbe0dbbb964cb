"""Bars to features over whole histories; the only place that groups by instrument, and that makes unknown values null.

Champion's own features run over the bars of all instruments at once: they are tested not to read a neighbour's bars.
Features of others are computed for one instrument at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl

from champion.features import recursion
from champion.features.per_instrument import per_instrument
from champion.features.sets import Feature, FeatureSet, Kernel
from champion.indicators.bars import check_bars, in_order

_ROWS = 2**18  # of a part: its columns fit a processor's cache
KEY = ("instrument_id", "trade_date")


def required(chosen: FeatureSet) -> list[str]:
    """Return the columns of bars that a feature set is built from."""
    return ["instrument_id", "symbol", "trade_date", *chosen.bar_columns]


def checked(bars: pl.DataFrame, chosen: FeatureSet) -> pl.DataFrame:
    """Return the columns a feature set needs, in session order by instrument; ContractError where they are unsound."""
    check_bars(bars, required(chosen))
    wanted = bars.select(required(chosen))
    return wanted if in_order(wanted) else wanted.sort(KEY)


def over_histories(bars: pl.DataFrame, chosen: FeatureSet) -> pl.DataFrame:
    """Return the features of every bar, sorted by instrument_id and trade_date."""
    ordered = checked(bars, chosen)
    counts = recursion.lengths(ordered)
    started = recursion.starts(ordered, counts, chosen.carried)

    def over(part: tuple[slice, slice]) -> pl.DataFrame:
        instruments, rows = part
        return _over(ordered[rows], counts[instruments], started[instruments], chosen)

    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        made = pl.concat(threads.map(over, _parts(counts)))
    return pl.concat([ordered.select(labels(chosen)), made], how="horizontal")


def _parts(counts: recursion.Lengths) -> Iterator[tuple[slice, slice]]:
    """Yield which instruments, and their rows, make parts that a processor's cache holds; at least one."""
    ends = np.cumsum(counts)
    begun = start = 0
    for number, end in enumerate(ends.tolist(), start=1):
        if end - start >= _ROWS:
            yield slice(begun, number), slice(start, end)
            begun, start = number, end
    if begun < counts.size or not start:
        yield slice(begun, counts.size), slice(start, int(counts.sum()))


def _over(bars: pl.DataFrame, counts: recursion.Lengths, started: pl.DataFrame, chosen: FeatureSet) -> pl.DataFrame:
    """Return the features of bars in session order by instrument."""
    carrying = [feature for feature in chosen.features if feature.carried]
    others = [feature for feature in chosen.features if not feature.carried]
    before = recursion.bars_before(counts)
    made = [over_rows(bars, counts, others), recursion.recursive(bars, counts, started, carrying), before.to_frame()]
    complete = {each.name: pl.col(before.name) >= each.lookback - 1 for each in chosen.features}
    columns = pl.concat(made, how="horizontal")
    return columns.select(known_feature(each, complete[each.name]) for each in chosen.features)


def over_rows(bars: pl.DataFrame, counts: recursion.Lengths, features: Sequence[Feature]) -> pl.DataFrame:
    """Return the features that carry nothing, of bars in session order by instrument; `counts` are each one's bars.

    A window of Champion's own is taken over the whole columns, which is quicker; its first values reach into the
    instrument before, and the caller leaves them out. Indicators sum whole numbers, so nothing of the neighbour is left
    in the others.
    """
    shared = [feature for feature in features if not feature.is_own]
    own = [feature for feature in features if feature.is_own]
    made = Kernel.select(bars, [(feature.name, feature.expression, feature.kernel) for feature in shared])
    if own:
        made = pl.concat([made, per_instrument(bars, counts, own)], how="horizontal")
    return made.select(feature.name for feature in features)


def known_feature(feature: Feature, complete: pl.Expr) -> pl.Expr:
    """Return the column of a feature where its window is `complete` and its value is known; null elsewhere.

    Here, and nowhere else, the NaN and infinity of an expression become null.
    """
    value = pl.col(feature.name)
    finite = [value.is_finite()] if feature.dtype.is_float() else []
    return pl.when(complete, *finite).then(value).alias(feature.name)


def labels(chosen: FeatureSet) -> list[pl.Expr]:
    """Return the columns that say whose features they are."""
    version = pl.lit(chosen.version).alias("feature_version")
    return [pl.col("instrument_id"), pl.col("symbol"), pl.col("trade_date"), version]
