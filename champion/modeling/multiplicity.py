"""Luck among many trials: what the best of all recorded trials would show without skill.

1. Each trial has a series of daily net active returns, with unknown cells where it has no session.
2. Whole blocks of sessions are drawn with replacement, the same ones for all trials, so that the dependence between
   trials and between near sessions is kept (circular block bootstrap). A draw is a count of each block, and the sums of
   all draws are one matrix product.
3. In each draw a trial's mean, less its own mean over all sessions, is divided by its standard error over the draw's
   blocks. The statistic of the sessions themselves is computed alike, so that few blocks, heavy tails and clusters of
   volatility widen both.
4. A portfolio that keeps its instruments can owe its return to a few that rose for years, by luck: its sessions are
   many, and its independent picks few. `widening` compares the variance clustered by session and by instrument with the
   one clustered by session alone; the standard error of the trial grows by this factor.
5. A series of few blocks has wider tails. Statistics of all series become comparable as standard normal scores (Wallace
   1959), and trials without a series count as independent scores.
6. The critical value is the quantile of the largest score of a draw. Trials above the candidate that pass themselves do
   not count against it (step-down).
7. A trial whose returns depend on each other for longer than a block may look better than it is, so it always counts
   against the candidate: the step-down never takes it out. Its drawn scores need no longer blocks, because each draw is
   divided by its own error.
8. Each recorded series is another chance to be fooled: `gate_luck.spent_level` divides the level over them.

Sources: H. White, A Reality Check for Data Snooping, Econometrica 68 (2000); J. Romano and M. Wolf, Stepwise Multiple
Testing as Formalized Data Snooping, Econometrica 73 (2005); F. Goetze and H. Kuensch, Second-order correctness of the
blockwise bootstrap, Annals of Statistics 24 (1996); C. Cameron, J. Gelbach and D. Miller, Robust Inference With
Multiway Clustering, Journal of Business and Economic Statistics 29 (2011); D. Wallace, Bounds on Normal Approximations
to Student's and the Chi-Square Distributions, Annals of Mathematical Statistics 30 (1959); P. Hall, J. Horowitz and
B. Jing, On Blocking Rules for the Bootstrap with Dependent Data, Biometrika 82 (1995), for the cube root.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from champion.base.counting import quantity
from champion.errors import ModelError
from champion.indicators.numeric.variation import RESIDUE
from champion.modeling.metrics import SESSIONS_PER_YEAR

__all__ = [
    "DRAWS", "FEWEST_BLOCKS", "LONGEST_BLOCK", "Luck", "Maxima", "beyond_luck", "block_length", "bootstrap",
    "dependence", "judge", "widening",
]  # fmt: skip
__dir__ = __all__.copy

Floats: TypeAlias = NDArray[np.float64]

DRAWS = 10_000
"""Draws of the bootstrap. The critical value of one trial at 2.5% then has a standard error of 0.03."""
FEWEST_BLOCKS = 10
"""Blocks of sessions that a series needs; the standard error over fewer is too uncertain."""
LONGEST_BLOCK = 63
"""Sessions of the longest block, a quarter of a year; see `dependence`."""
_NORMAL = NormalDist()
_ROUNDING = 1e-12  # weights that differ by less are equal
_STEPS = 60  # halvings of an interval: the last is below the rounding of a float
_FARTHEST = 12.0  # standard deviations: no critical value is as high
_TOGETHER = 1_000  # draws a matrix product, which bounds the memory


@dataclass(frozen=True, slots=True)
class Luck:
    """Whether a candidate's mean daily net active return is beyond the best of all recorded trials by luck.

    Args:
        score: the candidate's studentised mean as a standard normal score.
        critical: the score that the best of all trials without skill exceeds at the rate `level`.
        p_value: how often the best of all trials without skill reaches `score`, at least 1 / (draws + 1).
        sharpe: the candidate's annualised Sharpe ratio of daily net active returns.
        sharpe_needed: the Sharpe ratio at which `score` is `critical`, for this length and this number of trials.
        level: the rate at which the best of all trials without skill may pass.
        trials: number of trials, the candidate included.
        independent: those among them without a series that can be judged, counted as independent.
        effective: number of independent trials with the same critical value.
        sessions: sessions of the candidate's series.
        block: sessions of a block.

    >>> Luck(3.1, 2.9, 0.01, 1.4, 1.2, 0.025, 40, 2, 11.0, 500, 8).passed
    True
    """

    score: float
    critical: float
    p_value: float
    sharpe: float
    sharpe_needed: float
    level: float
    trials: int
    independent: int
    effective: float
    sessions: int
    block: int

    @property
    def passed(self) -> bool:
        """Whether the candidate is beyond luck at the level; an unknown figure is a refusal."""
        return self.p_value <= self.level


@dataclass(frozen=True, slots=True)
class Maxima:
    """Studentised means as standard normal scores: of the sessions (`scores`, a value per trial) and of each draw.

    `drawn` has a row per draw and a column per trial, without skill. Both are NaN for a trial that cannot be judged:
    its series has fewer than `FEWEST_BLOCKS` blocks, or does not vary. `means`, their standard `errors`, `deviations`
    and `sessions` describe each series.

    >>> one = np.ones(2)
    >>> Maxima(np.array([1.0, np.nan]), np.zeros((10, 2)), one, one, one, np.array([100, 5]), 5).judged.tolist()
    [True, False]
    """

    scores: Floats
    drawn: Floats
    means: Floats
    errors: Floats
    deviations: Floats
    sessions: NDArray[np.int64]
    block: int

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Which trials have a score."""
        return np.isfinite(self.scores)


