"""Migrations: numbered SQL files, applied in order and never edited after their release.

Each statement of a file can run twice (`if not exists`, `or replace`). A file is recorded after its last statement, so
a file that a crash interrupted runs again.

A new warehouse gets there in fewer statements: it has no rows to move, and no use for a view that a later file
replaces before anything reads it.
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
_VIEW = re.compile(rf"^create (?:or replace )?view (?:if not exists )?({DATABASE}\.\w+)", re.MULTILINE)
_INSERT = re.compile(r"^insert into", re.MULTILINE)
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
        others = f"select count() from system.tables where database = '{DATABASE}' and name <> 'schema_migrations'"  # noqa: S608
        is_new = not client.command(others)
    todo = pending(client, folder)
    statements = [split(migration.text) for migration in todo]
    for migration, run in zip(todo, _needed(statements) if is_new else statements, strict=True):
        with refusals(f"migration {migration.number:04d}_{migration.name}"):
            for statement in run:
                client.command(statement)
            row = (migration.number, migration.name, migration.sha256.encode(), clock.now())
            client.insert(_LEDGER, [row], column_names=["number", "name", "sha256", "applied_at"])
    return todo


def _needed(files: list[list[str]]) -> list[list[str]]:
    """Return the statements of each file that a new warehouse needs.

    It has no rows to insert elsewhere. A view is left out if a later file replaces it and no statement in between names
    it. After a crash between two files the remaining ones run in full, and still find what they name.

    >>> view, insert = f"create or replace view {DATABASE}.a as select 1", f"insert into {DATABASE}.t select 1"
    >>> [len(file) for file in _needed([[view, insert], [insert], [view]])]
    [0, 0, 1]
    >>> [len(file) for file in _needed([[view], [f"create or replace view {DATABASE}.b as select * from a"], [view]])]
    [1, 1, 1]
    """
    kept = [[text for text in file if not _INSERT.search(text)] for file in files]
    later = [[text for texts in files[number:] for text in texts] for number in range(1, len(files) + 1)]
    return [
        [text for place, text in enumerate(file, start=1) if not _replaced_unread(text, [*file[place:], *after])]
        for file, after in zip(kept, later, strict=True)
    ]


def _replaced_unread(statement: str, later: list[str]) -> bool:
    """Return whether a statement defines a view, and the first of the later ones that names it defines it again."""
    if (view := _VIEW.search(statement)) is None:
        return False
    name = view[1].partition(".")[2]
    first = next((text for text in later if re.search(rf"\b{name}\b", text)), "")
    again = _VIEW.search(first)
    return again is not None and again[1] == view[1]
