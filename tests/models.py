"""Training as the notebook does it, without a kernel: a version in the registry, and the run that made it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from champion import metrics, training
from champion.estimators import Recipe
from champion.lake import Lake
from champion.pipeline import learn, trials
from champion.pipeline.promote import CANARY
from champion.pipeline.register import Task, digests, finite, register_challenger
from champion.settings import Settings
from champion.splits import PurgedWalkForward
from champion.tracking import registry, runs
from champion.universe import find

HORIZON = 5


def trained(settings: Settings, model: str, start: date, end: date, *, canary: bool = True) -> registry.Version:
    """Return the version of `model` trained on the workspace's sessions; `canary` is what the run says of its own."""
    task, lake = Task(find("all"), HORIZON, learn.LAG), Lake(settings.lake)
    frame = learn.training_frame(lake, start, end, horizon=HORIZON, universe=task.universe)
    result = training.fit(frame, Recipe(model), learn.inputs(), PurgedWalkForward(2, HORIZON, HORIZON, lag=learn.LAG))
    ic = metrics.rank_ic(result.out_of_sample)
    equity = metrics.long_short_return(result.out_of_sample, horizon=HORIZON, cost_bps=10.0)
    measured = {**result.metrics, **trials.deflated(trials.known(settings, ic), equity["net_return"])}
    run_id = runs.open_run(
        settings, trials.EXPERIMENT, "training", parameters={"model": model}, tags={"champion.notebook": "training"}
    )
    version = register_challenger(
        settings, result, frame, task, run_id=run_id, data=digests(lake, end, learn.FEATURE_SET)
    )
    with TemporaryDirectory() as folder:
        tables = Path(folder) / "tables"
        tables.mkdir()
        result.out_of_sample.write_parquet(tables / "out_of_sample.parquet")
        ic.write_parquet(tables / "ic.parquet")
        runs.log_files(settings, run_id, Path(folder), "result")
    runs.close_run(settings, run_id, "succeeded", metrics=finite({**measured, CANARY: float(canary)}))
    return version
