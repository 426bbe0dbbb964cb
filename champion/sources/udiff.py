"""UDiFF common bhavcopy of the cash market (from 2024-01-01), in the headers NSE and BSE have used.

BSE's file has NSE's 34 columns; its series are BSE's groups (A, B, T, X, ...), and its `Src` says BSE.
"""

from dataclasses import replace
from datetime import date

import polars as pl

from champion.errors import FormatError
from champion.sources import table
from champion.sources.table import Format, Published

SOURCE = "nse_cm_udiff"
_SOURCES = {"NSE": SOURCE, "BSE": "bse_cm_udiff"}
_COLUMNS = (
    "TradDt,BizDt,Sgmt,Src,FinInstrmTp,FinInstrmId,ISIN,TckrSymb,SctySrs,XpryDt,FininstrmActlXpryDt,StrkPric,OptnTp,"
    "FinInstrmNm,OpnPric,HghPric,LwPric,ClsPric,LastPric,PrvsClsgPric,UndrlygPric,SttlmPric,OpnIntrst,ChngInOpnIntrst,"
    "TtlTradgVol,TtlTrfVal,TtlNbOfTxsExctd,SsnId,NewBrdLotQty,Rmks"
).split(",")
_RESERVED = ["Rsvd1", "Rsvd2", "Rsvd3", "Rsvd4"]
HEADERS = (
    # NSE to 2024-06-20: a trailing comma, so one more header field than data fields.
    ",".join([*_COLUMNS, "Rsvd01", "Rsvd02", "Rsvd03", "Rsvd04", ""]),
    ",".join([*_COLUMNS, *_RESERVED]),
)


def parse(lines: pl.Series, _session: date | None = None) -> Published:
    """Return the file in raw columns; both headers describe the same 34 fields per line.

    Raises:
        FormatError: the rows are of an unknown exchange, or of several.
    """
    columns = [*_COLUMNS, *_RESERVED]
    found = table.read(SOURCE, lines, columns, len(columns))
    exchanges = found.rows["Src"].drop_nulls().unique().sort().to_list()
    if len(exchanges) > 1 or not set(exchanges) <= _SOURCES.keys():
        raise FormatError(f"rows of exchange {', '.join(exchanges[:5])}; expected one of {', '.join(_SOURCES)} in Src")
    return replace(found, source=_SOURCES[exchanges[0]]) if exchanges else found


FORMAT = Format(SOURCE, HEADERS, "TradDt", parse)
