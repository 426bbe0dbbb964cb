"""Commands around servers: lab, ui, stop."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from champion import resources
from champion.cli import console
from champion.errors import UsageError


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    for command in (lab, ui, stop):
        app.command()(command)


def lab(
    folder: Annotated[
        Path | None, typer.Argument(exists=True, file_okay=False, help="Notebooks to open; default Champion's own.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port; default the first free from 8888.")] = None,
    *,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
) -> None:
    """Open JupyterLab on the notebooks of this workspace, on loopback with a token.

    Example: champion lab --no-browser
    """
    from champion.services import lab as jupyter  # noqa: PLC0415

    chosen, root = console.settings(), os.geteuid() == 0
    console.err.print(f"workspace {chosen.home}", soft_wrap=True)
    if root:
        console.err.print("[yellow]running as root[/], which Jupyter allows only on demand: --allow-root is given")
    command = jupyter.command(
        (folder or resources.folder("notebooks")).absolute(), port=port, browser=browser, root=root
    )
    variables = jupyter.environment(chosen, os.environ)
    # This process becomes the server, so Ctrl-C reaches it.
    os.execve(sys.executable, command, variables)  # noqa: S606


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
