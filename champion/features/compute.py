"""Compute features over whole histories: group the bars by instrument, and set unknown values to null.

Features that Champion ships are computed over the bars of all instruments together: tests show that they do not read
another instrument's bars. Own features are computed for one instrument at a time.
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

_ROWS = 2**18  # per part: its columns fit the cache


def required(feature_set: FeatureSet) -> list[str]:
    """Return the columns of bars that a feature set needs."""
    return ["instrument_id", "symbol", "trade_date", *feature_set.bar_columns]


def checked_bars(bars: pl.DataFrame, feature_set: FeatureSet) -> pl.DataFrame:
    """Check the columns that a feature set needs and return them, sorted by instrument and session."""
    check_bars(bars, required(feature_set))
    needed = bars.select(required(feature_set))
    return needed if in_order(needed) else needed.sort("instrument_id", "trade_date")


def over_histories(bars: pl.DataFrame, feature_set: FeatureSet) -> pl.DataFrame:
    """Return the features of every bar, sorted by instrument_id and trade_date."""
    ordered = checked_bars(bars, feature_set)
    counts = recursion.lengths(ordered)
    started = recursion.starts(ordered, counts, feature_set.carried)
    carrying = [feature for feature in feature_set.features if feature.carried]
    others = [feature for feature in feature_set.features if not feature.carried]

    def compute(part: tuple[slice, slice]) -> pl.DataFrame:
        own, rows = counts[part[0]], ordered[part[1]]
        before = recursion.bars_before(own)
        recursive = recursion.recursive(rows, own, started[part[0]], carrying)
        values = pl.concat([over_rows(rows, own, others), recursive, before.to_frame()], how="horizontal")
        return values.select(known_feature(f, pl.col(before.name) >= f.lookback - 1) for f in feature_set.features)

    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        columns = pl.concat(threads.map(compute, _parts(counts)))
    return pl.concat([ordered.select(key_columns(feature_set)), columns], how="horizontal")


def _parts(counts: recursion.Lengths) -> Iterator[tuple[slice, slice]]:
    """Yield parts of about `_ROWS` rows, at least one: the slice of its instruments and the slice of its rows."""
    ends = np.cumsum(counts)
    first = start = 0
    for number, end in enumerate(ends.tolist(), start=1):
        if end - start >= _ROWS:
            yield slice(first, number), slice(start, end)
            first, start = number, end
    if first < counts.size or not start:
        yield slice(first, counts.size), slice(start, int(counts.sum()))


def over_rows(bars: pl.DataFrame, counts: recursion.Lengths, features: Sequence[Feature]) -> pl.DataFrame:
    """Return the features without carried values, for bars sorted by instrument and session.

    `counts` has the number of bars of each instrument. Windows that Champion ships are computed over whole columns,
    which is faster. Their first values mix two instruments; the caller sets them to null. Indicators sum whole numbers,
    so later values keep no residue of the other instrument.
    """
    shared = [feature for feature in features if not feature.is_own]
    own = [feature for feature in features if feature.is_own]
    columns = Kernel.select(bars, [(feature.name, feature.expression, feature.kernel) for feature in shared])
    if own:
        columns = pl.concat([columns, per_instrument(bars, counts, own)], how="horizontal")
    return columns.select(feature.name for feature in features)


def known_feature(feature: Feature, complete: pl.Expr) -> pl.Expr:
    """Return the column of a feature, null where its window is not `complete` or its value is NaN or infinite."""
    value = pl.col(feature.name)
    finite = [value.is_finite()] if feature.dtype.is_float() else []
    return pl.when(complete, *finite).then(value).alias(feature.name)


def key_columns(feature_set: FeatureSet) -> list[pl.Expr]:
    """Return the columns that identify a row: instrument_id, symbol, trade_date and feature_version."""
    version = pl.lit(feature_set.version).alias("feature_version")
    return [pl.col("instrument_id"), pl.col("symbol"), pl.col("trade_date"), version]
