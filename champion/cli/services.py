"""Commands around servers: lab, ui, stop."""

from __future__ import annotations

import os
import sys

import typer

from champion import resources
from champion.cli import console
from champion.errors import UsageError


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    for command in (lab, ui, stop):
        app.command()(command)


def lab() -> None:
    """Open JupyterLab on the notebooks of this workspace, on loopback with a token.

    Example: champion lab
    """
    chosen = console.settings()
    os.environ["CHAMPION_HOME"] = str(chosen.home)
    os.environ["CHAMPION_ARCHIVE"] = chosen.archive
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={resources.folder('notebooks')}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]
    os.execv(sys.executable, command)  # noqa: S606 - this process becomes the server, so Ctrl-C reaches it


def ui() -> None:
    """Start MLflow's pages on this workspace, on loopback, until Ctrl-C; and say where Prefect's are.

    Example: champion ui
    """
    from champion.services import prefect  # noqa: PLC0415
    from champion.tracking import store  # noqa: PLC0415

    chosen = console.settings()
    if not chosen.tracking.startswith("sqlite"):
        raise UsageError("MLflow keeps its books elsewhere (CHAMPION_TRACKING_URI): open that server's pages")
    store.prepare(chosen)
    server = prefect.running(chosen)
    console.out.print(f"Prefect: {server.url if server else 'not running; the next flow starts it'}")
    console.out.print("MLflow:  http://127.0.0.1:5000")
    variables = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", "5000"]
    os.execve(sys.executable, [*command, "--backend-store-uri", chosen.tracking], variables)  # noqa: S606


def stop() -> None:
    """Stop the workspace's Prefect server.

    Example: champion stop
    """
    from champion.services import prefect  # noqa: PLC0415

    console.out.print("stopped" if prefect.stop(console.settings()) else "nothing was running")
