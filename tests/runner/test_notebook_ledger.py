"""The record of notebook runs: why each ran, what it read and wrote, and how two runs differ."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from written import notebook

from champion.cli.app import app
from champion.errors import ServiceError
from champion.runner import Execution, NotebookRequest, Outcome, run_detail, run_diff, run_notebook
from champion.settings import Settings
from champion.tracking import runs, store

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

SOURCES = (
    "n: int = 1\nname: str = 'a'",
    "print(n * 2)",
    "from champion import report; report.publish(metrics={'n': n})",
)
Run = Callable[..., Execution]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledger")


@pytest.fixture(scope="module")
def settings(folder: Path) -> Settings:
    return Settings(home=folder / "home")


@pytest.fixture(scope="module")
def ran(folder: Path, settings: Settings) -> dict[str, Execution]:
    """One notebook, run several times with one change each time."""
    path, wrote = notebook(folder, "book", *SOURCES), {"features": "f" * 64}

    def run(inputs: dict[str, str], **how: Any) -> Execution:
        return run_notebook(settings, NotebookRequest(path, inputs=inputs, outputs=lambda: dict(wrote), **how))

    bars = {"bars": "a" * 64}
    found = {"first": run(bars), "same": run(bars), "forced": run(bars, force=True)}
    found["input"] = run({"bars": "b" * 64, "actions": "c" * 64})
    found["parameter"] = run(bars, parameters={"n": 5})
    wrote["features"] = "damaged"
    found["output"] = run(bars)
    notebook(folder, "book", *SOURCES[:2], "1 / 0")
    found["broken"] = run(bars, raise_on_failure=False)
    found["again"] = run(bars, raise_on_failure=False)
    found["undeclared"] = run_notebook(settings, NotebookRequest(notebook(folder, "book", *SOURCES)))
    return found


def test_each_run_records_its_reason(ran: dict[str, Execution], settings: Settings) -> None:
    assert {name: done.reason for name, done in ran.items()} == {
        "first": "because it has not succeeded before",
        "same": f"because nothing changed since run {ran['first'].run_id}",
        "forced": "because it was forced",
        "input": "because input bars changed, input actions is new",
        "parameter": "because parameter n is 5, was 1",
        "output": "because output features is not what its last run wrote",
        "broken": "because notebook book.ipynb changed",
        "again": "because its last run was: failed",
        "undeclared": "because its inputs are not declared: they may have changed",
    }
    assert [name for name, done in ran.items() if done.outcome is Outcome.SKIPPED] == ["same"]
    assert runs.get(settings, ran["input"].run_id).tags["champion.reason"] == ran["input"].reason


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_run_whose_published_result_is_lost_runs_again(folder: Path, settings: Settings, damage: str) -> None:
    path = notebook(folder, f"lost_{damage}", f"n: int = 1\nname: str = {damage!r}", *SOURCES[1:])
    first = run_notebook(settings, NotebookRequest(path, inputs={"bars": "a" * 64}))
    (result,) = (settings.home / "mlflow" / "artifacts").rglob(f"{first.run_id}/artifacts/result/result.json")
    result.unlink() if damage == "missing" else result.write_text("{")
    again = run_notebook(settings, NotebookRequest(path, inputs={"bars": "a" * 64}))
    assert again.outcome is Outcome.SUCCEEDED
    assert again.reason == f"because the published result of run {first.run_id} is missing or damaged"
    assert again.metrics["n"] == 1
    assert run_notebook(settings, NotebookRequest(path, inputs={"bars": "a" * 64})).outcome is Outcome.SKIPPED


def test_run_that_published_nothing_is_skipped(folder: Path, settings: Settings) -> None:
    path = notebook(folder, "silent", *SOURCES[:2])
    run_notebook(settings, NotebookRequest(path, inputs={"bars": "a" * 64}))
    again = run_notebook(settings, NotebookRequest(path, inputs={"bars": "a" * 64}))
    assert (again.outcome, again.values) == (Outcome.SKIPPED, {})


def test_run_keeps_its_parameters_inputs_and_packages(ran: dict[str, Execution], settings: Settings) -> None:
    run = runs.get(settings, ran["input"].run_id)
    assert run.tags["champion.python"].startswith("3.")
    assert len(run.tags["champion.lock_hash"]) == 64
    seconds = runs.series(settings, run.run_id, "cell_seconds")
    assert set(seconds) == {1, 2, 3}
    assert 0 < sum(seconds.values()) < ran["input"].seconds
    logged = store.prepare(settings).get_run(run.run_id).inputs
    assert logged is not None
    assert {(one.dataset.name, one.dataset.digest, one.tags[0].value) for one in logged.dataset_inputs} == {
        ("bars", "b" * 36, "input"),
        ("actions", "c" * 36, "input"),
        ("features", "f" * 36, "output"),
    }
    told = run_detail.read(settings, run.run_id[:10])
    assert told.packages["polars"]
    assert [cell.shown for cell in told.cells] == ["", "2", told.cells[2].shown]
    assert [cell.status for cell in told.cells] == ["completed"] * 3


def test_differences_of_two_runs_are_listed(ran: dict[str, Execution], settings: Settings) -> None:
    first, parameter = (run_detail.read(settings, ran[name].run_id) for name in ("first", "parameter"))
    found = run_diff.between(first, parameter)
    assert (found.parameters, found.metrics) == ({"n": ("1", "5")}, {"n": (1.0, 5.0)})
    assert (found.inputs, found.identity, found.cells) == ({}, {}, "")
    assert {"-2", "+10"} <= set(found.shown.splitlines())
    assert run_diff.between(first, first).is_empty
    broken = run_diff.between(first, run_detail.read(settings, ran["broken"].run_id))
    assert (broken.outcome, list(broken.identity)) == (("succeeded", "failed"), ["notebook"])
    assert "+1 / 0" in broken.cells.splitlines()
    assert run_detail.read(settings, ran["broken"].run_id).traceback.endswith("ZeroDivisionError: division by zero")


@pytest.fixture
def command(settings: Settings) -> Iterator[Callable[..., str]]:
    """A function that runs `champion notebook ...` in the workspace and returns what it printed."""
    before = os.environ.get("CHAMPION_HOME")
    os.environ["CHAMPION_HOME"] = str(settings.home)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["notebook", *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    yield run
    if before is None:
        del os.environ["CHAMPION_HOME"]
    else:
        os.environ["CHAMPION_HOME"] = before


def test_commands_show_runs_and_differences(ran: dict[str, Execution], command: Callable[..., str]) -> None:
    listed = json.loads(command("list", "book", "--json"))
    assert listed["runs"][0]["run"] == ran["undeclared"].run_id
    assert len(listed["runs"]) == len(ran) - 1
    shown = json.loads(command("show", ran["broken"].run_id, "--json"))
    assert (shown["outcome"], shown["error"]) == ("failed", "in cell 3: ZeroDivisionError: division by zero")
    assert [cell["status"] for cell in shown["cells"]] == ["completed", "completed", "failed"]
    told = json.loads(command("diff", ran["first"].run_id, ran["parameter"].run_id, "--json"))
    assert told["parameters"] == {"n": ["1", "5"]}
    assert "+1 / 0" in command("diff", ran["first"].run_id, ran["broken"].run_id)
    assert "the same" in command("diff", ran["first"].run_id, ran["first"].run_id)
    assert command("open", ran["first"].run_id[:12]).strip() == ran["first"].html
    assert "ZeroDivisionError" in command("show", ran["broken"].run_id)
    assert ran["first"].run_id[:8] in command("list")


def test_damaged_record_of_a_run_is_reported(ran: dict[str, Execution], settings: Settings) -> None:
    run = runs.get(settings, ran["first"].run_id)
    cells = Path(runs.location(run, "cells.json"))
    content = cells.read_bytes()
    try:
        cells.write_bytes(content[:-3])
        with pytest.raises(ServiceError, match=rf"cells.json of run {run.run_id} is damaged \(.*delete the run"):
            run_detail.read(settings, run.run_id)
    finally:
        cells.write_bytes(content)
    with pytest.raises(ServiceError, match=r"champion.inputs of run \w+ is damaged \(bars: Input should"):
        runs.digests(settings, replace(run, tags={"champion.inputs": '{"bars": 1}'}), "champion.inputs")
