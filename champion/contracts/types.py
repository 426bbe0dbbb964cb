"""Map Avro types to types of Polars, Arrow and ClickHouse.

The functions take a type without its null branch: the field, not the type, decides whether null is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import polars as pl
import pyarrow as pa

from champion.errors import ContractError

Avro: TypeAlias = str | list[Any] | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Names:
    """One type in each engine; `stored` is its Polars type in Arrow and Parquet."""

    polars: pl.DataType
    arrow: pa.DataType
    clickhouse: str
    stored: pl.DataType


def _alike(polars: pl.DataType, arrow: pa.DataType, clickhouse: str) -> Names:
    return Names(polars, arrow, clickhouse, stored=polars)


_PLAIN = {
    "boolean": _alike(pl.Boolean(), pa.bool_(), "Bool"),
    "int": _alike(pl.Int32(), pa.int32(), "Int32"),
    "long": _alike(pl.Int64(), pa.int64(), "Int64"),
    "float": _alike(pl.Float32(), pa.float32(), "Float32"),
    "double": _alike(pl.Float64(), pa.float64(), "Float64"),
    "string": _alike(pl.String(), pa.large_string(), "String"),
    "bytes": _alike(pl.Binary(), pa.large_binary(), "String"),
}
# ClickHouse's Date holds 1970-01-01 to 2149-06-06, its DateTime64 1900 to 2299; it refuses values outside.
_LOGICAL = {
    ("int", "date"): _alike(pl.Date(), pa.date32(), "Date"),
    ("long", "timestamp-millis"): _alike(pl.Datetime("ms", "UTC"), pa.timestamp("ms", "UTC"), "DateTime64(3, 'UTC')"),
    ("long", "timestamp-micros"): _alike(pl.Datetime("us", "UTC"), pa.timestamp("us", "UTC"), "DateTime64(6, 'UTC')"),
}
_DECIMAL_DIGITS = 38
_LARGEST = 1_048_576  # bytes of a `fixed`


def split_null(avro: Avro) -> tuple[Avro, bool]:
    """Return the type without its null branch, and whether it had one.

    Raises:
        ContractError: the union is not of null and one type.

    >>> split_null(["null", "long"])
    ('long', True)
    """
    if not isinstance(avro, list):
        return avro, False
    rest = [branch for branch in avro if branch != "null"]
    if len(rest) != 1 or len(avro) == 1:
        raise ContractError(f"union {avro}: only [null, T] is supported; use separate fields or a string")
    return rest[0], len(rest) < len(avro)


def long_form(avro: Avro) -> dict[str, Any]:
    """Return a type (no union) in Avro's long form, as one object.

    >>> long_form("long")
    {'type': 'long'}
    """
    if not isinstance(avro, dict):
        return {"type": avro}
    if not isinstance(avro["type"], dict):
        return avro
    return {**long_form(avro["type"]), **{name: value for name, value in avro.items() if name != "type"}}


def names(avro: Avro) -> Names:
    """Return the type `avro`, without null, in each engine.

    Raises:
        ContractError: the type is not supported.

    >>> names({"type": "int", "logicalType": "date"}).clickhouse
    'Date'
    """
    if isinstance(avro, list):
        raise ContractError(f"union {avro} inside another type is not supported; use separate fields")
    avro = long_form(avro)
    kind, logical = avro["type"], avro.get("logicalType")
    if not isinstance(kind, str) or not isinstance(logical, str | None):
        raise ContractError(f"type {kind!r}, logicalType {logical!r}: both must be texts; allowed: {', '.join(_PLAIN)}")
    if logical == "decimal" and kind in {"bytes", "fixed"}:
        return _decimal(avro)
    if logical is not None and (kind, logical) in _LOGICAL:
        return _LOGICAL[kind, logical]
    if logical is not None and (kind, logical) != ("fixed", "uuid"):
        raise ContractError(f"logical type {logical!r} over {kind!r} is not supported; allowed: {sorted(_LOGICAL)}")
    if found := _complex(avro):
        return found
    if kind not in _PLAIN:
        raise ContractError(f"Avro type {kind!r} is not supported; allowed: {', '.join(_PLAIN)}")
    return _PLAIN[kind]


def nullable_clickhouse(type_name: str, *, nullable: bool, low_cardinality: bool = False) -> str:
    """Return the ClickHouse column type with its wrappers in the order ClickHouse requires.

    Raises:
        ContractError: it is a nullable array, map or record, which ClickHouse does not support.

    >>> nullable_clickhouse("String", nullable=True, low_cardinality=True)
    'LowCardinality(Nullable(String))'
    """
    if nullable and type_name.startswith(("Array(", "Map(", "Tuple(")):
        raise ContractError(f"{type_name} cannot be null in ClickHouse; use an empty value, or null inside it")
    if type_name.startswith("LowCardinality("):  # an enum
        type_name, low_cardinality = type_name.removeprefix("LowCardinality(")[:-1], True
    inner = f"Nullable({type_name})" if nullable else type_name
    return f"LowCardinality({inner})" if low_cardinality else inner


def _is_integer(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _are_distinct(texts: Any) -> bool:
    """Return whether `texts` is a non-empty list of different texts."""
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return False
    return 0 < len(texts) == len(set(texts))


def _complex(avro: Mapping[str, Any]) -> Names | None:
    match avro["type"]:
        case "fixed":
            if not _is_integer(avro["size"], 1, _LARGEST):
                raise ContractError(f"fixed of size {avro['size']!r}: it must be a whole number from 1 to {_LARGEST}")
            clickhouse = "UUID" if avro.get("logicalType") == "uuid" else f"FixedString({avro['size']})"
            return _alike(pl.Binary(), pa.binary(avro["size"]), clickhouse)
        case "enum" if not _are_distinct(avro["symbols"]):
            raise ContractError(f"enum with symbols {avro['symbols']!r}: they must be a list of different texts")
        case "enum":  # stored as text, so that a file written before a value was added is read like any other
            return Names(pl.Enum(avro["symbols"]), pa.large_string(), "LowCardinality(String)", stored=pl.String())
        case "array":
            item, _ = _inner(avro["items"])
            arrow = pa.large_list(item.arrow)
            return Names(pl.List(item.polars), arrow, f"Array({item.clickhouse})", stored=pl.List(item.stored))
        case "map":
            value, _ = _inner(avro["values"])
            pairs = pl.List(pl.Struct({"key": pl.String(), "value": value.polars}))
            arrow, stored = pa.map_(pa.large_string(), value.arrow), pl.Map(pl.String(), value.stored)
            return Names(pairs, arrow, f"Map(String, {value.clickhouse})", stored)
        case "record":
            return _record(avro)
    return None


def _record(avro: Mapping[str, Any]) -> Names:
    if not isinstance(avro["fields"], list) or not all(isinstance(field, dict) for field in avro["fields"]):
        raise ContractError("the fields of a record must be a list of records")
    named = [field["name"] for field in avro["fields"]]
    if not _are_distinct(named) or not all(name.isidentifier() for name in named):
        raise ContractError(f"the fields of a record must have different words as names, not {named}")
    inner = {field["name"]: _inner(field["type"]) for field in avro["fields"]}
    return Names(
        pl.Struct({name: item.polars for name, (item, _) in inner.items()}),
        pa.struct([pa.field(name, item.arrow, nullable) for name, (item, nullable) in inner.items()]),
        f"Tuple({', '.join(f'{name} {item.clickhouse}' for name, (item, _) in inner.items())})",
        stored=pl.Struct({name: item.stored for name, (item, _) in inner.items()}),
    )


def _inner(avro: Avro) -> tuple[Names, bool]:
    """Return a type inside another one, its ClickHouse type with null, and whether it may be null."""
    rest, nullable = split_null(avro)
    inner = names(rest)
    return replace(inner, clickhouse=nullable_clickhouse(inner.clickhouse, nullable=nullable)), nullable


def _decimal(avro: Mapping[str, Any]) -> Names:
    precision, scale = avro["precision"], avro.get("scale", 0)
    if not _is_integer(precision, 1, _DECIMAL_DIGITS) or not _is_integer(scale, 0, precision):
        asked = f"decimal({precision}, {scale})"
        raise ContractError(f"{asked}: precision must be 1 to {_DECIMAL_DIGITS}, scale 0 to precision")
    return _alike(pl.Decimal(precision, scale), pa.decimal128(precision, scale), f"Decimal({precision}, {scale})")
