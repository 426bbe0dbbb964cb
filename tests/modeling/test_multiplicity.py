"""Luck among many trials: critical values in theory, the bootstrap as a plain loop, and rates of error."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import binom

from champion.errors import ModelError
from champion.modeling import multiplicity
from champion.modeling.luck.gate_luck import spent_level
from champion.modeling.multiplicity import Floats, beyond_luck, bootstrap, widening

LEVEL, HORIZON = 0.025, 5
ERROR = math.sqrt(LEVEL * (1 - LEVEL) / multiplicity.DRAWS) / NormalDist().pdf(NormalDist().inv_cdf(1 - LEVEL))


def noise(trials: int, sessions: int = 400, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(0, 0.005, (sessions, trials))


def critical(returns: Floats, independent: int = 0) -> float:
    return beyond_luck(returns, 0, horizon=HORIZON, level=LEVEL, independent=independent).critical


def in_theory(trials: int) -> float:
    """Return the value that the largest of independent standard normal numbers exceeds at the rate of the level."""
    return NormalDist().inv_cdf((1 - LEVEL) ** (1 / trials))


def test_critical_value_of_independent_trials_is_the_theoretical_one() -> None:
    assert critical(noise(1)) == pytest.approx(in_theory(1), abs=4 * ERROR)
    assert critical(noise(2)) == pytest.approx(in_theory(2), abs=4 * ERROR)
    assert critical(noise(20)) == pytest.approx(in_theory(20), abs=4 * ERROR)
    # Those without a series are not drawn: a single series with 19 of them has the same value.
    assert critical(noise(1), independent=19) == pytest.approx(in_theory(20), abs=4 * ERROR)


def test_nearly_equal_trial_hardly_raises_the_critical_value() -> None:
    """With a correlation of 0.99, two normal numbers need 0.053 more (multivariate normal probability)."""
    first, other = noise(2).T
    near = 0.99 * first + math.sqrt(1 - 0.99**2) * other
    alone, both = (beyond_luck(part, 0, horizon=HORIZON, level=LEVEL) for part in (first[:, None], np.c_[first, near]))
    assert 0 <= both.critical - alone.critical < 0.053 + 2 * ERROR
    assert both.effective / alone.effective == pytest.approx(1.16, abs=0.2)
    same = beyond_luck(np.c_[first, first], 0, horizon=HORIZON, level=LEVEL)
    assert same.critical == pytest.approx(alone.critical, abs=1e-9)


def by_loop(returns: Floats, block: int, draws: int) -> Floats:
    """Return the studentised means of each draw, from resampled copies of the rows, session by session."""
    rng, sessions = np.random.default_rng((len(returns), block)), len(returns)
    blocks = math.ceil(sessions / block)
    found = np.empty((draws, returns.shape[1]))
    for draw, starts in enumerate(rng.integers(0, sessions, (draws, blocks))):
        copies = [[returns[(start + day) % sessions] for day in range(block)] for start in starts]
        for trial in range(returns.shape[1]):
            parts = np.array([[row[trial] for row in copy] for copy in copies]) - np.nanmean(returns[:, trial])
            mean, length = np.nansum(parts) / (~np.isnan(parts)).sum(), (~np.isnan(parts)).sum(axis=1)
            scatter = ((np.nansum(parts, axis=1) - mean * length) ** 2).sum()
            statistic, freedom = np.nansum(parts) / math.sqrt(scatter), length.sum() / block - 1
            shrunk = (8 * freedom + 1) / (8 * freedom + 3)
            found[draw, trial] = shrunk * math.copysign(
                math.sqrt(freedom * math.log1p(statistic**2 / freedom)), statistic
            )
    return found


def test_matrix_products_equal_resampled_copies_of_series_with_unknown_cells() -> None:
    returns = noise(3, sessions=90) + 0.001
    returns[:40, 1] = np.nan
    returns[[50, 51, 80], 2] = np.nan
    assert np.allclose(bootstrap(returns, 4, draws=20).drawn, by_loop(returns, 4, 20), atol=1e-9)


def test_another_trial_does_not_change_the_draws_of_the_first_ones() -> None:
    returns = noise(5)
    more, fewer = bootstrap(returns, 8, 500), bootstrap(returns[:, :3], 8, 500)
    assert np.allclose(more.drawn[:, :3], fewer.drawn, atol=1e-9)
    assert np.allclose(more.scores[:3], fewer.scores, atol=1e-12)


def test_series_that_cannot_be_judged_count_as_independent_and_are_refused() -> None:
    returns = noise(5)
    returns[:, 1] = 0.0  # never traded
    returns[60:, 2] = np.nan  # too short
    returns[:, 3] = np.nan
    assert critical(returns) == pytest.approx(critical(returns[:, [0, 4]], independent=3), abs=1e-9)
    for trial in (1, 2, 3):
        luck = beyond_luck(returns, trial, horizon=HORIZON, level=LEVEL)
        assert (luck.passed, luck.p_value, math.isnan(luck.score), luck.independent) == (False, 1.0, True, 3)


def test_trial_that_passes_itself_does_not_count_against_the_next() -> None:
    returns = noise(2) + np.array([0.004, 0.0])
    assert beyond_luck(returns, 0, horizon=HORIZON, level=LEVEL).passed
    second = beyond_luck(returns, 1, horizon=HORIZON, level=LEVEL)
    assert second.critical == pytest.approx(critical(returns[:, [1]]), abs=1e-9)


def test_score_passes_exactly_from_the_needed_sharpe_ratio_on() -> None:
    returns = noise(10)
    first = beyond_luck(returns, 0, horizon=HORIZON, level=LEVEL)
    missing = (first.sharpe_needed - first.sharpe) * returns[:, 0].std(ddof=1) / math.sqrt(252)
    for more, passes in ((0.98, False), (1.02, True)):
        raised = returns.copy()
        raised[:, 0] += missing + (more - 1) * first.sharpe_needed * returns[:, 0].std(ddof=1) / math.sqrt(252)
        assert beyond_luck(raised, 0, horizon=HORIZON, level=LEVEL).passed is passes


def test_searches_without_skill_pass_at_the_stated_rate() -> None:
    """One year, 20 correlated trials with heavy tails, clusters of volatility and series that start late."""
    rng, tries, level, passed = np.random.default_rng(3), 250, 0.05, 0
    for _ in range(tries):
        calm = np.exp(0.4 * np.cumsum(rng.normal(size=252)) / math.sqrt(252))[:, None]
        returns = calm * (rng.standard_t(4, (252, 20)) + rng.standard_t(4, (252, 1)))
        returns[:100, :4] = np.nan
        found = bootstrap(returns, 7, 300)
        best = int(np.nanargmax(found.scores))
        passed += multiplicity.judge(found, best, level=level).passed
    low, high = binom.ppf([0.0005, 0.9995], tries, level)
    assert low <= passed <= high


def test_portfolio_that_keeps_its_instruments_has_a_wider_error() -> None:
    """The means of 60 instruments differ by 0.2; the noise of a mean over 100 periods is 0.1."""
    rng = np.random.default_rng(5)
    active = rng.normal(0, 1, (100, 60)) + rng.normal(0, 0.2, 60)
    kept, changed, benchmark = np.zeros((100, 60)), np.zeros((100, 60)), np.full((100, 60), 1 / 60)
    kept[:, :20] = 1 / 20
    np.put_along_axis(changed, rng.random((100, 60)).argsort(axis=1)[:, :20], 1 / 20, axis=1)
    # Variances: 0.01 of noise and 0.04 of the differences in means, of which a changing portfolio has little.
    assert widening(kept, benchmark, active) == pytest.approx(math.sqrt(5), rel=0.35)
    assert widening(changed, benchmark, active) == pytest.approx(1.0, abs=0.15)
    assert math.isnan(widening(np.zeros((100, 60)), benchmark, active))
    rounded = np.full((100, 60), 1.0) / np.full((100, 60), 60.0) * (1 + 1e-16) - np.eye(100, 60) * 1e-17
    assert widening(rounded, benchmark, active) == 1.0, "it holds what its benchmark holds"
    luck = [
        beyond_luck(noise(1) + 0.0006, 0, horizon=HORIZON, level=LEVEL, wider=np.array([wider])) for wider in (1.0, 2.0)
    ]
    assert luck[1].score == pytest.approx(luck[0].score / 2, rel=0.02)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_decisions_spend_no_more_than_the_level(new: list[int]) -> None:
    counts = np.cumsum([0, *new])
    spent = [spent_level(LEVEL, after, before) * (after - before) / after for before, after in pairwise(counts)]
    assert 0 < sum(spent) < LEVEL
    assert all(spent_level(LEVEL, after, before) <= LEVEL for before, after in pairwise(counts))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=40))
def test_decisions_about_refits_spend_no_more_than_the_level(steps: list[tuple[int, int]]) -> None:
    """Each step records trials and refits, then decides; the rate of the new chances is their part of the scores."""
    trials, refits, spent = 1, 0, spent_level(LEVEL, 1)
    for new, again in steps:
        before, trials, refits = trials, trials + new, refits + again
        level, chances = spent_level(LEVEL, trials, before, refits, own=again), max(new, 1)
        assert level <= LEVEL
        # A decision without a new trial is about at least one refit; asking again about the same series is free.
        spent += level * chances / (trials + again) if new or again else 0.0
    assert 0 < spent < LEVEL


def refitted(rng: np.random.Generator, alike: float, refits: int, first: int = 252) -> Floats:
    """Return the series of one trial without skill that is fitted again each week, with this correlation to the first.

    1 is one series that grows longer; 0 is another model each week.
    """
    sessions = first + 5 * (refits - 1)
    same, returns = rng.standard_t(4, sessions), np.full((sessions, refits), np.nan)
    for number in range(refits):
        until = first + 5 * number
        fresh = rng.standard_t(4, until) if alike < 1 else 0.0
        returns[:until, number] = math.sqrt(alike) * same[:until] + math.sqrt(1 - alike) * fresh
    return returns


@pytest.mark.parametrize("alike", [1.0, 0.8, 0.0])
def test_trial_without_skill_is_hardly_ever_promoted_however_often_it_is_refitted(alike: float) -> None:
    """15 weekly refits, each judged when it is recorded; at the whole level for each, far more pass."""
    rng, tries, level, ever, each = np.random.default_rng(8), 60, 0.1, 0, 0
    levels = [spent_level(level, 1, min(number, 1), number, number) for number in range(15)]
    for _ in range(tries):
        found = bootstrap(refitted(rng, alike, 15), 7, 500)
        rates = [((found.drawn[:, : n + 1].max(axis=1) >= found.scores[n]).sum() + 1) / 501 for n in range(15)]
        ever += bool((np.array(rates) <= levels).any())
        alone = ((found.drawn >= found.scores).sum(axis=0) + 1) / 501
        each += bool((alone <= level).any())
    assert ever <= binom.ppf(0.999, tries, level)
    assert each > 1.5 * ever


def test_long_horizon_of_another_trial_neither_raises_the_block_nor_is_taken_out() -> None:
    returns = noise(2) + np.array([0.0, 0.01])
    short = beyond_luck(returns, 0, horizon=HORIZON, level=LEVEL)
    long = beyond_luck(returns, 0, horizon=HORIZON, level=LEVEL, lasting=[1])
    assert short.block == long.block == 8
    assert short.critical == pytest.approx(in_theory(1), abs=4 * ERROR), "the second passes itself, so one is left"
    assert long.critical == pytest.approx(in_theory(2), abs=4 * ERROR), "its error may be understated, so it counts"
    assert beyond_luck(returns, 1, horizon=250, level=LEVEL, lasting=[1]).sessions == 400
    nothing = noise(2)
    nothing[:, 0] = 0.0
    assert beyond_luck(nothing, 0, horizon=HORIZON, level=LEVEL, lasting=[1]).p_value == 1.0


def test_account_that_decides_once_a_year_passes_at_the_stated_rate_by_the_longest_block() -> None:
    """Four years of returns without skill with clusters of volatility; 10 of 40 instruments are held for 250 sessions.

    Its daily returns do not depend on each other although its horizon does, so blocks of a quarter are long enough.
    """
    rng, tries, level, passed = np.random.default_rng(4), 60, 0.1, 0
    block = multiplicity.block_length(1000, 250)
    assert block == multiplicity.LONGEST_BLOCK
    for _ in range(tries):
        calm = np.exp(0.5 * np.cumsum(rng.normal(size=1000)) / math.sqrt(252))[:, None]
        returns = calm * rng.standard_t(4, (1000, 40))
        active = np.empty(1000)
        for year in range(0, 1000, 250):
            held = rng.choice(40, 10, replace=False)
            part = returns[year : year + 250]
            active[year : year + 250] = part[:, held].mean(axis=1) - part.mean(axis=1)
        passed += beyond_luck(active[:, None], 0, horizon=250, level=level, draws=300).passed
    low, high = binom.ppf([0.0005, 0.9995], tries, level)
    assert low <= passed <= high


def test_bad_input_is_refused() -> None:
    with pytest.raises(ModelError, match="trial 5 is not among 2 trials"):
        beyond_luck(noise(2), 5, horizon=HORIZON, level=LEVEL)
    with pytest.raises(ModelError, match="1 daily returns are infinite"):
        bootstrap(np.array([[0.1], [np.inf], [0.2]]), 1, 10)
    with pytest.raises(ModelError, match="blocks of 9 sessions do not fit 3 sessions"):
        bootstrap(np.zeros((3, 1)), 9, 10)
