"""Figures: each function takes a frame and returns a matplotlib Figure, without global state.

Every function raises UsageError if a column is missing, and shows a panel with 'no data' for an empty frame.
"""

import warnings
from typing import Any

import polars as pl
from matplotlib.figure import Figure

from champion.plots.calendar import calendar
from champion.plots.distributions import feature_distributions
from champion.plots.features import feature_correlation, feature_coverage, feature_drift
from champion.plots.history import adjustment, indicator, price_versions
from champion.plots.instrument import candles, delivered
from champion.plots.ledger import champions, runs
from champion.plots.map import index_map, market_map
from champion.plots.market import breadth, movers, sessions_and_rows, turnover_by_session
from champion.plots.models import (
    calibration,
    confusion,
    equity_curve,
    ic_decay,
    ic_series,
    importance,
    quantile_bars,
    score_distribution,
    top_scores,
)
from champion.plots.portfolio import (
    account_equity,
    capacity_curve,
    holdings_exposure,
    profit_by_group,
    trading_costs,
)
from champion.plots.quality import quality_gates
from champion.plots.technical import chart_levels, chart_patterns, chart_trends
from champion.plots.trace import trace_graph
from champion.plots.validation import (
    against,
    fold_metrics,
    gate_rules,
    ic_by_group,
    ic_by_lag,
    ic_by_month,
    portfolio_turnover,
    recipes_and_luck,
    style_exposures,
)

__all__ = [
    "account_equity", "adjustment", "against", "breadth", "calendar", "calibration", "candles", "capacity_curve",
    "champions", "chart_levels", "chart_patterns", "chart_trends", "confusion", "delivered", "equity_curve",
    "feature_correlation", "feature_coverage", "feature_distributions", "feature_drift", "fold_metrics",
    "gate_rules", "holdings_exposure", "ic_by_group", "ic_by_lag", "ic_by_month", "ic_decay", "ic_series",
    "importance", "index_map", "indicator", "market_map", "movers", "portfolio_turnover", "price_versions",
    "profit_by_group", "quality_gates", "quantile_bars", "recipes_and_luck", "runs", "score_distribution",
    "sessions_and_rows", "style_exposures", "top_scores", "trace_graph", "trading_costs", "turnover_by_session",
]  # fmt: skip
__dir__ = __all__.copy


def __getattr__(name: str) -> Any:
    """Return a function by its name of version 0.2, with a warning."""
    if name != "tellings":
        raise AttributeError(f"champion.plots has no {name!r}; it has {', '.join(__all__)}")
    text = "ch.plots.tellings is ch.plots.price_versions now, and its column telling is version"
    warnings.warn(text, DeprecationWarning, stacklevel=2)

    def tellings(bars: pl.DataFrame) -> Figure:
        return price_versions(bars.rename({"telling": "version"}))

    return tellings
