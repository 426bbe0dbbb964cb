"""Parse the price bands of all securities, `sec_list_DDMMYYYY.csv`.

The list dated D is published after the close of D and applies to the next session. It has no date inside: its name is
the only one. `No Band` are securities with derivatives: their band is dynamic. Remarks have the stage of graded
surveillance (GSM), or `-`; one has a trailing tab.
"""

from dataclasses import replace
from datetime import date

import polars as pl

from champion.errors import FormatError
from champion.sources import container
from champion.sources.headers import require_header
from champion.sources.lists import quoted_fields
from champion.sources.table import Published

SOURCE = "nse_price_bands"
HEADER = "Symbol,Series,Security Name,Band,Remarks"
COLUMNS = ("Symbol", "Series", "Security_Name", "Band", "Remarks")
NO_BAND = "No Band"
_PATTERNS = {
    "Symbol": (r"[A-Z0-9&*_-]+", "a symbol"),
    "Series": (r"[A-Z0-9]{1,2}", "a series of one or two characters"),
    "Band": (r"2|5|10|20|40|No Band", "2, 5, 10, 20, 40 or No Band"),
}


def read(name: str, content: bytes, session: date) -> Published:
    """Return the list published after the close of `session`, in raw columns with `List_Date`.

    A line with an unknown band or a damaged series is rejected.

    Raises:
        FormatError: the bytes are not CSV, the header is unknown, there are no rows, or the file is truncated.
    """
    lines = container.lines(name, content)
    require_header(name, [field.strip() for field in lines[0].split(",")], HEADER.split(","))
    found = quoted_fields.read(SOURCE, name, lines, COLUMNS, _PATTERNS)
    if not found.rows.height:
        raise FormatError(f"{name}: no rows of a band; the list is empty or damaged; fetch it again")
    remarks = pl.when(pl.col("Remarks") != "-").then("Remarks")
    return replace(found, rows=found.rows.with_columns(remarks, List_Date=pl.lit(session.isoformat())))
