"""Loads of whole months: equal to the lake, replaced in one step, safe when killed."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from warehouse_rows import (
    ALL,
    COUNT,
    DELIVERY,
    FINDINGS,
    INDEX,
    INSTANTS,
    JANUARY,
    NORMALIZED,
    SESSIONS,
    count,
    normalized,
    python,
    wait_for,
)

from champion import contracts, warehouse
from champion.contracts.datasets import BAN_LIST, CIRCUIT_HITS, EXTREMES, MARKET_ACTIVITY, PRICE_BANDS
from champion.errors import ContractError, WarehouseError
from champion.settings import Settings
from champion.warehouse import fingerprint, load_ledger, retention


def test_files_of_a_month_load_like_their_frame(fresh: Settings, tmp_path: Path) -> None:
    contract, files = contracts.load(NORMALIZED), []
    for session in SESSIONS:
        path = tmp_path / "lake {a,b}*?" / f"day={session.day}" / "part-00000.parquet"
        path.parent.mkdir(parents=True)
        frame = normalized((session,))
        # The older file was written before an optional field was added.
        (frame.drop("adjustment_date") if session == SESSIONS[0] else frame).write_parquet(path)
        files.append(path)
    with warehouse.writer(fresh) as client:
        assert warehouse.load_month(client, contract, JANUARY, files, "1").rows == 8
        assert fingerprint.of_table(client, contract, NORMALIZED) == fingerprint.of_frame(contract, normalized())


def test_replay_is_skipped_and_correction_replaces_the_month(fresh: Settings) -> None:
    contract = contracts.load(NORMALIZED)
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contract, JANUARY, normalized(), "1")
        warehouse.load_month(client, contract, date(2024, 2, 1), normalized((date(2024, 2, 1),)), "1")
        assert warehouse.load_month(client, contract, date(2024, 1, 31), normalized(), "1").skipped
        again = warehouse.load_month(client, contract, JANUARY, normalized(), "1", force=True)
        assert (again.rows, again.skipped) == (8, False)
        assert warehouse.frame(client, COUNT.format(NORMALIZED)).item() == 12
        corrected = normalized(SESSIONS[:1], bump=1.0).filter(pl.col("symbol") != "BETA")
        assert warehouse.load_month(client, contract, JANUARY, corrected, "2").rows == 3
        stored = warehouse.frame(client, ALL.format(NORMALIZED) + " where trade_date < '2024-02-01' order by symbol")
        assert stored.select("symbol", "close").rows() == corrected.select("symbol", "close").sort("symbol").rows()
        assert warehouse.load_month(client, contract, JANUARY, [], "3").rows == 0
        assert warehouse.frame(client, COUNT.format(NORMALIZED)).item() == 4
        assert warehouse.load_month(client, contract, JANUARY, [], "3").skipped


def test_load_of_several_years_replaces_only_its_months(fresh: Settings) -> None:
    contract = contracts.load(NORMALIZED)
    firsts = [date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1), date(2024, 3, 1)]

    def bars(months: list[date], bump: float = 0.0) -> pl.DataFrame:
        return normalized(tuple(month.replace(day=15) for month in months), bump=bump)

    with warehouse.writer(fresh) as client:

        def stored() -> dict[str, int]:
            return fingerprint.of_table(client, contract, NORMALIZED)

        loaded = warehouse.load_months(client, contract, dict.fromkeys(firsts, "1"), bars(firsts))
        assert [(result.partition, result.rows) for result in loaded] == [
            ("202311", 4), ("202312", 4), ("202401", 4), ("202403", 4)
        ]  # fmt: skip
        assert load_ledger.loaded_rows(client, contract, dict.fromkeys(firsts, "1")) == dict.fromkeys(firsts, 4)
        inner = dict.fromkeys(firsts[1:3], "2")
        warehouse.load_months(client, contract, inner, bars(firsts[1:3], bump=1.0))
        corrected = pl.concat([bars([firsts[0], firsts[3]]), bars(firsts[1:3], bump=1.0)])
        assert stored() == fingerprint.of_frame(contract, corrected)
        assert list(load_ledger.loaded_rows(client, contract, dict.fromkeys(firsts, "1"))) == [firsts[0], firsts[3]]
        assert list(load_ledger.loaded_rows(client, contract, inner)) == list(inner)
        with pytest.raises(
            WarehouseError, match="202312 to 202401: 4 of 12 rows are of other months, such as 2024-03-15"
        ):
            warehouse.load_months(client, contract, inner, bars(firsts[1:]))
        broken = bars(firsts).with_columns(low=pl.when(pl.col("trade_date") > firsts[3]).then(1e9).otherwise("low"))
        with pytest.raises(WarehouseError, match="low_le_high"):
            warehouse.load_months(client, contract, dict.fromkeys(firsts, "3"), broken)
        assert stored() == fingerprint.of_frame(contract, corrected)
        # December is gone from the lake's files, and with November all of 2023.
        emptied = warehouse.load_months(client, contract, dict.fromkeys(firsts[:3], "4"), bars(firsts[2:3]))
        assert [result.rows for result in emptied] == [0, 0, 4]
        assert stored() == fingerprint.of_frame(contract, bars(firsts[2:]))
        assert load_ledger.loaded_rows(client, contract, dict.fromkeys(firsts[:3], "4")) == {
            firsts[0]: 0, firsts[1]: 0, firsts[2]: 4
        }  # fmt: skip


def test_rows_missing_from_the_table_are_loaded_again(fresh: Settings) -> None:
    contract = contracts.load(NORMALIZED)
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contract, JANUARY, normalized(), "1")
        client.command(f"alter table champion_market.{NORMALIZED} drop partition 2024")
        assert not warehouse.load_month(client, contract, JANUARY, normalized(), "1").skipped


def test_replaced_parts_do_not_accumulate(fresh: Settings) -> None:
    contract = contracts.load(NORMALIZED)
    for _ in range(3):
        with warehouse.writer(fresh) as client:
            for number in range(4):
                bars = normalized(bump=float(number))
                warehouse.load_month(client, contract, JANUARY, bars, f"{number}")
    parts = warehouse.sql(fresh, f"select active, rows from system.parts where table = '{NORMALIZED}'")
    assert parts.filter(pl.col("active") == 0).is_empty()
    assert parts["rows"].sum() == 8
    with warehouse.reader(fresh) as client:
        assert fingerprint.of_table(client, contract, NORMALIZED) == fingerprint.of_frame(
            contract, normalized(bump=3.0)
        )


def test_refused_load_leaves_the_month_unchanged(fresh: Settings) -> None:
    contract, good = contracts.load(NORMALIZED), normalized()
    refused = {
        "1 of 8 rows are of other months, such as 2024-03-01": good.with_columns(
            trade_date=pl.when(pl.int_range(pl.len()) == 0).then(date(2024, 3, 1)).otherwise("trade_date")
        ),
        "16 rows share their key": pl.concat([good, good]),
        "low_le_high": good.with_columns(low=pl.col("high") + 1),
    }
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contract, JANUARY, good, "1")
        for message, frame in refused.items():
            with pytest.raises(WarehouseError, match=message) as caught:
                warehouse.load_month(client, contract, JANUARY, frame, "2")
            assert len(str(caught.value)) < 600
        with pytest.raises(ContractError, match="null in fields that may not be"):
            warehouse.load_month(
                client, contract, JANUARY, good.with_columns(close=pl.lit(None, dtype=pl.Float64)), "2"
            )
        with pytest.raises(WarehouseError, match="16 bytes"):
            warehouse.load_month(client, contract, JANUARY, good.with_columns(event_id=pl.lit(b"short")), "2")
        assert fingerprint.of_table(client, contract, NORMALIZED) == fingerprint.of_frame(contract, good)
        assert warehouse.load_month(client, contract, JANUARY, good, "1").skipped
        assert warehouse.frame(client, "show tables like 'staging%'").is_empty()


def test_retention_follows_the_settings_and_refuses_older_rows(fresh: Settings) -> None:
    contract, today = contracts.load(NORMALIZED), datetime.now(UTC).date()
    keeping = fresh.model_copy(update={"normalized_years": 3})
    first_kept = date(today.year - 3, 1, 1)
    last_expired = first_kept - timedelta(days=1)
    lists = (PRICE_BANDS, BAN_LIST, CIRCUIT_HITS, EXTREMES, MARKET_ACTIVITY)
    kept_alike = (NORMALIZED, DELIVERY, INDEX, FINDINGS, *lists)
    with warehouse.writer(fresh) as client:
        assert retention.keeps_from(client, NORMALIZED) is None
        for session in (last_expired, first_kept):
            warehouse.load_month(client, contract, session, normalized((session,)), "1")
        assert retention.apply_retention(client, keeping) == dict.fromkeys(kept_alike, 3)
        assert retention.apply_retention(client, keeping) == {}
        assert (retention.years(client, NORMALIZED), retention.keeps_from(client, NORMALIZED)) == (3, first_kept)
        assert retention.keeps_from(client, FINDINGS) == date(today.year - 3, today.month, 1), "by month, kept by month"
        kept = warehouse.frame(client, ALL.format(NORMALIZED))
        assert set(kept["trade_date"]) == {first_kept}
        assert warehouse.load_month(client, contract, first_kept, normalized((first_kept,)), "1").skipped
        with pytest.raises(WarehouseError, match=f"4 rows are older than {first_kept}"):
            warehouse.load_month(client, contract, last_expired, normalized((last_expired,)), "1")
        assert retention.apply_retention(client, fresh) == dict.fromkeys(kept_alike)
        assert retention.years(client, NORMALIZED) is None
        assert not warehouse.load_month(client, contract, last_expired, normalized((last_expired,)), "1").skipped


def test_killed_load_is_undone_and_a_rerun_loads(fresh: Settings) -> None:
    contract, old, new = contracts.load(NORMALIZED), normalized(), normalized(SESSIONS[:1], bump=2.0)
    before, after = (fingerprint.of_frame(contract, frame) for frame in (old, new))
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contract, JANUARY, old, "old")
    loop = """
        with warehouse.writer(settings) as client:
            while True:
                new = builders.normalized(builders.SESSIONS[:1], bump=2.0)
                warehouse.load_month(client, bars, builders.JANUARY, new, "new", force=True)
                print("loaded", flush=True)
    """
    for _ in range(2):
        with python(fresh, loop) as process:
            wait_for(process, "loaded")
            time.sleep(INSTANTS.uniform(0.0, 0.3))
            process.kill()
        with warehouse.reader(fresh) as client:
            assert fingerprint.of_table(client, contract, NORMALIZED) == before
    with warehouse.writer(fresh) as client:
        assert fingerprint.of_table(client, contract, NORMALIZED) == before
        assert warehouse.load_month(client, contract, JANUARY, old, "old").skipped
        assert not warehouse.load_month(client, contract, JANUARY, new, "new").skipped
        assert fingerprint.of_table(client, contract, NORMALIZED) == after
        assert warehouse.frame(client, "show tables like 'staging%'").is_empty()
    assert count(fresh, NORMALIZED) == 4


def test_month_of_an_unfinished_swap_is_loaded_again(fresh: Settings) -> None:
    """A server that died during a swap leaves both versions, and a month marked unknown."""
    contract, old, new = contracts.load(NORMALIZED), normalized(), normalized(SESSIONS[:1], bump=2.0)
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contract, JANUARY, old, "old")
        client.command(f"insert into {NORMALIZED} select * from {NORMALIZED}")
        client.command("create table staging_normalized_equity_ohlc_202401 as normalized_equity_ohlc")
        client.command("insert into loads select dataset, partition, '', 0, loaded_at from loads")
        for digest, frame in (("old", old), ("new", new)):
            assert not warehouse.load_month(client, contract, JANUARY, frame, digest).skipped
            assert fingerprint.of_table(client, contract, NORMALIZED) == fingerprint.of_frame(contract, frame)
        assert warehouse.frame(client, "show tables like 'staging%'").is_empty()
