"""Bars to features over whole histories; the only place that groups by instrument."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from champion.features import recursion
from champion.features.sets import Feature, FeatureSet
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
    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        return pl.concat(threads.map(lambda part: _over(part, chosen), _parts(ordered)))


def _parts(ordered: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the bars in parts that a processor's cache holds, each of whole instruments; at least one."""
    ends = ordered.select((pl.col("instrument_id") != pl.col("instrument_id").shift(-1)).arg_true()).to_series() + 1
    start = 0
    for end in ends:
        if end - start >= _ROWS:
            yield ordered[start:end]
            start = end
    if start < ordered.height or not start:
        yield ordered[start:]


def _over(bars: pl.DataFrame, chosen: FeatureSet) -> pl.DataFrame:
    """Return the features of bars in session order by instrument."""
    windows, recursive = ([f for f in chosen.features if f.recursive is kind] for kind in (False, True))
    numbers = recursion.numbered(bars)
    masked = over_rows(bars, windows).hstack(numbers).select(_from_lookback(feature) for feature in windows)
    made = pl.concat([masked, recursion.recursive(bars, numbers, recursive)], how="horizontal")
    return pl.concat([bars.select(labels(chosen)), made.select(chosen.columns)], how="horizontal")


def over_rows(bars: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    """Return the features that are not recursive over all rows, whosever they are; those of a kernel in one call.

    A window is taken over the whole columns, which is quicker; its first values reach into the instrument before, and
    who calls leaves them out. Indicators sum whole numbers, so nothing of the neighbour is left in the others.
    """
    kernels = dict.fromkeys(feature.kernel for feature in features if feature.kernel is not None)
    alone = (feature.expression.alias(feature.name) for feature in features if feature.kernel is None)
    made = bars.lazy().select(*alone).collect()  # lazy: what they share, once
    together = [kernel.compute(bars, [f.name for f in features if f.kernel is kernel]) for kernel in kernels]
    return pl.concat([made, *together], how="horizontal").select(feature.name for feature in features)


def labels(chosen: FeatureSet) -> list[pl.Expr]:
    """Return the columns that say whose features they are."""
    version = pl.lit(chosen.version).alias("feature_version")
    return [pl.col("instrument_id"), pl.col("symbol"), pl.col("trade_date"), version]


def _from_lookback(feature: Feature) -> pl.Expr:
    """Return the feature from the bar on that completes its window; before it, null."""
    return pl.when(pl.col(recursion.BAR) >= feature.lookback - 1).then(pl.col(feature.name)).alias(feature.name)
