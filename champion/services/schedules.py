"""Schedules of notebooks: Prefect deployments of one flow, `scheduled_notebook`, that people create and remove.

A schedule is a deployment with the tag `own-notebook`: Prefect's pages show, pause and run it like any other. One that
runs after the daily flow has an automation instead of times.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cronsim import CronSim, CronSimError

from champion.base import clock
from champion.errors import UsageError
from champion.services import prefect

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

    from champion.settings import Settings

TAG = "own-notebook"
FLOW = "scheduled_notebook"
QUEUE = "notebooks"
AFTER = {"daily": "daily_market_data_pipeline"}
"""The flows after which a notebook can run, by the name of their command."""
_FIELDS = 5
_ENTRYPOINT = f"flows.daily.{FLOW}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A scheduled notebook: when it runs, with which parameters, when it runs next, and how its last run ended.

    `when` is a cron expression in India's time, or `after daily`. `next_run` and `last_state` are None if there is no
    such run.
    """

    name: str
    notebook: str
    when: str
    parameters: Mapping[str, str]
    is_paused: bool
    next_run: str | None
    last_state: str | None


def add(
    settings: Settings,
    api: str,
    name: str,
    notebook: str,
    values: Mapping[str, str],
    *,
    cron: str = "",
    after: str = "",
) -> None:
    """Schedule a notebook by a cron expression in India's time, or after each run of a command in `AFTER`.

    The schedule of this name is replaced. The caller has checked notebook and values.

    Raises:
        UsageError: the cron expression is malformed, or there is no such command.
    """
    require_time(cron, after)
    with prefect.client(settings, api) as client:
        from prefect.client.schemas.actions import DeploymentScheduleCreate  # noqa: PLC0415 - after its settings
        from prefect.client.schemas.schedules import CronSchedule  # noqa: PLC0415

        times = [DeploymentScheduleCreate(schedule=CronSchedule(cron=cron, timezone=clock.INDIA.key))] if cron else []
        if (known := _find(client, name)) is not None:
            _remove(client, name, known.id)
        deployment = client.create_deployment(
            client.create_flow_from_name(FLOW),
            name,
            description=f"{notebook}, {_when(cron, after)}",
            entrypoint=_ENTRYPOINT,
            parameters={"notebook": notebook, "values": dict(values)},
            schedules=times,
            tags=[TAG],
            work_pool_name=settings.work_pool,
            work_queue_name=QUEUE,
            **_place(),
        )
        if after:
            _run_after(client, name, deployment, AFTER[after])


def require_time(cron: str, after: str) -> None:
    """Check when a notebook shall run, without a server.

    Raises:
        UsageError: none or both are given, the expression is malformed, or no notebook can run after the command.
    """
    if bool(cron) == bool(after):
        raise UsageError("a schedule needs --cron, as '0 19 * * 1-5', or --after daily, and not both")
    if after and after not in AFTER:
        raise UsageError(f"a notebook runs after {' or '.join(AFTER)}, not after {after!r}")
    try:
        if cron and len(cron.split()) == _FIELDS:
            CronSim(cron, clock.now())
    except CronSimError as error:
        raise _malformed(cron) from error
    if cron and len(cron.split()) != _FIELDS:
        raise _malformed(cron)


def _malformed(cron: str) -> UsageError:
    return UsageError(
        f"{cron!r} is not a cron expression: minute, hour, day of month, month, day of week, as '0 19 * * 1-5'"
    )


def found(settings: Settings, api: str) -> list[Schedule]:
    """Return all schedules of notebooks, by name."""
    with prefect.client(settings, api) as client:
        return [_schedule(client, deployment) for deployment in _all(client)]


def pause(settings: Settings, api: str, name: str, *, paused: bool) -> None:
    """Pause a schedule, or resume it.

    Raises:
        UsageError: there is no such schedule.
    """
    with prefect.client(settings, api) as client:
        client.set_deployment_paused_state(_required(client, name).id, paused)
        for automation in client.read_automations_by_name(_automation(name)):
            (client.pause_automation if paused else client.resume_automation)(automation.id)


def remove(settings: Settings, api: str, name: str) -> None:
    """Remove a schedule; the runs that it started stay on record.

    Raises:
        UsageError: there is no such schedule.
    """
    with prefect.client(settings, api) as client:
        _remove(client, name, _required(client, name).id)


