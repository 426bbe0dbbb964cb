"""Mean-variance weights: what a score promises against the risk of holding it, solved by cvxpy, an extra.

A score becomes an expected return by Grinold and Kahn (Active Portfolio Management, 2000, chapter 10): information
coefficient times volatility times standardised score. The covariance of returns is that of a factor risk model
(`champion.modeling.risk`), or without one the shrunk one of Ledoit and Wolf (Journal of Multivariate Analysis 88,
2004). A decision maximises

    expected return - risk_aversion / 2 * variance

over `rule.every` sessions, without short positions, within the caps and the turnover budget of the rule and, with a
risk model, within a limit of the risk against the equally weighted universe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from champion.errors import UsageError
from champion.modeling.metrics import SESSIONS_PER_YEAR
from champion.modeling.risk.model import Forecast, RiskModel
from champion.portfolio.arrays import Floats, MarketArrays
from champion.portfolio.construction import Rule, dated, decision_days
from champion.portfolio.inputs import KEY, checked_scores, is_number, require_kind, require_sectors
from champion.portfolio.risk_limit import within_risk

WINDOW, LEAST = 250, 60
"""Sessions of returns that the covariance uses, and the fewest bars of an instrument among them."""
_NEGLIGIBLE = 1e-6


@dataclass(frozen=True, slots=True)
class _Preferences:
    """Risk aversion, information coefficient and the largest active risk a session."""

    risk_aversion: float
    skill: float
    active_risk: float | None


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The candidates of a decision, the covariance of a session, and the forecast with weights of the universe."""

    rows: pl.DataFrame
    covariance: Floats
    forecast: Forecast | None = None
    universe: Floats | None = None


