"""The lake: commits are atomic, idempotent and verifiable; readers see the latest revision."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from champion import contracts
from champion.cli.app import app
from champion.errors import ContractError, LakeError, UsageError
from champion.lake import Lake
from champion.settings import Settings

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


def test_writing_the_same_inputs_again_changes_nothing(lake: Lake) -> None:
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
    values["Sgmt"] = "CM"  # the lake rejects rows that break a rule of their contract
    frame = pl.DataFrame([values, {**values, "TckrSymb": "y"}], schema=contract.polars_schema)
    return lake, frame.with_columns(event_time=moment, ingest_time=moment)


def test_raw_is_read_as_of_a_moment(ingested_raw: tuple[Lake, pl.DataFrame]) -> None:
    lake, frame = ingested_raw
    name, corrected, again = "raw_equity_ohlc", datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)
    lake.write(name, SESSION, frame, {"file": "a"}, known_at=datetime(2026, 1, 1, tzinfo=UTC))  # a backfill, much later
    lake.write(name, SESSION, frame.head(1), {"file": "b"}, known_at=corrected)
    lake.write(name, SESSION, frame.head(0), {"file": "c"}, known_at=again.astimezone(timezone(timedelta(hours=5.5))))
    moment = timedelta(milliseconds=1)
    heights = {datetime(2024, 1, 15, tzinfo=UTC): 2, corrected - moment: 2, corrected: 1, again - moment: 1, again: 0}
    for as_of, height in heights.items():
        assert lake.scan(name, as_of=as_of).collect().height == lake.rows(name, as_of=as_of) == height
        assert [path.name for path in lake.files(name, as_of=as_of)] == [f"part-0000{2 - height}.parquet"]
        assert [part.rows for _, part in lake.parts(name, as_of=as_of)] == [height]
    assert len({lake.digest(name, as_of=as_of) for as_of in heights}) == 3
    assert lake.digest(name) == lake.digest(name, as_of=again)
    manifest = lake.manifest(name, SESSION)
    assert manifest is not None
    assert manifest.current.known_at == "2024-03-01T00:00:00+00:00"


def test_a_revision_without_known_at_is_never_visible_as_of(ingested_raw: tuple[Lake, pl.DataFrame]) -> None:
    lake, frame = ingested_raw
    lake.write("raw_equity_ohlc", SESSION, frame, {"file": "a"})
    lake.write("raw_equity_ohlc", SESSION, frame.head(1), {"file": "b"})
    manifest = lake.files("raw_equity_ohlc")[0].parent / "_SUCCESS"
    content = json.loads(manifest.read_text())
    for part in content["parts"]:
        del part["known_at"]  # as manifests were before it was recorded
    manifest.write_text(json.dumps(content))
    assert lake.rows("raw_equity_ohlc") == 1
    assert lake.rows("raw_equity_ohlc", as_of=datetime(2030, 1, 1, tzinfo=UTC)) == 2


def test_as_of_requires_revisions_and_a_time_zone(lake: Lake) -> None:
    lake.write(NAME, SESSION, rows(1), {"file": "a"})
    with pytest.raises(LakeError, match=r"keeps no earlier revisions.*raw_equity_ohlc"):
        lake.scan(NAME, as_of=datetime(2024, 1, 1, tzinfo=UTC))
    with pytest.raises(LakeError, match="without a time zone"):
        lake.scan("raw_equity_ohlc", as_of=datetime(2024, 1, 1))  # noqa: DTZ001 - the mistake


def test_permissions_do_not_depend_on_the_umask(tmp_path: Path, ingested_raw: tuple[Lake, pl.DataFrame]) -> None:
    before = os.umask(0o077)
    try:
        for root in (tmp_path / "closed", tmp_path / "open"):
            lake = Lake(root)
            lake.write(NAME, SESSION, rows(1), {"file": "a"})
            lake.write("raw_equity_ohlc", SESSION, ingested_raw[1], {"file": "a"})
            files = {path.relative_to(root).parts[0]: path.stat().st_mode & 0o777 for path in root.rglob("*.parquet")}
            assert files == {"raw": 0o440, "quarantine": 0o660}
            assert root.stat().st_mode & 0o777 == 0o750
            folders = [path for path in root.rglob("*") if path.is_dir() and path.name != ".locks"]
            assert {path.stat().st_mode & 0o7777 for path in folders} == {0o750}, "the group can enter"
            assert {path.stat().st_mode & 0o777 for path in root.rglob("_SUCCESS")} == {0o640}, "and read what counts"
            os.umask(0)
    finally:
        os.umask(before)


def test_new_folders_inherit_the_group_of_the_lake(tmp_path: Path) -> None:
    tmp_path.joinpath("lake").mkdir()
    tmp_path.joinpath("lake").chmod(0o2750)  # as `chgrp data-team lake; chmod g+s lake`
    lake = Lake(tmp_path / "lake")
    lake.write(NAME, SESSION, rows(1), {"file": "a"})
    (file,) = lake.files(NAME)
    assert [path.stat().st_mode & 0o7777 for path in list(file.parents)[:3]] == [0o2750] * 3


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can enter; pytest's own are for its account alone."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="another account can be taken by root")
def test_others_cannot_read_and_the_group_cannot_change_raw_files(
    open_folder: Path, ingested_raw: tuple[Lake, pl.DataFrame]
) -> None:
    """Asked of the system itself, as another account: root's own rights would say nothing."""
    lake, group = Lake(open_folder / "lake"), 54321
    lake.root.mkdir()
    os.chown(lake.root, -1, group)
    lake.root.chmod(0o2750)
    lake.write("raw_equity_ohlc", SESSION, ingested_raw[1], {"file": "a"})
    lake.write(NAME, SESSION, rows(1), {"file": "a"})
    (raw,), (other,) = lake.files("raw_equity_ohlc"), lake.files(NAME)

    def may(file: Path, mode: str, *, member: bool) -> bool:
        account = ["setpriv", "--reuid=65534", f"--regid={group if member else 65534}", "--clear-groups"]
        return subprocess.run([*account, "test", mode, str(file)], check=False).returncode == 0

    assert [may(raw, mode, member=True) for mode in ("-r", "-w")] == [True, False]
    assert [may(other, mode, member=True) for mode in ("-r", "-w")] == [True, True]
    assert not may(raw.parent, "-w", member=True), "nor can it be exchanged for another"
    assert not any(may(file, "-r", member=False) for file in (raw, other, raw.parent))


