"""The tables of the warehouse follow their contracts, and values arrive unchanged."""

from __future__ import annotations

import itertools
import math
import re
import uuid
from decimal import Decimal

import polars as pl
import pytest
from warehouse_rows import (
    ACTIONS,
    ALL,
    ALPHA158,
    CHANGES,
    DELIVERY,
    FACTORS,
    FEATURES,
    FINDINGS,
    FRAMES,
    INDEX,
    JANUARY,
    MASTER,
    NORMALIZED,
    PREDICTIONS,
    RAW,
    TABLES,
    TECHNICAL,
    normalized,
)

from champion import contracts, warehouse
from champion.contracts.contract import parse
from champion.contracts.datasets import BAN_LIST, CIRCUIT_HITS, PRICE_BANDS, TARGETS
from champion.errors import WarehouseError
from champion.settings import Settings
from champion.warehouse import fingerprint

BY_SYMBOL = (
    ALPHA158, FEATURES, TECHNICAL, DELIVERY, NORMALIZED, PREDICTIONS, PRICE_BANDS, CIRCUIT_HITS, BAN_LIST, TARGETS
)  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_table_has_the_columns_types_and_order_of_its_contract(loaded: Settings, name: str) -> None:
    columns = warehouse.sql(
        loaded,
        "select name, type, default_kind from system.columns where database = 'champion_market' and table = {t:String} "
        "order by position",
        {"t": name},
    )
    contract = contracts.load(name).clickhouse_columns
    found = dict(columns.select("name", "type").iter_rows())
    assert list(found.items())[: len(contract)] == list(contract.items())
    extra = columns[len(contract) :]
    assert extra.filter(pl.col("default_kind") != "DEFAULT").is_empty()
    assert extra["name"].to_list() == (["computed_at"] if name in {FEATURES, ALPHA158, TECHNICAL} else [])


@pytest.mark.parametrize("name", TABLES)
def test_table_has_exactly_the_rules_of_its_contract_as_constraints(loaded: Settings, name: str) -> None:
    ddl = warehouse.sql(loaded, f"show create table {name}").item()
    found = re.findall(r"CONSTRAINT (\w+) CHECK (.*?),?\n", ddl)
    # ClickHouse formats expressions; it formats the contract's in the same way.
    contract, wanted = contracts.load(name), []
    checks = {rule: f"ifNull({text}, true)" for rule, text in contract.rules.items()}
    if floats := [field.name for field in contract.fields if field.types.polars.is_float()]:
        checks["numbers_are_known"] = " AND ".join(f"ifNull(isFinite({each}), true)" for each in floats)
    for rule, check in checks.items():
        spelled = warehouse.sql(loaded, "select formatQuerySingleLine({q:String})", {"q": f"select {check}"}).item()
        wanted.append((rule, spelled.removeprefix("SELECT ")))
    assert found == wanted


