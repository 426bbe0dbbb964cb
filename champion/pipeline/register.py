"""A trained model to the registry, as challenger, with what scoring and the gate will need to know of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import joblib
import polars as pl

from champion import features
from champion.actions import ACTIONS
from champion.lake import Lake
from champion.metrics import SESSIONS_PER_YEAR, max_drawdown, sharpe_ratio
from champion.pipeline import actions, trials
from champion.pipeline.promote import CANARY, HORIZON, KNEW_TO, LAG, LEARNT_TO, OUT_OF_SAMPLE, UNIVERSE
from champion.pipeline.trials import Trials
from champion.settings import Settings
from champion.tracking import experiments, registry, runs
from champion.universe import Universe

if TYPE_CHECKING:
    from champion.canaries import Canaries
    from champion.training import TrainingResult

KIND, RECIPE, DATA = "champion.model", "champion.recipe", "champion.data"


@dataclass(frozen=True, slots=True)
class Task:
    """What a model was asked: which instruments, how far ahead, from which features."""

    universe: Universe
    horizon: int
    lag: int
    feature_version: str = "v1"


def register_challenger(
    settings: Settings,
    result: TrainingResult,
    frame: pl.DataFrame,
    task: Task,
    *,
    run_id: str | None,
    data: Mapping[str, str] | None = None,
    measured: Mapping[str, float] | None = None,
) -> registry.Version:
    """Return the new version of the model; `frame` is what it was trained on, whose columns become its signature.

    `data` are the digests of the datasets it learnt from, by name; `measured` is what the gate will ask for. That and
    the scores out of sample are in the run before there is a version: killed in between, none is left that cannot be
    judged. `run_id` is the run that trained it. Without one, as when a person works through the notebook by hand, a
    run is made for it, so that no version is without origin; but a model that is registered already, from the same
    data for the same task, is returned as the version it is. Either run counts as a trial.
    """
    learnt = frame.drop_nulls("forward_return")
    tags = {
        KIND: result.recipe.model,
        DATA: json.dumps(dict(data or {}), sort_keys=True),
        RECIPE: json.dumps(asdict(result.recipe)),
        HORIZON: str(task.horizon),
        LAG: str(task.lag),
        UNIVERSE: task.universe.text,
        LEARNT_TO: str(learnt["trade_date"].max()),
        KNEW_TO: str(learnt["label_end"].max()),
        trials.ESTIMATOR: joblib.hash(result.estimator),
    }
    if run_id is None:
        if (same := _registered(settings, tags, task.feature_version)) is not None:
            return same
        run_id = _run_by_hand(settings, result, task, tags)
    _log_evidence(settings, run_id, result, measured or {})
    runs.log(settings, run_id, tags={trials.TRIAL: trials.COUNTED, trials.ESTIMATOR: tags[trials.ESTIMATOR]})
    return registry.register(
        settings,
        result.estimator,
        frame.select(result.inputs),
        run_id=run_id,
        feature_version=task.feature_version,
        tags=tags,
    )


def _log_evidence(settings: Settings, run_id: str, result: TrainingResult, measured: Mapping[str, float]) -> None:
    runs.log(settings, run_id, metrics=measured)
    with TemporaryDirectory(prefix="champion-") as folder:
        path = Path(folder) / PurePosixPath(OUT_OF_SAMPLE).name
        result.out_of_sample.write_parquet(path)
        runs.log_files(settings, run_id, Path(folder), str(PurePosixPath(OUT_OF_SAMPLE).parent))


def _registered(settings: Settings, tags: Mapping[str, str], feature_version: str) -> registry.Version | None:
    """Return the version that is this very model, trained on the same data for the same task."""
    alike = (
        version
        for version in registry.versions(settings)
        if version.feature_version == feature_version
        and all(version.tags.get(name) == value for name, value in tags.items())
    )
    return next(alike, None)


def _run_by_hand(settings: Settings, result: TrainingResult, task: Task, tags: Mapping[str, str]) -> str:
    """Return the run of a training outside of any run, with what the training notebook would say of it."""
    parameters = {
        "model": result.recipe.model,
        "model_parameters": result.recipe.parameters,
        "seed": result.recipe.seed,
        "horizon": task.horizon,
        "universe": task.universe.text,
        "feature_set": task.feature_version,
        "as_of": tags[LEARNT_TO],
    }
    run_id = runs.open_run(settings, experiments.TRAINING, trials.BY_HAND, parameters=parameters)
    runs.close_run(settings, run_id, "succeeded", metrics=finite(result.metrics))
    return run_id


def digests(lake: Lake, end: date, feature_version: str) -> dict[str, str]:
    """Return the digests, by name, of all that a model learns from up to `end`: bars, features, corporate actions."""
    names = ("normalized_equity_ohlc", features.find(feature_version).contract)
    return {**{name: lake.digest(name, end=end) for name in names}, ACTIONS: actions.digest(lake, end)}


def metrics_of(
    result: TrainingResult, ic: pl.DataFrame, equity: pl.DataFrame, found: Canaries, tried: Trials, *, horizon: int
) -> dict[str, float]:
    """Return everything a training run is judged by, as finite numbers: what is not known is left out.

    `ic` (trade_date, ic) is the rank IC by session, `equity` what `metrics.long_short_return` made of the scores.
    """
    returns = equity["net_return"]
    return finite({
        **result.metrics,
        **trials.deflated(tried, returns),
        **trials.overfitting(tried, ic),
        "sharpe": sharpe_ratio(returns, SESSIONS_PER_YEAR / horizon),
        "max_drawdown": max_drawdown(equity["equity"]),
        "mean_turnover": float(equity["turnover"].mean()) if equity.height else math.nan,  # type: ignore[arg-type]
        "canary_auc": found.shuffled.auc,
        CANARY: float(found.passed),
    })  # fmt: skip


def finite(metrics: dict[str, float]) -> dict[str, float]:
    """Return the metrics that are numbers: MLflow and JSON know no NaN."""
    return {name: value for name, value in metrics.items() if pl.Series([value]).is_finite().all()}
