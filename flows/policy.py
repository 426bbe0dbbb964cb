"""Retries and time limits of flows and tasks, names of runs, and the task runner."""

import errno
import os
from collections.abc import Callable
from typing import Any

from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import exponential_backoff

from champion.base import clock
from champion.errors import ArchiveUnavailable, UsageError, WarehouseError
from champion.settings import Settings

FLOW_SECONDS = 1800
DAILY_SLA_SECONDS = 900
LONG_SECONDS = 12 * 3600  # a backfill of years from a web archive, at three requests a second


def run_name(what: str, parameter: str) -> Callable[[], str]:
    """Return a function that names a run by one of its date parameters, by default today's date in India."""

    def name() -> str:
        return f"{what} {(flow_run.parameters or {}).get(parameter) or clock.today()}"

    return name


def is_transient(_task: Any, _run: Any, state: Any) -> bool:
    """Whether a retry can help; it cannot for wrong settings, damaged files and refusals."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, PermissionError | FileNotFoundError) or getattr(error, "errno", None) == errno.EROFS:
        return False
    return isinstance(error, ArchiveUnavailable | WarehouseError | OSError)


RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(backoff_factor=10),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": is_transient,
}
"""For tasks that use an archive, a warehouse or a disk; the waits are about 10, 20 and 40 seconds."""


def task_runner(settings: Settings) -> TaskRunner[Any]:
    """Return the task runner of `CHAMPION_TASK_RUNNER`: threads, dask, or the address of a Dask scheduler.

    `dask` starts a cluster on loopback for the flow, with one process per core. Workers on other machines need the same
    version of Champion, the same settings in their environment, and access to the lake.

    Raises:
        UsageError: Dask is not installed.
    """
    if settings.task_runner == "threads":
        return ThreadPoolTaskRunner()
    try:
        from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise UsageError(
            f"CHAMPION_TASK_RUNNER is {settings.task_runner}, which needs Dask: pip install 'champion[dask]'"
        ) from error
    if settings.task_runner != "dask":
        connected: TaskRunner[Any] = DaskTaskRunner(address=settings.task_runner)
        return connected
    local = {"n_workers": os.cpu_count() or 1, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    started: TaskRunner[Any] = DaskTaskRunner(cluster_kwargs=local)
    return started
