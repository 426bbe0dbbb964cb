"""Who ran what, when and on which data: MLflow's runs, Prefect's, promotions and ClickHouse's query log in one list.

Nothing is started to be asked. What could not be asked is named with the reason, so that nobody takes silence for
quiet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from champion.base import clock
from champion.errors import ChampionError, ServiceError, UsageError
from champion.security import prefect_login

if TYPE_CHECKING:
    from champion.settings import Settings

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "at": pl.Datetime("ms", "UTC"),
    "source": pl.String,
    "user": pl.String,
    "what": pl.String,
    "outcome": pl.String,
    "data": pl.String,
    "seconds": pl.Float64,
    "id": pl.String,
}
"""Columns of a trail: `user` is empty where nobody knows it; `data` names what was read and written."""
MOST = 10_000
_PAGE = 200  # Prefect's limit for one answer
_SECONDS = 30
_INPUTS, _OUTPUTS, _NOTEBOOK, _FLOW = "champion.inputs", "champion.outputs", "champion.notebook", "prefect.flow_run_id"
Span: TypeAlias = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that somebody did; `at` is UTC, `id` is what the source calls it."""

    at: datetime
    source: str
    user: str
    what: str
    outcome: str
    data: str = ""
    seconds: float | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Activity:
    """Events as a frame of SCHEMA, newest first, and why some source could not be asked or not wholly, by source."""

    events: pl.DataFrame
    gaps: Mapping[str, str]


def activity(
    settings: Settings, since: date, until: date, *, user: str | None = None, prefect_api: str | None = None
) -> Activity:
    """Return what happened from `since` to `until`, dates in India and both included; of one user if named.

    `prefect_api` is the address of the Prefect server, None where none runs.

    Raises:
        UsageError: the range is empty.
        ModelError: the ledger of promotions was edited, or lost lines.
    """
    if since > until:
        raise UsageError(f"audit: there is no date from {since} to {until}; write the earlier one first")
    first, end = (datetime.combine(day, time(), clock.INDIA) for day in (since, until + timedelta(days=1)))
    span = first.astimezone(UTC), end.astimezone(UTC)
    gaps: dict[str, str] = {}
    recorded = _heard("mlflow", gaps, lambda: list(_runs(settings, span, gaps)))
    who = {flow: event.user for flow, event in recorded}
    events = [event for _, event in recorded]
    events += _heard("prefect", gaps, lambda: list(_flow_runs(settings, prefect_api, span, who)))
    events += _promotions(settings, span)
    events += _heard("warehouse", gaps, lambda: list(_statements(settings, span, gaps)))
    found = pl.DataFrame([asdict(event) for event in events], schema=SCHEMA)
    if user is not None:
        found = found.filter(pl.col("user") == user)
    return Activity(found.sort("at", "source", "id", descending=[True, False, False]), gaps)


def _heard(source: str, gaps: dict[str, str], ask: Callable[[], list[Any]]) -> list[Any]:
    try:
        return ask()
    except ChampionError as error:
        gaps[source] = str(error)
        return []


def _runs(settings: Settings, span: Span, gaps: dict[str, str]) -> Iterator[tuple[str, Event]]:
    """Yield each run with the flow run it belongs to, the empty text where it belongs to none."""
    if not settings.has_tracking_store:
        return  # nothing ran yet
    from champion.tracking import connectivity, runs  # noqa: PLC0415 - mlflow takes seconds to import

    connectivity.require(settings)
    found = runs.find_runs(settings, between=span, limit=MOST)
    if len(found) == MOST:
        gaps["mlflow"] = f"only its last {MOST:,} runs of that time are told: ask for fewer days"
    for run in found:
        notebook = run.tags.get(_NOTEBOOK)
        yield (
            run.tags.get(_FLOW, ""),
            Event(
                at=run.started,
                source="mlflow",
                user=run.tags.get(runs.USER, ""),
                what=f"notebook {notebook}" if notebook else run.name,
                outcome=run.outcome or run.status.lower(),
                data=_data(run.tags, run.parameters),
                seconds=(run.ended - run.started).total_seconds() if run.ended else None,
                id=run.run_id,
            ),
        )


