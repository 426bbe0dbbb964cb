"""Extract the text of a downloaded file, and refuse files whose bytes do not match their name."""

import csv
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import PurePosixPath, PureWindowsPath

import polars as pl

from champion.base.counting import quantity
from champion.errors import FormatError

_MAX_TEXT = 64 * 1024 * 1024  # the largest real file has 0.5 MB
_MAX_LINE = 4096  # the longest real line has 314 bytes
_MAX_LINES = 500_000  # the longest real file has 5,000
_MAX_EXPANSION = 100  # real files are packed to a third
_ENCRYPTED = 0x1
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})  # zipfile decompresses only these in pieces
_ENTRY, _MAX_ENTRIES = b"PK\x01\x02", 100  # a real file has one; compressed bytes may hold the four by chance
NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{0,15})?|\.[0-9]{1,15}")
"""A number as the exchange writes it in its lists: digits and an optional decimal point."""
_SIGNATURES = {
    b"PK\x03\x04": "a zip",
    b"PK\x05\x06": "a zip",  # empty
    b"<": "an HTML page",
    b"\xef\xbb\xbf<": "an HTML page",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip file",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
}
DAMAGE = (  # raised by zipfile for damaged bytes
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, RuntimeError, OSError, ValueError),
)
_WORKBOOK = (b"[Content_Types].xml", b"xl/")
_EXPECTED = {".zip": "a zip", ".xlsx": "an Excel workbook"}


def lines(name: str, content: bytes) -> pl.Series:
    """Return the lines of the CSV in `content`, column `row`; the last is empty if the file ends with a newline.

    Raises:
        FormatError: as `text`, or a line is too long.
    """
    whole = text(name, content)
    _check_length(name, whole)
    found = pl.Series("row", whole.split("\n"), dtype=pl.String)
    longest = found.str.len_bytes().arg_max() or 0
    if len(found[longest].encode()) > _MAX_LINE:
        raise FormatError(f"{name}: line {longest + 1} has more than {_MAX_LINE:,} bytes; this is not an exchange file")
    return found


def rows(name: str, text: str) -> list[list[str]]:
    """Return the fields of each line of a list; quoted fields may contain commas and line ends.

    Raises:
        FormatError: it is not CSV, or has too many or too long lines.
    """
    _check_length(name, text)
    found = []
    try:
        for number, line in enumerate(csv.reader(io.StringIO(text)), start=1):
            if len(line) + sum(map(len, line)) > _MAX_LINE:
                raise FormatError(
                    f"{name}: line {number} has more than {_MAX_LINE:,} characters; this is not an exchange list"
                )
            found.append(line)
    except csv.Error as error:
        raise FormatError(f"{name}: line {len(found) + 1} is not CSV ({error}); fetch it again") from error
    return found


def text(name: str, content: bytes, encoding: str = "utf-8-sig") -> str:
    """Return the CSV text in `content`, unzipped if the name ends in .zip.

    Raises:
        FormatError: the bytes do not match the name, or are not one CSV of reasonable size.
    """
    if name.lower().endswith(".zip"):
        content = _only_member(name, content)
    if kind := _kind(content):
        raise FormatError(f"{name}: expected CSV text, found {kind}")
    if len(content) > _MAX_TEXT:
        raise FormatError(f"{name}: {quantity(len(content), 'byte')} of text, at most {_MAX_TEXT:,} are read")
    if b"\0" in content:
        raise FormatError(f"{name}: NUL bytes in CSV text")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise FormatError(f"{name}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def member(name: str, content: bytes, pattern: re.Pattern[str]) -> tuple[str, bytes]:
    """Return the name and the bytes of the one file in a zip of several whose whole name matches `pattern`.

    Raises:
        FormatError: the bytes are no sound zip, or not exactly one name matches.
    """
    check_signature(name, content)

    def matching(members: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
        found = [member for member in members if pattern.fullmatch(member.filename)]
        if len(found) != 1:
            names = ", ".join(member.filename for member in members[:20])
            raise FormatError(f"{name}: expected one file {pattern.pattern} inside, found {len(found)} of: {names}")
        return found[0]

    return _extract(name, content, matching)


def list_text(name: str, content: bytes) -> str:
    """Return the text of a list: UTF-8, else Latin-1, in which an accented letter is not valid UTF-8.

    Raises:
        FormatError: as `text`.
    """
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return text(name, content, "latin-1")
    return text(name, content)


def check_signature(name: str, content: bytes) -> None:
    """Refuse bytes that do not match `name`, before the file is kept.

    Raises:
        FormatError: an HTML error page under a .zip name, a spreadsheet under .csv, an empty file.
    """
    kind = _kind(content)
    expected = next((kind for ending, kind in _EXPECTED.items() if name.lower().endswith(ending)), "")
    if not content or kind != expected:
        raise FormatError(
            f"{name}: expected {expected or 'CSV text'}, found {kind or 'text' if content else 'no bytes'}"
        )


def _check_length(name: str, text: str) -> None:
    if (count := text.count("\n")) > _MAX_LINES:
        raise FormatError(
            f"{name}: {quantity(count, 'line')}; at most {_MAX_LINES:,} are read, this is not an exchange file"
        )


def _kind(content: bytes) -> str:
    start = content[:64].lstrip()
    kind = next((kind for magic, kind in _SIGNATURES.items() if start.startswith(magic)), "")
    return "an Excel workbook" if kind == "a zip" and any(part in content[:2048] for part in _WORKBOOK) else kind


def _only_member(name: str, content: bytes) -> bytes:
    def only(members: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
        if len(members) != 1:
            raise FormatError(f"{name}: expected one file inside, found {[m.filename for m in members][:5]}")
        return members[0]

    return _extract(name, content, only)[1]


def _extract(
    name: str, content: bytes, choose: Callable[[list[zipfile.ZipInfo]], zipfile.ZipInfo]
) -> tuple[str, bytes]:
    """Return the name and the bytes of the chosen file in a zip."""
    if (count := content.count(_ENTRY)) > _MAX_ENTRIES:  # before zipfile creates an object for each
        raise FormatError(f"{name}: expected one file inside, found {count:,} entries")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            member = choose(archive.infolist())
            _check_member(name, member)
            with archive.open(member) as stream:  # in memory, at most the limit, whatever size it declares
                found = stream.read(_MAX_TEXT + 1)
    except DAMAGE as error:
        raise FormatError(f"{name}: not a readable zip ({error}); fetch it again") from error
    return member.filename, found


def _check_member(name: str, member: zipfile.ZipInfo) -> None:
    if member.flag_bits & _ENCRYPTED:
        raise FormatError(f"{name}: the file inside is encrypted; the exchange's are not")
    if member.compress_type not in _METHODS:
        raise FormatError(
            f"{name}: the file inside is compressed by method {member.compress_type}; the exchange deflates or stores"
        )
    inside = member.filename.replace("\\", "/")
    if ".." in inside.split("/") or PurePosixPath(inside).is_absolute() or PureWindowsPath(inside).drive:
        raise FormatError(f"{name}: the file inside is named {member.filename!r}, a path that leaves the zip")
    if member.file_size > _MAX_TEXT:
        raise FormatError(f"{name}: {quantity(member.file_size, 'byte')} of text, at most {_MAX_TEXT:,} are read")
    if member.file_size > _MAX_EXPANSION * max(member.compress_size, 1):
        raise FormatError(
            f"{name}: {quantity(member.compress_size, 'byte')} would become {member.file_size:,}; "
            f"at most {_MAX_EXPANSION} times as many are unpacked"
        )
