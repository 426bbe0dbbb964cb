"""Settings in Prefect, for runs of deployments, whose environment is not set at a terminal.

The Variable `champion_settings` holds a JSON object of settings, as {"holidays": "2026-01-26 2026-03-04"}. A Secret
block `champion-NAME`, as `champion-warehouse-dsn`, holds a secret setting. The environment of the worker overrides
both, and both override champion.toml.
"""

import os
from collections.abc import Mapping
from typing import Any

from champion.errors import UsageError
from champion.settings import Settings

VARIABLE = "champion_settings"
_PREFIX = "champion-"


def apply() -> None:
    """Put Prefect's settings into this process's environment, if it runs a deployment.

    Raises:
        UsageError: Prefect has a value for a name that is not a setting.
    """
    from prefect.runtime import deployment  # noqa: PLC0415 - its attributes are read from the current run

    if deployment.id is not None:
        os.environ.update(_stored())


def of_run(flow_run: Any) -> Settings:
    """Return the settings of a run, for hooks in the worker, whose environment must not change.

    Raises:
        UsageError: Prefect has a value for a name that is not a setting.
    """
    if flow_run.deployment_id is None:
        return Settings()
    values: dict[str, Any] = {name.removeprefix("CHAMPION_").lower(): value for name, value in _stored().items()}
    return Settings(**values)


def variables_to_set(variable: object, secrets: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the `CHAMPION_*` variables with Prefect's settings, without those that the environment has.

    >>> kept, secrets = {"notebook_timeout": 60}, {"champion-warehouse-dsn": "clickhouse://h"}
    >>> variables_to_set(kept, secrets, {"CHAMPION_ARCHIVE": "/a"})
    {'CHAMPION_NOTEBOOK_TIMEOUT': '60', 'CHAMPION_WAREHOUSE_DSN': 'clickhouse://h'}

    Raises:
        UsageError: the variable is not a JSON object, or a name is not a setting.
    """
    if not isinstance(variable, Mapping | None):
        raise UsageError(f"Prefect Variable {VARIABLE}: expected a JSON object of settings, found {variable!r}")
    values: dict[str, Any] = {name: value for name, value in (variable or {}).items() if value is not None}
    values |= {name.removeprefix(_PREFIX).replace("-", "_"): value for name, value in secrets.items()}
    allowed = set(Settings.model_fields) - {"home"}  # each machine has its own workspace folder
    if unknown := sorted(set(values) - allowed):
        names = ", ".join(sorted(allowed))
        raise UsageError(f"Prefect has {', '.join(unknown)}: no such setting; the settings are {names}")
    texts = {name: ",".join(map(str, v)) if isinstance(v, list | tuple) else str(v) for name, v in values.items()}
    variables = {f"CHAMPION_{name.upper()}": text for name, text in texts.items()}
    return {name: value for name, value in variables.items() if not environment.get(name)}


def _stored() -> dict[str, str]:
    """Return the `CHAMPION_*` variables with the settings stored in Prefect."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.variables import Variable  # noqa: PLC0415

    variable = Variable.get(VARIABLE)
    with get_client(sync_client=True) as client:
        blocks = client.read_block_documents_by_type("secret", include_secrets=True)
    named = [block for block in blocks if block.name and block.name.startswith(_PREFIX)]
    return variables_to_set(variable, {str(block.name): str(block.data["value"]) for block in named}, os.environ)
