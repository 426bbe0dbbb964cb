"""The lake: commits are whole, idempotent and verifiable; readers see the latest revision."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from champion import contracts
from champion.errors import ContractError, LakeError
from champion.lake import Lake

NAME = "quarantine_equity_ohlc"
SESSION = date(2024, 1, 15)


def rows(count: int, session: date = SESSION, stage: str = "raw") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "session": [session] * count,
            "stage": [stage] * count,
            "row_number": list(range(2, count + 2)),
            "reasons": [["low_le_high"]] * count,
            "row": ["a,b"] * count,
            "source": ["nse_cm_udiff"] * count,
            "source_file": ["f.csv"] * count,
            "source_sha256": ["0"] * count,
            "ingest_time": [None] * count,
        },
        schema=contracts.load(NAME).polars_schema,
    ).with_columns(ingest_time=pl.datetime(2024, 1, 15, time_unit="ms", time_zone="UTC"))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_write_then_scan(lake: Lake) -> None:
    assert lake.write(NAME, SESSION, rows(3), {"file": "a"})
    assert lake.scan(NAME).collect().equals(rows(3))
    assert lake.sessions(NAME) == [SESSION]
    assert lake.rows(NAME) == 3
    assert lake.files(NAME)[0].relative_to(lake.root) == Path(
        "quarantine/equity_ohlc/date=2024-01-15/part-00000.parquet"
    )


def test_same_inputs_again_change_nothing(lake: Lake) -> None:
    lake.write(NAME, SESSION, rows(3), {"file": "a"})
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in lake.root.rglob("*") if path.is_file()}
    assert not lake.write(NAME, SESSION, rows(3), {"file": "a"})
    assert before == {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in before}


def test_other_inputs_replace_the_partition_and_its_digest(lake: Lake) -> None:
    lake.write(NAME, SESSION, rows(3), {"file": "a"})
    digest = lake.digest(NAME)
    assert lake.write(NAME, SESSION, rows(2), {"file": "b"})
    assert lake.scan(NAME).collect().height == 2
    assert lake.digest(NAME) != digest


def test_scan_takes_a_range_of_sessions_and_an_empty_one(lake: Lake) -> None:
    for day in (15, 16, 17):
        lake.write(NAME, date(2024, 1, day), rows(day, date(2024, 1, day)), {"file": str(day)})
    assert lake.scan(NAME, date(2024, 1, 16), date(2024, 1, 17)).collect().height == 33
    empty = lake.scan(NAME, date(2025, 1, 1)).collect()
    assert empty.height == 0
    assert empty.schema == contracts.load(NAME).polars_schema


def test_a_frame_that_breaks_the_contract_is_not_written(lake: Lake) -> None:
    with pytest.raises(ContractError, match="unknown columns"):
        lake.write(NAME, SESSION, rows(1).with_columns(extra=1), {"file": "a"})
    assert lake.sessions(NAME) == []


def test_raw_keeps_every_revision_and_reads_the_last(ingested_raw: tuple[Lake, pl.DataFrame]) -> None:
    lake, frame = ingested_raw
    lake.write("raw_equity_ohlc", SESSION, frame, {"file": "a"})
    lake.write("raw_equity_ohlc", SESSION, frame.head(1), {"file": "b"})
    folder = lake.files("raw_equity_ohlc")[0].parent
    assert sorted(path.name for path in folder.glob("*.parquet")) == ["part-00000.parquet", "part-00001.parquet"]
    assert lake.scan("raw_equity_ohlc").collect().height == 1
    assert all(path.stat().st_mode & 0o222 == 0 for path in folder.glob("*.parquet"))


@pytest.fixture
def ingested_raw(lake: Lake) -> tuple[Lake, pl.DataFrame]:
    contract = contracts.load("raw_equity_ohlc")
    values = {
        name: {pl.String: "x", pl.Binary: b"0" * 16, pl.Date: SESSION}.get(type(dtype))
        for name, dtype in contract.polars_schema.items()
    }
    moment = pl.datetime(2024, 1, 15, time_unit="ms", time_zone="UTC")
    frame = pl.DataFrame([values, {**values, "TckrSymb": "y"}], schema=contract.polars_schema)
    return lake, frame.with_columns(event_time=moment, ingest_time=moment)


def test_verify_finds_what_is_damaged(lake: Lake) -> None:
    for day in (15, 16, 17):
        lake.write(NAME, date(2024, 1, day), rows(4, date(2024, 1, day)), {"file": "a"})
    changed, gone, _ = lake.files(NAME)
    changed.write_bytes(changed.read_bytes()[:-1] + b"x")
    gone.unlink()
    found = {damage.path: damage.reason for damage in lake.verify(NAME)}
    assert list(found) == [changed, gone]
    assert found[changed].startswith("its SHA-256 is")
    assert found[gone] == "the file is missing"


def test_a_damaged_manifest_is_a_clear_error(lake: Lake) -> None:
    lake.write(NAME, SESSION, rows(1), {"file": "a"})
    (lake.files(NAME)[0].parent / "_SUCCESS").write_text("{")
    with pytest.raises(LakeError, match="not a manifest"):
        lake.files(NAME)


def test_groups_are_joined_and_incomplete_sessions_stay_hidden(lake: Lake) -> None:
    name = "features_equity_indicators"
    contract = contracts.load(name)
    wide = pl.DataFrame(
        [
            {
                "instrument_id": "NSE:A",
                "symbol": "A",
                "trade_date": SESSION,
                "feature_version": "v1",
                "sma_5": 1.0,
                "obv": 7,
            }
        ],
        schema=contract.polars_schema,
    ).with_columns(feature_timestamp=pl.datetime(2024, 1, 15, 10, time_unit="ms", time_zone="UTC"))
    for group, columns in contract.groups.items():
        assert lake.scan(name).collect().is_empty()
        lake.write(name, SESSION, wide.select(*contract.ungrouped, *columns), {"bars": "a"}, group)
    assert lake.scan(name).collect().select(wide.columns).equals(wide)
    assert set(lake.scan(name, groups=["volume"]).collect().columns) == {
        *contract.ungrouped,
        *contract.groups["volume"],
    }
    with pytest.raises(LakeError, match="has no groups"):
        lake.scan(name, groups=["astrology"])
    with pytest.raises(LakeError, match="group is None"):
        lake.write(name, SESSION, wide, {"bars": "a"})


def _write_for_ever(root: Path) -> None:
    lake = Lake(root)
    for turn in range(10_000):
        lake.write(NAME, SESSION, rows(500 + turn % 2), {"turn": str(turn)})


def test_a_killed_writer_leaves_a_partition_whole(lake: Lake) -> None:
    context = multiprocessing.get_context("spawn")
    for pause in (0.0, 0.01, 0.02, 0.03, 0.05):
        writer = context.Process(target=_write_for_ever, args=(lake.root,))
        writer.start()
        while not lake.sessions(NAME):
            time.sleep(0.01)
        for _ in range(20):
            assert lake.scan(NAME).collect().height in {500, 501}  # a reader beside the writer
        time.sleep(pause)
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        assert lake.scan(NAME).collect().height in {500, 501}
        lake.write(NAME, SESSION, rows(500), {"turn": "repaired"})
        assert lake.verify(NAME) == []
    assert not list(lake.root.rglob("*.part"))
