"""Contracts: the type table, errors of invalid schema files, versions, and the generated page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from champion import contracts
from champion.contracts import catalog, page, types
from champion.contracts.contract import parse
from champion.errors import ContractError

ROOT = Path(__file__).resolve().parents[2]
PAIR = pl.Struct({"key": pl.String(), "value": pl.Float64()})
TABLE: list[tuple[Any, pl.DataType, pa.DataType, str]] = [
    ("boolean", pl.Boolean(), pa.bool_(), "Bool"),
    ("int", pl.Int32(), pa.int32(), "Int32"),
    ("long", pl.Int64(), pa.int64(), "Int64"),
    ("float", pl.Float32(), pa.float32(), "Float32"),
    ("double", pl.Float64(), pa.float64(), "Float64"),
    ("string", pl.String(), pa.large_string(), "String"),
    (
        {"type": "enum", "name": "e", "symbols": ["EQ", "BE"]},
        pl.Enum(["EQ", "BE"]),
        pa.large_string(),
        "LowCardinality(String)",
    ),
    ("bytes", pl.Binary(), pa.large_binary(), "String"),
    ({"type": "fixed", "name": "f", "size": 4}, pl.Binary(), pa.binary(4), "FixedString(4)"),
    ({"type": "fixed", "name": "u", "size": 16, "logicalType": "uuid"}, pl.Binary(), pa.binary(16), "UUID"),
    ({"type": "int", "logicalType": "date"}, pl.Date(), pa.date32(), "Date"),
    (
        {"type": "long", "logicalType": "timestamp-millis"},
        pl.Datetime("ms", "UTC"),
        pa.timestamp("ms", "UTC"),
        "DateTime64(3, 'UTC')",
    ),
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
        {"type": "fixed", "name": "d", "size": 16, "logicalType": "decimal", "precision": 38},
        pl.Decimal(38, 0),
        pa.decimal128(38, 0),
        "Decimal(38, 0)",
    ),
    (
        {"type": "array", "items": ["null", "long"]},
        pl.List(pl.Int64()),
        pa.large_list(pa.int64()),
        "Array(Nullable(Int64))",
    ),
    (
        {"type": "map", "values": "double"},
        pl.List(PAIR),
        pa.map_(pa.large_string(), pa.float64()),
        "Map(String, Float64)",
    ),
    (
        {"type": "record", "fields": [{"name": "x", "type": ["null", "int"]}, {"name": "y", "type": "string"}]},
        pl.Struct({"x": pl.Int32(), "y": pl.String()}),
        pa.struct([pa.field("x", pa.int32()), pa.field("y", pa.large_string(), nullable=False)]),
        "Tuple(x Nullable(Int32), y String)",
    ),
]


def record(**changed: Any) -> dict[str, Any]:
    """Return the smallest contract, with some attributes changed."""
    day = {"name": "s", "type": {"type": "int", "logicalType": "date"}, "doc": ""}
    smallest = {"name": "raw_d", "layer": "raw", "dataset": "d", "schema_version": "1.0.0", "doc": "", "key": ["s"]}
    return {
        **smallest,
        "session": "s",
        "partition_by": ["date"],
        "sort_by": [],
        "rules": {},
        "fields": [day],
        **changed,
    }


@pytest.mark.parametrize(("avro", "polars", "arrow", "clickhouse"), TABLE)
def test_type_table(avro: Any, polars: pl.DataType, arrow: pa.DataType, clickhouse: str) -> None:
    found = types.names(avro)
    assert (found.polars, found.arrow, found.clickhouse) == (polars, arrow, clickhouse)


@pytest.mark.parametrize("union", [["null", "string"], ["string", "null"]])
def test_a_union_with_null_is_a_nullable_column(union: Any) -> None:
    text = {"name": "t", "type": union, "doc": ""}
    plain, low = parse(
        record(fields=[*record()["fields"], text, {**text, "name": "l", "low_cardinality": True}])
    ).fields[1:]
    assert (plain.nullable, plain.types.polars) == (True, pl.String())
    assert (plain.clickhouse, low.clickhouse) == ("Nullable(String)", "LowCardinality(Nullable(String))")


def test_a_nullable_enum_has_its_wrappers_in_legal_order() -> None:
    enum = {"name": "e", "type": ["null", {"type": "enum", "name": "k", "symbols": ["A"]}], "doc": ""}
    assert parse(record(fields=[*record()["fields"], enum])).fields[1].clickhouse == "LowCardinality(Nullable(String))"


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
        {"type": "string", "logicalType": "uuid"},
    ],
)
def test_types_outside_the_table_are_refused(avro: Any) -> None:
    with pytest.raises(ContractError, match="not supported"):
        types.names(avro)


@pytest.mark.parametrize(("precision", "scale"), [(0, 0), (39, 0), (10, 11), (10, -1)])
def test_decimals_beyond_38_digits_are_refused(precision: int, scale: int) -> None:
    with pytest.raises(ContractError, match="precision must be 1 to 38"):
        types.names({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})


@pytest.mark.parametrize("name", contracts.names())
def test_every_contract_has_a_type_in_every_engine(name: str) -> None:
    contract = contracts.load(name)
    empty = pl.DataFrame(schema=contract.polars_schema)
    assert contract.conform(empty).schema == contract.polars_schema or contract.groups
    assert contract.arrow_schema.names == list(contract.clickhouse_columns)
    assert set(contract.key) <= set(contract.required)
    for rule in contract.rules.values():
        assert empty.select(contracts.rule_expression(rule)).dtypes == [pl.Boolean]


def test_conform_reports_what_is_wrong() -> None:
    contract = contracts.load("quarantine_equity_ohlc")
    frame = pl.DataFrame(schema=contract.polars_schema)
    with pytest.raises(ContractError, match=r"missing columns \['stage'\]"):
        contract.conform(frame.drop("stage"))
    with pytest.raises(ContractError, match="row_number is String, not Int64"):
        contract.conform(frame.cast({"row_number": pl.String}))
    with pytest.raises(ContractError, match="null in fields"):
        contract.conform(pl.DataFrame({name: [None] for name in frame.columns}, schema=contract.polars_schema))


@pytest.mark.parametrize("name", contracts.names())
def test_the_latest_version_is_the_default(name: str) -> None:
    there = contracts.versions(name)
    assert contracts.load(name).version == there[-1]
    assert [contracts.load(name, version).version for version in there] == there


def test_an_unknown_contract_or_version_lists_the_known_ones() -> None:
    with pytest.raises(ContractError, match="normalized_equity_ohlc"):
        contracts.load("equities")
    with pytest.raises(ContractError, match=r"its versions are \[1"):
        contracts.load("raw_equity_ohlc", 99)
    assert contracts.versions("equities") == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"key": ["gone"]}, "gone"),
        ({"sort_by": ["gone"]}, "gone"),
        ({"schema_version": "2.0.0"}, "1.minor.patch"),
        ({"schema_version": "1.0"}, "1.minor.patch"),
        (
            {"fields": [*record()["fields"], {"name": "n", "type": ["long", "null"], "default": 0, "doc": ""}]},
            "must be null, not 0",
        ),
        (
            {
                "fields": [
                    *record()["fields"],
                    {"name": "n", "type": ["null", {"type": "array", "items": "int"}], "doc": ""},
                ]
            },
            "cannot be null in ClickHouse",
        ),
    ],
)
def test_a_contract_that_contradicts_itself_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractError, match=said):
        # The ClickHouse type of a field is computed on access.
        assert parse(record(**changed)).clickhouse_columns


def test_a_contract_that_lacks_an_attribute_is_refused() -> None:
    with pytest.raises(ContractError, match="lacks the attribute 'partition_by'"):
        parse({name: value for name, value in record().items() if name != "partition_by"})


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("raw_d_v1.avsc", "{", "not JSON"),
        ("raw_e_v1.avsc", '{"name": "raw_d"}', "file and record must have the same name"),
        ("raw_d.avsc", "{}", "not the file name of a contract"),
    ],
)
def test_an_invalid_schema_file_is_reported(tmp_path: Path, file: str, text: str, said: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(ContractError, match=said):
        catalog.read(next(iter(catalog.files(tmp_path).values())))


def test_the_page_matches_the_contracts() -> None:
    assert (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8") == page.page(), (
        "run `champion schema docs > docs/contracts.md`"
    )


def test_the_command_prints_the_page_and_shows_versions() -> None:
    run = [sys.executable, "-m", "champion", "schema"]
    printed = subprocess.run([*run, "docs"], check=True, capture_output=True, text=True, encoding="utf-8")
    assert printed.stdout == page.page()
    shown = subprocess.run([*run, "show", "raw_equity_ohlc"], check=True, capture_output=True, text=True)
    assert shown.stdout.startswith("versions")
