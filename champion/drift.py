"""How far the values of features moved from one stretch of sessions to another."""

from __future__ import annotations

import polars as pl
from scipy.stats import ks_2samp

FEWEST = 100
"""Values each stretch needs: of two samples of 100 alike the distance is rarely above 0.2, of fewer it says nothing."""


def drift(before: pl.DataFrame, now: pl.DataFrame, fewest: int = FEWEST) -> pl.DataFrame:
    """Return feature, distance, before and now, one row per column of `now`: how far its values moved.

    `distance` is Kolmogorov's: the largest difference between the shares of values up to any one point, 0 for the same
    distribution, 1 where no value of one lies within the other. It has no bins to choose and is the same for any
    increasing function of the feature. `before` and `now` count the finite values; with fewer than `fewest` (at
    least 2) on either side the distance is null. Days of one instrument resemble each other, so it is no test: compare features, and
    months. N. Smirnov, Table for estimating the goodness of fit, Annals of Mathematical Statistics 19 (1948).

    >>> before = pl.DataFrame({"rsi_14": [40.0, 50.0, 60.0, 70.0]})
    >>> now = pl.DataFrame({"rsi_14": [60.0, 70.0, 80.0, 90.0]})
    >>> drift(before, now, fewest=4).row(0)
    ('rsi_14', 0.5, 4, 4)
    """
    rows = [(name, *_moved(_finite(before[name]), _finite(now[name]), fewest)) for name in now.columns]
    schema = {"feature": pl.String, "distance": pl.Float64, "before": pl.Int64, "now": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _moved(before: pl.Series, now: pl.Series, fewest: int) -> tuple[float | None, int, int]:
    counts = before.len(), now.len()
    if min(counts) < max(fewest, 2):  # scipy's p-value, which is not used, fails for single values
        return None, *counts
    return float(ks_2samp(before.to_numpy(), now.to_numpy(), method="asymp").statistic), *counts


def _finite(values: pl.Series) -> pl.Series:
    floats = values.cast(pl.Float64).drop_nulls()
    return floats.filter(floats.is_finite())
