"""The logins of a workspace's servers, made with them and kept for their owner alone; Prefect's may be a setting.

Without a login any user of the machine could start runs in the owner's name, or read and write what MLflow keeps.
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
"""The variable that Prefect's clients read a login from, and its command line."""
_BYTES = 24
_LONGEST = 1000  # bytes, of one that somebody wrote by hand
_FORM = re.compile(rb"[!-9;-~]+:[!-~]+")  # what any header and any shell can hold


def current_login(settings: Settings) -> str | None:
    """Return `user:password` of the server that this workspace uses, None where Champion knows none.

    That is a server elsewhere whose login is no setting, or one of the workspace that an older version started.

    Raises:
        ServiceError: the login of the workspace cannot be read, or is none.
    """
    if settings.prefect_login is not None:
        return settings.prefect_login.get_secret_value()
    return kept(settings) if settings.prefect_api_url is None else None


def ensure_login(settings: Settings) -> str:
    """Return what `known` does for a server about to be started, made and kept if there was none.

    For whoever holds the lock of that server.
    """
    return current_login(settings) or _make(path(settings))


def made_for_mlflow(settings: Settings) -> str:
    """Return `user:password` of the workspace's MLflow pages, made and kept if there was none.

    Raises:
        ServiceError: the file of the login cannot be read, or holds none.
    """
    where = mlflow_path(settings)
    return _read(where, "MLflow pages") or _make(where)


def kept_for_mlflow(settings: Settings) -> str | None:
    """Return the login of the workspace's MLflow pages, None where none was started yet.

    Raises:
        ServiceError: the file of the login cannot be read, or holds none.
    """
    return _read(mlflow_path(settings), "MLflow pages")


def pair(settings: Settings) -> tuple[str, str] | None:
    """Return user and password for a request to the server, None where it asks for none.

    Where Champion knows none, the variable of Prefect's own clients holds.

    >>> pair(Settings(home="/tmp/none", prefect_login="asha:pw:1"))
    ('asha', 'pw:1')
    """
    user, _, password = (current_login(settings) or os.environ.get(CLIENT, "")).partition(":")
    return (user, password) if user else None


def kept(settings: Settings) -> str | None:
    """Return the login in the workspace, None where no server was started with one."""
    return _read(path(settings), "Prefect server")


def place(settings: Settings) -> str | None:
    """Return where the login is to be found, for people: itself it belongs into no output. None where there is none.

    >>> place(Settings(home="/tmp/none", prefect_login="asha:pw"))
    'CHAMPION_PREFECT_LOGIN'
    """
    if settings.prefect_login is not None:
        return "CHAMPION_PREFECT_LOGIN"
    where = path(settings)
    return str(where.relative_to(settings.home)) if settings.prefect_api_url is None and where.exists() else None


def path(settings: Settings) -> Path:
    """Return the file that holds a login that was made."""
    return settings.prefect_home / "login"


def mlflow_path(settings: Settings) -> Path:
    """Return the file that holds the login of MLflow's pages."""
    return settings.home / "mlflow" / "login"


def _make(where: Path) -> str:
    login = f"champion:{secrets.token_hex(_BYTES)}"
    private_folder(where.parent)
    write_private(where, login.encode())
    for left in where.parent.glob(f".{where.name}.*.part"):
        left.unlink()  # of one that was killed
    return login


def _read(where: Path, server: str) -> str | None:
    try:
        with where.open("rb") as stream:
            found = stream.read(_LONGEST + 1).strip()
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise ServiceError(
            f"{where}: {error.strerror}. It is the login of this workspace's {server}, for its owner alone: work "
            "in a workspace of your own (CHAMPION_HOME), or agree on a login with the owner (CHAMPION_PREFECT_LOGIN)"
        ) from error
    except IsADirectoryError:
        found = b""
    if len(found) > _LONGEST or not _FORM.fullmatch(found):
        raise ServiceError(
            f"{where}: no login, which is one line, user:password. Run `champion stop`, remove it, and run this again: "
            "the next server makes a new one"
        )
    return found.decode()
