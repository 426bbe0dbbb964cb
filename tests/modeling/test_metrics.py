"""Compare metrics with SciPy, the paper's example and hand calculations."""

from __future__ import annotations

import math
from datetime import date, timedelta
from random import Random
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st
from scipy.stats import pearsonr, spearmanr

from champion import indicators
from champion.modeling import metrics
from champion.pipeline.models import trials

FIRST = date(2024, 1, 1)
TIED = st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 2.0])  # few values, so ties are common
PAIRS = st.lists(st.tuples(TIED, TIED), min_size=3, max_size=12)


def session(scores: list[float], returns: list[float], day: date = FIRST) -> pl.DataFrame:
    """One session's scores, for instruments A, B, C and so on."""
    return pl.DataFrame(
        {
            "trade_date": [day] * len(scores),
            "instrument_id": [chr(65 + number) for number in range(len(scores))],
            "score": scores,
            "forward_return": returns,
        }
    )


@given(PAIRS)
def test_coefficients_equal_scipy(pairs: list[tuple[float, float]]) -> None:
    scores, returns = [one for one, _ in pairs], [other for _, other in pairs]
    frame = session(scores, returns)
    if len(set(scores)) < 2 or len(set(returns)) < 2:
        assert metrics.rank_ic(frame).is_empty()
        return
    assert metrics.rank_ic(frame)["ic"].to_list() == pytest.approx([spearmanr(scores, returns).statistic], abs=1e-12)
    found = metrics.information_coefficient(frame)["ic"].to_list()
    assert found == pytest.approx([pearsonr(scores, returns).statistic], abs=1e-12)


def test_coefficients_are_per_session_without_unknown_returns() -> None:
    up = session([1.0, 2.0, 3.0, 4.0], [0.1, 0.2, 0.3, 0.4])
    down = session([1.0, 2.0, 3.0], [0.3, 0.2, 0.1], FIRST + timedelta(days=1))
    unknown = session([9.0], [0.0], FIRST + timedelta(days=1)).with_columns(forward_return=pl.lit(None, pl.Float64))
    few = session([1.0, 2.0], [0.1, 0.2], FIRST + timedelta(days=2))
    assert metrics.rank_ic(pl.concat([few, unknown, down, up]))["ic"].to_list() == pytest.approx([1.0, -1.0])


def test_summary_of_coefficients_by_hand() -> None:
    found = metrics.summarise_ic(pl.DataFrame({"ic": [0.1, 0.3, None, 0.2]}))
    assert found["mean"] == pytest.approx(0.2)
    assert found["std"] == pytest.approx(0.1)
    assert found["icir"] == pytest.approx(2.0)
    assert found["sessions"] == 3.0
    assert found["t"] == pytest.approx(2.0 * math.sqrt(3))
    overlapping = metrics.summarise_ic(pl.DataFrame({"ic": [0.1, 0.3, None, 0.2]}), horizon=3)
    assert overlapping["t"] == pytest.approx(2.0)  # three overlapping labels of three sessions are one observation


def test_worthless_models_are_rarely_called_significant() -> None:
    rng, found = np.random.default_rng(7), 0
    for _ in range(400):
        overlapping = np.convolve(rng.normal(size=254), np.ones(5) / 5, mode="valid")
        found += metrics.summarise_ic(pl.DataFrame({"ic": overlapping}), 5)["t"] > 2
    assert found / 400 < 0.05  # 2.3% by the normal distribution


def test_one_coefficient_has_no_spread() -> None:
    found = metrics.summarise_ic(pl.DataFrame({"ic": [0.1]}))
    assert all(math.isnan(found[name]) for name in ("std", "icir", "t"))


def test_quantiles_by_hand() -> None:
    returns = [0.05, 0.01, 0.03, 0.02, 0.04, 0.00]
    frame = session([0.9, 0.2, 0.6, 0.3, 0.7, 0.1], returns)
    shifted = frame.with_columns(pl.col("trade_date") + timedelta(days=1), pl.col("forward_return") + 0.1)
    found = metrics.quantile_returns(pl.concat([frame, shifted]), 3)
    assert found["quantile"].to_list() == [1, 2, 3]
    assert found["mean_return"].to_list() == pytest.approx([0.055, 0.075, 0.095])


@given(PAIRS, st.randoms(use_true_random=False))
def test_row_order_has_no_effect_on_equal_scores(pairs: list[tuple[float, float]], random: Random) -> None:
    frame = session([one for one, _ in pairs], [other for _, other in pairs])
    rows = list(range(frame.height))
    random.shuffle(rows)
    shuffled = frame[rows]
    quantiles = [metrics.quantile_returns(one, 3)["mean_return"].to_list() for one in (frame, shuffled)]
    gross = [metrics.long_short_return(one, horizon=1)["gross_return"].to_list() for one in (frame, shuffled)]
    assert quantiles[1] == pytest.approx(quantiles[0], abs=1e-12)
    assert gross[1] == pytest.approx(gross[0], abs=1e-12)


