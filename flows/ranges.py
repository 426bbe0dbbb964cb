"""Ingest a long history in parallel parts, each fetched and ingested by one worker of the task runner."""

from datetime import date
from typing import Any

from prefect import flow, task

from champion.lake import Lake
from champion.pipeline.ingest import fetch
from champion.pipeline.ingest.availability import by_days
from champion.pipeline.ingest.ingest import DATASETS
from champion.settings import Settings
from flows import market_data, steps
from flows.run_tracking import record_flow


@flow(name="ingest_ranges", flow_run_name="ingest {start} to {end} in parts of {days} days")
def ingest_ranges(start: date, end: date, *, days: int = 366, force: bool = False) -> dict[str, Any]:
    """Fetch and ingest a range in parts of `days` days, one per worker in parallel.

    Run it as `ingest_ranges.with_options(task_runner=policy.task_runner(settings))(start, end)`. The later stages, from
    quality to warehouse, need all sessions together: `champion backfill` runs them.

    Raises:
        ArchiveError: some sessions were refused; all others are ingested.
    """
    with record_flow("historical-backfill", f"ranges {start} to {end}", {"start": start, "end": end}) as recording:
        steps.fetch_symbol_changes()
        spans = by_days(start, end, days)
        futures = [ingest_range.submit(*span, parent=recording.run_id, force=force) for span in spans]
        parts = [future.result() for future in futures]
    market_data.Arrival(refused=[text for part in parts for text in part["refused"]]).require_complete()
    return {"parts": len(spans), "sessions": sum(part["sessions"] for part in parts)}


@task(name="bring_range", task_run_name="bring {start} to {end}")
def ingest_range(start: date, end: date, *, parent: str, force: bool = False) -> dict[str, Any]:
    """Fetch and ingest one part in this worker; return the number of its sessions and the refused ones."""
    settings = Settings()
    refused = steps.fetch_range(start, end)
    if not fetch.staged(settings, start, end):
        return {"sessions": 0, "refused": refused}
    execution = market_data.ingest(settings, (start, end), parent=parent, force=force)
    sessions = Lake(settings.lake).sessions(DATASETS[0], start, end)
    return {"sessions": len(sessions), "refused": [*refused, *execution.values["failed"]]}
