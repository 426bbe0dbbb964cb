"""Parse the list of securities in the F&O ban period, `fo_secban_DDMMYYYY.csv`.

The list names its trade date, and is published the evening before. An empty list is stated (`NIL`). A missing file does
not mean that nothing is banned. Only the spellings are known, from public test suites:

- a title `Securities in Ban For Trade Date 15-JUL-2019: `, then lines `1,DHFL`;
- in 2015 a title that ends in `:,`;
- `28-JUL-2026: NIL`, `:NIL`, `:NIL,`, and the month in full, `28-July-2026`;
- in April 2026 all on one line: `27-APR-2026: 1,SAIL,2,IDEA.`

Entries on one line are read as one line each, so that rows and quarantine account for each of them.
"""

import re
from datetime import date, datetime

import polars as pl

from champion.errors import FormatError, WrongSession
from champion.sources import container
from champion.sources.table import Published

SOURCE = "nse_fo_ban"
_TITLE = re.compile(r"Securities in Ban For Trade Date\s+(\d{1,2}-([A-Za-z]{3,9})-\d{4})\s*:\s*(.*)", re.IGNORECASE)
_SYMBOL = re.compile(r"[A-Z0-9&-]+")
_SHORT_MONTH = 3
_COLUMNS = {"row_number": pl.Int64(), "Serial": pl.String(), "Symbol": pl.String()}
_REJECTED = {"row_number": pl.Int64(), "reasons": pl.List(pl.String()), "row": pl.String()}


def read(name: str, content: bytes, session: date) -> Published:
    """Return the banned securities of a trade date in columns Serial, Symbol and Trade_Date; none for a list of `NIL`.

    Raises:
        WrongSession: the list is of another trade date.
        FormatError: it is not a ban list, it has neither rows nor `NIL`, or its serial numbers are not 1 to n, so that
            lines are missing.
    """
    lines = container.lines(name, content)
    match = _TITLE.fullmatch(lines[0].strip())
    if match is None:
        raise FormatError(f"{name}: expected 'Securities in Ban For Trade Date ...', found {lines[0][:80]!r}")
    found = _date(name, match)
    if found != session:
        raise WrongSession(f"{name}: asked for trade date {session}, the list is of {found}", [found.isoformat()])
    rest = match[3].strip().rstrip(",").strip()
    numbered = [(number, line.strip()) for number, line in enumerate(lines[1:], start=2) if line.strip()]
    if rest.upper() == "NIL":
        if numbered:
            raise FormatError(f"{name}: the title says NIL, but lines follow: {numbered[:3]}")
        entries = []
    elif rest:
        split = _one_line(name, rest, numbered)
        lines = pl.Series([lines[0], *split, ""])
        entries = _in_lines(name, list(enumerate(split, start=2)), lines.len())
    else:
        entries = _in_lines(name, numbered, lines.len())
    rows = pl.DataFrame(entries, schema=_COLUMNS, orient="row").with_columns(Trade_Date=pl.lit(session.isoformat()))
    return Published(SOURCE, rows, pl.DataFrame(schema=_REJECTED), lines)


def _date(name: str, match: re.Match[str]) -> date:
    form = "%d-%b-%Y" if len(match[2]) == _SHORT_MONTH else "%d-%B-%Y"
    try:
        return datetime.strptime(match[1], form).date()  # noqa: DTZ007 - a date has no time zone
    except ValueError as error:
        raise FormatError(f"{name}: {match[1]!r} is not a date") from error


def _one_line(name: str, rest: str, more: list[tuple[int, str]]) -> list[str]:
    """Return the entries of a list on one line as one line each."""
    fields = rest.removesuffix(".").split(",")
    if more or not rest.endswith(".") or len(fields) % 2:
        raise FormatError(f"{name}: expected '1,SYMBOL,2,SYMBOL.' after the date, found {rest[:80]!r}; it was cut off")
    return [f"{serial},{symbol}" for serial, symbol in zip(fields[::2], fields[1::2], strict=True)]


def _in_lines(name: str, numbered: list[tuple[int, str]], lines: int) -> list[tuple[int, str, str]]:
    if not numbered:
        raise FormatError(f"{name}: neither securities nor NIL; a list that bans nothing says NIL; fetch it again")
    if numbered[-1][0] == lines:
        raise FormatError(f"{name}: the file ends within line {lines}: it was cut off; fetch it again")
    entries = []
    for number, line in numbered:
        serial, comma, symbol = line.rstrip(",").partition(",")
        if not comma:
            raise FormatError(f"{name}: line {number} is not a number and a symbol: {line[:80]!r}")
        entries.append((number, serial, symbol))
    return _numbered(name, entries)


def _numbered(name: str, entries: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """Return the entries without spaces; their serial numbers must be 1 to n, and their symbols different."""
    found = [(number, serial.strip(), symbol.strip()) for number, serial, symbol in entries]
    if [serial for _, serial, _ in found] != [str(place) for place in range(1, len(found) + 1)]:
        serials = ", ".join(serial for _, serial, _ in found)
        raise FormatError(f"{name}: serial numbers {serials}; expected 1 to n: a gap means that lines are missing")
    symbols = [symbol for _, _, symbol in found]
    if len(set(symbols)) != len(symbols) or not all(map(_SYMBOL.fullmatch, symbols)):
        raise FormatError(f"{name}: expected different symbols, found {', '.join(symbols)[:80]}")
    return found
