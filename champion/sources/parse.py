"""Bytes of a bhavcopy to raw rows: the header tells the format, never the name or the date."""

from __future__ import annotations

from datetime import date

import polars as pl

from champion.errors import FormatError, WrongSession
from champion.sources import container, legacy, udiff
from champion.sources.table import Published

_FORMATS = (udiff, legacy)
_SHOWN = 120


def parse(name: str, content: bytes, session: date) -> Published:
    """Return the rows of one published bhavcopy, as strings in raw words.

    Args:
        name: file name, for messages and to tell a zip.
        content: the bytes as downloaded.
        session: the session that was asked for.

    Raises:
        FormatError: unknown header, no rows, not what its name says, or dated another session: the archive
            answers some holidays with the session before.
    """
    lines = pl.Series("row", container.text(name, content).split("\n"), dtype=pl.String)
    header = lines[0].rstrip("\r")
    known = next((form for form in _FORMATS if header in form.HEADERS), None)
    if known is None:
        formats = ", ".join(form.SOURCE for form in _FORMATS)
        raise FormatError(
            f"{name}: unknown header {header[:_SHOWN]!r}; known formats: {formats}. "
            "If the exchange changed its format, add a source for it; nothing was written"
        )
    published: Published = known.parse(lines)
    _check_session(name, published, session)
    return published


def _check_session(name: str, published: Published, session: date) -> None:
    dates = published.rows["TradDt"].drop_nulls().unique().sort().to_list()
    if not dates:
        raise FormatError(f"{name}: no dated rows in {published.row_count} data lines; the file is empty or cut off")
    if session.isoformat() not in dates:
        raise WrongSession(f"{name}: asked for session {session}, the file is dated {', '.join(dates[:3])}")
