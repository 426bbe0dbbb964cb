"""Sealing: a sealed year reads like its day partitions, also after later writes and after a kill at any moment."""

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
from tempfile import TemporaryDirectory

import hypothesis
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from copies import with_warehouse
from hypothesis import given, strategies as st
from polars.testing import assert_frame_equal
from waiting import PATIENCE

from champion import contracts
from champion.base import clock
from champion.errors import LakeError
from champion.lake import Lake, index, partitions, seal, sweep
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.maintenance.load_warehouse import load
from champion.settings import Settings

RAW, BARS = "raw_equity_ohlc", "normalized_equity_ohlc"
QUARANTINE, FEATURES = "quarantine_equity_ohlc", "features_equity_indicators"
NONE = timedelta(0)
LATER = ("month=0[5-8]", "date=2024-0[5-8]-*")  # a year has enough of four months
NEW_YEAR, YEAR_END = date(2024, 1, 1), date(2024, 12, 31)


@pytest.fixture
def lake(ingested: Settings, tmp_path: Path) -> Lake:
    """A copy of the ingested lake to April that a test may change, with rejected rows."""
    without = shutil.ignore_patterns(*LATER)
    shutil.copytree(ingested.lake, tmp_path / "lake", copy_function=shutil.copy, ignore=without)
    lake = Lake(tmp_path / "lake")
    for day, count in ((12, 3), (13, 0), (14, 2)):
        lake.write(QUARANTINE, date(2024, 3, day), refused(date(2024, 3, day), count), {"made": "here"})
    return lake


def refused(session: date, count: int) -> pl.DataFrame:
    values = {
        "session": session,
        "stage": "raw",
        "reasons": ["low_le_high"],
        "row": "a,b",
        "source": "nse_cm_udiff",
        "source_file": "f.csv",
        "source_sha256": "0",
        "ingest_time": datetime(2024, 3, 15, tzinfo=UTC),
    }
    rows = [{**values, "row_number": number} for number in range(count)]
    return pl.DataFrame(rows, schema=contracts.load(QUARANTINE).polars_schema)


def sorted_rows(lake: Lake, name: str, start: date | None = None, end: date | None = None) -> pl.DataFrame:
    contract = contracts.load(name)
    return lake.scan(name, start, end).collect().sort(contract.session, *contract.sort_by)


def state(lake: Lake, name: str) -> list[object]:
    """Return everything that downstream decisions depend on."""
    return [
        lake.sessions(name),
        lake.digest(name),
        lake.digest(name, date(2024, 3, 1), date(2024, 3, 31)),
        lake.rows(name, date(2024, 2, 1)),
        [lake.manifest(name, session) for session in lake.sessions(name)],
    ]


@pytest.mark.parametrize("name", [RAW, BARS, QUARANTINE])
def test_a_sealed_year_reads_like_its_day_partitions(lake: Lake, name: str) -> None:
    before, rows = state(lake, name), sorted_rows(lake, name)
    march = sorted_rows(lake, name, date(2024, 3, 5), date(2024, 3, 20))
    (sealed,) = seal(lake, name, 2024)
    sweep(lake, [name], NONE)
    assert sealed.changed
    assert not sealed.left
    assert sealed.sessions == len(lake.sessions(name, NEW_YEAR, YEAR_END))
    assert state(lake, name) == before
    assert_frame_equal(sorted_rows(lake, name), rows)
    assert_frame_equal(sorted_rows(lake, name, date(2024, 3, 5), date(2024, 3, 20)), march)
    assert len(lake.files(name, NEW_YEAR)) == 1
    assert all(
        lake.is_current(name, s, found.current.inputs) for s in lake.sessions(name) if (found := lake.manifest(name, s))
    )
    assert lake.verify(name) == []
    assert not [path for path in (lake.root).rglob("*2024-0*") if path.parent.name == name]


