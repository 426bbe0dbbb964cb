"""What the schedule starts: the day's session once it is published, and at weekends whatever was missed."""

from __future__ import annotations

import time as clocks
from datetime import date, datetime, time, timedelta
from secrets import SystemRandom
from typing import Any

from prefect import flow, task
from prefect.logging import get_run_logger

from champion.base import clock
from champion.contracts.datasets import BARS, PREDICTIONS
from champion.errors import ArchiveUnavailable, SessionNotPublished
from champion.lake import Lake
from champion.pipeline.ingest import availability, market_data_lock
from champion.pipeline.ingest.availability import PublicationState
from champion.settings import Settings
from flows.market_data import LOOKBACK, arrive, daily_market_data_pipeline, sessions_staged, through_warehouse
from flows.models import score_one
from flows.notifications import HOOKS
from flows.policy import FLOW_SECONDS, named
from flows.run_tracking import recorded

_UNTIL = time(23, 30)


@flow(name="daily_after_publication", flow_run_name=named("after publication", "session"), **HOOKS)
def daily_after_publication(
    session: date | None = None, until: time = _UNTIL, *, force: bool = False
) -> dict[str, Any]:
    """Wait for the session's file until a time in India, then run the daily pipeline on it.

    A weekend or a known holiday is asked for once and completes as `no_session`. A weekday whose file has not come by
    then fails as `not_published`, in the ledger too: the exchange is late, or the date is a holiday nobody told
    (`CHAMPION_HOLIDAYS`). Waiting has no time limit but `until`; the pipeline has its own.

    Raises:
        SessionNotPublished: there was no file at the deadline. ArchiveUnavailable: nor was there any answer.
    """
    session = session or clock.today()
    with recorded("daily-market-pipeline", f"wait for {session}", {"session": session, "until": until}) as recording:
        awaited = await_publication(session, availability.deadline(session, until))
        if awaited is PublicationState.NOT_PUBLISHED:
            recording.outcome = awaited.value
            raise SessionNotPublished(
                f"{session:%A %Y-%m-%d} was not published by {until:%H:%M} in India. Tell CHAMPION_HOLIDAYS if it is a "
                "holiday; else run the flow again later, or leave it to the weekend's check"
            )
        if awaited is PublicationState.NO_SESSION:
            return recording.kept({"session": str(session), "awaited": awaited.value, "sessions": 0})
        recording.kept({"session": str(session), "awaited": awaited.value})
    return daily_market_data_pipeline(session, force=force)


@task(name="await_publication", task_run_name="await {session}")
def await_publication(session: date, until: datetime) -> PublicationState:
    """Look for the session's file, more and more rarely, until it is there or the deadline is past.

    Raises:
        ArchiveUnavailable: at the deadline the archive did not answer.
    """
    settings, dice, looks = Settings(), SystemRandom(), 0
    while True:
        looks += 1
        silent: ArchiveUnavailable | None = None
        try:
            if availability.published(settings, session):
                return PublicationState.PUBLISHED
        except ArchiveUnavailable as error:
            silent = error
            get_run_logger().warning("%s", error)
        if silent is None and not availability.expected(session, settings.closed, clock.now()):
            return PublicationState.NO_SESSION
        seconds = availability.next_look(looks, clock.now(), until, dice.random())
        if seconds is None:
            if silent is not None:
                raise silent
            return PublicationState.NOT_PUBLISHED
        get_run_logger().info("%s: nothing yet, next look in %.0f s", session, seconds)
        clocks.sleep(seconds)


@flow(name="weekend_check", flow_run_name=named("check the days to", "until"), timeout_seconds=FLOW_SECONDS, **HOOKS)
def weekend_check(until: date | None = None, days: int = 8) -> dict[str, Any]:
    """Ask the archive for the last dates once more: special sessions, late files and corrections flow through.

    Special sessions fall on weekends and holidays, where no daily run expects them. Sessions that came are scored.
    """
    until = until or clock.today()
    start = until - timedelta(days=days - 1)
    with (
        recorded("weekend-check", f"check {start} to {until}", {"start": start, "until": until}) as recording,
        market_data_lock.changing(Settings(), get_run_logger().info),
    ):
        before = set(Lake(Settings().lake).sessions(BARS, start, until))
        arrived = arrive(start, until, parent=recording.run_id, refresh=True, force=False)
        if not arrived.executions:
            arrived.require_complete()
            return recording.kept({"sessions": 0, "new": []})
        parent = recording.run_id
        summary = through_warehouse(start, until, arrived, quality_from=start - LOOKBACK, parent=parent, force=False)
        new = [session for session in sessions_staged(start, until) if session not in before]
        unscored = sorted(set(sessions_staged(start, until)) - set(Lake(Settings().lake).sessions(PREDICTIONS)))
        scored = {str(session): score_one(session, parent=parent, force=False) for session in unscored}
        arrived.require_complete()
        return recording.kept({"new": [str(session) for session in new], **summary, "scores": scored})
