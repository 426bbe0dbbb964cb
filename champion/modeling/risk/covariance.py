"""Exponentially weighted covariance of factor returns, and shrunk specific variances, as arrays."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
_ROUNDING = 1e-12  # of the largest variance


def weighted_covariance(returns: Floats, half_life: float, lags: int = 0, noise: Floats | None = None) -> Floats:
    """Return the covariance of the columns for one session, around a mean of 0; NaN is left out.

    The last row has the weight 1, and a row `half_life` sessions earlier 1/2. The mean of a daily return is small
    against its deviation, so its estimate would add more error than it removes. With `lags` above 0, autocovariances
    are added with the weights of Bartlett (Newey and West 1987): the variance over several sessions, per session. Two
    columns of unequal history are scaled by the weights of each, so the result is positive semidefinite. 0 for a column
    without values.

    `noise` is the covariance of the estimation errors in each row. It is taken off, down to eigenvalues of 0: a factor
    return is estimated from shares whose specific risk is forecast too, and would else be counted twice.

    >>> returns = np.array([[0.01, 0.02], [-0.01, -0.02]])
    >>> (weighted_covariance(returns, half_life=1e9) * 1e4).round(6).tolist()
    [[1.0, 2.0], [2.0, 4.0]]
    >>> (weighted_covariance(returns, half_life=1e9, lags=1) * 1e4).round(6).tolist()  # returns that revert
    [[0.5, 1.0], [1.0, 2.0]]
    """
    ages = np.arange(len(returns))[::-1]
    weights = 0.5 ** (ages / half_life)
    known = np.isfinite(returns)
    sums = weights @ known
    scaled = np.where(known, returns, 0.0) * np.sqrt(weights)[:, None]
    scaled = np.divide(scaled, np.sqrt(sums), out=np.zeros_like(scaled), where=sums > 0)
    found = scaled.T @ scaled
    for lag in range(1, min(lags, len(returns) - 1) + 1):
        shifted = scaled[lag:].T @ scaled[:-lag]
        found += (1 - lag / (lags + 1)) * (shifted + shifted.T)
    if noise is None:
        return np.asarray(found, np.float64)
    scale = np.sqrt(np.divide(1.0, sums, out=np.zeros_like(sums), where=sums > 0))
    values, vectors = np.linalg.eigh(found - np.tensordot(weights, noise, 1) * np.outer(scale, scale))
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T, np.float64)


def factor_covariance(
    returns: Floats, half_lives: tuple[float, float], lags: int, noise: Floats | None = None
) -> Floats:
    """Return the covariance of factors: variances with the first half-life, correlations with the second.

    Correlations change more slowly than volatilities, and are as many as pairs of factors, so they need a longer
    history (USE4, section 4). The other arguments are those of `weighted_covariance`.

    >>> returns = np.array([[0.01, 0.02], [-0.01, -0.02]] * 5)
    >>> (factor_covariance(returns, (5.0, 50.0), 0) * 1e4).round(6).tolist()
    [[1.0, 2.0], [2.0, 4.0]]
    """
    short, long = half_lives
    variances = np.diag(weighted_covariance(returns, short, lags, noise))
    slow = weighted_covariance(returns, long, lags, noise)
    # A factor without a variance, as the only sector, has one of rounding, of which a ratio would make any number.
    some = np.diag(slow) > _ROUNDING * np.diag(slow).max(initial=0.0)
    scale = np.sqrt(np.divide(variances, np.diag(slow), out=np.zeros_like(variances), where=some))
    return np.asarray(slow * np.outer(scale, scale), np.float64)


def decayed_sums(values: Floats, half_life: float) -> Floats:
    """Return for each row the exponentially weighted sum of the rows up to it; NaN counts as 0.

    >>> decayed_sums(np.array([[4.0], [np.nan], [1.0]]), half_life=1.0).ravel().tolist()
    [4.0, 2.0, 2.0]
    """
    decay, total = 0.5 ** (1 / half_life), np.zeros(values.shape[1])
    found = np.empty_like(values)
    for row, each in enumerate(np.nan_to_num(values)):
        total = decay * total + each
        found[row] = total
    return found


def shrunk_variances(sums: Floats, counts: Floats, groups: NDArray[np.int64], prior: float) -> Floats:
    """Return the variance of each instrument, shrunk towards the mean of its group.

    `sums` and `counts` are the weighted sums of squared specific returns and of sessions with one. The variance is
    (sum + prior * mean) / (count + prior): the posterior mean under an inverse gamma prior that is worth `prior`
    sessions. An instrument without history has its group's mean; a group without any has the mean of all. NaN if none
    has a history.

    >>> shrunk_variances(np.array([8.0, 0.0]), np.array([2.0, 0.0]), np.array([0, 0]), prior=2.0).tolist()
    [4.0, 4.0]
    >>> shrunk_variances(np.array([8.0, 1.0]), np.array([1.0, 1.0]), np.array([0, 0]), prior=1.0).tolist()
    [6.25, 2.75]
    """
    size = int(groups.max()) + 1 if groups.size else 0
    total, history = (np.bincount(groups, each, minlength=size) for each in (sums, counts))
    overall = sums.sum() / counts.sum() if counts.sum() > 0 else np.nan
    means = np.divide(total, history, out=np.full(size, overall), where=history > 0)
    return np.asarray((sums + prior * means[groups]) / (counts + prior), np.float64)


def without_history(covariance: Floats, known: NDArray[np.bool_], styles: int) -> Floats:
    """Return the covariance with the mean variance of known sectors for factors with too short a history.

    The factors are the market, the sectors, and the last `styles` ones.

    >>> known = np.array([True, True, False, True])
    >>> without_history(np.diag([9.0, 4.0, 7.0, 1.0]), known, styles=1).diagonal().tolist()
    [9.0, 4.0, 4.0, 1.0]
    """
    if known.all():
        return covariance
    sectors = np.zeros(len(known), bool)
    sectors[1:-styles] = True
    variances = np.diag(covariance)
    of_sectors = variances[known & sectors]
    typical = float(of_sectors.mean()) if of_sectors.any() else float(variances[0])  # the market's is the larger one
    found = np.where(np.outer(known, known), covariance, 0.0)
    np.fill_diagonal(found, np.where(known, variances, typical))
    return found
