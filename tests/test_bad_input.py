"""Bad input by name: what was found by fuzzing, and what somebody who means harm would try first.

Each is refused with one of Champion's own errors, or taken for the plain text it is; none leads out of the workspace.
"""

from __future__ import annotations

import ast
import io
import json
import math
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from papermill.translators import PythonTranslator

from champion import contracts, features, plots, report, universe, workspace
from champion.cli import app as cli, console
from champion.contracts import contract as records_of, samples
from champion.errors import (
    ArchiveError,
    ChampionError,
    ContractError,
    FormatError,
    LakeError,
    ModelError,
    NotebookError,
    ParameterError,
    ServiceError,
    UsageError,
    WarehouseError,
)
from champion.files import write_bytes
from champion.lake import Lake, layout, manifest as manifests, sweep
from champion.lake.partitions import read_sealed
from champion.pipeline.fetch import fetch, staged
from champion.pipeline.ingest import ingest
from champion.pipeline.load import load
from champion.purposes import parse_purpose
from champion.runner import notebook, parameters
from champion.services import local
from champion.settings import Settings, read as read_settings
from champion.simulate import publish
from champion.sources import actions as lists, container, masters, records, transport
from champion.sources.absent import Absent
from champion.sources.patience import Patience, retry_after
from champion.sources.staging import Staging
from champion.tracking import books, journal, ledger
from champion.warehouse import backup, client, migrations, queries, query
from flows import summary

ROOT = Path(__file__).resolve().parents[1]
SESSION = date(2024, 7, 2)
DIGEST = "0" * 64
SHARES = "SYMBOL,NAME OF COMPANY, SERIES, DATE OF LISTING, PAID UP VALUE, MARKET LOT, ISIN NUMBER, FACE VALUE\n"
ACTIONS = ",".join(lists.HEADER) + "\n"
DEEP = "[" * 100_000
FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1:A9)")
HOSTILE = (
    "O'Brien",
    '"; drop table loads; --',
    "<script>alert(1)</script>",
    "[/red]",
    "$\\frac$",
    "{x:String}",
    *FORMULAS,
)


def share(**changed: str) -> bytes:
    """Return a list of one share, some of its fields changed."""
    row = {"symbol": "ABB", "company": "ABB Ltd", "series": "EQ", "date": "08-FEB-1995", "paid": "2", "lot": "1"}
    return (SHARES + ",".join({**row, "isin": "INE117A01022", "face": "2", **changed}.values()) + "\n").encode()


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (masters.parse_equity_list, share(company="A" * 200_000)),
        (masters.parse_equity_list, share(company="A" * 5_000)),
        (masters.parse_equity_list, share(company="A\rB")),
        (masters.parse_equity_list, share(lot="1_000")),
        (masters.parse_equity_list, share(lot="٣")),
        (masters.parse_equity_list, share(lot="9" * 30)),
        (masters.parse_equity_list, share(lot="-1")),
        (masters.parse_equity_list, share(lot="1.5")),
        (masters.parse_equity_list, share(paid="1e400")),
        (masters.parse_equity_list, share(paid="NaN")),
        (masters.parse_equity_list, share(paid="9" * 400)),
        (masters.parse_equity_list, share(company="A\0B")),
        (masters.parse_equity_list, share().decode().encode("utf-16")),
        (lists.parse_actions, f"{ACTIONS}{'A' * 200_000}".encode()),
        (lists.parse_actions, f"{ACTIONS}A\rB,C".encode()),
        (lists.parse_actions, ACTIONS.encode("utf-16")),
        (lists.parse_symbol_changes, b"A\rB,C,D,02-JUL-2024\n"),
        (lists.parse_symbol_changes, b"A" * 200_000),
        (lists.parse_symbol_changes, b"\0,A,B,02-JUL-2024\n"),
        (lists.parse_symbol_changes, b"<html>no such page</html>"),
        (lists.parse_symbol_changes, b"Company,A,B,31-FEB-2024\n"),
        (container.lines, b"\n" * 600_000),
    ],
)
def test_a_list_that_is_none_is_a_format_error(read: Callable[[str, bytes], object], content: bytes) -> None:
    with pytest.raises(FormatError, match=r"^a\.csv: "):
        read("a.csv", content)


