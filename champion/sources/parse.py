"""Parse the bytes of a published file to raw rows; its header decides the format, never its name or date."""

from collections.abc import Sequence
from datetime import date

from champion.base.counting import quantity
from champion.errors import FormatError, WrongSession
from champion.sources import container, full_bhavcopy, legacy, udiff
from champion.sources.headers import difference
from champion.sources.table import Format, Published

BHAVCOPIES = (udiff.FORMAT, legacy.FORMAT, full_bhavcopy.BARS)
_SHOWN = 120


def parse(name: str, content: bytes, session: date, exchange: str | None = None) -> Published:
    """Return the rows of one published bhavcopy, as strings in raw (UDiFF) columns.

    Args:
        name: file name, for messages and to recognise a zip.
        content: the bytes as downloaded.
        session: the requested session.
        exchange: the exchange the rows must have, as NSE; None accepts any one exchange.

    Raises:
        WrongSession: the file has the date of another session; on some holidays the archive serves the previous
            session's file.
        FormatError: unknown header, no rows, bytes that do not match the name, or rows of another exchange.
    """
    published = read(name, content, session, BHAVCOPIES)
    found = published.rows["Src"].drop_nulls().unique().to_list()
    if exchange is not None and found != [exchange]:
        raise FormatError(f"{name}: expected the bhavcopy of {exchange}, found rows of {', '.join(found) or 'none'}")
    return published


def read(name: str, content: bytes, session: date, formats: Sequence[Format]) -> Published:
    """Return the rows of a published file; its header determines which of `formats` applies.

    Raises:
        WrongSession: the file has the date of another session.
        FormatError: unknown header, no dated rows, or bytes that do not match the name.
    """
    lines = container.lines(name, content)
    header = lines[0].rstrip("\r")
    known = next((form for form in formats if header in form.headers), None)
    if known is None:
        known_headers = {form.source: [text.split(",") for text in form.headers] for form in formats}
        raise FormatError(
            f"{name}: unknown header {header[:_SHOWN]!r}; known formats: {', '.join(known_headers)}; "
            f"{difference(header.split(','), known_headers)}. "
            "If the exchange changed its format, add a source for it; nothing was written"
        )
    try:
        published = known.parse(lines, session)
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from error
    dates = published.rows[known.dated].drop_nulls().unique().sort().to_list()
    if not dates:
        raise FormatError(
            f"{name}: no dated rows in {quantity(published.row_count, 'data line')}; the file is empty or cut off"
        )
    if session.isoformat() not in dates:
        raise WrongSession(f"{name}: asked for session {session}, the file is dated {', '.join(dates[:3])}", dates)
    return published
