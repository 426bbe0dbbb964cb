"""The tasks flows are made of: fetch, run a notebook, load the warehouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from prefect import task
from prefect.logging import get_run_logger

from champion import contracts
from champion.base.atomic_files import write_bytes
from champion.errors import ArchiveUnavailable
from champion.lake import Lake, index as index_dataset
from champion.pipeline.ingest import (
    corporate_actions as corporate,
    fetch as archive,
    symbol_changes as lineage,
    symbol_master,
)
from champion.pipeline.maintenance import load_warehouse as warehouse
from champion.runner import Execution, NotebookRequest, run_notebook
from champion.services import mlflow
from champion.settings import Settings
from flows import notebook_progress
from flows.notebook_progress import Cells
from flows.policy import PATIENT
from flows.run_tracking import prefect_ids


@task(name="fetch_bhavcopies", task_run_name="fetch {start} to {end}", **PATIENT)
def fetch(start: date, end: date, *, refresh: bool = False) -> list[str]:
    """Bring the sessions of a range into staging and return what was refused for good, one text a session.

    Raises:
        ArchiveUnavailable: the archive did not answer for some dates; a retry asks for those only.
    """
    found = archive.fetch(Settings(), start, end, refresh=refresh, progress=notebook_progress.current())
    get_run_logger().info("%d sessions in staging, %d dates without one", len(found.sessions), len(found.absent))
    unanswered = [error for _, error in found.failed if isinstance(error, ArchiveUnavailable)]
    if unanswered:
        raise ArchiveUnavailable(f"{len(unanswered)} of {len(archive.dates(start, end))} dates: {unanswered[0]}")
    return [f"{session}: {error}" for session, error in found.failed]


@task(name="fetch_symbol_changes", **PATIENT)
def symbol_changes() -> str:
    """Bring the list of symbol changes into the lake, which names instruments; return what became of it.

    Raises:
        ArchiveError: the archive did not answer, or the list is not what it should be; what is known stays.
    """
    refreshed = lineage.refresh(Settings())
    get_run_logger().info("symbol changes: %s", refreshed.note)
    return refreshed.outcome


@task(name="fetch_lists", **PATIENT)
def lists() -> str:
    """Bring the lists of shares and of corporate actions into the lake, under the names that the bars have taught.

    Returns what became of the corporate actions.

    Raises:
        ArchiveError: the archive did not answer, or a list is not what it should be; what is known stays.
    """
    settings = Settings()
    shares, actions = symbol_master.refresh(settings), corporate.refresh(settings)
    get_run_logger().info("shares: %s; corporate actions: %s", shares.note, actions.note)
    return actions.outcome


@task(name="run_notebook", task_run_name="notebook {name}")
def notebook(
    name: str,
    parameters: Mapping[str, Any],
    *,
    parent: str,
    inputs: Mapping[str, str],
    writes: Sequence[str] = (),
    span: tuple[date, date] | None = None,
    force: bool = False,
) -> Execution:
    """Execute one notebook under supervision, or skip it where the same was done and its outputs still stand.

    `writes` are the datasets it commits between the sessions of `span`.

    Raises:
        NotebookError: it did not succeed; the failed run holds the notebook.
    """
    settings = Settings()
    lake = Lake(settings.lake)
    start, end = span or (None, None)
    execution = run_notebook(
        settings,
        NotebookRequest(
            name,
            parameters,
            inputs=inputs,
            outputs=lambda: {dataset: lake.digest(dataset, start, end) for dataset in writes},
            parent_run_id=parent,
            force=force,
            tags=prefect_ids(),
            on_progress=Cells(name, notebook_progress.current()),
        ),
    )
    done = (name, execution.outcome.value, execution.seconds, execution.reason, execution.run_id)
    get_run_logger().info("notebook %s: %s in %.1f s, %s; MLflow run %s", *done)
    return execution


@task(name="load_clickhouse", task_run_name="load {start} to {end}", **PATIENT)
def load(start: date, end: date, datasets: Sequence[str] = warehouse.DATASETS, *, gated: bool = True) -> dict[str, int]:
    """Bring the warehouse in step with the lake and return the rows loaded by dataset; what is alike counts 0.

    So it is for months outside the range of which the warehouse knows nothing, as after its folder was lost. Where the
    flow has just judged the range, `gated` is false.

    Raises:
        QualityGateError: a session of the range failed a quality gate.
        WarehouseError: the engine refused, or disagrees with the lake.
    """
    results = warehouse.load(Settings(), start, end, datasets, notebook_progress.current(), whole=True, gated=gated)
    return {name: sum(r.rows for r in results if r.table == name and not r.skipped) for name in datasets}


@task(name="morning_report")
def report(session: date) -> Path:
    """Write the morning look at a session into the workspace and return its path."""
    from champion.pipeline.operations.session_report import session_report  # noqa: PLC0415 - matplotlib is slow to import
    from champion.pipeline.operations.session_report_html import render  # noqa: PLC0415

    settings = Settings()
    page = settings.home / "reports" / str(session) / "morning.html"
    write_bytes(page, render(session_report(settings, session), settings.home, mlflow.address(settings)).encode())
    return page


@task(name="index_lake")
def index() -> None:
    """Bring `_metadata` of the datasets up to date, for readers that know only Parquet."""
    lake = Lake(Settings().lake)
    for name in contracts.names():
        index_dataset(lake, name)
