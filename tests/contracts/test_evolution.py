"""Evolution: allowed and refused changes within a version, releases, and reading of older files and samples."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from champion import contracts
from champion.contracts import compatibility, samples, storage
from champion.contracts.contract import parse
from champion.contracts.evolution import changes
from champion.errors import ContractError
from champion.lake import Lake

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
Record = dict[str, Any]


def base() -> Record:
    fields: list[Record] = [
        {"name": "day", "type": {"type": "int", "logicalType": "date"}, "doc": "The session."},
        {"name": "small", "type": "int", "unit": "share", "doc": ""},
        {"name": "many", "type": "long", "doc": ""},
        {"name": "single", "type": ["null", "float"], "default": None, "doc": ""},
        {"name": "exact", "type": "double", "default": 1.0, "doc": ""},
        {"name": "word", "type": "string", "group": "words", "doc": ""},
        {"name": "kind", "type": {"type": "enum", "name": "kind", "symbols": ["EQ", "BE"]}, "doc": ""},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}, "doc": ""},
        {"name": "list", "type": {"type": "array", "items": ["null", "int"]}, "doc": ""},
        {"name": "map", "type": {"type": "map", "values": "float"}, "doc": ""},
        {"name": "pair", "type": {"type": "record", "name": "p", "fields": [{"name": "x", "type": "int"}]}, "doc": ""},
    ]
    return {
        "type": "record", "name": "raw_bars", "namespace": "champion", "doc": "Bars.", "layer": "raw",
        "dataset": "bars", "schema_version": "1.2.0", "key": ["day", "word"], "session": "day",
        "partition_by": ["date"], "sort_by": ["word"], "retention": {"keep_years": 5},
        "rules": {"small_is_positive": "small > 0"}, "fields": fields,
    }  # fmt: skip


def field(record: Record, name: str) -> Record:
    return next(one for one in record["fields"] if one["name"] == name)


def set_type(name: str, avro: Any) -> Callable[[Record], None]:
    return lambda record: field(record, name).update(type=avro)


def set_in(name: str, /, **values: Any) -> Callable[[Record], None]:
    return lambda record: field(record, name).update(values)


def add(*path: str, **item: Any) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        inside = record if not path else field(record, path[0])["type"]
        inside["fields"].append({"doc": "", **item})

    return change


def drop(name: str) -> Callable[[Record], None]:
    return lambda record: record["fields"].remove(field(record, name))


def symbols(*values: str) -> Callable[[Record], None]:
    return set_type("kind", {"type": "enum", "name": "kind", "symbols": list(values)})


ALLOWED = {
    "an optional field": (add(name="new", type=["null", "double"], default=None), "added"),
    "a required field with a default": (add(name="new", type="double", default=1.0), "added"),
    "int to long": (set_type("small", "long"), "widened"),
    "int to double": (set_type("small", "double"), "widened"),
    "float to double, nullable": (set_type("single", ["null", "double"]), "widened"),
    "int to long in an array": (set_type("list", {"type": "array", "items": ["null", "long"]}), "widened"),
    "float to double in a map": (set_type("map", {"type": "map", "values": "double"}), "widened"),
    "a nullable field in a record": (add("pair", name="y", type=["null", "int"], default=None), "added"),
    "an enum value": (symbols("EQ", "BE", "SM"), "enum value added"),
    "low cardinality": (set_in("word", low_cardinality=True), "low_cardinality changed"),
}
FREE: dict[str, Callable[[Record], None]] = {
    "the words of the contract": lambda record: record.update(doc="Daily bars."),
    "the words of a field": set_in("small", doc="Shares."),
    "the words of an enum": set_type(
        "kind", {"type": "enum", "name": "kind", "symbols": ["EQ", "BE"], "doc": "Series."}
    ),
    "the long form of a type": set_type("many", {"type": "long"}),
    "retention": lambda record: record.update(retention={"keep_years": 6}),
}
REFUSED: dict[str, tuple[Callable[[Record], Any], str]] = {
    "a field removed": (drop("many"), "removed"),
    "a field renamed": (set_in("many", name="lots"), "removed"),
    "a required field": (add(name="new", type="double"), "added"),
    "an optional field without a default": (add(name="new", type=["null", "double"]), "added"),
    "a required field in a record": (add("pair", name="y", type="int", default=0), "added"),
    "fields reordered": (lambda record: record["fields"].reverse(), "reordered"),
    "long to int": (set_type("many", "int"), "narrowed"),
    "double to float": (set_type("exact", "float"), "narrowed"),
    "double to int": (set_type("exact", "int"), "narrowed"),
    "long to double": (set_type("many", "double"), "type changed"),
    "int to float": (set_type("small", "float"), "type changed"),
    "int to string": (set_type("small", "string"), "type changed"),
    "string to bytes": (set_type("word", "bytes"), "type changed"),
    "int to date": (set_type("small", {"type": "int", "logicalType": "date"}), "type changed"),
    "millis to micros": (set_type("at", {"type": "long", "logicalType": "timestamp-micros"}), "type changed"),
    "array to map": (set_type("list", {"type": "map", "values": "int"}), "type changed"),
    "long to int in an array": (set_type("list", {"type": "array", "items": ["null", "string"]}), "type changed"),
    "nullable to required": (set_type("single", "float"), "made required"),
    "required to nullable": (set_type("many", ["null", "long"]), "made nullable"),
    "an enum value removed": (symbols("EQ"), "enum value removed"),
    "an enum value renamed": (symbols("EQ", "SM"), "enum value removed"),
    "enum values reordered": (symbols("BE", "EQ"), "enum reordered"),
    "an enum value in between": (symbols("EQ", "SM", "BE"), "enum reordered"),
    "the unit": (set_in("small", unit="rupee"), "unit changed"),
    "a unit removed": (lambda record: field(record, "small").pop("unit"), "unit changed"),
    "the group": (set_in("word", group="others"), "group changed"),
    "the default": (set_in("exact", default=2.0), "default changed"),
    "a rule added": (lambda record: record["rules"].update(new="many > 0"), "rule added"),
    "a rule changed": (lambda record: record["rules"].update(small_is_positive="small > 1"), "rule changed"),
    "a rule removed": (lambda record: record["rules"].clear(), "rule removed"),
}
ATTRIBUTES = {
    "key": ["day"],
    "session": "at",
    "partition_by": ["year"],
    "sort_by": ["day"],
    "layer": "normalized",
    "dataset": "others",
    "namespace": "other",
}


def changed(change: Callable[[Record], Any], version: str) -> Record:
    record = copy.deepcopy(base())
    change(record)
    return record | {"schema_version": version}


@pytest.mark.parametrize("name", ALLOWED)
def test_allowed_with_a_minor_version(name: str) -> None:
    change, what = ALLOWED[name]
    (found,) = changes(base(), changed(change, "1.3.0"))
    assert (found.what, found.allowed, found.bump) == (what, True, True)


@pytest.mark.parametrize("version", ["1.2.0", "1.2.1", "1.4.0", "1.3.1"])
@pytest.mark.parametrize("name", ALLOWED)
def test_an_allowed_change_needs_the_next_minor_version(name: str, version: str) -> None:
    found = changes(base(), changed(ALLOWED[name][0], version))
    assert [one.what for one in found if not one.allowed] == ["schema_version"]
    assert "need 1.3.0" in found[-1].why


@pytest.mark.parametrize("name", FREE)
def test_allowed_without_a_new_version(name: str) -> None:
    assert all(one.allowed and not one.bump for one in changes(base(), changed(FREE[name], "1.2.0")))
    assert not all(one.allowed for one in changes(base(), changed(FREE[name], "1.3.0")))


@pytest.mark.parametrize("version", ["1.2.0", "1.3.0"])
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, version: str) -> None:
    change, what = REFUSED[name]
    assert what in [one.what for one in changes(base(), changed(change, version)) if not one.allowed]


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_changes_of_key_and_layout_are_refused(name: str) -> None:
    (found,) = changes(base(), base() | {name: ATTRIBUTES[name]})
    assert (found.what, found.allowed) == (f"{name} changed", False)


def test_equal_records_have_no_changes() -> None:
    assert changes(base(), base()) == []


# Releases


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    """A folder of contracts, all released."""
    shutil.copytree(SCHEMAS, tmp_path / "schemas")
    return tmp_path / "schemas"


def rewrite(schemas: Path, name: str, change: Callable[[Record], Any]) -> None:
    file = schemas / f"{name}_v1.avsc"
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))


def widen(record: Record) -> None:
    """Make model_version a long and add a field to predictions."""
    field(record, "model_version").update(type="long")
    record["fields"].append({"name": "stage", "type": "string", "default": "none", "doc": "Stage of the model."})
    record["schema_version"] = "1.1.0"


def sample_paths(contract: contracts.Contract) -> list[Path]:
    """Return the sample paths of all schema versions within the contract's major version."""
    return sorted((SCHEMAS / "samples").glob(f"{contract.name}_v{contract.version}.*.json"))


