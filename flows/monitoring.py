"""Monitoring: the workspace's health in market hours, and the monthly audit."""

from datetime import date
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from champion.base import clock
from champion.base.counting import quantity
from champion.contracts.datasets import BARS
from champion.errors import ServiceError
from champion.lake import Lake
from champion.pipeline.operations import consistency, health
from champion.settings import Settings
from flows import configuration, market_data, steps
from flows.notifications import HOOKS
from flows.policy import FLOW_SECONDS, run_name
from flows.run_tracking import record_flow


# The next check is five minutes later.
@flow(name="market_health_check", flow_run_name=run_name("health", "today"), timeout_seconds=240, **HOOKS)
def market_health_check(today: date | None = None, query_seconds: float = health.QUERY_SECONDS) -> dict[str, str]:
    """Check freshness, disk, tracking store and warehouse; the run's page in Prefect shows all results.

    It is not recorded in MLflow: a hundred runs a day would hide the others.

    Raises:
        ServiceError: checks failed; the message has their results.
    """
    configuration.apply()
    checks = health.check(Settings(), today or clock.today(), query_seconds)
    table = [
        {"check": check.name, "passed": "yes" if check.passed else "NO", "found": check.found, "to do": check.remedy}
        for check in checks
    ]
    create_table_artifact(table, key="market-health", description="Health of the workspace")
    for check in checks:
        get_run_logger().info("%s: %s", check.name, check.found)
    if failed := [check.sentence for check in checks if not check.passed]:
        raise ServiceError(f"{len(failed)} of {quantity(len(checks), 'check')} failed: {'; '.join(failed)}")
    return {check.name: check.found for check in checks}


@flow(name="data_quality_audit", flow_run_name="audit", timeout_seconds=FLOW_SECONDS, **HOOKS)
def data_quality_audit(start: date | None = None, end: date | None = None) -> dict[str, Any]:
    """Check a range of sessions (by default the month before), verify the lake, and reconcile the warehouse.

    Raises:
        QualityGateError: a gate failed.
        LakeError: a file is damaged.
        WarehouseError: the warehouse disagrees with the lake.
    """
    first, last = consistency.last_month(clock.today())
    start, end = start or first, end or last
    with record_flow("data-quality-audit", f"audit {start} to {end}", {"start": start, "end": end}) as recording:
        lake = Lake(Settings().lake)
        verified = verify()
        if not lake.sessions(BARS, start, end):
            return recording.keep_result({"sessions": 0, "verified": verified})
        checked = market_data.quality(lake, start, end, parent=recording.run_id)
        reloaded = steps.load(start, end)
        return recording.keep_result({"gates": dict(checked.metrics), "verified": verified, "reloaded": reloaded})


@task(name="verify_lake")
def verify() -> dict[str, int]:
    """Hash and count every file of the lake again and return the number of sessions of each dataset.

    Raises:
        LakeError: a file is damaged.
    """
    return consistency.verify(Settings())
