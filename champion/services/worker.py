"""Run scheduled flows: a Prefect worker on the workspace's pool, with a process for each run."""

import os

import httpx

from champion.base import isolation
from champion.security import prefect_login
from champion.services import managed_process, prefect
from champion.services.managed_process import Server
from champion.settings import Settings

NAME = "worker"


def start(settings: Settings, api: str) -> Server:
    """Start the worker and return it; it takes work from every queue once it is online."""
    command = isolation.command("prefect", "worker", "start", "--type", "process")
    command += ["--pool", settings.work_pool, "--name", _name(settings), "--install-policy", "never"]
    variables = {**os.environ, **prefect.environment(settings, api), "CHAMPION_HOME": str(settings.home)}
    return managed_process.start(settings, NAME, command, variables)


def online(settings: Settings, api: str) -> bool:
    """Return whether the server receives heartbeats of the worker."""
    try:
        answer = httpx.post(
            f"{api}/work_pools/{settings.work_pool}/workers/filter",
            json={"workers": {"status": {"any_": ["ONLINE"]}}},
            timeout=5,
            auth=prefect_login.pair(settings),
            trust_env=not managed_process.is_local(api),
        )
        return answer.is_success and any(worker["name"] == _name(settings) for worker in answer.json())
    except httpx.HTTPError:
        return False


def _name(settings: Settings) -> str:
    return f"champion {settings.home.name}"
