"""Check that the tracking store answers before MLflow is used, which would retry for minutes."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from champion.base import file_modes
from champion.errors import ServiceError
from champion.tracking import store

if TYPE_CHECKING:
    from champion.settings import Settings

_PATIENCE = 5.0  # seconds: enough for a busy SQLite file
_PORTS = {"http": 80, "https": 443, "postgresql": 5432}


def unreachable(settings: Settings) -> str | None:
    """Return why the tracking store does not answer, or None if it does.

    A server is reachable if its port accepts a connection, a SQLite file if it can be written.

    Raises:
        UsageError: the tracking URI is not supported.
    """
    uri = store.checked(settings.tracking)
    parts = urlsplit(uri)
    try:
        if store.is_sqlite(uri):
            file = store.sqlite_file(uri)
            file_modes.workspace_folder(file.parent)
            if file.exists():  # otherwise it is created on first use
                with closing(sqlite3.connect(file, timeout=_PATIENCE, isolation_level=None)) as connection:
                    connection.execute("begin immediate")  # SQLite opens a read-only file without an error
                    connection.execute("pragma user_version = 0")
                    connection.execute("rollback")
        else:
            port = parts.port or _PORTS.get(parts.scheme.partition("+")[0], 0)
            socket.create_connection((parts.hostname or "", port), timeout=_PATIENCE).close()
    except (OSError, sqlite3.Error) as error:
        return f"{store.without_password(uri)}: {error}"
    return None


def require(settings: Settings) -> None:
    """Raise unless the tracking store answers.

    Raises:
        ServiceError: it does not answer.
    """
    if reason := unreachable(settings):
        raise ServiceError(f"MLflow does not answer ({reason}): start it, or correct CHAMPION_TRACKING_URI")
