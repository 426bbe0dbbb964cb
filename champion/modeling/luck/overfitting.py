"""Probability of backtest overfitting, by combinatorially symmetric cross-validation (CSCV)."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from champion.base.counting import quantity
from champion.errors import ModelError
from champion.indicators.numeric.variation import RESIDUE

BLOCKS = 10
_FEWEST = 2  # trials, and sessions a block


def probability_of_overfitting(trials: pl.DataFrame, blocks: int = BLOCKS) -> tuple[float, pl.DataFrame]:
    """Return how often the best trial in sample is below the median out of sample, and a table with a row per split.

    `trials` has one row per session, in order, and one column per trial: its return or rank IC, never null. Sessions
    are split into `blocks` consecutive blocks; each choice of half of the blocks is in-sample once. The table has best
    (the best trial in sample), in_sample and out_of_sample (the trial's mean over standard deviation) and logit (of the
    trial's relative rank out of sample; 0 or below indicates overfitting). Trials without skill give about one half.
    Source: D. Bailey, J. Borwein, M. Lopez de Prado, Q. Zhu, The Probability of Backtest Overfitting, Journal of
    Computational Finance 20 (2017).

    Raises:
        ModelError: fewer than two trials, an odd number of blocks, fewer than two sessions per block, or a value that
            is null, NaN or infinite.

    >>> skill = pl.DataFrame({"good": [1.0, 2.0, 1.0, 2.0], "bad": [-1.0, -2.0, -1.0, -2.0]})
    >>> probability, splits = probability_of_overfitting(skill, blocks=2)
    >>> probability, splits["best"].to_list()
    (0.0, ['good', 'good'])
    """
    values = trials.cast(pl.Float64).to_numpy()
    if not np.isfinite(values).all():
        unknown = int((~np.isfinite(values)).sum())
        raise ModelError(f"{unknown} of {values.size} values are unknown: leave out their sessions")
    if blocks < _FEWEST or blocks % 2 or trials.width < _FEWEST or trials.height < _FEWEST * blocks:
        raise ModelError(
            f"{quantity(trials.width, 'trial')} over {quantity(trials.height, 'session')} in {blocks} blocks: "
            "overfitting needs two trials, an even number of blocks and two sessions a block"
        )
    block = np.concatenate([np.full(len(p), n) for n, p in enumerate(np.array_split(np.arange(len(values)), blocks))])
    splits = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.isin(block, chosen)
        before, after = _ratio(values[inside]), _ratio(values[~inside])
        best = int(np.argmax(before))
        # Equal trials share their mean rank, so identical trials have a logit of 0.
        place = ((after < after[best]).sum() + ((after == after[best]).sum() + 1) / 2) / (len(after) + 1)
        splits.append((trials.columns[best], before[best], after[best], math.log(place / (1 - place))))
    table = pl.DataFrame(splits, schema=["best", "in_sample", "out_of_sample", "logit"], orient="row")
    return float((table["logit"] <= 0).to_numpy().mean()), table


def overfitting_of(trial: str, returns: pl.DataFrame) -> dict[str, float]:
    """Return `overfitting_probability` of a trial among recorded ones; empty if there is too little to compare.

    `returns` has trade_date and the daily net active returns of each trial in a column, null where it has no session.
    A trial is compared if it shares, with those to its left that are compared, at least half of this trial's sessions;
    the sessions that all of them have are used.

    >>> overfitting_of("a", pl.DataFrame({"trade_date": range(40), "a": [0.0, 1.0] * 20, "b": [0.1, 0.0] * 20}))
    {'overfitting_probability': 0.0}
    >>> overfitting_of("a", pl.DataFrame({"trade_date": range(40), "a": [0.0, 1.0] * 20}))
    {}
    """
    own = returns.sort("trade_date").drop_nulls(trial)
    shared = own.select(trial, *(name for name in own.columns if name not in {"trade_date", trial}))
    compared = [trial]
    for name in shared.columns[1:]:
        if shared.drop_nulls([*compared, name]).height * 2 >= own.height:
            compared.append(name)
    try:
        probability, _ = probability_of_overfitting(shared.select(compared).drop_nulls())
    except ModelError:  # too few trials or sessions
        return {}
    return {"overfitting_probability": probability}


def _ratio(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each column's mean over its standard deviation, 0 where it does not vary."""
    varies = np.ptp(values, axis=0) > RESIDUE * np.maximum(np.abs(values).max(axis=0), 1.0)
    spread = np.where(varies, values.std(axis=0, ddof=1), 0.0)
    ratio: NDArray[np.float64] = np.divide(values.mean(axis=0), spread, out=np.zeros(values.shape[1]), where=spread > 0)
    return ratio
