"""Small frames for figures, which several test files draw, and how those look at what was drawn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from champion import plots
from champion.features import build

FIRST = date(2024, 1, 1)


def days(count: int) -> list[date]:
    """`count` weekdays."""
    weekdays = (FIRST + timedelta(day) for day in range(2 * count + 3))
    return [day for day in weekdays if day.weekday() < 5][:count]


def candles(sessions: int) -> pl.DataFrame:
    """One share that rises and falls by turns; from the third session on it trades after a split of 2 for 1."""
    rises = [number % 2 == 0 for number in range(sessions)]
    return pl.DataFrame(
        {
            "instrument_id": "NSE:A",
            "symbol": "A",
            "trade_date": days(sessions),
            "open": [10.0 if up else 11.0 for up in rises],
            "high": 12.0,
            "low": 9.0,
            "close": [11.0 if up else 10.0 for up in rises],
            "volume": 200_000,
            "delivered_volume": 50_000,
            "delivered_share": 0.25,
            "adjustment_factor": [2.0 if number < 2 else 1.0 for number in range(sessions)],
        }
    )


@cache
def technical(sessions: int) -> pl.DataFrame:
    """One share that swings around a slow rise, with the columns of the feature set technical."""
    place = np.arange(sessions)
    close = np.round((100 + 0.02 * place + 8 * np.sin(place / 4)) / 0.05) * 0.05
    opens = np.round(np.append(close[:1], close[:-1]) + 0.2 * np.sin(7 * place), 2)
    shape = {"open": opens, "high": np.maximum(opens, close) + 0.3, "low": np.minimum(opens, close) - 0.3}
    prices = pl.DataFrame(shape | {"close": close}).select(pl.all().round(2))
    known = prices.with_columns(
        instrument_id=pl.lit("NSE:A"), symbol=pl.lit("A"), trade_date=pl.Series(days(sessions)), volume=pl.lit(1_000)
    )
    built = build(known, "technical").drop("symbol", "feature_version")
    return known.join(built, on=["instrument_id", "trade_date"])


# Two weeks around a holiday on Wednesday 10 January, with a session on Saturday 13.
CALENDAR = pl.DataFrame({"session": [*days(7), *days(15)[8:], date(2024, 1, 13)], "rows": [*range(14), 3]})
INDICES = pl.DataFrame(
    {
        "index_name": ["Nifty 50"] * 7 + ["Nifty Bank"] * 2 + ["Nifty Old"] * 2,
        "trade_date": [*days(7), *days(7)[-2:], *days(2)],
        "close": [100.0, 100.0, 90.0, 100.0, 100.0, 100.0, 102.0, 50.0, 49.0, 10.0, 11.0],
    }
)
RUNS = pl.DataFrame(
    {
        "started": ["09:00", "09:01", "09:02", "09:03"],
        "name": ["ingest", "quality", "features", "training"],
        "outcome": ["succeeded", "failed", "skipped", None],
        "seconds": [40.0, 3.5, 0.1, None],
    }
)
DECISIONS = pl.DataFrame(
    {
        "at": [datetime(2024, 1, 1, 9, tzinfo=UTC) + timedelta(days=day) for day in (0, 0, 3, 9)],
        "version": [1, 1, 2, 3],
        "state": ["pending", "done", "refused", "done"],
    }
)

GATES = pl.DataFrame(
    {
        "gate": ["completeness", "rejected", "row_count"],
        "severity": ["error", "error", "warning"],
        "value": [0.9991, 0.034, None],
        "limit": [0.995, 0.01, 0.25],
        "passed": [True, False, False],
        "detail": ["least complete column: isin", "1,204 rows in quarantine", "far fewer rows than before " * 20],
    }
)

MOVED = pl.DataFrame(
    {"column": ["a", "b", "c", "d"], "psi": [0.1, 2.5, None, 0.02], "chance": [0.01, 0.01, None, 0.05]}
)
DECAY = pl.DataFrame(
    {"horizon": [5, 1], "mean": [-0.02, 0.05], "std": [0.1, 0.1], "sessions": [100.0, 100.0], "t": [-0.9, 5.0]}
)


def bars(sessions: int, instruments: int = 4) -> pl.DataFrame:
    """Every session: one instrument falls, one stands, the others rise; turnover 1 crore each."""
    closes = [99.0, 100.0, *[101.0 + extra for extra in range(instruments - 2)]]
    session = pl.DataFrame({"symbol": [f"S{n}" for n in range(instruments)], "close": closes})
    dates = pl.DataFrame({"trade_date": days(sessions)}, schema={"trade_date": pl.Date})
    return dates.join(session, how="cross").with_columns(
        prev_close=pl.lit(100.0), turnover=pl.lit(1e7), source=pl.lit("nse")
    )


def renamed() -> pl.DataFrame:
    """One instrument that split 5 for 1 on the third day, under a new symbol and a new ISIN."""
    return pl.DataFrame(
        {
            "instrument_id": ["NSE:OLD"] * 4,
            "symbol": ["OLD", "OLD", "NEW", "NEW"],
            "isin": ["INE1", None, "INE2", "INE2"],
            "trade_date": days(4),
            "close": [20.0, 21.0, 20.5, 22.0],
            "adjustment_factor": [5.0, 5.0, 1.0, 1.0],
        }
    )


def account(sessions: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"session": days(sessions), "normalized": [2000] * sessions, "rejected": [0] * (sessions - 1) + [4]}
    )


def series(sessions: int) -> pl.DataFrame:
    returns = np.where(np.arange(sessions) % 3 == 2, -0.1, 0.05)
    return pl.DataFrame(
        {"trade_date": days(sessions), "ic": returns, "net_return": returns, "equity": np.cumprod(1 + returns)}
    )


def folds() -> pl.DataFrame:
    return pl.DataFrame({"fold": [2, 1, 3], "rank_ic": [0.02, -0.01, 0.04], "auc": [0.51, 0.49, 0.53]})


def predictions(rows: int = 200) -> pl.DataFrame:
    score = np.linspace(0.3, 0.7, rows)
    return pl.DataFrame({"label": score > 0.4, "score": score, "symbol": [f"S{n}" for n in range(rows)]}).with_columns(
        rank=pl.col("score").rank("ordinal", descending=True).cast(pl.Int64)
    )


def features() -> pl.DataFrame:
    values = np.random.default_rng(7).normal(size=300)
    return pl.DataFrame(
        {"sma_5": values, "obv": (values * 1000).astype(int), "flat": [1.0] * 300, "empty": [None] * 300}
    ).cast({"empty": pl.Float64})


def title(ax: Axes) -> str:
    return ax.get_title(loc="left")


def heights(ax: Axes) -> list[float]:
    return [patch.get_height() for patch in ax.patches if isinstance(patch, Rectangle)]


def shapes(drawn: Collection) -> list[np.ndarray[Any, Any]]:
    """The corners of each shape of a collection."""
    return [np.asarray(path.vertices) for path in drawn.get_paths()]


def widths(ax: Axes) -> list[float]:
    return [patch.get_width() for patch in ax.patches if isinstance(patch, Rectangle)]


def ticks(ax: Axes, axis: str = "x") -> list[str]:
    labels = ax.get_xticklabels() if axis == "x" else ax.get_yticklabels()
    return [label.get_text() for label in labels]


def footer(figure: Figure) -> str:
    return figure.get_supxlabel()


EXPOSURES = (
    series(45)
    .select(
        "trade_date",
        beta=1 + pl.col("ic"),
        volatility=pl.lit(0.02),
        traded_value=pl.lit(3e7),
        IT=pl.lit(0.6),
        Unknown=pl.lit(0.3),
    )
    .unpivot(index="trade_date", variable_name="name")
    .select(
        "trade_date",
        "value",
        exposure=pl.when(pl.col("name").is_in(["IT", "Unknown"])).then(pl.lit("sector")).otherwise("name"),
        name=pl.when(pl.col("name").is_in(["IT", "Unknown"])).then("name").otherwise(pl.lit("")),
    )
)

# Every plot, with a small frame it can draw.
EVERY: dict[str, tuple[Callable[[pl.DataFrame], Figure], pl.DataFrame]] = {
    "sessions_and_rows": (plots.sessions_and_rows, account(5)),
    "turnover_by_session": (plots.turnover_by_session, bars(45)),
    "breadth": (plots.breadth, bars(5)),
    "movers": (plots.movers, bars(1)),
    "adjustment": (plots.adjustment, renamed()),
    "indicator": (plots.indicator, renamed().with_columns(value=pl.Series([None, 1.0, 2.0, 3.0]))),
    "price_versions": (plots.price_versions, renamed().with_columns(version=pl.Series(["then", "now"] * 2))),
    "feature_coverage": (plots.feature_coverage, features()),
    "feature_distributions": (plots.feature_distributions, features()),
    "feature_correlation": (plots.feature_correlation, features()),
    "feature_drift": (plots.feature_drift, MOVED),
    "ic_decay": (plots.ic_decay, DECAY),
    "ic_series": (plots.ic_series, series(45)),
    "quantile_bars": (plots.quantile_bars, pl.DataFrame({"quantile": [2, 1], "mean_return": [0.002, -0.001]})),
    "equity_curve": (plots.equity_curve, series(6)),
    "confusion": (plots.confusion, predictions()),
    "importance": (plots.importance, pl.DataFrame({"input": ["a", "b"], "importance": [0.1, -0.2]})),
    "calibration": (plots.calibration, predictions()),
    "score_distribution": (plots.score_distribution, predictions()),
    "top_scores": (plots.top_scores, predictions()),
    "quality_gates": (plots.quality_gates, GATES),
    "against": (plots.against, series(45).with_columns(challenger="ic", champion=pl.col("ic") / 2)),
    "fold_metrics": (plots.fold_metrics, folds()),
    "ic_by_month": (plots.ic_by_month, series(45)),
    "ic_by_lag": (plots.ic_by_lag, pl.DataFrame({"lag": [0, 1, 5], "ic": [0.04, 0.03, -0.01]})),
    "ic_by_group": (plots.ic_by_group, pl.DataFrame({"group": ["small", "large"], "ic": [0.04, -0.01]})),
    "portfolio_turnover": (plots.portfolio_turnover, series(6).with_columns(turnover=1.2, cost=0.0012)),
    "calendar": (plots.calendar, CALENDAR),
    "candles": (plots.candles, candles(5)),
    "delivered": (plots.delivered, candles(45)),
    "chart_levels": (plots.chart_levels, technical(120)),
    "chart_patterns": (plots.chart_patterns, technical(120)),
    "chart_trends": (plots.chart_trends, technical(120)),
    "market_map": (plots.market_map, bars(1)),
    "index_map": (plots.index_map, INDICES),
    "account_equity": (
        plots.account_equity,
        series(45).select("trade_date", net=1 + pl.col("ic"), gross=1.1, benchmark=1.0),
    ),
    "trading_costs": (plots.trading_costs, pl.DataFrame({"component": ["stt", "tax"], "basis_points": [80.0, 2.5]})),
    "style_exposures": (
        plots.style_exposures,
        pl.DataFrame({"style": ["style_beta", "style_liquidity"], "correlation": [-0.7, 0.1], "held": [-0.3, 0.02]}),
    ),
    "gate_rules": (
        plots.gate_rules,
        pl.DataFrame({"rule": ["data", "luck"], "passed": [True, False], "sentence": ["Found nothing.", "Luck " * 60]}),
    ),
    "recipes_and_luck": (
        plots.recipes_and_luck,
        pl.DataFrame({"place": [1, 2, 3], "recipe": [12, 3, 7], "score": [2.1, 0.4, -1.0]}).with_columns(
            low=pl.Series([0.0, -0.9, -2.0]), middle=pl.Series([0.9, 0.0, -0.9]), high=pl.Series([2.3, 1.0, 0.1])
        ),
    ),
    "profit_by_group": (plots.profit_by_group, pl.DataFrame({"group": ["IT", "Unknown"], "profit": [3e5, -1e5]})),
    "capacity_curve": (
        plots.capacity_curve,
        pl.DataFrame({"capital": [1e6, 1e9], "net_return": [0.04, -0.09], "gross_return": [0.08, 0.03]}).with_columns(
            invested_share=pl.Series([0.97, 0.4])
        ),
    ),
    "holdings_exposure": (plots.holdings_exposure, EXPOSURES),
    "runs": (plots.runs, RUNS),
    "champions": (plots.champions, DECISIONS),
}
