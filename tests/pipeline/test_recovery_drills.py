"""Recovery drills: each part of a workspace is lost or damaged, the doctor reports it, and its remedy restores it.

The drills are compared with the table of docs/howto/restore.md row by row.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from copies import with_warehouse
from models import trained
from typer.testing import CliRunner

from champion import runner, warehouse
from champion.cli.app import app
from champion.contracts.datasets import BARS, PREDICTIONS
from champion.lake import Lake
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.ingest import corporate_actions, symbol_changes
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.ingest.rename_instruments import rename_instruments
from champion.pipeline.maintenance.load_warehouse import load
from champion.pipeline.models import trials
from champion.pipeline.models.score import score_session
from champion.pipeline.operations import consistency, databases
from champion.pipeline.operations.checks import Check
from champion.pipeline.operations.doctor import examine
from champion.pipeline.operations.status import status
from champion.settings import Settings
from champion.tracking import anchor, promotion, recovery, run_spool, runs, store
from champion.tracking.trials import ledger
from conftest import END, FIRST_FEATURES, LEARNT_TO, SCORED_FROM, START

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "restore.md"
FEATURES, QUARANTINE = "features_equity_indicators", "quarantine_equity_delivery"
GARBLED = b"GARBLED, EQ, 30-Aug-2024, x, x, x, x, x, x, x, x, x, x, x, x\n"
Act = Callable[[Settings, Path], None]


@dataclass(frozen=True)
class Drill:
    """The loss, the documented remedy, and the datasets that are the `same` afterwards."""

    lose: Act
    bring_back: Act
    same: tuple[str, ...] = ()
    after: str = "ok"


def remove(*names: str) -> Act:
    def act(settings: Settings, _: Path) -> None:
        for name in names:
            path = settings.home / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return act


def overwrite(name: str, content: bytes = b"\x00damaged\xff" * 4096) -> Act:
    def act(settings: Settings, _: Path) -> None:
        path = settings.home / name
        path.write_bytes(content)
        for beside in ("-wal", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)

    return act


def backup(*names: str) -> Act:
    def act(settings: Settings, kept: Path) -> None:
        for name in names:
            path = settings.home / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            shutil.copytree(kept / name, path) if (kept / name).is_dir() else shutil.copy(kept / name, path)

    return act


def backfill(settings: Settings, _: Path) -> None:
    fetch(settings, START, END)
    symbol_changes.refresh(settings)
    ingest(Lake(settings.lake), staged(settings, START, END)).require_complete()
    rename_instruments(settings).require_complete()
    corporate_actions.refresh(settings)


def features(settings: Settings, _: Path) -> None:
    build_features(Lake(settings.lake), FIRST_FEATURES, END)


def scores(settings: Settings, _: Path) -> None:
    for session in Lake(settings.lake).sessions(FEATURES, SCORED_FROM, END):
        score_session(settings, session)


def everything(settings: Settings, kept: Path) -> None:
    backfill(settings, kept)
    features(settings, kept)
    scores(settings, kept)
    warehouse.close()
    load(settings, START, END)


def train_and_promote(settings: Settings, _: Path) -> None:
    version = trained(settings, "logistic", FIRST_FEATURES, LEARNT_TO)
    decision = promotion.Decision(promote=False, reasons=("a drill",))
    promotion.promote(settings, version.number, decision, reason="a drill", force=True)
    assert score_session(settings, END).version.number == version.number


def load_warehouse(settings: Settings, _: Path) -> None:
    warehouse.close()
    if settings.warehouse.exists():
        settings.warehouse.rename(settings.home / "damaged")
    load(settings, START, END)


def truncate_bars(settings: Settings, _: Path) -> None:
    ((path, _part),) = Lake(settings.lake).parts(BARS, END, END)
    content = path.read_bytes()
    path.unlink()  # the file is linked with the original's
    path.write_bytes(content[:100])


def cut_ledger(settings: Settings, _: Path) -> None:
    path = settings.home / "promotions.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))


def cut_trials(settings: Settings, _: Path) -> None:
    path = settings.home / "trials.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-3]))


def begin_trials(settings: Settings, _: Path) -> None:
    before = anchor.read(settings, "trials")
    assert before is not None
    ledger.begin(settings, reason="a drill")
    assert trials.count(settings).total == before.trials


def begin_ledger(settings: Settings, _: Path) -> None:
    recovery.begin(settings, reason="a drill")


def leave_run(settings: Settings, _: Path) -> None:
    """Leave a run in MLflow and its entry in runs/, as a killed supervisor does; then lose the entry."""
    program = (
        "from champion.settings import Settings; from champion.tracking import run_spool; from pathlib import Path; "
        f"run_spool.begin(Settings(home=Path({str(settings.home)!r})), 'drills', 'killed')"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert len(run_spool.entries(settings)) == 1
    shutil.rmtree(settings.runs)


def close_runs(settings: Settings, _: Path) -> None:
    (closed,) = runner.repair(settings)
    assert runs.get(settings, closed).outcome == "killed"


DRILLS = {
    "`mlflow/`": Drill(remove("mlflow"), backup("mlflow")),
    "`mlflow/mlflow.db`, damaged": Drill(overwrite("mlflow/mlflow.db"), backup("mlflow")),
    "`mlflow/mlflow.db`, empty": Drill(overwrite("mlflow/mlflow.db", b""), backup("mlflow")),
    "`mlflow/artifacts/`": Drill(remove("mlflow/artifacts"), train_and_promote, after="warning"),
    "`prefect/`": Drill(remove("prefect"), backup("prefect")),
    "`prefect/prefect.db`, damaged": Drill(overwrite("prefect/prefect.db"), backup("prefect")),
    "`lake/raw/`": Drill(remove("lake/raw"), backfill, ("raw_equity_ohlc", BARS)),
    "`lake/normalized/`": Drill(remove("lake/normalized"), backfill, ("raw_equity_ohlc", BARS, FEATURES)),
    "`lake/features/`": Drill(remove("lake/features"), features, (FEATURES,)),
    "`lake/predictions/`": Drill(remove("lake/predictions"), scores, (PREDICTIONS,)),
    "`lake/quarantine/`": Drill(remove("lake/quarantine"), backfill, (QUARANTINE,)),
    "a data file of the lake": Drill(truncate_bars, backfill, (BARS,)),
    "`lake/`": Drill(remove("lake"), everything, (BARS, FEATURES, PREDICTIONS, QUARANTINE)),
    "`warehouse/`": Drill(remove("warehouse"), load_warehouse),
    "`warehouse/`, damaged": Drill(overwrite("warehouse/metadata/champion_market.sql"), load_warehouse),
    "`runs/`": Drill(leave_run, close_runs),
    "`staging/`": Drill(remove("staging/content", "staging/products"), backfill, ("raw_equity_ohlc", BARS)),
    "`promotions.jsonl`, its last lines": Drill(cut_ledger, begin_ledger),
    "`promotions.jsonl`": Drill(remove("promotions.jsonl"), begin_ledger),
    "`trials.jsonl`, its last lines": Drill(cut_trials, begin_trials),
    "`trials/`": Drill(remove("trials"), backup("trials")),
}

SEVERAL = {"`lake/`"}  # each command creates the inputs of the next, and the doctor names the first


def table() -> dict[str, list[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("| lost |"))
    rows = {}
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        lost, *cells = (cell.strip() for cell in line.strip("|").split(" | "))
        rows[lost] = cells
    return rows


def content(lake: Lake, name: str) -> object:
    """Return the digest of a dataset; for scores, which record their time, the values."""
    if name != PREDICTIONS:
        return lake.digest(name, FIRST_FEATURES, END)
    return lake.scan(name).select("instrument_id", "trade_date", "model_version", "score").collect().rows()


def found(settings: Settings, *names: str) -> dict[str, Check]:
    return {check.name: check for check in examine(settings, names)}


@pytest.fixture(scope="module")
def whole(modelled: Settings, migrated: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with content in every folder: a rejected row, a warehouse, Prefect's store, a flow's run."""
    root = tmp_path_factory.mktemp("drills")
    archive = Path(modelled.archive.removeprefix("file://"))
    shutil.copytree(archive, root / "archive")
    made = modelled.model_copy(update={"home": root / "home", "archive": str(root / "archive")})
    shutil.copytree(modelled.home, made.home)
    (made.staging / "archive.json").write_text(json.dumps([f"file://{archive}", f"file://{root / 'archive'}"]))
    report = root / "archive" / "products" / "content" / f"sec_bhavdata_full_{END:%d%m%Y}.csv"
    report.write_bytes(report.read_bytes().rstrip(b"\n") + b"\n" + GARBLED)
    fetch(made, END, END, refresh=True)
    ingest(Lake(made.lake), staged(made, END, END)).require_complete()
    assert Lake(made.lake).rows(QUARANTINE) == 1
    load(with_warehouse(made, migrated), START, END)
    warehouse.close()
    run = runs.open_run(made, "daily", "daily", tags={"prefect.flow_run_id": "6c3a"})
    runs.close_run(made, run, "succeeded")
    command = [sys.executable, "-m", "champion.services.prefect_server", "server", "database", "upgrade", "-y"]
    subprocess.run(command, env={**os.environ, "PREFECT_HOME": str(made.prefect_home)}, check=True, capture_output=True)
    return made