@pytest.mark.parametrize("face", ["1e400", "inf", "nan", "1_000", "٣", "-5"])
def test_a_face_value_that_is_no_number_is_none(face: str) -> None:
    row = f"ABB,ABB Ltd,EQ,Bonus 1:1,{face},02-Jul-2024,-,-,-\n"
    assert lists.parse_actions("a.csv", (ACTIONS + row).encode())["face_value"].to_list() == [None]


@pytest.mark.parametrize("text", ["Bonus {0}:1", "Bonus 1:{0}", "Rights {0}:1 @ Premium Rs {0}", "Dividend Rs {0}"])
def test_a_purpose_with_endless_numbers_has_no_factor(text: str) -> None:
    (found,) = parse_purpose(text.format("9" * 400))
    assert (found.price_factor, found.amount) == (None, None)


def test_a_list_named_after_no_dates_covers_what_its_rows_do() -> None:
    assert lists.span("CF-CA-equities-99-99-2024-to-31-02-2024.csv", pl.DataFrame()) is None


def test_a_zip_of_many_members_or_of_a_link_writes_nothing(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(5_000):
            archive.writestr(f"{number}.csv", b"")
    with pytest.raises(FormatError, match="expected one file inside"):
        container.text("a.csv.zip", stream.getvalue())
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        link = zipfile.ZipInfo("a.csv")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert container.text("a.csv.zip", stream.getvalue()) == "/etc/passwd", "the name of a file, not what is in it"
    assert list(tmp_path.iterdir()) == []


PART = {"name": "part-00000.parquet", "rows": 1, "bytes": 1, "sha256": DIGEST, "inputs": {}, "known_at": None}
MANIFEST = {"contract": "c", "parts": [PART]}
SEALED = {"contract": "c", "file": "sealed-0.parquet", "rows": 1, "bytes": 1, "sha256": DIGEST}


def parts(**changed: Any) -> dict[str, Any]:
    return {"contract": "c", "parts": [PART | changed]}


@pytest.mark.parametrize(
    "content",
    [
        *({"contract": "c", "parts": []}, {"contract": "c", "parts": [1]}, {"contract": {}, "parts": [PART]}, [], 1),
        *(
            parts(name="../../../x"),
            parts(name="/etc/passwd"),
            parts(name={}),
            parts(name="part-\u0660\u0660\u0660\u0660\u0660.parquet"),
        ),
        *(parts(sha256="../x"), parts(sha256=1.5), parts(inputs=[]), parts(known_at="2024-01-15T10:00:00")),
        *(parts(known_at="soon"), parts(rows="1"), parts(rows=1.5), parts(more=1), DEEP, "\ud800", b"\xff\xfe{", b""),
    ],
)
def test_a_manifest_that_is_none_is_a_lake_error(tmp_path: Path, content: Any) -> None:
    put(tmp_path / "_SUCCESS", content)
    with pytest.raises(LakeError, match="not a manifest"):
        manifests.read(tmp_path / "_SUCCESS")


@pytest.mark.parametrize(
    "changed",
    [
        *({"sessions": {}}, {"sessions": {"2024-02-30": MANIFEST}}, {"sessions": {"2024-01-15": {}}}, {"sessions": []}),
        *({"file": "../../x"}, {"file": "/etc/passwd"}, {"file": None}, {"rows": "1"}),
    ],
)
def test_a_sealed_year_that_is_none_is_a_lake_error(tmp_path: Path, changed: dict[str, Any]) -> None:
    put(tmp_path / "_SEALED", SEALED | {"sessions": {"2024-01-15": MANIFEST}} | changed)
    with pytest.raises(LakeError, match="not a sealed year"):
        read_sealed(tmp_path / "_SEALED")


@pytest.mark.parametrize("content", [SEALED | {"file": "../victim"}, parts(name="../../victim"), [], DEEP, b"", {}])
def test_a_retired_manifest_removes_nothing_but_its_own(tmp_path: Path, content: Any) -> None:
    name = "normalized_equity_ohlc"
    folder = layout.dataset_folder(tmp_path / "lake", contracts.load(name)) / "year=2024"
    victims = [tmp_path / "victim", folder.parent / "victim", folder / "part-00007.parquet"]
    for path in [*victims, folder / layout.RETIRED]:
        put(path, content)
    with pytest.raises(LakeError, match="_RETIRED: not a manifest"):
        sweep(Lake(tmp_path / "lake"), [name], timedelta())
    assert all(path.exists() for path in victims)


def test_links_lead_nobody_out_of_the_lake_or_in_circles(tmp_path: Path) -> None:
    name, outside = "normalized_equity_ohlc", tmp_path / "outside"
    folder = layout.dataset_folder(tmp_path / "lake", contracts.load(name))
    theirs = [outside / ".a.part", outside / layout.RETIRED, outside / "part-00000.parquet"]
    for path in theirs:
        put(path, MANIFEST)
    folder.mkdir(parents=True)
    for link, target in (("away", outside), ("one", folder), ("two", folder.parent)):
        (folder / link).symlink_to(target)
    lake = Lake(tmp_path / "lake")
    assert sweep(lake, [name], timedelta()) == 0
    assert lake.verify(name) == []
    assert all(path.exists() for path in theirs)


BEFORE = {"2024-06-01": {"asked_at": "0001-01-01T00:00:00+23:59", "archive": "https://a", "paths": []}}
KEPT = {
    "file": "a.zip",
    "sha256": DIGEST,
    "bytes": 1,
    "fetched_at": "2024-07-02T10:00:00+00:00",
    "origin": "file:///x/a",
}


@pytest.mark.parametrize(
    "content",
    [
        *({"files": [KEPT | {"file": name}]} for name in ("../victim", "/etc/passwd", "..", "", "a\0b", 1)),
        *({"files": [KEPT | {"fetched_at": text}]} for text in ("soon", "2024-07-02T10:00:00", None)),
        *({"files": 1}, {"files": [[]]}, {}, [], 5, DEEP, b"\xff", {"files": [KEPT | {"bytes": "1"}]}),
    ],
)
def test_a_record_of_staging_that_is_none_is_an_archive_error(tmp_path: Path, content: Any) -> None:
    put(tmp_path / "staging" / "a.json", content)
    put(tmp_path / "victim", b"kept")
    for read in (
        lambda: records.read(tmp_path / "staging" / "a.zip"),
        lambda: staging(tmp_path).find(["a.zip"], SESSION),
    ):
        with pytest.raises(ArchiveError, match="not a record of staging"):
            read()
    assert (tmp_path / "victim").read_bytes() == b"kept"


@pytest.mark.parametrize(
    "content", [[], {"2024-06-01": 1}, {"2024-06-01": {"asked_at": "soon"}}, BEFORE, DEEP, b"\xff", "x"]
)
def test_dates_without_a_session_that_are_none_are_an_archive_error(tmp_path: Path, content: Any) -> None:
    put(tmp_path / "absent" / "bhavcopy-2024.json", content)
    with pytest.raises(ArchiveError, match="not a record of dates"):
        Absent(tmp_path, "https://a", "bhavcopy").asked_at(date(2024, 6, 1), ["x"])


@pytest.mark.parametrize("content", [{}, [1], ["http://["], ["http://h:x/"], DEEP, b"\xff"])
def test_addresses_that_are_none_are_a_usage_error(tmp_path: Path, content: Any) -> None:
    put(tmp_path / "staging" / "archive.json", content)
    with pytest.raises(UsageError, match="expected a list of addresses"):
        staging(tmp_path).known()


@pytest.mark.parametrize(
    "base", ["http://[", "http://h:99999/", "http://h:x/", "/a\0b", "a" * 5000, "ftp://h", "file://h/x"]
)
def test_an_archive_that_is_none_is_a_usage_error(base: str) -> None:
    with pytest.raises(UsageError, match="archive"):
        transport.connect(base, Patience(), 1)


def test_an_archive_may_hold_links_in_circles_and_pipes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "a.csv")
    os.mkfifo(tmp_path / "b.csv")
    folder = transport.connect(str(tmp_path), Patience(), 1)
    assert [folder.copy(name, io.BytesIO()) for name in ("a.csv", "b.csv")] == [False, False]


