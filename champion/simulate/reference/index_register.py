"""Write the register of inclusions and exclusions, a workbook with a sheet per index, with the traps of the real one.

1. Dates are text (DD-MM-YYYY) in some rows, and serial numbers in others of the same sheet.
2. Rows name companies, not symbols. Some are written twice, some with blanks around the name.
3. The register ends in the middle of the archive, as the real one ended in July 2020.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TypeAlias
from xml.sax.saxutils import escape

from champion.simulate.universe import Instrument
from champion.sources.lists.index_register import HEADER

PATH = "content/indices/IndexInclExcl.xlsx"
SERIAL_EVERY, TWICE_EVERY, BLANKS_EVERY = 2, 7, 5  # rows
_EPOCH = date(1899, 12, 30)
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_Cell: TypeAlias = str | int
Members: TypeAlias = Sequence[frozenset[int]]
"""The positions of an index's members on each session."""


def register(universe: Sequence[Instrument], held: Mapping[str, Members], sessions: Sequence[date]) -> bytes:
    """Return the register of the changes until its last session; `held` has the members by index."""
    sheets = {index: _rows(index, universe, members, sessions) for index, members in held.items()}
    return _workbook({index.title(): rows for index, rows in sheets.items()}, sessions[0])


def last_session(sessions: Sequence[date]) -> date:
    """Return the last session whose changes the register has."""
    return sessions[len(sessions) // 2]


def _rows(
    index: str, universe: Sequence[Instrument], members: Members, sessions: Sequence[date]
) -> list[Sequence[_Cell]]:
    rows: list[Sequence[_Cell]] = [HEADER]
    for number, day in enumerate(sessions[1:], start=1):
        if day > last_session(sessions):
            break
        sides = {
            "Exclusion from Index": members[number - 1] - members[number],
            "Inclusion into Index": members[number] - members[number - 1],
        }
        for description, positions in sides.items():
            for company in sorted(universe[place].name for place in positions):
                place = len(rows)
                when = (day - _EPOCH).days if place % SERIAL_EVERY else f"{day:%d-%m-%Y}"
                named = f"  {company} " if not place % BLANKS_EVERY else company
                rows += [(index.title(), when, named, description)] * (1 if place % TWICE_EVERY else 2)
    return rows


def _workbook(sheets: Mapping[str, Sequence[Sequence[_Cell]]], day: date) -> bytes:
    """Return an Excel workbook whose texts are shared strings, with the same bytes on every system."""
    strings: dict[str, int] = {}
    names = list(sheets)
    pages = {f"xl/worksheets/sheet{number}.xml": _sheet(sheets[name], strings) for number, name in enumerate(names, 1)}
    ids = [f"rId{number}" for number in range(1, len(names) + 1)]
    listed = "".join(
        f'<sheet name="{escape(name)}" sheetId="{number}" r:id="{one}"/>'
        for number, (name, one) in enumerate(zip(names, ids, strict=True), 1)
    )
    targets = "".join(
        f'<Relationship Id="{one}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number, one in enumerate(ids, 1)
    )
    texts = "".join(f'<si><t xml:space="preserve">{escape(text)}</t></si>' for text in strings)
    overrides = "".join(
        f'<Override PartName="/{part}" ContentType="{_TYPE}.{kind}+xml"/>'
        for part, kind in [
            ("xl/workbook.xml", "sheet.main"),
            ("xl/sharedStrings.xml", "sharedStrings"),
            *((page, "worksheet") for page in pages),
        ]
    )
    start = f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
    rels = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">{rels}{overrides}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{start}</Relationships>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{targets}</Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>',
        **pages,
        "xl/sharedStrings.xml": f'<sst xmlns="{_MAIN}">{texts}</sst>',
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in parts.items():
            member = zipfile.ZipInfo(path, (day.year, day.month, day.day, 12, 0, 0))
            member.create_system, member.external_attr = 3, 0o644 << 16
            content = f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n{text}'
            archive.writestr(member, content.encode(), zipfile.ZIP_DEFLATED, compresslevel=6)
    return buffer.getvalue()


def _sheet(rows: Sequence[Sequence[_Cell]], strings: dict[str, int]) -> str:
    found = []
    for number, row in enumerate(rows, 1):
        cells = "".join(_cell(f"{column}{number}", value, strings) for column, value in zip("ABCD", row, strict=True))
        found.append(f'<row r="{number}">{cells}</row>')
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(found)}</sheetData></worksheet>'


def _cell(place: str, value: _Cell, strings: dict[str, int]) -> str:
    if isinstance(value, int):
        return f'<c r="{place}"><v>{value}</v></c>'
    return f'<c r="{place}" t="s"><v>{strings.setdefault(value, len(strings))}</v></c>'
