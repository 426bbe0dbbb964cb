"""An MLflow server with logins: with user and password in the settings everything works, without them nothing does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr
from waiting import PATIENCE
from written import notebook, wait_for

from champion.errors import UsageError
from champion.runner import NotebookRequest, run_notebook
from champion.services import managed_process
from champion.settings import Settings
from champion.tracking import registry, runs, store

PASSWORD = "Plant3d/it's @long"  # noqa: S105 - of a server that lives as long as this file's tests
IN_URL = "Plant3d%2Fit%27s%20%40long"
LOGS = """\
import os, mlflow
with mlflow.start_run(run_id=os.environ["MLFLOW_RUN_ID"]):
    mlflow.log_metric("x", 2)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server, started as docs/security.md describes."""
    if find_spec("flask_wtf") is None:
        pytest.skip("MLflow's authentication is not installed: pip install 'mlflow[auth]'")
    folder = tmp_path_factory.mktemp("mlflow")
    (folder / "basic_auth.ini").write_text(
        "[mlflow]\ndefault_permission = NO_PERMISSIONS\nadmin_username = admin\n"
        f"database_uri = sqlite:///{folder}/users.db\n"
    )
    told = {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "basic_auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "Plant3d-cookies",
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    port = managed_process.port(None, "no setting")
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"]
    command += [
        "--host",
        managed_process.HOST,
        "--port",
        str(port),
        "--artifacts-destination",
        str(folder / "artifacts"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **told}, cwd=folder, stdout=log, stderr=log)
    try:
        wait_for(
            lambda: (
                managed_process.answers(f"http://{managed_process.HOST}:{port}/health") or process.poll() is not None
            )
        )
        assert process.poll() is None, (folder / "log").read_text()
        yield f"{managed_process.HOST}:{port}"
    finally:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        process.terminate()
        psutil.wait_procs(family, timeout=PATIENCE)
        process.wait(PATIENCE)
    assert b"Plant3d" not in (folder / "log").read_bytes()


def at(address: str, home: Path, login: str = "") -> Settings:
    return Settings(home=home, tracking_uri=SecretStr(f"http://{login}{address}"))


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo afterwards what a process sets for itself."""
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")


@pytest.mark.usefixtures("nobody")
def test_missing_or_wrong_login_gives_an_error_with_a_remedy(server: str, tmp_path: Path) -> None:
    said = "put USER:PASSWORD@ of one of its users before the host"
    with pytest.raises(UsageError, match=said):
        store.prepare(at(server, tmp_path / "nobody"))
    variables = {**os.environ, **at(server, tmp_path / "wrong", "admin:Plant3d-wrong@").environment()}
    command = [sys.executable, "-m", "champion", "models", "list"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 2
    assert f"the MLflow server http://{server} refuses access (UNAUTHENTICATED): {said}" in done.stderr
    assert "Plant3d" not in done.stdout + done.stderr


@pytest.mark.usefixtures("nobody")
def test_with_a_login_a_notebook_is_recorded_with_its_files(server: str, tmp_path: Path) -> None:
    settings = at(server, tmp_path / "home", f"admin:{IN_URL}@")
    assert (settings.tracking, store.without_password(settings.tracking)) == (f"http://{server}",) * 2
    ran = run_notebook(settings, NotebookRequest(notebook(tmp_path, "logs", "n: int = 1", LOGS)))
    recorded = runs.get(settings, ran.run_id)
    assert (recorded.outcome, recorded.metrics["x"]) == ("succeeded", 2.0)
    assert b"logs" in (runs.read_file(settings, ran.run_id, "notebook/logs.html") or b"")
    assert registry.versions(settings) == []
    kept = [path for path in settings.home.rglob("*") if path.is_file() and b"Plant3d" in path.read_bytes()]
    assert kept == []
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert [line for line in lines if "Plant3d" in line] == []
