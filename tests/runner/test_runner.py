"""Notebooks run in real kernels, and their records."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest
from pydantic import SecretStr
from written import notebook, statuses

from champion import report
from champion.errors import NotebookError, ParameterError, UsageError
from champion.runner import NotebookRequest, Outcome, identity, notebook as notebooks, parameters, run_notebook
from champion.settings import Settings
from champion.tracking import runs

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

PUBLISH = """\
import matplotlib.pyplot as plt
import polars as pl
from champion import report
figure, axes = plt.subplots()
axes.plot(range(rows))
report.publish(
    metrics={"rows": rows},
    figures={"line": figure},
    tables={"squares": pl.DataFrame({"n": range(rows)}).with_columns(square=pl.col("n") ** 2)},
    values={"session": session, "home": __import__("os").environ["CHAMPION_HOME"]},
)
"""


DSN = "clickhouse://quant:it%27s%2FPlant3d@127.0.0.1:9/champion_market"
HOOK = "http://127.0.0.1:9/hooks/Plant3d-token"
KEY = 'Plant3d "key"\\with\\\'all'
SAYS = """\
import os
from champion.workspace import settings
print(settings(), dict(os.environ))
os.write(2, os.environ["A_TOKEN"].encode())
{"text": settings().warehouse_dsn.get_secret_value(), "list": [os.environ["A_TOKEN"]]}
"""
PUBLISHES = """\
from champion import report
report.publish(values={"said": [os.environ["A_TOKEN"]]}, metrics={"rows": 1})
"""
RAISES = """\
from champion.workspace import settings
raise OSError(f"nobody at {settings().notify_url.get_secret_value()}, {settings().warehouse_dsn.get_secret_value()}")
"""


def left_behind() -> list[psutil.Process]:
    """Processes this one started that still run, except Python's own resource trackers."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a notebook from the sources of its cells, the first one its parameters."""
    return partial(notebook, tmp_path)


def artifact(saved: str, name: str) -> Path:
    return Path(saved).parent.parent / name


def test_success_is_recorded_with_its_published_results(workspace: Settings, write: Callable[..., Path]) -> None:
    path = write(
        "good",
        "from datetime import date\nsession: date\nrows: int = 3",
        "# Look at squares",
        "import sys; print(sys.executable)",
        PUBLISH,
    )
    told: list[tuple[int, int, str]] = []
    done = run_notebook(
        workspace,
        NotebookRequest(
            path,
            {"session": date(2024, 1, 15)},
            inputs={"bars": "abc"},
            outputs=lambda: {"features": "def"},
            on_progress=lambda *step: told.append(step),
            tags={"prefect.flow_run_id": "f1"},
        ),
    )
    assert (done.outcome, done.error, done.metrics) == (Outcome.SUCCEEDED, None, {"rows": 3.0})
    assert done.values == {"session": "2024-01-15", "home": str(workspace.home)}
    assert told[-1] == (5, 5, "Look at squares")  # papermill adds the cell with the parameters

    run = runs.get(workspace, done.run_id)
    assert (run.status, run.outcome, run.parameters) == (
        "FINISHED",
        "succeeded",
        {"rows": "3", "session": "2024-01-15"},
    )
    assert run.metrics["rows"] == 3.0
    assert run.metrics["run_seconds"] == pytest.approx(done.seconds)
    assert json.loads(run.tags["champion.inputs"]) == {"bars": "abc"}
    assert json.loads(run.tags["champion.outputs"]) == {"features": "def"}
    assert run.tags["champion.notebook_hash"] == notebooks.find(path).digest
    assert run.tags["champion.environment_hash"] == identity.environment_digest()
    assert run.tags["prefect.flow_run_id"] == "f1"

    book = json.loads(Path(done.saved).read_text())
    assert "".join(book["cells"][3]["outputs"][0]["text"]).strip() == sys.executable
    page = Path(done.html).read_text()
    assert "data:image/png;base64," in page
    assert "Look at squares" in page
    assert artifact(done.saved, "result/figures/line.png").read_bytes().startswith(b"\x89PNG")
    assert pl.read_parquet(artifact(done.saved, "result/tables/squares.parquet"))["square"].to_list() == [0, 1, 4]
    cells = json.loads(artifact(done.saved, "cells.json").read_text())
    assert [cell["status"] for cell in cells] == ["completed"] * 4
    assert sum(cell["seconds"] for cell in cells) < done.seconds
    assert list(workspace.runs.iterdir()) == []


