"""What the exchange publishes once a session: where it may lie in the archive, and how its bytes are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from champion.sources.parse import parse
from champion.sources.table import Published


@dataclass(frozen=True, slots=True)
class Publication:
    """One file a session. `paths` are the places it may be, the best format first; `read` takes it apart.

    `read` is given a name, the bytes and the session asked for, and raises FormatError where the file as a whole is
    not what it should be. `answers_stale` says that the archive is known to answer a date without a session with the
    session before: such a file counts as not published.
    """

    name: str
    paths: Callable[[date], list[str]]
    read: Callable[[str, bytes, date], Published]
    answers_stale: bool = False


def bhavcopy_paths(session: date) -> list[str]:
    """Return where a session's bhavcopy may be, the best format first.

    >>> bhavcopy_paths(date(2024, 1, 15))[0]
    'content/cm/BhavCopy_NSE_CM_0_0_0_20240115_F_0000.csv.zip'
    """
    month = session.strftime("%b").upper()
    return [
        f"content/cm/BhavCopy_NSE_CM_0_0_0_{session:%Y%m%d}_F_0000.csv.zip",
        f"content/historical/EQUITIES/{session:%Y}/{month}/cm{session:%d}{month}{session:%Y}bhav.csv.zip",
    ]


BHAVCOPY = Publication("bhavcopy", bhavcopy_paths, parse)
