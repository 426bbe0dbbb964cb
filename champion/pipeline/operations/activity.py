"""List users' actions, times and data: runs of MLflow and Prefect, promotions and ClickHouse's query log in one list.

No service is started for it. A source that could not be read is reported with the reason.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeAlias

import polars as pl

from champion.base import clock
from champion.errors import ChampionError, ServiceError, UsageError
from champion.security import prefect_login
from champion.settings import Settings

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "at": pl.Datetime("ms", "UTC"),
    **dict.fromkeys(("source", "user", "what", "outcome", "data"), pl.String),
    "seconds": pl.Float64,
    "id": pl.String,
}
"""Columns of the events. An event is one action by a user.

`at` is UTC; `user` is empty if it is not known; `data` names the data that was read and written; `id` is the event's
identifier in its source.
"""
MOST = 10_000
_PAGE = 200  # Prefect's limit for one answer
Span: TypeAlias = tuple[datetime, datetime]
Event: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Activity:
    """Events as a frame of SCHEMA, newest first, and why a source is missing or incomplete, by source."""

    events: pl.DataFrame
    gaps: Mapping[str, str]


def activity(
    settings: Settings, since: date, until: date, *, user: str | None = None, prefect_api: str | None = None
) -> Activity:
    """Return the events from `since` to `until` (dates in India, both included); with `user`, only this user's.

    `prefect_api` is the address of the Prefect server, None if none runs.

    Raises:
        UsageError: the range is empty.
        ModelError: the promotion ledger was edited, or lost lines.
    """
    if since > until:
        raise UsageError(f"audit: there is no date from {since} to {until}; write the earlier one first")
    first, end = (datetime.combine(day, time(), clock.INDIA) for day in (since, until + timedelta(days=1)))
    span = first.astimezone(UTC), end.astimezone(UTC)
    gaps: dict[str, str] = {}
    runs = _read("mlflow", gaps, _runs(settings, span, gaps))
    users = {flow: event["user"] for flow, event in runs}
    events = [event for _, event in runs]
    events += _read("prefect", gaps, _flow_runs(settings, prefect_api, span, users))
    events += _promotions(settings, span)
    events += _read("warehouse", gaps, _statements(settings, span, gaps))
    frame = pl.DataFrame([event for event in events if user in {None, event["user"]}], schema=SCHEMA)
    return Activity(frame.sort("at", "source", "id", descending=[True, False, False]), gaps)


def _read(source: str, gaps: dict[str, str], events: Iterable[Any]) -> list[Any]:
    try:
        return list(events)
    except ChampionError as error:
        gaps[source] = str(error)
        return []


def _runs(settings: Settings, span: Span, gaps: dict[str, str]) -> Iterator[tuple[str, Event]]:
    """Yield each run with the id of its flow run, empty without one."""
    if not settings.has_tracking_store:
        return  # nothing ran yet
    from champion.tracking import connectivity, runs  # noqa: PLC0415 - mlflow takes seconds to import

    connectivity.require(settings)
    recorded = runs.find_runs(settings, between=span, limit=MOST)
    if len(recorded) == MOST:
        gaps["mlflow"] = f"only the last {MOST:,} runs of that time are listed: ask for fewer days"
    for run in recorded:
        notebook = run.tags.get("champion.notebook")
        yield (
            run.tags.get("prefect.flow_run_id", ""),
            {
                "at": run.started,
                "source": "mlflow",
                "user": run.tags.get(runs.USER, ""),
                "what": f"notebook {notebook}" if notebook else run.name,
                "outcome": run.outcome or run.status.lower(),
                "data": _data(run.tags, run.parameters),
                "seconds": (run.ended - run.started).total_seconds() if run.ended else None,
                "id": run.run_id,
            },
        )


def _data(tags: Mapping[str, str], parameters: Mapping[str, str]) -> str:
    """Return the datasets read and written, each with the start of its digest; without any, the parameters."""
    parts = []
    for verb, tag in (("read", "champion.inputs"), ("wrote", "champion.outputs")):
        try:
            digests = json.loads(tags.get(tag) or "{}").items()
            text = ", ".join(f"{name} {digest[:8]}" for name, digest in digests)
        except ValueError:
            text = tags[tag]  # too many for a tag: their hash, and where they are
        parts += [f"{verb} {text}"] if text else []
    return "; ".join(parts) or ", ".join(f"{name} {value}" for name, value in parameters.items())


def _flow_runs(settings: Settings, api: str | None, span: Span, users: Mapping[str, str]) -> Iterator[Event]:
    import httpx  # noqa: PLC0415

    if api is None:
        raise ServiceError("no Prefect server runs for this workspace; any flow, or `champion serve`, starts it")
    between = {"after_": span[0].isoformat(), "before_": span[1].isoformat()}
    body = {"flow_runs": {"start_time": between}, "sort": "START_TIME_DESC", "limit": _PAGE}
    try:
        with httpx.Client(timeout=30, auth=prefect_login.pair(settings)) as client:
            for offset in range(0, MOST, _PAGE):
                page = client.post(f"{api}/flow_runs/filter", json=body | {"offset": offset}).raise_for_status().json()
                # Scheduled runs, of which `champion serve` has many, have no time yet.
                yield from (_flow_run(run, users) for run in page if run.get("start_time") or run.get("end_time"))
                if len(page) < _PAGE:
                    return
    except httpx.HTTPError as error:
        raise ServiceError(f"the Prefect server at {api} does not answer: {error}") from error


def _flow_run(run: Mapping[str, Any], users: Mapping[str, str]) -> Event:
    """Return a flow run; its user comes from its MLflow run, or else from Prefect's record."""
    created_by = run.get("created_by") or {}
    return {
        "at": datetime.fromisoformat(run.get("start_time") or run["end_time"]),  # a cancelled run may lack the former
        "source": "prefect",
        "user": users.get(run["id"], "") or str(created_by.get("display_value") or ""),
        "what": f"flow {run['name']}",
        "outcome": str(run.get("state_name") or "").lower(),
        "data": ", ".join(f"{name} {value}" for name, value in (run.get("parameters") or {}).items()),
        "seconds": run.get("total_run_time"),
        "id": run["id"],
    }


