"""Parse a table of index changes typed from press releases: `content/indices/index_changes.csv`, one line per date.

    index,effective,out,in,press_release,remark
    NIFTY 50,2024-09-30,DIVISLAB;LTIM,BEL;TRENT,ind_prs23082024,
    NIFTY 50,2025-12-31,,,,no change since

The table is a format of this project, because the releases are PDF files. `effective` is the first session of the
changed index; symbols are those of that day, separated by semicolons. The table must be complete for each index between
its first and its last line, because a missing change would leave a wrong member. A line without symbols extends it: no
change followed up to its date. The name of a release holds the date of announcement.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date

import polars as pl

from champion.base.counting import quantity
from champion.errors import FormatError
from champion.sources import container
from champion.sources.headers import require_header
from champion.sources.lists.index_list import canonical_index

SOURCE = "index_press_releases"
HEADER = ("index", "effective", "out", "in", "press_release", "remark")
_ROWS = {
    "index_name": pl.String(),
    "effective": pl.Date(),
    "change": pl.String(),
    "symbol": pl.String(),
    "announced": pl.Date(),
    "reference": pl.String(),
}
_RELEASE = re.compile(r"_prs(\d\d)(\d\d)(\d{4})")
_SHOWN = 5


def parse_changes(name: str, content: bytes) -> pl.DataFrame:
    """Return one row per symbol: index_name, effective, change ('in', 'out'), symbol, announced, reference.

    A line without symbols gives one row with change 'none' and no symbol. `announced` is null if the name of the press
    release has no date.

    Raises:
        FormatError: the header is unknown, there are no rows, or a line is no change; the message shows each such line.
    """
    lines = container.rows(name, container.text(name, content))
    require_header(name, [field.strip() for field in lines[0]] if lines else [], list(HEADER))
    found: list[tuple[object, ...]] = []
    bad = []
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        try:
            found += _rows(line)
        except ValueError as error:
            bad.append(f"line {number}: {error}")
    if bad:
        raise FormatError(
            f"{name}: {quantity(len(bad), 'line is no change', 'lines are no changes')}: {'; '.join(bad[:_SHOWN])}. "
            "A line is index,effective,out,in,press_release,remark, as "
            "NIFTY 50,2024-09-30,DIVISLAB;LTIM,BEL;TRENT,ind_prs23082024,"
        )
    if not found:
        raise FormatError(f"{name}: no rows; the table is empty or cut off")
    rows = pl.DataFrame(found, schema=_ROWS, orient="row")
    if repeated := rows.filter(pl.struct("index_name", "effective", "symbol").is_duplicated()).rows():
        raise FormatError(
            f"{name}: {quantity(len(repeated), 'change')} with one index, date and symbol: {repeated[:2]}"
        )
    return rows.sort("index_name", "effective", "change", "symbol")


def _rows(line: list[str]) -> Iterator[tuple[object, ...]]:
    if len(line) != len(HEADER):
        raise ValueError(f"{len(line)} fields, not {len(HEADER)}: {line}")
    index, effective, *sides, release, _ = (field.strip() for field in line)
    day, announced = date.fromisoformat(effective), _announced(release)
    if not index:
        raise ValueError(f"no index: {line}")
    if announced is not None and announced > day:
        raise ValueError(f"{release} was announced after {effective}, on which it took effect")
    sided = zip(("out", "in"), sides, strict=True)
    changes = [(change, symbol.strip()) for change, side in sided for symbol in side.split(";") if symbol.strip()]
    for change, symbol in changes or [("none", "")]:
        yield canonical_index(index), day, change, symbol or None, announced, release or None


def _announced(release: str) -> date | None:
    match = _RELEASE.search(release)
    with suppress(ValueError):  # a name may hold digits that are no date
        return date(int(match[3]), int(match[2]), int(match[1])) if match else None
    return None
