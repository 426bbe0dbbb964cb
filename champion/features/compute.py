"""Bars to features over whole histories; the only place that groups by instrument."""

from __future__ import annotations

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
    bar = pl.int_range(pl.len()).over("instrument_id").alias("_bar")
    return (
        checked(bars, chosen)
        .with_columns(bar)
        .select(*labels(chosen), *(_of_each_instrument(feature) for feature in chosen.features))
    )


def labels(chosen: FeatureSet) -> list[pl.Expr]:
    """Return the columns that say whose features they are."""
    version = pl.lit(chosen.version).alias("feature_version")
    return [pl.col("instrument_id"), pl.col("symbol"), pl.col("trade_date"), version]


def _of_each_instrument(feature: Feature) -> pl.Expr:
    """Return the feature over bars sorted by instrument and session.

    A window is taken over the whole column, which is quicker, and its first values, which reach into the instrument
    before, are masked. Indicators sum whole numbers, so nothing of the neighbour is left in the others.
    """
    if feature.recursive:
        return feature.expression.over("instrument_id").alias(feature.name)
    return pl.when(pl.col("_bar") >= feature.lookback - 1).then(feature.expression).alias(feature.name)
