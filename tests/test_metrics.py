"""Metrics against scipy, the paper's example and hand calculations; laws of ranks and of portfolios."""

from __future__ import annotations

import math
from datetime import date, timedelta
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st
from scipy.stats import pearsonr, spearmanr

from champion import metrics

FIRST = date(2024, 1, 1)
TIED = st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 2.0])  # few values, so that equal ones are common
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
def test_coefficients_equal_scipy_also_where_values_are_equal(pairs: list[tuple[float, float]]) -> None:
    scores, returns = [one for one, _ in pairs], [other for _, other in pairs]
    frame = session(scores, returns)
    if len(set(scores)) < 2 or len(set(returns)) < 2:
        assert metrics.rank_ic(frame).is_empty()
        return
    assert metrics.rank_ic(frame)["ic"].to_list() == pytest.approx([spearmanr(scores, returns).statistic], abs=1e-12)
    found = metrics.information_coefficient(frame)["ic"].to_list()
    assert found == pytest.approx([pearsonr(scores, returns).statistic], abs=1e-12)


def test_each_session_has_its_own_coefficient_and_unknown_returns_do_not_count() -> None:
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
    assert overlapping["t"] == pytest.approx(2.0)  # three sessions of labels three sessions long are one observation


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
def test_the_order_of_rows_changes_nothing_even_where_scores_are_equal(
    pairs: list[tuple[float, float]], random: Random
) -> None:
    frame = session([one for one, _ in pairs], [other for _, other in pairs])
    rows = list(range(frame.height))
    random.shuffle(rows)
    shuffled = frame[rows]
    quantiles = [metrics.quantile_returns(one, 3)["mean_return"].to_list() for one in (frame, shuffled)]
    gross = [metrics.long_short_return(one, horizon=1)["gross_return"].to_list() for one in (frame, shuffled)]
    assert quantiles[1] == pytest.approx(quantiles[0], abs=1e-12)
    assert gross[1] == pytest.approx(gross[0], abs=1e-12)


def test_equal_scores_earn_nothing_because_they_choose_nobody() -> None:
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
    # half the capital long A, half short E; then turned round; then kept
    assert found["gross_return"].to_list() == pytest.approx([0.03, 0.04, -0.05])
    assert found["turnover"].to_list() == pytest.approx([1.0, 2.0, 0.0])
    assert found["net_return"].to_list() == pytest.approx([0.02, 0.02, -0.05])
    assert found["equity"].to_list() == pytest.approx([1.02, 1.02**2, 1.02**2 * 0.95])


def test_going_flat_is_paid_for() -> None:
    opened = session([0.9, 0.5, 0.1], [0.02, 0.0, 0.0])
    flat = session([0.5, 0.5, 0.5], [0.5, 0.6, 0.7], FIRST + timedelta(days=1))
    found = metrics.long_short_return(pl.concat([opened, flat]), horizon=1, cost_bps=100)
    assert found["turnover"].to_list() == [1.0, 1.0]
    assert found["net_return"].to_list() == pytest.approx([0.0, -0.01])


def test_no_known_return_gives_no_rebalance() -> None:
    unknown = session([0.5, 0.6], [0.0, 0.0]).with_columns(forward_return=pl.lit(None, pl.Float64))
    assert metrics.long_short_return(unknown, horizon=1).is_empty()
    assert metrics.rank_ic(unknown).is_empty()


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
    assert metrics.max_drawdown(pl.Series([0.9, 0.95])) == pytest.approx(-0.1)  # below the capital it began with
    assert metrics.max_drawdown(pl.Series([1.1, 1.2])) == 0.0
