"""Runs, registry and promotions on a real MLflow store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib import metadata
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from champion.errors import ModelError, PromotionRefused, ServiceError, UsageError
from champion.settings import Settings
from champion.tracking import ledger, promotion, registry, runs, store
from champion.tracking.promotion import Decision

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

YES = Decision(promote=True, reasons=("it is better",))
NO = Decision(promote=False, reasons=("it is worse",))


def frame(rows: int = 120) -> pl.DataFrame:
    random = np.random.default_rng(7)
    return pl.DataFrame({"rsi_14": random.normal(size=rows), "obv": random.integers(0, 9, rows)})


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with three registered versions."""
    settings = Settings(home=tmp_path_factory.mktemp("shared"))
    inputs = frame()
    run_id = runs.open_run(settings, "training", "fit")
    labels = (inputs["rsi_14"] > 0).to_numpy()
    for rounds in (2, 3, 4):
        model = make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=rounds)).fit(inputs, labels)
        registry.register(settings, model, inputs, run_id=run_id, feature_version="v1", tags={"rounds": str(rounds)})
    runs.close_run(settings, run_id, "succeeded")
    return settings


@pytest.fixture
def workspace(shared: Settings, tmp_path: Path) -> Settings:
    """An empty promotion ledger on the shared registry, which has no champion."""
    if registry.alias_of(shared, registry.CHAMPION) is not None:
        store.prepare(shared).delete_registered_model_alias(registry.MODEL, registry.CHAMPION)
    return Settings(home=tmp_path, tracking_uri=shared.tracking)


def test_two_processes_may_meet_on_a_fresh_store(tmp_path: Path) -> None:
    code = (
        "import sys; from champion.settings import Settings; from champion.tracking import runs; "
        "s = Settings(home=sys.argv[1]); runs.close_run(s, runs.open_run(s, 'e', 'r'), 'succeeded')"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    both = [subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [run.status for run in runs.find_runs(Settings(home=tmp_path), ["e"])] == ["FINISHED", "FINISHED"]


def test_a_store_that_was_there_and_is_gone_is_no_empty_store(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    marker = tmp_path / "mlflow" / "prepared"
    marker.parent.mkdir()
    marker.write_text(f"{settings.tracking} mlflow {metadata.version('mlflow')}\n")
    with pytest.raises(ServiceError, match=rf"is gone: bring it back, or delete {marker}"):
        store.prepare(settings)
    assert not (tmp_path / "mlflow" / "mlflow.db").exists()


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "./mlruns", "file:///tmp/mlruns", "http://10.0.0.1:5000"])
def test_a_store_that_would_surprise_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(UsageError, match="tracking URI"):
        store.prepare(Settings(home=tmp_path, tracking_uri=uri))


def test_a_run_keeps_everything_it_was_given(shared: Settings) -> None:
    parent = runs.open_run(shared, "trial", "parent")
    metrics = {f"m{i}": i / 7 for i in range(1205)}  # more than one batch
    run_id = runs.open_run(shared, "trial", "one", parameters={"n": 3, "names": ["a"]}, tags={"k": "v"}, parent=parent)
    assert runs.get(shared, run_id).status == "RUNNING"
    runs.close_run(shared, run_id, "timed_out", metrics)
    run = runs.find_runs(shared, ["trial"], tags={"k": "v"})[0]
    assert (run.run_id, run.status, run.outcome) == (run_id, "FAILED", "timed_out")
    assert run.metrics == metrics
    assert run.parameters == {"n": "3", "names": '["a"]'}
    assert run.tags["mlflow.parentRunId"] == parent
    assert run.ended is not None
    assert run.ended >= run.started
    runs.close_run(shared, parent, "cancelled")
    assert runs.get(shared, parent).status == "KILLED"
    assert runs.find_runs(shared, ["no such experiment"]) == []


def test_what_mlflow_would_cut_short_is_refused(shared: Settings) -> None:
    with pytest.raises(UsageError, match="6001 characters"):
        runs.open_run(shared, "trial", "long", parameters={"text": "x" * 6001})
    with pytest.raises(UsageError, match="8001 characters"):
        runs.open_run(shared, "trial", "long", tags={"text": "x" * 8001})


def test_a_run_whose_supervisor_lives_is_no_orphan_and_one_whose_died_is(shared: Settings) -> None:
    mine = runs.open_run(shared, "trial", "mine")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    lost = runs.open_run(shared, "trial", "lost")
    runs.log(shared, lost, tags={runs.PID: str(dead.pid)})
    reused = runs.open_run(shared, "trial", "reused")  # another process has the number now
    runs.log(shared, reused, tags={runs.PID_STARTED: "1.0"})
    elsewhere = runs.open_run(shared, "trial", "elsewhere")
    runs.log(shared, elsewhere, tags={runs.PID: str(dead.pid), runs.HOST: "another machine"})
    assert {run.run_id for run in runs.orphans(shared)} == {lost, reused}
    for run_id in (mine, lost, reused, elsewhere):
        runs.close_run(shared, run_id, "killed")


def test_a_registered_model_comes_back_as_it_was(shared: Settings) -> None:
    assert [version.number for version in registry.versions(shared)] == [3, 2, 1]
    assert registry.alias_of(shared, registry.CHALLENGER) == 3
    loaded = registry.load(shared, 2, features=["rsi_14", "obv"], feature_version="v1")
    inputs = frame()
    labels = (inputs["rsi_14"] > 0).to_numpy()
    again = make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=3)).fit(inputs, labels)
    assert np.array_equal(loaded.model.predict_proba(inputs), again.predict_proba(inputs))
    assert loaded.version.tags["rounds"] == "3"


