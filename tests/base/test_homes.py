"""A workspace is a folder: moved, copied or restored elsewhere, it works there and does not touch the former folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import asdict
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, strategies

from champion.base import process_identity, workspace_homes
from champion.errors import ServiceError, UsageError
from champion.pipeline.operations import doctor
from champion.runner import notebook
from champion.runner.kernel_env import of_kernel
from champion.services import lab, managed_process, supervisor
from champion.settings import Settings
from champion.sources.download.staging import Staging
from champion.tracking import registry, relocation, runs, store

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

PARTS = strategies.lists(strategies.sampled_from(["a", "b", "c d", "é", "100%"]), min_size=1, max_size=4)


@given(PARTS, PARTS, PARTS)
def test_locations_below_a_former_home_move_to_the_current_one(old: list[str], new: list[str], rest: list[str]) -> None:
    former, home = Path("/", *old), Path("/", *new)
    path = former.joinpath("mlflow", *rest)
    nested = former != home and home.is_relative_to(former) and path.is_relative_to(home)
    expected = path if nested else home.joinpath("mlflow", *rest)
    assert workspace_homes.moved(path.as_uri(), [str(former)], home) == expected.as_uri()
    assert workspace_homes.moved(str(path), [str(former)], home) == str(expected)
    again = workspace_homes.moved(expected.as_uri(), [str(former)], home)
    if not (former != home and former.is_relative_to(home) and expected.is_relative_to(former)):
        assert again == expected.as_uri(), "a second time changes nothing"


def test_the_list_of_homes_grows_only_when_the_folder_changes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    workspace_homes.remember(first)
    workspace_homes.remember(first)
    assert (workspace_homes.recorded(first), workspace_homes.former(first)) == ([str(first)], [])
    first.rename(second)
    assert workspace_homes.former(second) == [str(first)]
    workspace_homes.remember(second)
    assert workspace_homes.recorded(second) == [str(first), str(second)]
    (tmp_path / "link").symlink_to(second)
    assert workspace_homes.former(tmp_path / "link") == [str(first)], (
        "another name of the same folder is no former home"
    )
    (second / "home.json").write_text("{}")
    with pytest.raises(UsageError, match=r"home.json: expected a list of folders"):
        workspace_homes.former(second)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with a run, its artifact, a version of a model registered by hand, and a run of MLflow's own."""
    settings = Settings(home=tmp_path_factory.mktemp("it's an original, 100%") / "home")
    run_id = runs.open_run(settings, "notebooks", "first")
    folder = settings.home.parent / "files"
    folder.mkdir()
    (folder / "page.html").write_text("what ran")
    runs.log_files(settings, run_id, folder, "notebook")
    runs.close_run(settings, run_id, "succeeded")
    client = store.prepare(settings)
    logged = client.create_logged_model(store.experiment_id(settings, "notebooks"), name="m", source_run_id=run_id)
    registry.ensure_model(settings, registry.MODEL, "a model")
    client.create_model_version(
        registry.MODEL, source=logged.artifact_location, run_id=run_id, model_id=logged.model_id
    )
    return settings


