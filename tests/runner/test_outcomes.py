"""Every outcome of a notebook, with real kernels, signals and faults: outcome, MLflow run and saved notebook."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
import repairs
from written import notebook, statuses, wait_for

from champion.runner import Execution, NotebookRequest, Outcome, Terminated, repair, run_notebook
from champion.settings import Settings
from champion.tracking import run_spool, runs

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

MIB = 1024 * 1024
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace whose MLflow store is there."""
    settings = Settings(home=tmp_path_factory.mktemp("workspace"))
    runs.close_run(settings, runs.open_run(settings, "first", "first"), "succeeded")
    return settings


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A function that writes a notebook from the sources of its cells, the first one its parameters."""
    return partial(notebook, tmp_path)


@pytest.fixture(autouse=True)
def no_process_left() -> Iterator[None]:
    """No test leaves a kernel, a guard or another process that a cell started."""
    yield
    children = psutil.Process().children(recursive=True)
    assert [child.cmdline() for child in children if "resource_tracker" not in " ".join(child.cmdline())] == []


def recorded(settings: Settings, done: Execution) -> tuple[str, str | None]:
    run = runs.get(settings, done.run_id)
    stamp = json.loads(Path(done.saved).read_text())["metadata"]["champion"]
    assert stamp["outcome"] == run.outcome == done.outcome.value
    assert Path(done.html).exists()
    return run.status, run.tags.get("champion.error")


def sleeping(seconds: int) -> list[psutil.Process]:
    return [found for found in psutil.process_iter(["cmdline"]) if found.info["cmdline"] == ["sleep", str(seconds)]]


def test_a_kernel_over_its_memory_limit_is_killed(workspace: Settings, write: Write) -> None:
    path = write("greedy", "n = 1", f"held = b'x' * {400 * MIB}; import time; time.sleep(60)", "print('never')")
    done = run_notebook(workspace, NotebookRequest(path, memory=300, raise_on_failure=False))
    assert (done.outcome, done.error and done.error.cell) == (Outcome.OUT_OF_MEMORY, 2)
    status, error = recorded(workspace, done)
    assert status == "FAILED"
    assert "MiB, the limit is 300" in str(error)
    assert statuses(done.saved) == ["completed", "failed", "pending"]


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux, which process it would end first")
def test_the_system_kills_the_kernel_first_when_memory_runs_out(workspace: Settings, write: Write) -> None:
    publish = "import champion as ch; ch.publish(values={'kernel': int(open('/proc/self/oom_score_adj').read())})"
    done = run_notebook(workspace, NotebookRequest(write("first", "n = 1", publish)))
    assert done.values["kernel"] == 500
    assert int(Path("/proc/self/oom_score_adj").read_text()) < 500


def test_a_memory_error_in_a_cell_is_out_of_memory(workspace: Settings, write: Write) -> None:
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({2048 * MIB}, {2048 * MIB}))"
    done = run_notebook(
        workspace, NotebookRequest(write("refused", "n = 1", limit, f"b'x' * {8192 * MIB}"), raise_on_failure=False)
    )
    assert (done.outcome, done.error and (done.error.cell, done.error.name)) == (
        Outcome.OUT_OF_MEMORY,
        (3, "MemoryError"),
    )
    assert recorded(workspace, done)[0] == "FAILED"


def test_a_notebook_over_its_time_limit_times_out(workspace: Settings, write: Write) -> None:
    path = write("long", "n = 1", "import time; time.sleep(0.1)", "time.sleep(60)")
    done = run_notebook(workspace, NotebookRequest(path, timeout=2, raise_on_failure=False))
    assert done.outcome is Outcome.TIMED_OUT
    assert "the notebook ran longer than 2 s" in str(recorded(workspace, done)[1])
    assert done.seconds < 60, "the cell that sleeps a minute was not waited for"


def test_a_process_outside_the_kernel_group_is_killed(workspace: Settings, write: Write) -> None:
    daemon = "import subprocess; subprocess.Popen(['sleep', '7531'], start_new_session=True)"
    done = run_notebook(workspace, NotebookRequest(write("daemon", "n = 1", daemon)))
    assert done.outcome is Outcome.SUCCEEDED
    assert sleeping(7531) == []


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_to_the_supervisor_cancels(
    workspace: Settings, write: Write, number: signal.Signals, raised: type[BaseException]
) -> None:
    assert threading.current_thread() is threading.main_thread()
    source = f"import os, time; os.kill(os.getppid(), {int(number)}); time.sleep(60)"
    with pytest.raises(raised):
        run_notebook(workspace, NotebookRequest(write(number.name.lower(), "n = 1", source)))
    run = runs.find_runs(workspace, tags={"champion.notebook": number.name.lower()})[0]
    assert (run.status, run.outcome) == ("KILLED", "cancelled")
    assert statuses(runs.location(run, f"notebook/{run.name}.ipynb")) == ["completed", "failed"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_killed_supervisor_leaves_no_process_and_repair_closes_its_runs(workspace: Settings, write: Write) -> None:
    started = "import subprocess; subprocess.Popen(['sleep', '8642']); print('be' + 'fore')"
    path = write("lost", "n = 1", started, "import time; time.sleep(600)")
    code = "import sys; from champion.runner import *; from champion.settings import Settings; "
    code += "from champion.tracking import run_spool; settings = Settings(home=sys.argv[1]); "
    code += "flow = run_spool.begin(settings, 'flows', 'a flow'); "
    code += "run_notebook(settings, NotebookRequest(sys.argv[2], parent_run_id=flow.known_as))"
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    supervisor = subprocess.Popen([sys.executable, "-c", code, str(workspace.home), str(path)], env=variables)
    wait_for(lambda: any("before" in file.read_text() for file in workspace.runs.rglob("lost.ipynb")))
    left = psutil.Process(supervisor.pid).children(recursive=True)
    assert sleeping(8642)
    killed = time.time()
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    wait_for(lambda: not any(process.is_running() for process in left) and not sleeping(8642))
    assert len(repair(workspace)) == 2
    run = runs.find_runs(workspace, tags={"champion.notebook": "lost"})[0]
    flow = runs.find_runs(workspace, ["flows"])[0]
    assert (run.status, run.outcome, flow.outcome) == ("KILLED", "killed", "killed")
    assert run.tags["mlflow.parentRunId"] == flow.run_id
    assert run.tags["champion.error"].startswith("in cell 3: SupervisorKilled")
    assert run.ended is not None
    assert run.ended.timestamp() < killed
    assert statuses(runs.location(run, "notebook/lost.ipynb")) == ["completed", "completed", "failed"]
    assert repair(workspace) == []


def test_repair_keeps_the_outcome_set_by_a_scheduler(workspace: Settings) -> None:
    entry = run_spool.begin(workspace, "flows", "cancelled by the scheduler")
    assert entry.run_id is not None
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    begun = entry.folder / "begun.json"
    content = json.loads(begun.read_text())
    begun.write_text(json.dumps(content | {"tags": content["tags"] | {runs.PID: str(gone.pid)}}))
    runs.close_run(workspace, entry.run_id, "cancelled")
    assert repair(workspace) == [entry.run_id]
    assert runs.get(workspace, entry.run_id).outcome == "cancelled"


def test_concurrent_repairs_record_each_run_once(workspace: Settings, tmp_path: Path) -> None:
    settings = like(workspace, tmp_path / "home")
    before = {run.run_id for run in runs.find_runs(settings, ["notebooks"])}
    command = [sys.executable, repairs.__file__, str(settings.home), "6", "12"]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    reported = json.loads(subprocess.run(command, env=variables, stdout=subprocess.PIPE, check=True).stdout)
    assert reported["errors"] == []
    assert reported["going"] == "RUNNING"
    found = [run for run in runs.find_runs(settings, ["notebooks"]) if run.run_id not in before]
    assert {run.tags[runs.ENTRY]: run.outcome for run in found} == reported["due"]
    assert len(found) == len(reported["due"]) == 16
    assert list(settings.runs.iterdir()) == []


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of 16 MB, if the system allows mounting one."""
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no disk can be mounted to fill: {made.stderr.decode().strip()}; a limit on file sizes is tested")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def small_files() -> Iterator[None]:
    """No file may grow beyond 400 kB, so neither the notebook nor MLflow's database can."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def like(workspace: Settings, home: Path) -> Settings:
    """A workspace with a copy of the store, which is faster than creating one."""
    (home / "mlflow").mkdir(parents=True)
    shutil.copy(workspace.home / "mlflow" / "mlflow.db", home / "mlflow" / "mlflow.db")
    settings = Settings(home=home)
    runs.close_run(settings, runs.open_run(settings, "own", "first"), "succeeded")
    return settings


def test_a_full_disk_fails_the_run_and_keeps_its_outcome(workspace: Settings, write: Write, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk"):
        settings = like(workspace, tmp_path / "disk" / "home")
        filler = tmp_path / "disk" / "filler"
        fill = "import contextlib\nwith contextlib.suppress(OSError):\n"
        fill += f"    open({str(filler)!r}, 'wb').write(b'x' * {32 * MIB})"
        done = run_notebook(
            settings, NotebookRequest(write("full", "n = 1", "print('first')", fill, "n"), raise_on_failure=False)
        )
        assert (done.outcome, done.error and done.error.name) == (Outcome.FAILED, "OSError")
        assert "No space left" in str(done.error)
        assert "first" in Path(done.saved).read_text()  # as it was saved a cell ago
        filler.unlink()
        assert len(repair(settings)) == 1
        run = runs.find_runs(settings, ["notebooks"], tags={"champion.notebook": "full"})[0]
        assert (run.status, run.outcome) == ("FAILED", "failed")
        assert "No space left" in run.tags["champion.error"]
        assert statuses(runs.location(run, "notebook/full.ipynb"))[:2] == ["completed", "completed"]
        assert Path(runs.location(run, "notebook/full.html")).exists()


def test_a_file_size_limit_fails_the_run(workspace: Settings, write: Write, tmp_path: Path) -> None:
    settings = like(workspace, tmp_path / "home")
    path = write("wordy", "n = 1", "print('x' * 600_000)")
    with small_files():
        done = run_notebook(settings, NotebookRequest(path, raise_on_failure=False))
    assert (done.outcome, done.error and done.error.name) == (Outcome.FAILED, "OSError")
    assert "File too large" in str(done.error)
    assert len(repair(settings)) == 1
    run = runs.find(settings, done.run_id)
    assert (run.status, run.outcome) == ("FAILED", "failed")
    assert "File too large" in run.tags["champion.error"]


def test_concurrent_runs_of_one_notebook_do_not_mix(workspace: Settings, write: Write) -> None:
    source = "import time, os; time.sleep(1); from champion import report; report.publish(values={'n': n})"
    path = write("twin", "n: int = 0", source)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda n: run_notebook(workspace, NotebookRequest(path, {"n": n})), (1, 2)))
    assert [done.values["n"] for done in both] == [1, 2]
    assert [runs.get(workspace, done.run_id).parameters["n"] for done in both] == ["1", "2"]
    first, second = (runs.get(workspace, done.run_id) for done in both)
    assert first.ended is not None
    assert second.started < first.ended  # they did run side by side


def test_runs_without_mlflow_are_recorded_later(workspace: Settings, write: Write, tmp_path: Path) -> None:
    home = like(workspace, tmp_path / "home").home
    settings = Settings(home=home)
    database = home / "mlflow"
    database.rename(tmp_path / "away")
    database.write_text("in the way")  # so that no store can be made there either
    flow = run_spool.begin(settings, "flows", "a flow", parameters={"session": "2024-01-15"})
    path = write("patient", "n: int = 3", "from champion import report; report.publish(metrics={'n': n})")
    done = run_notebook(settings, NotebookRequest(path, inputs={"bars": "abc"}, parent_run_id=flow.known_as))
    failed = run_notebook(
        settings, NotebookRequest(write("sorry", "n = 1", "n / 0"), parent_run_id=flow.known_as, raise_on_failure=False)
    )
    assert (done.outcome, failed.outcome, flow.run_id) == (Outcome.SUCCEEDED, Outcome.FAILED, None)
    assert done.metrics == {"n": 3.0}
    assert Path(done.html).exists()
    (flow.artifacts / "report").mkdir()
    (flow.artifacts / "report" / "morning.html").write_text("kept")
    assert run_spool.end(settings, flow, run_spool.End("succeeded")) is None
    assert repair(settings) == []
    assert len(run_spool.entries(settings)) == 3

    database.unlink()
    (tmp_path / "away").rename(database)
    assert len(repair(settings)) == 3
    assert (repair(settings), run_spool.entries(settings)) == ([], [])
    found, parent = runs.find(settings, done.run_id), runs.find(settings, flow.known_as)
    assert (found.status, found.outcome, found.parameters) == ("FINISHED", "succeeded", {"n": "3"})
    assert found.metrics["n"] == 3.0
    assert found.tags["mlflow.parentRunId"] == parent.run_id
    assert Path(runs.location(parent, "report/morning.html")).read_text() == "kept"
    assert "MLflow does not answer" in found.tags["champion.reason"]
    assert found.ended is not None
    assert (found.ended - found.started).total_seconds() == pytest.approx(done.seconds, abs=5)
    assert Path(runs.location(found, "notebook/patient.html")).exists()
    assert runs.find(settings, failed.run_id).tags["champion.error"].endswith("ZeroDivisionError: division by zero")
    assert run_notebook(settings, NotebookRequest(path, inputs={"bars": "abc"})).outcome is Outcome.SKIPPED


def test_a_run_is_recorded_after_the_store_was_locked(workspace: Settings, write: Write, tmp_path: Path) -> None:
    settings = like(workspace, tmp_path / "home")
    holder = sqlite3.connect(settings.home / "mlflow" / "mlflow.db", isolation_level=None)
    calls: list[int] = []

    def lock(done: int, _total: int, _title: str) -> None:
        if not calls:
            holder.execute("begin exclusive")
        calls.append(done)

    done = run_notebook(settings, NotebookRequest(write("locked", "n = 1", "print(n)"), on_progress=lock))
    assert done.outcome is Outcome.SUCCEEDED
    assert len(run_spool.entries(settings)) == 1
    holder.execute("rollback")
    holder.close()
    assert repair(settings) == [done.run_id]
    assert (runs.get(settings, done.run_id).outcome, run_spool.entries(settings)) == ("succeeded", [])
