"""From the archive to features in the warehouse: every day, or over a range."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from prefect import flow
from prefect.logging import get_run_logger

from champion import clock, features
from champion.errors import ArchiveError
from champion.factors import FACTORS
from champion.lake import Lake
from champion.pipeline import actions, build, fetch as archive
from champion.pipeline.bars import BARS
from champion.pipeline.declare import known_to
from champion.pipeline.ingest import DATASETS
from champion.pipeline.lineage import CHANGES
from champion.pipeline.quality import FINDINGS
from champion.runner import Execution
from champion.settings import Settings
from flows import steps
from flows.models import score_one

_LOOKBACK = timedelta(days=30)


@flow(name="historical_backfill", flow_run_name="backfill {start} to {end}")
def historical_backfill(start: date, end: date, *, refresh: bool = False, force: bool = False) -> dict[str, Any]:
    """Bring a range of sessions from the archive into lake and warehouse; what is done is skipped.

    With `refresh` the archive is asked for all of them once more: what it corrected flows through, and only that.

    Raises:
        ArchiveError: some sessions were refused; all others are done.
    """
    with steps.recorded("historical-backfill", f"backfill {start} to {end}", {"start": start, "end": end}) as parent:
        refused = steps.fetch(start, end, refresh=refresh)
        if not archive.staged(Settings(), start, end):
            _stop_if(refused)
            return {"sessions": 0}
        summary, failed = _through_warehouse(start, end, quality_from=start, parent=parent, force=force)
        steps.index()
        _stop_if([*refused, *failed])
        return summary


@flow(
    name="daily_market_data_pipeline",
    flow_run_name="daily {session}",
    retries=1,
    retry_delay_seconds=300,
    timeout_seconds=1800,
)
def daily_market_data_pipeline(session: date | None = None, *, force: bool = False) -> dict[str, Any]:
    """Bring one session (today's in India, if none is named) from the archive into the warehouse, and score it.

    A date without a session completes and says so: the archive, not a calendar, knows the sessions.
    """
    session = session or clock.now().astimezone(ZoneInfo("Asia/Kolkata")).date()
    with steps.recorded("daily-market-pipeline", f"daily {session}", {"session": session}) as parent:
        refused = steps.fetch(session, session, refresh=True)
        _stop_if(refused)
        if not archive.staged(Settings(), session, session):
            get_run_logger().info("%s: the archive has no session", session)
            return {"session": str(session), "sessions": 0}
        # The whole month is loaded, so the whole month is judged, against the weeks before it.
        since = session.replace(day=1) - _LOOKBACK
        summary, failed = _through_warehouse(
            session, session, quality_from=since, parent=parent, force=force, as_of=session
        )
        _stop_if(failed)
        return {**summary, "score": score_one(session, parent=parent, force=force)}


def _stop_if(refused: Sequence[str]) -> None:
    if refused:
        raise ArchiveError(f"{len(refused)} session(s) were refused, all others are done: {'; '.join(refused[:3])}")


def _through_warehouse(
    start: date, end: date, *, quality_from: date, parent: str, force: bool, as_of: date | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Ingest, check, build and load, in this order, and name the sessions whose file was refused.

    A failed gate stops all that follows it. What is learned of the past (a corrected file, a symbol change, a corporate
    action) changes bars or features of other sessions: from the first of them to the lake's last, all is made anew and
    judged again.
    """
    settings = Settings()
    lake = Lake(settings.lake)
    steps.symbol_changes()
    span, dates = (start, end), {"start": start.isoformat(), "end": end.isoformat()}
    ingested = steps.notebook(
        "ingest",
        dates,
        parent=parent,
        inputs={"staging": archive.digest(archive.staged(settings, start, end)), CHANGES: lake.digest(CHANGES)},
        writes=DATASETS,
        span=span,
        force=force,
    )
    listed = steps.lists()
    renamed = [date.fromisoformat(session) for session in ingested.values["renamed"]]
    last = max([end, *lake.sessions(BARS)[-1:]])
    outdated = [session for each in settings.feature_sets for session in build.outdated_sessions(lake, last, each)[:1]]
    first = min([start, *renamed, *outdated])
    quality_from = min(quality_from, first)
    steps.notebook(
        "quality",
        {"start": quality_from.isoformat(), "end": end.isoformat(), "as_of": as_of and as_of.isoformat()},
        parent=parent,
        inputs={
            **{n: lake.digest(n, quality_from, end) for n in ("normalized_equity_ohlc", "quarantine_equity_ohlc")},
            FACTORS: lake.digest(FACTORS),
        },
        writes=(FINDINGS,),
        span=(quality_from, end),
        force=force,
    )
    built = {name: _features(lake, name, (first, last), parent=parent, force=force) for name in settings.feature_sets}
    loaded = steps.load(first, last)
    get_run_logger().info("loaded %s", loaded)
    summary = {
        "corporate_actions": listed,
        "ingest": {"outcome": ingested.outcome.value, **_counts(ingested)},
        **{
            "features" if name == "v1" else f"features {name}": {"outcome": made.outcome.value, **_counts(made)}
            for name, made in built.items()
        },
        "loaded": loaded,
    }
    return summary, list(ingested.values["failed"])


def _features(lake: Lake, name: str, span: tuple[date, date], *, parent: str, force: bool) -> Execution:
    """Build one feature set from the bars and actions there are."""
    start, end = span
    chosen = known_to(lake, name)
    made_from = {BARS: lake.digest(BARS, end=end), FACTORS: actions.digest(lake, end)}
    return steps.notebook(
        "features",
        {"start": start.isoformat(), "end": end.isoformat(), "feature_set": name},
        parent=parent,
        inputs={**made_from, "feature_set": features.identity(chosen)},
        writes=(chosen.contract,),
        span=span,
        force=force,
    )


def _counts(execution: Execution) -> dict[str, int]:
    """Return what a run counted; its statistics of each feature are in MLflow."""
    return {name: int(value) for name, value in execution.metrics.items() if not name.startswith("feature_")}
