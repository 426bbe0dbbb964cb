"""Changes to ledger, registry and alias by a person, a crash or a lost disk are detected and repaired."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner, Result

from champion.cli.app import app
from champion.errors import LedgerOvertaken, ModelError, UsageError
from champion.pipeline.models.evaluate import OUT_OF_SAMPLE
from champion.pipeline.operations import doctor, status
from champion.settings import Settings
from champion.tracking import (
    anchor,
    ledger_storage,
    promotion,
    promotion_ledger,
    recovery,
    registry,
    runs,
    standing,
    store,
)
from champion.tracking.promotion import Decision

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

YES = Decision(promote=True, reasons=("it is better",))


def registered(settings: Settings, seed: int) -> registry.Version:
    inputs = pl.DataFrame({"rsi_14": np.random.default_rng(seed).normal(size=50)})
    model = LogisticRegression().fit(inputs.to_numpy(), inputs["rsi_14"].to_numpy() > seed / 10)
    run_id = runs.open_run(settings, "training", "fit")
    made = registry.register(settings, model, inputs, run_id=run_id, feature_version="v1")
    runs.close_run(settings, run_id, "succeeded")
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with three versions, of which the first and then the second was promoted; tests copy it."""
    settings = Settings(home=tmp_path_factory.mktemp("made") / "home", archive=str(tmp_path_factory.mktemp("archive")))
    for seed in range(3):
        registered(settings, seed)
    promotion.promote(settings, 1, YES, reason="first")
    promotion.promote(settings, 2, YES, reason="better")
    return settings


@pytest.fixture
def workspace(made: Settings, tmp_path: Path) -> Settings:
    """A copy of that workspace, which has its own store."""
    home = tmp_path / "home"
    shutil.copytree(made.home, home)
    return made.model_copy(update={"home": home})


def alias(settings: Settings) -> int | None:
    return registry.alias_of(settings, registry.CHAMPION)


def shown(settings: Settings) -> list[str]:
    """Return what status and doctor show of the champion."""
    check = next(one for one in doctor.examine(settings) if one.name == "champion")
    return [status.status(settings).champion, f"{check.state} {check.found}"]


def test_intact_workspace_has_no_problem(workspace: Settings) -> None:
    assert standing.problem(workspace) is None
    assert shown(workspace)[1] == "ok version 2, by ledger and alias"
    assert anchor.read(workspace) == anchor.Anchor(4, json.loads(ledger_storage.of(workspace).held().lines[-1])["seal"])
    with pytest.raises(UsageError, match="is intact"):
        recovery.begin(workspace, reason="why not")
    assert recovery.realign(workspace) == 2


@pytest.mark.parametrize("where", [None, 1, 3])
def test_alias_changed_by_hand_is_reported_and_repaired(workspace: Settings, where: int | None) -> None:
    client = store.prepare(workspace)
    if where is None:
        client.delete_registered_model_alias(registry.MODEL, registry.CHAMPION)
    else:
        client.set_registered_model_alias(registry.MODEL, registry.CHAMPION, str(where))
    for said in shown(workspace):
        assert (f"points to version {where}" if where else "is not set") in said
        assert "`champion models repair`" in said
    with pytest.raises(ModelError, match="the ledger says 2: `champion models repair`"):
        standing.require_agreement(workspace)
    with pytest.raises(ModelError, match="is champion already, but alias 'champion'"):
        promotion.promote(workspace, 2, YES, reason="again")
    assert recovery.realign(workspace) == where
    assert alias(workspace) == 2
    assert standing.problem(workspace) is None
    assert len(promotion.history(workspace)) == 4, "nothing was decided"


def test_the_version_of_a_moved_alias_may_be_promoted_and_rolled_back(workspace: Settings) -> None:
    registry.point(workspace, registry.CHAMPION, 3)
    assert promotion.in_force(workspace) == 2, "the ledger counts"
    assert promotion.promote(workspace, 3, YES, reason="made official", against=2).previous == 2
    registry.point(workspace, registry.CHAMPION, 1)
    assert promotion.rollback(workspace, reason="back").version == 2
    assert (alias(workspace), standing.problem(workspace)) == (2, None)


