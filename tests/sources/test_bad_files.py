"""Invalid files: lists, zips, and the records of lake, staging, ledgers and servers."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hostile import DEEP, put

from champion import contracts, report
from champion.errors import (
    ArchiveError,
    FormatError,
    LakeError,
    ModelError,
    NotebookError,
    ServiceError,
    UsageError,
    WarehouseError,
)
from champion.lake import Lake, layout, manifest as manifests, sweep
from champion.lake.partitions import read_sealed
from champion.market.actions.action_text import parse_purpose
from champion.services import managed_process
from champion.settings import Settings
from champion.sources import actions as lists, container, masters
from champion.sources.download import staging_records, transport
from champion.sources.download.negative_cache import NegativeCache
from champion.sources.download.retry_policy import RetryPolicy
from champion.sources.download.staging import Staging
from champion.tracking import ledger_storage, promotion_ledger, run_spool
from champion.warehouse import backup

SESSION = date(2024, 7, 2)
DIGEST = "0" * 64
SHARES = "SYMBOL,NAME OF COMPANY, SERIES, DATE OF LISTING, PAID UP VALUE, MARKET LOT, ISIN NUMBER, FACE VALUE\n"
ACTIONS = ",".join(lists.HEADER) + "\n"


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
def test_an_invalid_list_is_a_format_error(read: Callable[[str, bytes], object], content: bytes) -> None:
    with pytest.raises(FormatError, match=r"^a\.csv: "):
        read("a.csv", content)


@pytest.mark.parametrize("face", ["1e400", "inf", "nan", "1_000", "٣", "-5"])
def test_an_invalid_face_value_is_null(face: str) -> None:
    row = f"ABB,ABB Ltd,EQ,Bonus 1:1,{face},02-Jul-2024,-,-,-\n"
    assert lists.parse_actions("a.csv", (ACTIONS + row).encode())["face_value"].to_list() == [None]


@pytest.mark.parametrize("text", ["Bonus {0}:1", "Bonus 1:{0}", "Rights {0}:1 @ Premium Rs {0}", "Dividend Rs {0}"])
def test_a_purpose_with_endless_numbers_has_no_factor(text: str) -> None:
    (found,) = parse_purpose(text.format("9" * 400))
    assert (found.price_factor, found.amount) == (None, None)


def test_a_list_without_dates_in_its_name_covers_the_dates_of_its_rows() -> None:
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
def test_an_invalid_manifest_is_a_lake_error(tmp_path: Path, content: Any) -> None:
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
def test_an_invalid_sealed_year_is_a_lake_error(tmp_path: Path, changed: dict[str, Any]) -> None:
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


def test_links_lead_neither_out_of_the_lake_nor_in_circles(tmp_path: Path) -> None:
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
def test_an_invalid_staging_record_is_an_archive_error(tmp_path: Path, content: Any) -> None:
    put(tmp_path / "staging" / "a.json", content)
    put(tmp_path / "victim", b"kept")
    for read in (
        lambda: staging_records.read(tmp_path / "staging" / "a.zip"),
        lambda: staging(tmp_path).find(["a.zip"], SESSION),
    ):
        with pytest.raises(ArchiveError, match="not a record of staging"):
            read()
    assert (tmp_path / "victim").read_bytes() == b"kept"


@pytest.mark.parametrize(
    "content", [[], {"2024-06-01": 1}, {"2024-06-01": {"asked_at": "soon"}}, BEFORE, DEEP, b"\xff", "x"]
)
def test_an_invalid_record_of_missing_dates_is_an_archive_error(tmp_path: Path, content: Any) -> None:
    put(tmp_path / "absent" / "bhavcopy-2024.json", content)
    with pytest.raises(ArchiveError, match="not a record of dates"):
        NegativeCache(tmp_path, "https://a", "bhavcopy").asked_at(date(2024, 6, 1), ["x"])


@pytest.mark.parametrize("content", [{}, [1], ["http://["], ["http://h:x/"], DEEP, b"\xff"])
def test_an_invalid_list_of_addresses_is_a_usage_error(tmp_path: Path, content: Any) -> None:
    put(tmp_path / "staging" / "archive.json", content)
    with pytest.raises(UsageError, match="expected a list of addresses"):
        staging(tmp_path).known()


@pytest.mark.parametrize(
    "base", ["http://[", "http://h:99999/", "http://h:x/", "/a\0b", "a" * 5000, "ftp://h", "file://h/x"]
)
def test_an_invalid_archive_is_a_usage_error(base: str) -> None:
    with pytest.raises(UsageError, match="archive"):
        transport.connect(base, RetryPolicy(), 1)


def test_an_archive_may_contain_circular_links_and_pipes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "a.csv")
    os.mkfifo(tmp_path / "b.csv")
    folder = transport.connect(str(tmp_path), RetryPolicy(), 1)
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
def test_an_invalid_ledger_entry_is_a_model_error(tmp_path: Path, changed: dict[str, Any]) -> None:
    content = LINE | changed
    book = ledger_storage.local(Settings(home=tmp_path))
    put(book.path, json.dumps(content | {"seal": ledger_storage.seal("", content)}).encode() + b"\n")
    with pytest.raises(ModelError, match="is not a ledger entry"):
        promotion_ledger.read(book)
    put(book.path, DEEP.encode() + b"\n")
    with pytest.raises(ModelError, match="is not a ledger entry"):
        promotion_ledger.read(book)


@pytest.mark.parametrize("content", [[], {}, {"outcome": 1}, {"outcome": "x", "metrics": []}, DEEP, b"\xff"])
def test_an_invalid_journal_means_nothing_was_written(tmp_path: Path, content: Any) -> None:
    settings = Settings(home=tmp_path)
    folder = settings.runs / "20240702T100000-0a0b0c0d"
    put(folder / "begun.json", content)
    assert run_spool.entries(settings) == []


@pytest.mark.parametrize(
    "changed", [{"pid": -1}, {"pid": 10**12}, {"pid": []}, {"port": 70_000}, {"born": []}, {"a": 1}]
)
def test_an_invalid_server_record_is_a_service_error(tmp_path: Path, changed: dict[str, Any]) -> None:
    settings = Settings(home=tmp_path)
    put(settings.services / "mlflow.json", {"pid": 1, "born": "boot 1", "port": 1} | changed)
    with pytest.raises(ServiceError, match="not the record of a server"):
        managed_process.stop(settings, "mlflow")


def test_a_server_record_of_an_earlier_version_means_no_running_server(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    put(settings.services / "mlflow.json", {"pid": os.getpid(), "born": 1732339200.5, "port": 1})
    assert not managed_process.stop(settings, "mlflow")


@pytest.mark.parametrize("content", [[], {"files": []}, {"made_at": "x", "files": {"a": 1}}, DEEP, b"\xff"])
def test_an_invalid_backup_is_a_warehouse_error(tmp_path: Path, content: Any) -> None:
    put(tmp_path / "backup" / "BACKUP.json", content)
    with pytest.raises(WarehouseError, match="not a complete backup"):
        backup.restore(Settings(home=tmp_path / "home"), str(tmp_path / "backup"))
    assert not (tmp_path / "home" / "warehouse").exists()


@pytest.mark.parametrize(
    "place", ["Disk('a', 'b') settings x='y'", "Disk('a'); drop table x", "Disk(a)", "File('a\\'b')"]
)
def test_a_server_accepts_only_a_path(place: str) -> None:
    with pytest.raises(WarehouseError, match="a server takes"):
        backup.backup(Settings(home="/srv/nse", warehouse_dsn="clickhouse://u:p@127.0.0.1:1/db"), place)


PUBLISHED: dict[str, Any] = {"metrics": {}, "values": {}, "outputs": {}, "figures": {}, "tables": {}}


@pytest.mark.parametrize(
    "content",
    [[], {}, PUBLISHED | {"metrics": {"a": "1"}}, PUBLISHED | {"metrics": {"../a": 1}}, DEEP, b"\xff", b"NaN"],
)
def test_an_invalid_result_is_a_notebook_error(tmp_path: Path, content: Any) -> None:
    put(tmp_path / report.RESULT, content)
    with pytest.raises(NotebookError, match=r"was not written by report\.publish"):
        report.read(tmp_path)


def staging(folder: Path) -> Staging:
    return Staging(folder / "staging", "file:///x")
