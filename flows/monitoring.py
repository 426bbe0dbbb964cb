"""Watching: the workspace's health in market hours, and a month's audit."""

from __future__ import annotations

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
from champion.pipeline.operations import health, verify_lake as audit
from champion.settings import Settings
from flows import configuration, market_data, steps
from flows.notifications import HOOKS
from flows.policy import FLOW_SECONDS, named
from flows.run_tracking import recorded

_CHECK_SECONDS = 240  # the next one is five minutes later


@flow(name="market_health_check", flow_run_name=named("health", "today"), timeout_seconds=_CHECK_SECONDS, **HOOKS)
def market_health_check(today: date | None = None, query_seconds: float = health.QUERY_SECONDS) -> dict[str, str]:
    """Check freshness, disk, tracking store and warehouse; all findings stand on the run's page.

    It is no entry of the ledger: a hundred a day would bury the rest.

    Raises:
        ServiceError: something is not well; it names all of it.
    """
    configuration.apply()
    checks = health.check(Settings(), today or clock.today(), query_seconds)
    table = [
        {"check": found.name, "well": "yes" if found.well else "NO", "found": found.found, "to do": found.remedy}
        for found in checks
    ]
    create_table_artifact(table, key="market-health", description="Health of the workspace")
    for found in checks:
        get_run_logger().info("%s: %s", found.name, found.found)
    unwell = [found.told for found in checks if not found.well]
    if unwell:
        raise ServiceError(f"{len(unwell)} of {quantity(len(checks), 'check')} failed: {'; '.join(unwell)}")
    return {found.name: found.found for found in checks}


@flow(name="data_quality_audit", flow_run_name="audit", timeout_seconds=FLOW_SECONDS, **HOOKS)
def data_quality_audit(start: date | None = None, end: date | None = None) -> dict[str, Any]:
    """Judge a range of sessions (the month before, if none is named), verify the lake, reconcile the warehouse.

    Raises:
        QualityGateError: a gate failed. LakeError: a file is damaged. WarehouseError: the warehouse disagrees.
    """
    first, last = audit.last_month(clock.today())
    start, end = start or first, end or last
    with recorded("data-quality-audit", f"audit {start} to {end}", {"start": start, "end": end}) as recording:
        lake = Lake(Settings().lake)
        verified = verify_lake()
        if not lake.sessions(BARS, start, end):
            return recording.kept({"sessions": 0, "verified": verified})
        judged = market_data.quality(lake, start, end, parent=recording.run_id)
        reloaded = steps.load(start, end)
        gates = dict(judged.metrics)
        return recording.kept({"gates": gates, "verified": verified, "reloaded": reloaded})


@task(name="verify_lake")
def verify_lake() -> dict[str, int]:
    """Hash and count every file of the lake again and return the sessions of each dataset.

    Raises:
        LakeError: something is damaged.
    """
    return audit.verify(Settings())
