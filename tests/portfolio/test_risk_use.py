"""Mean-variance weights, the risk limit and attribution by the factor risk model."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings, strategies as st
from numpy.typing import NDArray
from risk_markets import NAMES, Market

from champion.errors import UsageError
from champion.modeling import risk
from champion.modeling.metrics import SESSIONS_PER_YEAR
from champion.portfolio import report
from champion.portfolio.arrays import MarketArrays, market_arrays
from champion.portfolio.construction import Rule, target_weights
from champion.portfolio.mean_variance import mean_variance_weights
from champion.portfolio.risk_attribution import active_parts, parts_by_year, risk_by_year, risk_periods
from champion.portfolio.risk_limit import within_risk
from champion.portfolio.simulator import MarketRules, simulate

SESSIONS = 110
YEAR = SESSIONS_PER_YEAR**0.5
NO_LIMITS: list[Any] = [float("nan"), -0.1, 0.0, float("inf"), True, "0.1", [0.1]]


class Setting:
    """The first sessions of a simulated market with its risk model and scores of the last ones."""

    def __init__(self) -> None:
        market = Market()
        self.days = market.days[:SESSIONS]
        early = pl.col("trade_date") <= self.days[-1]
        bars = market.bars.filter(early)
        self.model = risk.fit(bars, market.known.filter(early))
        before = pl.col("close").shift(1).over("instrument_id").fill_null(pl.col("close"))
        self.bars = bars.sort("trade_date", "instrument_id").with_columns(
            open=before, prev_close=before, high=pl.max_horizontal("close", before) * 1.01,
            low=pl.min_horizontal("close", before) * 0.99, volume=pl.lit(1_000_000), turnover=pl.col("close") * 1e6,
        )  # fmt: skip

    def scores(self, seed: int, start: int = 90) -> pl.DataFrame:
        """Return random scores from a session on."""
        keys = self.bars.filter(pl.col("trade_date") >= self.days[start]).select("trade_date", "instrument_id")
        return keys.with_columns(score=pl.Series(np.random.default_rng(seed).standard_normal(keys.height)))


@pytest.fixture(scope="module")
def setting() -> Setting:
    return Setting()


@pytest.fixture(scope="module")
def arrays(setting: Setting) -> MarketArrays:
    return market_arrays(setting.bars)


def active_risk(model: risk.RiskModel, day: date, weights: NDArray[np.float64]) -> float:
    """Return the risk a year against the equally weighted universe by the plain formula."""
    difference = weights - 1 / len(NAMES)
    deviation: float = np.sqrt(difference @ model.at(day).covariance(NAMES) @ difference) * YEAR
    return deviation


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.04, 0.08]))
def test_mean_variance_weights_keep_the_limit_of_active_risk(setting: Setting, seed: int, limit: float) -> None:
    rule = Rule(top=30, buffer=0.5, cap=0.2, every=10)
    scores = setting.scores(seed)
    wide, narrow = (
        mean_variance_weights(scores, None, rule, risk=setting.model, active_risk=each, risk_aversion=1.0, skill=0.2)
        for each in (10.0, limit)
    )
    for found, most in ((wide, 10.0), (narrow, limit)):
        for rows in found.partition_by("trade_date"):
            held = dict(rows.select("instrument_id", "weight").iter_rows())
            weights = np.array([held.get(name, 0.0) for name in NAMES])
            assert active_risk(setting.model, rows["trade_date"][0], weights) <= most * (1 + 1e-4)
            assert weights.max() <= 0.2 + 1e-6
            assert weights.sum() <= rule.invested + 1e-6
    day = wide["trade_date"][0]
    first = dict(wide.filter(trade_date=day).select("instrument_id", "weight").iter_rows())
    assert active_risk(setting.model, day, np.array([first.get(name, 0.0) for name in NAMES])) > limit, "it binds"


def test_mean_variance_weights_by_the_model_are_the_closed_form(setting: Setting) -> None:
    """Karush, Kuhn and Tucker: the gradient is 0 where an instrument is held, and not positive where it is not."""
    scores = setting.scores(3).filter(trade_date=setting.days[100])
    rule = Rule(top=60, buffer=0.0, cap=1.0, invested=1.0, every=5)
    found = mean_variance_weights(scores, None, rule, risk=setting.model, risk_aversion=100.0, skill=0.02)
    covariance = setting.model.at(setting.days[100]).covariance(NAMES) * 5
    score = scores.sort("instrument_id")["score"].to_numpy()
    expected = 0.02 * np.sqrt(np.diag(covariance)) * (score - score.mean()) / score.std()
    held = dict(found.select("instrument_id", "weight").iter_rows())
    weight = np.array([held.get(name, 0.0) for name in NAMES])
    assert 0 < weight.sum() < 1
    gradient = expected - 100.0 * covariance @ weight
    assert np.abs(gradient[weight > 1e-4]).max() < 1e-6
    assert gradient.max() < 1e-6


def test_impossible_or_unfounded_limits_are_refused(setting: Setting, arrays: MarketArrays) -> None:
    scores, rule = setting.scores(1), Rule(top=5, cap=0.1)
    with pytest.raises(UsageError, match=r"an active_risk is forecast by a risk model: give risk="):
        mean_variance_weights(scores, arrays, rule, active_risk=0.05)
    for wrong in NO_LIMITS:
        with pytest.raises(UsageError, match=r"an active_risk of .* is not possible; give a deviation a year above 0"):
            mean_variance_weights(scores, arrays, rule, risk=setting.model, active_risk=wrong)
    with pytest.raises(UsageError, match=r"skill is nan; give a finite number"):
        mean_variance_weights(scores, arrays, rule, skill=float("nan"))
    with pytest.raises(UsageError, match="give the market, or a risk model as risk"):
        mean_variance_weights(scores, None, rule)
    with pytest.raises(UsageError, match=r"or a larger active_risk than 0\.0001"):
        mean_variance_weights(scores, None, rule, risk=setting.model, active_risk=0.0001)
    with pytest.raises(UsageError, match="a forecast needs 60"):
        mean_variance_weights(setting.scores(1, 20), None, rule, risk=setting.model)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.05, 0.15, 5.0]))
def test_a_risk_limit_scales_decisions_above_it_and_leaves_others(setting: Setting, seed: int, limit: float) -> None:
    weights = target_weights(setting.scores(seed), Rule(top=5))
    found = within_risk(weights, setting.model, limit)
    for before, after in zip(weights.partition_by("trade_date"), found.partition_by("trade_date"), strict=True):
        held = dict(after.select("instrument_id", "weight").iter_rows())
        covariance = setting.model.at(after["trade_date"][0]).covariance(list(held))
        weight = np.array(list(held.values()))
        reached = float(np.sqrt(weight @ covariance @ weight)) * YEAR
        share = (after["weight"] / before["weight"]).to_numpy()
        assert share == pytest.approx(share[0])
        assert reached <= limit * (1 + 1e-9)
        assert share[0] == pytest.approx(1.0) or reached == pytest.approx(limit)
    unknown = weights.with_columns(pl.col("instrument_id").replace(NAMES[0], "NSE:NEW"))
    assert "NSE:NEW" not in within_risk(unknown, setting.model, limit)["instrument_id"]


@pytest.mark.parametrize("limit", [*NO_LIMITS, None])
def test_an_impossible_risk_limit_is_refused(setting: Setting, limit: Any) -> None:
    weights = target_weights(setting.scores(1), Rule(top=5))
    with pytest.raises(UsageError, match=r"a risk limit of .* is not possible; give a deviation a year above 0"):
        within_risk(weights, setting.model, limit)
    with pytest.raises(UsageError, match="model is a dict; give a RiskModel"):
        within_risk(weights, {}, 0.1)  # type: ignore[arg-type]


@settings(max_examples=3, deadline=None, phases=[Phase.generate])
@given(st.integers(0, 10**6), st.booleans())
def test_a_day_without_known_risk_is_held_in_cash(
    setting: Setting, arrays: MarketArrays, seed: int, optimised: bool
) -> None:
    """The instruments of some days of decision have no exposures: the account sells what it holds."""
    days = setting.days
    decided = [day for day in days[80:] if day.weekday() == 0]
    blind = {decided[place] for place in np.random.default_rng(seed).choice(len(decided) - 1, 2, replace=False)}
    rows = tuple(
        replace(row, **{each.name: getattr(row, each.name)[:0] for each in fields(row)}) if day in blind else row
        for day, row in zip(days, setting.model.rows, strict=True)
    )
    model = replace(setting.model, rows=rows)
    scores, rule = setting.scores(seed, 80), Rule(top=5, cap=0.2)
    weights = (
        mean_variance_weights(scores, None, rule, risk=model, skill=0.5, risk_aversion=0.1)
        if optimised
        else within_risk(target_weights(scores, rule), model, 0.3)
    )
    assert set(weights["trade_date"]) >= set(decided), "a day of decision has no row"
    assert weights.filter(pl.col("trade_date").is_in(blind))["weight"].max() == 0.0
    account = simulate(arrays, weights, MarketRules().without_frictions()).account
    held = dict(account.select("trade_date", "positions").iter_rows())
    for day in decided[1:-1]:
        after = days[days.index(day) + 2]
        assert (held[after] == 0) == (day in blind), day


@settings(max_examples=3, deadline=None, phases=[Phase.generate])
@given(st.integers(0, 10**6), st.booleans())
def test_parts_sum_to_the_active_return_and_nothing_is_other_where_nothing_is_traded(
    setting: Setting, arrays: MarketArrays, seed: int, charged: bool
) -> None:
    scores = setting.scores(seed, 70)
    rules = MarketRules() if charged else MarketRules().without_frictions()
    every = scores.select("trade_date", "instrument_id", weight=pl.lit(1 / len(NAMES)))
    decided = target_weights(scores, Rule(top=8, every=10))
    days = decided["trade_date"].unique()
    found = simulate(arrays, decided, rules)
    benchmark = simulate(arrays, every.filter(pl.col("trade_date").is_in(days.implode())), rules.without_frictions())
    parts = active_parts(found, benchmark, setting.model)
    active = report.active(found, benchmark)
    summed = parts.group_by("trade_date", maintain_order=True).agg(pl.col("value").sum())
    assert summed["trade_date"].equals(active["trade_date"])
    assert summed["value"].to_list() == pytest.approx(active["active"].to_list(), abs=1e-14)
    assert set(parts["part"]) == {"market", "sector", "style", "specific", "other"}
    traded = [day for one in (found, benchmark) for day in one.trades["trade_date"]]
    other = parts.filter(pl.col("part") == "other", ~pl.col("trade_date").is_in(traded))
    assert other.height > 10
    assert other["value"].abs().max() < (1e-4 if charged else 1e-12)  # type: ignore[operator]  # prices in whole paise
    # Against a plain sum: the specific part of one session without trades.
    day = other["trade_date"][-1]
    before = setting.days[setting.days.index(day) - 1]
    specific = dict(setting.model.specific_returns.filter(trade_date=day).select("instrument_id", "value").iter_rows())
    expected = 0.0
    for sign, one in ((1, found), (-1, benchmark)):
        equity = one.account.filter(trade_date=before)["equity"][0]
        held = one.positions.filter(trade_date=before).select("instrument_id", "value").iter_rows()
        expected += sign * sum(value / equity * specific[name] for name, value in held)
    named = parts.filter(trade_date=day, part="specific")["value"].sum()
    assert named == pytest.approx(expected, abs=1e-14)


def test_forecast_and_realised_risk_of_an_account_follow_the_plain_formulas(
    setting: Setting, arrays: MarketArrays
) -> None:
    rules = MarketRules().without_frictions()
    decided = target_weights(setting.scores(5, 70), Rule(top=8, every=10))
    every = setting.scores(5, 70).select("trade_date", "instrument_id", weight=pl.lit(1 / len(NAMES)))
    benchmark = simulate(arrays, every.filter(pl.col("trade_date").is_in(decided["trade_date"].implode())), rules)
    found = simulate(arrays, decided, rules)
    periods = risk_periods(found, benchmark, setting.model)
    assert set(periods["portfolio"]) == {"account", "active"}
    row = periods.filter(portfolio="active").row(-1, named=True)
    weights: dict[str, float] = {}
    for sign, one in ((1, found), (-1, benchmark)):
        equity = one.account.filter(trade_date=row["trade_date"])["equity"][0]
        for name, value in one.positions.filter(trade_date=row["trade_date"])["instrument_id", "value"].iter_rows():
            weights[name] = weights.get(name, 0.0) + sign * value / equity
    weight = np.array([weights.get(name, 0.0) for name in NAMES])
    forecast = setting.model.at(row["trade_date"])
    assert row["forecast"] == pytest.approx(np.sqrt(5 * weight @ forecast.covariance(NAMES) @ weight))
    active = report.active(found, benchmark)
    inside = active.filter(pl.col("trade_date") > row["trade_date"], pl.col("trade_date") <= row["until"])
    assert inside.height == 5
    assert row["realised"] == pytest.approx(inside["active"].sum(), abs=1e-14)
    place = forecast.places(NAMES)
    assert row["style_beta"] == pytest.approx(
        forecast.exposures[place, -len(risk.FACTORS) + risk.FACTORS.index("style_beta")] @ weight
    )
    whole = risk_by_year(periods).filter(pl.col("year").is_null(), portfolio="active").row(0, named=True)
    values = periods.filter(portfolio="active")
    assert whole["bias"] == pytest.approx(values["value"].std())
    assert whole["realised"] == pytest.approx(np.sqrt((values["realised"].to_numpy() ** 2).mean() / 5) * YEAR)
    total = parts_by_year(active_parts(found, benchmark, setting.model)).row(-1, named=True)
    assert total["active"] == pytest.approx(active["active"].sum())
    assert sum(total[name] for name in ("market", "sector", "style", "specific", "other")) == pytest.approx(
        total["active"]
    )


def test_skfolio_optimises_with_the_covariance_of_the_model(setting: Setting) -> None:
    """The portfolio of least variance in closed form, where no weight is at a bound."""
    pytest.importorskip("skfolio", reason="skfolio is an extra: pip install 'champion[skfolio]'")
    from skfolio.moments import BaseCovariance  # noqa: PLC0415
    from skfolio.optimization import MeanRisk  # noqa: PLC0415
    from skfolio.prior import EmpiricalPrior  # noqa: PLC0415

    forecast = setting.model.at(setting.days[100])

    class Forecast(BaseCovariance):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(nearest=False, higham=False, higham_max_iteration=100)

        def fit(self, X: object, y: object = None) -> Forecast:  # noqa: ARG002, N803
            self.covariance_ = forecast.covariance(NAMES)
            return self

    returns = np.nan_to_num(setting.model.returns[1:101])
    prior = EmpiricalPrior(covariance_estimator=Forecast())
    fitted = MeanRisk(prior_estimator=prior, min_weights=-1.0).fit(returns)
    inverse = np.linalg.solve(forecast.covariance(NAMES), np.ones(len(NAMES)))
    assert fitted.weights_ == pytest.approx(inverse / inverse.sum(), abs=1e-4)