def test_another_version_can_be_promoted_after_the_champion_was_deleted(workspace: Settings) -> None:
    store.prepare(workspace).delete_model_version(registry.MODEL, "2")
    for said in shown(workspace):
        assert "version 2 was promoted on" in said
        assert "`champion models promote N --force --reason WHY`" in said
    with pytest.raises(ModelError, match="has no version 2"):
        standing.require_agreement(workspace)
    assert promotion.promote(workspace, 3, YES, reason="the other one was deleted").previous == 2
    assert (alias(workspace), standing.problem(workspace)) == (3, None)
    with pytest.raises(ModelError, match="version 2 was promoted on"):
        promotion.rollback(workspace, reason="to one that is no more")


def drop_last_line(settings: Settings) -> None:
    path = settings.home / "promotions.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def drop_file(settings: Settings) -> None:
    (settings.home / "promotions.jsonl").unlink()


def empty_file(settings: Settings) -> None:
    (settings.home / "promotions.jsonl").write_bytes(b"")


def exchange_file(settings: Settings) -> None:
    """Write another ledger of the same length, with valid seals."""
    book = ledger_storage.local(settings)
    entries, path = promotion_ledger.read(book), settings.home / "promotions.jsonl"
    path.unlink()
    forged = [one for one in entries if one.decision == 1]
    for entry in (*forged, *forged):
        seen = promotion_ledger.read(book)
        done = replace(entry, state="done", decision=len(seen) + 1)
        promotion_ledger.append(book, done, seen)


def lose_registry(settings: Settings) -> None:
    shutil.rmtree(settings.home / "mlflow")
    for seed in (7, 8):
        registered(settings, seed)  # other models, under the old numbers


def lose_store(settings: Settings) -> None:
    shutil.rmtree(settings.home / "mlflow")


LOSSES = [drop_last_line, drop_file, empty_file, exchange_file, lose_registry, lose_store]


@pytest.mark.parametrize("lose", LOSSES, ids=lambda one: one.__name__)
def test_incomplete_ledger_or_lost_registry_blocks_decisions(
    workspace: Settings, lose: Callable[[Settings], None]
) -> None:
    lose(workspace)
    before = (workspace.home / "mlflow" / "mlflow.db").exists()
    assert standing.problem(workspace) is not None
    for said in shown(workspace):
        assert "champion models begin" in said or "bring" in said
    assert (workspace.home / "mlflow" / "mlflow.db").exists() is before, "nothing is made by looking"
    for decide in (
        lambda: promotion.rollback(workspace, reason="back"),
        lambda: promotion.promote(workspace, 2, YES, reason="again"),
        lambda: standing.require_agreement(workspace),
    ):
        with pytest.raises(ModelError):
            decide()
    champion = alias(workspace)
    entry = recovery.begin(workspace, reason="the disk failed")
    assert (entry.kind, entry.version) == ("begin", champion or 0)
    assert standing.problem(workspace) is None
    kept = sorted(workspace.home.glob("promotions.jsonl.before-*"))
    assert [str(path) for path in kept] == ([entry.evidence["kept"]] if lose is not drop_file else [])
    if champion is None:
        registered(workspace, 9)
        assert promotion.promote(workspace, 1, YES, reason="anew").previous is None
    else:
        assert promotion.promote(workspace, 1, YES, reason="anew").previous == champion
    assert (alias(workspace), standing.problem(workspace)) == (1, None)


def test_ledger_of_an_earlier_version_is_anchored_by_its_next_line(workspace: Settings) -> None:
    """Lines of 0.2.0 have no digest of the model, and its registry has no anchor."""
    book, entries = ledger_storage.local(workspace), promotion.history(workspace)
    (workspace.home / "promotions.jsonl").unlink()
    for number, entry in enumerate(entries):
        promotion_ledger.append(book, replace(entry, model=None), promotion_ledger.read(book)[:number])
    store.prepare(workspace).delete_registered_model_tag(registry.MODEL, "champion.ledger")
    assert anchor.read(workspace) is None
    assert standing.problem(workspace) is None
    promotion.promote(workspace, 3, YES, reason="by this version")
    assert (anchor.read(workspace) or anchor.Anchor(0, "")).lines == 6
    assert promotion.rollback(workspace, reason="to a line without a digest").version == 2