LINE = {
    "decision": 1,
    "kind": "promote",
    "state": "done",
    "version": 1,
    "previous": None,
    "reason": "r",
    "forced": False,
}
LINE |= {"at": "2024-06-01T10:00:00+00:00", "effective": None, "by": "a", "reasons": [], "evidence": {}}


@pytest.mark.parametrize(
    "changed",
    [
        *({"version": "1"}, {"decision": None}, {"kind": "crown"}, {"at": "2024-06-01T10:00:00"}, {"reasons": "no"}),
        *({"at": "0001-01-01T00:00:00+23:59"}, {"effective": 5}, {"more": 1}),
    ],
)
def test_a_ledger_entry_that_is_none_is_a_model_error(tmp_path: Path, changed: dict[str, Any]) -> None:
    content = LINE | changed
    book = books.local(Settings(home=tmp_path))
    put(book.path, json.dumps(content | {"seal": ledger._seal("", content)}).encode() + b"\n")
    with pytest.raises(ModelError, match="is no ledger entry"):
        ledger.read(book)
    put(book.path, DEEP.encode() + b"\n")
    with pytest.raises(ModelError, match="is no ledger entry"):
        ledger.read(book)


@pytest.mark.parametrize("content", [[], {}, {"outcome": 1}, {"outcome": "x", "metrics": []}, DEEP, b"\xff"])
def test_a_journal_that_is_none_says_that_nothing_was_written(tmp_path: Path, content: Any) -> None:
    settings = Settings(home=tmp_path)
    folder = settings.runs / "20240702T100000-0a0b0c0d"
    put(folder / "begun.json", content)
    assert journal.entries(settings) == []


