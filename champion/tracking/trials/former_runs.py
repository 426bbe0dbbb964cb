"""Trials of releases without a trial ledger: MLflow runs whose model was registered, or of the training notebook.

They are imported once, when the ledger is first opened and MLflow's store exists. Each has a look without sessions and
its Sharpe ratio; it has no series, so it counts as independent.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from champion.tracking import connectivity, experiments, runs, store
from champion.tracking.runs import Run
from champion.tracking.trials import entry
from champion.tracking.trials.entry import Entry

if TYPE_CHECKING:
    from champion.settings import Settings

TRIAL, COUNTED = "champion.trial", "yes"
"""The tag of a run whose model was registered, by any notebook or person."""
LOOK = "champion.trial_look"
"""The tag of runs and versions with the id of their look: their trial is in the ledger."""
ESTIMATOR = "champion.estimator"
"""The tag of runs and versions with the hash of the fitted estimator."""
BY_HAND = "training by hand"
PERIOD_SHARPE = "sharpe_per_period"
_DONE = "imported"


def is_imported(entries: list[Entry]) -> bool:
    """Return whether the runs of earlier releases are in the ledger."""
    return any(one.kind == "imported" for one in entries)


def lines(settings: Settings) -> list[Entry]:
    """Return the lines that import the runs of earlier releases; none while there is no store to import from.

    Runs with the same parameters that fitted the same model are one trial. Parameters alone do not identify a trial: a
    notebook may have none, and its cells change.

    Raises:
        ServiceError: the store does not answer.
    """
    if store.is_gone(settings):
        return []
    connectivity.require(settings)
    imported = list[Entry]()
    for run in _distinct(settings):
        estimator = {"estimator": run.tags[ESTIMATOR]} if ESTIMATOR in run.tags else {}
        recipe = {"run of an earlier release": {"parameters": dict(run.parameters), **estimator}}
        look = entry.look(recipe, None, None, {})
        source = run.tags.get("champion.notebook", run.name)
        imported.append(Entry(kind="look", id=look.id, at=run.started, source=source, recipe=recipe, run=run.run_id))
        sharpe = {name: value for name, value in run.metrics.items() if name == PERIOD_SHARPE}
        imported.append(Entry(kind="result", id=look.id, at=run.ended or run.started, run=run.run_id, figures=sharpe))
    return [*imported, Entry(kind="imported", id=_DONE)]


def _distinct(settings: Settings) -> list[Run]:
    find = partial(runs.find_runs, settings, limit=None)
    recorded = find(tags={TRIAL: COUNTED})
    # Releases before 0.3.0 did not tag trials.
    named = find(tags={"champion.notebook": "training"}, status="FINISHED")
    recorded += [run for run in named if "champion.result_sha256" not in run.tags]
    recorded += find([experiments.TRAINING], tags={"mlflow.runName": BY_HAND}, status="FINISHED")
    ordered = sorted(
        {run.run_id: run for run in recorded if LOOK not in run.tags}.values(), key=lambda run: run.started
    )
    # The latest run of each trial. A run without a model hash joins runs with the same parameters.
    latest = {(tuple(sorted(run.parameters.items())), run.tags.get(ESTIMATOR, "")): run for run in ordered}
    hashed = {parameters for parameters, model in latest if model}
    distinct = [run for (parameters, model), run in latest.items() if model or parameters not in hashed]
    return sorted(distinct, key=lambda run: run.started)
