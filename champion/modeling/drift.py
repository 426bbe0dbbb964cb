"""Drift: how far the distribution of each column moved between two ranges of sessions, for features, scores or others.

There are two measures. The population stability index has customary limits in credit and model risk; the
Kolmogorov-Smirnov distance needs no bins. Frames in, a frame out.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from champion.errors import UsageError
from champion.indicators.numeric.unknown import finite

__all__ = ["FEWEST", "MOVED", "WATCH", "between"]
__dir__ = __all__.copy

WATCH, MOVED = 0.1, 0.25
"""Customary limits of the index: below `WATCH` little changed; above `MOVED` the distribution is a different one."""

FEWEST = 50
"""Finite values each side needs; with fewer, ten bins cannot separate drift from chance."""

_SCHEMA = {
    "column": pl.String, "psi": pl.Float64, "chance": pl.Float64, "ks": pl.Float64, "before": pl.Int64,
    "now": pl.Int64, "null_before": pl.Float64, "null_now": pl.Float64,
}  # fmt: skip
_Values: TypeAlias = np.ndarray[Any, Any]


def between(before: pl.DataFrame, now: pl.DataFrame, *, bins: int = 10, fewest: int = FEWEST) -> pl.DataFrame:
    """Compare the distribution of each column of `now` with the same column of `before`; return one row per column.

    - psi: the population stability index over `bins` quantile bins of `before`: the sum over the bins of
      (now - before) * ln(now / before), where both are shares of values, in nats. 0 is no change; see `WATCH` and
      `MOVED`. A value that fills a whole bin gets its own bin. Half a value is added to every bin (Jeffreys' estimate
      of a share), so an empty bin does not make the index infinite. N. Siddiqi, Credit Risk Scorecards (2006).
    - chance: the mean index of two samples of one distribution, (bins - 1) * (1 / before + 1 / now). B. Yurdakul and
      J. Naranjo, Journal of Risk Model Validation 14 (2020). Sessions of one instrument are correlated, so the index
      expected without drift is larger than computed here: use it to compare columns and months, not as a p-value.
    - ks: the two-sample Kolmogorov-Smirnov distance, from 0 to 1: the largest difference between the two cumulative
      distributions. Increasing functions of the values do not change it. N. Smirnov, Annals of Mathematical Statistics
      19 (1948).
    - before, now: numbers of finite values; with fewer than `fewest` on either side the measures are null.
    - null_before, null_now: shares of rows that are null, NaN or infinite; null for a frame without rows.

    Raises:
        UsageError: `before` lacks a column of `now`, a column is not numeric, or `bins` is below 2.

    >>> last_week, this_week = pl.DataFrame({"score": range(100)}), pl.DataFrame({"score": range(10, 110)})
    >>> between(last_week, this_week).select(pl.col("psi", "ks").round(2), "now").row(0)
    (0.35, 0.1, 100)
    """
    if missing := [name for name in now.columns if name not in before.columns]:
        raise UsageError(f"drift compares the same columns; before lacks {', '.join(missing)}")
    other = [name for name in now.columns if not (now.schema[name].is_numeric() and before.schema[name].is_numeric())]
    if other:
        raise UsageError(f"drift compares numbers, not {', '.join(other)}: select the numeric columns first")
    if bins < 2:  # noqa: PLR2004 - one bin holds every value on both sides
        raise UsageError(f"drift needs 2 bins or more, not {bins}")
    rows = []
    for name in now.columns:
        old, new = finite(before[name]), finite(now[name])
        measures = _measures(old, new, bins) if min(len(old), len(new)) >= max(fewest, 1) else (None, None, None)
        rows.append((name, *measures, len(old), len(new), _null_share(old, before), _null_share(new, now)))
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _null_share(values: _Values, frame: pl.DataFrame) -> float | None:
    return (frame.height - len(values)) / frame.height if frame.height else None


def _measures(before: _Values, now: _Values, bins: int) -> tuple[float, float, float]:
    """Return psi, chance and ks of sorted values."""
    from scipy.stats import ks_2samp  # noqa: PLC0415 - slow to import

    # The upper edges, which belong to their bins, of all bins but the last: quantiles that are values.
    places = [math.ceil(len(before) * part / bins) - 1 for part in range(1, bins)]
    quantiles, counts = np.unique(before[places], return_counts=True)
    edges = np.unique(np.concatenate([quantiles, np.nextafter(quantiles[counts > 1], -math.inf)]))
    old, new = _shares(before, edges), _shares(now, edges)
    psi = float(np.sum((new - old) * np.log(new / old)))
    with np.errstate(divide="ignore"):  # the p-value of one value against one; it is not used
        ks = float(ks_2samp(before, now, method="asymp").statistic)
    return psi, len(edges) * (1 / len(before) + 1 / len(now)), ks


def _shares(values: _Values, edges: _Values) -> _Values:
    counts = np.diff(np.searchsorted(values, edges, side="right"), prepend=0, append=len(values))
    return (counts + 0.5) / (len(values) + 0.5 * len(counts))
