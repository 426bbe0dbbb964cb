"""JupyterLab on a workspace: what starts it, and the environment that it and its kernels get.

On loopback, with a token, on the first free port; nothing is asked of the network. What differs from JupyterLab's own
settings is in `jupyter/labconfig` beside this module: no question about news, no look for updates, and the times that
the execute-time extension shows.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from champion.base import isolation
from champion.settings import Settings
from champion.tracking import store

WELCOME = "welcome.ipynb"
_PACKAGE = Path(__file__).resolve().parents[1]


def command(folder: Path, *, port: int | None = None, browser: bool = True, root: bool = False) -> list[str]:
    """Return the command line of a server on `folder`, opening its welcome notebook where it has one.

    Without `port` it takes the first free one from 8888. `root` allows it to run as the superuser, which Jupyter
    refuses.

    >>> "--allow-root" in command(Path("/tmp"), root=True), "--allow-root" in command(Path("/tmp"))
    (True, False)
    """
    return [
        sys.executable,
        "-P",  # nothing is imported from the current directory
        "-m",
        "jupyterlab",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={folder}",
        *([f"--LabApp.default_url=/lab/tree/{WELCOME}"] if (folder / WELCOME).exists() else []),
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
        "--KernelManager.transport_encryption=auto",  # what cells say is for nobody else on the machine
        "--Application.log_level=ERROR",  # the address with its token is said at any level
        *([f"--ServerApp.port={port}", "--ServerApp.port_retries=0"] if port else []),
        *([] if browser else ["--ServerApp.open_browser=False"]),
        *(["--allow-root"] if root else []),
    ]


def environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the server and its kernels: `inherited`, this workspace's settings, quiet libraries.

    JupyterLab's layout (open tabs) is kept in the workspace, so that it names no notebook of another one.
    """
    kept = {name: value for name, value in inherited.items() if name != isolation.SAFE_PATH}  # of use to no script
    path = [str(_PACKAGE.parent), *isolation.absolute(inherited.get("PYTHONPATH"))]
    return {
        **kept,
        **settings.environment(),
        "JUPYTER_CONFIG_PATH": _joined(Path(__file__).with_name("jupyter"), inherited.get("JUPYTER_CONFIG_PATH")),
        "JUPYTERLAB_WORKSPACES_DIR": str(settings.home / "jupyter"),
        "MLFLOW_TRACKING_URI": settings.tracking,
        **store.environment(settings),
        **settings.tracking_login,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else ipykernel warns about frozen modules
        # Jupyter's own, of no use to whoever opens a notebook
        "PYTHONWARNINGS": _listed("ignore:date_default is deprecated", inherited.get("PYTHONWARNINGS")),
        "PYTHONPATH": os.pathsep.join(path),  # also in a checkout not installed
    }


def _listed(first: str, others: str | None) -> str:
    return ",".join([first, *filter(None, [others])])


def _joined(first: Path, others: str | None) -> str:
    return os.pathsep.join([str(first), *filter(None, [others])])
