"""Convert answers to Polars. Columns that Arrow holds under another type are converted by their ClickHouse type.

| ClickHouse | Arrow | Polars |
|---|---|---|
| DateTime | seconds as UInt32 | Datetime in its zone, or the engine's |
| Enum8, Enum16 | a number | String |
| UUID, IPv4, IPv6 | bytes, a number | String |
| Int128, UInt128 | bytes | Int128, UInt128 |
| BFloat16 | bytes | Float32 |
| Interval of fixed length | a number | Duration |
| JSON | an extension type | String |
| FixedString | bytes | Binary |

A type or value that Polars cannot hold raises a WarehouseError with the column, its type and an alternative.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any

import polars as pl
import pyarrow as pa

from champion.errors import WarehouseError
from champion.warehouse.engine.types import Type

_SAME = frozenset(
    "Bool Int8 Int16 Int32 Int64 UInt8 UInt16 UInt32 UInt64 Float32 Float64 Date32 DateTime64 String FixedString "
    "Nothing Time Time64 Point Ring Polygon MultiPolygon LineString MultiLineString MultiPoint "
    "IntervalNanosecond IntervalMicrosecond IntervalMillisecond IntervalSecond".split()
)
_SECONDS = {"IntervalMinute": 60, "IntervalHour": 3600, "IntervalDay": 86_400, "IntervalWeek": 604_800}
_CONVERTED = frozenset(
    "Date DateTime Enum8 Enum16 UUID IPv4 IPv6 Int128 UInt128 BFloat16 JSON Decimal".split()
) | frozenset(_SECONDS)
_CONTAINERS = frozenset({"Array", "Map", "Tuple", "Nested"})
_TEXT = "select toString({})"
_INSTEAD = {
    "AggregateFunction": "select finalizeAggregation({})",
    "IntervalMonth": "select toInt64({})",
    "IntervalQuarter": "select toInt64({})",
    "IntervalYear": "select toInt64({})",
    "Dynamic": "cast it to one type, as {}::Int64",
    "Variant": "select one of its types, as in variantElement({}, 'String')",
    "Geometry": "cast it to one type, as {}::Point",
}
_WIDE = frozenset({"Int128", "UInt128"})
_MAX_DIGITS = 38
_HEX_CUTS = ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))


def is_plain(table: pa.Table) -> bool:
    """Return whether each column has an Arrow type that corresponds to one ClickHouse type only."""
    unique = {pa.uint8(), pa.int32(), pa.uint64(), pa.float32(), pa.float64(), pa.bool_(), pa.date32(), pa.string()}
    return all(
        field.type in unique or pa.types.is_timestamp(field.type) or pa.types.is_decimal128(field.type)
        for field in table.schema
    )


def require_supported(types: Mapping[str, str]) -> None:
    """Require that Polars has a type for each column.

    Raises:
        WarehouseError: the message names the column, its type and an alternative.
    """
    for name, text in types.items():
        if (wrong := _unsupported(Type.parse(text))) is not None:
            instead = _INSTEAD.get(wrong.name, _TEXT).format(f"`{name}`")
            inside = "" if wrong == Type.parse(text).plain else f" with {wrong.name}"
            raise WarehouseError(
                f"the column {name!r} is of type {_short(text)}{inside}, which answers cannot hold; {instead}"
            )


def require_times_of_day(types: Mapping[str, str], reason: str) -> None:
    """Require that no column has the type Time, which the engine does not convert beyond one day.

    Raises:
        WarehouseError: the message names the first such column and gives `reason`.
    """
    for name, text in types.items():
        if "Time" in text and "DateTime" not in text:
            raise _wrong_value(name, text, reason, _TEXT.format(f"`{name}`"))


def frame(table: pa.Table, types: Mapping[str, str], zone: str = "UTC") -> pl.DataFrame:
    """Return a result as a Polars frame; `types` are ClickHouse's types by column, empty if `is_plain`.

    Raises:
        WarehouseError: a type is not supported, a value does not fit its type, or two columns have the same name.
    """
    repeated = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if repeated:
        raise WarehouseError(f"several columns are named {repeated[0]!r}; give them different names with `as`")
    require_supported(types)
    columns = []
    for name in table.column_names:
        column, text = table[name], types.get(name, "String")  # of plain types, only texts can be invalid
        try:
            for chunk in column.chunks:
                chunk.validate(full=True)  # Polars does not check: invalid UTF-8 would cause a panic later
            columns.append(_column(column, Type.parse(text), zone).alias(name))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pl.exceptions.PolarsError) as error:
            hint = "select hex() of its texts" if "UTF8" in str(error) else _TEXT.format(f"`{name}`")
            raise _wrong_value(name, text, str(error), hint) from error
    return pl.DataFrame(columns)


def _unsupported(stated: Type) -> Type | None:
    """Return the part of a type that Polars does not support; None if it supports all."""
    plain = stated.plain
    for element in plain.elements():
        if element.plain.name in _WIDE:  # Arrow builds lists, and has no such integers
            return element.plain
        if (wrong := _unsupported(element)) is not None:
            return wrong
    if plain.name == "Decimal":
        return plain if int(plain.arguments[0]) > _MAX_DIGITS else None
    return None if plain.name in _SAME | _CONVERTED | _CONTAINERS else plain


def _column(column: pa.ChunkedArray, stated: Type, zone: str) -> pl.Series:
    if stated.plain.name in _WIDE:
        dtype = pl.Int128 if stated.plain.name == "Int128" else pl.UInt128
        return pl.Series(column.to_pylist(), dtype=pl.Binary).bin.reinterpret(dtype=dtype, endianness="little")
    chunks = [_array(chunk, stated, zone) for chunk in column.chunks]
    if not chunks:
        chunks = [_array(pa.nulls(0, column.type), stated, zone)]
    series = pl.from_arrow(pa.chunked_array(chunks))
    return series if isinstance(series, pl.Series) else series.to_series()


def _array(array: Any, stated: Type, zone: str) -> Any:
    """Return an Arrow array that Polars reads as the stated type."""
    plain = stated.plain
    if not _needs_conversion(plain):
        return array
    match plain.name, plain.elements():
        case "Array", [element]:
            return pa.ListArray.from_arrays(array.offsets, _array(array.values, element, zone))
        case "Map", [key, value]:
            keys, values = _array(array.keys, key, zone), _array(array.items, value, zone)
            return pa.MapArray.from_arrays(array.offsets, keys, values)
        case "Nested", _:
            inner = _array(array.values, Type("Tuple", plain.arguments), zone)
            return pa.ListArray.from_arrays(array.offsets, inner)
        case "Tuple", elements:
            names = [field.name for field in array.type]
            parts = [_array(array.field(number), element, zone) for number, element in enumerate(elements)]
            return pa.StructArray.from_arrays(parts, names=names, mask=array.is_null())
        case _:
            return _leaf(array, plain, zone)


def _needs_conversion(plain: Type) -> bool:
    return plain.name in _CONVERTED or any(_needs_conversion(element.plain) for element in plain.elements())


def _leaf(array: Any, plain: Type, zone: str) -> Any:  # noqa: PLR0911 - one line a type
    match plain.name:
        case "DateTime" if pa.types.is_integer(array.type):
            return array.cast(pa.int64()).cast(pa.timestamp("s", plain.text(0) or zone))
        case "Date" if pa.types.is_integer(array.type):  # of servers before 25
            return array.cast(pa.int32()).cast(pa.date32())
        case "Enum8" | "Enum16":
            names = {number: name for name, number in plain.members().items()}
            return pa.array([names.get(value) for value in array.to_pylist()], pa.string())
        case "UUID":
            series = pl.Series("u", pl.from_arrow(getattr(array, "storage", array)), dtype=pl.Binary)
            digits = pl.col("u").bin.encode("hex")
            text = pl.concat_str([digits.str.slice(start, length) for start, length in _HEX_CUTS], separator="-")
            return series.to_frame().select(text).to_series().to_arrow(compat_level=pl.CompatLevel.oldest())
        case "IPv4" | "IPv6":
            return pa.array([None if value is None else _address(value) for value in array.to_pylist()], pa.string())
        case "JSON":
            return getattr(array, "storage", array)
        case "BFloat16":
            # The upper halves of 32-bit floats.
            whole = [None if value is None else b"\0\0" + value for value in array.to_pylist()]
            floats = pl.Series(whole, dtype=pl.Binary).bin.reinterpret(dtype=pl.Float32, endianness="little")
            return pa.array(floats.to_list(), pa.float32())
        case name if name in _SECONDS and not pa.types.is_duration(array.type):
            import pyarrow.compute as pc  # noqa: PLC0415 - few answers need it

            return pc.multiply_checked(array, _SECONDS[name] * 1000).cast(pa.duration("ms"))
        case _:
            return array


def _address(value: int | bytes) -> str:
    """Return an address in ClickHouse's notation."""
    address = ipaddress.ip_address(value) if isinstance(value, bytes) else ipaddress.IPv4Address(value)
    mapped = getattr(address, "ipv4_mapped", None)
    return f"::ffff:{mapped}" if mapped else str(address)


def _wrong_value(name: str, text: str, found: str, hint: str) -> WarehouseError:
    return WarehouseError(
        f"the column {name!r} of type {_short(text)} holds a value that answers cannot hold ({_short(found)}); {hint}"
    )


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 80 else f"{flat[:80]}..."  # noqa: PLR2004 - one line
