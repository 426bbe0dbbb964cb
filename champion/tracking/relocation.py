"""Update the locations in MLflow's SQLite store to the current folder of the workspace.

MLflow stores absolute locations of experiments, runs, logged models and model versions. After the workspace was moved,
copied or restored, MLflow would read and write in the former folder. All locations change in one transaction, before
anything else uses the store; after a crash, the next command starts again.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from champion.base import workspace_homes
from champion.errors import ServiceError

_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
_TRACES = ("trace_tags", "value", "mlflow.artifactLocation")
_HOME = "champion.home"
_BUSY_SECONDS = 120


def relocate(home: Path, root: str, database: Path) -> int:
    """Change the locations of the store that name a former home, and return their number.

    `root` is the artifact folder for experiments that were created without a location.

    Raises:
        ServiceError: the store cannot be read or written.
    """
    if not database.is_file():
        return 0
    try:
        with closing(sqlite3.connect(database, timeout=_BUSY_SECONDS, isolation_level=None)) as store:
            if next(_changes(store, home, root, database), None) is None:  # read without a lock
                return 0
            store.execute("begin immediate")
            changes = list(_changes(store, home, root, database))
            for table, column, row, value in changes:
                store.execute(f"update {table} set {column} = ? where rowid = ?", (value, row))  # noqa: S608 - names from above
            store.execute("commit")
    except sqlite3.Error as error:
        raise ServiceError(
            f"{database}: its locations could not be changed to {home} ({error}); stop the programs that use it, "
            "and run this again"
        ) from error
    if changes:
        message = "this workspace was used in another folder: %d locations in its MLflow store now point to %s"
        logging.getLogger("champion.tracking").warning(message, len(changes), home)
    return len(changes)


def is_due(home: Path, root: str, database: Path) -> bool:
    """Return whether `relocate` would change locations of the store.

    Raises:
        ServiceError: the store cannot be read.
    """
    if not database.is_file():
        return False
    with read_only(database) as store:
        return next(_changes(store, home, root, database), None) is not None


def outside(home: Path, database: Path) -> list[str]:
    """Return the local folders outside the workspace with artifacts of its store, sorted and without duplicates.

    Raises:
        ServiceError: the store cannot be read.
    """
    if not database.is_file() or not is_inside(home, database):
        return []
    folders = set[str]()
    with read_only(database) as store:
        for table, column in _LOCATIONS:
            paths = [workspace_homes.local(value) for _, value in _rows(store, table, column)]
            away = [path for path in paths if path is not None and not path.is_relative_to(home)]
            folders |= {str(path if table == "experiments" else path.parent) for path in away}
    return sorted(folders)


@contextmanager
def read_only(database: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection that cannot write.

    Raises:
        ServiceError: the database cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise ServiceError(f"{database} cannot be read ({error}): restore it from a backup") from error


def is_inside(home: Path, database: Path) -> bool:
    """Return whether a store is inside the workspace, so that no other workspace uses it."""
    return database.is_relative_to(home)


def _changes(store: sqlite3.Connection, home: Path, root: str, database: Path) -> Iterator[tuple[str, str, int, str]]:
    """Yield each value to change: table, column, row, new value."""
    inside = is_inside(home, database)
    recorded = workspace_homes.former(home)
    if not inside:  # others may use the store from the former folder while that exists
        recorded = [one for one in recorded if not Path(one).exists()]
    tagged = [value for _, value in _rows(store, "tags", "value", _HOME)] if inside else []
    from_tags = sorted(set(tagged) - {*recorded, str(home)})
    if recorded or from_tags:
        for table, column, *key in (*_LOCATIONS, _TRACES):
            for row, value in _rows(store, table, column, *key):
                if (now := _moved(value, recorded, from_tags, home)) != value:
                    yield table, column, row, now
        gone = [one for one in from_tags if not Path(one).exists()]
        for row, value in _rows(store, "tags", "value", _HOME):
            if value in {*recorded, *gone}:
                yield "tags", "value", row, str(home)
    # MLflow placed experiments without a location in a process's current directory; their files stay readable.
    for row, value in _rows(store, "experiments", "artifact_location") if inside else ():
        path = workspace_homes.local(value)
        relative = path is None and value.removeprefix("./").startswith("mlruns/")
        if relative or (path is not None and path.parent.name == "mlruns" and not path.is_relative_to(home)):
            yield "experiments", "artifact_location", row, f"{root}/{value.rpartition('/')[2]}"


def _moved(value: str, recorded: list[str], from_tags: list[str], home: Path) -> str:
    """Move a location below a recorded former home; below one that only runs name, only if its files are here."""
    now = workspace_homes.moved(value, recorded, home)
    if now == value and from_tags:
        then, tagged_location = workspace_homes.local(value), workspace_homes.moved(value, from_tags, home)
        here = workspace_homes.local(tagged_location)
        if then is not None and here is not None and (here.exists() or not then.exists()):
            return tagged_location
    return now


def _rows(store: sqlite3.Connection, table: str, column: str, key: str | None = None) -> Iterator[tuple[int, str]]:
    """Yield row and value of a column, in tag tables for one key; nothing if this MLflow has no such table."""
    if (table,) not in store.execute("select name from sqlite_master").fetchall():
        return
    condition = f"{column} is not null" + (" and key = ?" if key else "")
    yield from store.execute(f"select rowid, {column} from {table} where {condition}", (key,) if key else ()).fetchall()  # noqa: S608 - names from above
