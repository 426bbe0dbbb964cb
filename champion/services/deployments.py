"""Prepare a Prefect server for scheduled runs: the work pool, its queues, the deployments."""

import os
import subprocess
from pathlib import Path

from champion.base import isolation, package_data
from champion.errors import ServiceError
from champion.services import prefect, schedules
from champion.settings import Settings

QUEUES = {"market-data": 5, "feature": 3, "monitoring": 10, "retention": 1, schedules.QUEUE: 2}
"""Queues of the work pool, with the number of their concurrent runs."""


def ensure_pool(settings: Settings, api: str) -> None:
    """Create the missing work pool and queues, and let scheduled notebooks use this folder and interpreter."""
    pool = settings.work_pool
    with prefect.client(settings, api) as client:
        from prefect.client.schemas.actions import WorkPoolCreate  # noqa: PLC0415 - after its settings are chosen
        from prefect.exceptions import ObjectNotFound  # noqa: PLC0415
        from prefect.workers.process import ProcessWorker  # noqa: PLC0415

        try:
            client.read_work_pool(pool)
        except ObjectNotFound:
            template = ProcessWorker.get_default_base_job_template()
            client.create_work_pool(WorkPoolCreate(name=pool, type="process", base_job_template=template))
        for name, limit in QUEUES.items():
            try:
                queue = client.read_work_queue_by_name(name, work_pool_name=pool)
            except ObjectNotFound:
                queue = client.create_work_queue(name, work_pool_name=pool)
            client.update_work_queue(queue.id, concurrency_limit=limit)
        schedules.repoint(client)


def deploy(settings: Settings, api: str) -> None:
    """Create missing work pool and queues, and update the deployments of prefect.yaml and of scheduled notebooks.

    Changes made on Prefect's pages stay unless prefect.yaml sets the same: pauses, priorities, variables.

    Raises:
        ServiceError: Prefect refused; the message contains its output.
    """
    values = {"WORK_POOL": settings.work_pool, "FOLDER": str(Path.cwd()), "COMMAND": schedules.engine_command()}
    ensure_pool(settings, api)
    file = str(package_data.path("prefect.yaml"))
    command = isolation.command("prefect", "--no-prompt", "deploy", "--all", "--prefect-file", file)
    variables = isolation.environment({**os.environ, **{f"CHAMPION_{name}": value for name, value in values.items()}})
    done = subprocess.run(
        command, env=variables, cwd=settings.prefect_home, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ServiceError(f"prefect deploy: {(done.stderr or done.stdout).strip()[-2000:]}")
