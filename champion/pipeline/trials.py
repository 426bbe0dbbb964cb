"""How often somebody has tried: the training runs MLflow knows, and what so many trials make of the best result."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from champion.errors import ModelError
from champion.indicators import unknown
from champion.metrics import deflated_sharpe_ratio, sharpe_ratio
from champion.overfitting import BLOCKS, probability_of_overfitting
from champion.settings import Settings
from champion.tracking import experiments, runs
from champion.tracking.runs import Run

EXPERIMENT = experiments.TRAINING
BY_HAND = "training by hand"
TRIAL, COUNTED = "champion.trial", "yes"
"""The tag of a run whose model was registered, whatever notebook or person trained it."""
PERIOD_SHARPE = "sharpe_per_period"
ESTIMATOR = "champion.estimator"
"""The tag of a run and of a version that holds a hash of the fitted estimator."""
_NOTEBOOK, _PUBLISHED = {"champion.notebook": "training"}, "champion.result_sha256"
_RUN_NAME, _DONE, _UNFINISHED, _MOST = "mlflow.runName", "FINISHED", "RUNNING", 1000
_IC = "result/tables/ic.parquet"
_FEW = 30  # trials whose sessions are compared, the latest ones: each is a file to read


@dataclass(frozen=True, slots=True)
class Trials:
    """What was tried before: `count` different training runs, the Sharpe ratios per period they found, their sessions.

    `sessions` has trade_date and a column per trial, its rank IC, over the sessions they share with the latest.
    """

    count: int
    sharpes: tuple[float, ...]
    sessions: pl.DataFrame


def known(settings: Settings, ic: pl.DataFrame) -> Trials:
    """Return the trials recorded so far; `ic` (trade_date, ic) is of the one that is being made, not counted here.

    A trial is a run whose model was registered, whatever notebook it is of and however it ended; or, of a version that
    did not tag them, a run of the training notebook. Runs with the same parameters that fitted the same model are one
    trial: doing the same again is no new attempt. Parameters alone do not tell: a notebook of one's own may have none,
    and its cells change.
    """
    trials = _different(_recorded(settings))
    sharpes = tuple(run.metrics[PERIOD_SHARPE] for run in trials if PERIOD_SHARPE in run.metrics)
    return Trials(len(trials), sharpes, _sessions(settings, trials[-_FEW:], ic))


def _different(found: Sequence[Run]) -> list[Run]:
    """Return the latest run of each trial, in order; a run of an earlier version, without a hash, joins its likes."""
    latest = {(tuple(sorted(run.parameters.items())), run.tags.get(ESTIMATOR, "")): run for run in found}
    hashed = {given for given, model in latest if model}
    trials = (run for (given, model), run in latest.items() if model or given not in hashed)
    return sorted(trials, key=lambda run: run.started)


def _recorded(settings: Settings) -> list[Run]:
    """Return the runs that trained a model, oldest first."""
    named = runs.find_runs(settings, tags=_NOTEBOOK, status=_DONE, limit=_MOST)
    found = [run for run in named if _PUBLISHED not in run.tags]  # of versions that did not tag trials
    registered = runs.find_runs(settings, tags={TRIAL: COUNTED}, limit=_MOST)
    found += [run for run in registered if run.status != _UNFINISHED]  # one may fail after its model is registered
    by_hand = runs.find_runs(settings, [EXPERIMENT], tags={_RUN_NAME: BY_HAND}, status=_DONE, limit=_MOST)
    unique = {run.run_id: run for run in [*found, *by_hand]}  # the last are of such versions as well
    return sorted(unique.values(), key=lambda run: run.started)


def deflated(trials: Trials, net_returns: pl.Series) -> dict[str, float]:
    """Return `trials` (this one included), `sharpe_per_period` and `deflated_sharpe` of a strategy's period returns.

    The deflated Sharpe ratio is the probability that the strategy's Sharpe ratio is above what the best of as many
    worthless trials would show. Left out where the returns do not vary.
    """
    from scipy.stats import kurtosis, skew  # noqa: PLC0415 - slow to import

    returns = net_returns.to_numpy()
    if len(returns) < 3 or math.isnan(sharpe_ratio(net_returns, 1)):  # noqa: PLR2004 - a skew needs three
        return {"trials": trials.count + 1.0}
    sharpe = sharpe_ratio(net_returns, 1)
    everybody = np.array([*trials.sharpes, sharpe])
    found = deflated_sharpe_ratio(
        sharpe,
        trials=trials.count + 1,
        variance=float(everybody.var(ddof=1)) if len(everybody) > 1 else 0.0,
        periods=len(returns),
        skew=float(skew(returns)),
        kurtosis=float(kurtosis(returns, fisher=False)),
    )
    return {"trials": trials.count + 1.0, PERIOD_SHARPE: sharpe, "deflated_sharpe": found}


def overfitting(trials: Trials, ic: pl.DataFrame) -> dict[str, float]:
    """Return `overfitting_probability` over this trial and those before; empty while there is nothing to compare."""
    mine = ic.select("trade_date", this="ic")
    table = mine.join(trials.sessions, on="trade_date").sort("trade_date").drop("trade_date")
    try:
        probability, _ = probability_of_overfitting(table, BLOCKS)
    except ModelError:
        return {}
    return {"overfitting_probability": probability}


def _sessions(settings: Settings, trials: Sequence[Run], ic: pl.DataFrame) -> pl.DataFrame:
    """Return the rank IC of the trials that scored at least half of this one's sessions, where all of them did."""
    joined = ic.select("trade_date")
    for number, run in enumerate(trials, start=1):
        content = runs.read_file(settings, run.run_id, _IC)
        if content is None:
            continue
        read = pl.read_parquet(io.BytesIO(content)).select(
            "trade_date", unknown.known(pl.col("ic")).alias(f"trial_{number}")
        )
        theirs = read.drop_nulls()
        shared = joined.join(theirs, on="trade_date")
        if shared.height * 2 >= ic.height:
            joined = shared
    return joined
