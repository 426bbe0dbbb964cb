"""Register a trained model as challenger, with the tags and files that scoring and the gate need."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import joblib
import polars as pl

from champion import features
from champion.base.counting import quantity
from champion.contracts.datasets import ACTIONS, BARS
from champion.lake import Lake
from champion.modeling.estimators import Recipe
from champion.modeling.labels import Returns
from champion.modeling.metrics import SESSIONS_PER_YEAR, max_drawdown, sharpe_ratio
from champion.modeling.universe import Universe, find
from champion.pipeline.ingest import corporate_actions
from champion.pipeline.models import looks, recipes, trials
from champion.pipeline.models.evaluate import (
    CANARY,
    HORIZON,
    LABEL_END,
    LAG,
    OUT_OF_SAMPLE,
    RETURNS_TAG,
    SCORES,
    TRAIN_END,
    UNIVERSE,
)
from champion.pipeline.models.frames import RETURNS
from champion.pipeline.models.looks import Look
from champion.pipeline.models.trials import Trials
from champion.pipeline.reference import universe_lists
from champion.settings import Settings
from champion.tracking import experiments, registry, runs
from champion.tracking.trials import ledger

if TYPE_CHECKING:
    from champion.modeling.leakage_checks import LeakageChecks
    from champion.modeling.training import TrainingResult

FORMER_NAMES = {
    "ranking_sharpe": "sharpe",
    "ranking_max_drawdown": "max_drawdown",
    "ranking_turnover": "mean_turnover",
}
"""What earlier releases called the metrics of the long-short statistic."""
KIND, RECIPE, DATA = "champion.model", "champion.recipe", "champion.data"


@dataclass(frozen=True, slots=True)
class Task:
    """What a model predicts: for which instruments, how far ahead, which returns, from which features."""

    universe: Universe
    horizon: int
    lag: int
    feature_version: str = "v1"
    returns: Returns = RETURNS


def register_challenger(
    settings: Settings,
    result: TrainingResult,
    frame: pl.DataFrame,
    task: Task,
    *,
    run_id: str | None,
    data: Mapping[str, str] | None = None,
    measured: Mapping[str, float] | None = None,
    look: Look | None = None,
) -> registry.Version:
    """Register a model and return its version.

    `frame` is the training frame; the columns of its inputs become the model's signature. `data` are the digests of the
    datasets it was trained on, by name; `measured` are the metrics that the gate reads. Metrics and out-of-sample
    scores are in the run before the version exists, so a crash leaves no version that cannot be evaluated.

    `run_id` is the run that trained the model; that of a notebook is named after the version, such as "logistic v1 h5".
    Without one, as when a person runs the notebook by hand, a run is created; a model that is already registered, from
    the same data for the same task, is returned instead.

    `look` is the trial's look, which was begun before the model was fitted and has its result. Without one it is
    recorded here, with the series of the default portfolio.
    """
    labelled = frame.drop_nulls("forward_return")
    tags = {
        KIND: result.recipe.model,
        DATA: json.dumps(dict(data or {}), sort_keys=True),
        RECIPE: json.dumps(_stored(result.recipe)),
        HORIZON: str(task.horizon),
        LAG: str(task.lag),
        UNIVERSE: task.universe.text,
        RETURNS_TAG: task.returns,
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
        looks.judged(result).write_parquet(Path(folder) / PurePosixPath(SCORES).name)
        runs.log_files(settings, run_id, Path(folder), str(path.parent))
    look = look or _looked(settings, result, frame, task, run_id, data or {}, measured or {})
    ledger.write_anchor(settings)
    counted = {trials.LOOK: look.id, trials.ESTIMATOR: tags[trials.ESTIMATOR]}
    if construction := look.recipe.get("construction"):
        tags[recipes.CONSTRUCTION] = json.dumps(construction, sort_keys=True)
    tags |= {trials.LOOK: look.id, looks.SCORES: looks.fingerprint(looks.judged(result))}
    runs.log(settings, run_id, tags={trials.TRIAL: trials.COUNTED, **counted})
    example, version = frame.select(result.inputs), task.feature_version
    about = (
        f"{result.recipe.model}: return over {quantity(task.horizon, 'session')}, universe {task.universe.text}, "
        f"features {version}, trained on sessions to {tags[TRAIN_END]}"
    )
    made = registry.register(
        settings, result.estimator, example, run_id=run_id, feature_version=version, tags=tags, about=about
    )
    if "champion.notebook" in runs.get(settings, run_id).tags:  # a table of ten runs named "training" says nothing
        kind = result.recipe.model.rpartition(".")[2]
        runs.rename(settings, run_id, f"{kind} v{made.number} h{task.horizon}")
    return made


def _stored(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as JSON values; what releases before targets did not have is left out if it is the default."""
    fields = asdict(recipe)
    new = {name for name in ("target", "horizons") if fields[name] == getattr(Recipe(), name)}
    return {name: value for name, value in fields.items() if name not in new}


def _looked(
    settings: Settings,
    result: TrainingResult,
    frame: pl.DataFrame,
    task: Task,
    run_id: str,
    data: Mapping[str, str],
    measured: Mapping[str, float],
) -> Look:
    """Return the look of a model whose training did not begin one."""
    recipe = recipes.of_training(task, result.recipe, result.inputs)
    look = looks.begin(settings, recipe, window=looks.window(frame), data=data, source=trials.BY_HAND, run=run_id)
    scores = looks.judged(result)
    look.complete(scores, looks.simulated(settings, scores), measured)
    return look


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
    equity: pl.DataFrame,
    checks: LeakageChecks,
    earlier: Trials,
    *,
    horizon: int,
    active: pl.DataFrame | None = None,
) -> dict[str, float]:
    """Return the metrics that a training run is evaluated by; those that are not finite are left out.

    `equity` is the result of `metrics.long_short_return`: its figures are `ranking_sharpe`, `ranking_max_drawdown` and
    `ranking_turnover`, because they are statistics of the ranking and no profit that an account could make (see
    `FORMER_NAMES`). `active` (trade_date, active) are the daily net active returns that are compared with those of
    `earlier` trials.
    """
    returns = equity["net_return"]
    return finite({
        **result.metrics,
        **trials.deflated(earlier, returns),
        **trials.overfitting(earlier, active),
        "ranking_sharpe": sharpe_ratio(returns, SESSIONS_PER_YEAR / horizon),
        "ranking_max_drawdown": max_drawdown(equity["equity"]),
        "ranking_turnover": float(equity["turnover"].mean()) if equity.height else math.nan,  # type: ignore[arg-type]
        "canary_auc": checks.shuffled.auc,
        CANARY: float(checks.passed),
    })  # fmt: skip


def named_today(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of a training run, of this or an earlier release, under the names of today.

    >>> named_today({"rank_ic": 0.03, "sharpe": 1.1})
    {'rank_ic': 0.03, 'ranking_sharpe': 1.1}
    """
    today = {former: name for name, former in FORMER_NAMES.items()}
    return {today.get(name, name): value for name, value in metrics.items()}


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics that are finite numbers: MLflow and JSON have no NaN."""
    return {name: value for name, value in values.items() if math.isfinite(value)}
