"""The stages of the pipeline as plain calls, each timed, and single costs of notebooks and MLflow."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import nbformat
import polars as pl

from benchmarks import meter
from benchmarks.meter import Cost
from champion.contracts.datasets import BARS
from champion.lake import Lake
from champion.modeling import leakage_checks, metrics, training
from champion.modeling.estimators import Recipe
from champion.modeling.splits import PurgedWalkForward
from champion.modeling.universe import find
from champion.pipeline.feature_store import build
from champion.pipeline.ingest import fetch as archive, quality
from champion.pipeline.ingest.datasets import DatasetSpec, dataset_spec
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.ingest.parse_file import parse_file
from champion.pipeline.maintenance import load_warehouse as warehouse
from champion.pipeline.models import evaluate, frames, register
from champion.runner import NotebookRequest, run_notebook
from champion.settings import Settings
from champion.sources.download.archive import Staged
from champion.tracking import runs, store
from champion.warehouse import migrations
from champion.warehouse.engine import client

FETCH, INGEST = "fetch to staging (files)", "ingest: zip to raw and normalized lake"
HORIZON, COST_BPS, MODEL, UNIVERSE = 5, 10.0, "logistic", find("liquid")  # the values of the training notebook
QUALITY_DAYS = timedelta(days=45)  # the value of the daily flow
_MLFLOW_RUNS = 10


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the pipeline; `flow` is the command that runs it, empty if it is part of another stage."""

    name: str
    flow: str
    rows: int | None
    cost: Cost


@dataclass(frozen=True, slots=True)
class Trained:
    """The model of the training stage, and its training frame."""

    result: training.TrainingResult
    frame: pl.DataFrame


@dataclass(slots=True)
class _Clock:
    """Collects the stages of one flow."""

    flow: str
    stages: list[Stage] = field(default_factory=list)

    def time(self, name: str, call: Callable[[], Any], rows: Callable[[Any], int | None] = lambda _: None) -> Any:
        """Return the result of a call, and add it as a stage."""
        result, cost = meter.measured(call)
        self.stages.append(Stage(name, self.flow, rows(result), cost))
        return result


def run_stages(settings: Settings, start: date, end: date) -> tuple[list[Stage], Trained]:
    """Run backfill, train and score once in a fresh workspace; return their stages and the model."""
    backfill = through_warehouse(settings, start, end, start, "backfill")
    trained, train = _train(Lake(settings.lake), start, end)
    return [*backfill, *train, *_score(Lake(settings.lake), end, trained, "score")], trained


def one_more_session(settings: Settings, session: date, trained: Trained) -> list[Stage]:
    """Return the stages of one session more than a workspace has."""
    day = through_warehouse(settings, session, session, session - QUALITY_DAYS, "daily")
    return [*day, *_score(Lake(settings.lake), session, trained, "daily")]


def through_warehouse(settings: Settings, start: date, end: date, quality_from: date, flow: str) -> list[Stage]:
    """Run everything that a backfill does, as plain calls; return the stages."""
    lake, clock = Lake(settings.lake), _Clock(flow)
    clock.time(FETCH, lambda: archive.fetch(settings, start, end), lambda done: len(done.sessions))
    files = archive.staged(settings, start, end)
    clock.time(INGEST, lambda: ingest(lake, files), lambda done: done.totals["rows"])
    if flow == "backfill":
        name = "  of it: parse, validate, normalize, one thread"
        rows, cost = meter.measured(lambda: sum(_row_count(one.file, dataset_spec(one.publication)) for one in files))
        clock.stages.append(Stage(name, "", rows, cost))
    bars = lake.rows(BARS, quality_from, end)
    gates = clock.time("quality gates", lambda: quality.check(lake, quality_from, end), lambda _: bars)
    quality.require(gates.gates)
    built = clock.time("features", lambda: build.build_features(lake, start, end), lambda done: done.totals["rows"])
    if not built.totals["written"]:
        raise RuntimeError("no features were written: the workspace is not fresh")
    clock.time("warehouse: start the engine, migrate", lambda: _migrate(settings))
    return [*clock.stages, *_loads(settings, start, end, flow)]


def _row_count(file: Staged, spec: DatasetSpec) -> int:
    return parse_file(file.path.read_bytes(), file, spec).row_count


def _migrate(settings: Settings) -> None:
    with client.writer(settings) as engine:
        migrations.migrate(engine)


def _loads(settings: Settings, start: date, end: date, flow: str) -> list[Stage]:
    """Load all datasets in one call, as the flow does; split its cost by dataset at the progress reports."""
    laps = meter.Laps()
    results = warehouse.load(settings, start, end, progress=lambda _, __, label: laps.lap(label.split()[1]))
    laps.lap("close")
    rows = {name: sum(r.rows for r in results if r.table == name) for name in laps.laps}
    return [Stage(f"warehouse: {name}", flow, rows[name] or None, cost) for name, cost in laps.laps.items()]


