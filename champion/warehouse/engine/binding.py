"""Check the parameters of a query against the types that the query declares.

ClickHouse itself would bind 300 as a UInt8 of 44, None as an empty String and 1900-01-01 as a Date of 2079.
A value of any type can be given as text, as on the command line.
"""

import ast
import ipaddress
import math
import operator
import re
import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from numbers import Real
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from champion.base.counting import quantity
from champion.errors import WarehouseError
from champion.warehouse.engine.statements import mask
from champion.warehouse.engine.types import Type

_PARAMETER = re.compile(r"\{\s*([A-Za-z_]\w*)\s*:\s*([^{}]+?)\s*\}")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_INTEGERS = {f"{sign}Int{bits}" for bits in (8, 16, 32, 64, 128, 256) for sign in ("", "U")}
_DATES = {"Date": (date(1970, 1, 1), date(2149, 6, 6)), "Date32": (date(1900, 1, 1), date(2299, 12, 31))}
_TIMES = {"DateTime": (1970, 2106), "DateTime64": (1900, 2299)}
_DECIMALS = {"Decimal32": 9, "Decimal64": 18, "Decimal128": 38, "Decimal256": 76}
_ADDRESSES: dict[str, Callable[[Any], object]] = {"IPv4": ipaddress.IPv4Address, "IPv6": ipaddress.IPv6Address}
_LAST_SECOND = 2**32 - 1
_SHOWN = 60


class _Misfit(ValueError):
    """A value does not fit the declared type; the message gives the reason, unless it is obvious."""


