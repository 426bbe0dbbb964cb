"""The full bhavcopy, `sec_bhavdata_full`: bars without ISIN, and how much of the volume was delivered.

Every comma is followed by a space, in the header too. Delivery is `-` in series that are not deliverable, a blank last
price means none, and turnover is in lakhs with two decimals, so it is rounded to 1,000 rupees.
"""

from dataclasses import replace
from datetime import date

import polars as pl

from champion.sources import table
from champion.sources.table import Format, Published

SOURCE = "nse_cm_full"
_LAKH = 5  # 1 lakh = 100,000 rupees
_COLUMNS = (
    "SYMBOL, SERIES, DATE1, PREV_CLOSE, OPEN_PRICE, HIGH_PRICE, LOW_PRICE, LAST_PRICE, CLOSE_PRICE, AVG_PRICE, "
    "TTL_TRD_QNTY, TURNOVER_LACS, NO_OF_TRADES, DELIV_QTY, DELIV_PER"
).split(", ")
HEADERS = (", ".join(_COLUMNS),)
_RAW_NAMES = {
    "SYMBOL": "TckrSymb",
    "SERIES": "SctySrs",
    "DATE1": "TradDt",
    "PREV_CLOSE": "PrvsClsgPric",
    "OPEN_PRICE": "OpnPric",
    "HIGH_PRICE": "HghPric",
    "LOW_PRICE": "LwPric",
    "LAST_PRICE": "LastPric",
    "CLOSE_PRICE": "ClsPric",
    "TTL_TRD_QNTY": "TtlTradgVol",
    "TURNOVER_LACS": "TtlTrfVal",
    "NO_OF_TRADES": "TtlNbOfTxsExctd",
}


def parse(lines: pl.Series, _session: date | None = None) -> Published:
    """Return the report in its own 15 columns, delivery null where it is `-`."""
    found = table.read(SOURCE, lines, _COLUMNS, len(_COLUMNS))
    rows = found.rows.with_columns(
        table.iso_date(pl.col("DATE1")),
        *(pl.when(pl.col(name) != "-").then(name) for name in ("DELIV_QTY", "DELIV_PER")),
    )
    return replace(found, rows=rows)


def parse_bars(lines: pl.Series, session: date | None = None) -> Published:
    """Return the report as a bhavcopy in raw (UDiFF) columns, turnover in rupees, without delivery and ISIN."""
    found = parse(lines, session)
    rows = found.rows.select(
        "row_number",
        *(pl.col(name).alias(raw) for name, raw in _RAW_NAMES.items()),
        Sgmt=pl.lit("CM"),
        Src=pl.lit("NSE"),
    )
    return replace(found, rows=rows.with_columns(table.times_power_of_ten(pl.col("TtlTrfVal"), _LAKH)))


FORMAT = Format(SOURCE, HEADERS, "DATE1", parse)
BARS = Format(SOURCE, HEADERS, "TradDt", parse_bars)
