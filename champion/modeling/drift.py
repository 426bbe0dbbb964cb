"""How far the values of columns moved from one stretch of sessions to another: features, scores, any numbers.

Two measures stand side by side. The population stability index is what credit and model risk teams know, with its
customary limits; Kolmogorov's distance has no bins to choose. Frames in, a frame out.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from champion.errors import UsageError

__all__ = ["FEWEST", "MOVED", "WATCH", "between"]
__dir__ = __all__.copy

WATCH, MOVED = 0.1, 0.25
"""Customary limits of the index: below the first little changed, above the second the distribution is another."""

FEWEST = 50
"""Values each stretch needs: with fewer, ten bins tell chance from drift no longer."""

_SCHEMA = {
    "column": pl.String, "psi": pl.Float64, "chance": pl.Float64, "ks": pl.Float64, "before": pl.Int64,
    "now": pl.Int64, "null_before": pl.Float64, "null_now": pl.Float64,
}  # fmt: skip
_Values: TypeAlias = np.ndarray[Any, Any]


def between(before: pl.DataFrame, now: pl.DataFrame, *, bins: int = 10, fewest: int = FEWEST) -> pl.DataFrame:
    """Return one row per column of `now`: how far its values moved from those of the same column in `before`.

    - psi: the population stability index over `bins` equal shares of the values before, the sum of
      (now - before) * ln(now / before) over the shares of values in each bin, in nats. 0 is no change; see `WATCH` and
      `MOVED`. A value so frequent that it fills a bin gets one of its own. Half a value is added to every bin
      (Jeffreys' estimate of a share), so that an empty one does not make the index infinite. N. Siddiqi, Credit Risk
      Scorecards (2006).
    - chance: the index that two samples of one distribution would show on average, (bins - 1) * (1 / before + 1 / now).
      B. Yurdakul and J. Naranjo, Journal of Risk Model Validation 14 (2020). Sessions of one instrument resemble each
      other, so true chance is larger: compare columns and months, and read no p-value into it.
    - ks: Kolmogorov's distance, the largest difference of the shares of values up to any one point, from 0 to 1; it is
      the same for any increasing function of the values. N. Smirnov, Annals of Mathematical Statistics 19 (1948).
    - before, now: how many finite values were compared; with fewer than `fewest` on either side the measures are null.
    - null_before, null_now: the share of rows that are null, NaN or infinite; null where there are no rows.

    Raises:
        UsageError: `before` lacks a column of `now`, one is not numeric, or `bins` is below 2.

    >>> last_week, this_week = pl.DataFrame({"score": range(100)}), pl.DataFrame({"score": range(10, 110)})
    >>> between(last_week, this_week).select(pl.col("psi", "ks").round(2), "now").row(0)
    (0.35, 0.1, 100)
    """
    _require(before, now, bins)
    rows = []
    for name in now.columns:
        old, new = _finite(before[name]), _finite(now[name])
        measures = _measures(old, new, bins) if min(len(old), len(new)) >= max(fewest, 1) else (None, None, None)
        rows.append((name, *measures, len(old), len(new), _missing(old, before), _missing(new, now)))
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _require(before: pl.DataFrame, now: pl.DataFrame, bins: int) -> None:
    missing = [name for name in now.columns if name not in before.columns]
    if missing:
        raise UsageError(f"drift compares the same columns; before lacks {', '.join(missing)}")
    texts = [name for name in now.columns if not (now.schema[name].is_numeric() and before.schema[name].is_numeric())]
    if texts:
        raise UsageError(f"drift compares numbers, not {', '.join(texts)}: select the numeric columns first")
    if bins < 2:  # noqa: PLR2004 - of one bin everything has the same share
        raise UsageError(f"drift needs 2 bins or more, not {bins}")


def _finite(values: pl.Series) -> _Values:
    """Return the finite values in order of size."""
    floats = values.cast(pl.Float64).drop_nulls()
    return np.sort(floats.filter(floats.is_finite()).to_numpy())


def _missing(values: _Values, frame: pl.DataFrame) -> float | None:
    return (frame.height - len(values)) / frame.height if frame.height else None


def _measures(before: _Values, now: _Values, bins: int) -> tuple[float, float, float]:
    """Return psi, chance and ks of sorted values."""
    from scipy.stats import ks_2samp  # noqa: PLC0415 - slow to import

    edges = _edges(before, bins)
    old, new = _shares(before, edges), _shares(now, edges)
    psi = float(np.sum((new - old) * np.log(new / old)))
    with np.errstate(divide="ignore"):  # the p-value of one value against one; it is not used
        ks = float(ks_2samp(before, now, method="asymp").statistic)
    return psi, len(edges) * (1 / len(before) + 1 / len(now)), ks


def _edges(values: _Values, bins: int) -> _Values:
    """Return the upper, included ends of all bins but the last, which is open: quantiles, the values themselves."""
    places = [math.ceil(len(values) * part / bins) - 1 for part in range(1, bins)]
    ends, counts = np.unique(values[places], return_counts=True)
    frequent = ends[counts > 1]
    return np.unique(np.concatenate([ends, np.nextafter(frequent, -math.inf)]))


def _shares(values: _Values, edges: _Values) -> _Values:
    counts = np.diff(np.searchsorted(values, edges, side="right"), prepend=0, append=len(values))
    return (counts + 0.5) / (len(values) + 0.5 * len(counts))
