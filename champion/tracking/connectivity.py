"""Whether the tracking store answers, asked before MLflow is: MLflow itself tries for minutes."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from champion.base import file_modes
from champion.errors import ServiceError
from champion.tracking import store

if TYPE_CHECKING:
    from champion.settings import Settings

_PATIENCE = 5.0  # seconds: a busy SQLite file is free again long before
_PORTS = {"http": 80, "https": 443, "postgresql": 5432}


def unreachable(settings: Settings) -> str | None:
    """Return why the tracking store does not answer, or None where it does.

    A server is reachable when its port takes a connection, a SQLite file when it can be written.

    Raises:
        UsageError: the tracking URI is one that Champion does not take.
    """
    uri = store.checked(settings.tracking)
    parts = urlsplit(uri)
    try:
        if parts.scheme == "sqlite":
            _write_nothing(store.sqlite_file(uri))
        else:
            _connect(parts)
    except (OSError, sqlite3.Error) as error:
        return f"{store.without_password(uri)}: {error}"
    return None


def require(settings: Settings) -> None:
    """Do nothing where the tracking store answers.

    Raises:
        ServiceError: it does not.
    """
    reason = unreachable(settings)
    if reason is not None:
        raise ServiceError(f"MLflow does not answer ({reason}): start it, or set CHAMPION_TRACKING_URI right")


def _write_nothing(path: Path) -> None:
    file_modes.workspace_folder(path.parent)
    if not path.exists():
        return  # made on first use, with its tables
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
    try:
        connection.execute("begin immediate")  # of a file that may not be written it makes a reader, silently
        connection.execute("pragma user_version = 0")
        connection.execute("rollback")
    finally:
        connection.close()


def _connect(parts: SplitResult) -> None:
    port = parts.port or _PORTS.get(parts.scheme.partition("+")[0], 0)
    socket.create_connection((parts.hostname or "", port), timeout=_PATIENCE).close()
