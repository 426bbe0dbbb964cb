"""UDiFF common bhavcopy of the cash market (from 2024-01-01), in both headers the exchange has used."""

from __future__ import annotations

import polars as pl

from champion.sources import table
from champion.sources.table import Published

SOURCE = "nse_cm_udiff"
_COLUMNS = (
    "TradDt,BizDt,Sgmt,Src,FinInstrmTp,FinInstrmId,ISIN,TckrSymb,SctySrs,XpryDt,FininstrmActlXpryDt,StrkPric,OptnTp,"
    "FinInstrmNm,OpnPric,HghPric,LwPric,ClsPric,LastPric,PrvsClsgPric,UndrlygPric,SttlmPric,OpnIntrst,ChngInOpnIntrst,"
    "TtlTradgVol,TtlTrfVal,TtlNbOfTxsExctd,SsnId,NewBrdLotQty,Rmks"
).split(",")
_RESERVED = ["Rsvd1", "Rsvd2", "Rsvd3", "Rsvd4"]
HEADERS = (
    # To 2024-06-20: a trailing comma, so one more header field than data fields.
    ",".join([*_COLUMNS, "Rsvd01", "Rsvd02", "Rsvd03", "Rsvd04", ""]),
    ",".join([*_COLUMNS, *_RESERVED]),
)


def parse(lines: pl.Series) -> Published:
    """Return the file in raw words; both headers hold the same 34 fields a line."""
    columns = [*_COLUMNS, *_RESERVED]
    found = table.read(lines, columns, len(columns))
    return Published(SOURCE, found.rows, found.rejected, lines)
