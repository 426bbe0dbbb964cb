"""Create and read the logins of a workspace's servers, which only the owner can read; Prefect's may be a setting.

Without a login any user of the machine could start runs in the owner's name, or read and change MLflow's data.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from champion.base.atomic_files import write_private
from champion.base.file_modes import private_folder
from champion.errors import ServiceError
from champion.settings import Settings

CLIENT = "PREFECT_API_AUTH_STRING"
"""The variable from which Prefect's clients and its command line read a login."""
_LONGEST = 1000  # bytes, of a login written by hand
_PATTERN = re.compile(rb"[!-9;-~]+:[!-~]+")  # safe in any header and any shell


def current_login(settings: Settings) -> str | None:
    """Return `user:password` of the server that this workspace uses, None if Champion knows no login.

    It is None for a remote server whose login is not in the settings, and for a server of this workspace that an older
    version started.

    Raises:
        ServiceError: the workspace's login file cannot be read, or does not contain a login.
    """
    if settings.prefect_login is not None:
        return settings.prefect_login.get_secret_value()
    return stored_login(settings) if settings.prefect_api_url is None else None


def ensure_login(settings: Settings) -> str:
    """Return the login of a server that is about to start; create it if there is none.

    The caller holds the lock of that server.
    """
    return current_login(settings) or _create(path(settings))


def ensure_mlflow_login(settings: Settings) -> str:
    """Return `user:password` of the workspace's MLflow pages; create it if there is none.

    Raises:
        ServiceError: the login file cannot be read, or does not contain a login.
    """
    where = mlflow_path(settings)
    return _read(where, "MLflow pages") or _create(where)


def stored_mlflow_login(settings: Settings) -> str | None:
    """Return the login of the workspace's MLflow pages, None if they were never started.

    Raises:
        ServiceError: the login file cannot be read, or does not contain a login.
    """
    return _read(mlflow_path(settings), "MLflow pages")


def pair(settings: Settings) -> tuple[str, str] | None:
    """Return user and password for a request to the server, None if it needs no login.

    Without a login of the workspace, the variable of Prefect's own clients applies.

    >>> pair(Settings(home="/tmp/none", prefect_login="asha:pw:1"))
    ('asha', 'pw:1')
    """
    user, _, password = (current_login(settings) or os.environ.get(CLIENT, "")).partition(":")
    return (user, password) if user else None


def stored_login(settings: Settings) -> str | None:
    """Return the login stored in the workspace, None if no server was started with a login."""
    return _read(path(settings), "Prefect server")


def place(settings: Settings) -> str | None:
    """Return the place of the login, to show to users, who must never see the login itself. None if there is none.

    >>> place(Settings(home="/tmp/none", prefect_login="asha:pw"))
    'CHAMPION_PREFECT_LOGIN'
    """
    if settings.prefect_login is not None:
        return "CHAMPION_PREFECT_LOGIN"
    where = path(settings)
    return str(where.relative_to(settings.home)) if settings.prefect_api_url is None and where.exists() else None


def path(settings: Settings) -> Path:
    """Return the file of the Prefect server's login."""
    return settings.prefect_home / "login"


def mlflow_path(settings: Settings) -> Path:
    """Return the file of the MLflow pages' login."""
    return settings.home / "mlflow" / "login"


def _create(where: Path) -> str:
    login = f"champion:{secrets.token_hex(24)}"
    private_folder(where.parent)
    write_private(where, login.encode())
    for left in where.parent.glob(f".{where.name}.*.part"):
        left.unlink()  # of a killed process
    return login


def _read(where: Path, server: str) -> str | None:
    try:
        with where.open("rb") as stream:
            found = stream.read(_LONGEST + 1).strip()
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise ServiceError(
            f"{where}: {error.strerror}. It holds the login of this workspace's {server}, for its owner only: work "
            "in a workspace of your own (CHAMPION_HOME), or agree on a login with the owner (CHAMPION_PREFECT_LOGIN)"
        ) from error
    except IsADirectoryError:
        found = b""
    if len(found) > _LONGEST or not _PATTERN.fullmatch(found):
        raise ServiceError(
            f"{where} does not contain a login, one line with user:password. Run `champion stop`, remove the file, and "
            "run this again: the next server creates a new login"
        )
    return found.decode()
