"""Scheduled flows: the daily session after its publication, the weekend's check for missed sessions, own notebooks."""

import time as clocks
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from secrets import SystemRandom
from typing import Any

from prefect import flow, task
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from champion.base import clock
from champion.contracts.datasets import BARS, PREDICTIONS
from champion.errors import ArchiveUnavailable, SessionNotPublished
from champion.lake import Lake
from champion.pipeline.ingest import availability, fetch, market_data_lock
from champion.pipeline.ingest.availability import PublicationState
from champion.pipeline.models import notebook_data
from champion.runner import run_notebook
from champion.settings import Settings
from flows import notebook_progress
from flows.market_data import LOOKBACK, check_build_load, daily_market_data_pipeline, fetch_and_ingest
from flows.models import score_one
from flows.notebook_progress import NotebookProgress
from flows.notifications import HOOKS
from flows.policy import FLOW_SECONDS, LONG_SECONDS, run_name
from flows.run_tracking import prefect_ids, record_flow

_UNTIL = time(23, 30)


@flow(name="daily_after_publication", flow_run_name=run_name("after publication", "session"), **HOOKS)
def daily_after_publication(
    session: date | None = None, until: time = _UNTIL, *, force: bool = False
) -> dict[str, Any]:
    """Wait for the session's file until a time in India, then run the daily pipeline on it.

    For a weekend or a known holiday, one request is made, and the flow completes as `no_session`. For a weekday without
    a file at the deadline, it fails as `not_published`, in MLflow too: the exchange is late, or the date is a holiday
    that `CHAMPION_HOLIDAYS` lacks. Waiting is limited by `until` only; the pipeline has its own time limit.

    Raises:
        SessionNotPublished: there was no file at the deadline.
        ArchiveUnavailable: at the deadline the archive did not answer.
    """
    session = session or clock.today()
    with record_flow("daily-market-pipeline", f"wait for {session}", {"session": session, "until": until}) as recording:
        state = await_publication(session, availability.deadline(session, until))
        if state is PublicationState.NOT_PUBLISHED:
            recording.outcome = state.value
            raise SessionNotPublished(
                f"{session:%A %Y-%m-%d} was not published by {until:%H:%M} in India. If it is a holiday, add it to "
                "CHAMPION_HOLIDAYS; otherwise run the flow again later, or leave it to the weekend's check"
            )
        if state is PublicationState.NO_SESSION:
            return recording.keep_result({"session": str(session), "awaited": state.value, "sessions": 0})
        recording.keep_result({"session": str(session), "awaited": state.value})
    return daily_market_data_pipeline(session, force=force)


@task(name="await_publication", task_run_name="await {session}")
def await_publication(session: date, until: datetime) -> PublicationState:
    """Request the session's file at growing intervals, until the archive has it or the deadline is past.

    Raises:
        ArchiveUnavailable: at the deadline the archive did not answer.
    """
    settings, random, requests = Settings(), SystemRandom(), 0
    while True:
        requests += 1
        unanswered: ArchiveUnavailable | None = None
        try:
            if availability.published(settings, session):
                return PublicationState.PUBLISHED
        except ArchiveUnavailable as error:
            unanswered = error
            get_run_logger().warning("%s", error)
        if unanswered is None and not availability.expected(session, settings.closed, clock.now()):
            return PublicationState.NO_SESSION
        if (seconds := availability.next_wait(requests, clock.now(), until, random.random())) is None:
            if unanswered is not None:
                raise unanswered
            return PublicationState.NOT_PUBLISHED
        get_run_logger().info("%s: not published yet, next request in %.0f s", session, seconds)
        clocks.sleep(seconds)


@flow(name="weekend_check", flow_run_name=run_name("check the days to", "until"), timeout_seconds=FLOW_SECONDS, **HOOKS)
def weekend_check(until: date | None = None, days: int = 8) -> dict[str, Any]:
    """Request the last dates from the archive again, to get special sessions, late files and corrections.

    Special sessions fall on weekends and holidays, when no daily run expects them. New sessions are scored.
    """
    until = until or clock.today()
    start = until - timedelta(days=days - 1)
    with (
        record_flow("weekend-check", f"check {start} to {until}", {"start": start, "until": until}) as recording,
        market_data_lock.changing(Settings(), get_run_logger().info),
    ):
        before = set(Lake(Settings().lake).sessions(BARS, start, until))
        parent = recording.run_id
        arrival = fetch_and_ingest(start, until, parent=parent, refresh=True, force=False)
        if not arrival.executions:
            arrival.require_complete()
            return recording.keep_result({"sessions": 0, "new": []})
        summary = check_build_load(start, until, arrival, quality_from=start - LOOKBACK, parent=parent, force=False)
        staged = {file.session for file in fetch.staged(Settings(), start, until)}
        new = [str(session) for session in sorted(staged - before)]
        unscored = sorted(staged - set(Lake(Settings().lake).sessions(PREDICTIONS)))
        scored = {str(session): score_one(session, parent=parent, force=False) for session in unscored}
        arrival.require_complete()
        return recording.keep_result({"new": new, **summary, "scores": scored})


def _notebook_name() -> str:
    return f"notebook {(flow_run.parameters or {}).get('notebook')}"


@flow(name="scheduled_notebook", flow_run_name=_notebook_name, timeout_seconds=LONG_SECONDS, **HOOKS)
def scheduled_notebook(notebook: str, values: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a notebook under supervision, with parameters as texts like those of a command line.

    Raises:
        NotebookError: there is no such notebook, or it failed.
        ParameterError: the parameters do not fit the notebook any more.
    """
    given = dict(values or {})
    with record_flow("scheduled-notebooks", notebook, {"notebook": notebook, **given}) as recording:
        settings = Settings()
        execution = run_notebook(
            settings,
            notebook_data.request(
                settings,
                notebook,
                given,
                parent_run_id=recording.run_id,
                tags=prefect_ids(),
                on_progress=NotebookProgress(notebook, notebook_progress.current()),
            ),
        )
        found = {"outcome": execution.outcome.value, "reason": execution.reason, "run": execution.run_id}
        return recording.keep_result({"notebook": notebook, **given, **found, **execution.metrics})
