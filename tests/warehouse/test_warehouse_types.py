"""Each ClickHouse type returns its value or an error with column and type; parameters fit their types."""

from __future__ import annotations

import math
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st

from champion import warehouse
from champion.errors import WarehouseError
from champion.settings import Settings
from champion.warehouse.engine import binding
from champion.warehouse.engine.types import Type

KOLKATA = ZoneInfo("Asia/Kolkata")
TEN = datetime(2024, 1, 1, 10, tzinfo=KOLKATA)
HEX = "6af613b6-569c-5c22-9c37-2ed93f31d3af"
ENUM = r"Enum8('a' = 1, 'it\'s, (b)' = -2)"
POINT = {"1": 1.0, "2": 2.0}
RIGHT: dict[str, tuple[str, Any]] = {  # type: an expression and its value, or a part of the error's message
    "AggregateFunction": ("sumState(1)", WarehouseError("'x' is of type AggregateFunction(sum, UInt8)")),
    "Array": ("[toDateTime('2024-01-01 10:00:00', 'Asia/Kolkata')]", [TEN]),
    "BFloat16": ("toBFloat16(1.5)", 1.5),
    "Bool": ("true", True),
    "Date": ("toDate('2149-06-06')", date(2149, 6, 6)),
    "Date32": ("toDate32('1900-01-01')", date(1900, 1, 1)),
    "DateTime": ("toDateTime('2024-01-01 10:00:00', 'Asia/Kolkata')", TEN),
    "DateTime32": ("cast('2024-01-01 10:00:00', 'DateTime32(\\'Asia/Kolkata\\')')", TEN),
    "DateTime64": ("toDateTime64('2024-01-01 10:00:00.5', 6, 'Asia/Kolkata')", TEN + timedelta(seconds=0.5)),
    "Decimal": ("cast('-1.5', 'Decimal(38, 2)')", Decimal("-1.50")),
    "Decimal32": ("toDecimal32('1.5', 3)", Decimal("1.500")),
    "Decimal64": ("toDecimal64('1.5', 3)", Decimal("1.500")),
    "Decimal128": ("toDecimal128('1.5', 30)", Decimal("1.5")),
    "Decimal256": ("toDecimal256('1.5', 50)", WarehouseError("'x' is of type Decimal(76, 50)")),
    "Dynamic": ("cast(1 as Dynamic)", WarehouseError("'x' is of type Dynamic")),
    "Enum": ("cast('a', 'Enum(\\'a\\' = 1)')", "a"),
    "Enum8": (f"cast(-2, '{ENUM.replace(chr(92), chr(92) * 2).replace(chr(39), chr(92) + chr(39))}')", "it's, (b)"),
    "Enum16": ("cast('b', 'Enum16(\\'a\\' = 1, \\'b\\' = 300)')", "b"),
    "FixedString": ("toFixedString('EQ', 3)", b"EQ\0"),
    "Float32": ("toFloat32(1.5)", 1.5),
    "Float64": ("-inf", -math.inf),
    "Geometry": ("cast(cast((1, 2) as Point) as Geometry)", WarehouseError("'x' is of type Geometry")),
    "IPv4": ("toIPv4('1.2.3.4')", "1.2.3.4"),
    "IPv6": ("toIPv6('::ffff:1.2.3.4')", "::ffff:1.2.3.4"),
    "Int8": ("toInt8(-3)", -3),
    "Int16": ("toInt16(-3)", -3),
    "Int32": ("toInt32(-3)", -3),
    "Int64": ("toInt64(-3)", -3),
    "Int128": ("toInt128('-1267650600228229401496703205381')", -(2**100) - 5),
    "Int256": ("toInt256(-5)", WarehouseError("'x' is of type Int256")),
    "IntervalDay": ("interval 3 day", timedelta(days=3)),
    "IntervalHour": ("interval 3 hour", timedelta(hours=3)),
    "IntervalMicrosecond": ("interval 3 microsecond", timedelta(microseconds=3)),
    "IntervalMillisecond": ("interval 3 millisecond", timedelta(milliseconds=3)),
    "IntervalMinute": ("interval 3 minute", timedelta(minutes=3)),
    "IntervalMonth": ("interval 3 month", WarehouseError("'x' is of type IntervalMonth")),
    "IntervalNanosecond": ("interval 3000 nanosecond", timedelta(microseconds=3)),
    "IntervalQuarter": ("interval 3 quarter", WarehouseError("'x' is of type IntervalQuarter")),
    "IntervalSecond": ("interval 3 second", timedelta(seconds=3)),
    "IntervalWeek": ("interval 3 week", timedelta(weeks=3)),
    "IntervalYear": ("interval 3 year", WarehouseError("'x' is of type IntervalYear")),
    "JSON": ("""cast('{"a":{"b":[1,2]}}' as JSON)""", '{"a":{"b":[1,2]}}'),
    "LineString": ("cast([(1, 2)] as LineString)", [POINT]),
    "LowCardinality": ("toLowCardinality('x')", "x"),
    "Map": ("map('a', toUUID('" + HEX + "'))", {"a": HEX}),
    "MultiLineString": ("cast([[(1, 2)]] as MultiLineString)", [[POINT]]),
    "MultiPoint": ("cast([(1, 2)] as MultiPoint)", [POINT]),
    "MultiPolygon": ("cast([[[(1, 2)]]] as MultiPolygon)", [[[POINT]]]),
    "Nested": ("cast([(1, 'a')], 'Nested(x UInt8, y Enum8(\\'a\\' = 7))')", [{"x": 1, "y": "a"}]),
    "Nothing": ("null", None),
    "Nullable": ("cast(null as Nullable(DateTime))", None),
    "Point": ("cast((1, 2) as Point)", POINT),
    "Polygon": ("cast([[(1, 2)]] as Polygon)", [[POINT]]),
    "QBit": ("cast([1, 2] as QBit(Float32, 2))", WarehouseError("'x' is of type QBit(Float32, 2)")),
    "Ring": ("cast([(1, 2)] as Ring)", [POINT]),
    "SimpleAggregateFunction": ("cast(1 as SimpleAggregateFunction(sum, UInt64))", 1),
    "String": ("unhex('fffe41')", WarehouseError("'x' of type String")),
    "Time": ("cast('10:00:01' as Time)", time(10, 0, 1)),
    "Time64": ("cast('30:00:01.5' as Time64(3))", WarehouseError("'x' of type Time64(3)")),
    "Tuple": ("tuple(null, toIPv4('1.2.3.4'))", {"1": None, "2": "1.2.3.4"}),
    "UInt8": ("toUInt8(200)", 200),
    "UInt16": ("toUInt16(60000)", 60000),
    "UInt32": ("toUInt32(4000000000)", 4_000_000_000),
    "UInt64": ("toUInt64(18446744073709551615)", 2**64 - 1),
    "UInt128": ("bitNot(toUInt128(0))", 2**128 - 1),
    "UInt256": ("toUInt256(5)", WarehouseError("'x' is of type UInt256")),
    "UUID": (f"toUUID('{HEX}')", HEX),
    "Variant": ("cast(1 as Variant(UInt8, String))", WarehouseError("'x' is of type Variant(String, UInt8)")),
}
OTHERS = [
    ("[toInt128(1)]", WarehouseError("'x' is of type Array(Int128) with Int128")),
    ("[unhex('ff')]", WarehouseError("'x' of type Array(String)")),
    ("map(unhex('ff'), 1)", WarehouseError("'x' of type Map(String, UInt8)")),
    ("tuple('a', toInt256(1))", WarehouseError("'x' is of type Tuple(String, Int256) with Int256")),
    (f"[[toUUID('{HEX}')], []]", [[HEX], []]),
    ("[cast('a', 'Enum8(\\'a\\' = 1)'), null]", ["a", None]),
    ("cast(null as Nullable(Int128))", None),
    ("toLowCardinality(toNullable('x'))", "x"),
    ("[null, 1]", [None, 1]),
]


