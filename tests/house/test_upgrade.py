"""Workspaces of earlier versions open in this version: warehouse, lake, ledger, champion, and one more session."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from champion import contracts, warehouse
from champion.base import workspace_homes
from champion.contracts.datasets import PREDICTIONS
from champion.lake import Lake
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.ingest import corporate_actions, symbol_changes, symbol_master
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.ingest.rename_instruments import rename_instruments
from champion.pipeline.maintenance.load_warehouse import load
from champion.pipeline.models.score import score_session
from champion.pipeline.operations.status import status
from champion.settings import Settings
from champion.tracking import promotion, registry, runs
from champion.warehouse import migrations

KEPT = sorted((Path(__file__).parents[1] / "kept").glob("*.tar.xz"))
# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


@dataclass(frozen=True)
class Kept:
    """An unpacked kept workspace: its description, its settings, and the digests of its lake."""

    version: str
    last: date
    following: date
    settings: Settings
    digests: dict[str, str]
    made_in: Path


@pytest.fixture(scope="module", params=KEPT, ids=lambda path: path.name.removesuffix(".tar.xz"))
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder = tmp_path_factory.mktemp("kept")
    with tarfile.open(request.param) as pack:
        pack.extractall(folder, filter="data")
    stamp = json.loads((folder / "workspace.json").read_text())
    settings = Settings(home=folder / "home", archive=str(folder / "archive"))
    lake = Lake(settings.lake)
    digests = {name: lake.digest(name) for name in contracts.names()}
    last, following = date.fromisoformat(stamp["last"]), date.fromisoformat(stamp["next"])
    yield Kept(stamp["version"], last, following, settings, digests, Path(stamp["folder"]))
    warehouse.close()
    assert not Path(stamp["folder"]).exists(), "a file was written to the original folder of the workspace"


def test_kept_lake_is_read_and_verified(kept: Kept) -> None:
    lake = Lake(kept.settings.lake)
    assert [damage for name in contracts.names() for damage in lake.verify(name) if not damage.harmless] == []
    bars = lake.scan("normalized_equity_ohlc").collect()
    assert bars["trade_date"].max() == kept.last
    assert bars.schema == contracts.load("normalized_equity_ohlc").polars_schema
    assert lake.scan("features_equity_indicators", kept.last, kept.last).collect().height > 0


def test_kept_ledger_has_its_runs_and_champion(kept: Kept) -> None:
    found = {run.name: run for run in runs.find_runs(kept.settings)}
    assert found["kept"].outcome == "succeeded"
    assert str(kept.last).encode() in (runs.read_file(kept.settings, found["kept"].run_id, "notebook/kept.html") or b"")
    assert [version.number for version in registry.versions(kept.settings)] == [1]
    assert [(entry.kind, entry.state) for entry in promotion.history(kept.settings)] == [
        ("promote", "pending"),
        ("promote", "done"),
    ]
    assert status(kept.settings).champion.startswith("version 1")


def test_kept_champion_gives_the_same_scores_in_another_folder(kept: Kept) -> None:
    """The original folder of the workspace is gone; it is used here, moved again, and used there."""
    settings = kept.settings
    stored = Lake(settings.lake).scan(PREDICTIONS, kept.last, kept.last).collect().sort("rank")
    again = score_session(settings, kept.last)
    kept_columns = [name for name in stored.columns if name not in {"ingest_time", "event_id"}]
    assert again.scores.sort("rank").select(kept_columns).equals(stored.select(kept_columns))
    assert Lake(settings.lake).digest(PREDICTIONS) == kept.digests[PREDICTIONS]
    further = settings.model_copy(update={"home": settings.home.parent / "moved again"})
    shutil.copytree(settings.home, further.home)
    settings.home.rename(hidden := settings.home.with_name("hidden"))
    try:
        assert score_session(further, kept.last).scores.select(kept_columns).equals(again.scores.select(kept_columns))
        run = runs.find_runs(further, tags={"mlflow.runName": "kept"})[0]
        assert Path(runs.location(run, "notebook/kept.html")).is_relative_to(further.home)
        assert Path(runs.location(run, "notebook/kept.html")).exists()
        assert workspace_homes.recorded(further.home)[0] == str(kept.made_in / "home")
        assert not settings.home.exists()
    finally:
        hidden.rename(settings.home)


def test_kept_warehouse_is_migrated_and_one_more_session_is_processed(kept: Kept) -> None:
    """The steps of a daily run without its flow: fetch, ingest, rename, build, load, score with the old champion."""
    settings, lake, day = kept.settings, Lake(kept.settings.lake), kept.following
    with warehouse.writer(settings) as client:
        had = migrations.applied(client)
        assert had, "the old version left a warehouse"
        warehouse.migrate(client)
        assert migrations.pending(client) == []
    fetch(settings, day, day)
    symbol_changes.refresh(settings)
    ingest(lake, staged(settings, day, day)).require_complete()
    rename_instruments(settings).require_complete()
    symbol_master.refresh(settings)
    corporate_actions.refresh(settings)
    build_features(lake, day, day)
    scored = score_session(settings, day)
    assert (scored.version.number, scored.written) == (1, True)
    load(settings, day.replace(day=1), day)
    asked = "select toString(trade_date), count() from {} where trade_date >= '{}' group by all order by all"
    with warehouse.reader(settings) as client:
        for name in ("normalized_equity_ohlc", "features_equity_indicators", PREDICTIONS):
            rows = client.query(asked.format(name, kept.last)).result_rows
            expected = [(str(one), lake.rows(name, one, one)) for one in (kept.last, day)]
            assert rows == expected, name
    for name in ("raw_equity_ohlc", "normalized_equity_ohlc", "features_equity_indicators"):
        assert lake.digest(name, end=kept.last) == kept.digests[name], f"{name}: files of the old version are unchanged"
