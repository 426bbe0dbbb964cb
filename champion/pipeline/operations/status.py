"""The state of a workspace, read from manifests and stores; nothing is started or changed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TypeVar

from champion import contracts
from champion.base import clock
from champion.base.counting import quantity
from champion.contracts.datasets import BARS
from champion.errors import ChampionError, ModelError
from champion.lake import Lake
from champion.pipeline.feature_store.frame_cache import FrameCache
from champion.pipeline.ingest import quality
from champion.pipeline.operations import databases
from champion.pipeline.operations.checks import reason_of
from champion.pipeline.reference import daily_lists
from champion.settings import Settings

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset of the lake."""

    name: str
    sessions: int
    first: date | None
    last: date | None
    rows: int
    problem: str = ""  # why it cannot be read


@dataclass(frozen=True, slots=True)
class RunLine:
    """One recorded run for display; `experiment` is the id of its MLflow experiment."""

    started: str
    name: str
    outcome: str
    seconds: float | None
    run_id: str
    experiment: str


@dataclass(frozen=True, slots=True)
class Status:
    """The workspace in one screen."""

    home: Path
    datasets: list[Dataset]
    freshness: str
    lists: str
    """How far the lists of the exchange are behind the bars."""
    quarantined: int
    findings: str
    champion: str
    frames: str
    """Number and size of the kept training frames."""
    runs: list[RunLine]
    problems: list[str] = field(default_factory=list)
    """One line for each part that could not be read."""


def status(settings: Settings) -> Status:
    """Return the state of the workspace; parts that cannot be read are listed in `problems`."""
    lake, problems = Lake(settings.lake), list[str]()
    found = datasets(lake)
    bars = next(entry for entry in found if entry.name == BARS)
    problems += [f"{entry.name}: {entry.problem}" for entry in found if entry.problem]
    if settings.tracking_uri is None:
        lost = _read(problems, "MLflow's store", lambda: databases.tracking_problem(settings), None)
        problems += [f"MLflow's store: {lost}; see `champion doctor`"] if lost else []
    return Status(
        home=settings.home,
        datasets=found,
        freshness=_freshness(bars.last),
        lists=_read(problems, "lists", lambda: daily_lists.freshness(daily_lists.coverage(lake)), "not known"),
        quarantined=sum(entry.rows for entry in found if entry.name.startswith("quarantine_")),
        findings=_read(problems, "findings", lambda: _findings(lake), "not known"),
        champion=_read(problems, "champion", lambda: _champion(settings), "not known"),
        frames=_read(problems, "frames", lambda: _frames(settings), "not known"),
        runs=_read(problems, "runs", lambda: last_runs(settings, 10), []),
        problems=problems,
    )


def _read(problems: list[str], what: str, read: Callable[[], Value], otherwise: Value) -> Value:
    """Return the result of `read`; if it fails, add a line to the problems and return `otherwise`."""
    try:
        return read()
    except ChampionError as error:
        problems.append(f"{what}: {error}")
    except Exception as error:  # noqa: BLE001 - a damaged store can make a library raise anything
        problems.append(f"{what}: {reason_of(error)}; see `champion doctor`")
    return otherwise


def datasets(lake: Lake) -> list[Dataset]:
    """Return every dataset with its sessions and rows from the manifests; an unreadable one has a `problem`."""
    return [_dataset(lake, name) for name in contracts.names()]


def _dataset(lake: Lake, name: str) -> Dataset:
    problems: list[str] = []
    sessions: list[date] = _read(problems, "sessions", lambda: lake.sessions(name), list[date]())
    rows = _read(problems, "rows", lambda: lake.rows(name), 0)
    first, last = (sessions[0], sessions[-1]) if sessions else (None, None)
    return Dataset(name, len(sessions), first, last, rows, "; ".join(problems))


def _freshness(last: date | None) -> str:
    if last is None:
        return "no sessions yet; `champion demo`, or `champion backfill START END`"
    age = (clock.today() - last).days
    return f"last session {last}, {quantity(age, 'day')} ago" if age > 0 else f"last session {last}, today"


def _frames(settings: Settings) -> str:
    cache = FrameCache.of(settings)
    if not cache.limit:
        return "none are kept"
    return (
        f"{quantity(len(cache.files()), 'training frame')} kept, {cache.size() / 1e9:.1f} of {cache.limit / 1e9:.1f} GB"
    )


def _findings(lake: Lake) -> str:
    """Return the numbers of findings that stop publication, that are accepted, and that are warnings, as text."""
    findings = quality.recorded(lake)
    stopping, warnings = (findings.filter(severity=s, state="open").height for s in ("error", "warning"))
    accepted = findings.filter(state="accepted").height
    remedy = "; `champion quality list` shows them" if stopping else ""
    return f"{stopping:,} stop publication, {accepted:,} accepted, {warnings:,} warnings{remedy}"


def _champion(settings: Settings) -> str:
    from champion.tracking import promotion_ledger, standing  # noqa: PLC0415 - reading the ledger needs no MLflow, importing does

    problem = standing.problem(settings)
    try:
        stack = promotion_ledger.champions(standing.entries(settings))
    except ModelError as error:
        return f"not known: {error}"
    entry = stack[-1] if stack else None
    text = f"version {entry.version}, since {clock.in_india(entry.effective or entry.at)} IST" if entry else "none yet"
    return f"{text}; {problem}" if problem else text


def last_runs(settings: Settings, limit: int, name: str | None = None) -> list[RunLine]:
    """Return the newest recorded runs of flows and notebooks, empty before the first run.

    With `name`, only those of a notebook or flow: the runs that have this name, or that executed this notebook.

    Raises:
        ServiceError: MLflow does not answer.
    """
    if not settings.has_tracking_store:
        return []
    from champion.tracking import connectivity, runs  # noqa: PLC0415

    connectivity.require(settings)
    asked: list[dict[str, str] | None] = (
        [{tag: name} for tag in ("mlflow.runName", "champion.notebook")] if name else [None]
    )
    found = {run.run_id: run for tags in asked for run in runs.find_runs(settings, tags=tags, limit=limit)}
    return [
        RunLine(
            clock.in_india(run.started),
            run.name,
            run.outcome or run.status.lower(),
            round((run.ended - run.started).total_seconds(), 1) if run.ended else None,
            run.run_id,
            run.experiment,
        )
        for run in sorted(found.values(), key=lambda run: run.started, reverse=True)[:limit]
    ]
