"""How often and how patiently a step is tried again, and for how long a flow may run: the one place that says so."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from prefect.runtime import flow_run
from prefect.tasks import exponential_backoff

from champion import clock
from champion.errors import ArchiveUnavailable, WarehouseError

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