def locations(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as books:
        return [
            value
            for table, column in relocation._LOCATIONS
            for (value,) in books.execute(f"select {column} from {table}")
        ]


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


def test_copy_and_original_work_independently(original: Settings, tmp_path: Path) -> None:
    copy = Settings(home=tmp_path / "a copy")
    shutil.copytree(original.home, copy.home)
    before = state(original.home)
    check = next(one for one in doctor.examine(copy) if one.name == "artifacts")
    assert check.found.startswith("MLflow's store names another folder: the next command")
    (run,) = runs.find_runs(copy, ["notebooks"])
    assert runs.read_file(copy, run.run_id, "notebook/page.html") == b"what ran"
    assert runs.location(run, "notebook/page.html") == str(
        copy.artifacts / "notebooks" / run.run_id / "artifacts" / "notebook" / "page.html"
    )
    new = runs.open_run(copy, "notebooks", "second")
    runs.log_files(copy, new, copy.artifacts / "notebooks" / run.run_id / "artifacts" / "notebook", "notebook")
    runs.close_run(copy, new, "succeeded")
    assert {
        location.startswith(copy.artifacts.as_uri()) for location in locations(copy.home / "mlflow" / "mlflow.db")
    } == {True}
    assert state(original.home) == before, "nothing is written to the original"
    assert [run.name for run in runs.find_runs(original, ["notebooks"])] == ["first"]
    assert next(one for one in doctor.examine(copy) if one.name == "artifacts").found == "in the workspace"
    assert relocation.relocate(copy.home, store.artifact_root(copy), copy.home / "mlflow" / "mlflow.db") == 0


def test_kill_during_relocation_leaves_old_or_new_locations(original: Settings, tmp_path: Path) -> None:
    """The transaction is complete or absent, and the next command finishes the relocation."""
    home = tmp_path / "copy"
    shutil.copytree(original.home, home)
    database = home / "mlflow" / "mlflow.db"
    with closing(sqlite3.connect(database)) as books, books:
        (template,) = books.execute("select * from runs limit 1").fetchall()
        marks = ",".join("?" * len(template))
        books.executemany(f"insert into runs values ({marks})", [(f"{n:032x}", *template[1:]) for n in range(20_000)])
    code = (
        "import sys; from pathlib import Path; from champion.tracking import relocation; print('ready', flush=True); "
        "relocation.relocate(Path(sys.argv[1]), 'file:///none', Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(home), str(database)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    seen = set()
    for number in range(6):
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.03 * number)
            process.send_signal(signal.SIGKILL)
        places = {location.startswith(home.as_uri()) for location in locations(database)}
        assert len(places) == 1, "some locations changed, others did not"
        seen |= places
    relocation.relocate(home, "file:///none", database)
    assert {location.startswith(home.as_uri()) for location in locations(database)} == {True}
    assert False in seen, "no process was killed before it was done"


def test_artifacts_logged_by_a_notebook_are_in_the_workspace(tmp_path: Path) -> None:
    """MLflow's own experiments, `Default` and one of a notebook, from any current directory."""
    settings = Settings(home=tmp_path / "home")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    store.prepare(settings)
    code = (
        "import mlflow\n"
        "with mlflow.start_run():\n"
        "    mlflow.log_text('default', 'a.txt')\n"
        "mlflow.set_experiment('of my own')\n"
        "with mlflow.start_run():\n"
        "    mlflow.log_text('own', 'b.txt')\n"
    )
    variables = {**os.environ, **store.environment(settings), "MLFLOW_TRACKING_URI": settings.tracking}
    subprocess.run([sys.executable, "-c", code], cwd=elsewhere, env=variables, check=True, capture_output=True)
    assert list(elsewhere.iterdir()) == []
    found = {path.name: path.read_text() for path in settings.artifacts.rglob("*.txt")}
    assert found == {"a.txt": "default", "b.txt": "own"}
    assert relocation.outside(settings.home, settings.home / "mlflow" / "mlflow.db") == []


def test_kernels_and_jupyterlab_receive_the_artifact_location(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    told = store.environment(settings).items()
    assert set(told) == {("_MLFLOW_SERVER_ARTIFACT_ROOT", settings.artifacts.as_uri())}
    quality = notebook.find("quality")
    kernel = of_kernel(settings, quality, execution="run", run_id=None, result=tmp_path, private=tmp_path)
    assert told <= kernel.items()
    assert told <= lab.environment(settings, {}).items()
    assert store.environment(Settings(home=tmp_path, tracking_uri="http://127.0.0.1:5000")) == {}, "its server decides"


def test_experiments_in_a_current_directory_move_into_the_workspace(original: Settings, tmp_path: Path) -> None:
    """Versions before 0.3.0 left `Default` there; an experiment that was placed elsewhere on purpose stays."""
    home = tmp_path / "home"
    shutil.copytree(original.home, home)
    database = home / "mlflow" / "mlflow.db"
    with closing(sqlite3.connect(database)) as books, books:
        books.execute("update experiments set artifact_location = '/mlruns/0' where name = 'Default'")
        books.execute(
            "insert into experiments (name, artifact_location, lifecycle_stage, workspace) "
            "values ('big', 'file:///srv/big', 'active', 'default')"
        )
    client = store.prepare(Settings(home=home))
    placed = {one.name: one.artifact_location for one in client.search_experiments()}
    assert placed["Default"] == f"{(home / 'mlflow' / 'artifacts').as_uri()}/0"
    assert placed["big"] == "file:///srv/big"
    assert relocation.outside(home, database) == ["/srv/big"]


def test_store_lost_after_a_move_is_not_replaced_by_an_empty_one(original: Settings, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(original.home, home)
    (home / "mlflow" / "mlflow.db").unlink()
    with pytest.raises(ServiceError, match="is missing or empty: restore it"):
        store.prepare(Settings(home=home))
    assert workspace_homes.former(home) == [str(original.home)]


def test_archive_inside_the_workspace_moves_with_it(tmp_path: Path) -> None:
    """The demo's archive is in its workspace: files fetched before the move belong to the same archive."""
    home = tmp_path / "before"
    staging = Staging(home / "staging", (home / "archive").as_uri())
    with staging.receiving() as part:
        part.write(b"bars")
        staging.keep("bars.zip", date(2024, 1, 15), part, sha256(b"bars").hexdigest())
    home.rename(now := tmp_path / "after")
    moved = Staging(now / "staging", (now / "archive").as_uri())
    assert moved.known() == [(now / "archive").as_uri(), (home / "archive").as_uri()]
    found = moved.find(["bars.zip"], date(2024, 1, 15))
    assert found is not None
    assert found.path == now / "staging" / "bars.zip"
    moved.require_same_archive()
    Staging(now / "staging", (home / "archive").as_uri()).require_same_archive()  # a copy may go on with the original's
    with pytest.raises(UsageError, match="a workspace cannot mix two archives"):
        Staging(now / "staging", (tmp_path / "another").as_uri()).require_same_archive()


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_workspaces_with_the_same_path_suffix_are_distinct(tmp_path: Path) -> None:
    """A backup at /mnt/srv/ws that is restored to /srv/ws contains records of the former's servers."""
    settings = Settings(home=tmp_path / "home")
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    server = managed_process.start(
        settings, "prefect", sleeper, {**os.environ, "PREFECT_HOME": f"/mnt{settings.prefect_home}"}
    )
    record = settings.services / "prefect.json"
    try:
        record.write_text(json.dumps({"pid": server.pid, "born": server.born, "port": 1}))  # of an earlier version
        assert supervisor.stop(settings) == []
        assert server.alive
    finally:
        record.write_text(json.dumps(asdict(server)))
        supervisor.stop(settings)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_copy_does_not_stop_servers_of_its_original(tmp_path: Path) -> None:
    """`champion stop` ends the servers of this folder, also after a move, and never those of a copy's original."""
    settings = Settings(home=tmp_path / "original")
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    server = managed_process.start(
        settings, "prefect", sleeper, {**os.environ, "PREFECT_HOME": str(settings.prefect_home)}, 1
    )
    try:
        copy = settings.model_copy(update={"home": tmp_path / "copy"})
        shutil.copytree(settings.home, copy.home)
        assert supervisor.stop(copy) == []
        assert managed_process.recorded(copy, "prefect") is None
        assert server.alive
        record = copy.services / "prefect.json"
        for written in (settings.services / "prefect.json", record):  # as earlier versions wrote it
            written.write_text(json.dumps({"pid": server.pid, "born": server.born, "port": 1}))
        assert supervisor.stop(copy) == []
        assert managed_process.recorded(settings, "prefect") is not None, "the server's environment names its home"
        assert server.alive
        settings.home.rename(moved := tmp_path / "moved")
        now = settings.model_copy(update={"home": moved})
        assert json.loads((moved / "services" / "prefect.json").read_text()).keys() == {"pid", "born", "port"}
        (moved / "services" / "prefect.json").write_text(json.dumps(asdict(server)))
        assert supervisor.stop(now) == ["prefect"]
        assert process_identity.process_token(server.pid) != server.born
        assert supervisor.stop(now) == []
    finally:
        with suppress(ProcessLookupError):
            os.kill(server.pid, signal.SIGKILL)  # else a failure here is one of other tests, too
