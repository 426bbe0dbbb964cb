"""Register a trained model as challenger, with the tags and files that scoring and the gate need."""

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
from champion.contracts.datasets import ACTIONS, BARS
from champion.lake import Lake
from champion.modeling.metrics import SESSIONS_PER_YEAR, max_drawdown, sharpe_ratio
from champion.modeling.universe import Universe, find
from champion.pipeline.ingest import corporate_actions
from champion.pipeline.models import trials
from champion.pipeline.models.evaluate import CANARY, HORIZON, LABEL_END, LAG, OUT_OF_SAMPLE, TRAIN_END, UNIVERSE
from champion.pipeline.models.trials import Trials
from champion.pipeline.reference import universe_lists
from champion.settings import Settings
from champion.tracking import experiments, registry, runs

if TYPE_CHECKING:
    from champion.modeling.leakage_checks import LeakageChecks
    from champion.modeling.training import TrainingResult

KIND, RECIPE, DATA = "champion.model", "champion.recipe", "champion.data"


@dataclass(frozen=True, slots=True)
class Task:
    """What a model predicts: for which instruments, how far ahead, from which features."""

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
    """Register a model and return its version.

    `frame` is the training frame; the columns of its inputs become the model's signature. `data` are the digests of the
    datasets it was trained on, by name; `measured` are the metrics that the gate reads. Metrics and out-of-sample
    scores are in the run before the version exists, so a crash leaves no version that cannot be evaluated.

    `run_id` is the run that trained the model. Without one, as when a person runs the notebook by hand, a run is
    created; a model that is already registered, from the same data for the same task, is returned instead. Both kinds
    of run count as a trial.
    """
    labelled = frame.drop_nulls("forward_return")
    tags = {
        KIND: result.recipe.model,
        DATA: json.dumps(dict(data or {}), sort_keys=True),
        RECIPE: json.dumps(asdict(result.recipe)),
        HORIZON: str(task.horizon),
        LAG: str(task.lag),
        UNIVERSE: task.universe.text,
        TRAIN_END: str(labelled["trade_date"].max()),
        LABEL_END: str(labelled["label_end"].max()),
        trials.ESTIMATOR: joblib.hash(result.estimator),
    }
    if run_id is None:
        for known in registry.versions(settings):
            if known.feature_version == task.feature_version and tags.items() <= known.tags.items():
                return known
        parameters = {
            "model": result.recipe.model,
            "model_parameters": result.recipe.parameters,
            "seed": result.recipe.seed,
            "horizon": task.horizon,
            "universe": task.universe.text,
            "feature_set": task.feature_version,
            "as_of": tags[TRAIN_END],
        }  # those of the training notebook, and so are the metrics
        run_id = runs.open_run(settings, experiments.TRAINING, trials.BY_HAND, parameters=parameters)
        runs.close_run(settings, run_id, "succeeded", metrics=finite(result.metrics))
    runs.log(settings, run_id, metrics=measured or {})
    with TemporaryDirectory(prefix="champion-") as folder:
        path = PurePosixPath(OUT_OF_SAMPLE)
        result.out_of_sample.write_parquet(Path(folder) / path.name)
        runs.log_files(settings, run_id, Path(folder), str(path.parent))
    runs.log(settings, run_id, tags={trials.TRIAL: trials.COUNTED, trials.ESTIMATOR: tags[trials.ESTIMATOR]})
    example, version = frame.select(result.inputs), task.feature_version
    return registry.register(settings, result.estimator, example, run_id=run_id, feature_version=version, tags=tags)


def digests(lake: Lake, end: date, feature_version: str, universe: str | Universe = "all") -> dict[str, str]:
    """Return the digests, by name, of the data that a model is trained on up to `end`: bars, features, actions.

    A universe with an index, sectors or bands adds the lists up to `end`.
    """
    names, chosen = (BARS, features.find(feature_version).contract), find(universe)
    lists = universe_lists.digests(lake, chosen, end)
    return {
        **{name: lake.digest(name, end=end) for name in names},
        ACTIONS: corporate_actions.digest(lake, end),
        **lists,
    }


def metrics_of(
    result: TrainingResult,
    ic: pl.DataFrame,
    equity: pl.DataFrame,
    checks: LeakageChecks,
    earlier: Trials,
    *,
    horizon: int,
) -> dict[str, float]:
    """Return the metrics that a training run is evaluated by; those that are not finite are left out.

    `ic` (trade_date, ic) is the rank IC by session, `equity` the result of `metrics.long_short_return`.
    """
    returns = equity["net_return"]
    return finite({
        **result.metrics,
        **trials.deflated(earlier, returns),
        **trials.overfitting(earlier, ic),
        "sharpe": sharpe_ratio(returns, SESSIONS_PER_YEAR / horizon),
        "max_drawdown": max_drawdown(equity["equity"]),
        "mean_turnover": float(equity["turnover"].mean()) if equity.height else math.nan,  # type: ignore[arg-type]
        "canary_auc": checks.shuffled.auc,
        CANARY: float(checks.passed),
    })  # fmt: skip


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics that are finite numbers: MLflow and JSON have no NaN."""
    return {name: value for name, value in values.items() if math.isfinite(value)}