@pytest.mark.parametrize(
    "changed", [{"pid": -1}, {"pid": 10**12}, {"pid": []}, {"port": 70_000}, {"born": []}, {"a": 1}]
)
def test_a_record_of_a_server_that_is_none_is_a_service_error(tmp_path: Path, changed: dict[str, Any]) -> None:
    settings = Settings(home=tmp_path)
    put(settings.services / "mlflow.json", {"pid": 1, "born": "boot 1", "port": 1} | changed)
    with pytest.raises(ServiceError, match="not the record of a server"):
        local.stop(settings, "mlflow")


def test_a_record_of_a_server_from_an_earlier_version_is_of_none_that_runs(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    put(settings.services / "mlflow.json", {"pid": os.getpid(), "born": 1732339200.5, "port": 1})
    assert not local.stop(settings, "mlflow")


@pytest.mark.parametrize("content", [[], {"files": []}, {"made_at": "x", "files": {"a": 1}}, DEEP, b"\xff"])
def test_a_backup_that_is_none_is_a_warehouse_error(tmp_path: Path, content: Any) -> None:
    put(tmp_path / "backup" / "BACKUP.json", content)
    with pytest.raises(WarehouseError, match="no whole backup"):
        backup.restore(Settings(home=tmp_path / "home"), str(tmp_path / "backup"))
    assert not (tmp_path / "home" / "warehouse").exists()


@pytest.mark.parametrize(
    "place", ["Disk('a', 'b') settings x='y'", "Disk('a'); drop table x", "Disk(a)", "File('a\\'b')"]
)
def test_a_server_is_told_a_place_and_nothing_else(place: str) -> None:
    with pytest.raises(WarehouseError, match="a server takes"):
        backup.backup(Settings(home="/srv/nse", warehouse_dsn="clickhouse://u:p@127.0.0.1:1/db"), place)


PUBLISHED: dict[str, Any] = {"metrics": {}, "values": {}, "outputs": {}, "figures": {}, "tables": {}}


@pytest.mark.parametrize(
    "content",
    [[], {}, PUBLISHED | {"metrics": {"a": "1"}}, PUBLISHED | {"metrics": {"../a": 1}}, DEEP, b"\xff", b"NaN"],
)
def test_a_result_that_is_none_is_a_notebook_error(tmp_path: Path, content: Any) -> None:
    put(tmp_path / report.RESULT, content)
    with pytest.raises(NotebookError, match=r"not what report\.publish writes"):
        report.read(tmp_path)


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
def test_a_contract_that_is_none_is_a_contract_error(record: dict[str, Any]) -> None:
    with pytest.raises(ContractError):
        assert records_of.parse(record).clickhouse_columns


@pytest.mark.parametrize("content", [[], 5, DEEP, b"\xff", {"event_id": 5}])
def test_a_sample_that_is_none_is_a_contract_error(tmp_path: Path, content: Any) -> None:
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
def test_a_name_is_no_path(ask: Callable[[str], object], name: str) -> None:
    with pytest.raises(ChampionError):
        ask(name)


@pytest.mark.parametrize(
    "content", [5, [], {"cells": 5}, {"cells": [5]}, {"cells": [{"cell_type": "code"}]}, DEEP, b"\xff"]
)
def test_a_notebook_that_is_none_is_a_notebook_error(tmp_path: Path, content: Any) -> None:
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
def test_a_cell_that_is_no_python_is_a_parameter_error(cell: str) -> None:
    with pytest.raises(ParameterError, match="not Python"):
        parameters.read(cell, "book")


def test_a_cell_may_hold_what_only_looks_like_the_end_of_a_line() -> None:
    declared = parameters.read("a: int = 1  # one\x0c\x1cé\nb: str = '\u2028'  # two\nc = {[]: 1}", "book")
    assert [one.help for one in declared.values()] == ["one\x0c\x1cé", "two", ""]


@pytest.mark.parametrize(
    "text", [*HOSTILE, "'''\nimport os\n'''", "\\", "a\nimport os", "{{7*7}}", "\udcff", "\x00", "🚀"]
)
def test_what_is_given_as_a_parameter_is_written_as_a_value(text: str) -> None:
    declared = parameters.read("note: str\nmany: list[str]\nfilters: dict", "book")
    texts = {"note": text, "many": json.dumps([text]), "filters": json.dumps({text: text})}
    code = PythonTranslator.codify(parameters.check(declared, parameters.from_text(declared, texts), "book"))
    values = [ast.literal_eval(one.value) for one in ast.parse(code).body if isinstance(one, ast.Assign)]
    assert values == [text, [text], {text: text}]
    assert len(ast.parse(code).body) == len(values)


@pytest.mark.parametrize("text", ["9" * 400, "1e400", "NaN", "-Infinity"])
def test_a_number_beyond_all_numbers_is_none(text: str) -> None:
    declared = parameters.read("share: float", "book")
    with pytest.raises(ParameterError, match="takes float"):
        parameters.check(declared, parameters.from_text(declared, {"share": text}), "book")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("9" * 5000, math.inf), ("Mon, 01 Jan 99999999999 00:00:00 GMT", None), ("²", None)],
)
def test_a_wait_beyond_all_clocks_is_no_error(text: str, seconds: float | None) -> None:
    assert retry_after(text, datetime(2024, 7, 2, tzinfo=UTC)) == seconds


