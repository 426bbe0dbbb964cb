"""Check that the workspace's SQLite databases exist, are intact, and have their tables."""

import sqlite3
from contextlib import closing
from pathlib import Path

from champion.contracts.datasets import PREDICTIONS
from champion.lake import Lake
from champion.settings import Settings

_BUSY_SECONDS = 60


def read_only(path: Path) -> closing[sqlite3.Connection]:
    """Return a connection that cannot change the database, and that ends with a `with` block."""
    return closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS))


def damage(path: Path, table: str) -> str | None:
    """Return what is wrong with a database that should have `table`; None if it is intact.

    SQLite opens an empty file as an empty database, so the table is checked too.
    """
    try:
        with read_only(path) as database:
            result = str(database.execute("pragma quick_check(1)").fetchone()[0])
            query = "select 1 from sqlite_master where type = 'table' and name = ?"
            if result == "ok" and not database.execute(query, (table,)).fetchone():
                result = f"it has no table {table}"
    except sqlite3.Error as error:
        result = str(error)
    return None if result == "ok" else result


def tracking_problem(settings: Settings) -> str | None:
    """Return what is wrong with MLflow's store in the workspace; None if it is intact or was never created."""
    if (path := settings.mlflow_database).exists():
        wrong = damage(path, "runs")
        return wrong and f"{path} is damaged: {wrong}"
    if traces := [one for one in (path.with_name("prepared"), settings.home / "promotions.jsonl") if one.exists()]:
        return f"{path} is gone, {traces[0]} is not"
    scored = Lake(settings.lake).sessions(PREDICTIONS)[-1:]
    return f"{path} is gone, and the lake has scores of {scored[0]} by one of its models" if scored else None


def prefect_problem(settings: Settings) -> str | None:
    """Return what is wrong with Prefect's store in the workspace; None if it is intact or was never created."""
    if (path := settings.prefect_home / "prefect.db").exists():
        wrong = damage(path, "flow_run")
        return wrong and f"{path} is damaged: {wrong}"
    if any((settings.prefect_home / name).exists() for name in ("login", "encryption_key")):
        return f"{path} is gone, the login or key of its server is not"
    if _has_flow_runs(settings):
        return f"{path} is gone, and MLflow has runs of flows"
    return None


def _has_flow_runs(settings: Settings) -> bool:
    if settings.tracking_uri is not None or not (path := settings.mlflow_database).exists():
        return False
    try:
        with read_only(path) as database:
            row = database.execute("select 1 from tags where key = 'prefect.flow_run_id' limit 1").fetchone()
    except sqlite3.Error:
        return False  # the check of MLflow's store reports it
    return row is not None
