"""A search as flow and notebooks do it, in one process and without kernels: what each step leaves is the same.

`python tests/searches.py SPACE` searches in the workspace of the environment, and prints a line before each step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from champion.lake import Lake
from champion.modeling import metrics, targets, training
from champion.modeling.estimators import Recipe
from champion.modeling.splits import PurgedWalkForward
from champion.modeling.universe import find
from champion.pipeline.models import frames, looks, portfolio, recipes, register, trials
from champion.pipeline.search import choice, guided, outcomes, plan as plans, report, space as spaces
from champion.pipeline.search.plan import Training
from champion.settings import Settings
from champion.tracking import registry, runs
from champion.tracking.trials import ledger

SPACE = """
name = "small"
folds = 3
[recipe]
universe = "all"
[[model]]
name = "logistic"
parameters = {C = [0.01, -1.0]}
[[model]]
name = "sklearn.naive_bayes.GaussianNB"
[[rule]]
top = [50, 5]
"""
"""Six recipes by three trainings, one of which fails."""


def searched(settings: Settings, text: str, step: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Search a space and return what a person sees: choices, luck, recipes by trial, and errors."""
    planned = plans.make(settings, spaces.parse(text))
    found = list[outcomes.Tried]()
    following: plans.Plan | None = planned
    with plans.running(settings, planned, step):
        while following is not None:
            for one in following.trainings:
                step(f"training {one.text}")
                try:
                    version = trained(settings, one, step)
                except ValueError as error:
                    found += outcomes.failed(following, one, error)
                else:
                    step(f"rules {one.text}")
                    found += outcomes.of_training(settings, following, one, version.number, version.run_id)
            following = guided.following(settings, following, found)
        step("outcomes")
        search = outcomes.write(settings, planned, found)
        step("choice")
        shown = judged(settings, outcomes.read(settings, search.id), step)
        plans.finish(settings, planned)
    return shown


def trained(settings: Settings, one: Training, step: Callable[[str], None]) -> registry.Version:
    """Train as the notebook `training` does: the look before the fit, its result after, then the version."""
    given, lake = one.parameters, Lake(settings.lake)
    first, last = (date.fromisoformat(given[name]) for name in ("start", "as_of"))
    task = register.Task(find(given["universe"]), given["horizon"], frames.LAG, given["feature_set"], given["returns"])
    frame = frames.training_frame(lake, first, last, horizon=task.horizon, universe=task.universe)
    target, shorter = targets.parse(given["target"])
    recipe = Recipe(given["model"], given["model_parameters"], seed=given["seed"], target=target, horizons=shorter)
    splitter = PurgedWalkForward(given["n_splits"], task.horizon, given["embargo"], lag=frames.LAG)
    inputs, data = frames.inputs(task.feature_version), register.digests(lake, last, task.feature_version)
    tried = recipes.of_training(task, recipe, inputs, splitter)
    look = looks.begin(settings, tried, window=looks.window(frame), data=data, source="training")
    step("fit")
    result = training.fit(frame, recipe, inputs, splitter)
    active = portfolio.simulate(result.scores, end=last, lake=lake).active
    step("result")
    look.complete(
        result.scores, active, {"rank_ic": metrics.summarise_ic(metrics.rank_ic(result.out_of_sample))["mean"]}
    )
    step("version")
    run_id = runs.open_run(settings, trials.EXPERIMENT, "training", tags={"champion.notebook": "training"})
    version = register.register_challenger(settings, result, frame, task, run_id=run_id, data=data, look=look)
    runs.close_run(settings, run_id, "succeeded")
    return version


def judged(settings: Settings, search: outcomes.Search, step: Callable[[str], None]) -> dict[str, Any]:
    """Judge a search as the notebook `search` does."""
    entries = ledger.read(settings)
    tried, data = choice.recipe(search, entries), choice.data(search, entries)
    look = looks.begin(settings, tried, window=(search.start, search.end), data=data, source=outcomes.SOURCE)
    step("chosen account")
    luck = report.against_luck(settings, search, look.id)
    choices = choice.choose(outcomes.returns(settings, search), choice.fold_starts(settings, search), search.seen)
    followed = choice.follow(settings, search, choices)
    step("chosen result")
    look.complete(followed.scores, followed.active)
    recipes_ = report.table(settings, search)
    return {
        "choices": choices.rows(named=True),
        "luck": luck.text,
        "scores": luck.scores.rows(),
        "recipes": recipes_.drop("version", "run").rows(named=True),
        "active": followed.active.rows(),
        "count": trials.count(settings),
        "best": recipes_["version"][0],
    }


if __name__ == "__main__":
    searched(Settings(), Path(sys.argv[1]).read_text(), lambda text: print(text, flush=True))  # noqa: T201
