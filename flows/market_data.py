"""Flows from the archive to features in the warehouse, for one session or a range in parts."""

from collections import Counter
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
from champion.pipeline.ingest import fetch, market_data_lock
from champion.pipeline.ingest.availability import by_years
from champion.pipeline.ingest.ingest import DATASETS
from champion.pipeline.models.notebook_data import NotebookData
from champion.runner import Execution
from champion.settings import Settings
from champion.settings.quality_limits import Limits
from flows import notebook_progress, steps
from flows.feature_sets import build_sets, counts
from flows.models import score_one
from flows.notifications import HOOKS
from flows.policy import DAILY_SLA_SECONDS, FLOW_SECONDS, LONG_SECONDS, run_name
from flows.run_tracking import record_flow

LOOKBACK = timedelta(days=30)
_SHOWN = 3  # refused files in a message
_SHARES = {"fetch": 0.2, "ingest": 0.35, "quality": 0.1, "features": 0.2, "warehouse": 0.15}
"""The usual share of each stage in the time of a backfill, measured on one year of real files in a folder."""


@flow(name="historical_backfill", flow_run_name="backfill {start} to {end}", timeout_seconds=LONG_SECONDS, **HOOKS)
def historical_backfill(start: date, end: date, *, refresh: bool = False, force: bool = False) -> dict[str, Any]:
    """Load a range of sessions from the archive into lake and warehouse; sessions that are up to date are skipped.

    A long range is split into parts, and one part is fetched while another is ingested. Dates for which the archive
    does not answer do not stop the others: the flow fails at its end and names them, and the next run requests only
    these. With `refresh`, all files are requested again, to get the archive's corrections.

    Raises:
        ArchiveError: sessions were refused, or the archive did not answer for them; all others are done.
    """
    parts = len(by_years(start, end))
    weights = {f"{name} {part}": _SHARES[name] / parts for part in range(1, parts + 1) for name in ("fetch", "ingest")}
    weights |= {name: _SHARES[name] for name in ("quality", "features", "warehouse")}
    with (
        record_flow("historical-backfill", f"backfill {start} to {end}", {"start": start, "end": end}) as recording,
        notebook_progress.estimated(Estimate(weights, notebook_progress.current())),
        market_data_lock.changing(Settings(), get_run_logger().info),
    ):
        parent = recording.run_id
        arrival = fetch_and_ingest(start, end, parent=parent, refresh=refresh, force=force)
        if not arrival.executions:
            arrival.require_complete()
            return recording.keep_result({"sessions": 0})
        summary = check_build_load(start, end, arrival, quality_from=start, parent=parent, force=force)
        recording.keep_result(summary)
        steps.index_lake()
        arrival.require_complete()
        return summary


@flow(
    name="daily_market_data_pipeline",
    flow_run_name=run_name("daily", "session"),
    retries=1,
    retry_delay_seconds=300,
    timeout_seconds=FLOW_SECONDS,
    **HOOKS,
)
def daily_market_data_pipeline(session: date | None = None, *, force: bool = False) -> dict[str, Any]:
    """Load one session (by default today's in India) from the archive into the warehouse, and score it.

    A date without a session completes with `sessions` 0: the archive, not a calendar, decides about sessions.
    """
    session = session or clock.today()
    with (
        record_flow("daily-market-pipeline", f"daily {session}", {"session": session}, DAILY_SLA_SECONDS) as recording,
        market_data_lock.changing(Settings(), get_run_logger().info),
    ):
        parent = recording.run_id
        arrival = fetch_and_ingest(session, session, parent=parent, refresh=True, force=force)
        arrival.require_complete()
        if not arrival.executions:
            get_run_logger().info("%s: the archive has no session", session)
            return recording.keep_result({"session": str(session), "sessions": 0})
        lists = steps.fetch_daily_lists(session, session)
        # The whole month is loaded, so the whole month is checked, against the weeks before it.
        since = session.replace(day=1) - LOOKBACK
        summary = check_build_load(
            session, session, arrival, quality_from=since, parent=parent, force=force, as_of=session
        )
        recording.metrics["hours_after_close"] = (clock.now() - session_close(session)).total_seconds() / 3600
        scored = score_one(session, parent=parent, force=force)
        page = steps.write_report(session)
        recording.attach(page.parent, "report")
        return recording.keep_result({**summary, "score": scored, "report": str(page), "lists": lists})


