"""The risk model on a simulated market whose true covariance is known, and laws of its forecasts."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from risk_markets import LONG, NAMES, SECTORS, SESSIONS, Market, weekdays

from champion.errors import UsageError
from champion.market.actions.adjustment import chained
from champion.modeling import risk
from champion.modeling.risk.covariance import factor_covariance, shrunk_variances, weighted_covariance
from champion.modeling.risk.exposures import LOOKBACK
from champion.modeling.styles import STYLES, styles


@pytest.fixture(scope="module")
def market() -> Market:
    return Market()


@pytest.fixture(scope="module")
def model(market: Market) -> risk.RiskModel:
    return risk.fit(market.bars, market.known, LONG)


def deviations(covariance: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt((weights * (covariance @ weights)).sum(axis=0)), np.float64)


def test_forecasts_are_the_true_risk_of_long_and_of_active_portfolios(market: Market, model: risk.RiskModel) -> None:
    """The standard error of a deviation from n normal returns is 1 / sqrt(2 n): 2.7% of it here; 4 of them pass."""
    forecast = model.at(market.days[-1])
    random = np.random.default_rng(2)
    long_only = random.dirichlet(np.ones(60), 40).T
    active = long_only - 1 / 60
    assert forecast.instruments == tuple(NAMES)
    for weights in (long_only, active):
        ratio = forecast.volatilities(weights) / deviations(market.covariance, weights)
        assert np.abs(ratio - 1).max() < 4 / np.sqrt(2 * SESSIONS)
    whole = forecast.covariance(NAMES)
    assert np.linalg.norm(whole - market.covariance) < 0.15 * np.linalg.norm(market.covariance)
    assert np.linalg.eigvalsh(whole).min() > 0
    assert forecast.volatility({NAMES[3]: 1.0}) == pytest.approx(np.sqrt(whole[3, 3]))


def test_the_bias_of_right_forecasts_is_near_one_and_of_halved_ones_near_two(
    market: Market, model: risk.RiskModel
) -> None:
    named = risk.portfolios_of(model, random=3)
    values = risk.standardised(model, named)
    whole = risk.bias_by_year(values).filter(pl.col("year").is_null())
    assert {"equal-weighted", "sector IT", "top style_beta", "active random 1"} <= set(whole["portfolio"])
    assert whole["periods"].unique().to_list() == [SESSIONS - 60 - 1]
    assert whole["bias"].is_between(0.85, 1.15).all(), whole
    inside = whole.select((pl.col("bias").is_between("low", "high")).mean()).item()
    assert inside > 0.75  # 95% if forecasts were exact
    halved = values.with_columns(pl.col("value") * 2)
    assert (risk.bias_by_year(halved)["bias"] > 1.3).all()
    own = pl.DataFrame({"trade_date": market.days, "instrument_id": NAMES[0], "weight": 0.5})
    weekly = risk.standardised(model, own, horizon=5)
    assert weekly["until"][0] == weekly["trade_date"][1], "periods follow each other without overlap"
    assert 0.7 < risk.bias_by_year(weekly)["bias"][0] < 1.3


def test_returns_are_split_exactly_and_sectors_sum_to_zero(market: Market, model: risk.RiskModel) -> None:
    row = 300
    places, exposed = model.exposed(row - 1)
    explained = exposed @ np.nan_to_num(model.of_factors[row]) + model.specific[row, places]
    assert explained == pytest.approx(model.returns[row, places], abs=1e-12)
    weights = np.sqrt(market.known.filter(trade_date=market.days[row - 1])["traded_value"].to_numpy())
    by_sector = exposed[:, 1:4].T @ weights
    assert by_sector @ model.of_factors[row, 1:4] == pytest.approx(0.0, abs=1e-12)
    # Weighted least squares: specific returns are orthogonal to each exposure.
    assert exposed.T @ (weights * model.specific[row, places]) / weights.sum() == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=4, deadline=None)
@given(place=st.integers(80, 110), seed=st.integers(0, 10**6))
def test_a_forecast_uses_no_return_after_its_session(market: Market, place: int, seed: int) -> None:
    """Bars after the session are dropped, or are others: bits stay the same."""
    short = pl.col("trade_date") <= market.days[120]
    bars, known, day = market.bars.filter(short), market.known.filter(short), market.days[place]
    later = pl.col("trade_date") > day
    noise = pl.Series(np.random.default_rng(seed).uniform(0.5, 2.0, bars.height))
    other = bars.with_columns(pl.when(later).then(pl.col("close") * noise).otherwise("close"))
    whole = risk.fit(other, known).at(day)
    alone = risk.fit(bars.filter(~later), known.filter(~later)).at(day)
    assert whole.instruments == alone.instruments
    for name in ("exposures", "factor_covariance", "specific_variance"):
        assert getattr(whole, name).tobytes() == getattr(alone, name).tobytes()


@settings(max_examples=4, deadline=None)
@given(place=st.integers(80, 110), seed=st.integers(0, 10**6))
def test_neither_a_later_action_nor_a_later_sector_changes_a_forecast(market: Market, place: int, seed: int) -> None:
    """Prices in paise have many equal returns, whose ranks a rounding by later actions would change."""
    random, days, day = np.random.default_rng(seed), market.days[:125], market.days[place]
    steps = random.integers(-2, 3, (len(days), len(NAMES)))
    closes = np.maximum(1000 + np.cumsum(steps, axis=0), 5) / 100 * random.choice([1, 2, 5], len(NAMES))
    keys = pl.DataFrame({"trade_date": days}).join(pl.DataFrame({"instrument_id": NAMES}), how="cross")
    bars = keys.with_columns(close=pl.Series(closes.ravel()).round(2), turnover=pl.Series(closes.ravel() * 1e6))
    number = pl.col("instrument_id").str.slice(1).cast(pl.Int64)
    moved = (pl.col("trade_date") > day) & (number < 10)  # a sector that no share had before
    sectors = keys.with_columns(sector=pl.when(moved).then(pl.lit("Diversified")).otherwise(pl.lit("IT")))
    chosen = random.choice(NAMES, 20, replace=False)
    factors = pl.DataFrame(
        {
            "instrument_id": chosen, "ex_date": [days[each] for each in random.integers(70, 124, 20)],
            "kind": ["split", "dividend"] * 10, "price_factor": random.choice([3.0, 1.0137, 7.0], 20),
        }
    )  # fmt: skip

    def forecast(last: date) -> risk.Forecast:
        until = pl.col("trade_date") <= last
        adjusted = chained(bars.filter(until), factors.filter(pl.col("ex_date") <= last), total_return=True)
        return risk.fit(adjusted, risk.exposures(adjusted, sectors.filter(until))).at(day)

    alone, whole = forecast(day), forecast(days[-1])
    assert whole.instruments == alone.instruments
    difference = np.abs(whole.covariance(NAMES) - alone.covariance(NAMES)).max()
    assert difference < 1e-12 * np.abs(alone.covariance(NAMES)).max()


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 6), st.floats(2.0, 100.0))
def test_covariances_are_semidefinite_and_without_decay_those_of_numpy(seed: int, lags: int, half_life: float) -> None:
    random = np.random.default_rng(seed)
    returns = random.normal(0, 0.01, (40, 5))
    whole = weighted_covariance(returns, 1e12)
    assert whole == pytest.approx(returns.T @ returns / 40, rel=1e-9)
    returns[random.random(returns.shape) < 0.2] = np.nan
    found = factor_covariance(returns, (half_life, 3 * half_life), lags)
    assert np.linalg.eigvalsh(found).min() > -1e-12 * np.trace(found)


def test_the_lags_forecast_the_variance_of_a_sum_of_dependent_returns() -> None:
    """Of a moving average e(t) + 0.5 e(t-1) the long-run variance is (1 + 0.5)^2, that of a session 1 + 0.5^2."""
    shocks = np.random.default_rng(4).normal(0, 1, 5_001)
    returns = (shocks[1:] + 0.5 * shocks[:-1])[:, None]
    assert weighted_covariance(returns, 1e12)[0, 0] == pytest.approx(1.25, rel=0.06)
    assert weighted_covariance(returns, 1e12, lags=20)[0, 0] == pytest.approx(2.25 - 1 / 21, rel=0.15)


@given(st.integers(0, 10**6), st.floats(0.0, 200.0))
def test_shrinkage_lies_between_own_and_group_variance(seed: int, prior: float) -> None:
    random = np.random.default_rng(seed)
    counts, groups = random.uniform(1, 100, 20), random.integers(0, 3, 20)
    own = random.uniform(1e-4, 1e-2, 20)
    found = shrunk_variances(own * counts, counts, groups, prior)
    means = [np.average(own[groups == group], weights=counts[groups == group]) for group in groups]
    assert (found >= np.minimum(own, means) * (1 - 1e-12)).all()
    assert (found <= np.maximum(own, means) * (1 + 1e-12)).all()


def test_what_is_not_known_has_no_forecast_or_that_of_its_group(market: Market) -> None:
    """A share that is new has the mean of its fifth, a new sector the mean of sectors; a gap has no return."""
    new = pl.col("instrument_id") == NAMES[0]
    days = market.days[:100]
    early = pl.col("trade_date") <= days[-1]
    is_new = new & (pl.col("trade_date") < days[-1])
    gap = (pl.col("instrument_id") == NAMES[5]) & (pl.col("trade_date") == days[50])
    renamed = pl.when(new).then(pl.lit("Power")).otherwise("sector").alias("sector")
    bars, known = market.bars.filter(early, ~is_new, ~gap), market.known.filter(early, ~is_new, ~gap)
    model = risk.fit(bars, known.with_columns(renamed), LONG)
    explained = model.specific_returns.filter(instrument_id=NAMES[5])["trade_date"]
    assert set(days[1:]) - set(explained) == {days[50], days[51]}
    with pytest.raises(UsageError, match=r"59 sessions of factor returns up to .*: a forecast needs 60"):
        model.at(days[59])
    assert model.known_from() == days[60]
    with pytest.raises(UsageError, match="the risk model has no session 2030-01-01; its sessions are from"):
        model.at(date(2030, 1, 1))
    before, after = model.at(days[-2]), model.at(days[-1])
    assert np.isnan(before.volatility({NAMES[0]: 1.0}))
    with pytest.raises(UsageError, match=f"the risk of 1 instrument is not known on .*, first {NAMES[0]}"):
        before.covariance([NAMES[0]])
    variances = np.diag(after.factor_covariance)
    place = model.factors.index("Power")
    others = [model.factors.index(name) for name in SECTORS]
    assert variances[place] == pytest.approx(variances[others].mean())
    assert np.count_nonzero(after.factor_covariance[place]) == 1
    assert after.specific_variance[0] > 0


def test_exposures_are_the_styles_and_momentum_known_at_the_close() -> None:
    random, days = np.random.default_rng(8), weekdays(LOOKBACK + 1)
    closes = 100 * np.cumprod(1 + random.normal(0, 0.02, (len(days), 8)), axis=0)
    closes[:200, 7] = np.nan  # listed late: no momentum yet
    names = [f"N{number}" for number in range(8)]
    keys = pl.DataFrame({"trade_date": days}).join(pl.DataFrame({"instrument_id": names}), how="cross")
    bars = keys.with_columns(close=pl.Series(closes.ravel()).fill_nan(None), turnover=pl.lit(1e7)).drop_nulls()
    sectors = keys.with_columns(sector=pl.lit("IT")).filter(pl.col("instrument_id") != "N0")
    found = risk.exposures(bars, sectors).filter(trade_date=days[-1]).sort("instrument_id")
    expected = styles(bars).filter(trade_date=days[-1]).sort("instrument_id")
    assert found.select(STYLES).equals(expected.select(STYLES))
    momentum = closes[-22, :7] / closes[-253, :7] - 1
    assert (found["style_momentum"][:7].rank() - 1).to_list() == np.argsort(np.argsort(momentum)).tolist()
    assert found["style_momentum"][7] == 0.0
    assert found["sector"].to_list() == ["Other", *["IT"] * 7], "one member of Unknown is too few for a factor"
    earlier = risk.exposures(bars.filter(pl.col("trade_date") <= days[-40]), sectors)
    assert earlier.equals(risk.exposures(bars, sectors).filter(pl.col("trade_date") <= days[-40]))
    with pytest.raises(UsageError, match="the sectors name N1 twice on"):
        risk.exposures(bars, pl.concat([sectors, sectors.head(1)]))