def test_verify_reports_unknown_files_leftovers_and_wrong_schemas(lake: Lake) -> None:
    for day in (15, 16):
        lake.write(NAME, date(2024, 1, day), rows(4, date(2024, 1, day)), {"file": "a"})
    first, second = lake.files(NAME)
    note, other = second.parent / "note.txt", lake.root / "raw" / "unknown" / "part-00000.parquet"
    undated = second.parent.parent / "date=someday" / "_SUCCESS"
    for path in (note, other, undated):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    rows(4).drop("row").write_parquet(first, metadata={"champion.contract": contracts.load(NAME).label})
    content = json.loads((first.parent / "_SUCCESS").read_text())
    content["parts"][0]["sha256"] = hashlib.sha256(first.read_bytes()).hexdigest()
    (first.parent / "_SUCCESS").write_text(json.dumps(content))
    found = {damage.path: damage for damage in (*lake.verify(NAME), *lake.unknown_files())}
    assert set(found) == {first, note, other, undated}
    assert found[first].reason.endswith("no row")
    assert not found[first].harmless
    assert found[note].harmless
    assert found[other].reason == "no contract names its dataset"


def test_verify_compares_bars_with_the_raw_partition(ingested: Settings, tmp_path: Path) -> None:
    lake = Lake(Path(shutil.copytree(ingested.lake, tmp_path / "copy", copy_function=shutil.copy)))
    session = date(2024, 3, 13)
    raw = lake.scan("raw_equity_ohlc", session, session).collect()
    lake.write("raw_equity_ohlc", session, raw, {"file": "corrected"}, known_at=datetime(2024, 4, 1, tzinfo=UTC))
    (damage,) = lake.verify("normalized_equity_ohlc")
    assert "made from the file" in damage.reason
    assert damage.remedy == "`champion backfill 2024-03-13 2024-03-13`"


