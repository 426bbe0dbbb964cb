"""Retention: archive old partitions, verify and hide them, and only then remove them, if the settings require it.

Pages, figures and reports of old runs are removed too: they can be created again from the data that stays.
"""

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
from flows.policy import LONG_SECONDS, run_name
from flows.run_tracking import record_flow


@flow(name="lake_retention", flow_run_name=run_name("retention", "today"), timeout_seconds=LONG_SECONDS, **HOOKS)
def lake_retention(today: date | None = None, *, dry_run: bool = True) -> dict[str, Any]:
    """List the steps of retention, or without `dry_run` run them; only verified archived partitions are removed."""
    today = today or clock.today()
    with record_flow("lake-retention", f"retention {today}", {"today": today, "dry_run": dry_run}) as recording:
        steps = [_sentence(step) for step in retain_lake(today, dry_run=dry_run)]
        expired = retain_records(today, dry_run=dry_run)
        records = record_retention.counts(expired)
        megabytes = round(sum(one.bytes for one in expired) / 1e6, 1)
        return recording.keep_result(
            {"dry_run": dry_run, "steps": steps, "records": {**records, "megabytes": megabytes}}
        )


@task(name="retain_lake")
def retain_lake(today: date, *, dry_run: bool) -> list[Step]:
    """Run the steps of retention and return them; in a dry run only return them."""
    settings, progress = Settings(), notebook_progress.current()
    steps = retention.plan(settings, today) if dry_run else retention.retain(settings, today, progress=progress)
    get_run_logger().info("%d steps%s", len(steps), ", none of them taken" if dry_run else "")
    return steps


@task(name="retain_records")
def retain_records(today: date, *, dry_run: bool) -> list[Expired]:
    """Remove expired pages, figures and reports and return them; in a dry run only return them."""
    settings, progress = Settings(), notebook_progress.current()
    return record_retention.plan(settings, today) if dry_run else record_retention.prune(settings, today, progress)


def _sentence(step: Step) -> str:
    first, last, count = step.sessions[0], step.sessions[-1], quantity(len(step.sessions), "session")
    return f"{step.action} {step.name}: {count} from {first} to {last}, {step.why}"
