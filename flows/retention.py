"""Retention: old partitions are archived, verified, hidden, and only then removed, if the settings ask for it.

Pages, figures and reports of old runs go too, because they can be made again from what stays.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from prefect import flow, task
from prefect.logging import get_run_logger

from champion.base import clock
from champion.base.counting import quantity
from champion.lake.retention import Step
from champion.pipeline.maintenance import record_retention, retention
from champion.pipeline.maintenance.record_retention import Expired
from champion.settings import Settings
from flows import notebook_progress
from flows.notifications import HOOKS
from flows.policy import LONG_SECONDS, named
from flows.run_tracking import recorded


@flow(name="lake_retention", flow_run_name=named("retention", "today"), timeout_seconds=LONG_SECONDS, **HOOKS)
def lake_retention(today: date | None = None, *, dry_run: bool = True) -> dict[str, Any]:
    """Say what retention would do, or without `dry_run` do it; nothing goes that is not proved to be archived."""
    today = today or clock.today()
    with recorded("lake-retention", f"retention {today}", {"today": today, "dry_run": dry_run}) as recording:
        done = [_told(step) for step in retain_lake(today, dry_run=dry_run)]
        gone = retain_records(today, dry_run=dry_run)
        records = {"runs": sum(one.kind == "run" for one in gone), "reports": sum(one.kind == "report" for one in gone)}
        megabytes = round(sum(one.bytes for one in gone) / 1e6, 1)
        return recording.kept({"dry_run": dry_run, "steps": done, "records": {**records, "megabytes": megabytes}})


@task(name="retain_lake")
def retain_lake(today: date, *, dry_run: bool) -> list[Step]:
    """Return the steps, carried out unless it is a dry run."""
    settings = Settings()
    steps = (
        retention.plan(settings, today)
        if dry_run
        else retention.retain(settings, today, progress=notebook_progress.current())
    )
    get_run_logger().info("%d steps%s", len(steps), ", none of them taken" if dry_run else "")
    return steps


@task(name="retain_records")
def retain_records(today: date, *, dry_run: bool) -> list[Expired]:
    """Return the pages, figures and reports that are too old, removed unless it is a dry run."""
    settings = Settings()
    if dry_run:
        return record_retention.plan(settings, today)
    return record_retention.prune(settings, today, notebook_progress.current())


def _told(step: Step) -> str:
    sessions = step.sessions
    held = quantity(len(sessions), "session")
    return f"{step.action} {step.name}: {held} from {sessions[0]} to {sessions[-1]}, {step.why}"
