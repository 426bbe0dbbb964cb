"""Malformed contracts, names, notebooks, parameters, settings and arguments of commands raise the documented errors."""

from __future__ import annotations

import ast
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hostile import DEEP, HOSTILE, put
from papermill.translators import PythonTranslator

from champion import contracts, features, workspace
from champion.cli import app as cli
from champion.contracts import contract as records_of, samples
from champion.errors import (
    ChampionError,
    ContractError,
    NotebookError,
    ParameterError,
    UsageError,
)
from champion.modeling import universe
from champion.runner import notebook, parameters
from champion.settings import read as read_settings
from champion.sources.download.retry_policy import retry_after
from champion.warehouse import queries


def contract(**changed: Any) -> dict[str, Any]:
    day: dict[str, Any] = {"name": "s", "type": {"type": "int", "logicalType": "date"}, "doc": ""}
    whole: dict[str, Any] = {
        "name": "raw_d",
        "layer": "raw",
        "dataset": "d",
        "schema_version": "1.0.0",
        "doc": "",
        "key": ["s"],
    }
    whole |= {"session": "s", "partition_by": ["date"], "sort_by": [], "rules": {}, "fields": [day]}
    return whole | changed


def field(avro: Any, name: str = "f") -> dict[str, Any]:
    return contract(fields=[*contract()["fields"], {"name": name, "type": avro, "doc": ""}])


@pytest.mark.parametrize(
    "record",
    [
        *(
            contract(dataset="../../../x"),
            contract(layer="/etc"),
            contract(name="a b"),
            contract(key="s"),
            contract(key=5),
        ),
        *(contract(rules=["a"]), contract(rules={"r": "s >"}), contract(rules={"r": "nothing > 1"})),
        *(contract(rules={"r": "s"}), contract(rules={"r'; drop": "s is not null"}), contract(rules={"r": 5})),
        *(contract(fields=5), contract(fields=["s"]), contract(fields=contract()["fields"] * 2), contract(session=[])),
        *(contract(retention=["years"]), contract(schema_version="1.٣.0"), field("int", "a`b"), field("int", "../x")),
        *(
            field({"type": ["null", "int"]}),
            field({"type": "int", "logicalType": []}),
            field({"type": "enum", "symbols": 5}),
        ),
        *(field({"type": "enum", "symbols": ["A", "A"]}), field({"type": "fixed", "size": -1}), field(5), field([])),
        *(field({"type": "fixed", "size": "x"}), field({"type": "bytes", "logicalType": "decimal", "precision": "9"})),
        *(
            field({"type": "record", "fields": 5}),
            field({"type": "record", "fields": [{"name": "a b", "type": "int"}]}),
        ),
    ],
)
def test_invalid_contract_raises_contract_error(record: dict[str, Any]) -> None:
    with pytest.raises(ContractError):
        assert records_of.parse(record).clickhouse_columns


@pytest.mark.parametrize("content", [[], 5, DEEP, b"\xff", {"event_id": 5}])
def test_invalid_sample_raises_contract_error(tmp_path: Path, content: Any) -> None:
    put(tmp_path / "a.json", content)
    with pytest.raises(ContractError, match=r"a\.json"):
        samples.read(tmp_path / "a.json", contracts.load("raw_equity_ohlc"))


@pytest.mark.parametrize(
    "ask",
    [
        contracts.load,
        notebook.find,
        features.find,
        lambda name: features.find(f"{name}:X"),
        queries.load,
        universe.find,
        lambda name: features.FeatureSet(name, "v9", features.V1.features),
        lambda name: features.FeatureSet("own", name, features.V1.features),
    ],
    ids=["contract", "notebook", "feature set", "module", "query", "universe", "name of a set", "version of a set"],
)
@pytest.mark.parametrize(
    "name", ["../../../../etc/passwd", "/etc/passwd", "a\0b", "a" * 5000, "..", "", "[/red]", "\udcff"]
)
def test_name_with_path_is_refused(ask: Callable[[str], object], name: str) -> None:
    with pytest.raises(ChampionError):
        ask(name)


@pytest.mark.parametrize(
    "content", [5, [], {"cells": 5}, {"cells": [5]}, {"cells": [{"cell_type": "code"}]}, DEEP, b"\xff"]
)
def test_invalid_notebook_raises_notebook_error(tmp_path: Path, content: Any) -> None:
    put(tmp_path / "a.ipynb", content)
    with pytest.raises(NotebookError, match="not a notebook of format 4"):
        notebook.find(tmp_path / "a.ipynb")


