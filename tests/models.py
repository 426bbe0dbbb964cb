"""Training as the notebook does it, without a kernel: a version in the registry, and the run that made it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from champion.lake import Lake
from champion.modeling import metrics, training
from champion.modeling.estimators import Recipe
from champion.modeling.splits import PurgedWalkForward
from champion.modeling.universe import find
from champion.pipeline.models import frames, trials
from champion.pipeline.models.evaluate import CANARY
from champion.pipeline.models.register import Task, digests, finite, register_challenger
from champion.settings import Settings
from champion.tracking import registry, runs

HORIZON = 5


def trained(settings: Settings, model: str, start: date, end: date, *, canary: bool = True) -> registry.Version:
    """Return the version of `model` trained on the workspace's sessions; `canary` is what the run says of its own."""
    task, lake = Task(find("all"), HORIZON, frames.LAG), Lake(settings.lake)
    frame = frames.training_frame(lake, start, end, horizon=HORIZON, universe=task.universe)
    result = training.fit(frame, Recipe(model), frames.inputs(), PurgedWalkForward(2, HORIZON, HORIZON, lag=frames.LAG))
    ic = metrics.rank_ic(result.out_of_sample)
    equity = metrics.long_short_return(result.out_of_sample, horizon=HORIZON, cost_bps=10.0)
    measured = {**result.metrics, **trials.deflated(trials.known(settings), equity["net_return"])}
    run_id = runs.open_run(
        settings, trials.EXPERIMENT, "training", parameters={"model": model}, tags={"champion.notebook": "training"}
    )
    version = register_challenger(
        settings,
        result,
        frame,
        task,
        run_id=run_id,
        data=digests(lake, end, frames.FEATURE_SET),
        measured=finite({trials.PERIOD_SHARPE: measured.get(trials.PERIOD_SHARPE, float("nan"))}),
    )
    with TemporaryDirectory() as folder:
        tables = Path(folder) / "tables"
        tables.mkdir()
        result.out_of_sample.write_parquet(tables / "out_of_sample.parquet")
        ic.write_parquet(tables / "ic.parquet")
        runs.log_files(settings, run_id, Path(folder), "result")
    runs.close_run(settings, run_id, "succeeded", metrics=finite({**measured, CANARY: float(canary)}))
    return version