def test_all_types_of_the_engine_are_in_the_table(loaded: Settings) -> None:
    families = warehouse.sql(loaded, "select name from system.data_type_families where alias_to = ''")["name"]
    assert set(families) <= set(RIGHT), "what does a column of a new type become?"


@pytest.mark.parametrize(("text", "right"), [*RIGHT.values(), *OTHERS], ids=[*RIGHT, *(text for text, _ in OTHERS)])
def test_each_type_returns_its_value_or_an_error_with_column_and_type(loaded: Settings, text: str, right: Any) -> None:
    several = f"select {text} as x from numbers(3) where number != 1"
    if isinstance(right, WarehouseError):
        with pytest.raises(WarehouseError) as caught:
            warehouse.sql(loaded, several)
        assert str(right) in str(caught.value)
        assert "\n" not in str(caught.value)
        return
    answer = warehouse.sql(loaded, several)["x"]
    assert answer.to_list() == [right, right]
    empty = warehouse.sql(loaded, several + " and number = 9")["x"]
    assert empty.to_list() == []
    assert empty.dtype == answer.dtype


def test_time_without_zone_has_the_zone_of_the_engine(loaded: Settings) -> None:
    answer = warehouse.sql(loaded, "select now() as n, timezone() as z, toDateTime(0) as zero, toUnixTimestamp(n) as u")
    assert answer["zero"].item() == datetime(1970, 1, 1, tzinfo=UTC)
    assert str(answer["n"].item().tzinfo) == answer["z"].item()
    assert answer["n"].item().timestamp() == answer["u"].item()


