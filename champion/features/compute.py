"""Bars to features over whole histories; the only place that groups by instrument."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from champion.features.sets import Feature, FeatureSet
from champion.indicators.bars import check_bars

KEY = ("instrument_id", "trade_date")


def required(chosen: FeatureSet) -> list[str]:
    """Return the columns of bars that a feature set is built from."""
    return ["instrument_id", "symbol", "trade_date", *chosen.bar_columns]


def checked(bars: pl.DataFrame, chosen: FeatureSet) -> pl.DataFrame:
    """Return the columns a feature set needs, in session order by instrument; ContractError where they are unsound."""
    check_bars(bars, required(chosen))
    return bars.select(required(chosen)).sort(KEY)


def over_histories(bars: pl.DataFrame, chosen: FeatureSet) -> pl.DataFrame:
    """Return the features of every bar, sorted by instrument_id and trade_date."""
    ordered = checked(bars, chosen)
    windows = [feature for feature in chosen.features if not feature.recursive]
    made = over_rows(ordered, windows).with_columns(
        ordered["instrument_id"], ordered.select(pl.int_range(pl.len()).over("instrument_id").alias("_bar")).to_series()
    )
    masked = made.select(_from_lookback(feature) for feature in windows)
    recursive = ordered.select(f.expression.over("instrument_id").alias(f.name) for f in chosen.features if f.recursive)
    return ordered.select(labels(chosen)).hstack(masked.hstack(recursive).select(chosen.columns))


def over_rows(bars: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    """Return the features that are not recursive over all rows, whosever they are; those of a kernel in one call.

    A window is taken over the whole columns, which is quicker; its first values reach into the instrument before, and
    who calls leaves them out. Indicators sum whole numbers, so nothing of the neighbour is left in the others.
    """
    kernels = dict.fromkeys(feature.kernel for feature in features if feature.kernel is not None)
    made = bars.select(feature.expression.alias(feature.name) for feature in features if feature.kernel is None)
    together = [kernel.compute(bars, [f.name for f in features if f.kernel is kernel]) for kernel in kernels]
    return pl.concat([made, *together], how="horizontal").select(feature.name for feature in features)


def labels(chosen: FeatureSet) -> list[pl.Expr]:
    """Return the columns that say whose features they are."""
    version = pl.lit(chosen.version).alias("feature_version")
    return [pl.col("instrument_id"), pl.col("symbol"), pl.col("trade_date"), version]


def _from_lookback(feature: Feature) -> pl.Expr:
    """Return the feature from the bar on that completes its window; before it, null."""
    return pl.when(pl.col("_bar") >= feature.lookback - 1).then(pl.col(feature.name)).alias(feature.name)