def test_this_repository_breaks_no_released_contract() -> None:
    compared = compatibility.compare(SCHEMAS)
    assert compared
    compatibility.refuse_breaking(compared)


def test_this_repository_has_a_sample_of_every_released_version() -> None:
    for name in contracts.names():
        for version in contracts.versions(name):
            contract = contracts.load(name, version)
            was = json.loads((SCHEMAS / "released" / f"{name}_v{version}.avsc").read_text())["schema_version"]
            assert f"{name}_v{was}.json" in [path.name for path in sample_paths(contract)]


def test_a_breaking_change_is_refused_and_nothing_released(schemas: Path) -> None:
    rewrite(schemas, "raw_equity_ohlc", lambda record: record["fields"].pop())
    (schemas / "predictions_equity_scores_v1.avsc").unlink()
    states = {one.name: one.state for one in compatibility.compare(schemas)}
    assert states["raw_equity_ohlc_v1"] == states["predictions_equity_scores_v1"] == "breaking"
    before = {path.name: path.read_bytes() for path in (schemas / "released").iterdir()}
    with pytest.raises(ContractError, match=r"Rsvd4 removed .*_v<N\+1>"):
        compatibility.release(schemas)
    assert before == {path.name: path.read_bytes() for path in (schemas / "released").iterdir()}


