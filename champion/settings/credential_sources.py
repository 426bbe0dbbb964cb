"""Send credentials only to addresses from the same source.

`champion.toml` is read in the current directory, which may come from anyone: unpacked, cloned, shared. An address in it
must not receive a password from the environment. So an address from `champion.toml` is refused if a credential from
elsewhere would be sent to it; credentials in `champion.toml` itself may be sent there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_PREFECT_ALWAYS = ("PREFECT_API_KEY", "PREFECT_CLIENT_CUSTOM_HEADERS")
_MLFLOW_LOGIN = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_MLFLOW_FILE = "~/.mlflow/credentials"
_MLFLOW_ALWAYS = ("MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_TRACKING_CLIENT_CERT_PATH")
_POSTGRESQL = "PGPASSWORD"


def conflicts(file: Mapping[str, Any], settled: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    """Return the problems with addresses of a `champion.toml`, one sentence each; empty if there is no problem.

    `file` holds its settings, `settled` those that stronger sources (arguments, `CHAMPION_*`) have set already: they
    override the file's.

    >>> conflicts({"prefect_api_url": "http://there/api"}, {}, {"PREFECT_API_AUTH_STRING": "asha:pw"})[0][:64]
    'champion.toml sets prefect_api_url, to which PREFECT_API_AUTH_ST'
    >>> conflicts({"prefect_api_url": "http://there/api", "prefect_login": "asha:pw"}, {}, {})
    []
    """
    decided = {name: value for name, value in file.items() if name not in settled}
    given = {name for name, value in environment.items() if value}
    if (Path(environment.get("HOME") or Path.home()) / ".mlflow" / "credentials").exists():
        given.add(_MLFLOW_FILE)
    found = {
        "prefect_api_url": _to_prefect(decided, settled, given),
        "tracking_uri": _to_store(decided.get("tracking_uri"), given),
        "prefect_database_url": _to_database(decided.get("prefect_database_url"), given),
        "task_runner": _to_scheduler(decided, settled),
    }
    return [_sentence(name, credentials) for name, credentials in found.items() if credentials]


def _to_prefect(decided: Mapping[str, Any], settled: Mapping[str, Any], given: set[str]) -> list[str]:
    if not decided.get("prefect_api_url"):
        return []
    if "prefect_login" in settled:
        return ["CHAMPION_PREFECT_LOGIN"]
    inherited = [] if decided.get("prefect_login") else ["PREFECT_API_AUTH_STRING"]
    return [name for name in (*inherited, *_PREFECT_ALWAYS) if name in given]


def _to_store(uri: Any, given: set[str]) -> list[str]:
    """Return the credentials that a tracking store would receive; a login in its URL replaces MLflow's credentials."""
    if not isinstance(uri, str) or urlsplit(uri).scheme not in {"http", "https"}:
        return _to_database(uri, given)
    inherited = () if _has_login(uri) else (*_MLFLOW_LOGIN, _MLFLOW_FILE)
    return [name for name in (*inherited, *_MLFLOW_ALWAYS) if name in given]


def _to_database(uri: Any, given: set[str]) -> list[str]:
    known = isinstance(uri, str) and urlsplit(uri).scheme.startswith("postgres") and not _has_login(uri)
    return [_POSTGRESQL] if known and _POSTGRESQL in given else []


def _to_scheduler(decided: Mapping[str, Any], settled: Mapping[str, Any]) -> list[str]:
    """Return the login that is sent with each task to a Dask scheduler, which also returns code."""
    runner = decided.get("task_runner")
    if not isinstance(runner, str) or urlsplit(runner).scheme not in {"tcp", "tls"}:
        return []
    if "prefect_login" in settled:
        return ["CHAMPION_PREFECT_LOGIN"]
    return [] if decided.get("prefect_login") else ["the workspace's own Prefect login"]


def _has_login(uri: str) -> bool:
    user_and_password, _, _ = urlsplit(uri).netloc.rpartition("@")
    return all(user_and_password.partition(":"))


def _sentence(name: str, credentials: list[str]) -> str:
    return (
        f"champion.toml sets {name}, to which {' and '.join(credentials)} from elsewhere would be sent: a file in the "
        f"current directory may not choose who receives a credential. Set CHAMPION_{name.upper()} in the environment, "
        "or write the credential into champion.toml as well"
    )
