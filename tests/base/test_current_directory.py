"""A hostile folder: no server imports or reads configuration from the current directory."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from modes import too_open
from waiting import PATIENCE
from written import notebook, wait_for

from champion.base import file_modes, isolation
from champion.runner import NotebookRequest, run_notebook
from champion.runner.outcome import Outcome
from champion.services import lab, managed_process
from champion.settings import Settings

HELPER = "import helper_of_notebooks, json, signal\nassert helper_of_notebooks.VALUE == 7\njson.dumps(1)\n"
MODULES = (
    "json signal types random socket logging asyncio typing uuid select tempfile subprocess dataclasses sqlite3 ssl "
    "sitecustomize usercustomize yaml httpx anyio uvicorn mlflow prefect flask ipykernel_launcher jupyterlab filelock "
    "flows champion_hostile"
).split()


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder of modules that report when they run, and of files that configure programs started in it."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    marker = tmp_path / "ran"
    said = f"open({str(marker)!r}, 'a').write(__name__ + '\\n')\nraise SystemExit(97)\n"
    for name in MODULES:
        (folder / f"{name}.py").write_text(said)
    logging = {
        "version": 1,
        "handlers": {"h": {"()": "champion_hostile.anything"}},
        "root": {"handlers": ["h"]},
        "loggers": {},
    }
    (folder / "logging.yml").write_text(json.dumps(logging))
    (folder / "prefect.toml").write_text(
        '[logging]\nconfig_path = "logging.yml"\n[api]\nurl = "http://127.0.0.1:9/api"\n'
    )
    (folder / ".env").write_text("PREFECT_LOGGING_CONFIG_PATH=logging.yml\nPREFECT_SERVER_LOGGING_LEVEL=NONSENSE\n")
    (folder / "jupyter_server_config.py").write_text(said)
    (folder / "jupyter_lab_config.py").write_text(said)
    (folder / "ipython_config.py").write_text(said)
    return folder


@pytest.fixture
def variables(hostile: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a command there. Afterwards its servers are stopped, and nothing of the folder has run."""
    given = {**os.environ, "CHAMPION_HOME": str(tmp_path / "home"), "CHAMPION_ARCHIVE": str(tmp_path)}
    given |= {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(["", ".", "hostile"])}
    given["PYTHONUNBUFFERED"] = "1"
    yield given
    command(given, hostile, "stop")
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


def entry_point() -> list[str]:
    """Return the installed `champion` command."""
    return [str(Path(sys.executable).with_name("champion"))]


def command(given: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command under the tightest umask; test_demo.py runs its commands under the loosest."""
    return subprocess.run(
        [*entry_point(), *arguments],
        env=given,
        cwd=folder,
        umask=0o077,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_a_flow_its_server_and_its_kernels_run_in_a_hostile_folder(
    hostile: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    """`champion daily` starts Prefect's server, and a notebook starts a kernel."""
    variables.pop("PYTHONPATH")  # the entry point's own interpreter would read it
    settings = Settings(home=tmp_path / "home")
    own = tmp_path / "own"
    own.mkdir()
    (own / "helper_of_notebooks.py").write_text("VALUE = 7\n")
    notebook(tmp_path, "uses", "n: int = 1", HELPER)
    variables["PYTHONPATH"] = str(own)
    done = command(variables, hostile, "notebook", "run", str(tmp_path / "uses.ipynb"))
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.copy(hostile / "logging.yml", file_modes.private_folder(settings.prefect_home))  # Prefect's default place
    done = command(variables, hostile, "daily", "2024-01-15")  # the archive has no such file
    assert done.returncode == 0, done.stdout + done.stderr
    (settings.prefect_home / "logging.yml").unlink()
    assert too_open(settings.home) == []
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o750, "the lake's group may enter, whatever the umask"
    server = managed_process.recorded(settings, "prefect")
    assert server is not None
    assert server.alive


def test_a_config_xml_of_the_current_directory_does_not_configure_the_warehouse(
    hostile: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    """ClickHouse would read the file, and write its log or listen on a port accordingly."""
    variables.pop("PYTHONPATH")
    log = tmp_path / "theirs.log"
    logger = f"<logger><level>trace</level><log>{log}</log></logger>"
    (hostile / "config.xml").write_text(f"<clickhouse>{logger}<tcp_port>9</tcp_port></clickhouse>")
    done = command(variables, hostile, "warehouse", "migrate")
    assert done.returncode == 0, done.stderr
    done = command(variables, hostile, "sql", "select 1 as one", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [{"one": 1}]), done.stderr
    assert not log.exists()


@pytest.mark.parametrize("what", ["ui", "lab"])
def test_pages_start_in_a_hostile_folder(hostile: Path, variables: dict[str, str], tmp_path: Path, what: str) -> None:
    variables.pop("PYTHONPATH")
    arguments = ["ui"] if what == "ui" else ["lab", str(tmp_path), "--no-browser"]
    log = tmp_path / "said.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*entry_point(), *arguments], env=variables, cwd=hostile, stdout=output, stderr=output
        )
    try:
        wait_for(lambda: "http://127.0.0.1" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def test_modules_run_without_the_current_directory(hostile: Path, tmp_path: Path) -> None:
    """`python -m champion` puts the folder first; modules that Python's start does not import are protected."""
    for path in hostile.glob("*.py"):
        if path.stem not in {"json", "signal", "logging", "sqlite3", "uuid"}:
            path.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "champion", "--version"],
        cwd=hostile, capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert (done.returncode, (tmp_path / "ran").exists()) == (0, False), done.stderr


def test_children_of_children_are_isolated(hostile: Path, tmp_path: Path) -> None:
    """Libraries start helpers by `python -c`, as multiprocessing does: these cannot import from the folder."""
    child = "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', 'import json, signal']).returncode)"
    given = isolation.environment({**os.environ, "PYTHONPATH": f":{os.pathsep}."})
    for flags in (["-c", child], ["-m", "json.tool", "--help"]):
        done = subprocess.run([sys.executable, *flags], cwd=hostile, env=given, check=False, timeout=PATIENCE)
        assert done.returncode == 0
    assert not (tmp_path / "ran").exists()


def test_scripts_of_a_kernel_import_from_their_folder(tmp_path: Path) -> None:
    """The kernel's isolation does not apply to scripts that a cell starts."""
    code = """
    import subprocess, sys
    from pathlib import Path
    assert Path.cwd().name == "work", "a new folder, in which nothing lies"
    Path("tool.py").write_text("import beside_tool; print(beside_tool.VALUE)")
    Path("beside_tool.py").write_text("VALUE = 7")
    said = subprocess.run([sys.executable, "tool.py"], capture_output=True, text=True)
    assert said.stdout == "7\\n", said.stderr
    import beside_tool
    """
    book = notebook(tmp_path, "starts", "n: int = 1", textwrap.dedent(code))
    ran = run_notebook(Settings(home=tmp_path / "home"), NotebookRequest(book))
    assert ran.outcome is Outcome.SUCCEEDED


def test_the_environment_of_jupyterlab_drops_relative_paths() -> None:
    given = {"PYTHONPATH": ":.:/srv/own", isolation.SAFE_PATH: "1"}
    made = lab.environment(Settings(home="/tmp/none"), given)  # noqa: S108 - nothing is made there
    assert isolation.SAFE_PATH not in made
    assert made["PYTHONPATH"].split(os.pathsep)[1:] == ["/srv/own"]
    assert lab.command(Path("/srv"))[1] == "-P"
