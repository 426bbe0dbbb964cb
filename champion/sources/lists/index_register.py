"""Parse the index provider's register of inclusions and exclusions, `IndexInclExcl.xlsx`: a sheet per index.

Dates are text (DD-MM-YYYY) in some rows and serial numbers in others, even in one sheet. Rows name companies, not
symbols, and some are repeated.
"""

from datetime import date, datetime

import polars as pl

from champion.base.counting import quantity
from champion.errors import FormatError
from champion.sources.headers import require_header
from champion.sources.lists.index_list import canonical_index
from champion.sources.lists.workbook import Row, read_rows, serial_date

SOURCE = "nse_index_register"
HEADER = ("Index Name", "Event Date", "Scrip Name", "Description")
_COLUMNS = ("A", "B", "C", "D")
_ROWS = {"index_name": pl.String(), "effective": pl.Date(), "company": pl.String(), "is_inclusion": pl.Boolean()}
_INCLUDES = {"inclusion into index": True, "inclusion in index": True, "exclusion from index": False}
_SHOWN = 5


def parse_register(name: str, content: bytes) -> pl.DataFrame:
    """Return the register's changes: index_name, effective, company, is_inclusion; by index and date, without repeats.

    `effective` is the first session of the changed index.

    Raises:
        FormatError: the bytes are no workbook, a sheet has another header, or a row has no index, date or company, or
            an unknown description.
    """
    found, bad, sheets = [], [], set[str]()
    for row in read_rows(name, content):
        if row.sheet not in sheets:
            header = [row.cells.get(column, "").strip() for column in _COLUMNS]
            require_header(f"{name}, sheet {row.sheet}", header, list(HEADER))
            sheets.add(row.sheet)
        elif (change := _change(row)) is not None:
            found.append(change)
        else:
            bad.append(f"{row.sheet} row {row.number}: {list(row.cells.values())}")
    if bad:
        raise FormatError(
            f"{name}: {quantity(len(bad), 'row is', 'rows are')} no inclusion or exclusion with a date: "
            f"{'; '.join(bad[:_SHOWN])}"
        )
    if not found:
        raise FormatError(f"{name}: no rows; the register is empty or cut off")
    return pl.DataFrame(found, schema=_ROWS, orient="row").unique().sort(list(_ROWS))


def _change(row: Row) -> tuple[str, date, str, bool] | None:
    index, day, company, text = (" ".join(row.cells.get(column, "").split()) for column in _COLUMNS)
    effective, is_inclusion = serial_date(day) or _written(day), _INCLUDES.get(text.lower())
    if not (index and company) or effective is None or is_inclusion is None:
        return None
    return canonical_index(index), effective, company, is_inclusion


def _written(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%d-%m-%Y").date()  # noqa: DTZ007 - a date has no time zone
    except ValueError:
        return None