def _train(lake: Lake, start: date, end: date) -> tuple[Trained, list[Stage]]:
    clock, inputs, recipe = _Clock("train"), frames.inputs(), Recipe(MODEL)
    splitter = PurgedWalkForward(horizon=HORIZON, lag=frames.LAG)
    frame = clock.time(
        "training frame", lambda: frames.training_frame(lake, start, end, horizon=HORIZON, universe=UNIVERSE), len
    )
    result = clock.time(
        f"model fit, {MODEL}, five folds and all",
        lambda: training.fit(frame, recipe, inputs, splitter),
        lambda done: int(done.metrics["train_rows"]),
    )
    clock.time("its IC, quantiles, returns", lambda: _evaluate(result), lambda _: result.out_of_sample.height)
    clock.time(
        "leakage check: shuffled labels", lambda: leakage_checks.shuffled_label_check(frame, recipe, inputs, splitter)
    )
    clock.time("leakage check: each input alone", lambda: leakage_checks.implausible_inputs(frame, inputs, HORIZON))
    clock.time("leakage check: inputs recomputed", lambda: frames.recompute_inputs(lake, [end], universe=UNIVERSE), len)
    return Trained(result, frame), clock.stages


def _evaluate(result: training.TrainingResult) -> None:
    metrics.rank_ic(result.out_of_sample)
    metrics.quantile_returns(result.out_of_sample)
    metrics.long_short_return(result.out_of_sample, horizon=HORIZON, cost_bps=COST_BPS)


def _score(lake: Lake, session: date, trained: Trained, flow: str) -> list[Stage]:
    def scores() -> pl.DataFrame:
        frame = frames.scoring_frame(lake, session, universe=UNIVERSE)
        return training.score(trained.result.estimator, frame, frames.inputs())

    clock = _Clock(flow)
    clock.time("scores of one session, in memory", scores, len)
    return clock.stages


def single_costs(settings: Settings, trained: Trained) -> dict[str, Cost]:
    """Return the cost of an empty notebook, an MLflow run and a registration; the workspace then has a champion."""
    found: dict[str, Cost] = {}
    _, found["MLflow: import, and tables of a new store"] = meter.measured(lambda: store.prepare(settings))
    with tempfile.TemporaryDirectory() as folder:
        number, found["MLflow: register and promote a model"] = meter.measured(
            lambda: _register(settings, trained, Path(folder))
        )
        if not number:
            raise RuntimeError("the model was not promoted")
        _record(settings, Path(folder))  # the first costs more
        _, ten = meter.measured(lambda: _record(settings, Path(folder), _MLFLOW_RUNS))
        found["MLflow: a run with an artifact"] = Cost(ten.wall / _MLFLOW_RUNS, ten.cpu / _MLFLOW_RUNS)
        found |= _empty_notebook(settings, Path(folder))
    return found


def _register(settings: Settings, trained: Trained, folder: Path) -> bool:
    run_id = runs.open_run(settings, "equity-price-prediction", "benchmark")
    table = folder / evaluate.OUT_OF_SAMPLE
    table.parent.mkdir(parents=True)
    trained.result.out_of_sample.write_parquet(table)
    runs.log_files(settings, run_id, folder)
    runs.close_run(settings, run_id, "succeeded", trained.result.metrics)
    version = register.register_challenger(
        settings, trained.result, trained.frame, register.Task(UNIVERSE, HORIZON, frames.LAG), run_id=run_id
    )
    return bool(evaluate.evaluate_and_promote(settings, version.number, reason="benchmark", force=True)["promoted"])


def _record(settings: Settings, folder: Path, times: int = 1) -> None:
    for _ in range(times):
        run_id = runs.open_run(settings, "benchmark", "empty", parameters={"session": "2024-01-01"})
        runs.log_files(settings, run_id, folder)
        runs.close_run(settings, run_id, "succeeded", {"rows": 1.0})


def _empty_notebook(settings: Settings, folder: Path) -> dict[str, Cost]:
    """Run a notebook of one empty cell twice; the second run needs no imports in this process."""
    path = folder / "empty.ipynb"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("None")])  # type: ignore[no-untyped-call]
    nbformat.write(book, path)  # type: ignore[no-untyped-call]
    _, first = meter.measured(lambda: run_notebook(settings, NotebookRequest(path, force=True)))
    done, second = meter.measured(lambda: run_notebook(settings, NotebookRequest(path, force=True)))
    return {
        "notebook: empty, the first of a process": first,
        f"notebook: empty, the next (its kernel {done.seconds:.2f} s)": second,
    }