def dependence(horizon: int) -> int:
    """Return the sessions over which the daily returns of a trial are taken to depend on each other: at most a quarter.

    The return of a session is that session's alone, whatever the horizon of the label: weights that were decided before
    times returns without skill are not correlated in time. A long horizon keeps instruments for long, which `widening`
    counts. Blocks cover clusters of volatility and weights that change little, so they follow the horizon up to
    `LONGEST_BLOCK`; longer ones would leave too few blocks to know an error by.

    >>> dependence(5), dependence(250)
    (5, 63)
    """
    return min(horizon, LONGEST_BLOCK)


def block_length(sessions: int, horizon: int) -> int:
    """Return the sessions of a block: `dependence` of the candidate's horizon, and at least the cube root of sessions.

    >>> block_length(500, horizon=5), block_length(1500, horizon=20), block_length(1500, horizon=250)
    (8, 20, 63)
    """
    return max(dependence(horizon), math.ceil(round(math.cbrt(sessions), 9)))


def widening(weights: Floats, benchmark: Floats, active: Floats) -> float:
    """Return the factor, at least 1, by which the standard error of a portfolio grows with clusters by instrument.

    Args:
        weights: the weight of each instrument (column) in each period (row), 0 where it is not held. A period is the
            time between two decisions.
        benchmark: the weights of the benchmark.
        active: the return of the instrument in the period less the benchmark's; not used where both weights are 0.

    The factor is about 1 for a portfolio that holds all instruments equally long, 1 for one that is its benchmark and
    so picks nothing, and NaN without weights.

    >>> rng = np.random.default_rng(1)
    >>> active = rng.normal(0, 0.01, (50, 40)) + rng.normal(0, 0.01, 40)  # some rise all the time, others fall
    >>> kept = np.tile(np.arange(40) < 10, (50, 1)) / 10
    >>> bool(widening(kept, np.full((50, 40), 1 / 40), active) > 2)
    True
    """
    over = weights - benchmark
    over = np.where(np.abs(over) > _ROUNDING, over, 0.0)
    if weights.sum() > 0 and not over.any():
        return 1.0
    contributions = over * np.where(over == 0, 0.0, active)
    if not weights.sum() > 0:
        return math.nan
    contributions = contributions - weights * (contributions.sum() / weights.sum())
    by_period, by_instrument = (contributions.sum(axis=axis) ** 2 for axis in (1, 0))
    period = float(by_period.sum())
    both = period + float(by_instrument.sum()) - float((contributions**2).sum())
    return math.sqrt(max(both / period, 1.0)) if period > 0 else math.nan


def bootstrap(returns: Floats, block: int, draws: int = DRAWS, wider: Floats | None = None) -> Maxima:
    """Return the scores of a matrix of daily net active returns, a row per session and a column per trial.

    NaN is a session that a trial does not have. The random numbers depend on the number of sessions, the block and the
    draws alone: the same ledger gives the same verdict, and another trial does not change the draws of the first ones.
    `wider` has the factor `widening` of each trial, by default 1; NaN, for a trial whose holdings are unknown, is 1.

    Raises:
        ModelError: `block` is not between 1 and the number of sessions, or a value is infinite.

    >>> noise = np.random.default_rng(1).normal(size=(200, 3))
    >>> found = bootstrap(noise, block=6, draws=500)
    >>> found.drawn.shape, bool(abs(found.drawn[:, 0].std() - 1) < 0.15)
    ((500, 3), True)
    """
    values = np.asarray(returns, dtype=np.float64)
    sessions = len(values)
    if not 1 <= block <= sessions:
        raise ModelError(f"blocks of {quantity(block, 'session')} do not fit {quantity(sessions, 'session')}")
    if np.isinf(values).any():
        raise ModelError(f"{int(np.isinf(values).sum())} daily returns are infinite; leave an unknown return out")
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    mean = np.divide(np.where(known, values, 0.0).sum(axis=0), count, out=np.zeros(len(count)), where=count > 0)
    centred = np.where(known, values - mean, 0.0)
    sums, lengths = _block_sums(centred, block), _block_sums(known.astype(np.float64), block)
    blocks = math.ceil(sessions / block)
    judged = (count >= FEWEST_BLOCKS * block) & _varies(np.where(known, values, mean))
    spread = np.where(judged, np.sqrt(blocks * (sums**2).mean(axis=0)), 1.0)
    errors = spread / np.maximum(blocks * lengths.mean(axis=0), 1.0)
    if wider is not None:
        errors = errors * np.where(np.isnan(wider), 1.0, wider)
    scores = _normal_score(mean / errors, np.maximum(count / block - 1, 1.0))
    drawn = _draw(sums, lengths, block, blocks, draws)
    deviations = np.sqrt((centred**2).sum(axis=0) / np.maximum(count - 1, 1))
    scores, drawn = np.where(judged, scores, np.nan), np.where(judged, drawn, np.nan)
    return Maxima(scores, drawn, mean, errors, deviations, count, block)


