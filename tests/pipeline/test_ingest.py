"""From archive to normalized bars: every line is counted, and reruns change nothing."""

from __future__ import annotations

import shutil
import zipfile
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from champion.errors import ArchiveError, UsageError
from champion.lake import Lake
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import IngestResult, ingest
from champion.settings import Settings
from champion.simulate import SimulatedArchive
from champion.sources.publications import BHAVCOPY, bhavcopy_paths

START, END = date(2024, 6, 18), date(2024, 6, 25)  # crosses the change of the UDiFF header


def run(settings: Settings, start: date = START, end: date = END) -> IngestResult:
    fetch(settings, start, end)
    return ingest(Lake(settings.lake), staged(settings, start, end))


def contents(lake: Lake) -> dict[str, str]:
    return {name: lake.digest(name) for name in ("raw_equity_ohlc", "normalized_equity_ohlc", "quarantine_equity_ohlc")}


def test_every_line_is_normalized_or_quarantined(ingested: Settings, archive: SimulatedArchive) -> None:
    lake = Lake(ingested.lake)
    lines = 0
    for session in archive.sessions:
        path = next(file for name in bhavcopy_paths(session) if (file := archive.root / name).exists())
        with zipfile.ZipFile(path) as packed:
            lines += len(packed.read(packed.namelist()[0]).splitlines()) - 1
    assert lake.sessions("normalized_equity_ohlc") == list(archive.sessions)
    assert lake.rows("normalized_equity_ohlc") + lake.rows("quarantine_equity_ohlc") == lines > 0
    assert lake.verify("normalized_equity_ohlc") == []


def test_prices_equal_the_published_ones(ingested: Settings) -> None:
    lake = Lake(ingested.lake)
    bars, raw = (lake.scan(name, START, START).collect() for name in ("normalized_equity_ohlc", "raw_equity_ohlc"))
    joined = bars.join(raw, left_on=["symbol", "series"], right_on=["TckrSymb", "SctySrs"])
    assert joined.height == bars.height == raw.height
    assert (joined["close"] == joined["ClsPric"]).all()
    assert bars["instrument_id"].is_unique().all()
    assert bars["event_time"].unique().to_list()[0].isoformat() == "2024-06-18T10:00:00+00:00"


def test_a_second_run_changes_nothing(settings: Settings) -> None:
    first = run(settings)
    before = contents(Lake(settings.lake))
    again = run(settings)
    assert first.totals["written"] == again.totals["already"] == first.totals["files"] > 3
    assert again.totals["written"] == 0
    assert contents(Lake(settings.lake)) == before


def test_bad_rows_are_quarantined_and_the_others_kept(
    settings: Settings, archive: SimulatedArchive, tmp_path: Path
) -> None:
    copy = tmp_path / "archive"
    shutil.copytree(archive.root, copy)
    path = copy / bhavcopy_paths(START)[0]
    with zipfile.ZipFile(path) as packed:
        header, first, second, third, *rest = packed.read(packed.namelist()[0]).decode().splitlines()
    fields = second.split(",")
    fields[17] = "12,5"  # a comma where a point should be: one field too many
    cells = third.split(",")
    cells[15], cells[16] = cells[16], cells[15]  # high and low exchanged
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a.csv", "\n".join([header, first, ",".join(fields), ",".join(cells), *rest, first, ""]))
    result = run(settings.model_copy(update={"archive": str(copy)}), START, START)
    account = result.of(BHAVCOPY).row(0, named=True)
    assert account["rejected"] == result.totals["rejected"] == 3
    assert account["rows"] == account["normalized"] + account["rejected"] == len(rest) + 4
    found = Lake(settings.lake).scan("quarantine_equity_ohlc").sort("row_number").collect()
    assert found["stage"].to_list() == ["parse", "normalized", "raw"]
    assert found["reasons"].list.first().to_list() == ["fields: expected 34, found 35", "low_le_high", "duplicate_row"]
    assert found["row"].to_list()[1] == ",".join(cells)


def test_a_refused_file_does_not_stop_the_others(settings: Settings, archive: SimulatedArchive, tmp_path: Path) -> None:
    copy = tmp_path / "archive"
    shutil.copytree(archive.root, copy)
    (copy / bhavcopy_paths(date(2024, 6, 19))[0]).write_bytes(b"<html>busy</html>")
    changed = settings.model_copy(update={"archive": str(copy)})
    found = fetch(changed, START, END)
    assert [session for session, _ in found.failed] == [date(2024, 6, 19)]
    stale, fresh = (next(file for file in found.staged if file.session == date(2024, 6, day)) for day in (20, 21))
    shutil.copy(stale.file.path, fresh.file.path)
    result = ingest(Lake(changed.lake), found.staged)
    assert [session for session, _ in result.failed] == [date(2024, 6, 21)]
    assert "the file is dated 2024-06-20" in result.failed[0][1]
    assert result.totals["written"] == len(found.staged) - 1
    with pytest.raises(ArchiveError, match="1 file could not be ingested"):
        result.require_complete()


def test_a_corrected_file_becomes_a_revision(settings: Settings, archive: SimulatedArchive, tmp_path: Path) -> None:
    copy = tmp_path / "archive"
    shutil.copytree(archive.root, copy)
    changed = settings.model_copy(update={"archive": str(copy)})
    run(changed)
    before = Lake(settings.lake).scan("normalized_equity_ohlc", START, START).collect()
    path = copy / bhavcopy_paths(START)[0]
    with zipfile.ZipFile(path) as packed:
        lines = packed.read(packed.namelist()[0]).decode().splitlines()
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a.csv", "\n".join([*lines[:-1], ""]))
    fetch(changed, START, START, refresh=True)
    result = ingest(Lake(changed.lake), staged(changed, START, END))
    assert result.totals["written"] == 1
    lake = Lake(settings.lake)
    assert lake.scan("normalized_equity_ohlc", START, START).collect().height == before.height - 1
    manifest = lake.manifest("raw_equity_ohlc", START)
    assert manifest is not None
    assert [part.rows for part in manifest.parts] == [before.height, before.height - 1]


def test_wrong_archive_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        fetch(Settings(home=tmp_path, archive=str(tmp_path / "nowhere")), START, END)
    with pytest.raises(UsageError, match="ftp"):
        fetch(Settings(home=tmp_path, archive="ftp://example.com"), START, END)
    with pytest.raises(UsageError, match="before the start"):
        fetch(Settings(home=tmp_path, archive=str(tmp_path)), END, START)


def test_real_week_of_the_legacy_format(nse: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, archive=str(nse))
    totals = run(settings, date(2021, 5, 31), date(2021, 6, 4)).totals
    assert (totals["sessions"], totals["rows"], totals["normalized"], totals["rejected"]) == (5, 10299, 10299, 0)
    symbols = Lake(settings.lake).scan("normalized_equity_ohlc").filter(pl.col("symbol") == "RELIANCE").collect()
    assert symbols["close"].to_list() == [2160.3, 2168.9, 2201.25, 2209.65, 2190.5]
