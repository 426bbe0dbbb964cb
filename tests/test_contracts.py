"""Contracts: the type table, what a bad schema file says, rules that mean the same everywhere."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from champion import contracts
from champion.contracts import types
from champion.contracts.contract import parse
from champion.errors import ContractError

TABLE: list[tuple[Any, pl.DataType, pa.DataType, str]] = [
    ("boolean", pl.Boolean(), pa.bool_(), "Bool"),
    ("int", pl.Int32(), pa.int32(), "Int32"),
    ("long", pl.Int64(), pa.int64(), "Int64"),
    ("float", pl.Float32(), pa.float32(), "Float32"),
    ("double", pl.Float64(), pa.float64(), "Float64"),
    ("string", pl.String(), pa.large_string(), "String"),
    ("bytes", pl.Binary(), pa.large_binary(), "String"),
    ({"type": "fixed", "name": "f", "size": 4}, pl.Binary(), pa.large_binary(), "FixedString(4)"),
    ({"type": "int", "logicalType": "date"}, pl.Date(), pa.date32(), "Date"),
    (
        {"type": "long", "logicalType": "timestamp-micros"},
        pl.Datetime("us", "UTC"),
        pa.timestamp("us", "UTC"),
        "DateTime64(6, 'UTC')",
    ),
    (
        {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4},
        pl.Decimal(18, 4),
        pa.decimal128(18, 4),
        "Decimal(18, 4)",
    ),
    (
        {"type": "array", "items": ["null", "long"]},
        pl.List(pl.Int64()),
        pa.large_list(pa.int64()),
        "Array(Nullable(Int64))",
    ),
    (
        {"type": "map", "values": "double"},
        pl.List(pl.Struct({"key": pl.String(), "value": pl.Float64()})),
        pa.map_(pa.large_string(), pa.float64()),
        "Map(String, Float64)",
    ),
]


@pytest.mark.parametrize(("avro", "polars", "arrow", "clickhouse"), TABLE)
def test_type_table(avro: Any, polars: pl.DataType, arrow: pa.DataType, clickhouse: str) -> None:
    found = types.names(avro)
    assert (found.polars, found.arrow, found.clickhouse) == (polars, arrow, clickhouse)


def test_enum_and_record() -> None:
    assert types.names({"type": "enum", "symbols": ["EQ", "BE"]}).polars == pl.Enum(["EQ", "BE"])
    point = {"type": "record", "fields": [{"name": "x", "type": ["null", "int"]}, {"name": "y", "type": "string"}]}
    assert types.names(point).clickhouse == "Tuple(x Nullable(Int32), y String)"


@pytest.mark.parametrize("avro", [["int", "string"], ["null"], ["null", "int", "long"]])
def test_unions_other_than_null_are_refused(avro: Any) -> None:
    with pytest.raises(ContractError, match="only"):
        types.split_null(avro)


@pytest.mark.parametrize(
    "avro",
    [
        "unknown",
        {"type": "fixed", "size": 12, "logicalType": "duration"},
        {"type": "long", "logicalType": "time-micros"},
    ],
)
def test_types_outside_the_table_are_refused(avro: Any) -> None:
    with pytest.raises(ContractError, match="not supported"):
        types.names(avro)


@pytest.mark.parametrize("name", contracts.names())
def test_every_contract_speaks_every_engine(name: str) -> None:
    contract = contracts.load(name)
    empty = pl.DataFrame(schema=contract.polars_schema)
    assert contract.conform(empty).schema == contract.polars_schema or contract.groups
    assert contract.arrow_schema.names == list(contract.clickhouse_columns)
    assert set(contract.key) <= set(contract.required)
    for rule in contract.rules.values():
        assert empty.select(contracts.rule_expression(rule)).dtypes == [pl.Boolean]


def test_conform_names_what_is_wrong() -> None:
    contract = contracts.load("quarantine_equity_ohlc")
    frame = pl.DataFrame(schema=contract.polars_schema)
    with pytest.raises(ContractError, match=r"missing columns \['stage'\]"):
        contract.conform(frame.drop("stage"))
    with pytest.raises(ContractError, match="row_number is String, not Int64"):
        contract.conform(frame.cast({"row_number": pl.String}))
    with pytest.raises(ContractError, match="null in fields"):
        contract.conform(pl.DataFrame({name: [None] for name in frame.columns}, schema=contract.polars_schema))


def test_unknown_contract_lists_those_there_are() -> None:
    with pytest.raises(ContractError, match="normalized_equity_ohlc"):
        contracts.load("equities")


def test_a_key_must_be_a_field() -> None:
    record = {
        "name": "n", "layer": "raw", "dataset": "d", "schema_version": "1.0.0", "doc": "", "key": ["gone"],
        "session": "s", "partition_by": ["date"], "sort_by": [], "rules": {},
        "fields": [{"name": "s", "type": {"type": "int", "logicalType": "date"}, "doc": ""}],
    }  # fmt: skip
    with pytest.raises(ContractError, match="gone"):
        parse(record)
