"""Runs, registry and promotions on a real MLflow store."""

from __future__ import annotations

import json
import os
import pickle
import runpy
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest
import skops.io
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from waiting import PATIENCE

from champion.errors import ModelError, PromotionRefused, ServiceError, UsageError
from champion.modeling import estimators
from champion.settings import Settings
from champion.tracking import ledger_storage, promotion, promotion_ledger, registry, runs, standing, store
from champion.tracking.promotion import Decision

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

ROOT = Path(__file__).resolve().parents[2]
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


def test_concurrent_processes_can_create_a_store(tmp_path: Path) -> None:
    code = (
        "import sys; from champion.settings import Settings; from champion.tracking import runs; "
        "s = Settings(home=sys.argv[1]); runs.close_run(s, runs.open_run(s, 'e', 'r'), 'succeeded')"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    both = [subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=PATIENCE)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [run.status for run in runs.find_runs(Settings(home=tmp_path), ["e"])] == ["FINISHED", "FINISHED"]


def test_upgrade_of_a_store_leaves_no_connection_open(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    store._upgrade(f"sqlite:///{database}")
    assert database.stat().st_size > 0
    assert str(database) not in {file.path for file in psutil.Process().open_files()}


def test_lost_store_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    marker = tmp_path / "mlflow" / "prepared"
    marker.parent.mkdir()
    marker.write_text(f"{settings.tracking} mlflow {metadata.version('mlflow')}\n")
    with pytest.raises(ServiceError, match=rf"is missing or empty: restore it, or delete {marker}"):
        store.prepare(settings)
    assert not (tmp_path / "mlflow" / "mlflow.db").exists()


def test_read_only_store_counts_as_unreachable(tmp_path: Path) -> None:
    database = tmp_path / "mlflow" / "mlflow.db"
    database.parent.mkdir()
    with closing(sqlite3.connect(database)) as books:
        books.execute("create table runs (name text)")
    asked = "import champion.settings as s, champion.tracking.connectivity as r; print(r.unreachable(s.Settings()))"
    unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    answers = []
    for mode in (0o644, 0o444):
        database.chmod(mode)
        command = [*unprivileged, sys.executable, "-c", asked]
        environment = {**os.environ, "CHAMPION_HOME": str(tmp_path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        answers.append(done.stdout.strip())
    assert answers[0] == "None"
    assert answers[1].endswith("mlflow.db: attempt to write a readonly database")


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "./mlruns", "file:///tmp/mlruns", "http://10.0.0.1:5000"])
def test_unsupported_tracking_uris_are_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(UsageError, match="tracking URI"):
        store.prepare(Settings(home=tmp_path, tracking_uri=uri))


def test_run_keeps_parameters_metrics_tags_and_files(shared: Settings) -> None:
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


def test_values_that_mlflow_would_truncate_are_refused(shared: Settings) -> None:
    with pytest.raises(UsageError, match="6001 characters"):
        runs.open_run(shared, "trial", "long", parameters={"text": "x" * 6001})
    with pytest.raises(UsageError, match="8001 characters"):
        runs.open_run(shared, "trial", "long", tags={"text": "x" * 8001})


def test_only_runs_of_dead_supervisors_are_orphans(shared: Settings) -> None:
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


def test_registered_model_is_loaded_unchanged(shared: Settings) -> None:
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
    with pytest.raises(ModelError, match=r"not allowed: .*getoutput"):
        registry.register(shared, model, frame(), run_id=run_id, feature_version="v1")
    runs.close_run(shared, run_id, "failed")
    assert len(registry.versions(shared)) == 3


class Payload:
    """A hostile pickle: a call made while it is opened."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def runs_a_file(folder: Path) -> bytes:
    """Return a model in the safe format that would run a file: the standard library has a function for it."""
    (folder / "theirs.py").write_text(f"open({str(folder / 'ran')!r}, 'w').close()")
    run = partial(runpy.run_path, str(folder / "theirs.py"))
    return bytes(skops.io.dumps(FunctionTransformer(run)))


@pytest.fixture
def exchanged(shared: Settings, tmp_path: Path) -> Iterator[Path]:
    """The file of version 2, restored afterwards."""
    path = registry.file_of(shared, 2, str(tmp_path))
    content = path.read_bytes()
    yield path
    path.write_bytes(content)


def test_replaced_model_file_is_not_opened(shared: Settings, exchanged: Path, tmp_path: Path) -> None:
    assert registry.load(shared, 2).version.number == 2
    content = exchanged.read_bytes()
    for other in (
        pickle.dumps(Payload(tmp_path / "ran")),
        content[:-1] + bytes([content[-1] ^ 1]),
        bytes(skops.io.dumps(LinearRegression().fit([[0.0]], [0.0]))),
        b"",
    ):
        exchanged.write_bytes(other)
        with pytest.raises(ModelError, match=r"version 2: .*not the file that was registered.*was not opened: restore"):
            registry.load(shared, 2)
    exchanged.unlink()
    with pytest.raises(ModelError, match=r"version 2 has no model.skops"):
        registry.load(shared, 2)
    assert list(tmp_path.iterdir()) == []


def test_a_version_without_a_digest_is_opened_in_the_safe_format_only(
    shared: Settings, exchanged: Path, tmp_path: Path
) -> None:
    store.prepare(shared).delete_model_version_tag(registry.MODEL, "2", registry.DIGEST)  # as 0.1.0 registered it
    assert registry.load(shared, 2).version.number == 2
    exchanged.write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(ModelError, match="not a model in the skops format"):
        registry.load(shared, 2)
    evil = runs_a_file(tmp_path)
    exchanged.write_bytes(evil)
    with pytest.raises(ModelError, match=r"not allowed: .*runpy.run_path"):
        registry.load(shared, 2)
    assert not (tmp_path / "ran").exists()
    skops.io.loads(evil, trusted=skops.io.get_untrusted_types(data=evil)).transform(None)
    assert (tmp_path / "ran").exists(), "the file does what it is refused for"


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
    assert standing.disagreement(workspace) is None
    registry.point(workspace, registry.CHAMPION, 3)
    assert "points to version 3, the ledger says 1" in str(standing.disagreement(workspace))


def test_refusal_is_recorded_and_the_alias_stays(workspace: Settings) -> None:
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
def test_next_call_finishes_a_promotion_after_a_crash(workspace: Settings, alias_moved: bool) -> None:
    promotion.promote(workspace, 1, YES, reason="first")
    book = ledger_storage.of(workspace)
    known = promotion_ledger.read(book)
    begun = promotion_ledger.append(book, promotion_ledger.draft(known, "promote", 2, "then the power failed"), known)
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


def test_decision_for_a_deleted_version_is_abandoned(workspace: Settings) -> None:
    promotion_ledger.append(
        ledger_storage.of(workspace), promotion_ledger.draft([], "promote", 99, "deleted since"), []
    )
    promotion.promote(workspace, 1, YES, reason="first")
    assert [entry.state for entry in promotion.history(workspace)] == ["pending", "abandoned", "pending", "done"]


def add_done(book: ledger_storage.LedgerStorage, version: int, at: datetime) -> None:
    entries = promotion_ledger.read(book)
    entry = replace(promotion_ledger.draft(entries, "promote", version, "test"), state="done", at=at, effective=at)
    promotion_ledger.append(book, entry, entries)


def test_champion_on_a_date_in_india(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    book = ledger_storage.of(settings)
    first = datetime(2024, 1, 10, 18, 29, tzinfo=UTC)  # 23:59 in India
    add_done(book, 1, first)
    add_done(book, 2, first + timedelta(days=5, minutes=1))  # 00:00 on the 16th
    entries = promotion_ledger.read(book)
    answers = {day: promotion_ledger.on_date(entries, date(2024, 1, day)) for day in (9, 10, 15, 16, 31)}
    assert {day: entry and entry.version for day, entry in answers.items()} == {9: None, 10: 1, 15: 1, 16: 2, 31: 2}
    assert [entry.version for entry in promotion.history(settings, on=date(2024, 1, 15))] == [1]
    on_the_day = promotion.champion_on(settings, date(2024, 1, 16))
    assert on_the_day is not None
    assert on_the_day.version == 2


def test_registry_storage_accepts_a_line_only_under_the_expected_number(shared: Settings) -> None:
    book = ledger_storage.RegistryStorage(shared)
    assert book.held() == ledger_storage.StoredLines((), 1)
    assert book.add("a", 1)
    seen = book.held().following
    assert book.add("b", seen)
    assert not book.add("overtaken", seen)
    assert book.held() == ledger_storage.StoredLines(("a", "b"), 4)
    assert book.add("c", 4)
    assert book.held().lines == ("a", "b", "c")
    assert len(registry.versions(shared)) == 3, "lines are no versions of the model"
    store.prepare(shared).delete_model_version(f"{registry.MODEL}.promotions", "2")
    with pytest.raises(ModelError, match="some were deleted"):
        book.held()


def test_edited_ledger_is_detected_and_unterminated_line_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "promotions.jsonl"
    book = ledger_storage.FileStorage(path)
    for version in (1, 2, 3):
        add_done(book, version, datetime(2024, 1, version, tzinfo=UTC))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"decision": 4, "kind"')
    assert [entry.version for entry in promotion_ledger.read(book)] == [1, 2, 3]
    add_done(book, 4, datetime(2024, 1, 4, tzinfo=UTC))
    assert [entry.version for entry in promotion_ledger.read(book)] == [1, 2, 3, 4]

    lines = whole.splitlines(keepends=True)
    edited = json.dumps(json.loads(lines[1]) | {"version": 7}).encode() + b"\n"
    for damaged in (lines[0] + lines[2], lines[0] + edited + lines[2], lines[0] + edited, b"{}\n"):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match="restore"):
            promotion_ledger.read(book)


def test_documented_model_is_registered_if_its_package_is_trusted(
    workspace: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "howto" / "own_model.md").read_text()
    (tmp_path / "contrarian.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    monkeypatch.syspath_prepend(tmp_path)
    inputs = frame()
    labels = (inputs["rsi_14"] > 0).to_numpy().astype(int)
    model = estimators.Recipe("contrarian.Contrarian", {"strength": 2.0}).make().fit(inputs.to_numpy(), labels)
    run_id = runs.open_run(workspace, "training", "own")
    with pytest.raises(ModelError, match="CHAMPION_MODEL_PACKAGES=contrarian"):
        registry.register(workspace, model, inputs, run_id=run_id, feature_version="v1")
    trusting = workspace.model_copy(update={"model_packages": ("contrarian",)})
    made = registry.register(trusting, model, inputs, run_id=run_id, feature_version="v1")
    runs.close_run(workspace, run_id, "succeeded")
    loaded = registry.load(trusting, made.number).model
    assert np.array_equal(loaded.predict_proba(inputs.to_numpy()), model.predict_proba(inputs.to_numpy()))
    with pytest.raises(ModelError, match="types that are not allowed"):
        registry.load(workspace, made.number)