@pytest.mark.parametrize("text", ["[" * 5000, '{"series": 5}', '{"min_turnover": Infinity}', '{"min_age": "x"}', "{}x"])
def test_a_universe_that_is_none_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="universe"):
        universe.find(text)


def test_a_date_that_is_none_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="write it as 2024-01-15"):
        workspace.as_date("2024-02-30")


@pytest.mark.parametrize(
    "content",
    [b"home = ", b"\xff", b"a = " + DEEP.encode(), b'home = "~nobody-of-that-name/x"', b'home = "a?b"', b"nothing = 1"],
)
@pytest.mark.usefixtures("inside")
def test_a_configuration_that_is_none_is_a_usage_error(tmp_path: Path, content: bytes) -> None:
    put(tmp_path / "champion.toml", content)
    with pytest.raises(UsageError, match="settings"):
        read_settings()


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_shown_on_a_terminal_is_text(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.table(text, [text], [[text], [f"{text}\x1b[2J"]])
    console.show({text: text, "one": f"\x1b]0;{text}\x07"}, as_json=False)
    console.complain(UsageError(f"{text}\x1b[2J\u202e"))
    said = "".join(capsys.readouterr())
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "\u202e" not in said
    assert said.count(text) >= 4


def test_what_a_flow_says_in_prefect_is_text() -> None:
    page = summary.markdown(
        "a", "failed", 1.0, {t: t for t in HOSTILE}, "# x\n\n[a](javascript:b) ![i](http://h)", "ab12"
    )
    assert "<script" not in page.replace("\\<script", "")
    assert "[a]" not in page
    assert "![" not in page
    assert len(page.splitlines()) == 8 + len(HOSTILE), "a value is one line of the table"


def test_names_in_figures_are_no_formulas() -> None:
    names = [*HOSTILE[:6], "$x^{$", "a\nb"]
    rows = {
        "symbol": names,
        "close": [11.0] * len(names),
        "prev_close": [10.0] * len(names),
        "turnover": [3e7] * len(names),
    }
    frame = pl.DataFrame(rows).with_columns(trade_date=pl.lit(SESSION), instrument_id="symbol")
    for figure in (plots.market_map(frame), plots.movers(frame)):
        figure.savefig(io.BytesIO(), format="png", dpi=30)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("lake seal 0", 1, "the year is not over"),
        ("lake seal 2023 --grace inf", 2, "86400"),
        ("lake seal 2023 --dataset ../x", 2, "no dataset"),
        ("lineage forward " + "a" * 5000, 1, "a"),
        ("lineage back ../x 2024-07-02", 1, "no contract"),
        ("features 2024-07-01 2024-07-02 --feature-set :X", 2, "no module's name"),
        ("features 2024-07-01 2024-07-02 --feature-set os.path:join", 2, "not a champion.features.FeatureSet"),
        ("simulate made --start 9999-12-01 --end 9999-12-31", 2, "simulated from"),
        ("simulate /proc/made --end 2023-01-05", 1, "/proc/made: No such file"),
        ("archive add http://[", 2, "neither a folder nor a URL"),
        ("notebook run ../../etc/passwd", 1, "no notebook"),
        ("notebook run training -p a", 2, "name=value"),
        ("sql --name ../x", 1, "no query is named"),
        ("schema show ../../x", 1, "no contract"),
        ("warehouse restore /etc", 1, "no whole backup"),
    ],
)
@pytest.mark.usefixtures("inside")
def test_arguments_that_are_none_are_one_message_and_an_exit_code(
    arguments: str, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = {"CHAMPION_HOME": str(tmp_path / "home"), "CHAMPION_ARCHIVE": str(tmp_path)}
    with pytest.MonkeyPatch.context() as patch:  # of the process alone: its arguments and variables
        patch.setattr(sys, "argv", ["champion", *arguments.split()])
        for name, value in variables.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert ended.value.code == code
    shown = " ".join(capsys.readouterr().err.split())
    assert said in shown
    assert "Traceback" not in shown
    assert {path.name for path in tmp_path.iterdir()} <= {"home"}


def test_nothing_of_data_is_exported_as_csv() -> None:
    """A spreadsheet would run `=cmd|...` from a symbol: Champion writes CSV of what it simulates, and no other."""
    calls = [
        path.relative_to(ROOT).as_posix()
        for folder in ("champion", "flows")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if re.search("csv|excel", text := path.read_text())
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute)
        and (node.attr in {"write_csv", "to_csv", "sink_csv", "write_excel"} or ast.unparse(node) == "csv.writer")
    ]
    assert sorted(set(calls)) == ["champion/features/own.py", "champion/simulate/files.py"]  # the first makes a digest