def test_every_table_refuses_nan_and_infinity(fresh: Settings) -> None:
    unknown = itertools.cycle([math.nan, math.inf, -math.inf])
    with warehouse.writer(fresh) as client:
        for name in TABLES:
            contract, frame = contracts.load(name), FRAMES[name]()
            numbers = [field.name for field in contract.fields if field.types.polars.is_float()]
            for column in numbers[:: max(1, len(numbers) // 2)]:
                wrong = frame.with_columns(pl.lit(next(unknown), frame.schema[column]).alias(column))
                with pytest.raises(WarehouseError, match="is violated at row"):
                    warehouse.load_month(client, contract, JANUARY, wrong, f"{name} {column}")


def test_partitions_order_and_indices_follow_the_specification(loaded: Settings) -> None:
    tables = warehouse.sql(
        loaded,
        "select name, engine, partition_key, sorting_key from system.tables "
        "where database = 'champion_market' and engine like '%MergeTree'",
    )
    found = {row[0]: row[1:] for row in tables.iter_rows()}
    assert found[RAW] == ("MergeTree", "toYear(TradDt)", "TckrSymb, TradDt, event_time")
    assert found[NORMALIZED] == ("ReplacingMergeTree", "toYear(trade_date)", "symbol, trade_date, instrument_id")
    assert found[FEATURES] == ("MergeTree", "toYear(trade_date)", "symbol, trade_date, feature_timestamp")
    assert found[ALPHA158] == found[TECHNICAL] == found[FEATURES]
    assert found[DELIVERY] == ("ReplacingMergeTree", "toYear(trade_date)", "symbol, trade_date, instrument_id")
    assert found[INDEX] == ("ReplacingMergeTree", "toYear(trade_date)", "index_id, trade_date")
    assert found[ACTIONS][1:] == ("toYYYYMM(list_date)", "list_date, instrument_id, ex_date, kind")
    assert found[MASTER][1:] == ("toYYYYMM(list_date)", "list_date, symbol")
    assert found[CHANGES][1:] == ("toYYYYMM(list_date)", "list_date, before, after, session")
    assert found[FACTORS][1:] == ("toYYYYMM(list_date)", "list_date, instrument_id, ex_date, kind")
    assert found[FINDINGS] == ("MergeTree", "toYYYYMM(session)", "session, gate, instrument_id")
    indices = warehouse.sql(loaded, "select table, name, type from system.data_skipping_indices order by name, table")
    assert indices.rows() == [
        *((table, "idx_instrument", "minmax") for table in sorted(BY_SYMBOL)),
        (RAW, "idx_isin", "bloom_filter"),
        (NORMALIZED, "idx_isin_norm", "bloom_filter"),
        (NORMALIZED, "idx_volume", "minmax"),
    ]


@pytest.mark.parametrize("name", TABLES)
def test_every_value_arrives(loaded: Settings, name: str) -> None:
    contract = contracts.load(name)
    sent = FRAMES[name]().sort(contract.key)
    stored = warehouse.sql(loaded, ALL.format(name))
    got = stored.sort(contract.key).select(list(contract.polars_schema))
    if "event_id" in sent.columns:
        texts = [str(uuid.UUID(bytes=value)) for value in sent["event_id"]]
        assert got["event_id"].to_list() == texts
        sent, got = sent.drop("event_id"), got.drop("event_id")
    assert got.to_dicts() == sent.to_dicts()
    unsigned = {column for column, dtype in got.schema.items() if dtype != sent.schema[column]}
    assert unsigned <= {"is_trading_day"}


def test_fingerprints_of_polars_and_clickhouse_agree_and_detect_a_swap(loaded: Settings) -> None:
    with warehouse.reader(loaded) as client:
        for name in TABLES:
            contract = contracts.load(name)
            assert fingerprint.of_frame(contract, FRAMES[name]()) == fingerprint.of_table(client, contract, name)
    contract, rows = contracts.load(NORMALIZED), normalized()
    same = fingerprint.of_frame(contract, rows)
    assert fingerprint.of_frame(contract, rows.sample(fraction=1.0, shuffle=True, seed=1)) == same
    swapped = rows.with_columns(volume=pl.Series([rows["volume"][1], rows["volume"][0], *rows["volume"][2:]]))
    changed = fingerprint.of_frame(contract, swapped)
    assert [column for column in same if same[column] != changed[column]] == ["volume"]


def test_decimals_of_any_width_are_compared_exactly(loaded: Settings) -> None:
    digits = {"type": "bytes", "logicalType": "decimal", "scale": 2}
    types = {"day": {"type": "int", "logicalType": "date"}, "narrow": digits | {"precision": 9}}
    wide = {"name": "wide", "type": ["null", digits | {"precision": 38}], "default": None, "doc": ""}
    contract = parse(
        {
            "name": "raw_money", "layer": "raw", "dataset": "money", "schema_version": "1.0.0", "doc": "",
            "key": ["narrow"], "session": "day", "partition_by": ["date"], "sort_by": ["narrow"], "rules": {},
            "fields": [*({"name": name, "type": avro, "doc": ""} for name, avro in types.items()), wide],
        }
    )  # fmt: skip
    texts = [("1.50", "12345678901234567890123456789012345.67"), ("-3.25", None), ("9999999.99", "-0.01")]
    rows = pl.DataFrame(
        [(JANUARY, *(Decimal(text) if text else None for text in pair)) for pair in texts],
        schema=contract.polars_schema,
        orient="row",
    )
    stored = " union all ".join(
        f"select toDate('{JANUARY}') as day, toDecimal32('{narrow}', 2) as narrow, "
        + ("cast(null as Nullable(Decimal(38, 2)))" if wide is None else f"toNullable(toDecimal128('{wide}', 2))")
        + " as wide"
        for narrow, wide in texts
    )
    with warehouse.reader(loaded) as client:
        assert fingerprint.of_table(client, contract, f"({stored})") == fingerprint.of_frame(contract, rows)
        cents = stored.replace("1.50", "1.51")
        assert fingerprint.of_table(client, contract, f"({cents})") != fingerprint.of_frame(contract, rows)


def test_null_and_zero_have_different_fingerprints() -> None:
    contract, rows = contracts.load(NORMALIZED), normalized()
    zero = fingerprint.of_frame(contract, rows.with_columns(last_price=pl.lit(0.0)))
    assert zero["last_price"] != fingerprint.of_frame(contract, rows)["last_price"]
