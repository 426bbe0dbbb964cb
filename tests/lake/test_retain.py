"""Retention: plans read only dates, only archived partitions are removed, and they can be restored."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import time
from datetime import UTC, date, datetime, timedelta
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event as Flag
from pathlib import Path

import polars as pl
import pytest
from ideas import RUPEES
from polars.testing import assert_frame_equal
from waiting import PATIENCE

from champion import contracts
from champion.errors import LakeError, UsageError
from champion.lake import Lake, seal, sweep
from champion.lake.retention import Step, first_kept
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.maintenance.retention import plan, restore, retain
from champion.settings import Settings

RAW, BARS = "raw_equity_ohlc", "normalized_equity_ohlc"
NONE = timedelta(0)
TODAY = date(2027, 2, 10)  # three years before it, January 2024 is over and February is not
FROM = date(2024, 2, 1)
NOTICED = datetime(2024, 5, 1, tzinfo=UTC)
LATER = ("month=0[5-8]", "date=2024-0[5-8]-*")  # months that decide nothing here


@pytest.fixture
def home(ingested: Settings, tmp_path: Path) -> Path:
    """A workspace with a copy of the ingested lake, from November to April."""
    without = shutil.ignore_patterns(*LATER)
    shutil.copytree(ingested.lake, tmp_path / "home" / "lake", copy_function=shutil.copy, ignore=without)
    return tmp_path / "home"


def settings(home: Path, raw_years: int | None = None, normalized_years: int | None = None) -> Settings:
    archive = home.parent / "archive"
    return Settings(home=home, lake_archive=archive, raw_years=raw_years, normalized_years=normalized_years)


def rows(lake: Lake, name: str) -> pl.DataFrame:
    contract = contracts.load(name)
    return lake.scan(name).collect().sort(contract.session, *contract.sort_by)


def lines(steps: list[Step]) -> list[tuple[str, str, int]]:
    """Return the steps of the bars; those of other datasets are alike."""
    return [(step.name, step.action, len(step.sessions)) for step in steps if step.name in {BARS, RAW}]


def files(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file() and ".locks" not in path.parts}


def test_whole_months_expire() -> None:
    assert first_kept(TODAY, 3) == FROM


def test_default_settings_plan_and_change_nothing(home: Path) -> None:
    before = files(home)
    assert retain(Settings(home=home), TODAY, NONE) == plan(Settings(home=home), TODAY) == []
    assert files(home) == before


def test_without_an_archive_data_that_needs_one_is_kept(home: Path) -> None:
    asked = Settings(home=home, normalized_years=3)
    before = files(home)
    steps = retain(asked, TODAY, NONE)
    assert BARS in {step.name for step in steps}
    assert {step.action for step in steps} == {"keep"}
    assert all("CHAMPION_LAKE_ARCHIVE" in step.why for step in steps)
    assert files(home) == before
    with pytest.raises(UsageError, match="CHAMPION_LAKE_ARCHIVE"):
        restore(asked, FROM, FROM, [BARS])


def test_own_features_follow_the_rule_of_their_contract(home: Path) -> None:
    """Their contract lies in the lake, not in Champion's folder of schemas."""
    lake = Lake(home / "lake")
    build_features(lake, date(2024, 1, 25), date(2024, 2, 2), feature_set="ideas:RUPEES")
    assert plan(Settings(home=home), TODAY) == []
    (step,) = plan(Settings(home=home, features_years=3), TODAY)
    assert (step.name, step.action, step.sessions[-1]) == (RUPEES.contract, "delete", date(2024, 1, 31))
    assert retain(Settings(home=home, features_years=3), TODAY, NONE) == [step]
    assert lake.sessions(RUPEES.contract) == [date(2024, 2, 1), date(2024, 2, 2)]


