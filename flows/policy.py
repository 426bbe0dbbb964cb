"""How often and how patiently a step is tried again, and for how long a flow may run: the one place that says so."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import exponential_backoff

from champion.base import clock
from champion.errors import ArchiveUnavailable, UsageError, WarehouseError

if TYPE_CHECKING:
    from champion.settings import Settings

FLOW_SECONDS = 1800
DAILY_SLA_SECONDS = 900
LONG_SECONDS = 12 * 3600  # a backfill of years from a web archive that bears three requests a second


def named(what: str, parameter: str) -> Callable[[], str]:
    """Return what names a run by one of its parameters, a date that is today's in India where none is given."""

    def name() -> str:
        return f"{what} {(flow_run.parameters or {}).get(parameter) or clock.today()}"

    return name


def may_pass(_task: Any, _run: Any, state: Any) -> bool:
    """Tell whether trying again can help: wrong settings, damaged files and refusals stay what they are."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, PermissionError | FileNotFoundError) or getattr(error, "errno", None) == errno.EROFS:
        return False
    return isinstance(error, ArchiveUnavailable | WarehouseError | OSError)


PATIENT: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(backoff_factor=10),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": may_pass,
}
"""For tasks that ask somebody else: an archive, a warehouse, a disk. Waits of about 10, 20 and 40 seconds."""


def chosen(settings: Settings) -> TaskRunner[Any]:
    """Return the task runner that `CHAMPION_TASK_RUNNER` names: threads, dask, or a Dask scheduler's address.

    With `dask` a cluster of one process a core is started on loopback for the flow, and stopped with it. Workers
    elsewhere need this version of Champion, the same settings in their environment, and a lake they can reach.

    Raises:
        UsageError: Dask is not installed.
    """
    if settings.task_runner == "threads":
        return ThreadPoolTaskRunner()
    try:
        from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415 - an extra that most workspaces do without
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