def test_an_allowed_change_is_released_once_it_has_a_sample(schemas: Path) -> None:
    assert compatibility.release(schemas) == []
    name = "predictions_equity_scores"
    rewrite(schemas, name, widen)
    assert {one.state for one in compatibility.compare(schemas) if one.name == f"{name}_v1"} == {"changed"}
    with pytest.raises(ContractError, match=rf"{name}_v1.1.0.json"):
        compatibility.release(schemas)
    sample = json.loads((schemas / "samples" / f"{name}_v1.0.0.json").read_text())
    (schemas / "samples" / f"{name}_v1.1.0.json").write_text(json.dumps(sample | {"stage": "live"}))
    assert compatibility.release(schemas) == [f"{name}_v1"]
    assert {one.state for one in compatibility.compare(schemas)} == {"released"}


def test_a_new_version_is_added_beside_the_old_one(schemas: Path) -> None:
    old = schemas / "predictions_equity_scores_v1.avsc"
    record = json.loads(old.read_text()) | {"schema_version": "2.0.0", "dataset": "equity_scores_v2"}
    old.with_name("predictions_equity_scores_v2.avsc").write_text(json.dumps(record))
    first = schemas / "samples" / "predictions_equity_scores_v1.0.0.json"
    shutil.copy(first, first.with_name("predictions_equity_scores_v2.0.0.json"))
    states = {one.name: one.state for one in compatibility.compare(schemas)}
    assert (states["predictions_equity_scores_v1"], states["predictions_equity_scores_v2"]) == ("released", "new")
    assert compatibility.release(schemas) == ["predictions_equity_scores_v2"]


# Samples and older files


@pytest.mark.parametrize("name", contracts.names())
def test_every_sample_is_read_by_the_current_contract_and_kept_by_parquet(name: str, tmp_path: Path) -> None:
    for version in contracts.versions(name):
        contract = contracts.load(name, version)
        for file in sample_paths(contract):
            row = samples.read(file, contract)
            storage.write(row, contract, tmp_path / "sample.parquet")
            assert_frame_equal(storage.scan([tmp_path / "sample.parquet"], contract).collect(), row)
            assert row.filter(*(contracts.rule_expression(rule) for rule in contract.rules.values())).height == 1 or (
                contract.layer == "quarantine"
            )
            if file == samples.path(SCHEMAS, contract):
                assert json.loads(samples.text(row.row(0, named=True), contract)) == json.loads(file.read_text())


def test_an_older_sample_has_the_defaults_of_later_fields() -> None:
    file = SCHEMAS / "samples" / "predictions_equity_scores_v1.0.0.json"
    record = json.loads((SCHEMAS / "predictions_equity_scores_v1.avsc").read_text())
    widen(record)
    row = samples.read(file, parse(record))
    assert row.select("model_version", "stage").row(0) == (1, "none")
    assert row.schema["model_version"] == pl.Int64


