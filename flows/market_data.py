"""From the archive to features in the warehouse: one session, or a range in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from prefect import flow
from prefect.logging import get_run_logger

from champion.base import clock
from champion.base.counting import quantity
from champion.base.progress import Estimate
from champion.contracts.datasets import ACCEPTANCES, BARS, CHANGES, FACTORS, FINDINGS, QUARANTINED_BARS
from champion.errors import ArchiveError, ArchiveUnavailable
from champion.lake import Lake
from champion.market.envelope import session_close
from champion.market.quality_gates import LOOKBACK as LOOKBACK_SESSIONS
from champion.pipeline.feature_store import build
from champion.pipeline.ingest import fetch as archive, market_data_lock
from champion.pipeline.ingest.availability import by_years
from champion.pipeline.ingest.ingest import DATASETS
from champion.runner import Execution
from champion.settings import Settings
from champion.settings.quality_limits import Limits
from flows import notebook_progress, steps
from flows.feature_sets import build_sets, counts
from flows.models import score_one
from flows.notifications import HOOKS
from flows.policy import DAILY_SLA_SECONDS, FLOW_SECONDS, LONG_SECONDS, named
from flows.run_tracking import recorded

LOOKBACK = timedelta(days=30)
_SHARES = {"fetch": 0.2, "ingest": 0.35, "quality": 0.1, "features": 0.2, "warehouse": 0.15}
"""The usual share of each stage in the time of a backfill, measured on a year of real files from a folder."""


@flow(
    name="historical_backfill",
    flow_run_name="backfill {start} to {end}",
    timeout_seconds=LONG_SECONDS,
    **HOOKS,
)
def historical_backfill(start: date, end: date, *, refresh: bool = False, force: bool = False) -> dict[str, Any]:
    """Bring a range of sessions from the archive into lake and warehouse; what is done is skipped.

    Long ranges go in parts, of which one is fetched while another is ingested. Dates for which the archive does not
    answer, however often it is asked, hold up no others: the flow fails at its end and names them, and the next run
    asks for them alone. With `refresh` the archive is asked for all once more: what it corrected flows through.

    Raises:
        ArchiveError: some sessions were refused or not answered for; all others are done.
    """
    estimate = Estimate(_weights(len(by_years(start, end))), notebook_progress.current())
    given = {"start": start, "end": end}
    with (
        recorded("historical-backfill", f"backfill {start} to {end}", given) as recording,
        notebook_progress.estimated(estimate),
        market_data_lock.changing(Settings(), get_run_logger().info),
    ):
        arrived = arrive(start, end, parent=recording.run_id, refresh=refresh, force=force)
        if not arrived.executions:
            arrived.require_complete()
            return recording.kept({"sessions": 0})
        summary = recording.kept(
            through_warehouse(start, end, arrived, quality_from=start, parent=recording.run_id, force=force)
        )
        steps.index()
        arrived.require_complete()
        return summary


@flow(
    name="daily_market_data_pipeline",
    flow_run_name=named("daily", "session"),
    retries=1,
    retry_delay_seconds=300,
    timeout_seconds=FLOW_SECONDS,
    **HOOKS,
)
def daily_market_data_pipeline(session: date | None = None, *, force: bool = False) -> dict[str, Any]:
    """Bring one session (today's in India, if none is named) from the archive into the warehouse, and score it.

    A date without a session completes and says so: the archive, not a calendar, knows the sessions.
    """
    session = session or clock.today()
    given = {"session": session}
    with (
        recorded("daily-market-pipeline", f"daily {session}", given, DAILY_SLA_SECONDS) as recording,
        market_data_lock.changing(Settings(), get_run_logger().info),
    ):
        arrived = arrive(session, session, parent=recording.run_id, refresh=True, force=force)
        arrived.require_complete()
        if not arrived.executions:
            get_run_logger().info("%s: the archive has no session", session)
            return recording.kept({"session": str(session), "sessions": 0})
        # The whole month is loaded, so the whole month is judged, against the weeks before it.
        since = session.replace(day=1) - LOOKBACK
        parent = recording.run_id
        summary = through_warehouse(
            session, session, arrived, quality_from=since, parent=parent, force=force, as_of=session
        )
        recording.metrics["hours_after_close"] = (clock.now() - session_close(session)).total_seconds() / 3600
        scored = score_one(session, parent=parent, force=force)
        page = steps.report(session)
        recording.attach(page.parent, "report")
        return recording.kept({**summary, "score": scored, "report": str(page)})


@dataclass(slots=True)
class Arrived:
    """What came of fetching and ingesting a range: one notebook a part, and what stayed away."""

    executions: list[Execution] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)

    @property
    def renamed(self) -> list[date]:
        """Sessions outside the range whose names the range has taught anew."""
        found = {session for execution in self.executions for session in execution.values["renamed"]}
        return sorted(date.fromisoformat(session) for session in found)

    @property
    def counts(self) -> dict[str, Any]:
        """Outcome and counts of the notebooks, added up."""
        outcomes = dict.fromkeys(execution.outcome.value for execution in self.executions)
        added: dict[str, int] = {}
        for execution in self.executions:
            for name, value in counts(execution).items():
                added[name] = added.get(name, 0) + value
        return {"outcome": ", ".join(outcomes), **added}

    def require_complete(self) -> None:
        """Do nothing where all came.

        Raises:
            ArchiveUnavailable: the archive did not answer for some dates. ArchiveError: it sent what was refused.
        """
        if self.unanswered:
            raise ArchiveUnavailable(f"all that came is done; run it again for the rest: {'; '.join(self.unanswered)}")
        if self.refused:
            shown = "; ".join(self.refused[:3])
            raise ArchiveError(
                f"{quantity(len(self.refused), 'session was', 'sessions were')} refused, all others are done: {shown}"
            )


def arrive(start: date, end: date, *, parent: str, refresh: bool, force: bool) -> Arrived:
    """Fetch and ingest a range, part by part; the next part is fetched while one is ingested."""
    settings, arrived, spans = Settings(), Arrived(), by_years(start, end)
    steps.symbol_changes()
    with notebook_progress.stage("fetch 1", finishes=False):
        fetched = [steps.fetch.submit(*spans[0], refresh=refresh)]
    for number, span in enumerate(spans, start=1):
        _take(arrived, fetched[-1].result(raise_on_failure=False))
        notebook_progress.finish(f"fetch {number}")
        if number < len(spans):
            with notebook_progress.stage(f"fetch {number + 1}", finishes=False):
                fetched.append(steps.fetch.submit(*spans[number], refresh=refresh))
        if not archive.staged(settings, *span):
            notebook_progress.finish(f"ingest {number}")
            continue
        with notebook_progress.stage(f"ingest {number}"):
            execution = ingest(settings, span, parent=parent, force=force)
        arrived.executions.append(execution)
        arrived.refused += execution.values["failed"]
    return arrived


def _weights(parts: int) -> dict[str, float]:
    """Return the weight of each stage of a backfill in `parts`; fetching and ingesting have one stage a part."""
    in_parts = {f"{name} {part}": _SHARES[name] / parts for part in range(1, parts + 1) for name in ("fetch", "ingest")}
    return in_parts | {name: _SHARES[name] for name in ("quality", "features", "warehouse")}


def _take(arrived: Arrived, answer: list[str] | BaseException) -> None:
    match answer:
        case ArchiveUnavailable():
            arrived.unanswered.append(str(answer))
        case BaseException():
            raise answer
        case _:
            arrived.refused += answer


def ingest(settings: Settings, span: tuple[date, date], *, parent: str, force: bool) -> Execution:
    """Bring what staging holds of a range into the lake."""
    return steps.notebook(
        "ingest",
        {"start": span[0].isoformat(), "end": span[1].isoformat()},
        parent=parent,
        inputs={
            "staging": archive.digest(archive.staged(settings, *span)),
            CHANGES: Lake(settings.lake).digest(CHANGES),
        },
        writes=DATASETS,
        span=span,
        force=force,
    )


def through_warehouse(
    start: date,
    end: date,
    arrived: Arrived,
    *,
    quality_from: date,
    parent: str,
    force: bool,
    as_of: date | None = None,
) -> dict[str, Any]:
    """Check, build and load what has arrived, in this order; a failed gate stops all that follows it.

    Before it, what the lake holds of these sessions is proved by its hashes: nothing is made of damaged files.

    What is learned of the past (a corrected file, a symbol change, a corporate action) changes bars or features of
    other sessions: from the first of them to the lake's last, all is made anew and judged again.
    """
    lake = Lake(Settings().lake)
    lake.require_whole(quality_from, end)
    listed = steps.lists()
    last = max([end, *lake.sessions(BARS)[-1:]])
    sets = Settings().feature_sets
    outdated = [session for each in sets for session in build.outdated_sessions(lake, last, each)[:1]]
    first = min([start, *arrived.renamed, *outdated])
    with notebook_progress.stage("quality"):
        quality(lake, min(quality_from, first), last, parent=parent, force=force, as_of=as_of)
    with notebook_progress.stage("features"):
        built = build_sets(sets, (first, last), parent=parent, force=force)
    with notebook_progress.stage("warehouse"):
        loaded = steps.load(first, last, gated=False)
    get_run_logger().info("loaded %s", loaded)
    return {
        "corporate_actions": listed,
        "ingest": arrived.counts,
        **{"features" if name == "v1" else f"features {name}": made for name, made in built.items()},
        "loaded": loaded,
    }


def quality(
    lake: Lake, start: date, end: date, *, parent: str, force: bool = False, as_of: date | None = None
) -> Execution:
    """Run the quality gates over a range of sessions; what they depend on is part of the run's key."""
    context = (lake.sessions(BARS, end=start)[-LOOKBACK_SESSIONS:] or [start])[0]
    digests = {
        BARS: lake.digest(BARS, context, end),
        QUARANTINED_BARS: lake.digest(QUARANTINED_BARS, start, end),
        ACCEPTANCES: lake.digest(ACCEPTANCES),
        CHANGES: lake.digest(CHANGES),
        "limits": Limits.of(Settings()).digest,
    }
    return steps.notebook(
        "quality",
        {"start": start.isoformat(), "end": end.isoformat(), "as_of": as_of and as_of.isoformat()},
        parent=parent,
        inputs={**digests, FACTORS: lake.digest(FACTORS)},
        writes=(FINDINGS,),
        span=(start, end),
        force=force,
    )


def sessions_staged(start: date, end: date) -> Sequence[date]:
    """Return the sessions of a range that staging holds."""
    return sorted({received.session for received in archive.staged(Settings(), start, end)})
