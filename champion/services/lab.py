"""Start JupyterLab on a workspace: its command line, and the environment of the server and its kernels.

It runs on loopback, with a token, on the first free port, and makes no network requests. The settings in
`jupyter/labconfig` beside this module differ from JupyterLab's defaults: no question about news, no check for updates,
and durations shown by the execute-time extension.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from champion.base import isolation
from champion.settings import NOTEBOOK_COPIES, Settings
from champion.tracking import store

WELCOME = ("welcome.ipynb", f"{NOTEBOOK_COPIES}/welcome.ipynb")
"""Where the welcome notebook may be: in the folder that is opened, or among the copies in it."""


def command(folder: Path, *, port: int | None = None, browser: bool = True, root: bool = False) -> list[str]:
    """Return the command line of a server on `folder`, which opens the welcome notebook if there is one.

    Without `port` it uses the first free one from 8888. `root` allows it to run as the superuser, which Jupyter
    otherwise refuses.

    >>> "--allow-root" in command(Path("/tmp"), root=True), "--allow-root" in command(Path("/tmp"))
    (True, False)
    """
    return [
        *(sys.executable, "-P", "-m", "jupyterlab"),  # -P: nothing is imported from the current directory
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={folder}",
        *[f"--LabApp.default_url=/lab/tree/{page}" for page in WELCOME if (folder / page).exists()][:1],
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
        "--KernelManager.transport_encryption=auto",  # other accounts of the machine cannot read the output of cells
        "--Application.log_level=ERROR",  # the URL with its token is logged at any level
        *([f"--ServerApp.port={port}", "--ServerApp.port_retries=0"] if port else []),
        *([] if browser else ["--ServerApp.open_browser=False"]),
        *(["--allow-root"] if root else []),
    ]


def environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the server and its kernels: `inherited`, this workspace's settings, quiet libraries.

    JupyterLab's layout (open tabs) is kept in the workspace, so that it does not refer to notebooks of another one.
    """
    # Notebooks may import from their folder.
    kept = {name: value for name, value in inherited.items() if name != isolation.SAFE_PATH}
    config = [str(Path(__file__).with_name("jupyter")), inherited.get("JUPYTER_CONFIG_PATH")]
    warnings = ["ignore:date_default is deprecated", inherited.get("PYTHONWARNINGS")]  # a warning of Jupyter's own code
    path = [str(Path(__file__).resolve().parents[2]), *isolation.absolute(inherited.get("PYTHONPATH"))]
    return {
        **kept,
        **settings.environment(),
        "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, config)),
        "JUPYTERLAB_WORKSPACES_DIR": str(settings.home / "jupyter"),
        "MLFLOW_TRACKING_URI": settings.tracking,
        **store.environment(settings),
        **settings.tracking_login,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # prevents ipykernel's warning about frozen modules
        "PYTHONWARNINGS": ",".join(filter(None, warnings)),
        "PYTHONPATH": os.pathsep.join(path),  # also for a checkout that is not installed
    }