def test_sealing_again_does_nothing(lake: Lake) -> None:
    seal(lake, BARS, 2024)
    sweep(lake, [BARS], NONE)
    before = {path: path.stat().st_mtime_ns for path in lake.root.rglob("*") if path.is_file()}
    assert not seal(lake, BARS, 2024)[0].changed
    assert sweep(lake, [BARS], NONE) == 0
    assert {path: path.stat().st_mtime_ns for path in lake.root.rglob("*") if path.is_file()} == before


def test_a_scan_from_before_sealing_collects_during_and_after_the_grace(lake: Lake) -> None:
    begun, rows = lake.scan(BARS), lake.rows(BARS)
    seal(lake, BARS, 2024)
    assert begun.collect().height == lake.scan(BARS).collect().height == rows
    before = time.monotonic()
    removed = sweep(lake, [BARS], timedelta(seconds=0.5))
    assert time.monotonic() - before >= 0.5
    assert removed == len(lake.sessions(BARS, NEW_YEAR))
    assert begun.collect().height == lake.scan(BARS).collect().height == rows, "and after it"


def test_a_sealed_file_is_sorted_by_symbol(lake: Lake) -> None:
    seal(lake, BARS, 2024)
    (file,) = lake.files(BARS, NEW_YEAR)
    rows = pl.read_parquet(file)
    assert rows.select("symbol", "trade_date").equals(rows.select("symbol", "trade_date").sort("symbol", "trade_date"))
    column = pq.read_metadata(file).row_group(0).column(rows.columns.index("symbol"))
    assert column.compression == "ZSTD"
    assert column.statistics.has_min_max


def test_a_session_of_a_sealed_year_can_be_written_again(lake: Lake) -> None:
    seal(lake, BARS, 2024)
    sweep(lake, [BARS], NONE)
    session, other = date(2024, 3, 13), date(2024, 3, 14)
    digests = lake.digest(BARS, session, session), lake.digest(BARS, other, other)
    all_rows, corrected = lake.rows(BARS), lake.scan(BARS, session, session).collect().head(3)
    gone = lake.scan(BARS, session, session).collect().height - 3
    assert lake.write(BARS, session, corrected, {"file": "corrected"})
    for _ in ("beside the sealed year", "folded in"):
        assert_frame_equal(lake.scan(BARS, session, session).collect(), corrected)
        assert lake.rows(BARS) == lake.scan(BARS).collect().height == all_rows - gone
        assert lake.digest(BARS, session, session) != digests[0]
        assert lake.digest(BARS, other, other) == digests[1]
        assert lake.is_current(BARS, session, {"file": "corrected"})
        assert [d for d in lake.verify(BARS) if not d.harmless and "made from the file" not in d.reason] == []
        seal(lake, BARS, 2024)
        sweep(lake, [BARS], NONE)
        assert len(lake.files(BARS, NEW_YEAR)) == 1


def test_a_correction_of_a_sealed_raw_session_keeps_both_revisions(lake: Lake) -> None:
    seal(lake, RAW, 2024)
    sweep(lake, [RAW], NONE)
    session, noticed = date(2024, 3, 13), datetime(2024, 5, 1, tzinfo=UTC)
    first = lake.scan(RAW, session, session).collect()
    lake.write(RAW, session, first.head(2), {"file": "corrected"}, known_at=noticed)
    for _ in ("beside the sealed year", "sealed again", "sealed once more"):
        assert_frame_equal(lake.scan(RAW, session, session).collect(), first.head(2))
        assert_frame_equal(lake.scan(RAW, session, session, as_of=noticed - timedelta(seconds=1)).collect(), first)
        assert lake.rows(RAW, session, session, as_of=noticed) == 2
        assert lake.scan(RAW).collect().height == lake.rows(RAW)
        assert lake.verify(RAW) == []
        (sealed,) = seal(lake, RAW, 2024)
        assert sealed.left == [session]
        sweep(lake, [RAW], NONE)
    assert all(path.stat().st_mode & 0o222 == 0 for path in lake.root.joinpath("raw").rglob("*.parquet"))