def _data(tags: Mapping[str, str], parameters: Mapping[str, str]) -> str:
    """Return the datasets read and written, each with the beginning of its digest; else the parameters."""
    said = [
        f"{verb} {_named(tags[tag])}" for verb, tag in (("read", _INPUTS), ("wrote", _OUTPUTS)) if _named(tags.get(tag))
    ]
    return "; ".join(said) or ", ".join(f"{name} {value}" for name, value in parameters.items())


def _named(tag: str | None) -> str:
    try:
        return ", ".join(f"{name} {digest[:8]}" for name, digest in json.loads(tag or "{}").items())
    except ValueError:
        return tag or ""  # too many for a tag: its hash, and where they are


def _flow_runs(settings: Settings, api: str | None, span: Span, who: Mapping[str, str]) -> Iterator[Event]:
    import httpx  # noqa: PLC0415

    if api is None:
        raise ServiceError("no Prefect server runs for this workspace; any flow, or `champion serve`, starts it")
    asked = {"after_": span[0].isoformat(), "before_": span[1].isoformat()}
    body = {"flow_runs": {"start_time": asked}, "sort": "START_TIME_DESC", "limit": _PAGE}
    try:
        with httpx.Client(timeout=_SECONDS, auth=prefect_login.pair(settings)) as client:
            for offset in range(0, MOST, _PAGE):
                answer = client.post(f"{api}/flow_runs/filter", json=body | {"offset": offset})
                page = answer.raise_for_status().json()
                yield from (_flow_run(found, who) for found in page if _has_run(found))
                if len(page) < _PAGE:
                    return
    except httpx.HTTPError as error:
        raise ServiceError(f"the Prefect server at {api} does not tell: {error}") from error


def _has_run(found: Mapping[str, Any]) -> bool:
    """Tell whether a flow run began or ended; one that is scheduled, as `champion serve` has many, did nothing yet."""
    return bool(found.get("start_time") or found.get("end_time"))


def _flow_run(found: Mapping[str, Any], who: Mapping[str, str]) -> Event:
    """Return a flow run; its user is the one of its run in MLflow, or what Prefect knows of who started it."""
    started_by = found.get("created_by") or {}
    return Event(
        at=datetime.fromisoformat(found.get("start_time") or found["end_time"]),  # a cancelled run may lack the former
        source="prefect",
        user=who.get(found["id"], "") or str(started_by.get("display_value") or ""),
        what=f"flow {found['name']}",
        outcome=str(found.get("state_name") or "").lower(),
        data=", ".join(f"{name} {value}" for name, value in (found.get("parameters") or {}).items()),
        seconds=found.get("total_run_time"),
        id=found["id"],
    )


def _promotions(settings: Settings, span: Span) -> list[Event]:
    from champion.tracking import registry, standing  # noqa: PLC0415

    return [
        Event(
            at=entry.at,
            source="promotions",
            user=entry.by,
            what=f"{entry.kind}{', forced' if entry.forced else ''}: {entry.reason or '; '.join(entry.reasons)}",
            outcome=entry.state,
            data=f"{registry.MODEL} version {entry.version}" if entry.version else "no version",
            id=f"decision {entry.decision}",
        )
        for entry in standing.entries(settings)
        if span[0] <= entry.at < span[1]
    ]


def _statements(settings: Settings, span: Span, gaps: dict[str, str]) -> Iterator[Event]:
    from champion.warehouse import roles  # noqa: PLC0415 - the engine is 500 MB
    from champion.warehouse.engine import client  # noqa: PLC0415 - the engine is 500 MB

    if client.embedded_path(settings) is not None:
        raise ServiceError("the embedded engine has no users and keeps no query log: what runs ask of it is in MLflow")
    days = (clock.now() - span[0]).days + 1
    with client.reader(settings) as engine:
        found = roles.audit(engine, days, MOST)
    if found.height == MOST:
        gaps["warehouse"] = f"only its last {MOST:,} statements are told: ask for fewer days"
    for row in found.iter_rows(named=True):
        at = row["event_time"]
        if span[0] <= at < span[1]:
            yield Event(
                at=at,
                source="warehouse",
                user=row["user"],
                what=" ".join(str(row["query"]).split()),
                outcome="refused" if row["exception"] else "done",
                data=", ".join(row["tables"]),
                seconds=row["query_duration_ms"] / 1000,
            )
