"""A long history in parts, side by side: each part is fetched and ingested by one worker of the task runner."""

from __future__ import annotations

from datetime import date
from typing import Any

from prefect import flow, task

from champion.base.counting import quantity
from champion.errors import ArchiveError
from champion.lake import Lake
from champion.pipeline.ingest import fetch as archive
from champion.pipeline.ingest.availability import by_days
from champion.pipeline.ingest.ingest import DATASETS
from champion.settings import Settings
from flows import market_data, steps
from flows.run_tracking import recorded


@flow(name="ingest_ranges", flow_run_name="ingest {start} to {end} in parts of {days} days")
def ingest_ranges(start: date, end: date, *, days: int = 366, force: bool = False) -> dict[str, Any]:
    """Bring the sessions of a range into the lake, in parts of so many days, as many at once as there are workers.

    Run it by `ingest_ranges.with_options(task_runner=runners.chosen(settings))(start, end)`. What comes after, from
    quality to warehouse, needs all sessions together: `champion backfill` goes on from here.

    Raises:
        ArchiveError: some sessions were refused; all others are done.
    """
    with recorded("historical-backfill", f"ranges {start} to {end}", {"start": start, "end": end}) as recording:
        steps.symbol_changes()
        spans = by_days(start, end, days)
        found = [bring.submit(*span, parent=recording.run_id, force=force) for span in spans]
        told = [future.result() for future in found]
    refused = [text for one in told for text in one["refused"]]
    if refused:
        how_many = quantity(len(refused), "session was", "sessions were")
        raise ArchiveError(f"{how_many} refused, all others are done: {'; '.join(refused[:3])}")
    return {"parts": len(spans), "sessions": sum(one["sessions"] for one in told)}


@task(name="bring_range", task_run_name="bring {start} to {end}")
def bring(start: date, end: date, *, parent: str, force: bool = False) -> dict[str, Any]:
    """Fetch and ingest one part where this runs; return how many sessions there are and what was refused."""
    settings = Settings()
    refused = steps.fetch(start, end)
    if not archive.staged(settings, start, end):
        return {"sessions": 0, "refused": refused}
    done = market_data.ingest(settings, (start, end), parent=parent, force=force)
    return {
        "sessions": len(Lake(settings.lake).sessions(DATASETS[0], start, end)),
        "refused": [*refused, *done.values["failed"]],
    }
