"""Bars to features over whole histories; the only place that groups by instrument."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from champion.features import recursion
from champion.features.sets import FeatureSet
from champion.indicators.bars import check_bars, in_order

_ROWS = 2**18
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
    return pl.concat([_over(part, chosen) for part in _parts(ordered)])


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
    """Return the features of bars in session order by instrument.

    A window is taken over the whole column, which is quicker, and its first values, which reach into the instrument
    before, are masked. Indicators sum whole numbers, so nothing of the neighbour is left in the others.
    """
    bar = pl.int_range(pl.len()).over("instrument_id").alias("_bar")
    windows = (
        pl.when(pl.col("_bar") >= feature.lookback - 1).then(feature.expression).alias(feature.name)
        for feature in chosen.features
        if not feature.recursive
    )
    made = bars.with_columns(bar).lazy().select(*labels(chosen), *windows).collect()  # lazy: what they share, once
    recursive = recursion.recursive(bars, [feature for feature in chosen.features if feature.recursive])
    return pl.concat([made, recursive], how="horizontal").select(*made.columns[: len(labels(chosen))], *chosen.columns)


def labels(chosen: FeatureSet) -> list[pl.Expr]:
    """Return the columns that say whose features they are."""
    version = pl.lit(chosen.version).alias("feature_version")
    return [pl.col("instrument_id"), pl.col("symbol"), pl.col("trade_date"), version]