def repoint(client: SyncPrefectClient) -> None:
    """Let all schedules use this folder and this interpreter: the workspace may have moved, or Python was upgraded."""
    from prefect.client.schemas.actions import DeploymentUpdate  # noqa: PLC0415 - prefect takes seconds

    for deployment in _all(client):
        client.update_deployment(deployment.id, DeploymentUpdate(**_place()))


def engine_command() -> str:
    """Return the command that starts a run; with the command, a worker starts it immediately with this interpreter."""
    return f"{shlex.quote(sys.executable)} -P -m champion.base.gc_tuning prefect.engine"


def _place() -> dict[str, Any]:
    """Return where a run works, as the deployments of prefect.yaml do: this folder, with this interpreter."""
    return {
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(Path.cwd())}}],
        "job_variables": {"command": engine_command()},
    }


def _run_after(client: SyncPrefectClient, name: str, deployment: UUID, flow: str) -> None:
    from prefect.events import EventTrigger, Posture, RunDeployment  # noqa: PLC0415 - prefect takes seconds
    from prefect.events.schemas.automations import AutomationCore  # noqa: PLC0415
    from prefect.events.schemas.events import ResourceSpecification  # noqa: PLC0415

    client.create_automation(
        AutomationCore(
            name=_automation(name),
            description=f"runs the notebook of the schedule {name} after {flow}",
            trigger=EventTrigger(
                expect={"prefect.flow-run.Completed"},
                match_related=ResourceSpecification({"prefect.resource.role": "flow", "prefect.resource.name": flow}),
                posture=Posture.Reactive,
                threshold=1,
            ),
            actions=[RunDeployment(deployment_id=deployment)],
        )
    )


def _automation(name: str) -> str:
    return f"{TAG} {name}"


def _remove(client: SyncPrefectClient, name: str, deployment: UUID) -> None:
    for automation in client.read_automations_by_name(_automation(name)):
        client.delete_automation(automation.id)
    client.delete_deployment(deployment)


def _all(client: SyncPrefectClient) -> list[Any]:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags  # noqa: PLC0415

    chosen = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
    return sorted(client.read_deployments(deployment_filter=chosen), key=lambda one: str(one.name))


def _find(client: SyncPrefectClient, name: str) -> Any:
    return next((one for one in _all(client) if one.name == name), None)


def _required(client: SyncPrefectClient, name: str) -> Any:
    if (known := _find(client, name)) is None:
        names = ", ".join(str(one.name) for one in _all(client)) or "none"
        raise UsageError(f"no notebook is scheduled as {name!r}; scheduled: {names}")
    return known


def _schedule(client: SyncPrefectClient, deployment: Any) -> Schedule:
    from prefect.client.schemas.objects import StateType  # noqa: PLC0415 - prefect takes seconds
    from prefect.client.schemas.sorting import FlowRunSort  # noqa: PLC0415

    waiting = _runs(client, deployment.id, FlowRunSort.EXPECTED_START_TIME_ASC, any_=[StateType.SCHEDULED])
    begun = _runs(client, deployment.id, FlowRunSort.EXPECTED_START_TIME_DESC, not_any_=[StateType.SCHEDULED])
    crons = [each.schedule.cron for each in deployment.schedules if hasattr(each.schedule, "cron")]
    following = client.read_automations_by_name(_automation(deployment.name))
    return Schedule(
        name=deployment.name,
        notebook=deployment.parameters["notebook"],
        when=_when(", ".join(crons), "daily" if following else ""),
        parameters=deployment.parameters["values"],
        is_paused=deployment.paused,
        next_run=f"{waiting[0].expected_start_time.astimezone(clock.INDIA):%Y-%m-%d %H:%M}" if waiting else None,
        last_state=begun[0].state.name if begun else None,
    )


def _runs(client: SyncPrefectClient, deployment: UUID, sort: Any, **states: Any) -> list[Any]:
    """Return the first run of a deployment in one of these states."""
    from prefect.client.schemas import filters  # noqa: PLC0415 - prefect takes seconds

    found: list[Any] = client.read_flow_runs(
        deployment_filter=filters.DeploymentFilter(id=filters.DeploymentFilterId(any_=[deployment])),
        flow_run_filter=filters.FlowRunFilter(
            state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(**states))
        ),
        sort=sort,
        limit=1,
    )
    return found


def _when(cron: str, after: str) -> str:
    return f"after {after}" if after else cron