def test_a_failure_leaves_a_failed_run_with_notebook_and_page(workspace: Settings, write: Callable[..., Path]) -> None:
    path = write(
        "bad", "n: int = 1", "import subprocess; subprocess.Popen(['sleep', '987'])", "n / 0", "print('never')"
    )
    with pytest.raises(NotebookError, match=r"notebook bad failed in cell 3: ZeroDivisionError: division by zero.*bad"):
        run_notebook(workspace, NotebookRequest(path))
    run = runs.find_runs(workspace, ["notebooks"], tags={"champion.notebook": "bad"})[0]
    assert (run.status, run.outcome) == ("FAILED", "failed")
    assert run.tags["champion.error"] == "in cell 3: ZeroDivisionError: division by zero"
    saved = runs.location(run, "notebook/bad.ipynb")
    assert statuses(saved) == ["completed", "completed", "failed", "pending"]
    assert "ZeroDivisionError" in Path(saved).with_suffix(".html").read_text()
    assert left_behind() == []
    sleepers = [process for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"] == ["sleep", "987"]]
    assert sleepers == []


def test_printed_published_and_raised_text_is_redacted(
    workspace: Settings, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", KEY)
    planted = workspace.model_copy(update={"warehouse_dsn": SecretStr(DSN), "notify_url": SecretStr(HOOK)})
    said = run_notebook(planted, NotebookRequest(write("says", "n: int = 1", SAYS, PUBLISHES)))
    assert said.values == {"said": ["***"]}
    assert Path(said.saved).parent.parent.joinpath("kernel.log").read_text() == "***"
    cell = json.loads(Path(said.saved).read_text())["cells"][1]
    assert [output["output_type"] for output in cell["outputs"]] == ["stream", "execute_result"]
    assert "warehouse_dsn=SecretStr('**********')" in "".join(cell["outputs"][0]["text"])
    with pytest.raises(NotebookError, match=r"OSError: nobody at \*\*\*, \*\*\*\. Saved as"):
        run_notebook(planted, NotebookRequest(write("raises", "n: int = 1", RAISES)))
    failed = runs.find_runs(planted, tags={"champion.notebook": "raises"})[0]
    assert failed.tags["champion.error"] == "in cell 2: OSError: nobody at ***, ***"
    assert "nobody at ***" in Path(runs.location(failed, "notebook/raises.html")).read_text()
    files = [path for path in planted.home.rglob("*") if path.is_file()]
    assert [path for path in files if b"Plant3d" in path.read_bytes()] == []


def test_killed_kernel_has_outcome_died(workspace: Settings, write: Callable[..., Path]) -> None:
    path = write("killed", "n = 1", "import os; os.kill(os.getpid(), 9)", "print('never')")
    done = run_notebook(workspace, NotebookRequest(path, raise_on_failure=False))
    assert done.outcome is Outcome.DIED
    assert done.error is not None
    assert (done.error.cell, done.error.name) == (2, "SIGKILL")
    assert "SIGKILL" in done.error.value
    assert statuses(done.saved) == ["completed", "failed", "pending"]
    stamp = json.loads(Path(done.saved).read_text())["metadata"]
    assert stamp["champion"]["outcome"] == "died"
    assert stamp["papermill"]["exception"] is True
    assert runs.get(workspace, done.run_id).status == "FAILED"
    assert left_behind() == []


def test_slow_cell_has_outcome_timed_out(workspace: Settings, write: Callable[..., Path]) -> None:
    path = write("slow", "seconds: float = 60", "import time; time.sleep(seconds)", "print('never')")
    done = run_notebook(workspace, NotebookRequest(path, cell_timeout=1, raise_on_failure=False))
    assert (done.outcome, done.error and done.error.cell) == (Outcome.TIMED_OUT, 2)
    assert done.seconds < 30
    assert statuses(done.saved) == ["completed", "failed", "pending"]
    assert runs.get(workspace, done.run_id).outcome == "timed_out"
    assert left_behind() == []


def test_same_run_is_skipped(workspace: Settings, write: Callable[..., Path]) -> None:
    path = write("once", "n: int = 1", "from champion import report; report.publish(values={'n': n})")
    written = {"features": "one"}

    def run(n: int) -> tuple[Outcome, str]:
        done = run_notebook(
            workspace, NotebookRequest(path, {"n": n}, inputs={"bars": "a"}, outputs=lambda: dict(written))
        )
        assert done.values == {"n": n}
        return done.outcome, done.run_id

    first = run(1)
    assert run(1) == (Outcome.SKIPPED, first[1])
    assert run(2)[0] is Outcome.SUCCEEDED
    written["features"] = "damaged"
    again = run(1)
    assert again[0] is Outcome.SUCCEEDED
    assert again[1] != first[1]


def test_identity_covers_everything_a_run_depends_on() -> None:
    base: dict[str, Any] = {"notebook": "n", "parameters": {"a": 1, "b": 2}, "inputs": {"bars": "x"}}
    same = base | {"parameters": {"b": 2, "a": 1}}
    changes: list[dict[str, Any]] = [
        {"notebook": "m"},
        {"parameters": {"a": 1}},
        {"inputs": {}},
        {"inputs": {"bars": "y"}},
    ]
    assert identity.identify(**base).key == identity.identify(**same).key
    assert len({identity.identify(**(base | change)).key for change in changes} | {identity.identify(**base).key}) == 5


def test_outputs_do_not_change_a_notebook_but_its_cells_do(write: Callable[..., Path]) -> None:
    path = write("same", "n = 1", "print(n)")
    before = notebooks.find(path).digest
    book = json.loads(path.read_text())
    book["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "1"}]
    path.write_text(json.dumps(book))
    assert notebooks.find(path).digest == before
    book["cells"][1]["source"] = ["print(n + 1)"]
    path.write_text(json.dumps(book))
    assert notebooks.find(path).digest != before


def test_a_missing_or_broken_notebook_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match="there is no notebook 'nonesuch'"):
        notebooks.find("nonesuch")
    (tmp_path / "broken.ipynb").write_text("{}")
    with pytest.raises(NotebookError, match="is not a notebook"):
        notebooks.find(tmp_path / "broken.ipynb")


DECLARED = """\
from datetime import date
session: date                                # the session
model: str = "logistic"
horizon: int = 5                             # sessions = trading days
margin: float = 0.0
quick: "bool" = False
symbols: list[str] = ["INFY", "TCS"]
end: date | None = None
spans: list = [5, 10]
folds = 4
solver: Literal["newton", "lbfgs"] = "lbfgs"
days: list[date] = []
"""
GIVEN: dict[str, Any] = {"session": date(2024, 1, 15)}


def test_declared_parameters_are_parsed() -> None:
    declared = parameters.read(DECLARED, "train")
    assert list(declared) == [
        "session", "model", "horizon", "margin", "quick", "symbols", "end", "spans", "folds",
        "solver", "days",
    ]  # fmt: skip
    assert [name for name, parameter in declared.items() if parameter.required] == ["session"]
    assert {name: p.type for name, p in declared.items() if name in {"end", "folds", "quick", "symbols"}} == {
        "quick": "bool",
        "symbols": "list[str]",
        "end": "date | None",
        "folds": "int",
    }
    assert declared["horizon"].help == "sessions = trading days"
    assert parameters.defaults(declared)["symbols"] == ["INFY", "TCS"]


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("session", "2024-02-29", "2024-02-29"),
        ("end", None, None),
        ("end", date(2024, 2, 29), "2024-02-29"),
        ("margin", 1, 1.0),
        ("margin", np.float64(0.5), 0.5),
        ("horizon", np.int64(3), 3),
        ("symbols", [], []),
        ("spans", [1, "a", None], [1, "a", None]),
        ("model", Path("a/b"), "a/b"),
        ("solver", "newton", "newton"),
        ("days", [date(2024, 2, 29), "2024-03-01"], ["2024-02-29", "2024-03-01"]),
    ],
)
def test_valid_values_are_converted(name: str, value: Any, stored: Any) -> None:
    found = parameters.check(parameters.read(DECLARED, "train"), GIVEN | {name: value}, "train")[name]
    assert found == stored
    assert type(found) is type(stored)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "'session' (date) is required: the session"),
        ({"session": None}, "'session' takes date, found None"),
        ({"session": "2024-02-30"}, "'session' takes date, found '2024-02-30'"),
        ({"session": datetime(2024, 1, 15, 9, 15)}, "'session' takes date"),  # noqa: DTZ001 - any is refused
        ({**GIVEN, "horizn": 5}, "no parameter 'horizn': did you mean 'horizon'?"),
        ({**GIVEN, "horizon": 5.0}, "'horizon' takes int, found 5.0 (float)"),
        ({**GIVEN, "horizon": True}, "'horizon' takes int, found True (bool)"),
        ({**GIVEN, "horizon": None}, "'horizon' takes int, found None"),
        ({**GIVEN, "margin": float("nan")}, "'margin' takes float, found nan"),
        ({**GIVEN, "quick": 1}, "'quick' takes bool, found 1 (int)"),
        ({**GIVEN, "symbols": ("INFY",)}, "found ('INFY',): write a list"),
        ({**GIVEN, "symbols": {"INFY"}}, "write a list"),
        ({**GIVEN, "symbols": ["INFY", 5]}, "'symbols' takes list[str]"),
        ({**GIVEN, "spans": [date(2024, 1, 15)]}, "'spans' takes list"),
        ({**GIVEN, "solver": "newtn"}, "found 'newtn' (str): did you mean 'newton'?"),
        ({**GIVEN, "days": ["2024-02-30"]}, "'days' takes list[date]"),
        ({**GIVEN, "api_token": "abc"}, "'api_token' looks like a secret"),
        ({**GIVEN, "model": "clickhouse://me:hunter2@host/db"}, "holds a user's password"),
        ({"horizon": "5", "modle": "a"}, "is required"),
    ],
)
def test_invalid_values_are_refused_before_a_kernel_starts(
    workspace: Settings, write: Callable[..., Path], given: dict[str, Any], says: str
) -> None:
    with pytest.raises(ParameterError) as refused:
        run_notebook(workspace, NotebookRequest(write("train", DECLARED, "1 / 0"), given))
    assert says in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert runs.find_runs(workspace, ["notebooks"], tags={"champion.notebook": "train"}) == []


