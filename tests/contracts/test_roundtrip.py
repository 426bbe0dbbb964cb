"""Round trips of every contract's rows, edge values included, through Parquet, Arrow and ClickHouse; rules alike.

One more contract has every type of the table.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from champion import contracts, warehouse
from champion.contracts import Contract, samples, storage
from champion.contracts.contract import parse
from champion.contracts.types import Avro, long_form, split_null
from champion.errors import ContractError
from champion.lake import Lake
from champion.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

    from champion.warehouse.engine.database import Executor

TYPES: dict[str, Avro] = {
    "flag": "boolean", "small": "int", "large": "long", "single": "float", "double": "double", "word": "string",
    "raw": "bytes", "four": {"type": "fixed", "name": "four", "size": 4},
    "id": {"type": "fixed", "name": "uuid", "size": 16, "logicalType": "uuid"},
    "kind": {"type": "enum", "name": "kind", "symbols": ["EQ", "", "é"]},
    "day": {"type": "int", "logicalType": "date"},
    "millis": {"type": "long", "logicalType": "timestamp-millis"},
    "micros": {"type": "long", "logicalType": "timestamp-micros"},
    "price": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4},
    "sum": {"type": "fixed", "name": "sum", "size": 16, "logicalType": "decimal", "precision": 38},
}  # fmt: skip
NESTED: dict[str, Avro] = {
    "list": {"type": "array", "items": ["null", "long"]},
    "lists": {"type": "array", "items": {"type": "array", "items": "string"}},
    "map": {"type": "map", "values": ["null", "double"]},
    "pair": {
        "type": "record",
        "name": "pair",
        "fields": [{"name": "x", "type": ["null", "int"]}, {"name": "y", "type": "string"}],
    },
    "pairs": {"type": "array", "items": {"type": "record", "name": "one", "fields": [{"name": "z", "type": "string"}]}},
}


def every_type() -> Contract:
    required = [{"name": name, "type": avro, "doc": ""} for name, avro in (TYPES | NESTED).items()]
    nullable = TYPES.items()
    optional = [{"name": f"any_{name}", "type": ["null", avro], "default": None, "doc": ""} for name, avro in nullable]
    low = {"name": "low", "type": ["null", "string"], "default": None, "low_cardinality": True, "doc": ""}
    return parse(
        {
            "name": "raw_types", "layer": "raw", "dataset": "types", "schema_version": "1.0.0", "doc": "",
            "key": ["large"], "session": "day", "partition_by": ["date"], "sort_by": ["large"], "rules": {},
            "fields": [*required, *optional, low],
        }
    )  # fmt: skip


CONTRACTS = [contracts.load(name, version) for name in contracts.names() for version in contracts.versions(name)]
ALL = [*CONTRACTS, every_type()]
RULES = [(contract, rule) for contract in CONTRACTS for rule in contract.rules]

# A few examples of each contract, more of the one that has every type; the engine outlives the examples on purpose.
EXAMPLES = settings(
    max_examples=5,
    phases=[Phase.generate],  # a failure is shown as found: shrinking rows this wide takes minutes
    suppress_health_check=[
        HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)  # fmt: skip

MORE = settings(EXAMPLES, max_examples=20)

# What ClickHouse's types hold; Parquet and Arrow hold any date.
FIRST, LAST = date(1970, 1, 1), date(2149, 6, 6)
EARLIEST, LATEST = datetime(1900, 1, 1), datetime(2299, 12, 31, 23, 59, 59)  # noqa: DTZ001 - hypothesis adds the zone
EDGES: dict[str, list[Any]] = {
    "int": [0, -1, 2**31 - 1, -(2**31)],
    "long": [0, 2**53 + 1, 2**63 - 1, -(2**63)],
    "float": [0.0, -0.0, 1e-45, float("inf"), float("nan")],
    "double": [0.0, -0.0, 5e-324, 1.7976931348623157e308, float("-inf"), float("nan"), 0.1 + 0.2],
    "string": ["", " ", "M&M", "ZED'S", "रुपया", "\U0001f600", "null", "a\x00b"],
    "bytes": [b"", b"\x00", b"\xff\xfe"],
}


def values(avro: Avro, *, far: bool) -> st.SearchStrategy[Any]:
    """Values of a type, often its limits; `far` adds dates that only files support."""
    inner, nullable = split_null(avro)
    found = _values(long_form(inner), far=far)
    return st.none() | found if nullable else found


def _values(avro: dict[str, Any], *, far: bool) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - a row of the table each
    match avro["type"], avro.get("logicalType"):
        case _, "date":
            return st.sampled_from([FIRST, LAST]) | (st.dates() if far else st.dates(FIRST, LAST))
        case _, "timestamp-millis" | "timestamp-micros" as unit:
            return _times(timedelta(milliseconds=1) if unit.endswith("millis") else timedelta(microseconds=1), far=far)
        case _, "decimal":
            digits, scale = avro["precision"], avro.get("scale", 0)
            whole = st.integers(-(10**digits) + 1, 10**digits - 1)
            return whole.map(lambda number: Context(prec=digits).scaleb(Decimal(number), -scale))
        case "fixed", _:
            return st.binary(min_size=avro["size"], max_size=avro["size"])
        case "enum", _:
            return st.sampled_from(avro["symbols"])
        case "array", _:
            return st.lists(values(avro["items"], far=far), max_size=3)
        case "map", _:
            pairs = st.dictionaries(st.text(max_size=3), values(avro["values"], far=far), max_size=3)
            return pairs.map(lambda found: [{"key": key, "value": value} for key, value in found.items()])
        case "record", _:
            return st.fixed_dictionaries({f["name"]: values(f["type"], far=far) for f in avro["fields"]})
    return _plain(avro["type"])


def _times(unit: timedelta, *, far: bool) -> st.SearchStrategy[datetime]:
    first, last = (datetime.min, datetime.max) if far else (EARLIEST, LATEST)  # noqa: DTZ901
    moments = st.datetimes(first, last, timezones=st.just(UTC))
    return moments.map(lambda at: at - timedelta(microseconds=at.microsecond % (unit // timedelta(microseconds=1))))


def _plain(kind: str) -> st.SearchStrategy[Any]:
    found: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1),
        "float": st.floats(width=32),
        "double": st.floats(),
        "string": st.text(max_size=8),
        "bytes": st.binary(max_size=8),
    }
    return st.sampled_from(EDGES[kind]) | found[kind] if kind in EDGES else found[kind]


def frames(contract: Contract, *, far: bool) -> st.SearchStrategy[pl.DataFrame]:
    """Up to four rows of a contract with different keys."""
    row = {
        field.name: values(["null", field.avro] if field.nullable else field.avro, far=far) for field in contract.fields
    }
    key = contract.key
    rows = st.lists(st.fixed_dictionaries(row), max_size=4, unique_by=lambda one: repr([one[name] for name in key]))
    return rows.map(lambda found: contract.conform(pl.DataFrame(found, schema=contract.polars_schema)))


def same(found: pl.DataFrame, sent: pl.DataFrame) -> None:
    """Assert equality to the bit, -0.0 and NaN included, whatever the order of rows."""
    assert found.schema == sent.schema
    assert sorted(map(repr, found.rows())) == sorted(map(repr, sent.rows()))


def keeps_contract(contract: Contract, row: pl.DataFrame) -> bool:
    """Return whether the lake accepts a row: it satisfies the rules, and no number is NaN or infinite."""
    numbers = [value for value in row.row(0) if isinstance(value, float)]
    rules = [row.select(contracts.rule_expression(text)).item() for text in contract.rules.values()]
    keeps = all(math.isfinite(value) for value in numbers) and all(rules)
    if not keeps:
        with pytest.raises(ContractError, match=r"NaN or infinity|is false in 1 row"):
            contract.require_valid(row)
    return keeps


def examples(contract: Contract) -> settings:
    """Return how many examples a law of a contract is tried on."""
    return MORE if contract is ALL[-1] else EXAMPLES


def label(value: Any) -> str:
    return value.name if isinstance(value, Contract) else str(value)


@pytest.mark.parametrize("contract", ALL, ids=label)
def test_arrow_keeps_every_value(contract: Contract) -> None:
    @examples(contract)
    @given(frames(contract, far=True))
    def holds(sent: pl.DataFrame) -> None:
        table = storage.to_arrow(sent, contract)
        assert table.schema == contract.arrow_schema
        same(storage.from_arrow(table, contract), sent)

    holds()


@pytest.mark.parametrize("contract", ALL, ids=label)
def test_samples_keep_every_value(contract: Contract, tmp_path: Path) -> None:
    @examples(contract)
    @given(frames(contract, far=True))
    def holds(sent: pl.DataFrame) -> None:
        for index, row in enumerate(sent.iter_rows(named=True)):
            (tmp_path / "sample.json").write_text(samples.text(row, contract), encoding="utf-8")
            same(samples.read(tmp_path / "sample.json", contract), sent[index])

    holds()


@pytest.mark.parametrize("contract", ALL, ids=label)
def test_parquet_keeps_every_value(contract: Contract, tmp_path: Path) -> None:
    @examples(contract)
    @given(frames(contract, far=True))
    def holds(sent: pl.DataFrame) -> None:
        storage.write(sent, contract, tmp_path / "part.parquet")
        same(storage.scan([tmp_path / "part.parquet"], contract).collect(), sent)

    holds()


def test_parquet_files_have_the_types_of_the_design(tmp_path: Path) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415 - the other reader

    contract = every_type()
    storage.write(pl.DataFrame(schema=contract.polars_schema), contract, tmp_path / "part.parquet")
    text = str(pq.ParquetFile(tmp_path / "part.parquet").schema)
    for line in (
        "required boolean field_id=-1 flag;",
        "required int32 field_id=-1 small;",
        "required int64 field_id=-1 large;",
        "required float field_id=-1 single;",
        "required double field_id=-1 double;",
        "required binary field_id=-1 word (String);",
        "required binary field_id=-1 kind (String);",
        "required binary field_id=-1 raw;",
        "required fixed_len_byte_array(4) field_id=-1 four;",
        "required int32 field_id=-1 day (Date);",
        "required int64 field_id=-1 millis (Timestamp(isAdjustedToUTC=true, timeUnit=milliseconds",
        "required int64 field_id=-1 micros (Timestamp(isAdjustedToUTC=true, timeUnit=microseconds",
        "price (Decimal(precision=18, scale=4));",
        "required group field_id=-1 list (List) {",
        "required group field_id=-1 map (Map) {",
        "required group field_id=-1 pair {",
        "optional double field_id=-1 any_double;",
    ):
        assert line in text


@pytest.mark.parametrize("contract", CONTRACTS, ids=label)
def test_the_lake_keeps_every_value(contract: Contract) -> None:
    if contract.version != contracts.versions(contract.name)[-1]:
        pytest.skip("the lake writes the latest version")
    sessions = map(date.fromordinal, itertools.count(date(2024, 1, 1).toordinal()))

    @examples(contract)
    @given(frames(contract, far=True))
    def holds(drawn: pl.DataFrame) -> None:
        session = next(sessions)
        sent = drawn.filter([keeps_contract(contract, row) for row in drawn.iter_slices(1)])
        with TemporaryDirectory() as folder:
            lake = Lake(Path(folder))
            for group in tuple(contract.groups) or (None,):
                columns = [*contract.ungrouped, *contract.groups[group]] if group else sent.columns
                assert lake.write(contract.name, session, sent.select(columns), {"source": "1"}, group)
            same(lake.scan(contract.name).collect(), sent)

    holds()


# ClickHouse


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """The embedded engine, opened once."""
    with warehouse.writer(Settings(home=tmp_path_factory.mktemp("roundtrip"))) as client:
        yield client


def table_of(engine: Executor, columns: dict[str, str]) -> str:
    """Make an empty table without constraints; return its name."""
    engine.command("drop table if exists default.probe sync")
    engine.command(
        f"create table default.probe ({', '.join(f'`{n}` {t}' for n, t in columns.items())}) engine = Memory"
    )
    return "default.probe"


def insert(engine: Executor, table: str, rows: pa.Table) -> None:
    engine.insert_arrow(table, rows, settings={"input_format_null_as_default": 0})  # as the warehouse's loads do


def read_back(engine: Executor, table: str, contract: Contract) -> pl.DataFrame:
    raw = [name for name, dtype in contract.polars_schema.items() if dtype == pl.Binary]
    text = [name for name in contract.polars_schema if name not in raw]
    found = storage.from_arrow(engine.query_arrow(f"select {', '.join(text)} from {table}"), contract)
    if raw:
        answer = engine.query_arrow(f"select {', '.join(raw)} from {table}", use_strings=False)
        for index, field in enumerate(answer.schema):
            if getattr(field.type, "extension_name", "") == "arrow.uuid":
                answer = answer.set_column(index, field.name, answer[field.name].combine_chunks().storage)
        found = found.hstack(storage.from_arrow(answer, contract))
    return found.select(list(contract.polars_schema))


@pytest.mark.parametrize("contract", ALL, ids=label)
def test_clickhouse_keeps_every_value(engine: Executor, contract: Contract) -> None:
    table = table_of(engine, contract.clickhouse_columns)

    @examples(contract)
    @given(frames(contract, far=False))
    def holds(sent: pl.DataFrame) -> None:
        engine.command(f"truncate table {table}")
        if sent.height:
            insert(engine, table, storage.to_arrow(sent, contract))
            same(read_back(engine, table, contract), sent)

    holds()


@pytest.mark.parametrize("day", [FIRST - timedelta(days=1), LAST + timedelta(days=1), date(1, 1, 1)])
def test_clickhouse_refuses_a_date_it_cannot_hold(engine: Executor, day: date) -> None:
    import pyarrow as pa  # noqa: PLC0415
    from clickhouse_connect.driver.exceptions import ClickHouseError  # noqa: PLC0415

    table = table_of(engine, {"day": "Nullable(Date)"})
    with pytest.raises(ClickHouseError, match="out of the allowed Date range"):
        insert(engine, table, pa.table({"day": pa.array([day], pa.date32())}))
    assert engine.query(f"select count() from {table}").result_rows == [(0,)]


def near(text: str, field: contracts.Field) -> st.SearchStrategy[Any]:
    """Values at the limits of a rule: the constants in its text and their neighbours."""
    numbers = [0.0, 1.0, *map(float, re.findall(r"(?<![\w'])\d+(?:\.\d+)?", text))]
    around: dict[str, list[Any]] = {
        "double": [-0.0, *numbers, *(number + step for number in numbers for step in (-1.0, 1.0))],
        "string": ["", *re.findall(r"'([^']*)'", text), "other"],
        "date": [date(2024, 1, day) for day in (1, 2, 3)],
    }
    avro = long_form(field.avro)
    kind = avro.get("logicalType") or {"float": "double", "long": "int"}.get(avro["type"], avro["type"])
    around["int"] = [int(number) for number in around["double"]]
    found = st.sampled_from(around[kind]) if kind in around else _values(avro, far=False)
    return st.none() | found if field.nullable else found


@pytest.mark.parametrize(("contract", "rule"), RULES, ids=label)
def test_a_rule_gives_the_same_result_in_polars_and_clickhouse(engine: Executor, contract: Contract, rule: str) -> None:
    text, verdicts = contract.rules[rule], set[bool]()
    read = pl.sql_expr(text).meta.root_names()
    fields = [field for field in contract.fields if field.name in read]
    table = table_of(engine, {field.name: field.clickhouse for field in fields})
    row = st.fixed_dictionaries({field.name: near(text, field) for field in fields})

    @EXAMPLES
    @given(st.lists(row, min_size=20, max_size=40))
    def agrees(rows: list[dict[str, Any]]) -> None:
        sent = pl.DataFrame(rows, schema={field.name: field.types.polars for field in fields})
        engine.command(f"truncate table {table}")
        insert(engine, table, storage.to_arrow(sent, contract))
        answer = engine.query(f"select ifNull({text}, true) from {table}", settings={"max_threads": 1}).result_rows
        polars = sent.select(contracts.rule_expression(text)).to_series().to_list()
        assert polars == [bool(verdict) for (verdict,) in answer]
        nulls = sent.select(contracts.rule_expression(text)).filter(pl.Series([None in r.values() for r in rows]))
        assert nulls.null_count().sum_horizontal().item() == 0
        verdicts.update(polars)

    agrees()
    assert verdicts == {True, False}, "the rows do not try the rule"


@pytest.mark.parametrize("text", ["low <= high", "low > 0", "not (low > 0)", "low = 1 or high = 1"])
def test_a_rule_is_broken_by_nan_in_polars(text: str) -> None:
    rows = pl.DataFrame({"low": [float("nan"), 0.0, None], "high": [1.0, float("nan"), float("nan")]})
    found = rows.select(contracts.rule_expression(text)).to_series().to_list()
    read = pl.sql_expr(text).meta.root_names()
    has_nan = rows.select(pl.any_horizontal(pl.col(read).is_nan().fill_null(value=False))).to_series().to_list()
    assert not any(verdict for verdict, nan in zip(found, has_nan, strict=True) if nan)
