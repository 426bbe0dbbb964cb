"""A corrected file changes only data derived from it, and the earlier state can still be read."""

from __future__ import annotations

import time
import zipfile
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from champion.base import clock
from champion.base.atomic_files import sha256
from champion.lake import Lake
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.ingest import corporate_actions, symbol_changes
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import IngestResult, ingest
from champion.pipeline.ingest.rename_instruments import rename_instruments
from champion.settings import Settings
from champion.simulate import publish
from champion.sources.publications import bhavcopy_paths

START, END = date(2023, 12, 18), date(2024, 1, 9)
SESSION, SYMBOL = date(2024, 1, 4), "BHIMASURE"
RAW, BARS, FEATURES = "raw_equity_ohlc", "normalized_equity_ohlc", "features_equity_indicators"
LOW, CLOSE = 16, 17  # columns of UDiFF
OTHERS = ("raw_equity_delivery", "normalized_equity_delivery", "raw_index_ohlc", "normalized_index_ohlc")


@dataclass(frozen=True)
class State:
    """The lake at one moment: its files' digests by path, and its features and raw bars."""

    files: dict[str, str]
    features: pl.DataFrame
    raw: pl.DataFrame


@dataclass(frozen=True)
class Corrected:
    """A workspace before and after a correction, a moment before it, and the result of the second ingestion."""

    settings: Settings
    before: State
    after: State
    moment: datetime
    ingested: IngestResult


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> Corrected:
    archive = publish(tmp_path_factory.mktemp("archive"), instruments=12, start=START, end=END)
    settings = Settings(home=tmp_path_factory.mktemp("home"), archive=str(archive.root))
    backfill(settings)
    before, moment = state(settings), clock.now()
    time.sleep(0.01)  # moments are compared by the millisecond
    correct(archive.root / bhavcopy_paths(SESSION)[0])
    ingested = backfill(settings, refresh=True)
    return Corrected(settings, before, state(settings), moment, ingested)


def backfill(settings: Settings, *, refresh: bool = False) -> IngestResult:
    lake = Lake(settings.lake)
    fetch(settings, START, END, refresh=refresh)
    symbol_changes.refresh(settings)
    done = ingest(lake, staged(settings, START, END))
    rename_instruments(settings)
    corporate_actions.refresh(settings)
    build_features(lake, START, END)
    return done


def correct(path: Path) -> None:
    """Change the close of one share to its low."""
    with zipfile.ZipFile(path) as packed:
        (member,) = packed.namelist()
        rows = [line.split(",") for line in packed.read(member).decode().splitlines()]
    (row,) = (cells for cells in rows if SYMBOL in cells)
    assert row[CLOSE] != row[LOW]
    row[CLOSE] = row[LOW]
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(member, "".join(f"{','.join(cells)}\n" for cells in rows))


def state(settings: Settings) -> State:
    lake = Lake(settings.lake)
    files = {str(p.relative_to(lake.root)): sha256(p) for p in lake.root.rglob("*") if p.is_file()}
    features = lake.scan(FEATURES).collect().sort("trade_date", "instrument_id")
    return State(files, features, lake.scan(RAW).collect().sort("TradDt", "TckrSymb", "SctySrs"))


def changed(corrected: Corrected, dataset: str) -> set[date]:
    """Return the sessions with a new, removed or changed file of the dataset."""
    before, after = (
        {p: d for p, d in s.files.items() if p.startswith(dataset)} for s in (corrected.before, corrected.after)
    )
    other = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
    folders = [dict(part.split("=") for part in path.split("/") if "=" in part) for path in other]
    return {date.fromisoformat(f.get("date") or f"{f['year']}-{f['month']}-{f['day']}") for f in folders}


def test_only_the_corrected_file_is_ingested_again(corrected: Corrected) -> None:
    assert corrected.ingested.written == [SESSION]
    assert corrected.ingested.totals["written"] == 1
    assert changed(corrected, "raw/equity_ohlc") == changed(corrected, "normalized/equity_ohlc") == {SESSION}
    assert [name for name in OTHERS if changed(corrected, name.replace("_", "/", 1))] == []


def test_features_are_rebuilt_from_the_corrected_session_on(corrected: Corrected) -> None:
    sessions = Lake(corrected.settings.lake).sessions(BARS)
    assert changed(corrected, "features/equity_indicators") == {s for s in sessions if s >= SESSION} != set(sessions)


def test_features_change_only_for_the_corrected_share(corrected: Corrected) -> None:
    mine = pl.col("symbol") == SYMBOL
    before, after = corrected.before.features, corrected.after.features
    assert_frame_equal(after.filter(~mine), before.filter(~mine), check_exact=True)
    for session in before["trade_date"].unique():
        then, now = (frame.filter(mine & (pl.col("trade_date") == session)) for frame in (before, after))
        assert then.equals(now) == (session < SESSION)


def test_earlier_revisions_are_read_with_as_of(corrected: Corrected) -> None:
    lake = Lake(corrected.settings.lake)
    key = ("TradDt", "TckrSymb", "SctySrs")
    assert_frame_equal(lake.scan(RAW, as_of=corrected.moment).collect().sort(key), corrected.before.raw)
    assert_frame_equal(lake.scan(RAW, as_of=clock.now()).collect().sort(key), corrected.after.raw)
    closes = [
        lake.scan(RAW, SESSION, SESSION, as_of=moment).filter(pl.col("TckrSymb") == SYMBOL).select("ClsPric", "LwPric")
        for moment in (corrected.moment, None)
    ]
    assert [close == low for frame in closes for close, low in frame.collect().rows()] == [False, True]
    assert lake.scan(BARS, SESSION, SESSION).filter(symbol=SYMBOL).collect()["close"].to_list() == [
        closes[1].collect()["ClsPric"].item()
    ]


def test_a_repeated_backfill_changes_nothing(corrected: Corrected) -> None:
    assert backfill(corrected.settings, refresh=True).totals["written"] == 0
    assert state(corrected.settings).files == corrected.after.files
