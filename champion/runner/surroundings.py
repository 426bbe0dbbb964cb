"""The environment a kernel gets: the caller's, this workspace's settings, and where to publish and record."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import champion
from champion import isolation, report
from champion.runner.guard import MARK
from champion.tracking import store

if TYPE_CHECKING:
    from champion.settings import Settings

_RUN = "MLFLOW_RUN_ID"


def of_kernel(settings: Settings, execution: str, run_id: str | None, result: Path) -> dict[str, str]:
    """Return the environment of a notebook's kernel. Secrets travel here, never in parameters.

    Without `run_id`, when MLflow does not answer, the kernel has no run to log to.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in {_RUN, isolation.SAFE_PATH}}
    return {
        "OMP_WAIT_POLICY": "passive",  # threads that wait would spin: on a busy machine training took ten times as long
        **inherited,
        **({_RUN: run_id} if run_id else {}),
        MARK: execution,
        **settings.environment(),
        report.RESULT_DIR: str(result),
        "MLFLOW_TRACKING_URI": settings.tracking,
        **store.surroundings(settings),
        **settings.tracking_login,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # a notebook is a report, not a terminal
        "DO_NOT_TRACK": "true",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # figures go into the notebook
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else ipykernel warns about frozen modules
        "PYTHONPATH": _python_path(os.environ),
    }


def _python_path(environment: Mapping[str, str]) -> str:
    """Return the path on which the kernel finds the Champion that runs it, also in a checkout that is not installed."""
    here = str(Path(champion.__file__).parent.parent)
    return os.pathsep.join([here, *filter(None, [environment.get("PYTHONPATH")])])