def test_columns_with_the_same_name_are_refused(loaded: Settings) -> None:
    with pytest.raises(WarehouseError, match="'a'"):
        warehouse.sql(loaded, "select 1 as a, 1 as a")


FITTING: list[tuple[str, Any, Any]] = [
    ("UInt8", 255, 255),
    ("UInt8", "255", 255),
    ("UInt8", np.int64(7), 7),
    ("Int8", -128, -128),
    ("UInt64", 2**64 - 1, 2**64 - 1),
    ("Int128", -(2**127), -(2**127)),
    ("Float64", math.inf, math.inf),
    ("Float64", -math.inf, -math.inf),
    ("Float64", 3, 3.0),
    ("Float32", np.float32(1.5), 1.5),
    ("Float64", "1e3", 1000.0),
    ("Bool", True, True),
    ("Bool", "false", False),
    ("String", "a'\\\t\n\0é", "a'\\\t\n\0é"),
    ("String", "\\N", "\\N"),
    ("Nullable(String)", None, None),
    ("Nullable(UInt8)", 5, 5),
    ("LowCardinality(Nullable(String))", None, None),
    ("Date", date(2024, 1, 15), date(2024, 1, 15)),
    ("Date", "2024-01-15", date(2024, 1, 15)),
    ("Date32", date(1900, 1, 1), date(1900, 1, 1)),
    ("DateTime('Asia/Kolkata')", TEN, TEN),
    ("DateTime('Asia/Kolkata')", TEN.astimezone(UTC), TEN),
    ("DateTime('Asia/Kolkata')", datetime(2024, 1, 1, 10), TEN),  # noqa: DTZ001 - in the parameter's own zone
    ("DateTime('Asia/Kolkata')", "2024-01-01 10:00:00", TEN),
    ("DateTime('Asia/Kolkata')", date(2024, 1, 1), TEN.replace(hour=0)),
    ("DateTime('UTC')", 0, datetime(1970, 1, 1, tzinfo=UTC)),
    ("DateTime64(3, 'UTC')", datetime(2024, 1, 1, 0, 0, 0, 5000, tzinfo=UTC), datetime(2024, 1, 1, 0, 0, 0, 5000, UTC)),
    ("Decimal(9, 2)", Decimal("-1234567.89"), Decimal("-1234567.89")),
    ("Decimal(9, 2)", 0.1, Decimal("0.10")),
    ("Decimal(9, 2)", "1E+3", Decimal("1000.00")),
    ("Decimal64(2)", 5, Decimal("5.00")),
    ("Decimal(38, 10)", Decimal(f"{'12345678' * 3}1234.0123456789"), Decimal(f"{'12345678' * 3}1234.0123456789")),
    ("DateTime('UTC')", datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC), datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)),
    ("UUID", uuid.UUID(HEX), HEX),
    ("UUID", HEX, HEX),
    ("IPv4", IPv4Address("1.2.3.4"), "1.2.3.4"),
    ("IPv6", "::1", "::1"),
    ("Enum8('a' = 1, 'b' = 2)", "b", "b"),
    ("FixedString(2)", "EQ", b"EQ"),
    ("Array(String)", ["a'b", "c"], ["a'b", "c"]),
    ("Array(String)", "['a', 'b']", ["a", "b"]),
    ("Array(String)", pl.Series(["a"]), ["a"]),
    ("Array(UInt8)", np.array([1, 2]), [1, 2]),
    ("Array(UInt8)", (), []),
    ("Array(Nullable(Int8))", [1, None], [1, None]),
    ("Array(Date)", [date(2024, 1, 15)], [date(2024, 1, 15)]),
    ("Array(Float64)", [math.inf, 0.5], [math.inf, 0.5]),
    ("Array(Bool)", [True, False], [True, False]),
    ("Array(Array(UInt8))", [[1], []], [[1], []]),
    ("Array(Decimal(5, 1))", [Decimal("1.5")], [Decimal("1.5")]),
    ("Map(String, UInt8)", {"a": 1}, {"a": 1}),
    ("Tuple(UInt8, String)", (1, "a"), {"1": 1, "2": "a"}),
    ("Tuple(n UInt8, s Nullable(String))", (1, None), {"n": 1, "s": None}),
]
MISFITS: list[tuple[str, Any]] = [
    *(("UInt8", value) for value in (300, -1, "300", "abc", "", 1.0, "1.0", None, True, [1], b"1", math.nan)),
    *(("Int64", value) for value in (2**63, -(2**63) - 1, "9223372036854775808", "²")),
    *(("Int256", value) for value in (2**255, "x")),
    *(("String", value) for value in (None, 5, 1.5, True, ["a"], date(2024, 1, 1), "\udcff")),
    *(("FixedString(2)", value) for value in ("EQS", "é2", 5)),
    *(("Float64", value) for value in (None, "x", True, [1.0], 2**53 + 1, 10**400)),
    *(("Float64", value) for value in ("1e400", Decimal("-1e400"))),
    ("Float32", 1e300),
    *(("Bool", value) for value in (2, "yes", None, 1.0)),
    *(("Date", value) for value in ("2024-02-30", "x", date(1969, 12, 31), date(2149, 6, 7), TEN, 5, None)),
    ("Date32", date(1899, 12, 31)),
    *(
        ("DateTime", value)
        for value in ("x", datetime(1969, 12, 31, tzinfo=UTC), TEN.replace(microsecond=1), -1, 2**32)
    ),
    ("DateTime", datetime(1970, 1, 1, 5, tzinfo=timezone(timedelta(hours=5.5)))),
    ("DateTime", datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC)),
    ("DateTime('Asia/Kolkata')", datetime(1970, 1, 1, 5)),  # noqa: DTZ001 - in the parameter's own zone
    ("DateTime64(3)", TEN.replace(microsecond=1)),
    *(("Decimal(5, 2)", value) for value in ("1.234", 1000, math.nan, math.inf, "NaN", "x", None, True, [1])),
    *(("UUID", value) for value in ("x", 5, None)),
    *(("IPv4", value) for value in ("1.2.3", "::1", None)),
    *(("Enum8('a' = 1)", value) for value in ("b", None, 5)),
    *(("Array(UInt8)", value) for value in ([300], [None], "x", "[300]", 5, "1", {"a": 1}, "(" * 5000)),
    *(("Map(String, UInt8)", value) for value in ({"a": 300}, {5: 1}, [1], "x")),
    *(("Tuple(UInt8, String)", value) for value in ((1,), (1, None), (1, "a", 2), "x")),
    *(("Variant(UInt8, String)", value) for value in (1, "x")),
    ("Nothingness", 1),
]