def _promotions(settings: Settings, span: Span) -> list[Event]:
    from champion.tracking import registry, standing  # noqa: PLC0415

    return [
        {
            "at": entry.at,
            "source": "promotions",
            "user": entry.by,
            "what": f"{entry.kind}{', forced' if entry.forced else ''}: {entry.reason or '; '.join(entry.reasons)}",
            "outcome": entry.state,
            "data": f"{registry.MODEL} version {entry.version}" if entry.version else "no version",
            "id": f"decision {entry.decision}",
        }
        for entry in standing.entries(settings)
        if span[0] <= entry.at < span[1]
    ]


def _statements(settings: Settings, span: Span, gaps: dict[str, str]) -> Iterator[Event]:
    from champion.warehouse import roles  # noqa: PLC0415 - the engine is 500 MB
    from champion.warehouse.engine import client  # noqa: PLC0415 - the engine is 500 MB

    if client.embedded_path(settings) is not None:
        raise ServiceError("the embedded engine has no users and keeps no query log: MLflow records what runs read")
    days = (clock.now() - span[0]).days + 1
    with client.reader(settings) as engine:
        statements = roles.audit(engine, days, MOST)
    if statements.height == MOST:
        gaps["warehouse"] = f"only the last {MOST:,} statements are listed: ask for fewer days"
    for row in statements.iter_rows(named=True):
        if span[0] <= row["event_time"] < span[1]:
            yield {
                "at": row["event_time"],
                "source": "warehouse",
                "user": row["user"],
                "what": " ".join(str(row["query"]).split()),
                "outcome": "refused" if row["exception"] else "done",
                "data": ", ".join(row["tables"]),
                "seconds": row["query_duration_ms"] / 1000,
                "id": "",
            }
