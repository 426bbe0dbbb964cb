"""Commands for servers: serve, deploy, lab, ui, stop."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from champion.base import file_modes
from champion.cli.terminal import console
from champion.errors import UsageError
from champion.security import prefect_login


def lab(
    folder: Annotated[
        Path | None,
        typer.Argument(
            exists=True, file_okay=False, help="Folder; default: the workspace's, with Champion's as copies."
        ),
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port; default: a free one from 8888.")] = None,
    *,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    reset: Annotated[
        str, typer.Option(help="Only replace the changed copy of this notebook by the one that ships.")
    ] = "",
) -> None:
    """Open JupyterLab on the notebooks of this workspace, on loopback with a token.

    Your notebooks are in the workspace's folder `notebooks`, and Champion's are copies in `notebooks/champion`. A copy
    that you changed stays as it is, also after an upgrade, until --reset.

    Example: champion lab --no-browser
    """
    from champion.pipeline.operations import own_notebooks  # noqa: PLC0415
    from champion.services import lab as jupyter  # noqa: PLC0415
    from champion.tracking import store  # noqa: PLC0415

    chosen, root = console.settings(), os.geteuid() == 0
    if reset:
        kept = own_notebooks.reset(chosen, reset)
        console.out.print(
            f"{reset} is as it ships; your copy is kept as {kept}" if kept.exists() else reset, soft_wrap=True
        )
        return
    store.settle(chosen)  # a notebook may open MLflow's store directly
    console.err.print(f"workspace {chosen.home}", soft_wrap=True)
    if root:
        console.err.print("running as root: Jupyter is started with --allow-root", style="yellow")
    if folder is None:
        for name in own_notebooks.refresh(chosen):
            console.note(f"your copy of {name} is changed, so it stays; `champion lab --reset {name}` replaces it")
    shown = (folder or chosen.notebooks).absolute()
    command = jupyter.command(shown, port=port, browser=browser, root=root)
    variables = jupyter.environment(chosen, os.environ)
    file_modes.private_folder(chosen.home / "jupyter")
    file_modes.restore_umask()  # files that a person saves in JupyterLab have that person's umask
    # This process becomes the server, so Ctrl-C reaches it.
    os.execve(sys.executable, command, variables)  # noqa: S606


def serve() -> None:
    """Run Prefect's server with all schedules, a worker, and MLflow's pages, until Ctrl-C.

    All listen on loopback, on free ports or on CHAMPION_PREFECT_PORT and CHAMPION_MLFLOW_PORT.

    Example: champion serve
    """
    from champion.services import mlflow, supervisor  # noqa: PLC0415
    from champion.tracking.store import training_page  # noqa: PLC0415

    chosen = console.settings()

    def print_addresses(served: supervisor.ServedPages) -> None:
        console.out.print(f"Prefect  {served.prefect}")
        if place := prefect_login.place(chosen):
            console.out.print(f"login    on Prefect's page: the content of {place}", soft_wrap=True)
        pages = served.mlflow or mlflow.address(chosen) or ""
        console.out.print(f"MLflow   {training_page(chosen, pages)}", soft_wrap=True)
        if served.mlflow:
            console.out.print(f"login    {mlflow.login_hint(chosen)}", soft_wrap=True)
        console.out.print(f"worker   on pool {chosen.work_pool}; Ctrl-C stops all")

    supervisor.serve(chosen, console.note, print_addresses)


def deploy() -> None:
    """Create the work pool, its queues and the deployments of prefect.yaml on the Prefect server.

    The server is started if it is not running.

    Example: champion deploy
    """
    from champion.services import deployments, prefect  # noqa: PLC0415

    chosen = console.settings()
    api = prefect.ensure(chosen, note=console.note)
    deployments.deploy(chosen, api)
    login = f"; login: {place}" if (place := prefect_login.place(chosen)) else ""
    console.out.print(f"deployed to {api.removesuffix('/api')}, work pool {chosen.work_pool}{login}", soft_wrap=True)


def ui() -> None:
    """Serve MLflow's pages on loopback until Ctrl-C, and print the address of Prefect's pages.

    Example: champion ui
    """
    from champion.services import managed_process, mlflow, prefect, supervisor  # noqa: PLC0415
    from champion.tracking.store import training_page  # noqa: PLC0415

    chosen = console.settings()
    if not mlflow.is_local(chosen):
        raise UsageError("MLflow's store is on another server (CHAMPION_TRACKING_URI): open the pages of that server")
    server, place = prefect.running(chosen), prefect_login.place(chosen)
    login = f"; log in with the content of {place}" if place else ""
    pages = mlflow.start(chosen)
    try:
        with supervisor.quiet_interrupts():
            managed_process.wait(chosen, mlflow.NAME, pages, lambda: managed_process.answers(f"{pages.url}/health"))
            address = f"{server.url}{login}" if server else "not running; the next flow starts it"
            console.out.print(f"Prefect: {address}", soft_wrap=True)
            console.out.print(f"MLflow:  {training_page(chosen, pages.url)}", soft_wrap=True)
            console.out.print(f"         {mlflow.login_hint(chosen)}", soft_wrap=True)
            supervisor.watch(chosen, (mlflow.NAME,), (f"{pages.url}/health",))
    finally:
        managed_process.stop(chosen, mlflow.NAME)


def stop() -> None:
    """Stop the servers of this workspace: Prefect's server, the worker, MLflow's pages.

    Example: champion stop
    """
    from champion.services import supervisor  # noqa: PLC0415

    stopped = supervisor.stop(console.settings())
    console.out.print(f"stopped {', '.join(stopped)}" if stopped else "no server was running")