def test_a_session_with_rows_of_another_date_is_not_sealed(lake: Lake) -> None:
    session = date(2024, 3, 13)
    lake.write(QUARANTINE, session, refused(date(2024, 3, 12), 1), {"made": "spliced"})
    (sealed,) = seal(lake, QUARANTINE, 2024)
    assert sealed.left == [session]
    assert lake.scan(QUARANTINE).collect().height == lake.rows(QUARANTINE)


def test_a_year_that_is_not_over_is_not_sealed(lake: Lake) -> None:
    with pytest.raises(LakeError, match="not over"):
        seal(lake, BARS, clock.now().year)


def test_a_damaged_day_file_stops_sealing(lake: Lake) -> None:
    file = lake.files(BARS, date(2024, 3, 13))[0]
    content = file.read_bytes()
    file.write_bytes(content[:200] + b"x" + content[201:])
    with pytest.raises(LakeError, match="nothing was sealed"):
        seal(lake, BARS, 2024)
    assert len(lake.files(BARS, NEW_YEAR)) == len(lake.sessions(BARS, NEW_YEAR))


def test_each_feature_group_is_sealed_and_indexed(tmp_path: Path) -> None:
    lake, contract = Lake(tmp_path / "lake"), contracts.load(FEATURES)
    for day in (15, 16):
        session = date(2024, 1, day)
        wide = pl.DataFrame(
            [
                {"instrument_id": f"NSE:{s}", "symbol": s, "trade_date": session, "feature_version": "v1", "sma_5": 1.0}
                for s in "AB"
            ],
            schema=contract.polars_schema,
        ).with_columns(feature_timestamp=pl.datetime(2024, 1, day, 10, time_unit="ms", time_zone="UTC"))
        for group, columns in contract.groups.items():
            lake.write(FEATURES, session, wide.select(*contract.ungrouped, *columns), {"bars": str(day)}, group)
    before, digest = sorted_rows(lake, FEATURES), lake.digest(FEATURES)
    assert [sealed.group for sealed in seal(lake, FEATURES, 2024)] == list(contract.groups)
    sweep(lake, [FEATURES], NONE)
    assert index(lake, FEATURES)
    assert_frame_equal(sorted_rows(lake, FEATURES), before)
    assert (lake.digest(FEATURES), lake.sessions(FEATURES)) == (digest, [date(2024, 1, 15), date(2024, 1, 16)])
    assert lake.verify(FEATURES) == []
    momentum = lake.root / "features/equity_indicators/_metadata_momentum"
    assert ds.parquet_dataset(momentum).to_table().num_rows == 4


def test_the_index_covers_all_rows_of_the_current_files(lake: Lake) -> None:
    folder = lake.root / "normalized/equity_ohlc"
    for step in ("by day", "sealed", "corrected"):
        if step == "sealed":
            seal(lake, BARS, 2024)
        if step == "corrected":
            rows = lake.scan(BARS, date(2024, 3, 13), date(2024, 3, 13)).collect().head(2)
            lake.write(BARS, date(2024, 3, 13), rows, {"file": "corrected"})
            (note,) = [damage for damage in lake.verify(BARS) if damage.path.name == "_metadata"]
            assert note.harmless
            assert "older than the files" in note.reason
        sweep(lake, [BARS], NONE)
        assert index(lake, BARS)
        assert not index(lake, BARS)
        found = pl.from_arrow(
            ds.parquet_dataset(folder / "_metadata").to_table(columns=["trade_date", "instrument_id", "close"])
        )
        assert isinstance(found, pl.DataFrame)
        key = ["trade_date", "instrument_id"]
        assert_frame_equal(found.sort(key), lake.scan(BARS).select(found.columns).collect().sort(key))
        assert dict(pl.read_parquet_schema(folder / "_metadata")) == contracts.load(BARS).polars_schema
        assert dict(pl.read_parquet_schema(folder / "_common_metadata")) == contracts.load(BARS).polars_schema


