"""The bhavcopy before UDiFF: 11 columns to 2011-06-21, 13 after, with and without a trailing comma."""

from dataclasses import replace
from datetime import date

import polars as pl

from champion.sources import table
from champion.sources.table import Format, Published

SOURCE = "nse_cm_legacy"
_RAW_NAMES = {
    "SYMBOL": "TckrSymb",
    "SERIES": "SctySrs",
    "OPEN": "OpnPric",
    "HIGH": "HghPric",
    "LOW": "LwPric",
    "CLOSE": "ClsPric",
    "LAST": "LastPric",
    "PREVCLOSE": "PrvsClsgPric",
    "TOTTRDQTY": "TtlTradgVol",
    "TOTTRDVAL": "TtlTrfVal",
    "TIMESTAMP": "TradDt",
    "TOTALTRADES": "TtlNbOfTxsExctd",
    "ISIN": "ISIN",
}
_LONG = ",".join(_RAW_NAMES)
_SHORT = ",".join(list(_RAW_NAMES)[:11])
HEADERS = (f"{_LONG},", _LONG, f"{_SHORT},", _SHORT)


def parse(lines: pl.Series, _session: date | None = None) -> Published:
    """Return the file in raw (UDiFF) columns; a column that the old format lacks is null.

    Its dates are written 04-JUN-2021 (13-Jul-20 on one day), and a missing last price as 0 or 0.0.
    """
    header = lines[0].rstrip("\r")
    names = [_RAW_NAMES[name] for name in header.rstrip(",").split(",")]
    found = table.read(SOURCE, lines, names, header.count(",") + 1)
    rows = found.rows.with_columns(
        table.iso_date(pl.col("TradDt")),
        pl.when(~pl.col("LastPric").str.contains(r"^0(\.0+)?$")).then("LastPric"),
        Sgmt=pl.lit("CM"),
        Src=pl.lit("NSE"),
    )
    return replace(found, rows=rows)


FORMAT = Format(SOURCE, HEADERS, "TradDt", parse)
