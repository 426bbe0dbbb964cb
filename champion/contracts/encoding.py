"""Values in Avro's JSON encoding (https://avro.apache.org/docs/1.12.0/specification/#json-encoding).

The value of a union is an object named by its branch; bytes are text with one character each; dates are days, times are
milliseconds or microseconds since 1970-01-01; decimals are the bytes of their unscaled number.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from champion.contracts.types import Avro, long_form, split_null
from champion.errors import ContractError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"timestamp-millis": timedelta(milliseconds=1), "timestamp-micros": timedelta(microseconds=1)}
_DECIMAL_BYTES = 16
_EXACT = Context(prec=38)  # Python's default context rounds to 28 digits


def encode(avro: Avro, value: Any) -> Any:
    """Return a Python value of type `avro` in JSON types.

    >>> from datetime import date
    >>> encode(["null", {"type": "int", "logicalType": "date"}], date(1970, 1, 3))
    {'int': 2}
    """
    inner, nullable = split_null(avro)
    if not nullable:
        return _encode(long_form(inner), value)
    full = long_form(inner)
    branch = full["name"] if full["type"] in {"enum", "fixed", "record"} else full["type"]
    return None if value is None else {branch: _encode(full, value)}


def decode(avro: Avro, value: Any) -> Any:
    """Return the Python value of a JSON value; the current type applies, even if an older version named another branch.

    >>> decode(["null", "long"], {"int": 2})
    2
    """
    inner, nullable = split_null(avro)
    if nullable and value is None:
        return None
    if nullable:
        (value,) = value.values()
    return _decode(long_form(inner), value)


def default(avro: Avro, value: Any) -> Any:
    """Return the Python value of a default, which Avro writes without the name of a branch."""
    return None if value is None else _decode(long_form(split_null(avro)[0]), value)


def _encode(avro: dict[str, Any], value: Any) -> Any:
    code = value
    match avro["type"], avro.get("logicalType"):
        case _, "date":
            code = (value - _EPOCH.date()).days
        case _, "timestamp-millis" | "timestamp-micros" as unit:
            code = (value - _EPOCH) // _UNITS[unit]
        case _, "decimal":
            unscaled = int(_EXACT.scaleb(value, avro.get("scale", 0)))
            code = unscaled.to_bytes(avro.get("size", _DECIMAL_BYTES), "big", signed=True).decode("latin-1")
        case "bytes" | "fixed", _:
            code = value.decode("latin-1")
        case "array", _:
            code = [encode(avro["items"], item) for item in value]
        case "map", _:
            code = {pair["key"]: encode(avro["values"], pair["value"]) for pair in value}
        case "record", _:
            code = {field["name"]: encode(field["type"], value[field["name"]]) for field in avro["fields"]}
    return code


def _decode(avro: dict[str, Any], code: Any) -> Any:
    value = code
    match avro["type"], avro.get("logicalType"):
        case _, "date":
            value = _EPOCH.date() + timedelta(days=code)
        case _, "timestamp-millis" | "timestamp-micros" as unit:
            value = _EPOCH + code * _UNITS[unit]
        case _, "decimal":
            unscaled = int.from_bytes(code.encode("latin-1"), "big", signed=True)
            value = _EXACT.scaleb(Decimal(unscaled), -avro.get("scale", 0))
        case "bytes" | "fixed", _:
            value = code.encode("latin-1")
        case "float" | "double", _:
            value = float(code)
        case "array", _:
            value = [decode(avro["items"], item) for item in code]
        case "map", _:
            value = [{"key": key, "value": decode(avro["values"], item)} for key, item in code.items()]
        case "record", _:
            value = {field["name"]: read_field(field, code) for field in avro["fields"]}
    return value


def read_field(field: dict[str, Any], record: dict[str, Any]) -> Any:
    """Return one field of a JSON record, or its default if the record is older than the field.

    Raises:
        ContractError: the record lacks it, and it has no default.
    """
    if field["name"] in record:
        return decode(field["type"], record[field["name"]])
    if "default" not in field:
        raise ContractError(f"the record has no {field['name']!r}, which has no default; it has {', '.join(record)}")
    return default(field["type"], field["default"])