@pytest.mark.parametrize(
    "cell",
    [
        "a: 'int]' = 1",
        "a: int = " + "(" * 10_000,
        "a: int = " + "-" * 100_000 + "1",
        "a = \0",
        "\udc80 = 1",
        "a: Optional[int = 1",
    ],
)
def test_invalid_parameters_cell_raises_parameter_error(cell: str) -> None:
    with pytest.raises(ParameterError, match="not Python"):
        parameters.read(cell, "book")


def test_parameters_cell_may_contain_unicode_line_separators() -> None:
    declared = parameters.read("a: int = 1  # one\x0c\x1cé\nb: str = '\u2028'  # two\nc = {[]: 1}", "book")
    assert [one.help for one in declared.values()] == ["one\x0c\x1cé", "two", ""]


@pytest.mark.parametrize("text", [*HOSTILE, "'''\nimport os\n'''", "\\", "a\nimport os", "{{7*7}}", "\x00", "🚀"])
def test_parameter_values_are_injected_as_literals(text: str) -> None:
    declared = parameters.read("note: str\nmany: list[str]\nfilters: dict", "book")
    texts = {"note": text, "many": json.dumps([text]), "filters": json.dumps({text: text})}
    code = PythonTranslator.codify(parameters.check(declared, parameters.from_text(declared, texts), "book"))
    values = [ast.literal_eval(one.value) for one in ast.parse(code).body if isinstance(one, ast.Assign)]
    assert values == [text, [text], {text: text}]
    assert len(ast.parse(code).body) == len(values)


@pytest.mark.parametrize("text", ["9" * 400, "1e400", "NaN", "-Infinity"])
def test_number_out_of_range_is_refused(text: str) -> None:
    declared = parameters.read("share: float", "book")
    with pytest.raises(ParameterError, match="takes float"):
        parameters.check(declared, parameters.from_text(declared, {"share": text}), "book")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("9" * 5000, math.inf), ("Mon, 01 Jan 99999999999 00:00:00 GMT", None), ("²", None)],
)
def test_retry_after_out_of_range_raises_no_error(text: str, seconds: float | None) -> None:
    assert retry_after(text, datetime(2024, 7, 2, tzinfo=UTC)) == seconds


@pytest.mark.parametrize("text", ["[" * 5000, '{"series": 5}', '{"min_turnover": Infinity}', '{"min_age": "x"}', "{}x"])
def test_invalid_universe_raises_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="universe"):
        universe.find(text)


def test_invalid_date_raises_usage_error() -> None:
    with pytest.raises(UsageError, match="write it as 2024-01-15"):
        workspace.as_date("2024-02-30")


@pytest.mark.parametrize(
    "content",
    [b"home = ", b"\xff", b"a = " + DEEP.encode(), b'home = "~nobody-of-that-name/x"', b'home = "a?b"', b"nothing = 1"],
)
@pytest.mark.usefixtures("inside")
def test_invalid_configuration_raises_usage_error(tmp_path: Path, content: bytes) -> None:
    put(tmp_path / "champion.toml", content)
    with pytest.raises(UsageError, match="settings"):
        read_settings()


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ("lake seal 0", 1, "the year is not over"),
        ("lake seal 2023 --grace inf", 2, "86400"),
        ("lake seal 2023 --dataset ../x", 2, "no dataset"),
        ("lineage forward " + "a" * 5000, 1, "a"),
        ("lineage back ../x 2024-07-02", 1, "no contract"),
        ("features 2024-07-01 2024-07-02 --feature-set :X", 2, "not a module name"),
        ("features 2024-07-01 2024-07-02 --feature-set os.path:join", 2, "not a champion.features.FeatureSet"),
        ("simulate made --start 9999-12-01 --end 9999-12-31", 2, "simulated from"),
        ("simulate /proc/made --end 2023-01-05", 1, "/proc/made: No such file"),
        ("archive add http://[", 2, "neither a folder nor a URL"),
        ("notebook run ../../etc/passwd", 1, "no notebook"),
        ("notebook run training -p a", 2, "name=value"),
        ("sql --name ../x", 1, "no query is named"),
        ("schema show ../../x", 1, "no contract"),
        ("warehouse restore /etc", 1, "not a complete backup"),
    ],
)
@pytest.mark.usefixtures("inside")
def test_invalid_arguments_give_one_message_and_an_exit_code(
    arguments: str, code: int, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = {"CHAMPION_HOME": str(tmp_path / "home"), "CHAMPION_ARCHIVE": str(tmp_path)}
    with pytest.MonkeyPatch.context() as patch:  # only the arguments and variables of this process
        patch.setattr(sys, "argv", ["champion", *arguments.split()])
        for name, value in variables.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert ended.value.code == code
    shown = " ".join(capsys.readouterr().err.split())
    assert expected in shown
    assert "Traceback" not in shown
    assert {path.name for path in tmp_path.iterdir()} <= {"home"}


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(tmp_path)
    yield
    os.chdir(before)