def test_lost_registry_is_detected_with_a_ledger_of_an_earlier_version(workspace: Settings) -> None:
    book, entries = ledger_storage.local(workspace), promotion.history(workspace)
    (workspace.home / "promotions.jsonl").unlink()
    for number, entry in enumerate(entries):
        promotion_ledger.append(book, replace(entry, model=None), promotion_ledger.read(book)[:number])
    lose_registry(workspace)
    assert "is not the model that was promoted" in str(standing.problem(workspace))
    with pytest.raises(ModelError, match="not the model that was promoted on"):
        promotion.rollback(workspace, reason="to another model under an old number")
    assert alias(workspace) is None


def test_line_without_anchor_after_a_crash_counts(workspace: Settings) -> None:
    """After a crash between line and anchor, the ledger is one line ahead."""
    book = ledger_storage.local(workspace)
    seen = promotion_ledger.read(book)
    promotion_ledger.append(book, promotion_ledger.draft(seen, "promote", 3, "then the power failed"), seen)
    assert standing.damage(workspace) is None
    assert recovery.realign(workspace) == 3, "the pending promotion is finished first"
    assert promotion.history(workspace)[-1].state == "done"


def test_no_decision_starts_while_another_is_pending(tmp_path: Path) -> None:
    """One machine reads the ledger before and after the other machine's line: it must not go on."""
    book = ledger_storage.FileStorage(tmp_path / "promotions.jsonl")
    begun = promotion_ledger.append(book, promotion_ledger.draft([], "promote", 1, "first"), [])
    with pytest.raises(LedgerOvertaken, match="decision 1 is not finished yet"):
        promotion_ledger.append(book, promotion_ledger.draft([begun], "promote", 2, "on top of it"), [begun])
    assert promotion_ledger.read(book) == [begun]


@given(strategies.integers(0, 4), strategies.integers(0, 4), strategies.booleans())
def test_ledger_shorter_than_its_anchor_is_damaged(kept: int, anchored: int, other: bool) -> None:
    lines = [json.dumps({"seal": f"{number}", "model": ""}) for number in range(kept)]
    known = anchor.Anchor(anchored, "other" if other else f"{anchored - 1}") if anchored else None
    missing = standing.missing(ledger_storage.StoredLines(tuple(lines), kept + 1), known, required=True)
    whole = (kept >= anchored and not other) if known else kept <= 1
    assert (missing is None) is whole


def test_bad_tag_or_foreign_version_affects_only_itself(workspace: Settings) -> None:
    client = store.prepare(workspace)
    source = client.get_model_version(registry.MODEL, "1").source or ""
    foreign = int(client.create_model_version(registry.MODEL, source=source).version)
    for bad in ("not json", "{}", "[1]", "null"):
        client.set_model_version_tag(registry.MODEL, "3", registry.FEATURES, bad)
        found = {version.number: version.problem for version in registry.versions(workspace)}
        assert {number for number, problem in found.items() if not problem} == {1, 2}
        assert registry.load(workspace).version.number == 2
        assert standing.problem(workspace) is None
        with pytest.raises(ModelError, match=r"version 3: tag champion.features is not a list of features"):
            registry.load(workspace, 3)
    with pytest.raises(ModelError, match=rf"version {foreign}: it has no tag champion.features"):
        registry.load(workspace, foreign)
    version = registry.find(workspace, foreign)
    with pytest.raises(ModelError, match=r"has no tag champion.horizon: it was not registered by training"):
        version.integer("champion.horizon")
    client.set_model_version_tag(registry.MODEL, "1", "champion.horizon", "five")
    client.set_model_version_tag(registry.MODEL, "1", "champion.learnt_to", "31-12-2024")
    with pytest.raises(ModelError, match="'five', not an integer"):
        registry.find(workspace, 1).integer("champion.horizon")
    with pytest.raises(ModelError, match="'31-12-2024', not a date"):
        registry.find(workspace, 1).day("champion.learnt_to")
    assert runs.known(workspace, "0" * 32) is None