@pytest.mark.parametrize("source", ["n: complex = 1j", "n: set[str]", "n: int ="])
def test_invalid_parameters_cell_is_refused(source: str) -> None:
    with pytest.raises(ParameterError, match="notebook train"):
        parameters.read(source, "train")


def test_publish_outside_a_run_returns_everything() -> None:
    table = pl.DataFrame({"a": [1]})
    found = report.publish(metrics={"ic": np.float64(0.5), "n": 2}, tables={"t": table}, values={"v": [1, None]})
    assert found["metrics"] == {"ic": 0.5, "n": 2.0}
    assert found["tables"]["t"] is table
    assert found["values"] == {"v": [1, None]}


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({"metrics": {"ic": float("nan")}}, "metric 'ic' is nan"),
        ({"metrics": {"ic": float("inf")}}, "metric 'ic' is inf"),
        ({"metrics": {"ic": None}}, "NoneType"),
        ({"metrics": {"ic": True}}, "finite number"),
        ({"metrics": {"../ic": 1.0}}, "metric name '../ic'"),
        ({"tables": {"": pl.DataFrame()}}, "table name ''"),
        ({"values": {"day": date(2024, 1, 15)}}, "value 'day' is not JSON"),
        ({"values": {"ic": float("nan")}}, "value 'ic' is not JSON"),
        ({"outputs": {"features": 5}}, "output 'features'"),
    ],
)
def test_invalid_results_are_not_published(what: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as refused:
        report.publish(**what)
    assert says in str(refused.value)
