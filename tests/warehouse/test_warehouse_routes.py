"""Lake to warehouse: insert paths, replays, corrections and kills, on the simulated archive."""

from __future__ import annotations

import shutil
import time
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from copies import with_warehouse
from warehouse_rows import FACTORS, FEATURES, FRAMES, INSTANTS, JANUARY, NORMALIZED, RAW, normalized, python, wait_for

from champion import contracts, warehouse
from champion.base import package_data
from champion.errors import WarehouseError
from champion.lake import Lake
from champion.lake.compaction import seal
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.maintenance.load_warehouse import MOST_VALUES, load
from champion.settings import Settings
from champion.warehouse import fingerprint, load_ledger, migrations, parts
from champion.warehouse.engine.statements import split

START, END = date(2023, 12, 1), date(2024, 3, 31)
DATASETS = (RAW, NORMALIZED, FEATURES, FACTORS)
AGGREGATES = {
    "equity_ohlc_daily_summary": "trade_date, exchange",
    "equity_volume_leaders": "trade_date, volume_rank",
    "equity_adjusted": "trade_date, instrument_id",
    "equity_total_return": "trade_date, instrument_id",
}


@pytest.fixture(scope="module")
def market(known: Settings, migrated: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace whose lake has days, a sealed year, a session of it written since, and features in four groups."""
    made = known.model_copy(update={"home": tmp_path_factory.mktemp("of {this}, 'that'") / "home"})
    shutil.copytree(known.home / "lake", made.lake)
    build_features(Lake(made.lake), START, END)
    lake = Lake(made.lake)
    seal(lake, NORMALIZED, 2023)
    seal(lake, FEATURES, 2023)
    corrected = date(2023, 12, 15)
    bars = lake.scan(NORMALIZED, corrected, corrected).collect()
    lake.write(NORMALIZED, corrected, bars.with_columns(volume=pl.col("volume") + 1), {"corrected": "1"})
    return with_warehouse(made, migrated)


def span(name: str) -> tuple[date, date] | tuple[()]:
    return () if name == FACTORS else (START, END)


def reconciled(settings: Settings) -> bool:
    lake = Lake(settings.lake)
    with warehouse.reader(settings) as client:
        return all(
            fingerprint.of_table(client, contracts.load(name), name)
            == fingerprint.of_frame(contracts.load(name), lake.scan(name, *span(name)).collect())
            for name in DATASETS
        )


def test_engine_reads_all_layouts_of_lake_files(market: Settings) -> None:
    loaded = load(market, START, END, DATASETS)
    assert {result.route for result in loaded} == {"file"}
    assert {result.table for result in loaded} == set(DATASETS)
    assert reconciled(market)
    assert all(result.skipped for result in load(market, START, END, DATASETS))
    with warehouse.reader(market) as client:
        torn = "select partition, count() as n from system.parts where active and table = {t:String} group by 1"
        counts = dict(warehouse.frame(client, torn, {"t": NORMALIZED}).iter_rows())
    assert counts == {"2023": 1, "2024": 1}


def test_loads_of_many_months_equal_single_loads_with_fewer_statements(
    market: Settings, migrated: Settings, tmp_path: Path
) -> None:
    held: dict[str, object] = {}
    asked: dict[str, int] = {}
    for name, most_values in (("at once", MOST_VALUES), ("one by one", 1)):
        there = with_warehouse(market.model_copy(update={"home": tmp_path / name}), migrated)
        there.lake.symlink_to(market.lake)
        events = "select sum(value) from system.events where event = 'Query'"
        with warehouse.writer(there) as client:
            before = warehouse.frame(client, events).item()
            loaded = load(there, START, END, DATASETS, most_values=most_values)
            asked[name] = warehouse.frame(client, events).item() - before
            written = "select dataset, partition, digest, rows from loads final where partition > 0 order by all"
            rows = warehouse.frame(client, written).filter(pl.col("dataset").is_in(DATASETS)).rows()
            held[name] = loaded, rows  # digests of derived tables hold the times of loads
        assert reconciled(there)
    assert held["at once"] == held["one by one"]
    assert 2 * asked["at once"] < asked["one by one"]


def test_lost_months_are_loaded_with_a_later_month(market: Settings, migrated: Settings, tmp_path: Path) -> None:
    there = with_warehouse(market.model_copy(update={"home": tmp_path}), migrated)
    there.lake.symlink_to(market.lake)
    lake = Lake(there.lake)
    load(there, END, END, DATASETS, whole=True)
    with warehouse.reader(there) as client:
        for name in DATASETS:
            contract = contracts.load(name)
            expected = fingerprint.of_frame(contract, lake.scan(name).collect())
            assert fingerprint.of_table(client, contract, name) == expected, name
    assert all(result.skipped for result in load(there, END, END, DATASETS, whole=True))
    with warehouse.writer(there) as client:  # as a killed load leaves it
        load_ledger.start(client, contracts.load(FEATURES), {START: "digest"})
    changed = [result for result in load(there, END, END, DATASETS, whole=True) if not result.skipped]
    assert [(result.table, result.partition) for result in changed] == [(FEATURES, "202312")]


def test_repeated_loads_leave_every_aggregate_unchanged(market: Settings) -> None:
    load(market, START, END, DATASETS)

    def aggregates() -> dict[str, pl.DataFrame]:
        texts = {name: f"select * from {name} order by {order}" for name, order in AGGREGATES.items()}
        return {name: warehouse.sql(market, text) for name, text in texts.items()}

    before = aggregates()
    assert all(frame.height for frame in before.values())
    for _ in range(3):
        with warehouse.writer(market) as client:
            client.command("truncate table loads")  # the ledger no longer has the month
        again = load(market, date(2024, 3, 1), date(2024, 3, 31), DATASETS)
        assert not any(result.skipped for result in again)
        for name, frame in aggregates().items():
            assert frame.equals(before[name]), name
    assert reconciled(market)


def test_late_correction_replaces_only_its_session(market: Settings) -> None:
    load(market, START, END, DATASETS)
    lake, session = Lake(market.lake), date(2024, 2, 15)
    before = warehouse.sql(market, "select * except (volume, event_id) from equity_ohlc order by all")
    bars = lake.scan(NORMALIZED, session, session).collect()
    lake.write(NORMALIZED, session, bars.with_columns(volume=pl.col("volume") * 2), {"corrected": "2"})
    changed = [result for result in load(market, START, END, DATASETS) if not result.skipped]
    assert [(result.table, result.partition) for result in changed] == [(NORMALIZED, "202402")]
    assert reconciled(market)
    assert warehouse.sql(market, "select * except (volume, event_id) from equity_ohlc order by all").equals(before)


def test_load_killed_anywhere_changes_nothing_and_a_rerun_completes_it(market: Settings) -> None:
    work = """
        from datetime import date
        from champion.pipeline.maintenance.load_warehouse import load
        with warehouse.writer(settings) as client:
            client.command("truncate table loads")
        print("loading", flush=True)
        load(settings, date(2023, 12, 1), date(2024, 3, 31), DATASETS)
        print("loaded", flush=True)
    """.replace("DATASETS", repr(DATASETS))
    load(market, START, END, DATASETS)
    for longest in (0.3, 1.5):
        with python(market, work) as process:
            wait_for(process, "loading")
            time.sleep(INSTANTS.uniform(0, longest))
            process.kill()
        assert reconciled(market), "readers see what was there before"
    load(market, START, END, DATASETS)
    assert reconciled(market)


def test_killed_migration_is_completed_by_the_next(tmp_path: Path) -> None:
    """The longest migration: from partitions of a month to those of a year, with rows."""
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    for path in sorted((package_data.folder("sql") / "migrations").glob("*.sql"))[:17]:
        shutil.copy(path, earlier)
    settings = Settings(home=tmp_path / "ws")
    sessions = tuple(date(year, 1, 5) for year in range(2015, 2025))
    with warehouse.writer(settings) as client:
        assert len(warehouse.migrate(client, earlier)) == 17
        assert not parts.keeps_years(client, NORMALIZED)
        contract, rows = contracts.load(NORMALIZED), normalized(sessions)
        for session in sessions:
            warehouse.load_month(client, contract, session, normalized((session,)), "1")
    work = """
        with warehouse.writer(settings) as client:
            print("migrating", flush=True)
            warehouse.migrate(client)
            print("migrated", flush=True)
    """
    for longest in (0.1, 0.4):
        with python(settings, work) as process:
            wait_for(process, "migrating")
            time.sleep(INSTANTS.uniform(0, longest))
            process.kill()
        with warehouse.reader(settings) as client:
            assert fingerprint.of_table(client, contract, NORMALIZED) == fingerprint.of_frame(contract, rows)
    with warehouse.writer(settings) as client:
        warehouse.migrate(client)
        assert migrations.pending(client) == []
        assert parts.keeps_years(client, NORMALIZED)
        assert fingerprint.of_table(client, contract, NORMALIZED) == fingerprint.of_frame(contract, rows)
        assert warehouse.frame(client, "show tables like 'reshaped%'").is_empty()
        assert warehouse.load_month(client, contract, sessions[0], normalized(sessions[:1]), "1").skipped


def test_unfinished_migration_of_a_server_runs_again_from_its_start(fresh: Settings) -> None:
    """A server undoes nothing: any statement of the file can be the last executed one."""
    text = next(m.text for m in migrations.shipped() if m.name == "years")
    with warehouse.writer(fresh) as client:
        contract = contracts.load(NORMALIZED)
        warehouse.load_month(client, contract, JANUARY, normalized(), "1")
        statements = split(text)
        for done in range(5, 12):  # those of normalized_equity_ohlc
            for statement in statements[:done] + statements:
                client.command(statement)
            assert fingerprint.of_table(client, contract, NORMALIZED) == fingerprint.of_frame(contract, normalized())


def test_error_names_an_unknown_table(fresh: Settings) -> None:
    with warehouse.writer(fresh) as client:
        client.command("drop table champion_market.quality_findings")
        with pytest.raises(WarehouseError, match="no table quality_findings"):
            warehouse.load_month(
                client, contracts.load("quality_findings"), JANUARY, FRAMES["quality_findings"](), "1", force=True
            )