def test_equal_scores_hold_no_positions() -> None:
    found = metrics.long_short_return(session([0.5] * 10, [0.01 * n for n in range(10)]), horizon=1, cost_bps=10)
    assert found.select("gross_return", "turnover", "equity").row(0) == (0.0, 0.0, 1.0)
    assert metrics.quantile_returns(session([0.5] * 4, [0.0, 0.1, 0.2, 0.3]), 3).rows() == [(2, pytest.approx(0.15))]


def test_a_long_short_portfolio_by_hand() -> None:
    first = session([0.9, 0.8, 0.5, 0.2, 0.1], [0.04, 0.02, 0.0, -0.01, -0.02])
    between = session([0.1, 0.2, 0.5, 0.8, 0.9], [9.0] * 5, FIRST + timedelta(days=1))  # no rebalance: not traded
    second = session([0.1, 0.2, 0.5, 0.8, 0.9], [0.02, 0.0, 0.0, 0.0, 0.10], FIRST + timedelta(days=2))
    third = session([0.1, 0.2, 0.5, 0.8, 0.9], [0.00, 0.0, 0.0, 0.0, -0.10], FIRST + timedelta(days=4))
    filler = session([0.5] * 5, [9.0] * 5, FIRST + timedelta(days=3))
    frame = pl.concat([third, first, filler, between, second])
    found = metrics.long_short_return(frame, horizon=2, cost_bps=100)
    assert found["trade_date"].to_list() == [FIRST + timedelta(days=n) for n in (0, 2, 4)]
    # half the capital long A, half short E; then reversed; then kept, which trades back the drift
    turned = (0.5 + 0.5 * 1.04 / 1.03) + (0.5 + 0.5 * 0.98 / 1.03)
    kept = (0.5 * 1.10 / 1.04 - 0.5) + (0.5 - 0.5 * 1.02 / 1.04)
    assert found["gross_return"].to_list() == pytest.approx([0.03, 0.04, -0.05])
    assert found["turnover"].to_list() == pytest.approx([1.0, turned, kept])
    net = [0.03 - 0.01, 0.04 - 0.01 * turned, -0.05 - 0.01 * kept]
    assert found["net_return"].to_list() == pytest.approx(net)
    assert found["equity"].to_list() == pytest.approx(np.cumprod([1 + one for one in net]).tolist())


def test_closing_all_positions_has_costs() -> None:
    opened = session([0.9, 0.5, 0.1], [0.02, 0.0, 0.0])
    flat = session([0.5, 0.5, 0.5], [0.5, 0.6, 0.7], FIRST + timedelta(days=1))
    found = metrics.long_short_return(pl.concat([opened, flat]), horizon=1, cost_bps=100)
    assert found["turnover"].to_list() == pytest.approx([1.0, (0.5 * 1.02 + 0.5) / 1.01])
    assert found["net_return"].to_list() == pytest.approx([0.0, -0.01])


def test_unknown_returns_give_no_rebalance() -> None:
    unknown = session([0.5, 0.6], [0.0, 0.0]).with_columns(forward_return=pl.lit(None, pl.Float64))
    assert metrics.long_short_return(unknown, horizon=1).is_empty()
    assert metrics.rank_ic(unknown).is_empty()


SAME = st.floats(1e-9, 1e9) | st.floats(-1e9, -1e-9)
RATES = st.floats(-0.5, 0.5)


def residue(value: float, count: int, scale: float) -> list[float]:
    """Return numbers that differ from `value` by a few rounding errors at `scale`."""
    return [value + (number % 3 - 1) * 2 * np.spacing(scale) for number in range(count)]


@given(rate=RATES, count=st.integers(2, 400), rounded=st.booleans())
def test_constant_returns_have_no_sharpe_ratio_and_constant_coefficients_no_t(
    rate: float, count: int, rounded: bool
) -> None:
    values = residue(rate, count, 1.0) if rounded else [rate] * count
    assert math.isnan(metrics.sharpe_ratio(pl.Series(values), metrics.SESSIONS_PER_YEAR))
    found = metrics.summarise_ic(pl.DataFrame({"ic": values}), 5)
    assert found["mean"] == pytest.approx(rate, abs=1e-12)
    assert (found["std"], math.isnan(found["icir"]), math.isnan(found["t"])) == (0.0, True, True)
    assert trials.deflated(trials.Trials(3, (0.1, 0.2, 0.3), pl.DataFrame()), pl.Series(values)) == {"trials": 4.0}


@given(score=SAME, count=st.integers(3, 400), rounded=st.booleans(), of_returns=st.booleans())
def test_constant_scores_or_returns_have_no_coefficient_and_no_positions(
    score: float, count: int, rounded: bool, of_returns: bool
) -> None:
    same = residue(score, count, score) if rounded else [score] * count
    other = [float(number % 7) for number in range(count)]
    frame = session(other, [one / 1e9 for one in same]) if of_returns else session(same, other)
    assert metrics.information_coefficient(frame).is_empty()
    assert metrics.rank_ic(frame).is_empty()
    if not of_returns:
        assert metrics.quantile_returns(frame).height == 1
        assert metrics.long_short_return(frame, horizon=1)["turnover"].to_list() == [0.0]


