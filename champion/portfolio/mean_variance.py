"""Mean-variance weights: what a score promises against the risk of holding it, solved by cvxpy, an extra.

A score becomes an expected return by Grinold and Kahn (Active Portfolio Management, 2000, chapter 10): information
coefficient times volatility times standardised score. The covariance of returns is the shrunk one of Ledoit and Wolf
(Journal of Multivariate Analysis 88, 2004). A decision maximises

    expected return - risk_aversion / 2 * variance

over `rule.every` sessions, without short positions, within the caps and the turnover budget of the rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from champion.errors import UsageError
from champion.portfolio.arrays import Floats, MarketArrays
from champion.portfolio.construction import Rule, dated, decision_days
from champion.portfolio.inputs import KEY, checked_scores, require_sectors

WINDOW, LEAST = 250, 60
"""Sessions of returns that the covariance uses, and the fewest bars of an instrument among them."""
_NEGLIGIBLE = 1e-6


def mean_variance_weights(
    scores: pl.DataFrame, market: MarketArrays, rule: Rule, *, risk_aversion: float = 5.0, skill: float = 0.05
) -> pl.DataFrame:
    """Return trade_date, instrument_id and weight of each decision, sorted by both.

    The candidates of a decision are the best `top * (1 + buffer)` scores with at least 60 bars in the last 250
    sessions. A missing return counts as 0. What is not invested stays in cash. The first decision is not limited by the
    turnover budget, and what is no candidate any more is sold whole. `weighting` is not used.

    Args:
        scores: trade_date, instrument_id and score, and sector where `sector_cap` is below 1.
        market: returns, of the sessions up to each decision only.
        rule: top, buffer, cap, sector_cap, turnover, invested, every and phase.
        risk_aversion: the weight of variance against return; 0 ignores risk.
        skill: information coefficient of the scores; a model's rank IC is an estimate of it.

    Raises:
        UsageError: cvxpy is not installed, the scores lack a column, or a decision has no solution.

    >>> from champion.portfolio import Rule, market_arrays
    >>> mean_variance_weights(pl.DataFrame({"trade_date": [], "instrument_id": []}), None, Rule())
    Traceback (most recent call last):
    ...
    champion.errors.UsageError: the scores lack score; they have trade_date, instrument_id
    """
    groups = ["sector"] if rule.sector_cap < 1 else []
    known = checked_scores(scores, groups).drop_nulls([*KEY, "score"])
    if groups:
        require_sectors(known)
    solver = _cvxpy()
    days = decision_days(known["trade_date"], rule)
    places = {name: place for place, name in enumerate(market.instruments)}
    rows = {day: row for row, day in enumerate(market.sessions)}
    before, decided = dict[str, float](), [dated(date.min, {"": 0.0}).clear()]
    for session in known.filter(pl.col("trade_date").is_in(days.implode())).partition_by("trade_date"):
        day = session["trade_date"][0]
        past = market.simple_return[max(0, rows[day] - WINDOW + 1) : rows[day] + 1]
        bars = (~np.isnan(past)).sum(axis=0)
        enough = {name for name, count in zip(market.instruments, bars, strict=True) if count >= LEAST}
        near = session.filter(pl.col("instrument_id").is_in(sorted(enough)))
        near = near.sort("score", "instrument_id", descending=[True, False]).head(int(rule.top * (1 + rule.buffer)))
        if near.height > 1:
            returns = np.nan_to_num(past[:, [places[name] for name in near["instrument_id"]]])
            before = _solved(solver, near, returns, rule, (risk_aversion, skill), before)
        decided.append(dated(day, before))
    return pl.concat(decided).sort("trade_date", "instrument_id")


def _solved(
    cp: Any,
    near: pl.DataFrame,
    returns: Floats,
    rule: Rule,
    preferences: tuple[float, float],
    before: Mapping[str, float],
) -> dict[str, float]:
    """Return the weights of one decision.

    Raises:
        UsageError: there are none.
    """
    from sklearn.covariance import LedoitWolf  # noqa: PLC0415 - slow to import

    risk_aversion, skill = preferences
    covariance = LedoitWolf().fit(returns).covariance_ * rule.every
    score = near["score"].to_numpy()
    spread = float(score.std())
    standard = (score - score.mean()) / spread if spread > 0 else np.zeros_like(score)
    expected = skill * np.sqrt(np.diag(covariance)) * standard
    names = near["instrument_id"].to_list()
    weight = cp.Variable(len(names), nonneg=True)
    limits = [cp.sum(weight) <= rule.invested, weight <= rule.largest_weight]
    if rule.sector_cap < 1:
        sectors = near["sector"].to_list()
        members = [np.array([each == sector for each in sectors], float) for sector in dict.fromkeys(sectors)]
        limits += [weight @ member <= rule.sector_cap for member in members]
    if before and rule.turnover < 1:
        held = np.array([before.get(name, 0.0) for name in names])
        left = sum(value for name, value in before.items() if name not in set(names))
        # What is no candidate any more is sold whole; it uses the budget, but never more than there is of it.
        limits.append(cp.norm1(weight - held) / 2 <= max(rule.turnover - left / 2, 0.0))
    goal = expected @ weight - risk_aversion / 2 * cp.quad_form(weight, cp.psd_wrap(covariance))
    problem = cp.Problem(cp.Maximize(goal), limits)
    problem.solve(solver=cp.CLARABEL)
    if problem.status not in {"optimal", "optimal_inaccurate"} or weight.value is None:
        raise UsageError(
            f"no mean-variance weights on {near['trade_date'][0]} ({problem.status}): the turnover budget "
            f"{rule.turnover:g} does not reach the caps from what is held; allow more turnover"
        )
    return {name: float(value) for name, value in zip(names, weight.value, strict=True) if value > _NEGLIGIBLE}


def _cvxpy() -> Any:
    try:
        import cvxpy  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError("mean-variance weights need cvxpy: pip install 'champion[optimize]'") from None
    return cvxpy