def _seal_and_index(root: Path, ready: Flag) -> None:
    lake = Lake(root)
    ready.set()
    seal(lake, BARS, 2024)
    sweep(lake, [BARS], timedelta(seconds=1))
    index(lake, BARS)


def _read_until(stop: Flag, root: Path, expected: int, answers: SimpleQueue[object]) -> None:
    lake, reads, keys = Lake(root), 0, pl.struct("trade_date", "instrument_id")
    try:
        while not stop.is_set():
            scanned = lake.scan(BARS, NEW_YEAR, YEAR_END)
            found = scanned.select(pl.len(), keys.n_unique().alias("keys")).collect().row(0)
            if found != (expected, expected):
                answers.put(f"read {found} rows and keys, not {expected}")
                return
            reads += 1
            time.sleep(0.05)  # about as long as a read: half a core is left to others
    except Exception as error:  # noqa: BLE001 - whatever a reader meets is the finding
        answers.put(repr(error))
        return
    answers.put(reads)


def test_a_seal_killed_at_any_moment_leaves_no_partial_or_doubled_rows(lake: Lake) -> None:
    context, rng = multiprocessing.get_context("spawn"), random.Random(3)  # noqa: S311 - instants, not secrets
    stop, answers = context.Event(), context.SimpleQueue()
    expected, rows = lake.rows(BARS, NEW_YEAR, YEAR_END), sorted_rows(lake, BARS)
    reader = context.Process(target=_read_until, args=(stop, lake.root, expected, answers))
    reader.start()
    session = date(2024, 3, 13)
    bars, killed = lake.scan(BARS, session, session).collect(), 0
    for turn in range(5):
        lake.write(BARS, session, bars, {"turn": str(turn)})
        ready = context.Event()
        sealer = context.Process(target=_seal_and_index, args=(lake.root, ready))
        sealer.start()
        assert ready.wait(PATIENCE)
        time.sleep(rng.uniform(0, 1.2))
        assert sealer.pid is not None
        os.kill(sealer.pid, signal.SIGKILL)
        sealer.join()
        killed += sealer.exitcode == -signal.SIGKILL
        assert_frame_equal(sorted_rows(lake, BARS), rows)
        assert lake.is_current(BARS, session, {"turn": str(turn)})
        assert [damage for damage in lake.verify(BARS) if not damage.harmless] == []
    stop.set()
    reads = answers.get()
    reader.join()
    assert isinstance(reads, int), reads
    assert reads > 10
    assert killed > 2
    seal(lake, BARS, 2024)
    sweep(lake, [BARS], NONE)
    index(lake, BARS)
    assert lake.verify(BARS) == []  # nothing is left lying about
    assert len(lake.files(BARS, NEW_YEAR)) == 1


def test_sealing_does_not_make_features_stale(lake: Lake, tmp_path: Path) -> None:
    by_day = Lake(Path(shutil.copytree(lake.root, tmp_path / "by_day", copy_function=shutil.copy)))
    end = date(2024, 2, 15)
    build_features(by_day, date(2024, 1, 1), end)
    for year in (2023, 2024):
        seal(lake, BARS, year)
    sweep(lake, [BARS], NONE)
    build_features(lake, date(2024, 1, 1), end)
    assert lake.digest(FEATURES) == by_day.digest(FEATURES)  # made from sealed bars, byte for byte the same
    seal(lake, FEATURES, 2024)
    sweep(lake, [FEATURES], NONE)
    assert build_features(lake, date(2024, 1, 1), end).totals["written"] == 0
    assert lake.digest(FEATURES) == by_day.digest(FEATURES)


def test_the_warehouse_loads_a_month_of_a_sealed_year_once(lake: Lake, migrated: Settings, tmp_path: Path) -> None:
    home = with_warehouse(Settings(home=tmp_path), migrated)
    before = load(home, date(2024, 2, 1), date(2024, 3, 31), [BARS])
    seal(lake, BARS, 2024)
    sweep(lake, [BARS], NONE)
    after = load(home, date(2024, 2, 1), date(2024, 4, 30), [BARS])
    assert [(result.partition, result.skipped) for result in after] == [
        ("202402", True),
        ("202403", True),
        ("202404", False),
    ]
    assert [result.rows for result in after[:2]] == [result.rows for result in before]
    assert after[2].rows == lake.rows(BARS, date(2024, 4, 1), date(2024, 4, 30))