def test_a_sample_of_another_contract_is_refused(tmp_path: Path) -> None:
    contract = contracts.load("quarantine_equity_ohlc")
    sample = json.loads((SCHEMAS / "samples" / "quarantine_equity_ohlc_v1.0.0.json").read_text())
    lacking = {name: value for name, value in sample.items() if name != "stage"}
    for wrong, said in (
        (sample | {"more": 1}, "has not: more"),
        (lacking, "'stage'"),
        (sample | {"session": "today"}, "encoding"),
    ):
        (tmp_path / "wrong.json").write_text(json.dumps(wrong))
        with pytest.raises(ContractError, match=said):
            samples.read(tmp_path / "wrong.json", contract)


def today() -> Record:
    """Return the base after every allowed change."""
    record = copy.deepcopy(base())
    for change in (
        set_type("small", "long"),
        set_type("single", ["null", "double"]),
        set_type("list", {"type": "array", "items": ["null", "long"]}),
        set_type("map", {"type": "map", "values": "double"}),
        symbols("EQ", "BE", "SM"),
        add("pair", name="y", type=["null", "int"], default=None),
        add(name="note", type=["null", "string"], default=None),
        add(name="factor", type="int", default=1),
        add(name="born", type={"type": "int", "logicalType": "date"}, default=3),
        add(name="mode", type={"type": "enum", "name": "mode", "symbols": ["A", "B"]}, default="B"),
    ):
        change(record)
    return record | {"schema_version": "1.3.0"}


def test_files_of_an_earlier_minor_version_get_current_types_and_defaults(tmp_path: Path) -> None:
    then, now = parse(base()), parse(today())
    assert all(change.allowed for change in changes(base(), today()))
    row = {"day": "2024-01-15", "small": 7, "many": 2**40, "single": 0.1, "exact": 0.5, "word": "x", "kind": "BE"}
    nested = {"list": [1, None], "map": [{"key": "a", "value": 0.1}], "pair": {"x": 3}}
    schema: dict[str, Any] = {**then.polars_schema, "day": pl.String, "at": pl.Int64}
    old = pl.DataFrame([row | nested | {"at": 0}], schema=schema).with_columns(
        pl.col("day").str.to_date(), pl.col("at").cast(pl.Datetime("ms", "UTC"))
    )
    storage.write(old, then, tmp_path / "old.parquet")
    (was,) = old.to_dicts()
    added = {"note": None, "factor": 1, "born": None, "mode": "B"}
    new = pl.DataFrame([was | {"kind": "SM", "factor": 5, "small": 2**40, "mode": "A"}], schema=now.polars_schema)
    new = new.with_columns(born=pl.col("day"))
    storage.write(new, now, tmp_path / "new.parquet")

    found = storage.scan([tmp_path / "old.parquet", tmp_path / "new.parquet"], now).collect()

    assert found.schema == now.polars_schema
    assert found[1:].to_dicts() == new.to_dicts()
    expected = was | added | {"born": pl.Series([3]).cast(pl.Date).item(), "pair": {"x": 3, "y": None}}
    assert found.row(0, named=True) == expected
    filtered = storage.scan([tmp_path / "old.parquet", tmp_path / "new.parquet"], now).filter(pl.col("factor") == 1)
    assert filtered.select("small").collect().item() == 7


def test_files_of_a_later_version_are_not_read_by_an_older_contract(tmp_path: Path) -> None:
    record = json.loads((SCHEMAS / "predictions_equity_scores_v1.avsc").read_text())
    then = parse(record)
    widen(record)
    now = parse(record)
    storage.write(samples.read(samples.path(SCHEMAS, then), now), now, tmp_path / "new.parquet")
    with pytest.raises(pl.exceptions.SchemaError, match=r"stage|model_version"):
        storage.scan([tmp_path / "new.parquet"], then).collect()


def test_the_lake_reads_partitions_of_an_earlier_version(tmp_path: Path) -> None:
    """A partition of bars without adjustment_factor and settlement_price, with a narrower volume."""
    now = contracts.load("normalized_equity_ohlc")
    row = samples.read(samples.path(SCHEMAS, now), now)
    lake, session = Lake(tmp_path), row["trade_date"][0]
    assert lake.write(now.name, session, row, {"source": "1"})
    (file,) = lake.files(now.name)
    older = row.drop("adjustment_factor", "settlement_price").cast({"volume": pl.Int32, "turnover": pl.Float32})
    older.write_parquet(file)
    found = lake.scan(now.name).collect()
    assert found.schema == now.polars_schema
    assert found.select("adjustment_factor", "settlement_price").row(0) == (1.0, None)
    assert found["volume"].to_list() == row["volume"].to_list()
