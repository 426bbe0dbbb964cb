"""MLflow and Prefect on PostgreSQL, by settings alone: a flow end to end, its record, a promotion."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
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
import os
from datetime import date
from champion.services import prefect
from champion.settings import Settings
os.environ |= prefect.environment(Settings(), prefect.ensure(Settings()))  # before prefect is imported
from prefect import flow
from champion.pipeline import fetch
from flows import steps

@flow(name="one_notebook")
def one_notebook(session: date) -> str:
    with steps.recorded("market-data-ingestion", f"ingest {session}", {"session": session}) as parent:
        assert steps.fetch(session, session) == []
        inputs = {"staging": fetch.digest(fetch.staged(Settings(), session, session))}
        dates = {"start": session.isoformat(), "end": session.isoformat()}
        return steps.notebook("ingest", dates, parent=parent, inputs=inputs).outcome.value

assert one_notebook(date(2024, 7, 9)) == "succeeded"
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


def test_a_flow_runs_end_to_end_and_is_recorded(away: Settings, server: postgres_server.Server) -> None:
    variables = {
        "CHAMPION_HOME": str(away.home),
        "CHAMPION_ARCHIVE": away.archive,
        "CHAMPION_TRACKING_URI": away.tracking,
        "CHAMPION_PREFECT_DATABASE_URL": server.url("prefect"),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-c", FLOW], env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )
    finally:
        prefect.stop(away)
    assert done.returncode == 0, done.stderr[-3000:]
    assert Lake(away.lake).sessions("normalized_equity_ohlc"), "the notebook did its work"
    assert server.rows(
        "prefect", "select flow.name, state_type::text from flow_run join flow on flow.id = flow_id"
    ) == [("one_notebook", "COMPLETED")]
    tasks = server.rows(
        "prefect", "select distinct split_part(name, ' ', 1), state_type::text from task_run order by 1"
    )
    assert tasks == [("fetch", "COMPLETED"), ("notebook", "COMPLETED")]
    recorded = {run.name: run for run in runs.find_runs(away)}
    assert {name: run.outcome for name, run in recorded.items()} == {
        "ingest": "succeeded",
        "ingest 2024-07-09": "succeeded",
    }
    assert sorted(server.rows("mlflow", "select name, status from runs")) == [
        ("ingest", "FINISHED"),
        ("ingest 2024-07-09", "FINISHED"),
    ], "the record is in PostgreSQL"
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