DAYS = (date(2024, 3, 12), date(2024, 3, 13), date(2024, 3, 14))
STEPS = st.one_of(
    st.tuples(st.sampled_from(DAYS), st.integers(0, 4)), st.sampled_from(["seal", "seal and sweep", "sweep", "index"])
)


@hypothesis.settings(max_examples=40)
@given(name=st.sampled_from([RAW, BARS]), steps=st.lists(STEPS, min_size=2, max_size=12))
def test_any_order_of_writing_sealing_and_sweeping_reads_the_written_rows(
    ingested: Settings, name: str, steps: list[tuple[date, int] | str]
) -> None:
    source = {day: Lake(ingested.lake).scan(name, day, day).collect() for day in DAYS}
    written: dict[date, list[tuple[datetime, int]]] = {day: [] for day in DAYS}
    with TemporaryDirectory() as folder:
        lake = Lake(Path(folder) / "lake")
        for hour, step in enumerate(steps):
            moment = datetime(2024, 4, 1, tzinfo=UTC) + timedelta(hours=hour)
            if isinstance(step, tuple):
                day, count = step
                if lake.write(name, day, source[day].head(count), {"made": str(count)}, known_at=moment):
                    written[day].append((moment, count))
            if step in {"seal", "seal and sweep"}:
                seal(lake, name, 2024)
            if step in {"sweep", "seal and sweep"}:
                sweep(lake, [name], NONE)
            if step == "index":
                index(lake, name)
            require_written(lake, name, source, written)
        seal(lake, name, 2024)
        sweep(lake, [name], NONE)
        index(lake, name)
        assert lake.verify(name) == []


def require_written(
    lake: Lake, name: str, source: dict[date, pl.DataFrame], written: dict[date, list[tuple[datetime, int]]]
) -> None:
    assert [damage for damage in lake.verify(name) if not damage.harmless] == []
    assert lake.sessions(name) == [day for day, revisions in written.items() if revisions]
    assert lake.scan(name).collect().height == lake.rows(name)
    for day, revisions in written.items():
        if revisions:
            assert_frame_equal(lake.scan(name, day, day).collect(), source[day].head(revisions[-1][1]))
            assert lake.is_current(name, day, {"made": str(revisions[-1][1])})
        for moment, count in revisions if name == RAW else ():
            assert_frame_equal(lake.scan(name, day, day, as_of=moment).collect(), source[day].head(count))


def test_a_lazy_frame_survives_sealing_and_names_sessions_that_retention_removed(lake: Lake) -> None:
    frame = lake.scan(BARS)
    filtered = frame.filter(pl.col("trade_date") > date(2024, 2, 5)).select("trade_date", "close")
    order = ["trade_date", "symbol", "series"]
    before, close = frame.collect().sort(order), filtered.collect().sort(pl.all())
    seal(lake, BARS, 2024)
    sweep(lake, [BARS], NONE)
    assert_frame_equal(frame.collect().sort(order), before)
    assert_frame_equal(filtered.collect(engine="streaming").sort(pl.all()), close)
    assert frame.select(pl.len()).collect().item() == before.height
    (manifest,) = (lake.root / "normalized/equity_ohlc").rglob("_SEALED")
    partitions.retire(manifest)
    sweep(lake, [BARS], NONE)
    with pytest.raises(LakeError, match=r"sessions were removed.* from 2024-.*; scan the dataset again"):
        filtered.collect()


def test_filters_and_columns_of_a_lazy_frame_are_pushed_into_the_scan(lake: Lake) -> None:
    plan = lake.scan(BARS).filter(pl.col("close") > 100).select("symbol").explain()
    assert "PROJECT 2/" in plan
    assert "SELECTION" in plan
