"""MLflow and Prefect on PostgreSQL, by settings alone: a flow end to end, its record, a promotion."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import postgres_server
import pytest
from pydantic import SecretStr
from sklearn.linear_model import LogisticRegression

from champion.errors import UsageError
from champion.lake import Lake
from champion.services import prefect
from champion.settings import Settings
from champion.simulate import SimulatedArchive
from champion.tracking import promotion, registry, runs, store
from champion.tracking.promotion import Decision

pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),  # as in test_tracking
    pytest.mark.filterwarnings("ignore:.*deleted while still open:ResourceWarning"),  # MLflow leaves its engines open
]


@pytest.fixture(scope="module")
def server() -> Iterator[postgres_server.Server]:
    if reason := postgres_server.missing():
        pytest.skip(reason)
    with postgres_server.running() as running:
        running.create("mlflow")
        running.create("prefect")
        yield running
        gc.collect()  # MLflow's engines, while their warning is ignored


@pytest.fixture(scope="module")
def away(
    server: postgres_server.Server, archive: SimulatedArchive, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """A workspace whose books are kept in PostgreSQL."""
    return Settings(
        home=tmp_path_factory.mktemp("away") / "home",
        archive=str(archive.root),
        tracking_uri=server.url("mlflow"),
        prefect_database_url=server.url("prefect"),
    )


FLOW = """
import json, os, sys
from datetime import date
from champion.services import prefect
from champion.settings import Settings
os.environ |= prefect.environment(Settings(), prefect.ensure(Settings()))  # before prefect is imported
from flows import ranges, runners

if __name__ == "__main__":  # Dask's processes import this file
    flow = ranges.ingest_ranges.with_options(task_runner=runners.chosen(Settings()))
    done = flow(date(2024, 7, 9), date(2024, 7, 12), days=2)
    assert done == {"parts": 2, "sessions": 4}, done
"""


def test_workspaces_meet_on_a_fresh_database(away: Settings, server: postgres_server.Server, tmp_path: Path) -> None:
    prepare = (
        "import sys; from champion.settings import Settings; from champion.tracking import store; "
        "store.prepare(Settings(home=sys.argv[1], tracking_uri=sys.argv[2]))"
    )
    command = [sys.executable, "-c", prepare, str(tmp_path / "another"), away.tracking]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as other:
        store.prepare(away)
        _, said = other.communicate(timeout=120)
    assert other.returncode == 0, said[-2000:]
    assert server.rows("mlflow", "select count(*) from experiments") == [(1,)]


def test_a_flow_runs_end_to_end_and_is_recorded(away: Settings, server: postgres_server.Server, tmp_path: Path) -> None:
    """Where Dask is installed, its two parts run in two processes of a Dask cluster."""
    on_dask = find_spec("prefect_dask") is not None
    variables = {
        "CHAMPION_HOME": str(away.home),
        "CHAMPION_ARCHIVE": away.archive,
        "CHAMPION_TRACKING_URI": away.tracking,
        "CHAMPION_PREFECT_DATABASE_URL": server.url("prefect"),
        "CHAMPION_TASK_RUNNER": "dask" if on_dask else "threads",
    }
    script = tmp_path / "flow.py"
    script.write_text(FLOW)
    try:
        done = subprocess.run(
            [sys.executable, str(script)], env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )
    finally:
        prefect.stop(away)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(Lake(away.lake).sessions("normalized_equity_ohlc")) == 4, "the notebooks did their work"
    flows = "select flow.name, state_type::text from flow_run join flow on flow.id = flow_id"
    assert server.rows("prefect", flows) == [("ingest_ranges", "COMPLETED")]
    tasks = dict(server.rows("prefect", "select split_part(name, ' ', 1), count(*) from task_run group by 1"))
    assert (tasks["bring"], tasks["fetch"], tasks["notebook"]) == (2, 2, 2)
    assert server.rows("prefect", "select distinct state_type::text from task_run") == [("COMPLETED",)]
    recorded = runs.find_runs(away)
    assert [run.outcome for run in recorded] == ["succeeded"] * 3
    supervisors = {run.tags[runs.PID] for run in recorded if run.name == "ingest"}
    assert len(supervisors) == (2 if on_dask else 1), "each part has a process of its own"
    names = server.rows("mlflow", "select name, status from runs order by name")
    assert names[:2] == [("ingest", "FINISHED"), ("ingest", "FINISHED")], "the record is in PostgreSQL"
    assert [path for path in away.home.rglob("*.db") if path.is_file()] == [], "no SQLite beside it"


def test_no_password_is_left_in_the_workspace(away: Settings) -> None:
    texts = [path for path in away.home.rglob("*") if path.suffix in {".log", ".json", ".html", ".ipynb", ""}]
    leaking = [path for path in texts if path.is_file() and b"word%3A" in path.read_bytes()]
    assert leaking == []


def test_a_version_is_registered_promoted_and_found_again(away: Settings) -> None:
    inputs = pl.DataFrame({"rsi_14": [20.0, 40.0, 60.0, 80.0]})
    model = LogisticRegression().fit(inputs, [0, 0, 1, 1])
    run_id = runs.open_run(away, "training", "fit")
    version = registry.register(away, model, inputs, run_id=run_id, feature_version="v1")
    runs.close_run(away, run_id, "succeeded", {"rank_ic": 0.04})
    promotion.promote(away, version.number, Decision(promote=True, reasons=("better",)), reason="better")
    assert registry.alias_of(away, registry.CHAMPION) == version.number
    loaded = registry.load(away, registry.CHAMPION)
    assert loaded.version.number == version.number
    assert [entry.state for entry in promotion.history(away)] == ["pending", "done"]


def test_another_database_is_refused_by_name_and_without_its_password(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, prefect_database_url=SecretStr("mysql://me:hunter2@db/prefect"))
    with pytest.raises(UsageError, match="CHAMPION_PREFECT_DATABASE_URL is of 'mysql'") as caught:
        prefect.ensure(settings)
    assert "hunter2" not in str(caught.value)