def test_lake_commands_seal_index_verify_retain_and_restore(ingested: Settings, tmp_path: Path) -> None:
    shutil.copytree(ingested.lake, tmp_path / "lake", copy_function=shutil.copy)
    environment = {"CHAMPION_HOME": str(tmp_path), "CHAMPION_LAKE_ARCHIVE": str(tmp_path / "archive")}
    runner = CliRunner(env={**environment, "CHAMPION_NORMALIZED_YEARS": "1"})

    def ask(*words: str) -> Any:
        result = runner.invoke(app, ["lake", *words, "--json"], catch_exceptions=False)
        assert result.exit_code == 0
        return json.loads(result.stdout)

    before = Lake(tmp_path / "lake").rows("normalized_equity_ohlc")
    sealed = ask("seal", "2023", "--grace", "0")
    assert sealed["normalized_equity_ohlc"]["changed"]
    assert ask("metadata")["normalized_equity_ohlc"] == "unchanged"
    assert ask("verify")["notes"] == []
    assert {step["action"] for step in ask("retain", "--dry-run")["steps"]} == {"archive", "delete"}
    ask("retain", "--grace", "0")
    assert ask("ls")["normalized_equity_ohlc"]["rows"] == 0
    assert ask("restore", "2023-01-01", "2024-12-31")["normalized_equity_ohlc"] > 100
    assert ask("ls")["normalized_equity_ohlc"]["rows"] == before
    damaged = Lake(tmp_path / "lake").files("normalized_equity_ohlc")[0]
    damaged.write_bytes(b"x")
    with pytest.raises(LakeError, match=r"1 damaged: .*sealed-.*SHA-256.*To do: "):
        runner.invoke(app, ["lake", "verify"], catch_exceptions=False)
    with pytest.raises(UsageError, match="no dataset 'stars'"):
        runner.invoke(app, ["lake", "seal", "2023", "--dataset", "stars"], catch_exceptions=False)


def test_verify_reports_changed_and_missing_files(lake: Lake) -> None:
    for day in (15, 16, 17):
        lake.write(NAME, date(2024, 1, day), rows(4, date(2024, 1, day)), {"file": "a"})
    changed, gone, _ = lake.files(NAME)
    changed.write_bytes(changed.read_bytes()[:-1] + b"x")
    gone.unlink()
    found = {damage.path: damage.reason for damage in lake.verify(NAME)}
    assert list(found) == [changed, gone]
    assert found[changed].startswith("its SHA-256 is")
    assert found[gone] == "the file is missing"


def test_a_flipped_bit_raises_only_for_the_sessions_verified(lake: Lake) -> None:
    session, before = SESSION, SESSION - timedelta(days=1)
    lake.write(NAME, session, rows(4), {"file": "a"})
    lake.require_whole(before, session)
    [path] = lake.files(NAME, session, session)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(LakeError, match=rf"{path}: its SHA-256 is .* delete its folder and run `champion backfill`"):
        lake.require_whole(before, session)
    lake.require_whole(before, before)
    path.unlink()
    with pytest.raises(LakeError, match="the file is missing"):
        lake.require_whole(before, session)


def test_a_damaged_manifest_raises_lake_error(lake: Lake) -> None:
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


def test_sessions_tolerates_folders_removed_meanwhile(tmp_path: Path) -> None:
    folder, stop = tmp_path / "normalized" / "equity_ohlc", Event()

    def come_and_go() -> None:
        while not stop.is_set():
            for month in range(1, 13):
                (folder / "year=2023" / f"month={month:02d}" / "day=01").mkdir(parents=True)
            shutil.rmtree(folder / "year=2023")

    (folder / "year=2024" / "month=03" / "day=13").mkdir(parents=True)
    (folder / "year=2024" / "month=03" / "day=13" / "_SUCCESS").touch()
    with ThreadPoolExecutor(1) as pool:
        removing = pool.submit(come_and_go)
        try:
            for _ in range(100):
                assert Lake(tmp_path).sessions("normalized_equity_ohlc") == [date(2024, 3, 13)]
        finally:
            stop.set()
        removing.result()
