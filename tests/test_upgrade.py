"""A workspace that an earlier version made opens in this one: warehouse, lake, ledger, champion; one session more."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from champion import contracts, warehouse
from champion.lake import Lake
from champion.pipeline import actions, lineage, masters
from champion.pipeline.build import build_features
from champion.pipeline.fetch import fetch, staged
from champion.pipeline.identify import identify
from champion.pipeline.ingest import ingest
from champion.pipeline.load import load
from champion.pipeline.score import PREDICTIONS, score_session
from champion.pipeline.status import status
from champion.settings import Settings
from champion.tracking import promotion, registry, runs
from champion.warehouse import migrations

KEPT = sorted((Path(__file__).parent / "kept").glob("*.tar.xz"))
_PLACES = {  # MLflow keeps absolute addresses: a workspace that moved is told where it is now
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "source, storage_location",
}
# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


@dataclass(frozen=True)
class Kept:
    """A kept workspace, unpacked: what it says of itself, its settings, the lake's digests as they were found."""

    version: str
    last: date
    following: date
    settings: Settings
    digests: dict[str, str]


@pytest.fixture(scope="module", params=KEPT, ids=lambda path: path.name.removesuffix(".tar.xz"))
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder = tmp_path_factory.mktemp("kept")
    with tarfile.open(request.param) as pack:
        pack.extractall(folder, filter="data")
    stamp = json.loads((folder / "workspace.json").read_text())
    _tell_where(folder / "home" / "mlflow" / "mlflow.db", stamp["folder"], str(folder))
    settings = Settings(home=folder / "home", archive=str(folder / "archive"))
    lake = Lake(settings.lake)
    digests = {name: lake.digest(name) for name in contracts.names()}
    last, following = date.fromisoformat(stamp["last"]), date.fromisoformat(stamp["next"])
    yield Kept(stamp["version"], last, following, settings, digests)
    warehouse.close()


def _tell_where(database: Path, before: str, now: str) -> None:
    with sqlite3.connect(database) as books:
        for table, columns in _PLACES.items():
            for column in columns.split(", "):
                books.execute(f"update {table} set {column} = replace({column}, ?, ?)", (before, now))
    books.close()


def test_the_lake_is_read_and_found_whole(kept: Kept) -> None:
    lake = Lake(kept.settings.lake)
    assert [damage for name in contracts.names() for damage in lake.verify(name) if not damage.harmless] == []
    bars = lake.scan("normalized_equity_ohlc").collect()
    assert bars["trade_date"].max() == kept.last
    assert bars.schema == contracts.load("normalized_equity_ohlc").polars_schema
    assert lake.scan("features_equity_indicators", kept.last, kept.last).collect().height > 0


def test_the_ledger_tells_what_ran_and_who_is_champion(kept: Kept) -> None:
    found = {run.name: run for run in runs.find_runs(kept.settings)}
    assert found["kept"].outcome == "succeeded"
    assert str(kept.last).encode() in (runs.read_file(kept.settings, found["kept"].run_id, "notebook/kept.html") or b"")
    assert [version.number for version in registry.versions(kept.settings)] == [1]
    assert [(entry.kind, entry.state) for entry in promotion.history(kept.settings)] == [
        ("promote", "pending"),
        ("promote", "done"),
    ]
    assert status(kept.settings).champion.startswith("version 1")


def test_the_warehouse_is_migrated_and_one_session_more_goes_through(kept: Kept) -> None:
    """As a daily run does it, without its flow: fetched, ingested, named, built, loaded, scored by the old champion."""
    settings, lake, day = kept.settings, Lake(kept.settings.lake), kept.following
    with warehouse.writer(settings) as client:
        had = migrations.applied(client)
        assert had, "the old version left a warehouse"
        warehouse.migrate(client)
        assert migrations.pending(client) == []
    fetch(settings, day, day)
    lineage.refresh(settings)
    ingest(lake, staged(settings, day, day)).require_complete()
    identify(settings).require_complete()
    masters.refresh(settings)
    actions.refresh(settings)
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
        assert lake.digest(name, end=kept.last) == kept.digests[name], f"{name}: what the old version wrote stays"