@pytest.fixture
def copy(whole: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A copy to damage; files of lake and staging are links, because they are never written in place."""
    made = whole.model_copy(update={"home": tmp_path / "home"})
    for folder in whole.home.iterdir():
        place = os.link if folder.name in {"lake", "staging"} else shutil.copy
        if folder.is_dir():
            shutil.copytree(folder, made.home / folder.name, symlinks=True, copy_function=place)
        else:
            shutil.copy(folder, made.home / folder.name)
    store.settle(made)  # as the first command in a copied workspace does
    yield made
    warehouse.close()


def test_an_intact_workspace_passes_all_checks(copy: Settings) -> None:
    checks = found(copy)
    named = {cells[0].split("`")[1] for cells in table().values()}
    assert {name: checks[name].sentence for name in named if checks[name].state != "ok"} == {}
    assert consistency.gaps(copy, END) == []
    assert status(copy).problems == []
    assert consistency.verify(copy)[BARS] == len(Lake(copy.lake).sessions(BARS))


def test_the_page_lists_the_drills() -> None:
    assert list(table()) == list(DRILLS)


@pytest.mark.parametrize("lost", DRILLS)
def test_a_loss_is_reported_and_its_remedy_restores_it(lost: str, copy: Settings, tmp_path: Path) -> None:
    drill, (says, command, _gone) = DRILLS[lost], table()[lost]
    kept, lake = tmp_path / "backup", Lake(copy.lake)
    kept.mkdir()
    for name in ("mlflow", "prefect", "trials"):
        shutil.copytree(copy.home / name, kept / name)
    before = {name: content(lake, name) for name in drill.same}
    drill.lose(copy, kept)
    name, state, words = re.fullmatch(r"`(\w+)` (failed|warning): (.*)", says).groups()  # type: ignore[union-attr]
    broken = found(copy, name)
    assert (broken[name].state, words in broken[name].found) == (state, True), broken[name].sentence
    for part in re.findall(r"`(champion [a-z ]+)", command):
        assert part.strip() in broken[name].sentence or lost in SEVERAL
    status(copy)
    drill.bring_back(copy, kept)
    assert found(copy, name)[name].state == drill.after
    assert {name: content(Lake(copy.lake), name) for name in drill.same} == before


@pytest.mark.parametrize("damage", ["gone", "damaged", "empty"])
def test_status_works_without_the_tracking_store(damage: str, copy: Settings) -> None:
    path = copy.home / "mlflow" / "mlflow.db"
    shutil.rmtree(path.parent) if damage == "gone" else path.write_bytes(b"x" * 9999 * (damage == "damaged"))
    result = CliRunner(env={"CHAMPION_HOME": str(copy.home)}).invoke(app, ["status"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "not read: MLflow's store" in result.output
    assert "freshness: last session 2024-08-30" in result.output
    assert status(copy).problems


def test_status_reports_a_damaged_manifest_and_shows_other_datasets(copy: Settings) -> None:
    manifest = next((copy.lake / "raw" / "equity_ohlc").rglob("_SUCCESS"))
    manifest.unlink()
    manifest.write_text("not a manifest")
    shown = status(copy)
    (problem,) = shown.problems
    assert problem.startswith("raw_equity_ohlc: rows: ")
    assert str(manifest) in problem
    assert sum(one.rows for one in shown.datasets if one.name == BARS) > 0


def test_lake_verify_fails_after_the_loss_of_a_layer(copy: Settings) -> None:
    shutil.rmtree(copy.lake / "normalized")
    result = CliRunner(env={"CHAMPION_HOME": str(copy.home)}).invoke(app, ["lake", "verify"])
    assert result.exit_code == 1
    expected = (
        "normalized/equity_ohlc: 215 sessions, 2023-11-01 to 2024-08-30: missing, though raw_equity_ohlc has them"
    )
    assert expected in str(result.exception)
    assert "`champion backfill 2023-11-01 2024-08-30`" in str(result.exception)


def test_sessions_removed_by_retention_are_no_gap(copy: Settings) -> None:
    aged = copy.model_copy(update={"features_years": 1, "normalized_years": 1, "raw_years": 1})
    for layer, dataset in (("normalized", "equity_ohlc"), ("features", "equity_indicators")):
        for folder in (copy.lake / layer / dataset).glob("year=2024/month=0[23]"):
            shutil.rmtree(folder)
    assert {gap.dataset for gap in consistency.gaps(copy, END) if gap.lost} == {BARS}
    later = date(2025, 4, 15)
    assert [gap.found for gap in consistency.gaps(aged, later) if gap.lost] == []


def test_a_database_without_its_tables_is_damaged(tmp_path: Path) -> None:
    for content in (b"", b"SQLite format 3\x00" + b"\x01" * 500):
        (tmp_path / "some.db").write_bytes(content)
        assert databases.damage(tmp_path / "some.db", "runs")
    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.execute("create table runs (a)")
    assert databases.damage(tmp_path / "other.db", "runs") is None
    assert databases.damage(tmp_path / "none.db", "runs")
