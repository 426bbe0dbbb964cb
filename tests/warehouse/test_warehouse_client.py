"""Concurrent readers, writers, processes and threads, and a server instead of the embedded engine."""

from __future__ import annotations

import shutil
import threading
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from filelock import FileLock
from pydantic import SecretStr
from warehouse_rows import COUNT, FRAMES, JANUARY, NORMALIZED, PARAMETERS, count, normalized, python, served, wait_for

from champion import contracts, warehouse
from champion.errors import WarehouseError
from champion.settings import Settings
from champion.warehouse import adjustment_cache, fingerprint, migrations, queries
from champion.warehouse.engine import snapshot
from champion.warehouse.engine.database import refusals


def test_one_process_can_alternate_writes_and_reads(fresh: Settings) -> None:
    contract = contracts.load(NORMALIZED)
    for number, session in enumerate((date(2024, 1, 2), date(2024, 2, 2), date(2024, 3, 4)), start=1):
        with warehouse.writer(fresh) as client:
            warehouse.load_month(client, contract, session, normalized((session,)), "1")
            assert count(fresh, NORMALIZED) == 4 * number, "a reader inside a writer sees what was written"
        assert count(fresh, NORMALIZED) == 4 * number


def test_readers_do_not_wait_for_a_writer_and_see_whole_months(fresh: Settings) -> None:
    contract = contracts.load(NORMALIZED)
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contract, JANUARY, normalized(), "1")
    busy = """
        with warehouse.writer(settings) as client:
            print("writing", flush=True)
            for month in range(2, 12):
                session = builders.date(2024, month, 5)
                warehouse.load_month(client, bars, session, builders.normalized((session,)), "1")
            print("written", flush=True)
            sys.stdin.readline()
            time.sleep(1.5)
    """
    with python(fresh, busy) as process:
        wait_for(process, "writing")
        seen = [count(fresh, NORMALIZED) for _ in range(3)]
        wait_for(process, "written")
        seen.append(count(fresh, NORMALIZED))
        with pytest.raises(WarehouseError, match=f"still being written after 0.1 s, by process {process.pid} "):
            warehouse.writer(fresh, wait=0.1).__enter__()
    assert seen == [8, 8, 8, 8], "a reader sees the warehouse as it was before the writer began"
    assert count(fresh, NORMALIZED) == 48


def test_threads_take_turns(fresh: Settings) -> None:
    contract, failures = contracts.load(NORMALIZED), list[BaseException]()

    def work(month: int) -> None:
        session = date(2024, month, 5)
        try:
            with warehouse.writer(fresh) as client:
                warehouse.load_month(client, contract, session, normalized((session,)), "1")
            warehouse.sql(fresh, "select 1")
        except BaseException as error:  # noqa: BLE001 - reported below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(month,)) for month in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert count(fresh, NORMALIZED) == 16


def test_reader_cannot_write(loaded: Settings, tmp_path: Path) -> None:
    with warehouse.reader(loaded), pytest.raises(WarehouseError, match="still reading"), warehouse.writer(loaded):
        pass
    other = Settings(home=tmp_path)
    with warehouse.reader(loaded), pytest.raises(WarehouseError, match="still reading"), warehouse.reader(other):
        pass
    assert count(loaded, NORMALIZED) == 8


def test_snapshot_of_a_killed_reader_is_deleted(fresh: Settings) -> None:
    with python(
        fresh, 'with warehouse.reader(settings):\n    print("open", flush=True)\n    sys.stdin.readline()'
    ) as process:
        wait_for(process, "open")
        folder = fresh.home / "snapshots"
        assert len(list(folder.glob("*.lock"))) == 1
        count(fresh, NORMALIZED)
        assert len(list(folder.glob("*.lock"))) == 2, "a living reader keeps its snapshot, and so does this process"
        process.kill()
        process.wait()
        warehouse.close()
    count(fresh, NORMALIZED)  # deletes unused snapshots; the fixture checks that none is left


def test_snapshot_stays_open_for_the_next_reader_until_a_commit(fresh: Settings) -> None:
    with warehouse.reader(fresh) as first, warehouse.reader(fresh) as nested:
        assert nested is first
    with warehouse.reader(fresh) as second:
        assert second is first
    load = """
        with warehouse.writer(settings) as client:
            warehouse.load_month(client, bars, builders.JANUARY, builders.normalized(), "1")
    """
    with python(fresh, load) as process:
        assert process.wait() == 0
    with warehouse.reader(fresh) as third:
        assert third is not first
        assert warehouse.frame(third, COUNT.format(NORMALIZED)).item() == 8
        with pytest.raises(WarehouseError, match="readonly"), refusals("a reader that writes"):
            third.command(f"truncate table {NORMALIZED}")
    with pytest.raises(KeyboardInterrupt), warehouse.reader(fresh):
        raise KeyboardInterrupt
    with warehouse.reader(fresh) as fourth:
        assert fourth is not third, "an interrupted reader may have left half an answer"


def test_snapshot_of_a_removed_warehouse_is_not_read(fresh: Settings) -> None:
    assert count(fresh, NORMALIZED) == 0
    shutil.rmtree(fresh.warehouse)
    with pytest.raises(WarehouseError, match="is empty"):
        count(fresh, NORMALIZED)


def test_reader_stops_waiting_for_a_writer_that_never_publishes(tmp_path: Path) -> None:
    path = tmp_path / "warehouse"
    path.mkdir()
    with FileLock(snapshot.writer_lock(path)), pytest.raises(WarehouseError, match="no snapshot"):
        snapshot.copy_for_reader(path, wait=0.1).__enter__()


def test_error_of_an_empty_workspace_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="champion warehouse migrate"):
        warehouse.sql(Settings(home=tmp_path / "ws"), "select 1")


def test_unreachable_server_raises_an_error_without_the_password(tmp_path: Path) -> None:
    away = Settings(home=tmp_path, warehouse_dsn=SecretStr("clickhouse://me:hunter2@127.0.0.1:9/champion_market"))
    with pytest.raises(WarehouseError, match="CHAMPION_WAREHOUSE_DSN") as caught:
        warehouse.sql(away, "select 1")
    assert "hunter2" not in str(caught.value)


def test_server_is_migrated_loaded_and_queried_like_the_embedded_engine(tmp_path: Path) -> None:
    with served(tmp_path) as settings:
        with warehouse.writer(settings) as client:
            assert len(warehouse.migrate(client)) == len(migrations.shipped())
            for name, frame in FRAMES.items():
                contract = contracts.load(name)
                assert warehouse.load_month(client, contract, JANUARY, frame(), "1").rows == frame().height
                assert warehouse.load_month(client, contract, JANUARY, frame(), "1").skipped
                assert fingerprint.of_table(client, contract, name) == fingerprint.of_frame(contract, frame())
            broken = normalized().with_columns(low=pl.col("high") + 1)
            with pytest.raises(WarehouseError, match="low_le_high"):
                warehouse.load_month(client, contracts.load(NORMALIZED), JANUARY, broken, "2")
            assert adjustment_cache.refresh(client)
        assert count(settings, "equity_ohlc") == 8
        for name, bound in PARAMETERS.items():
            assert queries.run(settings, name, bound).height > 0, name
        assert not settings.home.exists(), "a server leaves nothing in the workspace"
