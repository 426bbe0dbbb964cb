"""Build the environment of a kernel: the caller's without personal start-up files, and this workspace's settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import champion
from champion import report
from champion.base import isolation, loopback
from champion.kernel import CODE_RECORD, NOTEBOOK_FOLDER
from champion.kernel.code_record import installed_folders
from champion.runner.process_control import MARK
from champion.tracking import store

if TYPE_CHECKING:
    from champion.runner.notebook import Notebook
    from champion.settings import Settings

_RUN = "MLFLOW_RUN_ID"
_PERSONAL = frozenset({  # variables that would run a user's start-up code or read a user's settings
    _RUN, isolation.SAFE_PATH, "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONBREAKPOINT", "IPYTHONDIR",
    "IPY_TEST_SIMPLE_PROMPT",
    "JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "JUPYTER_PREFER_ENV_PATH", "JPY_PARENT_PID", "JPY_SESSION_NAME",
    NOTEBOOK_FOLDER, CODE_RECORD,
})  # fmt: skip


def of_kernel(
    settings: Settings, notebook: Notebook, *, execution: str, run_id: str | None, result: Path, private: Path
) -> dict[str, str]:
    """Return the environment of a notebook's kernel. Secrets travel here, never in parameters.

    Its IPython and Jupyter folders are below `private`. Without `run_id`, because MLflow does not answer, the kernel
    has no run to log to.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in _PERSONAL}
    return {
        "OMP_WAIT_POLICY": "passive",  # spinning threads made training ten times slower on a busy machine
        **inherited,
        **loopback.without_proxy(os.environ),
        **({_RUN: run_id} if run_id else {}),
        MARK: execution,
        **settings.environment(),
        report.RESULT_DIR: str(result),
        "MLFLOW_TRACKING_URI": settings.tracking,
        **store.environment(settings),
        **settings.tracking_login,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # a progress bar has no place in a report
        "DO_NOT_TRACK": "true",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # figures go into the notebook
        **_plain_figures(settings.home),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # prevents ipykernel's warning about frozen modules
        "PYTHONPATH": os.pathsep.join(map(str, _path(os.environ))),
        "IPYTHONDIR": str(private / "ipython"),
        **{f"JUPYTER_{name}_DIR": str(private / "jupyter" / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")},
        CODE_RECORD: str(code_record(private)),
        **({NOTEBOOK_FOLDER: str(notebook.beside)} if notebook.beside is not None else {}),
    }


def own_folders(notebook: Notebook) -> tuple[Path, ...]:
    """Return the folders, in order of precedence, from which the kernel imports code that is not installed."""
    folders = dict.fromkeys([*_path(os.environ), *([notebook.beside] if notebook.beside else [])])
    return tuple(one for one in folders if not f"{one}{os.sep}".startswith(installed_folders()))


def code_record(private: Path) -> Path:
    """Return the file in which the kernel records the code it used."""
    return private / "code.json"


def _path(environment: Mapping[str, str]) -> list[Path]:
    """Return the import path of a kernel: the Champion that runs it, then PYTHONPATH.

    Relative folders become absolute, because a kernel works in another folder.
    """
    given, here = environment.get("PYTHONPATH", ""), Path(champion.__file__).parent.parent
    return list(dict.fromkeys([here, *(Path(part).absolute() for part in given.split(os.pathsep) if part)]))


def _plain_figures(home: Path) -> dict[str, str]:
    """Return matplotlib's own defaults in place of the user's, so that figures look the same for everyone.

    The list of fonts is kept in the user's cache, or in the workspace if the user's home is not writable.
    """
    writable = os.access(os.environ.get("HOME") or "/", os.W_OK)
    cache = {} if writable else {"MPLCONFIGDIR": str(home / "cache" / "matplotlib")}
    found = find_spec("matplotlib")
    defaults = Path(found.origin).parent / "mpl-data" / "matplotlibrc" if found and found.origin else None
    return cache | ({"MATPLOTLIBRC": str(defaults)} if defaults and defaults.is_file() else {})
