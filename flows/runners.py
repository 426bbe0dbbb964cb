"""Where the tasks that a flow submits run: threads of its own process, or Dask's processes, here or elsewhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from champion.errors import UsageError

if TYPE_CHECKING:
    from champion.settings import Settings


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