def test_a_model_of_other_features_is_refused(shared: Settings) -> None:
    with pytest.raises(ModelError, match=r"missing \['obv'\]"):
        registry.load(shared, 1, features=["rsi_14"])
    with pytest.raises(ModelError, match="in its order"):
        registry.load(shared, 1, features=["obv", "rsi_14"])
    with pytest.raises(ModelError, match="trained on features v1, asked for v2"):
        registry.load(shared, 1, feature_version="v2")
    with pytest.raises(ModelError, match="no version 'champion'"):
        registry.load(shared, "champion" if registry.alias_of(shared, "champion") is None else 99)


def test_a_model_of_foreign_types_is_not_registered(shared: Settings) -> None:
    model = TransformedTargetRegressor(LinearRegression(), func=subprocess.getoutput, inverse_func=os.system)
    run_id = runs.open_run(shared, "training", "foreign")
    with pytest.raises(ModelError, match="types from outside"):
        registry.register(shared, model, frame(), run_id=run_id, feature_version="v1")
    runs.close_run(shared, run_id, "failed")
    assert len(registry.versions(shared)) == 3


def test_promotions_and_rollbacks_move_the_alias_and_stay_in_the_ledger(workspace: Settings) -> None:
    assert promotion.current_champion(workspace) is None
    promotion.promote(workspace, 1, YES, reason="first", evidence={"rank_ic": 0.04, "t": float("nan")})
    promotion.promote(workspace, 2, YES, reason="better")
    promotion.promote(workspace, 3, NO, reason="I know why", force=True)
    assert registry.alias_of(workspace, registry.CHAMPION) == 3
    back = promotion.rollback(workspace, reason="live IC fell")
    assert (back.version, back.previous) == (2, 3)
    assert promotion.rollback(workspace, reason="again").version == 1
    assert registry.alias_of(workspace, registry.CHAMPION) == 1
    with pytest.raises(ModelError, match="nothing to roll back to"):
        promotion.rollback(workspace, reason="once more")
    done = [entry for entry in promotion.history(workspace) if entry.state == "done"]
    assert [(e.kind, e.version, e.forced) for e in done] == [
        ("promote", 1, False),
        ("promote", 2, False),
        ("promote", 3, True),
        ("rollback", 2, False),
        ("rollback", 1, False),
    ]
    assert done[0].evidence == {"rank_ic": 0.04, "t": "nan"}
    assert promotion.disagreement(workspace) is None
    registry.point(workspace, registry.CHAMPION, 3)
    assert "points at version 3, the ledger says 1" in str(promotion.disagreement(workspace))