def beyond_luck(
    returns: Floats,
    candidate: int,
    *,
    horizon: int,
    level: float,
    independent: int = 0,
    wider: Floats | None = None,
    lasting: Sequence[int] = (),
    draws: int = DRAWS,
) -> Luck:
    """Return whether a trial's mean daily net active return is beyond the best of all recorded trials by luck.

    Args:
        returns: daily net active returns as decimals, a row per session in order, a column per trial; NaN where a trial
            has no session.
        candidate: the column of the trial that is judged.
        horizon: the candidate's horizon in sessions, which sets the length of a block: see `block_length`.
        level: the rate at which the best of all trials without skill may pass.
        independent: number of recorded trials without a series; each counts as an independent trial.
        wider: the factor `widening` of each trial, by default 1.
        lasting: the columns of trials with a longer dependence than a block, which always count: see `judge`.
        draws: draws of the bootstrap.

    A candidate that cannot be judged has a p-value of 1 and scores that are NaN.

    Raises:
        ModelError: there is no such column, too few sessions for a block, or an infinite value.

    >>> daily = np.random.default_rng(7).normal(0, 0.005, size=(750, 20))
    >>> luck = beyond_luck(daily, 0, horizon=5, level=0.025)
    >>> luck.passed, round(luck.critical, 1), luck.trials  # of 20 independent trials: 3.0
    (False, 3.0, 20)
    >>> skilled = daily + np.eye(20)[3] * 0.001
    >>> beyond_luck(skilled, 3, horizon=5, level=0.025).passed
    True
    """
    block = block_length(len(returns), horizon)
    found = bootstrap(returns, block, draws, wider)
    return judge(found, candidate, level=level, independent=independent, lasting=lasting)


def judge(found: Maxima, candidate: int, *, level: float, independent: int = 0, lasting: Sequence[int] = ()) -> Luck:
    """Return what `beyond_luck` returns, from the scores of a bootstrap.

    Trials in the columns `lasting` count against the candidate even if they pass themselves, because blocks shorter
    than their dependence may understate their error.

    >>> daily = np.random.default_rng(7).normal(0, 0.005, size=(750, 20))
    >>> judge(bootstrap(daily, block=10), 0, level=0.025, independent=180).trials
    200
    """
    count = len(found.scores)
    if not 0 <= candidate < count:
        raise ModelError(f"trial {candidate} is not among {quantity(count, 'trial')}")
    if not 0 < level < 1:
        raise ModelError(f"a level is a rate between 0 and 1, got {level}")
    alone = independent + int((~found.judged).sum())
    critical, p_value = _step_down(found, candidate, level, alone, [one for one in lasting if one != candidate])
    sessions = int(found.sessions[candidate])
    yearly = math.nan
    if found.judged[candidate]:
        yearly = math.sqrt(SESSIONS_PER_YEAR) / float(found.deviations[candidate])
    needed = _student(critical, max(sessions / found.block - 1, 1.0)) * float(found.errors[candidate])
    return Luck(
        score=float(found.scores[candidate]),
        critical=critical,
        p_value=p_value,
        sharpe=float(found.means[candidate]) * yearly,
        sharpe_needed=needed * yearly,
        level=level,
        trials=count + independent,
        independent=alone,
        effective=math.log1p(-level) / math.log1p(-math.erfc(critical / math.sqrt(2)) / 2),
        sessions=sessions,
        block=found.block,
    )


