"""A person's own notebooks in the workspace, and the copies of Champion's that JupyterLab opens."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from champion.base import package_data
from champion.errors import ChampionError, NotebookError, UsageError
from champion.pipeline.operations import own_notebooks
from champion.runner.notebook import find, names
from champion.services import schedules
from champion.settings import Settings


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def change(path: Path) -> None:
    """Change a cell, as a person does, and leave a checkpoint and an output, as JupyterLab does."""
    book = json.loads(path.read_text())
    book["cells"][-1]["source"] = "mine = 1"
    path.write_text(json.dumps(book))


def run_cells(path: Path) -> None:
    """Leave outputs and counts in a notebook, as running it in JupyterLab does."""
    book = json.loads(path.read_text())
    for number, cell in enumerate(book["cells"]):
        if cell["cell_type"] == "code":
            cell.update(execution_count=number, outputs=[{"output_type": "stream", "name": "stdout", "text": "1\n"}])
    path.write_text(json.dumps(book))


def test_a_new_notebook_has_typed_parameters_its_own_title_and_a_short_name(home: Settings) -> None:
    path = own_notebooks.create(home, "desk/my_momentum", "explore/watchlist")
    assert path == home.home / "notebooks/desk/my_momentum.ipynb"
    found = find("desk/my_momentum", home.notebooks)
    assert (found.path, found.parameters["top"].type, found.beside) == (path, "int", path.parent)
    assert "# My momentum\n" in "".join(json.loads(path.read_text())["cells"][0]["source"])
    assert set(names(home.notebooks)) - set(names()) == {"desk/my_momentum"}
    again = own_notebooks.create(home, "second", "desk/my_momentum")
    assert find(again).parameters == found.parameters


@pytest.mark.parametrize(
    "name", ["list", "training", "explore/watchlist", "a b", "../a", "/a", "a//b", ".a", "a.ipynb", ""]
)
def test_a_name_that_cannot_be_called_is_refused(home: Settings, name: str) -> None:
    with pytest.raises(NotebookError, match=r"name"):
        own_notebooks.create(home, name, "explore/watchlist")
    assert not list(home.home.rglob("*.ipynb"))


def test_of_many_that_begin_one_notebook_one_does(home: Settings) -> None:
    def begin(_: int) -> str:
        try:
            return str(own_notebooks.create(home, "race", "explore/watchlist"))
        except NotebookError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(begin, range(16)))
    assert sorted(["already" in words for words in said]) == [False, *[True] * 15]
    assert [path.name for path in home.notebooks.iterdir()] == ["race.ipynb"]


def test_two_notebooks_of_one_name_are_an_error_and_a_near_name_is_offered(home: Settings) -> None:
    own_notebooks.create(home, "momentum", "explore/watchlist")
    with pytest.raises(NotebookError, match="did you mean momentum"):
        find("momentun", home.notebooks)
    (home.notebooks / "training.ipynb").write_bytes((home.notebooks / "momentum.ipynb").read_bytes())
    with pytest.raises(NotebookError, match="one of your own"):
        find("training", home.notebooks)


def test_copies_follow_what_ships_and_changed_ones_stay(home: Settings) -> None:
    shipped = package_data.folder("notebooks")
    before = {path: path.read_bytes() for path in shipped.rglob("*.ipynb")}
    assert own_notebooks.refresh(home) == []
    copy = home.notebook_copies / "quality.ipynb"
    record = json.loads((home.notebook_copies / ".shipped.json").read_text())
    assert {name: find(home.notebook_copies / f"{name}.ipynb").digest for name in names()} == record

    run_cells(copy)
    change(outdated := home.notebook_copies / "ingest.ipynb")
    record["ingest"] = find(outdated).digest  # as if an earlier version had shipped these cells
    (home.notebook_copies / ".shipped.json").write_text(json.dumps(record))
    change(home.notebook_copies / "explore/audit.ipynb")
    (home.notebook_copies / "decay.ipynb").write_text("{")
    ran = copy.read_bytes()
    assert own_notebooks.refresh(home) == ["decay", "explore/audit"]
    assert find(outdated).digest == find("ingest").digest, "an unchanged copy follows"
    assert copy.read_bytes() == ran, "outputs are no change, and stay"

    kept = own_notebooks.reset(home, "explore/audit")
    assert "mine = 1" in kept.read_text()
    assert own_notebooks.refresh(home) == ["decay"]
    with pytest.raises(NotebookError, match="no notebook 'audit'"):
        own_notebooks.reset(home, "audit")
    assert {path: path.read_bytes() for path in shipped.rglob("*.ipynb")} == before
    assert names(home.notebooks) == names(), "copies have no short names"


@pytest.mark.parametrize(
    ("cron", "after"),
    [
        ("", ""),
        ("0 19 * * 1-5", "daily"),
        ("x", ""),
        ("0 25 * * *", ""),
        ("0 19 * *", ""),
        ("0 0 0 19 * *", ""),
        ("", "train"),
    ],
)
def test_a_wrong_time_is_refused_without_a_server(cron: str, after: str) -> None:
    with pytest.raises(UsageError, match=r"--cron|cron expression|runs after"):
        schedules.require_time(cron, after)


def test_a_right_time_is_accepted() -> None:
    schedules.require_time("*/15 9-15 * * MON-FRI", "")
    schedules.require_time("", "daily")


def test_wrong_parameters_of_a_schedule_are_refused_without_a_server(home: Settings) -> None:
    from typer.testing import CliRunner  # noqa: PLC0415

    from champion.cli.app import app  # noqa: PLC0415

    own_notebooks.create(home, "momentum", "explore/watchlist")
    for wrong in (["momentum", "-p", "top=x"], ["momentun"], ["add", "momentum", "-p", "tops=1"]):
        done = CliRunner(env={"CHAMPION_HOME": str(home.home)}).invoke(app, ["schedule", *wrong, "--cron", "* * * * *"])
        assert isinstance(done.exception, ChampionError), done.output
    assert not home.services.exists()
