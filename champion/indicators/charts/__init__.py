"""What chartists draw: swings, levels, pivots, trend channels, Supertrend and Ichimoku, each as known at the close."""

from champion.indicators.charts.ichimoku import (
    ichimoku_chikou,
    ichimoku_kijun,
    ichimoku_span_a,
    ichimoku_span_b,
    ichimoku_tenkan,
)
from champion.indicators.charts.levels import level_age, level_touches, resistance, support
from champion.indicators.charts.pivots import camarilla_pivots, classic_pivots, fibonacci_pivots
from champion.indicators.charts.regression import regression_channel
from champion.indicators.charts.stops import supertrend, supertrend_direction
from champion.indicators.charts.swings import last_swing_high, last_swing_low, swing_age, swing_high, swing_low

__all__ = [
    "camarilla_pivots", "classic_pivots", "fibonacci_pivots", "ichimoku_chikou", "ichimoku_kijun", "ichimoku_span_a",
    "ichimoku_span_b", "ichimoku_tenkan", "last_swing_high", "last_swing_low", "level_age", "level_touches",
    "regression_channel", "resistance", "supertrend", "supertrend_direction", "support", "swing_age", "swing_high",
    "swing_low",
]  # fmt: skip
__dir__ = __all__.copy