@dataclass(slots=True)
class Arrival:
    """The result of fetching and ingesting a range: one notebook per part, and the errors of missing sessions."""

    executions: list[Execution] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)

    @property
    def renamed(self) -> list[date]:
        """Sessions outside the range whose instruments were renamed."""
        sessions = {session for execution in self.executions for session in execution.values["renamed"]}
        return sorted(map(date.fromisoformat, sessions))

    @property
    def counts(self) -> dict[str, Any]:
        """Outcomes of the notebooks, and the sums of their counts."""
        outcomes = dict.fromkeys(execution.outcome.value for execution in self.executions)
        sums: Counter[str] = Counter()
        for execution in self.executions:
            sums.update(counts(execution))
        return {"outcome": ", ".join(outcomes), **sums}

    def require_complete(self) -> None:
        """Require that all sessions were fetched and ingested.

        Raises:
            ArchiveUnavailable: the archive did not answer for some dates.
            ArchiveError: files were refused.
        """
        if self.unanswered:
            rest = "; ".join(self.unanswered)
            raise ArchiveUnavailable(f"all other sessions are done; run it again for the rest: {rest}")
        if self.refused:
            reasons = list(dict.fromkeys(self.refused))  # one file may serve as bhavcopy and as delivery file
            how_many = quantity(len({reason.partition(":")[0] for reason in reasons}), "session was", "sessions were")
            rest = f"; and {quantity(len(reasons) - _SHOWN, 'more file')}" if len(reasons) > _SHOWN else ""
            raise ArchiveError(f"{how_many} refused, all others are done: {'; '.join(reasons[:_SHOWN])}{rest}")


def fetch_and_ingest(start: date, end: date, *, parent: str, refresh: bool, force: bool) -> Arrival:
    """Fetch and ingest a range part by part; the next part is fetched while one is ingested."""
    settings, arrival, spans = Settings(), Arrival(), by_years(start, end)
    steps.fetch_symbol_changes()
    with notebook_progress.stage("fetch 1", finishes=False):
        future = steps.fetch_range.submit(*spans[0], refresh=refresh)
    for number, span in enumerate(spans, start=1):
        result: list[str] | BaseException = future.result(raise_on_failure=False)
        if isinstance(result, ArchiveUnavailable):
            arrival.unanswered.append(str(result))
        elif isinstance(result, BaseException):
            raise result
        else:
            arrival.refused += result
        notebook_progress.finish(f"fetch {number}")
        if number < len(spans):
            with notebook_progress.stage(f"fetch {number + 1}", finishes=False):
                future = steps.fetch_range.submit(*spans[number], refresh=refresh)
        if not fetch.staged(settings, *span):
            notebook_progress.finish(f"ingest {number}")
            continue
        with notebook_progress.stage(f"ingest {number}"):
            execution = ingest(settings, span, parent=parent, force=force)
        arrival.executions.append(execution)
        arrival.refused += execution.values["failed"]
    return arrival


def ingest(settings: Settings, span: tuple[date, date], *, parent: str, force: bool) -> Execution:
    """Ingest the staged files of a range into the lake."""
    parameters = {"start": span[0].isoformat(), "end": span[1].isoformat()}
    inputs = {"staging": fetch.digest(fetch.staged(settings, *span)), CHANGES: Lake(settings.lake).digest(CHANGES)}
    return steps.notebook("ingest", parameters, NotebookData(inputs, DATASETS, span), parent=parent, force=force)


def check_build_load(
    start: date, end: date, arrival: Arrival, *, quality_from: date, parent: str, force: bool, as_of: date | None = None
) -> dict[str, Any]:
    """Check quality, build features and load the warehouse for new sessions; a failed gate stops the later steps.

    First, the lake's files of these sessions are verified by their hashes. A corrected file, a symbol change or a
    corporate action changes bars or features of other sessions too: from the first of these to the lake's last session,
    everything is checked and built again.
    """
    lake = Lake(Settings().lake)
    lake.require_whole(quality_from, end)
    actions = steps.fetch_lists()
    last = max([end, *lake.sessions(BARS)[-1:]])
    sets = Settings().feature_sets
    outdated = [session for each in sets for session in build.outdated_sessions(lake, last, each)[:1]]
    first = min([start, *arrival.renamed, *outdated])
    with notebook_progress.stage("quality"):
        quality(lake, min(quality_from, first), last, parent=parent, force=force, as_of=as_of)
    with notebook_progress.stage("features"):
        built = build_sets(sets, (first, last), parent=parent, force=force)
    with notebook_progress.stage("warehouse"):
        loaded = steps.load(first, last, gated=False)
    get_run_logger().info("loaded %s", loaded)
    features = {"features" if name == "v1" else f"features {name}": counted for name, counted in built.items()}
    return {"corporate_actions": actions, "ingest": arrival.counts, **features, "loaded": loaded}


def quality(
    lake: Lake, start: date, end: date, *, parent: str, force: bool = False, as_of: date | None = None
) -> Execution:
    """Run the quality notebook over a range of sessions; its inputs include the limits and the acceptances."""
    context = (lake.sessions(BARS, end=start)[-LOOKBACK_SESSIONS:] or [start])[0]
    inputs = {BARS: lake.digest(BARS, context, end), QUARANTINED_BARS: lake.digest(QUARANTINED_BARS, start, end)}
    inputs |= {name: lake.digest(name) for name in (ACCEPTANCES, CHANGES, FACTORS)}
    inputs["limits"] = Limits.of(Settings()).digest
    parameters = {"start": start.isoformat(), "end": end.isoformat(), "as_of": as_of and as_of.isoformat()}
    data = NotebookData(inputs, (FINDINGS,), (start, end))
    return steps.notebook("quality", parameters, data, parent=parent, force=force)
