"""The tasks of flows: fetch, run a notebook, load the warehouse, write the session report."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from prefect import task
from prefect.logging import get_run_logger

from champion import contracts
from champion.base.atomic_files import write_bytes
from champion.errors import ArchiveError, ArchiveUnavailable
from champion.lake import Lake, compaction
from champion.pipeline.ingest import corporate_actions, fetch, symbol_changes, symbol_master
from champion.pipeline.maintenance import load_warehouse
from champion.pipeline.models.notebook_data import NotebookData
from champion.pipeline.reference import daily_lists, index_lists
from champion.runner import Execution, NotebookRequest, run_notebook
from champion.services import mlflow
from champion.settings import Settings
from flows import notebook_progress
from flows.notebook_progress import NotebookProgress
from flows.policy import RETRIES
from flows.run_tracking import prefect_ids


@task(name="fetch_bhavcopies", task_run_name="fetch {start} to {end}", **RETRIES)
def fetch_range(start: date, end: date, *, refresh: bool = False) -> list[str]:
    """Fetch the sessions of a range into staging; return the errors of refused files.

    Raises:
        ArchiveUnavailable: the archive did not answer for some dates; a retry requests only those.
    """
    result = fetch.fetch(Settings(), start, end, refresh=refresh, progress=notebook_progress.current())
    get_run_logger().info("%d sessions in staging, %d dates without one", len(result.sessions), len(result.absent))
    if unanswered := [error for _, error in result.failed if isinstance(error, ArchiveUnavailable)]:
        raise ArchiveUnavailable(f"{len(unanswered)} of {len(fetch.dates(start, end))} dates: {unanswered[0]}")
    return [f"{session}: {error}" for session, error in result.failed]


@task(name="fetch_symbol_changes", **RETRIES)
def fetch_symbol_changes() -> str:
    """Load the list of symbol changes, which names instruments, into the lake; return the outcome.

    Raises:
        ArchiveError: the archive did not answer, or the list is malformed; the lake is unchanged.
    """
    result = symbol_changes.refresh(Settings())
    get_run_logger().info("symbol changes: %s", result.note)
    return result.outcome


@task(name="fetch_lists", **RETRIES)
def fetch_lists() -> str:
    """Load the lists of shares, corporate actions and indices into the lake; return the outcome of the second.

    Missing or malformed index lists stop nothing: a warning names them, and their dates stay uncovered.

    Raises:
        ArchiveError: the archive did not answer, or a list is malformed; the lake is unchanged.
    """
    settings = Settings()
    try:  # before the shares, whose sectors they give
        get_run_logger().info("index lists: %s", index_lists.refresh(settings).note)
    except ArchiveError as error:
        get_run_logger().warning("index lists: %s", error)
    shares, actions = symbol_master.refresh(settings), corporate_actions.refresh(settings)
    get_run_logger().info("shares: %s; corporate actions: %s", shares.note, actions.note)
    return actions.outcome


@task(name="fetch_daily_lists", task_run_name="lists {start} to {end}")
def fetch_daily_lists(start: date, end: date) -> str:
    """Load the exchange's lists of the sessions into the lake; return what was loaded, missing or refused.

    No error of a list fails the flow: bars do not depend on lists.
    """
    note = daily_lists.refresh_quietly(Settings(), start, end)
    get_run_logger().info("lists: %s", note)
    return note


@task(name="run_notebook", task_run_name="notebook {name}")
def notebook(
    name: str,
    parameters: Mapping[str, Any],
    data: NotebookData,
    *,
    parent: str,
    force: bool = False,
) -> Execution:
    """Run one notebook under supervision, or skip it if an equal run succeeded and its outputs are unchanged.

    Raises:
        NotebookError: the notebook failed; the failed run has the executed notebook.
    """
    settings = Settings()
    execution = run_notebook(
        settings,
        NotebookRequest(
            name,
            parameters,
            inputs=data.inputs,
            outputs=lambda: data.written(Lake(settings.lake)),
            parent_run_id=parent,
            force=force,
            tags=prefect_ids(),
            on_progress=NotebookProgress(name, notebook_progress.current()),
        ),
    )
    values = (name, execution.outcome.value, execution.seconds, execution.reason, execution.run_id)
    get_run_logger().info("notebook %s: %s in %.1f s, %s; MLflow run %s", *values)
    return execution


@task(name="load_clickhouse", task_run_name="load {start} to {end}", **RETRIES)
def load(
    start: date, end: date, datasets: Sequence[str] = load_warehouse.DATASETS, *, gated: bool = True
) -> dict[str, int]:
    """Load the range from the lake into the warehouse and return the rows loaded by dataset; unchanged months count 0.

    Months outside the range that the warehouse lacks, for example after its folder was lost, are loaded too. A flow
    that has just checked the range sets `gated` to False.

    Raises:
        QualityGateError: a session of the range fails a quality gate.
        WarehouseError: the engine refused, or disagrees with the lake.
    """
    progress = notebook_progress.current()
    results = load_warehouse.load(Settings(), start, end, datasets, progress, whole=True, gated=gated)
    return {name: sum(r.rows for r in results if r.table == name and not r.skipped) for name in datasets}


@task(name="morning_report")
def write_report(session: date) -> Path:
    """Write the session report into the workspace and return its path."""
    from champion.pipeline.operations.session_report import session_report  # noqa: PLC0415 - matplotlib is slow to import
    from champion.pipeline.operations.session_report_html import render  # noqa: PLC0415

    settings = Settings()
    page = settings.home / "reports" / str(session) / "morning.html"
    write_bytes(page, render(session_report(settings, session), settings.home, mlflow.address(settings)).encode())
    return page


@task(name="index_lake")
def index_lake() -> None:
    """Update `_metadata` of all datasets, for readers that know only Parquet."""
    lake = Lake(Settings().lake)
    for name in contracts.names():
        compaction.index(lake, name)