def test_symbols_are_no_sql_paths_no_patterns_and_questions_write_no_files(tmp_path: Path) -> None:
    archive = publish(tmp_path / "a'b", instruments=len(HOSTILE), start=date(2024, 7, 1), end=SESSION)
    (file,) = archive.root.rglob("BhavCopy_NSE_CM_*_20240702_F_0000.csv.zip")
    header, *lines = container.text("a.csv.zip", file.read_bytes()).splitlines()
    named = [line.split(",") for line in lines]
    shares = [fields for fields in named if fields[8] == "EQ"]
    for fields, symbol in zip(shares, HOSTILE, strict=False):
        fields[7] = symbol
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.csv", "\n".join([header, *map(",".join, named), ""]))
    settings = Settings(home=tmp_path / "it's [a] {b,c} * %20 #\"; $x `é", archive=str(archive.root))
    fetch(settings, SESSION, SESSION)
    ingest(Lake(settings.lake), staged(settings, SESSION, SESSION)).require_complete()
    assert Lake(settings.lake).verify("normalized_equity_ohlc") == []
    with client.writer(settings) as engine:
        migrations.migrate(engine)
    load(settings, SESSION, SESSION)
    question = "select close from equity_ohlc where symbol = {symbol:String}"
    asked = HOSTILE[: len(shares)]
    assert [query.sql(settings, question, {"symbol": symbol}).height for symbol in asked] == [1] * len(asked)
    for hidden in (
        "select 1 into outfile",
        "select $a$'$a$ INTO/**/OUTFILE",
        "explain select 1 into\noutfile",
        "show tables into outfile",
    ):
        with pytest.raises(WarehouseError, match="writes a file"):
            query.sql(settings, f"{hidden} '{tmp_path}/x.csv'")
    assert query.sql(settings, "select 'into outfile' as x")["x"].item() == "into outfile"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a'b", settings.home.name])


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(tmp_path)
    yield
    os.chdir(before)


def staging(folder: Path) -> Staging:
    return Staging(folder / "staging", "file:///x")


def put(path: Path, content: Any) -> None:
    """Write bytes as they are, text as it is, all else as JSON."""
    if isinstance(content, str) and content == DEEP:
        content = content.encode()
    write_bytes(path, content if isinstance(content, bytes) else json.dumps(content).encode())