def mean_variance_weights(
    scores: pl.DataFrame,
    market: MarketArrays | None,
    rule: Rule,
    *,
    risk_aversion: float = 5.0,
    skill: float = 0.05,
    risk: RiskModel | None = None,
    active_risk: float | None = None,
) -> pl.DataFrame:
    """Return trade_date, instrument_id and weight of each decision, sorted by both.

    The candidates of a decision are the best `top * (1 + buffer)` scores whose risk is known: with a risk model those
    with exposures on the day, else those with at least 60 bars in the last 250 sessions, where a missing return counts
    as 0. What is not invested stays in cash. The first decision is not limited by the turnover budget, and what is no
    candidate any more is sold whole. With fewer than two candidates all is sold: the scored instruments have the
    weight 0, as in any decision that holds nothing. `weighting` is not used.

    Args:
        scores: trade_date, instrument_id and score, and sector where `sector_cap` is below 1.
        market: returns, of the sessions up to each decision only; None with a risk model.
        rule: top, buffer, cap, sector_cap, turnover, invested, every and phase; and risk_limit with a risk model, to
            which the solved weights are reduced alike.
        risk_aversion: the weight of variance against return; 0 ignores risk.
        skill: information coefficient of the scores; a model's rank IC is an estimate of it.
        risk: the factor risk model; its forecast of each decision uses returns up to the decision only.
        active_risk: largest forecast deviation a year of the return in excess of all scored instruments of known risk,
            equally weighted and fully invested, such as 0.06. It needs a risk model. What is left in cash counts.

    Raises:
        UsageError: cvxpy is not installed, the scores lack a column, neither market nor risk is given, the risk model
            has no forecast for a decision, or a decision has no solution.

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
    if market is None and risk is None:
        raise UsageError("there is no covariance without returns: give the market, or a risk model as risk")
    if active_risk is not None and (not is_number(active_risk) or active_risk <= 0):
        raise UsageError(
            f"an active_risk of {active_risk!r} is not possible; give a deviation a year above 0, such as 0.06"
        )
    if active_risk is not None and risk is None:
        raise UsageError("an active_risk is forecast by a risk model: give risk=risk_model(...), or leave it out")
    for name, value in (("risk_aversion", risk_aversion), ("skill", skill)):
        if not is_number(value) or value < 0:
            raise UsageError(f"{name} is {value!r}; give a finite number of at least 0")
    if risk is not None:
        require_kind("risk", risk, RiskModel)
    if rule.risk_limit is not None and risk is None:
        raise UsageError(f"a risk limit of {rule.risk_limit:g} needs a risk model: give risk=risk_model(...)")
    solver, days = _cvxpy(), decision_days(known["trade_date"], rule)
    preferences = _Preferences(risk_aversion, skill, active_risk)
    before, decided = dict[str, float](), [dated(date.min, {"": 0.0}).clear()]
    for session in known.filter(pl.col("trade_date").is_in(days.implode())).partition_by("trade_date"):
        near = _by_model(session, risk, rule) if risk else _by_returns(session, market, rule)  # type: ignore[arg-type]
        # Fewer than two have no order by score, so nothing is expected of them: the account holds cash.
        before = _solved(solver, near, rule, preferences, before) if near.rows.height > 1 else {}
        sold = dict.fromkeys(session["instrument_id"], 0.0)  # a decision without a row is none
        decided.append(dated(session["trade_date"][0], before or sold))
    found = pl.concat(decided).sort("trade_date", "instrument_id")
    return found if rule.risk_limit is None or risk is None else within_risk(found, risk, rule.risk_limit)


def _by_returns(session: pl.DataFrame, market: MarketArrays, rule: Rule) -> _Candidates:
    """Return the candidates with enough bars, and the shrunk covariance of their returns."""
    from sklearn.covariance import LedoitWolf  # noqa: PLC0415 - slow to import

    row = market.sessions.index(session["trade_date"][0])
    past = market.simple_return[max(0, row - WINDOW + 1) : row + 1]
    bars = (~np.isnan(past)).sum(axis=0)
    enough = {name: place for place, name in enumerate(market.instruments) if bars[place] >= LEAST}
    near = _best(session, list(enough), rule)
    if near.height < 2:  # noqa: PLR2004 - a covariance needs two
        return _Candidates(near, np.zeros((0, 0)))
    returns = np.nan_to_num(past[:, [enough[name] for name in near["instrument_id"]]])
    return _Candidates(near, np.asarray(LedoitWolf().fit(returns).covariance_, np.float64))


def _by_model(session: pl.DataFrame, risk: RiskModel, rule: Rule) -> _Candidates:
    """Return the candidates with known exposures, and the covariance that the risk model forecasts."""
    forecast = risk.at(session["trade_date"][0])
    near = _best(session, forecast.instruments, rule)
    scored = session.filter(pl.col("instrument_id").is_in(list(forecast.instruments)))["instrument_id"]
    universe, _ = forecast.weights(dict.fromkeys(scored, 1 / max(len(scored), 1)))
    return _Candidates(near, forecast.covariance(near["instrument_id"].to_list()), forecast, universe)


def _best(session: pl.DataFrame, known: Sequence[str], rule: Rule) -> pl.DataFrame:
    near = session.filter(pl.col("instrument_id").is_in(sorted(known)))
    return near.sort("score", "instrument_id", descending=[True, False]).head(int(rule.top * (1 + rule.buffer)))


def _solved(
    cp: Any, candidates: _Candidates, rule: Rule, preferences: _Preferences, before: Mapping[str, float]
) -> dict[str, float]:
    """Return the weights of one decision.

    Raises:
        UsageError: there are none.
    """
    near, covariance = candidates.rows, candidates.covariance * rule.every
    score = near["score"].to_numpy()
    spread = float(score.std())
    standard = (score - score.mean()) / spread if spread > 0 else np.zeros_like(score)
    expected = preferences.skill * np.sqrt(np.diag(covariance)) * standard
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
    if preferences.active_risk is not None:
        limits.append(_active(cp, candidates, weight) <= preferences.active_risk / SESSIONS_PER_YEAR**0.5)
    goal = expected @ weight - preferences.risk_aversion / 2 * cp.quad_form(weight, cp.psd_wrap(covariance))
    problem = cp.Problem(cp.Maximize(goal), limits)
    problem.solve(solver=cp.CLARABEL)
    if problem.status not in {"optimal", "optimal_inaccurate"} or weight.value is None:
        wide = f", or a larger active_risk than {preferences.active_risk:g}" if preferences.active_risk else ""
        raise UsageError(
            f"no mean-variance weights on {near['trade_date'][0]} ({problem.status}): the turnover budget "
            f"{rule.turnover:g} does not reach the limits from what is held; allow more turnover{wide}"
        )
    return {name: float(value) for name, value in zip(names, weight.value, strict=True) if value > _NEGLIGIBLE}


def _active(cp: Any, candidates: _Candidates, weight: Any) -> Any:
    """Return the forecast deviation of a session's return of the weights less that of the universe."""
    forecast, universe = candidates.forecast, candidates.universe
    if forecast is None or universe is None:
        raise UsageError("an active risk needs a risk model: give risk=risk_model(...)")
    values, vectors = np.linalg.eigh(forecast.factor_covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))).T
    places = forecast.places(candidates.rows["instrument_id"].to_list())
    specific = np.sqrt(forecast.specific_variance)
    others = np.delete(specific * universe, places)
    by_factor = (root @ forecast.exposures[places].T) @ weight - root @ (forecast.exposures.T @ universe)
    by_share = cp.multiply(specific[places], weight - universe[places])
    return cp.norm(cp.hstack([by_factor, by_share, np.array([np.linalg.norm(others)])]), 2)


def _cvxpy() -> Any:
    try:
        import cvxpy  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError("mean-variance weights need cvxpy: pip install 'champion[optimize]'") from None
    return cvxpy