def test_a_refusal_is_kept_and_moves_nothing(workspace: Settings) -> None:
    with pytest.raises(PromotionRefused, match="it is worse"):
        promotion.promote(workspace, 1, NO, reason="try")
    assert registry.alias_of(workspace, registry.CHAMPION) is None
    assert [(entry.state, entry.reasons) for entry in promotion.history(workspace)] == [("refused", ("it is worse",))]
    promotion.promote(workspace, 1, YES, reason="first")
    with pytest.raises(ModelError, match="champion already"):
        promotion.promote(workspace, 1, YES, reason="twice")
    with pytest.raises(ModelError, match="no version 99"):
        promotion.promote(workspace, 99, YES, reason="unknown")


@pytest.mark.parametrize("alias_moved", [False, True])
def test_a_crash_between_ledger_and_alias_is_finished_by_the_next_call(workspace: Settings, alias_moved: bool) -> None:
    promotion.promote(workspace, 1, YES, reason="first")
    path = ledger.path_of(workspace.home)
    begun = ledger.append(path, ledger.draft(ledger.read(path), "promote", 2, "then the power failed"))
    if alias_moved:
        registry.point(workspace, registry.CHAMPION, 2)
    current = promotion.current_champion(workspace)
    assert current is not None
    assert current.version == 1
    repaired = promotion.repair(workspace)
    assert repaired is not None
    assert (repaired.state, repaired.version, repaired.decision) == ("done", 2, begun.decision)
    assert (repaired.effective == begun.at) is alias_moved
    assert registry.alias_of(workspace, registry.CHAMPION) == 2
    assert promotion.repair(workspace) is None
    assert promotion.rollback(workspace, reason="back").version == 1


def test_a_decision_that_can_no_longer_be_carried_out_is_abandoned(workspace: Settings) -> None:
    path = ledger.path_of(workspace.home)
    ledger.append(path, ledger.draft([], "promote", 99, "deleted since"))
    promotion.promote(workspace, 1, YES, reason="first")
    assert [entry.state for entry in promotion.history(workspace)] == ["pending", "abandoned", "pending", "done"]


def done(version: int, at: datetime, entries: list[ledger.Entry]) -> ledger.Entry:
    return replace(ledger.draft(entries, "promote", version, "test"), state="done", at=at, effective=at)


def test_which_model_was_champion_on_a_date_in_india(tmp_path: Path) -> None:
    path = tmp_path / "promotions.jsonl"
    first = datetime(2024, 1, 10, 18, 29, tzinfo=UTC)  # 23:59 in India
    ledger.append(path, done(1, first, ledger.read(path)))
    ledger.append(path, done(2, first + timedelta(days=5, minutes=1), ledger.read(path)))  # 00:00 on the 16th
    entries = ledger.read(path)
    answers = {day: ledger.on_date(entries, date(2024, 1, day)) for day in (9, 10, 15, 16, 31)}
    assert {day: entry and entry.version for day, entry in answers.items()} == {9: None, 10: 1, 15: 1, 16: 2, 31: 2}
    settings = Settings(home=tmp_path)
    assert [entry.version for entry in promotion.history(settings, on=date(2024, 1, 15))] == [1]
    on_the_day = promotion.champion_on(settings, date(2024, 1, 16))
    assert on_the_day is not None
    assert on_the_day.version == 2


def test_an_edited_ledger_is_noticed_and_a_torn_line_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "promotions.jsonl"
    for version in (1, 2, 3):
        ledger.append(path, done(version, datetime(2024, 1, version, tzinfo=UTC), ledger.read(path)))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"decision": 4, "kind"')
    assert [entry.version for entry in ledger.read(path)] == [1, 2, 3]
    ledger.append(path, done(4, datetime(2024, 1, 4, tzinfo=UTC), ledger.read(path)))
    assert [entry.version for entry in ledger.read(path)] == [1, 2, 3, 4]

    lines = whole.splitlines(keepends=True)
    edited = json.dumps(json.loads(lines[1]) | {"version": 7}).encode() + b"\n"
    for damaged in (lines[0] + lines[2], lines[0] + edited + lines[2], lines[0] + edited, b"{}\n"):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match="restore"):
            ledger.read(path)