def _step_down(found: Maxima, candidate: int, level: float, alone: int, lasting: Sequence[int]) -> tuple[float, float]:
    """Return the candidate's critical value and its p-value, adjusted for all trials that may be luck."""
    steps = found.judged.copy()
    steps[list(lasting)] = False
    judged = np.flatnonzero(steps)
    order = judged[np.argsort(-found.scores[judged], kind="stable")]
    place = np.flatnonzero(order == candidate)
    always = found.drawn[:, found.judged & ~steps]
    # The largest score of each draw among the trials that always count, the one at a place, and those behind it.
    behind = np.maximum.accumulate(np.c_[always, found.drawn[:, order[::-1]]], axis=1)[:, always.shape[1] :][:, ::-1]
    if not order.size and not always.size:
        return _NORMAL.inv_cdf((1 - level) ** (1 / alone)), 1.0
    if not order.size:
        return _critical(np.sort(always.max(axis=1)), level, alone), 1.0
    if not place.size:
        return _critical(np.sort(behind[:, 0]), level, alone), 1.0
    adjusted = 0.0
    for step in range(int(place[0]) + 1):
        largest = np.sort(behind[:, step])
        adjusted = max(adjusted, _rate(largest, float(found.scores[order[step]]), alone))
        if adjusted > level:  # this trial may be luck, so it and all behind it count
            break
    critical = _critical(largest, level, alone)
    return critical, max(adjusted, _rate(largest, float(found.scores[candidate]), alone))


def _rate(largest: Floats, score: float, alone: int) -> float:
    """Return how often the largest score, or one of `alone` independent ones, reaches a score without skill."""
    reached = len(largest) - int(np.searchsorted(largest, score, side="left"))
    below = 1 - (reached + 1) / (len(largest) + 1)
    return 1 - below * _NORMAL.cdf(score) ** alone


def _critical(largest: Floats, level: float, alone: int) -> float:
    low, high = -_FARTHEST, _FARTHEST
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if _rate(largest, middle, alone) <= level else (middle, high)
    return high


def _draw(sums: Floats, lengths: Floats, block: int, blocks: int, draws: int) -> Floats:
    """Return the score of each trial (column) in each draw (row), from the sums and known cells of all blocks."""
    rng, sessions = np.random.default_rng((len(sums), block)), len(sums)
    partial = np.flatnonzero((lengths != block).any(axis=0))
    own, size = sums[:, partial], lengths[:, partial]
    products = np.hstack([sums, sums**2, size, own * size, size**2])
    drawn = []
    for first in range(0, draws, _TOGETHER):
        rows = min(_TOGETHER, draws - first)
        starts = rng.integers(0, sessions, (rows, blocks)) + sessions * np.arange(rows)[:, None]
        counts = np.bincount(starts.ravel(), minlength=rows * sessions).reshape(rows, sessions).astype(np.float64)
        drawn.append(_studentised(counts @ products, partial, block, blocks, sums.shape[1]))
    return np.vstack(drawn)


def _studentised(totals: Floats, partial: NDArray[np.intp], block: int, blocks: int, trials: int) -> Floats:
    """Return scores from a draw's sums of block sums, of their squares and, for series with unknown cells, lengths."""
    total, squares, rest = np.split(totals, [trials, 2 * trials], axis=1)
    scatter, freedom = squares - total**2 / blocks, np.full(total.shape, float(blocks - 1))
    if partial.size:
        known, crossed, lengths = np.split(rest, 3, axis=1)
        mean = np.divide(total[:, partial], known, out=np.zeros_like(known), where=known > 0)
        scatter[:, partial] = squares[:, partial] - 2 * mean * crossed + mean**2 * lengths
        freedom[:, partial] = np.maximum(known / block - 1, 1.0)
    varies = scatter > RESIDUE * squares
    statistic = np.divide(total, np.sqrt(np.where(varies, scatter, 1.0)), out=np.zeros_like(total), where=varies)
    return _normal_score(statistic, freedom)


def _block_sums(values: Floats, block: int) -> Floats:
    """Return the sum of each block of rows, by its first row; the first row follows the last."""
    total = np.cumsum(np.vstack([np.zeros((1, values.shape[1])), values, values[: block - 1]]), axis=0)
    return np.asarray(total[block:] - total[:-block])


def _varies(values: Floats) -> NDArray[np.bool_]:
    size = np.maximum(np.abs(values).max(axis=0), 1.0)
    return np.asarray(np.ptp(values, axis=0) > RESIDUE * size)


def _normal_score(statistic: Floats, freedom: Floats) -> Floats:
    """Return Student's t as a standard normal score of nearly the same probability (Wallace 1959)."""
    shrunk = (8 * freedom + 1) / (8 * freedom + 3)
    return np.asarray(np.sign(statistic) * shrunk * np.sqrt(freedom * np.log1p(statistic**2 / freedom)))


def _student(score: float, freedom: float) -> float:
    """Return the t-statistic of a standard normal score: the inverse of `_normal_score`."""
    shrunk = (8 * freedom + 1) / (8 * freedom + 3)
    return math.copysign(math.sqrt(freedom * math.expm1((score / shrunk) ** 2 / freedom)), score)
