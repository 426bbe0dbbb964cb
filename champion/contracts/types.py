"""One table of types: what an Avro type is called in Polars, Arrow and ClickHouse.

Null-ness is the field's business, not the type's: the functions below take the type without its null branch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl
import pyarrow as pa

from champion.errors import ContractError

Avro: TypeAlias = str | list[Any] | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Names:
    """The same type in each engine."""

    polars: pl.DataType
    arrow: pa.DataType
    clickhouse: str


_PLAIN = {
    "boolean": Names(pl.Boolean(), pa.bool_(), "Bool"),
    "int": Names(pl.Int32(), pa.int32(), "Int32"),
    "long": Names(pl.Int64(), pa.int64(), "Int64"),
    "float": Names(pl.Float32(), pa.float32(), "Float32"),
    "double": Names(pl.Float64(), pa.float64(), "Float64"),
    "string": Names(pl.String(), pa.large_string(), "String"),
    "bytes": Names(pl.Binary(), pa.large_binary(), "String"),
}
_LOGICAL = {
    ("int", "date"): Names(pl.Date(), pa.date32(), "Date"),
    ("long", "timestamp-millis"): Names(pl.Datetime("ms", "UTC"), pa.timestamp("ms", "UTC"), "DateTime64(3, 'UTC')"),
    ("long", "timestamp-micros"): Names(pl.Datetime("us", "UTC"), pa.timestamp("us", "UTC"), "DateTime64(6, 'UTC')"),
}
_DECIMAL_DIGITS = 38


def split_null(avro: Avro) -> tuple[Avro, bool]:
    """Return the type without its null branch, and whether it had one.

    Raises:
        ContractError: for a union of anything but null and one type.

    >>> split_null(["null", "long"])
    ('long', True)
    """
    if not isinstance(avro, list):
        return avro, False
    rest = [branch for branch in avro if branch != "null"]
    if len(rest) != 1 or len(avro) == 1:
        raise ContractError(f"union {avro}: only [null, T] is supported; use separate fields or a string")
    return rest[0], len(rest) < len(avro)


def names(avro: Avro) -> Names:
    """Return what `avro` (without null) is called in each engine.

    Raises:
        ContractError: for a type outside the table of the design.

    >>> names({"type": "int", "logicalType": "date"}).clickhouse
    'Date'
    """
    if isinstance(avro, str):
        avro = {"type": avro}
    if isinstance(avro, list):
        raise ContractError(f"union {avro} inside another type is not supported; use separate fields")
    kind, logical = avro["type"], avro.get("logicalType")
    if isinstance(kind, dict):
        return names({**kind, **{k: v for k, v in avro.items() if k != "type"}})
    if logical == "decimal" and kind in {"bytes", "fixed"}:
        return _decimal(avro)
    if logical is not None and (kind, logical) in _LOGICAL:
        return _LOGICAL[kind, logical]
    if logical is not None and (kind, logical) != ("fixed", "uuid"):
        raise ContractError(f"logical type {logical!r} over {kind!r} is not supported; allowed: {sorted(_LOGICAL)}")
    return _complex(avro) or _plain(kind)


def nullable_clickhouse(type_name: str, *, nullable: bool, low_cardinality: bool) -> str:
    """Return the ClickHouse column type with its wrappers, in the one legal order.

    >>> nullable_clickhouse("String", nullable=True, low_cardinality=True)
    'LowCardinality(Nullable(String))'
    """
    composite = type_name.startswith(("Array(", "Map(", "Tuple("))  # ClickHouse has no Nullable around these
    inner = f"Nullable({type_name})" if nullable and not composite else type_name
    return f"LowCardinality({inner})" if low_cardinality else inner


def _plain(kind: Any) -> Names:
    if not isinstance(kind, str) or kind not in _PLAIN:
        raise ContractError(f"Avro type {kind!r} is not supported; allowed: {', '.join(_PLAIN)}")
    return _PLAIN[kind]


def _complex(avro: Mapping[str, Any]) -> Names | None:
    match avro["type"]:
        case "fixed":
            clickhouse = "UUID" if avro.get("logicalType") == "uuid" else f"FixedString({avro['size']})"
            return Names(pl.Binary(), pa.large_binary(), clickhouse)
        case "enum":
            symbols = pa.dictionary(pa.uint32(), pa.large_string())
            return Names(pl.Enum(avro["symbols"]), symbols, "LowCardinality(String)")
        case "array":
            item, nullable = _inner(avro["items"])
            return Names(
                pl.List(item.polars),
                pa.large_list(item.arrow),
                f"Array({nullable_clickhouse(item.clickhouse, nullable=nullable, low_cardinality=False)})",
            )
        case "map":
            value, nullable = _inner(avro["values"])
            pair = pl.Struct({"key": pl.String(), "value": value.polars})
            clickhouse = nullable_clickhouse(value.clickhouse, nullable=nullable, low_cardinality=False)
            return Names(pl.List(pair), pa.map_(pa.large_string(), value.arrow), f"Map(String, {clickhouse})")
        case "record":
            return _record(avro)
    return None


def _record(avro: Mapping[str, Any]) -> Names:
    inner = {field["name"]: _inner(field["type"]) for field in avro["fields"]}
    columns = (
        f"{name} {nullable_clickhouse(item.clickhouse, nullable=nullable, low_cardinality=False)}"
        for name, (item, nullable) in inner.items()
    )
    return Names(
        pl.Struct({name: item.polars for name, (item, _) in inner.items()}),
        pa.struct([pa.field(name, item.arrow, nullable) for name, (item, nullable) in inner.items()]),
        f"Tuple({', '.join(columns)})",
    )


def _inner(avro: Avro) -> tuple[Names, bool]:
    rest, nullable = split_null(avro)
    return names(rest), nullable


def _decimal(avro: Mapping[str, Any]) -> Names:
    precision, scale = avro["precision"], avro.get("scale", 0)
    if not 0 < precision <= _DECIMAL_DIGITS or not 0 <= scale <= precision:
        asked = f"decimal({precision}, {scale})"
        raise ContractError(f"{asked}: precision must be 1 to {_DECIMAL_DIGITS}, scale 0 to precision")
    return Names(pl.Decimal(precision, scale), pa.decimal128(precision, scale), f"Decimal({precision}, {scale})")
