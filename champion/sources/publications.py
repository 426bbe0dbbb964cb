"""What the exchanges publish once a session: where it may lie in the archive, and how its bytes are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial

from champion.sources import full_bhavcopy, indices
from champion.sources.parse import parse, read
from champion.sources.table import Published


@dataclass(frozen=True, slots=True)
class Publication:
    """One file a session. `paths` are the places it may be, the best format first; `read` takes it apart.

    `read` is given a name, the bytes and the session asked for, and raises FormatError where the file as a whole is
    not what it should be. `answers_stale` begins the names of files with which the archive is known to answer a date
    without a session, giving those of the session before: they count as not published. Empty, there are none.
    """

    name: str
    paths: Callable[[date], list[str]]
    read: Callable[[str, bytes, date], Published]
    answers_stale: str = ""
    exchange: str = "NSE"


def bhavcopy_paths(session: date) -> list[str]:
    """Return where a session's bhavcopy may be, the best format first.

    >>> bhavcopy_paths(date(2024, 1, 15))[0]
    'content/cm/BhavCopy_NSE_CM_0_0_0_20240115_F_0000.csv.zip'
    """
    month = session.strftime("%b").upper()
    return [
        f"content/cm/BhavCopy_NSE_CM_0_0_0_{session:%Y%m%d}_F_0000.csv.zip",
        f"content/historical/EQUITIES/{session:%Y}/{month}/cm{session:%d}{month}{session:%Y}bhav.csv.zip",
        *delivery_paths(session),
    ]


def delivery_paths(session: date) -> list[str]:
    """Return where a session's full report is.

    >>> delivery_paths(date(2024, 1, 15))
    ['products/content/sec_bhavdata_full_15012024.csv']
    """
    return [f"products/content/sec_bhavdata_full_{session:%d%m%Y}.csv"]


def index_paths(session: date) -> list[str]:
    """Return where a session's index closes are.

    >>> index_paths(date(2024, 1, 15))
    ['content/indices/ind_close_all_15012024.csv']
    """
    return [f"content/indices/ind_close_all_{session:%d%m%Y}.csv"]


def bse_bhavcopy_paths(session: date) -> list[str]:
    """Return where BSE's bhavcopy of a session is, in BSE's own archive (https://www.bseindia.com).

    >>> bse_bhavcopy_paths(date(2024, 9, 2))
    ['download/BhavCopy/Equity/BhavCopy_BSE_CM_0_0_0_20240902_F_0000.CSV']
    """
    return [f"download/BhavCopy/Equity/BhavCopy_BSE_CM_0_0_0_{session:%Y%m%d}_F_0000.CSV"]


_FULL_REPORT = "sec_bhavdata_full_"  # what the archive answers holidays and Sundays with
BHAVCOPY = Publication("bhavcopy", bhavcopy_paths, partial(parse, exchange="NSE"), answers_stale=_FULL_REPORT)
DELIVERY = Publication(
    "delivery", delivery_paths, partial(read, formats=(full_bhavcopy.FORMAT,)), answers_stale=_FULL_REPORT
)
INDEX_CLOSES = Publication("index closes", index_paths, partial(read, formats=(indices.FORMAT,)))
BSE_BHAVCOPY = Publication("BSE bhavcopy", bse_bhavcopy_paths, partial(parse, exchange="BSE"), exchange="BSE")