def test_a_plan_changes_nothing(home: Path) -> None:
    before, old = files(home.parent), [s for s in Lake(home / "lake").sessions(BARS) if s < FROM]
    archived = [s for s in Lake(home / "lake").sessions(RAW) if s < date(2025, 2, 1)]
    assert lines(plan(settings(home, normalized_years=3), TODAY)) == [
        (BARS, "archive", len(archived)),
        (BARS, "delete", len(old)),
        (RAW, "archive", len(archived)),
    ]
    assert files(home.parent) == before


def test_old_partitions_are_archived_removed_and_restored(home: Path) -> None:
    asked = settings(home, normalized_years=3)
    lake, archive = Lake(asked.lake), Lake(home.parent / "archive")
    before, digest, raw = rows(lake, BARS), lake.digest(BARS), rows(lake, RAW)
    retain(asked, TODAY, NONE)
    assert lake.sessions(BARS)[0] == FROM
    assert_frame_equal(rows(lake, BARS), before.filter(pl.col("trade_date") >= FROM))
    assert_frame_equal(rows(lake, RAW), raw)
    assert_frame_equal(rows(archive, BARS), before)  # an archive is a lake
    assert [d for name in (RAW, BARS) for d in (*lake.verify(name), *archive.verify(name))] == []
    assert not list((lake.root / "normalized/equity_ohlc").glob("year=2023"))
    assert plan(asked, TODAY) == retain(asked, TODAY, NONE) == []
    back = restore(asked, date(2023, 11, 1), date(2023, 12, 31), [BARS])
    assert back[BARS] == [s for s in archive.sessions(BARS) if s.year == 2023]
    restore(asked, date(2023, 1, 1), TODAY, [BARS])
    assert_frame_equal(rows(lake, BARS), before)
    assert lake.digest(BARS) == digest
    assert restore(asked, date(2023, 1, 1), TODAY, [BARS]) == {}


def test_all_revisions_are_archived(home: Path) -> None:
    asked, session = settings(home, raw_years=3), date(2023, 11, 15)
    lake, archive = Lake(asked.lake), Lake(home.parent / "archive")
    retain(settings(home), TODAY, NONE)
    first = lake.scan(RAW, session, session).collect()
    lake.write(RAW, session, first.head(2), {"file": "corrected"}, known_at=NOTICED)
    retain(asked, TODAY, NONE)
    assert lake.sessions(RAW)[0] == FROM
    for there in (archive, lake):
        assert_frame_equal(there.scan(RAW, session, session).collect(), first.head(2))
        assert_frame_equal(there.scan(RAW, session, session, as_of=NOTICED - timedelta(days=1)).collect(), first)
        restore(asked, session, session, [RAW])


def test_a_sealed_year_expires_as_a_whole_and_replaces_its_archived_days(home: Path) -> None:
    asked = settings(home, normalized_years=3)
    lake, archive = Lake(asked.lake), Lake(home.parent / "archive")
    before, session = rows(lake, BARS), date(2023, 11, 15)
    retain(settings(home), TODAY, NONE)  # by day first
    corrected = lake.scan(BARS, session, session).collect().head(3)
    lake.write(BARS, session, corrected, {"file": "corrected"})
    expected = pl.concat([before.filter(pl.col("trade_date") != session), corrected])
    for year in (2023, 2024):
        seal(lake, BARS, year)
    sweep(lake, [BARS], NONE)
    retain(asked, TODAY, NONE)
    assert lake.sessions(BARS)[0].year == 2024
    assert lake.sessions(BARS)[0] < FROM  # the year's last month is kept, so all of it
    assert_frame_equal(rows(archive, BARS), expected.sort("trade_date", "symbol", "instrument_id"))
    assert [d for d in archive.verify(BARS) if "made from the file" not in d.reason] == []
    restore(asked, session, session, [BARS])
    assert_frame_equal(lake.scan(BARS, session, session).collect(), corrected)


