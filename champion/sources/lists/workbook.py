"""Read the cells of an Excel workbook (.xlsx), as a zip of XML (ECMA-376), with limits on its size."""

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from posixpath import join, normpath
from xml.etree import ElementTree as ET

from champion.errors import FormatError
from champion.sources import container

_MAX_PARTS, _MAX_BYTES = 500, 32 * 1024 * 1024  # the register has 52 parts and 2 MB
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_EPOCH = date(1899, 12, 30)  # of serial dates from 1900-03-01 on
_COLUMN = re.compile(r"[A-Z]{1,3}")
_FIRST_SERIAL, _LAST_SERIAL = 61, 109_574  # 1900-03-01 to 2199-12-31


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a sheet: the sheet's name, the row's number, and its non-empty cells by column letter, as text.

    A number, and so a date, is the text of its value in the file.
    """

    sheet: str
    number: int
    cells: dict[str, str]


def read_rows(name: str, content: bytes) -> Iterator[Row]:
    """Yield the non-empty rows of all sheets, in order.

    Raises:
        FormatError: the bytes are no workbook, it is too large, or a part of it is missing or damaged.
    """
    container.check_signature(name, content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from _rows(name, archive)
    except (*container.DAMAGE, KeyError, IndexError, ET.ParseError) as error:
        raise FormatError(f"{name}: not a readable workbook ({error}); fetch it again") from error


def serial_date(text: str) -> date | None:
    """Return the date of a cell with a serial number of days; None for other text.

    >>> serial_date("44043")
    datetime.date(2020, 7, 31)
    """
    try:
        days = float(text)
    except ValueError:
        return None
    return _EPOCH + timedelta(days) if days.is_integer() and _FIRST_SERIAL <= days <= _LAST_SERIAL else None


def _rows(name: str, archive: zipfile.ZipFile) -> Iterator[Row]:
    parts = archive.infolist()
    if len(parts) > _MAX_PARTS or sum(part.file_size for part in parts) > _MAX_BYTES:
        raise FormatError(f"{name}: more than {_MAX_PARTS} parts or {_MAX_BYTES:,} bytes; this is not the exchange's")
    strings = []
    if "xl/sharedStrings.xml" in archive.namelist():
        strings = [_text(item) for item in _xml(name, archive, "xl/sharedStrings.xml")]
    relations = _xml(name, archive, "xl/_rels/workbook.xml.rels")
    targets = {relation.attrib["Id"]: normpath(join("/xl", relation.attrib["Target"]))[1:] for relation in relations}
    for sheet in _xml(name, archive, "xl/workbook.xml").iter(f"{_MAIN}sheet"):
        for row in _xml(name, archive, targets[sheet.attrib[_RELATION]]).iter(f"{_MAIN}row"):
            cells = {_column(cell): value for cell in row if (value := _value(cell, strings))}
            if cells:
                yield Row(sheet.attrib["name"], int(row.attrib["r"]), cells)


def _xml(name: str, archive: zipfile.ZipFile, part: str) -> ET.Element:
    """Return the root of a part. Text without a document type has no entities that could grow or read files."""
    with archive.open(part) as stream:
        text = stream.read(_MAX_BYTES + 1).decode("utf-8-sig")
    if len(text) > _MAX_BYTES or "<!" in text:
        raise FormatError(f"{name}: {part} is too large or declares a document type; this is not the exchange's")
    return ET.fromstring(text)  # noqa: S314 - see above


def _column(cell: ET.Element) -> str:
    if match := _COLUMN.match(cell.attrib["r"]):
        return match.group()
    raise ValueError(f"a cell is named {cell.attrib['r']!r}")


def _value(cell: ET.Element, strings: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return _text(cell)
    value = cell.findtext(f"{_MAIN}v") or ""
    return strings[int(value)] if cell.get("t") == "s" and value else value


def _text(element: ET.Element) -> str:
    return "".join(part.text or "" for part in element.iter(f"{_MAIN}t"))
