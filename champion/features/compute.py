"""Bars to features over whole histories; the only place that groups by instrument."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl

from champion.features import recursion
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
    windows, recursive = ([f for f in chosen.features if f.recursive is kind] for kind in (False, True))
    before = recursion.bars_before(counts)
    made = [over_rows(bars, windows), recursion.recursive(bars, counts, started, recursive), before.to_frame()]
    return pl.concat(made, how="horizontal").select(_from_lookback(feature, before.name) for feature in chosen.features)


def over_rows(bars: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    """Return the features that are not recursive over all rows, whosever they are; those of a kernel in one call.

    A window is taken over the whole columns, which is quicker; its first values reach into the instrument before, and
    who calls leaves them out. Indicators sum whole numbers, so nothing of the neighbour is left in the others.
    """
    return Kernel.select(bars, [(feature.name, feature.expression, feature.kernel) for feature in features])


def labels(chosen: FeatureSet) -> list[pl.Expr]:
    """Return the columns that say whose features they are."""
    version = pl.lit(chosen.version).alias("feature_version")
    return [pl.col("instrument_id"), pl.col("symbol"), pl.col("trade_date"), version]


def _from_lookback(feature: Feature, before: str) -> pl.Expr:
    """Return the feature from the bar on that completes its window; before it, null."""
    if feature.recursive and feature.value is None:
        return pl.col(feature.name)  # which starts where it says
    return pl.when(pl.col(before) >= feature.lookback - 1).then(pl.col(feature.name)).alias(feature.name)