_REGISTERS = """
import sys
from datetime import date, timedelta
import numpy as np, polars as pl
from sklearn.linear_model import LogisticRegression
from champion.modeling.estimators import Recipe
from champion.pipeline.models.register import Task, register_challenger
from champion.settings import Settings
from champion.tracking import runs, store
from champion.modeling.training import TrainingResult
from champion.modeling.universe import find
settings, rng = Settings(home=sys.argv[1]), np.random.default_rng(5)
day = date(2024, 1, 15)
frame = pl.DataFrame({"x": rng.normal(size=50)}).with_columns(
    forward_return=pl.lit(0.1), trade_date=pl.lit(day), label_end=pl.lit(day + timedelta(days=7)))
model = LogisticRegression().fit(frame.select("x").to_numpy(), frame["x"].to_numpy() > 0)
out = frame.select("trade_date", pl.lit("NSE:A").alias("instrument_id"), score="x", forward_return="x").head(1)
result = TrainingResult(Recipe("logistic"), model, ("x",), out, folds=out, importance=out, metrics={})
task, measured = Task(find("all"), 5, 1), {"canary_passed": 1.0}
store.prepare(settings)
print("ready", flush=True)
for number in range(100):
    run_id = runs.open_run(settings, "training", "fit")
    register_challenger(settings, result, frame, task, run_id=run_id, measured=measured)
    print(number, flush=True)
"""


def test_version_is_visible_only_with_all_its_tags(workspace: Settings) -> None:
    """Killed at any time, training leaves no version without its file, its out-of-sample scores, its leakage check."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _REGISTERS, str(workspace.home)]
    checked = 3
    for number in range(3):
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            assert process.stdout.readline() == "0\n"
            time.sleep(0.17 * number)
            process.send_signal(signal.SIGKILL)
        for version in registry.versions(workspace):
            if version.number > 3:
                assert registry.load(workspace, version.number).version.features == ("x",)
                assert runs.read_file(workspace, version.run_id, OUT_OF_SAMPLE) is not None
                assert runs.get(workspace, version.run_id).metrics["canary_passed"] == 1.0
                checked = max(checked, version.number)
    assert checked >= 6, "each process registered one version at least"


def test_the_commands_repair_and_begin(workspace: Settings) -> None:
    def said(*arguments: str) -> Result:
        return CliRunner(env={"CHAMPION_HOME": str(workspace.home)}).invoke(app, ["models", *arguments])

    store.prepare(workspace).delete_registered_model_alias(registry.MODEL, registry.CHAMPION)
    assert json.loads(said("repair", "--json").stdout) == {"alias before": None, "champion": 2}
    drop_last_line(workspace)
    done = said("history")
    assert done.exit_code == 1
    assert "it has 3 of 4 lines, the rest is missing" in str(done.exception)
    begun = json.loads(said("begin", "--reason", "the disk failed", "--json").stdout)
    assert begun["champion"] == 2
    assert Path(begun["kept"]).exists()
    today = promotion.history(workspace)[-1].at.date() + timedelta(days=1)
    assert (promotion.champion_on(workspace, today) or promotion.history(workspace)[0]).version == 2


def test_a_workspace_that_was_moved_away_from_its_store_is_still_anchored(made: Settings, tmp_path: Path) -> None:
    """A SQLite store outside the workspace names the ledger by the workspace's folder: the former folder counts."""
    database = tmp_path / "mlflow.db"
    shutil.copy(store.sqlite_file(made.tracking), database)
    first = Settings(home=tmp_path / "first", archive=made.archive, tracking_uri=f"sqlite:///{database}")
    promotion.promote(first, 1, YES, reason="first")
    promotion.promote(first, 3, YES, reason="better")
    first.home.rename(tmp_path / "second")
    moved = first.model_copy(update={"home": tmp_path / "second"})
    assert standing.damage(moved) is None
    file = moved.home / "promotions.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-2]))
    assert "the rest is missing" in str(standing.damage(moved))
    copy = first.model_copy(update={"home": tmp_path / "copy"})
    shutil.copytree(moved.home, copy.home)
    (copy.home / "home.json").write_text(json.dumps([str(moved.home)]))
    assert standing.damage(copy) is None, "a copy's ledger is another one"