def check(statement: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters as they are bound.

    Raises:
        WarehouseError: a value does not fit its declared type; the message names parameter, type and value.

    >>> check("select {rows:UInt8}, {day:Date}", {"rows": "20", "day": "2024-01-15"})
    {'rows': 20, 'day': datetime.date(2024, 1, 15)}
    """
    bound = {name: _plain(value) for name, value in given.items()}
    for name, declared in _declared(statement):
        if name not in given:
            continue
        try:
            bound[name] = fit(_plain(given[name]), Type.parse(declared))
        except (ValueError, TypeError, ArithmeticError, SyntaxError, RecursionError, MemoryError) as error:
            shown = repr(given[name])
            shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
            why = f": {error}" if isinstance(error, _Misfit) and str(error) else ""
            raise WarehouseError(
                f"the parameter {name!r} is declared as {declared}; {shown} does not fit{why}"
            ) from error
    return bound


def names(statement: str) -> list[str]:
    """Return the names of the parameters of a statement, in order.

    >>> names("select {day :Date}, {day:Date}, '{text:String}'")
    ['day']
    """
    return list(dict.fromkeys(name for name, _ in _declared(statement)))


def compact(statement: str) -> str:
    """Return a statement with its parameters in the form that the driver recognizes, without spaces.

    >>> compact("select { day : Date }, '{ text : String }'")
    "select {day:Date}, '{ text : String }'"
    """
    for match in reversed(list(_PARAMETER.finditer(mask(statement)))):
        declared = statement[match.start(2) : match.end(2)]
        statement = f"{statement[: match.start()]}{{{match[1]}:{declared}}}{statement[match.end() :]}"
    return statement


def fit(value: Any, declared: Type) -> Any:
    """Return a value as it is bound to a parameter of the declared type.

    Raises:
        ValueError, TypeError, ArithmeticError, SyntaxError: it does not fit the type.

    >>> fit([1, None], Type.parse("Array(Nullable(Int8))"))
    [1, None]
    """
    if value is None:
        if declared.is_nullable or declared.plain.name == "Nothing":
            return None
        raise _Misfit(f"declare Nullable({declared.name}) if the value may be missing")
    plain = declared.plain
    for names, convert in _FITS:
        if plain.name in names:
            return convert(value, plain)
    raise _Misfit("values of this type cannot be bound; declare String, and cast it in the query")


def _declared(statement: str) -> list[tuple[str, str]]:
    """Return the names and types of the parameters; braces in strings and comments do not count."""
    code = mask(statement)
    return [(match[1], statement[match.start(2) : match.end(2)]) for match in _PARAMETER.finditer(code)]


def _plain(value: Any) -> Any:
    """Return columns and arrays of other libraries as lists, and their numbers as Python numbers."""
    if isinstance(value, pl.Series):
        return value.to_list()
    convert = getattr(value, "tolist", None)  # NumPy's arrays and numbers, pandas' columns
    return convert() if callable(convert) else value


def _integer(value: Any, plain: Type) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, bool):
        raise _Misfit("declare Bool for true and false")
    number = operator.index(value)
    bits = int(plain.name.rpartition("Int")[2])
    low, high = (0, 2**bits - 1) if plain.name.startswith("U") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if not low <= number <= high:
        raise _Misfit(f"it holds {low} to {high}")
    return number


def _container(value: Any, plain: Type) -> Any:
    if isinstance(value, str):
        value = ast.literal_eval(value.strip())
    types = plain.elements()
    if plain.name == "Map":
        key, element = types
        return {fit(name, key): fit(of, element) for name, of in dict(value).items()}
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise _Misfit
    if plain.name == "Array":
        return [fit(_plain(one), types[0]) for one in value]
    if plain.name == "Nested":
        return [_container(tuple(one), Type("Tuple", plain.arguments)) for one in value]
    if len(value) != len(types):
        raise _Misfit(f"it has {quantity(len(types), 'part')}")
    return tuple(fit(_plain(one), of) for one, of in zip(value, types, strict=True))


def _decimal(value: Any, plain: Type) -> Decimal:
    if plain.name == "Decimal":
        digits, scale = (int(text) for text in (*plain.arguments, "0")[:2])
    else:
        digits, scale = _DECIMALS[plain.name], int(plain.arguments[0])
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise _Misfit
    try:
        number = Decimal(repr(value) if isinstance(value, float) else str(value).strip())
    except InvalidOperation:
        raise _Misfit from None
    if not number.is_finite():
        raise _Misfit
    sign, figures, exponent = number.as_tuple()
    whole, places = len(figures) + int(exponent), -int(exponent)
    trailing = len(figures) - len("".join(map(str, figures)).rstrip("0"))
    if any(figures) and (places - trailing > scale or whole > digits - scale):
        raise _Misfit(f"it holds {digits - scale} digits before the point and {scale} after it")
    return Decimal(f"{'-' if sign else ''}{number.copy_abs():f}")  # `abs` rounds to 28 digits


def _text(value: Any, plain: Type) -> str | bytes:
    if not isinstance(value, str | bytes):
        raise _Misfit("write it in quotes")
    encoded = value.encode() if isinstance(value, str) else value
    if plain.name == "FixedString" and len(encoded) > int(plain.arguments[0]):
        raise _Misfit(f"it has {quantity(len(encoded), 'byte')}")
    if plain.name == "Identifier" and not value:
        raise _Misfit
    return value


def _float(value: Any, plain: Type) -> float:
    is_whole = isinstance(value, int)
    if isinstance(value, bool) or not isinstance(value, Real | Decimal | str):
        raise _Misfit
    number = float(value)
    if is_whole and int(number) != value:
        raise _Misfit("it has more digits than the type")
    if math.isinf(number) and "inf" not in str(value).lower():
        raise _Misfit("it is beyond the range of the type")
    if plain.name == "Float32" and math.isfinite(number):
        struct.pack("<f", number)
    return number


def _bool(value: Any, _: Type) -> bool:
    known, text = {"true": True, "false": False, "1": True, "0": False}, str(value).strip().lower()
    if text not in known or not isinstance(value, str | int):
        raise _Misfit
    return known[text]


def _date(value: Any, plain: Type) -> date:
    if isinstance(value, str):
        value = date.fromisoformat(value.strip())
    if isinstance(value, datetime) or not isinstance(value, date):
        raise _Misfit("give a date")
    first, last = _DATES[plain.name]
    if not first <= value <= last:
        raise _Misfit(f"it holds {first} to {last}")
    return value


def _moment(value: Any, plain: Type) -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if isinstance(value, int) and not isinstance(value, bool) and plain.name == "DateTime":
        if not 0 <= value <= _LAST_SECOND:
            raise _Misfit(f"it holds 0 to {_LAST_SECOND} seconds since 1970")
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise _Misfit("give a date with a time")
    zoned = value if value.tzinfo else value.replace(tzinfo=ZoneInfo(plain.text(0) or "UTC"))
    if plain.name == "DateTime" and not 0 <= zoned.timestamp() <= _LAST_SECOND:
        raise _Misfit(f"it holds 1970-01-01 00:00:00 to {datetime.fromtimestamp(_LAST_SECOND, UTC):%F %T}, UTC")
    first, last = _TIMES[plain.name]
    if not first <= value.year <= last:
        raise _Misfit(f"it holds the years {first} to {last}")
    places = int(plain.arguments[0]) if plain.name == "DateTime64" and plain.arguments else 0
    if places < len("000000") and value.microsecond % 10 ** (6 - places):
        raise _Misfit("it is finer than the type; DateTime64(6) holds microseconds")
    return value


def _member(value: Any, plain: Type) -> Any:
    members = plain.members()
    if value not in members:
        raise _Misfit(f"it is one of {', '.join(members)}")
    return value


_FITS: list[tuple[frozenset[str] | set[str] | Mapping[str, object], Callable[[Any, Type], Any]]] = [
    ({"String", "FixedString", "Identifier"}, _text),
    (_INTEGERS, _integer),
    ({"Array", "Tuple", "Map", "Nested"}, _container),
    ({"Decimal", *_DECIMALS}, _decimal),
    ({"Float32", "Float64"}, _float),
    ({"Bool"}, _bool),
    (_DATES, _date),
    (_TIMES, _moment),
    ({"Enum", "Enum8", "Enum16"}, _member),
    ({"UUID"}, lambda value, _: value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))),
    (_ADDRESSES, lambda value, plain: _ADDRESSES[plain.name](value)),
]