@given(st.lists(st.floats(-100, 100), min_size=3, max_size=40, unique=True), st.integers(-40, 40))
def test_small_scores_are_ranked_in_any_unit(values: list[float], power: int) -> None:
    spread = (max(values) - min(values)) / max(map(abs, values))
    frame = session([one * 2.0**power for one in values], [float(number) for number in range(len(values))])
    assert metrics.rank_ic(frame).height == (spread > 1e-12)


@given(st.lists(st.lists(RATES, min_size=5, max_size=5), min_size=2, max_size=6))
def test_turnover_equals_a_plain_loop_over_drifted_weights(returns: list[list[float]]) -> None:
    scores = [0.9, 0.8, 0.5, 0.2, 0.1]
    turning = [scores[at % 2 :] + scores[: at % 2] for at in range(len(returns))]
    rows = enumerate(zip(turning, returns, strict=True))
    frames = [session(ranked, row, FIRST + timedelta(at)) for at, (ranked, row) in rows]
    found = metrics.long_short_return(pl.concat(frames), horizon=1)
    weights, expected = [0.0] * 5, []
    for ranked, row in zip(turning, returns, strict=True):
        target = [0.5 if one == 0.9 else -0.5 if one == 0.1 else 0.0 for one in ranked]
        expected.append(sum(abs(new - old) for new, old in zip(target, weights, strict=True)))
        capital = 1 + sum(weight * rate for weight, rate in zip(target, row, strict=True))
        weights = [weight * (1 + rate) / capital for weight, rate in zip(target, row, strict=True)]
    assert found["turnover"].to_list() == pytest.approx(expected, abs=1e-12)


def test_metrics_and_indicators_annualise_alike() -> None:
    closes = pl.DataFrame({"close": [100.0, 101.0, 100.0]})
    of_indicator = closes.select(indicators.realised_volatility(pl.col("close"), 2)).to_series()[-1]
    by_hand = np.std([math.log(1.01), -math.log(1.01)], ddof=1) * math.sqrt(metrics.SESSIONS_PER_YEAR)
    assert of_indicator == pytest.approx(by_hand)


def test_sharpe_ratio_by_hand() -> None:
    assert metrics.sharpe_ratio(pl.Series([0.01, 0.03]), 8) == pytest.approx(4.0)  # 0.02 / 0.01414 * sqrt(8)
    assert math.isnan(metrics.sharpe_ratio(pl.Series([0.01]), 8))


@pytest.mark.parametrize(
    ("trials", "skew", "kurtosis", "probability"),
    [(100, -3, 10, 0.9004), (46, -3, 10, 0.9505), (88, 0, 3, 0.9505)],
)
def test_the_papers_deflated_sharpe_ratios(trials: int, skew: float, kurtosis: float, probability: float) -> None:
    """Bailey and Lopez de Prado (2014), numerical example: Sharpe 2.5 a year, 1,250 days, variance of trials 1/2."""
    found = metrics.deflated_sharpe_ratio(
        2.5 / math.sqrt(250), trials=trials, variance=0.5 / 250, periods=1250, skew=skew, kurtosis=kurtosis
    )
    assert found == pytest.approx(probability, abs=5e-5)


def test_one_trial_needs_no_deflation() -> None:
    found = metrics.deflated_sharpe_ratio(0.1, trials=1, variance=0.0, periods=401)
    assert found == pytest.approx(0.9770, abs=5e-4)  # the normal distribution at 0.1 * 20 / sqrt(1.005)


def test_max_drawdown_by_hand() -> None:
    assert metrics.max_drawdown(pl.Series([1.25, 1.0, 0.5, 1.0])) == pytest.approx(-0.6)
    assert metrics.max_drawdown(pl.Series([0.9, 0.95])) == pytest.approx(-0.1)  # below the initial capital
    assert metrics.max_drawdown(pl.Series([1.1, 1.2])) == 0.0


@pytest.mark.parametrize(
    "asked", [{"periods": 1}, {"periods": 400, "skew": 50.0}, {"periods": 400, "kurtosis": -900.0}]
)
def test_impossible_deflated_sharpe_ratio_is_nan(asked: dict[str, Any]) -> None:
    assert math.isnan(metrics.deflated_sharpe_ratio(0.5, trials=2, variance=0.1, **asked))


def test_metrics_have_the_same_bits_in_every_run() -> None:
    """Sums over groups have one order: a published result is compared by its hash."""
    drawn = np.random.default_rng(5)
    scores = pl.concat(
        session(drawn.normal(size=60).tolist(), drawn.normal(0, 0.02, 60).tolist(), FIRST + timedelta(days=day))
        for day in range(200)
    )

    def digests() -> list[int]:
        frames = [
            metrics.rank_ic(scores),
            metrics.information_coefficient(scores),
            metrics.quantile_returns(scores),
            metrics.long_short_return(scores, horizon=5, cost_bps=10.0),
        ]
        return [int(frame.hash_rows().sum()) for frame in frames]

    assert [digests() for _ in range(10)] == [digests()] * 10
