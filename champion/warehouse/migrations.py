"""Migrations: numbered SQL files, applied in order and never edited after their release.

Each statement of a file can run twice (`if not exists`, `or replace`). A file is recorded after its last statement, so
a file that a crash interrupted runs again.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from champion import contracts
from champion.base import clock, package_data
from champion.errors import WarehouseError
from champion.warehouse.engine.database import DATABASE, Executor, enter_database, refusals
from champion.warehouse.engine.statements import split

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_TABLE = re.compile(rf"^create table if not exists {DATABASE}\.(\w+)", re.MULTILINE)
_LEDGER = f"{DATABASE}.schema_migrations"
_BOOTSTRAP = (
    f"create database if not exists {DATABASE} engine = Atomic",
    f"""create table if not exists {_LEDGER}
        (number UInt16, name String, sha256 FixedString(64), applied_at DateTime64(3, 'UTC'))
        engine = ReplacingMergeTree order by number""",
)


@dataclass(frozen=True, slots=True)
class Migration:
    """A file in `sql/migrations/`."""

    number: int
    name: str
    sha256: str
    text: str


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration that the warehouse has recorded."""

    number: int
    name: str
    sha256: str
    applied_at: datetime


def shipped(folder: Path | None = None) -> list[Migration]:
    """Return the migrations of this version of Champion, in order.

    Raises:
        WarehouseError: a file is misnamed, or numbers are repeated or missing.

    >>> shipped()[0].number
    1
    """
    folder = folder or package_data.folder("sql") / "migrations"
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise WarehouseError(f"{path}: a migration is named NNNN_what_it_does.sql")
        content = path.read_bytes()
        found.append(Migration(int(match[1]), match[2], hashlib.sha256(content).hexdigest(), content.decode()))
    numbers = [migration.number for migration in found]
    if numbers != list(range(1, len(found) + 1)):
        raise WarehouseError(f"{folder}: migrations are numbered {numbers}; expected 1 to {len(found)} without gaps")
    return found


def datasets(folder: Path | None = None) -> tuple[str, ...]:
    """Return the datasets that the warehouse has a table for: the contracts whose table a migration creates.

    >>> datasets()[:2]
    ('raw_equity_ohlc', 'normalized_equity_ohlc')
    """
    known = contracts.names()
    return tuple(name for migration in shipped(folder) for name in _TABLE.findall(migration.text) if name in known)


def applied(client: Executor) -> list[Applied]:
    """Return the migrations that the warehouse has recorded, in order; none before the warehouse exists."""
    with refusals("reading the migrations of the warehouse"):
        if not client.command(f"exists table {_LEDGER}"):
            return []
        text = f"select number, name, toString(sha256), applied_at from {_LEDGER} final order by number"  # noqa: S608
        return [Applied(*row) for row in client.query(text).result_rows]


def pending(client: Executor, folder: Path | None = None) -> list[Migration]:
    """Return the migrations that are not applied yet, in order.

    Raises:
        WarehouseError: a file changed after it was applied, or the warehouse is newer than this code.
    """
    files = {migration.number: migration for migration in shipped(folder)}
    for had in applied(client):
        migration = files.pop(had.number, None)
        if migration is None:
            raise WarehouseError(
                f"the warehouse has migration {had.number:04d}_{had.name}, which this code does not know; "
                "use the version of Champion that applied it, or a later one"
            )
        if migration.sha256 != had.sha256:
            raise WarehouseError(
                f"migration {had.number:04d}_{had.name} changed after it was applied on {had.applied_at:%Y-%m-%d}; "
                "restore the file and put the change into a new migration"
            )
    return list(files.values())


def migrate(client: Executor, folder: Path | None = None) -> list[Migration]:
    """Apply the pending migrations and return them.

    Raises:
        WarehouseError: as `pending`, or ClickHouse refused a statement; correct the cause and run it again.
    """
    with refusals("creating the warehouse"):
        for statement in _BOOTSTRAP:
            client.command(statement)
        enter_database(client)
    todo = pending(client, folder)
    for migration in todo:
        with refusals(f"migration {migration.number:04d}_{migration.name}"):
            for statement in split(migration.text):
                client.command(statement)
            row = (migration.number, migration.name, migration.sha256.encode(), clock.now())
            client.insert(_LEDGER, [row], column_names=["number", "name", "sha256", "applied_at"])
    return todo
