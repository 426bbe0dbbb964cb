"""The workspace's own SQLite databases: is each there, whole, and one that holds what it should?"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from champion.contracts.datasets import PREDICTIONS
from champion.lake import Lake
from champion.settings import Settings

_BUSY_SECONDS = 60


def damage(path: Path, table: str) -> str | None:
    """Return what is wrong with a database that should have `table`; None where it is whole.

    SQLite takes an empty file for an empty database, so a table is asked for.
    """
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as database:
            found = str(database.execute("pragma quick_check(1)").fetchone()[0])
            query = "select 1 from sqlite_master where type = 'table' and name = ?"
            if found == "ok" and not database.execute(query, (table,)).fetchone():
                found = f"it has no table {table}"
    except sqlite3.Error as error:
        found = str(error)
    return None if found == "ok" else found


def tracking_problem(settings: Settings) -> str | None:
    """Return what is wrong with MLflow's store in the workspace; None where it is whole, or was never made."""
    path = settings.home / "mlflow" / "mlflow.db"
    if path.exists():
        wrong = damage(path, "runs")
        return wrong and f"{path} is damaged: {wrong}"
    traces = [one for one in (path.with_name("prepared"), settings.home / "promotions.jsonl") if one.exists()]
    if traces:
        return f"{path} is gone, {traces[0]} is not"
    scored = Lake(settings.lake).sessions(PREDICTIONS)[-1:]
    return f"{path} is gone, and the lake has scores of {scored[0]}, which a model of it made" if scored else None


def prefect_problem(settings: Settings) -> str | None:
    """Return what is wrong with Prefect's store in the workspace; None where it is whole, or was never made."""
    path = settings.prefect_home / "prefect.db"
    if path.exists():
        wrong = damage(path, "flow_run")
        return wrong and f"{path} is damaged: {wrong}"
    if any((settings.prefect_home / name).exists() for name in ("login", "encryption_key")):
        return f"{path} is gone, the login or key of its server is not"
    if _has_flow_runs(settings):
        return f"{path} is gone, and MLflow has runs of flows"
    return None


def _has_flow_runs(settings: Settings) -> bool:
    path = settings.home / "mlflow" / "mlflow.db"
    if settings.tracking_uri is not None or not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as database:
            found = database.execute("select 1 from tags where key = 'prefect.flow_run_id' limit 1").fetchone()
    except sqlite3.Error:
        return False  # the check of MLflow's store says why
    return found is not None