def test_a_day_beside_its_sealed_year_is_not_removed_before_it(home: Path) -> None:
    asked, session = settings(home, normalized_years=3), date(2024, 1, 15)
    lake = Lake(asked.lake)
    seal(lake, BARS, 2024)
    sweep(lake, [BARS], NONE)
    corrected = lake.scan(BARS, session, session).collect().head(3)
    lake.write(BARS, session, corrected, {"file": "corrected"})
    retain(asked, TODAY, NONE)
    assert_frame_equal(lake.scan(BARS, session, session).collect(), corrected)


def test_a_damaged_archived_copy_stops_removal(home: Path) -> None:
    asked = settings(home, normalized_years=3)
    lake, archive = Lake(asked.lake), Lake(home.parent / "archive")
    retain(settings(home), TODAY, NONE)
    file, before = archive.files(BARS)[0], lake.sessions(BARS)
    file.write_bytes(b"x" + file.read_bytes()[1:])
    with pytest.raises(LakeError, match="is not the archived copy"):
        retain(asked, TODAY, NONE)
    assert lake.sessions(BARS) == before


def test_a_damaged_file_is_not_archived(home: Path) -> None:
    asked = settings(home, normalized_years=3)
    lake, archive = Lake(asked.lake), Lake(home.parent / "archive")
    file, before = lake.files(BARS)[0], lake.sessions(BARS)
    file.write_bytes(b"x" + file.read_bytes()[1:])
    with pytest.raises(LakeError, match="as committed; nothing was removed"):
        retain(asked, TODAY, NONE)
    assert lake.sessions(BARS) == before
    assert before[0] not in archive.sessions(BARS)


def _retain(home: Path, ready: Flag) -> None:
    asked = settings(home, normalized_years=3)
    ready.set()
    retain(asked, TODAY, timedelta(seconds=1))


def _read_until(stop: Flag, home: Path, answers: SimpleQueue[object]) -> None:
    lake, reads = Lake(home / "lake"), 0
    try:
        sizes = {session: lake.rows(BARS, session, session) for session in lake.sessions(BARS)}
        while not stop.is_set():
            found = dict(lake.scan(BARS).group_by("trade_date").agg(pl.len()).collect().iter_rows())
            if wrong := {session: count for session, count in found.items() if sizes[session] != count}:
                answers.put(f"partial sessions: {wrong}")
                return
            reads += 1
            time.sleep(0.05)  # about as long as a read: half a core is left to others
    except Exception as error:  # noqa: BLE001 - whatever a reader meets is the finding
        answers.put(repr(error))
        return
    answers.put(reads)


def test_a_retention_killed_at_any_moment_loses_nothing_and_readers_continue(home: Path) -> None:
    context, rng = multiprocessing.get_context("spawn"), random.Random(5)  # noqa: S311 - instants, not secrets
    lake, archive = Lake(home / "lake"), Lake(home.parent / "archive")
    before, killed = rows(lake, BARS), 0
    stop, answers = context.Event(), context.SimpleQueue()
    reader = context.Process(target=_read_until, args=(stop, home, answers))
    reader.start()
    for turn in range(6):
        ready = context.Event()
        retainer = context.Process(target=_retain, args=(home, ready))
        retainer.start()
        assert ready.wait(PATIENCE)
        time.sleep(rng.uniform(0, 0.5 + 0.3 * turn))
        assert retainer.pid is not None
        os.kill(retainer.pid, signal.SIGKILL)
        retainer.join()
        killed += retainer.exitcode == -signal.SIGKILL
        both = pl.concat([rows(lake, BARS), rows(archive, BARS)]).unique().sort("trade_date", "symbol", "instrument_id")
        assert_frame_equal(both, before)
        assert [d for there in (lake, archive) for d in there.verify(BARS) if not d.harmless] == []
    stop.set()
    reads = answers.get()
    reader.join()
    assert isinstance(reads, int), reads
    assert reads > 10
    assert killed > 2
    retain(settings(home, normalized_years=3), TODAY, NONE)
    assert lake.sessions(BARS)[0] == FROM
    assert_frame_equal(rows(archive, BARS), before)
    assert [d for there in (lake, archive) for d in there.verify(BARS)] == []
