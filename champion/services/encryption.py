"""The key that a workspace's Prefect server encrypts Secret blocks with: beside its login, not in its database.

Prefect makes a key and keeps it in the database that holds what it encrypts, so whoever reads a copy of that file reads
the secrets. Here the key is a file of its own (`prefect/encryption_key`, for its owner alone). One that a server of an
earlier version left in the database is moved there. A PostgreSQL database keeps Prefect's own key: servers of several
machines may share it.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from base64 import urlsafe_b64encode
from contextlib import closing
from pathlib import Path

from champion.base.atomic_files import write_private
from champion.errors import ServiceError
from champion.settings import Settings

VARIABLE = "PREFECT_SERVER_ENCRYPTION_KEY"
_FORM = re.compile(r"[A-Za-z0-9_-]{43}=")
_BYTES = 32
_ROW = "ENCRYPTION_KEY"


def environment(settings: Settings) -> dict[str, str]:
    """Return the variable that hands the key to a server about to be started; for whoever holds that server's lock.

    Nothing where the person has set a key, or where the database is PostgreSQL.

    Raises:
        ServiceError: the file of the key holds none, or the database cannot be read.
    """
    if os.environ.get(VARIABLE) or settings.prefect_database_url is not None:
        return {}
    return {VARIABLE: _key(settings)}


def path(settings: Settings) -> Path:
    """Return the file that holds the key."""
    return settings.prefect_home / "encryption_key"


def _key(settings: Settings) -> str:
    file, database = path(settings), settings.prefect_home / "prefect.db"
    known, left = _kept(file), _in_database(database)
    if known is None:
        known = left or urlsafe_b64encode(os.urandom(_BYTES)).decode()
        write_private(file, known.encode())
    if left == known:  # another one encrypted something since: it stays, so that nothing is lost
        _remove(database)
    return known


def _kept(file: Path) -> str | None:
    try:
        found = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(f"{file}: cannot be read ({error}). It is the key of Prefect's Secret blocks") from error
    if not _FORM.fullmatch(found):
        raise ServiceError(
            f"{file}: not a key of Prefect's Secret blocks. Bring it back from a backup; or remove it, the next server "
            "makes a new one, and store the Secret blocks again"
        )
    return found


def _in_database(database: Path) -> str | None:
    if not database.exists():
        return None
    try:
        with closing(sqlite3.connect(database)) as connection:
            if not connection.execute("select 1 from sqlite_master where name = 'configuration'").fetchone():
                return None
            row = connection.execute("select value from configuration where key = ?", (_ROW,)).fetchone()
            return str(json.loads(row[0])["fernet_key"]) if row else None
    except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
        raise ServiceError(
            f"{database}: cannot be read ({error}): bring it back from a backup, or remove it"
        ) from error


def _remove(database: Path) -> None:
    """Delete the key from the database, its free pages and its log."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("pragma secure_delete = on")
        connection.execute("delete from configuration where key = ?", (_ROW,))
        connection.execute("pragma wal_checkpoint(truncate)")
