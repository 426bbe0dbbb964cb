"""MLflow and Prefect on PostgreSQL, by settings only: a flow end to end, its record, a promotion."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import httpx
import polars as pl
import postgres_server
import psutil
import pytest
from pydantic import SecretStr
from sklearn.linear_model import LogisticRegression
from waiting import PATIENCE

from champion.errors import ModelError, ServiceError, UsageError
from champion.lake import Lake
from champion.pipeline.models import looks, recipes, trials
from champion.pipeline.operations import doctor
from champion.security import prefect_login
from champion.services import prefect
from champion.settings import Settings
from champion.simulate import SimulatedArchive
from champion.tracking import ledger_storage, promotion, promotion_ledger, registry, runs, standing, store
from champion.tracking.promotion import Decision
from champion.tracking.trials import ledger

LOGIN = "champion:Plant3d-login"
pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),  # as in test_tracking
    pytest.mark.filterwarnings("ignore:.*deleted while still open:ResourceWarning"),  # MLflow leaves its engines open
]


BETTER = Decision(promote=True, reasons=("better",))


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
    """A workspace with its databases in PostgreSQL."""
    return Settings(
        home=tmp_path_factory.mktemp("away") / "home",
        archive=str(archive.root),
        tracking_uri=server.url("mlflow"),
        prefect_database_url=server.url("prefect"),
        prefect_login=SecretStr(LOGIN),
    )


OLD = """
import os, sys
from champion.services import managed_process, prefect
from champion.settings import Settings
settings, port = Settings(), managed_process.port(None, "")
api = f"http://{managed_process.HOST}:{port}/api"
variables = {**os.environ, **prefect.environment(settings, api), "PREFECT_UI_API_URL": api}
variables["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = settings.prefect_database
settings.prefect_home.mkdir(mode=0o700, parents=True, exist_ok=True)
command = [sys.executable, "-m", "champion.base.gc_tuning", "prefect", "server", "start"]
command += ["--host", managed_process.HOST, "--port", str(port)]
server = managed_process.start(settings, prefect.NAME, command, variables, port)
managed_process.wait(settings, prefect.NAME, server, lambda: managed_process.answers(f"{api}/health"))
"""
"""A Prefect server started as versions before logins did."""

FLOW = """
import json, os, sys
from datetime import date
from champion.services import prefect
from champion.settings import Settings
os.environ |= prefect.environment(Settings(), prefect.ensure(Settings()))  # before prefect is imported
from flows import ranges, policy

if __name__ == "__main__":  # Dask's processes import this file
    flow = ranges.ingest_ranges.with_options(task_runner=policy.task_runner(Settings()))
    first, last, parts = sys.argv[1:]
    done = flow(date.fromisoformat(first), date.fromisoformat(last), days=2)
    assert done == {"parts": int(parts), "sessions": 2 * int(parts)}, done
"""

SETS = """
import os
from datetime import date
from champion.services import prefect
from champion.settings import Settings
from champion.tracking import runs
os.environ |= prefect.environment(Settings(), prefect.ensure(Settings()))  # before prefect is imported
from flows import feature_sets

if __name__ == "__main__":  # Dask's processes import this file
    parent = runs.open_run(Settings(), "feature-engineering", "feature sets on Dask")
    built = feature_sets.build_sets(("v1", "alpha158"), (date(2024, 8, 28), date(2024, 8, 30)), parent=parent)
    runs.close_run(Settings(), parent, "succeeded", {})
    assert {name: made["outcome"] for name, made in built.items()} == {"v1": "succeeded", "alpha158": "succeeded"}
"""


def test_workspaces_can_create_a_shared_database(
    away: Settings, server: postgres_server.Server, tmp_path: Path
) -> None:
    prepare = (
        "import sys; from champion.settings import Settings; from champion.tracking import store; "
        "store.prepare(Settings(home=sys.argv[1], tracking_uri=sys.argv[2]))"
    )
    command = [sys.executable, "-c", prepare, str(tmp_path / "another"), away.tracking]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as other:
        store.prepare(away)
        _, said = other.communicate(timeout=PATIENCE)
    assert other.returncode == 0, said[-2000:]
    assert server.rows("mlflow", "select count(*) from experiments") == [(1,)]


@pytest.fixture(scope="module")
def kept(away: Settings) -> Iterator[None]:
    """The workspace's Prefect server, which the first flow starts, until the module's end."""
    yield
    prefect.stop(away)


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("runner", "first", "last", "parts"),
    [("threads", "2024-07-09", "2024-07-10", 1), ("dask", "2024-07-15", "2024-07-18", 2)],
)
def test_a_flow_runs_end_to_end_and_is_recorded(
    away: Settings, server: postgres_server.Server, tmp_path: Path, runner: str, first: str, last: str, parts: int
) -> None:
    """On Dask the parts run in processes of a local cluster."""
    if runner == "dask" and find_spec("prefect_dask") is None:
        pytest.skip("prefect-dask is not installed: pip install 'champion[dask]'")
    variables = {
        "CHAMPION_HOME": str(away.home),
        "CHAMPION_ARCHIVE": away.archive,
        "CHAMPION_TRACKING_URI": away.tracking,
        "CHAMPION_PREFECT_DATABASE_URL": server.url("prefect"),
        "CHAMPION_PREFECT_LOGIN": LOGIN,
        "CHAMPION_TASK_RUNNER": runner,
    }
    script = tmp_path / "flow.py"
    script.write_text(FLOW)
    command = [sys.executable, str(script), first, last, str(parts)]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    assert len(Lake(away.lake).sessions("normalized_equity_ohlc", start, end)) == 2 * parts, "the notebooks did it"
    named = f"ingest {first} to {last} in parts of 2 days"
    states = server.rows("prefect", "select name, state_type::text from flow_run")
    assert dict(states)[named] == "COMPLETED"
    tasks = server.rows(
        "prefect",
        "select split_part(task_run.name, ' ', 1), task_run.state_type::text, count(*) from task_run "
        f"join flow_run on flow_run.id = flow_run_id where flow_run.name = '{named}' group by 1, 2",
    )
    assert {(name, "COMPLETED", parts) for name in ("bring", "fetch", "notebook")} <= set(tasks)
    recorded = {run.run_id: run for run in runs.find_runs(away)}
    parent = next(run for run in recorded.values() if run.name == f"ranges {first} to {last}")
    ours = [run for run in recorded.values() if run.tags.get("mlflow.parentRunId") == parent.run_id]
    assert [run.outcome for run in (parent, *ours)] == ["succeeded"] * (1 + parts)
    assert len({run.tags[runs.PID] for run in ours} - {parent.tags[runs.PID]}) == (parts if runner == "dask" else 0)
    assert (parent.run_id, "FINISHED") in server.rows("mlflow", "select run_uuid, status from runs")
    assert [path for path in away.home.rglob("*.db") if path.is_file()] == [], "no SQLite beside it"


def test_feature_sets_are_built_in_parallel_on_dask(
    away: Settings, known: Settings, server: postgres_server.Server, tmp_path: Path
) -> None:
    if find_spec("prefect_dask") is None:
        pytest.skip("prefect-dask is not installed: pip install 'champion[dask]'")
    made = away.model_copy(update={"home": tmp_path / "home", "prefect_login": None})
    shutil.copytree(known.lake, made.lake)
    variables = {
        "CHAMPION_HOME": str(made.home),
        "CHAMPION_TRACKING_URI": away.tracking,
        "CHAMPION_PREFECT_DATABASE_URL": server.url("prefect"),
        "CHAMPION_TASK_RUNNER": "dask",
    }
    script = tmp_path / "features.py"
    script.write_text(SETS)
    command = [sys.executable, str(script)]
    subprocess.run([sys.executable, "-c", OLD], env={**os.environ, **variables}, check=True)
    old = prefect.running(made)
    try:
        done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
        assert old is not None
        assert prefect.running(made) == old, "a server of an earlier version is used until it is stopped"
        assert not prefect_login.path(made).exists()
        (check,) = (one for one in doctor.examine(made) if one.name == "prefect")
        assert (check.state, check.remedy.split(";")[0]) == ("warning", "`champion stop`")
    finally:
        prefect.stop(made)
    assert done.returncode == 0, done.stderr[-3000:]
    recorded = runs.find_runs(made)
    parent = next(run for run in recorded if run.name == "feature sets on Dask")
    ours = [run for run in recorded if run.tags.get("mlflow.parentRunId") == parent.run_id]
    assert len({run.tags[runs.PID] for run in ours} - {parent.tags.get(runs.PID)}) == 2, "a worker each"
    lake = Lake(made.lake)
    for name in ("features_equity_indicators", "features_equity_alpha158"):
        built = lake.sessions(name)
        assert built == lake.sessions("normalized_equity_ohlc", date(2024, 8, 28))
        assert lake.verify(name) == []


def test_no_password_in_workspace_files_or_command_lines(away: Settings) -> None:
    assert prefect.running(away) is not None
    secrets = ("word%3A", LOGIN.partition(":")[2])
    files = [(path, path.read_bytes()) for path in away.home.rglob("*") if path.is_file()]
    assert [path for path, content in files if any(secret.encode() in content for secret in secrets)] == []
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert [line for line in lines if any(secret in line for secret in secrets)] == []


def test_prefect_server_requires_the_login(away: Settings) -> None:
    running = prefect.running(away)
    assert running is not None
    asked = f"{running.api}/flow_runs/count"
    assert httpx.post(asked, json={}).status_code == httpx.codes.UNAUTHORIZED
    assert httpx.post(asked, json={}, auth=("champion", "guessed")).status_code == httpx.codes.UNAUTHORIZED
    assert httpx.post(asked, json={}, auth=prefect_login.pair(away)).json() > 0
    assert not prefect_login.path(away).exists(), "the setting needs no file"
    guessed = away.model_copy(update={"prefect_login": SecretStr("champion:guessed")})
    with pytest.raises(ServiceError, match="another login than that of CHAMPION_PREFECT_LOGIN: `champion stop`"):
        prefect.ensure(guessed)
    assert prefect.ensure(away.model_copy(update={"prefect_api_url": running.api})) == running.api, "as elsewhere"
    with pytest.raises(ServiceError, match="requires another login than that of CHAMPION_PREFECT_LOGIN"):
        prefect.ensure(guessed.model_copy(update={"prefect_api_url": running.api}))


def test_version_is_registered_promoted_and_found(away: Settings) -> None:
    inputs = pl.DataFrame({"rsi_14": [20.0, 40.0, 60.0, 80.0]})
    model = LogisticRegression().fit(inputs, [0, 0, 1, 1])
    run_id = runs.open_run(away, "training", "fit")
    version = registry.register(away, model, inputs, run_id=run_id, feature_version="v1")
    runs.close_run(away, run_id, "succeeded", {"rank_ic": 0.04})
    promotion.promote(away, version.number, BETTER, reason="better")
    assert registry.alias_of(away, registry.CHAMPION) == version.number
    loaded = registry.load(away, registry.CHAMPION)
    assert loaded.version.number == version.number
    assert [entry.state for entry in promotion.history(away)] == ["pending", "done"]


@pytest.fixture(scope="module")
def machines(server: postgres_server.Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Settings]:
    """Two workspaces that share only a registry of four versions, as on two machines."""
    server.create("shared")
    here, there = (Settings(home=tmp_path_factory.mktemp(name), tracking_uri=server.url("shared")) for name in "ab")
    inputs = pl.DataFrame({"rsi_14": [20.0, 40.0, 60.0, 80.0]})
    model = LogisticRegression().fit(inputs, [0, 0, 1, 1])
    run_id = runs.open_run(here, "training", "fit")
    for _ in range(4):
        registry.register(here, model, inputs, run_id=run_id, feature_version="v1")
    runs.close_run(here, run_id, "succeeded")
    return here, there


def test_ledger_file_moves_to_the_registry(machines: tuple[Settings, Settings]) -> None:
    here, _ = machines
    began = datetime(2024, 1, 10, tzinfo=UTC)
    entry = replace(promotion_ledger.draft([], "promote", 1, "long ago"), at=began, effective=began, state="done")
    promotion_ledger.append(ledger_storage.local(here), entry, [])
    assert promotion.history(here) == []
    with pytest.raises(ModelError, match="nothing to roll back to"):
        promotion.rollback(here, reason="its champion is not the registry's, so nothing is taken over")
    assert promotion.history(here) == []
    registry.point(here, registry.CHAMPION, 1)
    with pytest.raises(ModelError, match="champion already"):
        promotion.promote(here, 1, BETTER, reason="again")
    assert [replace(one, reasons=()) for one in promotion.history(here)] == [entry]


def test_concurrent_promotions_of_two_machines_keep_one_ledger(machines: tuple[Settings, Settings]) -> None:
    here, there = machines
    begin = threading.Barrier(2)

    def promote(settings: Settings, numbers: tuple[int, ...]) -> None:
        begin.wait()
        for number in numbers:
            promotion.promote(settings, number, BETTER, reason="test")

    with ThreadPoolExecutor() as pool:
        both = [pool.submit(promote, *given) for given in ((here, (2, 4)), (there, (3, 1)))]
        assert [one.result() for one in both] == [None, None]
    held = promotion.history(there)
    assert promotion.history(here) == held
    done = [entry for entry in held if entry.state == "done"][-4:]
    assert sorted(entry.version for entry in done) == [1, 2, 3, 4]
    assert [entry.previous for entry in done[1:]] == [entry.version for entry in done[:-1]]
    assert [entry.state for entry in held[-8:]] == ["pending", "done"] * 4
    assert standing.disagreement(here) is None
    today = done[-1].at.date() + timedelta(days=1)
    assert [promotion.champion_on(machine, today) for machine in machines] == [done[-1]] * 2
    assert not ledger_storage.local(there).path.exists()


def test_stalled_machine_does_not_overwrite_a_finished_promotion(machines: tuple[Settings, Settings]) -> None:
    here, there = machines
    entries = promotion.history(here)
    first, second = [number for number in (1, 2, 3) if number != entries[-1].version][:2]
    drafted = promotion_ledger.draft(entries, "promote", first, "and then it stalled")
    begun = promotion_ledger.append(ledger_storage.of(here), drafted, entries)
    promotion.promote(there, second, BETTER, reason="the other machine goes on")
    ended = promotion.carry_out(here, begun, [*entries, begun])  # only now its alias moves
    assert (ended.state, ended.version) == ("done", first)
    assert registry.alias_of(here, registry.CHAMPION) == second
    assert standing.disagreement(here) is None
    assert [entry.version for entry in promotion.history(here)[-4:]] == [first, first, second, second]


def test_two_machines_recording_trials_concurrently_keep_one_ledger(machines: tuple[Settings, Settings]) -> None:
    begin, first = threading.Barrier(2), date(2024, 1, 1)
    days = pl.Series("trade_date", [first + timedelta(day) for day in range(30)])

    def record(settings: Settings, numbers: tuple[int, ...]) -> None:
        begin.wait()
        for number in numbers:
            recipe = recipes.of_factor("v1", f"input_{number}", universe="all", horizon=5, lag=1)
            active = pl.DataFrame({"trade_date": days, "active": [number / 1000 + day / 1e4 for day in range(30)]})
            scores = active.select("trade_date", instrument_id=pl.lit("NSE:A"), score="active")
            begun = looks.begin(settings, recipe, window=(days[0], days[-1]), data={}, source="tear sheet", run="none")
            begun.complete(scores, active)

    with ThreadPoolExecutor() as pool:  # 3 and 4 are recorded by both
        both = [pool.submit(record, *given) for given in zip(machines, ((1, 2, 3, 4), (6, 5, 4, 3)), strict=True)]
        assert [one.result() for one in both] == [None, None]
    here, there = machines
    lines = ledger.read(here)
    assert ledger.read(there) == lines
    looked = [one.id for one in lines if one.source == "tear sheet" and one.kind == "look"]
    assert len(looked) == len(set(looked)) == 6
    results = [one.id for one in lines if one.source == "tear sheet" and one.kind == "result"]
    assert sorted(results) == sorted(looked), "one result each"
    assert trials.count(here) == trials.count(there)
    held = [trials.matrix(machine) for machine in machines]
    assert held[0].shape == (30, 1 + 6)
    assert held[0].equals(held[1]), "each machine has the series of both"
    assert not ledger_storage.local(there, ledger_storage.TRIALS).path.exists()
    store.prepare(here).delete_model_version(ledger_storage.RegistryStorage(here, ledger_storage.TRIALS).name, "3")
    with pytest.raises(ModelError, match="some were deleted; restore a backup"):
        trials.count(there)


def test_other_databases_are_refused_without_quoting_the_password(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, prefect_database_url=SecretStr("mysql://me:hunter2@db/prefect"))
    with pytest.raises(UsageError, match="CHAMPION_PREFECT_DATABASE_URL is of 'mysql'") as caught:
        prefect.ensure(settings)
    assert "hunter2" not in str(caught.value)
