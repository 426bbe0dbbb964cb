"""Downloaded bytes: one CSV of reasonable size, or a clear error."""

from __future__ import annotations

import gzip
import io
import random
import zipfile
from collections.abc import Callable
from datetime import date

import pytest

from champion.errors import FormatError
from champion.sources import container, parse, udiff

SESSION = date(2024, 1, 15)
FIELDS = "2024-01-15,2024-01-15,CM,NSE,STK,13,INE117A01022,ABB,EQ,,,,,ABB,10,12,9,11,11,10,,11,,,5,55,1,F1,1,,,,,"
CSV = f"{udiff.HEADERS[1]}\n{FIELDS}\n".encode()


def packed(*members: tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


def encrypted() -> bytes:
    """Return a zip with the encryption bit set in the member's header and in the directory."""
    content = bytearray(packed(("a.csv", CSV)))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


WORKBOOK = packed(("[Content_Types].xml", b"<Types/>"), ("xl/workbook.xml", b"<workbook/>"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"<!DOCTYPE html><html>", "an HTML page"),
        ("a.csv", b"\xef\xbb\xbf\r\n <html>", "an HTML page|unknown header"),
        ("a.csv", WORKBOOK, "an Excel workbook"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook"),
        ("a.csv", packed(("a.csv", CSV)), "found a zip"),
        ("a.csv", gzip.compress(CSV, mtime=0), "a gzip file"),
        ("a.csv", CSV.replace(b"ABB", b"A\0B"), "NUL"),
        ("a.csv", CSV.replace(b"ABB", b"A\xff\xfe"), "not UTF-8"),
        ("a.csv", CSV.replace(b",ABB,10", b"," + b"A" * 5000 + b",10"), "line 2 has more than 4,096 bytes"),
        ("a.csv", b"", "unknown header"),
        ("a.csv.zip", b"<html>404</html>", "not a readable zip"),
        ("a.csv.ZIP", b"<html>404</html>", "not a readable zip"),
        ("a.csv.zip", CSV, "not a readable zip"),
        ("a.csv.zip", packed(("a.csv", CSV))[:-30], "not a readable zip"),
        ("a.csv.zip", packed(("a.csv", b"<html></html>")), "an HTML page"),
        ("a.csv.zip", packed(("a.csv", gzip.compress(CSV, mtime=0))), "a gzip file"),
        ("a.csv.zip", packed(("a.zip", packed(("a.csv", CSV)))), "found a zip"),
        ("a.csv.zip", packed(("a.csv", CSV), ("b.csv", CSV)), "one file inside, found"),
        ("a.csv.zip", packed(), "one file inside, found"),
        ("a.csv.zip", WORKBOOK, "one file inside, found"),
        ("a.csv.zip", encrypted(), "is encrypted"),
        ("a.csv.zip", packed(("../../etc/passwd", CSV)), "a path that leaves the zip"),
        ("a.csv.zip", packed(("a/../../b.csv", CSV)), "a path that leaves the zip"),
        ("a.csv.zip", packed(("/etc/passwd", CSV)), "a path that leaves the zip"),
        ("a.csv.zip", packed(("..\\..\\a.csv", CSV)), "a path that leaves the zip"),
        ("a.csv.zip", packed(("C:\\a.csv", CSV)), "a path that leaves the zip"),
        ("a.csv.zip", packed(("a.csv", b"0" * 70 * 1024 * 1024)), "bytes of text, at most"),
        ("a.csv.zip", packed(("a.csv", b"0" * 1024 * 1024)), "at most 100 times as many"),
    ],
)
def test_bytes_that_are_not_csv_are_refused(name: str, content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse(name, content, SESSION)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_without_a_size_limit_is_refused(method: int) -> None:
    """A kilobyte of bzip2 with a false size took 2 GB: `zipfile` decompresses it before it checks the size."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("a.csv", CSV)
    with pytest.raises(FormatError, match="compressed by method"):
        parse("a.csv.zip", stream.getvalue(), SESSION)


def test_a_zip_with_many_entries_is_refused() -> None:
    whole = packed(("a.csv", CSV))
    start = whole.index(b"PK\x01\x02")
    entry, end = whole[start : whole.index(b"PK\x05\x06")], whole[whole.index(b"PK\x05\x06") :]
    with pytest.raises(FormatError, match="found 10,000 entries"):
        parse("a.csv.zip", whole[:start] + entry * 10_000 + end, SESSION)


def test_commas_count_towards_the_length_of_a_line() -> None:
    with pytest.raises(FormatError, match="line 2 has more than 4,096 characters"):
        container.rows("a.csv", "A,B\n" + "," * 5000)


def test_a_zip_with_a_false_size_is_bounded() -> None:
    bomb = bytearray(packed(("a.csv", b"0" * 70 * 1024 * 1024)))
    directory = bomb.index(b"PK\x01\x02")
    bomb[directory + 24 : directory + 28] = (1000).to_bytes(4, "little")
    with pytest.raises(FormatError):
        parse("a.csv.zip", bytes(bomb), SESSION)


def test_a_folder_inside_the_zip_is_ignored() -> None:
    assert parse("a.csv.zip", packed(("cm.csv/cm.csv", CSV)), SESSION).row_count == 1


@pytest.mark.parametrize("whole", [CSV, packed(("a.csv", CSV))], ids=["csv", "zip"])
def test_damaged_bytes_raise_only_format_errors(whole: bytes) -> None:
    draw = random.Random(7)  # noqa: S311 - a seed, not a secret
    name = "a.csv.zip" if whole.startswith(b"PK") else "a.csv"
    damages: list[Callable[[bytearray], object]] = [
        lambda content: content.__setitem__(draw.randrange(len(content)), draw.randrange(256)),
        lambda content: content.__delitem__(slice(draw.randrange(len(content)), None)),
        lambda content: content.__delitem__(draw.randrange(len(content))),
        lambda content: content.insert(draw.randrange(len(content)), draw.randrange(256)),
    ]
    said = []
    for _ in range(400):
        content = bytearray(whole)
        draw.choice(damages)(content)
        try:
            parse(name, bytes(content), SESSION)
        except FormatError as error:
            said.append(str(error))
    assert len(said) > 100
    assert all(text.startswith(name) for text in said)


def test_lists_may_be_latin_1() -> None:
    assert container.list_text("a.csv", "Nestlé".encode("latin-1")) == "Nestlé"
    assert container.list_text("a.csv", "Nestlé".encode()) == "Nestlé"
    with pytest.raises(FormatError, match="NUL"):
        container.list_text("a.csv", b"a\0\xe9")
