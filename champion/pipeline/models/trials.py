"""Count training trials in MLflow, and correct the best result for their number."""

import io
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from champion.errors import ModelError
from champion.indicators.numeric import unknown
from champion.modeling.metrics import deflated_sharpe_ratio, sharpe_ratio
from champion.modeling.overfitting import BLOCKS, probability_of_overfitting
from champion.settings import Settings
from champion.tracking import experiments, runs
from champion.tracking.runs import Run

EXPERIMENT = experiments.TRAINING
BY_HAND = "training by hand"
TRIAL, COUNTED = "champion.trial", "yes"
"""The tag of a run whose model was registered, by any notebook or person."""
PERIOD_SHARPE = "sharpe_per_period"
ESTIMATOR = "champion.estimator"
"""The tag of runs and versions with the hash of the fitted estimator."""
_COMPARED = 30  # latest trials whose sessions are compared: each is a file to read


@dataclass(frozen=True, slots=True)
class Trials:
    """Earlier trials: the `count` of different training runs, their Sharpe ratios per period, and their sessions.

    `sessions` has trade_date and the rank IC of each trial in a column, over the sessions shared with the current one.
    """

    count: int
    sharpes: tuple[float, ...]
    sessions: pl.DataFrame


def known(settings: Settings, ic: pl.DataFrame) -> Trials:
    """Return the trials recorded so far, without the current one, whose `ic` has trade_date and ic.

    A trial is a run whose model was registered, whatever its notebook and outcome, or a run of the training notebook
    from a version that did not tag trials. Runs with the same parameters that fitted the same model are one trial.
    Parameters alone do not identify a trial: your own notebook may have none, and its cells change.
    """
    find = partial(runs.find_runs, settings, limit=1000)
    recorded = [run for run in find(tags={TRIAL: COUNTED}) if run.status != "RUNNING"]  # a run may fail after its model
    # Earlier releases did not tag trials.
    named = find(tags={"champion.notebook": "training"}, status="FINISHED")
    recorded += [run for run in named if "champion.result_sha256" not in run.tags]
    recorded += find([EXPERIMENT], tags={"mlflow.runName": BY_HAND}, status="FINISHED")
    ordered = sorted({run.run_id: run for run in recorded}.values(), key=lambda run: run.started)
    # The latest run of each trial. A run without a model hash joins runs with the same parameters.
    latest = {(tuple(sorted(run.parameters.items())), run.tags.get(ESTIMATOR, "")): run for run in ordered}
    hashed = {parameters for parameters, model in latest if model}
    distinct = (run for (parameters, model), run in latest.items() if model or parameters not in hashed)
    trials = sorted(distinct, key=lambda run: run.started)
    sharpes = tuple(run.metrics[PERIOD_SHARPE] for run in trials if PERIOD_SHARPE in run.metrics)
    return Trials(len(trials), sharpes, _sessions(settings, trials[-_COMPARED:], ic))


def deflated(trials: Trials, net_returns: pl.Series) -> dict[str, float]:
    """Return `trials` (this one included), `sharpe_per_period` and `deflated_sharpe` of a strategy's period returns.

    The deflated Sharpe ratio is the probability that the strategy's Sharpe ratio exceeds the best of as many trials
    without skill. The last two are left out if the returns do not vary.
    """
    from scipy.stats import kurtosis, skew  # noqa: PLC0415 - slow to import

    returns = net_returns.to_numpy()
    if len(returns) < 3 or math.isnan(sharpe := sharpe_ratio(net_returns, 1)):  # noqa: PLR2004 - a skew needs three
        return {"trials": trials.count + 1.0}
    sharpes = np.array([*trials.sharpes, sharpe])
    probability = deflated_sharpe_ratio(
        sharpe,
        trials=trials.count + 1,
        variance=float(sharpes.var(ddof=1)) if len(sharpes) > 1 else 0.0,
        periods=len(returns),
        skew=float(skew(returns)),
        kurtosis=float(kurtosis(returns, fisher=False)),
    )
    return {"trials": trials.count + 1.0, PERIOD_SHARPE: sharpe, "deflated_sharpe": probability}


def overfitting(trials: Trials, ic: pl.DataFrame) -> dict[str, float]:
    """Return `overfitting_probability` over this trial and earlier ones; empty if there are too few to compare."""
    both = ic.select("trade_date", this="ic").join(trials.sessions, on="trade_date")
    with suppress(ModelError):
        probability, _ = probability_of_overfitting(both.sort("trade_date").drop("trade_date"), BLOCKS)
        return {"overfitting_probability": probability}
    return {}


def _sessions(settings: Settings, trials: Sequence[Run], ic: pl.DataFrame) -> pl.DataFrame:
    """Return the rank IC of the trials that scored at least half of this one's sessions, on their shared sessions."""
    joined = ic.select("trade_date")
    for number, run in enumerate(trials, start=1):
        if (content := runs.read_file(settings, run.run_id, "result/tables/ic.parquet")) is None:
            continue
        table = pl.read_parquet(io.BytesIO(content))
        ranked = table.select("trade_date", unknown.known(pl.col("ic")).alias(f"trial_{number}")).drop_nulls()
        if (shared := joined.join(ranked, on="trade_date")).height * 2 >= ic.height:
            joined = shared
    return joined