@pytest.mark.parametrize(("declared", "value", "right"), FITTING, ids=str)
def test_parameter_that_fits_is_unchanged(loaded: Settings, declared: str, value: Any, right: Any) -> None:
    assert warehouse.sql(loaded, f"select {{p:{declared}}} as x", {"p": value})["x"].to_list() == [right]


@pytest.mark.parametrize(("declared", "value"), MISFITS, ids=lambda value: str(value)[:40])
def test_parameter_that_does_not_fit_is_refused_before_the_query(declared: str, value: Any) -> None:
    with pytest.raises(WarehouseError, match=r"the parameter 'p' is declared as") as caught:
        binding.check(f"select {{p: {declared} }} as x", {"p": value})
    assert declared in str(caught.value)
    assert len(str(caught.value)) < 400


@given(st.sampled_from([8, 16, 32, 64, 128]), st.booleans(), st.integers(-(2**130), 2**130))
def test_integer_fits_if_it_is_in_the_range_of_its_type(bits: int, unsigned: bool, value: int) -> None:
    low, high = (0, 2**bits) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    declared = Type(f"{'U' if unsigned else ''}Int{bits}")
    for given_as in (value, str(value)):
        if low <= value < high:
            assert binding.fit(given_as, declared) == value
        else:
            with pytest.raises(ValueError, match="it holds"):
                binding.fit(given_as, declared)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**6), max_value=10**6))
def test_decimal_fits_if_no_digit_is_lost(value: Decimal) -> None:
    declared = Type.parse("Decimal(7, 2)")
    if value == value.quantize(Decimal("0.01")) and abs(value) < 10**5:
        assert binding.fit(value, declared) == value
    else:
        with pytest.raises(ValueError, match="it holds"):
            binding.fit(value, declared)


def test_braces_in_strings_and_comments_declare_nothing(loaded: Settings) -> None:
    text = "select '{p:UInt8}' as s, {p:String} as x -- {p:UInt8}"
    assert warehouse.sql(loaded, text, {"p": "a"}).row(0) == ("{p:UInt8}", "a")
