"""A notebook's runs are in one experiment, whoever starts them; manual trainings count as trials and reuse versions."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from written import notebook

from champion.lake import Lake
from champion.modeling import training
from champion.modeling.estimators import Recipe
from champion.modeling.splits import PurgedWalkForward
from champion.modeling.training import TrainingResult
from champion.modeling.universe import find
from champion.pipeline.models import looks, notebook_data, trials
from champion.pipeline.models.register import Task, register_challenger
from champion.runner import NotebookRequest, notebook as notebooks, run_notebook
from champion.settings import Settings
from champion.tracking import experiments, registry, runs, store

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

SESSIONS, INSTRUMENTS, HORIZON = 60, 20, 5
DATA = {"normalized_equity_ohlc": "a" * 64}


def panel() -> pl.DataFrame:
    """A market whose returns follow `signal`."""
    random, count = np.random.default_rng(5), SESSIONS * INSTRUMENTS
    signal = random.uniform(-0.5, 0.5, size=count)
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(SESSIONS)]
    names = [f"S{n:02}" for n in range(INSTRUMENTS)]
    return pl.DataFrame(
        {
            "instrument_id": names * SESSIONS,
            "symbol": names * SESSIONS,
            "trade_date": [day for day in days for _ in names],
            "signal": signal,
            "forward_return": signal + 0.3 * random.normal(size=count),
        }
    ).with_columns(label_end=pl.col("trade_date") + timedelta(days=HORIZON))


def fitted(frame: pl.DataFrame, seed: int = 3) -> TrainingResult:
    return training.fit(frame, Recipe("logistic", seed=seed), ("signal",), PurgedWalkForward(2, HORIZON, 2))


def test_trainings_by_hand_are_trials_and_reuse_registered_versions(tmp_path: Path) -> None:
    settings, frame = Settings(home=tmp_path / "home"), panel()
    task = Task(find("all"), HORIZON, 1)
    assert trials.known(settings).count == 0

    # Earlier releases recorded trials in MLflow: a run of a copied notebook whose model was registered, one of the
    # training notebook, one by hand. A notebook of one's own that is called training, and registers nothing, is none.
    tagged = {"champion.notebook": "mine", trials.TRIAL: trials.COUNTED, trials.ESTIMATOR: "hash"}
    for _ in range(2):  # the same model again
        runs.close_run(settings, runs.open_run(settings, experiments.OTHER, "mine", tags=tagged), "failed")
    named = {"champion.notebook": "training"}
    old = runs.open_run(settings, experiments.OTHER, "training", tags=named, parameters={"model": "old"})
    by_hand = runs.open_run(settings, experiments.TRAINING, "training by hand", parameters={"model": "older"})
    tags = {"champion.notebook": "training", "champion.result_sha256": "none"}
    none = runs.open_run(settings, experiments.TRAINING, "training", tags=tags)
    for run_id in (old, by_hand, none):
        runs.close_run(settings, run_id, "succeeded", metrics={trials.PERIOD_SHARPE: 0.1})
    assert trials.known(settings).count == 3
    assert trials.known(settings).sharpes == (0.1, 0.1)
    lines = (settings.home / "trials.jsonl").read_bytes()
    assert trials.known(settings).count == 3
    assert (settings.home / "trials.jsonl").read_bytes() == lines, "they are imported once"

    # By a flow, or a copy of the notebook: any run that registers is a trial, also before it has ended.
    copied = runs.open_run(settings, experiments.OTHER, "mine", tags={"champion.notebook": "mine"})
    first = register_challenger(settings, fitted(frame), frame, task, run_id=copied, data=DATA)
    assert trials.known(settings).count == 4
    assert trials.known(settings, first.tags[trials.LOOK]).count == 3
    runs.close_run(settings, copied, "succeeded")

    # By hand: the same model is the version that it is, another one has a run in the same experiment as a flow's.
    again = register_challenger(settings, fitted(frame), frame, task, run_id=None, data=DATA)
    assert again.number == first.number
    other = register_challenger(settings, fitted(frame.head(1100), 4), frame.head(1100), task, run_id=None, data=DATA)
    assert other.number == first.number + 1
    run = runs.get(settings, other.run_id)
    assert (run.status, run.parameters["model"], run.parameters["horizon"]) == ("FINISHED", "logistic", "5")
    assert trials.known(settings).count == 5
    assert register_challenger(settings, fitted(frame), frame, task, run_id=None, data={"bars": "b"}).number == 3
    assert [version.number for version in registry.versions(settings)] == [3, 2, 1]
    assert trials.known(settings).count == 5, "the same recipe on the same sessions of revised data"

    # A registration without training is a trial as soon as the version is evaluated.
    model = fitted(frame).estimator
    bare = registry.register(settings, model, frame.select("signal"), run_id=copied, feature_version="v1")
    assert trials.known(settings).count == 5
    assert looks.of_versions(settings, bare) == looks.of_versions(settings, bare)
    assert trials.count(settings) == trials.Count(6, 0)

    client = store.prepare(settings)
    for found in runs.find_runs(settings, limit=None):
        client.delete_run(found.run_id)
    assert runs.find_runs(settings, limit=None) == []
    assert trials.count(settings) == trials.Count(6, 0), "deleting all runs changes no count"


def test_every_notebook_of_champion_has_one_experiment(tmp_path: Path) -> None:
    own = {name: experiments.of_notebook(name) for name in notebooks.names() if "/" not in name}
    assert {name for name, experiment in own.items() if experiment == experiments.OTHER} <= {"welcome"}
    settings = Settings(home=tmp_path / "home")
    run_notebook(settings, NotebookRequest(notebook(tmp_path, "decay", "n: int = 1")))
    assert runs.find_runs(settings, ["model-health"])[0].name == "decay"


def test_datasets_of_notebooks_are_defined_in_one_place(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    lake = Lake(settings.lake)
    given = {
        "feature_set": "v1",
        "start": "2024-01-01",
        "end": "2024-01-31",
        "as_of": "2024-01-31",
        "universe": "liquid",
    }
    features = notebook_data.of_notebook(settings, "features", given)
    assert features == notebook_data.of_features(lake, "v1", date(2024, 1, 1), date(2024, 1, 31))
    assert features is not None
    assert features.writes == ("features_equity_indicators",)
    assert set(features.written(lake)) == {"features_equity_indicators"}
    training_reads = notebook_data.of_notebook(settings, "training", given)
    assert training_reads is not None
    assert set(training_reads.inputs) >= {"normalized_equity_ohlc", "features_equity_indicators"}
    assert notebook_data.of_notebook(settings, "scoring", {"session": "2024-01-31"}) is None  # no champion
    assert notebook_data.of_notebook(settings, "mine", {}) is None
