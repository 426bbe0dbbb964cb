"""Settings kept in Prefect: for runs of deployments, whose environment nobody at a terminal sets.

The Variable `champion_settings` holds a JSON object of settings, as {"holidays": "2026-01-26 2026-03-04"}. A Secret
block `champion-NAME`, as `champion-warehouse-dsn`, holds one that nobody should read. The environment of the worker
wins over both, and both over champion.toml.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from champion.errors import UsageError
from champion.settings import Settings

VARIABLE = "champion_settings"
_PREFIX = "champion-"
_PLACE = "home"  # where the workspace is, the machine knows; two of them must not fight over it


def apply() -> list[str]:
    """Put what Prefect keeps into this process's environment, if it runs a deployment; return the settings taken.

    Raises:
        UsageError: Prefect keeps something that is no setting.
    """
    from prefect.runtime import deployment  # noqa: PLC0415 - it is asked about the run at hand

    if deployment.id is None:
        return []
    found = chosen(_variable(), _secrets(), os.environ)
    os.environ.update(found)
    return sorted(found)


def of_run(flow_run: Any) -> Settings:
    """Return the settings of a run from outside of it, as hooks run in the worker, whose environment stays as it is.

    Raises:
        UsageError: Prefect keeps something that is no setting.
    """
    if flow_run.deployment_id is None:
        return Settings()
    found = chosen(_variable(), _secrets(), os.environ)
    given: dict[str, Any] = {name.removeprefix("CHAMPION_").lower(): value for name, value in found.items()}
    return Settings(**given)


def chosen(variable: object, secrets: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the `CHAMPION_*` variables to set: what is kept, where the environment says nothing itself.

    >>> chosen({"notebook_timeout": 60}, {"champion-warehouse-dsn": "clickhouse://h"}, {"CHAMPION_ARCHIVE": "/a"})
    {'CHAMPION_NOTEBOOK_TIMEOUT': '60', 'CHAMPION_WAREHOUSE_DSN': 'clickhouse://h'}

    Raises:
        UsageError: the variable is no JSON object, or a name is no setting.
    """
    if variable is None:
        variable = {}
    if not isinstance(variable, Mapping):
        raise UsageError(f"Prefect Variable {VARIABLE}: expected a JSON object of settings, found {variable!r}")
    kept: dict[str, Any] = {name: value for name, value in variable.items() if value is not None}
    kept |= {name.removeprefix(_PREFIX).replace("-", "_"): value for name, value in secrets.items()}
    allowed = set(Settings.model_fields) - {_PLACE}
    if strangers := sorted(set(kept) - allowed):
        known = ", ".join(sorted(allowed))
        raise UsageError(f"Prefect keeps {', '.join(strangers)}: no such setting; there are {known}")
    texts = {name: ",".join(map(str, v)) if isinstance(v, list | tuple) else str(v) for name, v in kept.items()}
    named = {f"CHAMPION_{name.upper()}": text for name, text in texts.items()}
    return {name: value for name, value in named.items() if not environment.get(name)}


def _variable() -> object:
    from prefect.variables import Variable  # noqa: PLC0415

    return Variable.get(VARIABLE)


def _secrets() -> dict[str, str]:
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    with get_client(sync_client=True) as client:
        found = client.read_block_documents_by_type("secret", include_secrets=True)
    return {block.name: str(block.data["value"]) for block in found if block.name and block.name.startswith(_PREFIX)}
