"""Keep the key with which a workspace's Prefect server encrypts Secret blocks in a file, not in its database.

Prefect creates a key and stores it in the database together with the encrypted data, so whoever reads a copy of that
file reads the secrets. Here the key is a separate file (`prefect/encryption_key`, readable by the owner only). A key
that a server of an earlier version left in the database is moved there. A PostgreSQL database keeps Prefect's own key,
because servers of several machines may share it.
"""

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
_ROW = "ENCRYPTION_KEY"


def environment(settings: Settings) -> dict[str, str]:
    """Return the variable with the key for a server that is about to start; the caller holds that server's lock.

    Empty if the user has set a key, or if the database is PostgreSQL.

    Raises:
        ServiceError: the key file does not contain a key, or the database cannot be read.
    """
    if os.environ.get(VARIABLE) or settings.prefect_database_url is not None:
        return {}
    file, database = path(settings), settings.prefect_home / "prefect.db"
    known, old = _read_file(file), _read_database(database)
    if known is None:
        known = old or urlsafe_b64encode(os.urandom(32)).decode()
        write_private(file, known.encode())
    if old == known:  # another key stays, because it encrypted something since
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("pragma secure_delete = on")  # the key leaves the free pages and the log, too
            connection.execute("delete from configuration where key = ?", (_ROW,))
            connection.execute("pragma wal_checkpoint(truncate)")
    return {VARIABLE: known}


def path(settings: Settings) -> Path:
    """Return the file of the key."""
    return settings.prefect_home / "encryption_key"


def _read_file(file: Path) -> str | None:
    try:
        found = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(f"{file} cannot be read ({error}). It is the key of Prefect's Secret blocks") from error
    if not re.fullmatch(r"[A-Za-z0-9_-]{43}=", found):
        raise ServiceError(
            f"{file} is not a key of Prefect's Secret blocks. Restore it from a backup; or remove it, so that the next "
            "server creates a new key, and store the Secret blocks again"
        )
    return found


def _read_database(database: Path) -> str | None:
    if not database.exists():
        return None
    try:
        with closing(sqlite3.connect(database)) as connection:
            if not connection.execute("select 1 from sqlite_master where name = 'configuration'").fetchone():
                return None
            row = connection.execute("select value from configuration where key = ?", (_ROW,)).fetchone()
            return str(json.loads(row[0])["fernet_key"]) if row else None
    except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
        raise ServiceError(f"{database} cannot be read ({error}): restore it from a backup, or remove it") from error
