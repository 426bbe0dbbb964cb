"""Own features as a quant keeps them in a module: tests name them as `ideas:NAME`."""

from __future__ import annotations

import polars as pl

from champion import indicators
from champion.features import V1, Feature, FeatureSet

_CLOSE, _HIGH, _LOW = pl.col("close"), pl.col("high"), pl.col("low")

PLACE = Feature("place", "own", 1, pl.Float64(), "Close in the range.", (_CLOSE - _LOW) / (_HIGH - _LOW))
RSI_7 = Feature("rsi_7", "own", 8, pl.Float64(), "RSI of 7 bars.", indicators.rsi(_CLOSE, 7))
MOVED = Feature("moved", "own", 2, pl.Float64(), "Rupees since the bar before.", _CLOSE.diff())
SHARES = Feature("shares", "own", 1, pl.Float64(), "Shares traded.", pl.col("volume").cast(pl.Float64))
NAMED_AS_INPUT = Feature("return_5", "own", 6, pl.Float64(), "Return.", _CLOSE / _CLOSE.shift(5) - 1)
PEEK = Feature("peek", "own", 2, pl.Float64(), "Tomorrow's close.", _CLOSE.shift(-1))
MIXED = FeatureSet("mixed", "mixed1", (*V1.features, PLACE, SHARES))
PART = FeatureSet("part", "part1", (V1.features[0], PLACE))
RUPEES = FeatureSet("rupees", "rupees1", (PLACE, MOVED))
