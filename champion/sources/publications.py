"""The bhavcopies that the exchanges publish once per session: their paths in the archive and their parsers."""

from datetime import date
from functools import partial

from champion.sources import full_bhavcopy
from champion.sources.parse import parse, read
from champion.sources.table import Publication


def bhavcopy_paths(session: date) -> list[str]:
    """Return the possible paths of a session's bhavcopy, the best format first.

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
    """Return the path of a session's full report.

    >>> delivery_paths(date(2024, 1, 15))
    ['products/content/sec_bhavdata_full_15012024.csv']
    """
    return [f"products/content/sec_bhavdata_full_{session:%d%m%Y}.csv"]


def bse_bhavcopy_paths(session: date) -> list[str]:
    """Return the path of BSE's bhavcopy of a session, in BSE's own archive (https://www.bseindia.com).

    >>> bse_bhavcopy_paths(date(2024, 9, 2))
    ['download/BhavCopy/Equity/BhavCopy_BSE_CM_0_0_0_20240902_F_0000.CSV']
    """
    return [f"download/BhavCopy/Equity/BhavCopy_BSE_CM_0_0_0_{session:%Y%m%d}_F_0000.CSV"]


_FULL_REPORT = "sec_bhavdata_full_"  # the archive answers holidays and Sundays with an old one
BHAVCOPY = Publication("bhavcopy", bhavcopy_paths, partial(parse, exchange="NSE"), _FULL_REPORT)
DELIVERY = Publication("delivery", delivery_paths, partial(read, formats=(full_bhavcopy.FORMAT,)), _FULL_REPORT)
BSE_BHAVCOPY = Publication("BSE bhavcopy", bse_bhavcopy_paths, partial(parse, exchange="BSE"), exchange="BSE")
