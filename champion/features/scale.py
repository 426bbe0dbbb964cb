"""Find levels: own features whose values depend on the unit of prices or of shares.

A split moves a price from 1,000 rupees to 100 without changing the company. A feature that a split changes is a level,
in rupees or in shares, and is not comparable across instruments. Turnover is not a level: a split does not change it.
"""

from __future__ import annotations

import polars as pl

from champion.features import compute, synthetic_bars
from champion.features.sets import FeatureSet

_TIMES = 8  # a power of two keeps the digits of prices and volumes
_PRICES = ("open", "high", "low", "close")
_SAME = 1e-6  # relative
_MORE = 60  # bars beyond the longest lookback
_KEY = 4  # key columns before the features


def levels(feature_set: FeatureSet) -> dict[str, str]:
    """Return the unit, 'rupee' or 'share', of each own feature that is a level.

    >>> from champion.features.sets import Feature
    >>> close = pl.col("close")
    >>> moved = Feature("moved", "price", 2, pl.Float64(), "Rupees since the bar before.", close.diff())
    >>> change = Feature("change", "price", 2, pl.Float64(), "The same as a share of the price.", close.pct_change())
    >>> levels(FeatureSet("doc_levels", "doc_levels1", (moved, change)))
    {'moved': 'rupee'}
    """
    own = tuple(each for each in feature_set.features if not each.spans_instruments)
    if not own:
        return {}
    alone = FeatureSet(feature_set.name, feature_set.version, own)
    bars = synthetic_bars.bars(max(each.lookback for each in own) + _MORE).with_columns(pl.col("volume") * _TIMES)
    bars = bars.with_columns(turnover=pl.col("close") * pl.col("volume"))
    dearer = bars.with_columns(pl.col(*_PRICES, "turnover") * _TIMES)
    split = bars.with_columns(pl.col(*_PRICES) * _TIMES, pl.col("volume") // _TIMES)
    plain, by_price, by_split = (compute.over_histories(each, alone)[:, _KEY:] for each in (bars, dearer, split))
    units = {}
    for name in alone.columns:
        if _differ(plain[name], by_split[name]):
            units[name] = "rupee" if _differ(plain[name], by_price[name]) else "share"
    return units


def _differ(one: pl.Series, other: pl.Series) -> bool:
    left, right = one.cast(pl.Float64), other.cast(pl.Float64)
    apart = (left - right).abs() > _SAME * left.abs()
    return bool((left.is_null() != right.is_null()).any() or apart.any())
