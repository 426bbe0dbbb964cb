"""Index closes: three spellings of a date, dashes for nulls, crores, and names that changed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from champion.errors import FormatError, WrongSession
from champion.market.index_bars import RENAMED
from champion.pipeline.ingest.datasets import dataset_spec
from champion.pipeline.ingest.parse_file import ParsedFile, parse_file
from champion.sources import indices
from champion.sources.download.staging_records import Staged
from champion.sources.indices import INDEX_CLOSES

SESSION = date(2024, 1, 15)
NIFTY = "Nifty 50,15-01-2024,22053.15,22115.55,21963.55,22097.45,202.9,.93,289183513,26821.07,23.29,3.93,1.25"
ONCE = "Nifty50 Dividend Points,15-01-2024,-,-,-,145.03,0,-,-,-,-,-,-"


def report(*rows: str) -> bytes:
    return "\n".join([*indices.HEADERS, *rows, ""]).encode()


def taken_apart(content: bytes, session: date = SESSION) -> ParsedFile:
    origin = Staged(Path(), session, "0" * 64, datetime(2024, 1, 16, tzinfo=UTC), "ind_close_all.csv")
    return parse_file(content, origin, dataset_spec(INDEX_CLOSES))


def test_levels_in_points_and_turnover_in_rupees() -> None:
    found = taken_apart(report(NIFTY, ONCE))
    assert (found.row_count, found.raw.height, found.quarantine.height) == (2, 2, 0)
    raw = found.raw.sort("Index_Name").row(0, named=True)
    assert (raw["Index_Name"], raw["Turnover_Rs_Cr"], raw["Change_Percent"]) == ("Nifty 50", 26821.07, 0.93)
    nifty, once = found.normalized.sort("index_id").rows(named=True)
    assert (nifty["index_id"], nifty["index_name"], nifty["trade_date"]) == ("NSE:NIFTY 50", "Nifty 50", SESSION)
    assert [nifty[name] for name in ("open", "high", "low", "close")] == [22053.15, 22115.55, 21963.55, 22097.45]
    assert (nifty["volume"], nifty["turnover"], nifty["points_change"]) == (289183513, 268210700000.0, 202.9)
    assert (nifty["price_earnings"], nifty["price_book"], nifty["dividend_yield"]) == (23.29, 3.93, 1.25)
    empty = ("open", "high", "low", "volume", "turnover", "price_earnings", "price_book", "dividend_yield")
    assert [once[name] for name in empty] == [None] * len(empty)
    assert (once["close"], once["points_change"]) == (145.03, 0.0)


def test_dividend_points_start_a_fiscal_year_at_zero() -> None:
    found = taken_apart(report(NIFTY, ONCE.replace("145.03", "0")))
    assert found.normalized["close"].to_list() == [22097.45, 0.0]


@pytest.mark.parametrize(
    ("session", "text"),
    [
        (date(2024, 1, 15), "15-01-2024"),
        (date(2014, 8, 1), "01/08/2014"),
        (date(2014, 8, 13), "13/08/2014"),
        (date(2023, 4, 6), "04-06-2023"),
        (date(2023, 4, 10), "04-10-2023"),
        (date(2023, 4, 11), "04-11-2023"),
        (date(2023, 4, 6), "06-04-2023"),
        (date(2024, 5, 5), "05-05-2024"),
    ],
)
def test_the_requested_session_decides_the_order_of_day_and_month(session: date, text: str) -> None:
    found = taken_apart(report(NIFTY.replace("15-01-2024", text)), session)
    assert found.normalized["trade_date"].to_list() == [session]


@pytest.mark.parametrize(
    ("session", "text", "message"),
    [
        (date(2024, 1, 16), "15-01-2024", "asked for session 2024-01-16, the file is dated 2024-01-15"),
        (date(2023, 4, 10), "04-06-2023", "the file is dated 2023-06-04"),  # neither reading is the session: day first
        (date(2024, 1, 15), "01-15-24", "the file is dated 01-15-24"),
    ],
)
def test_a_date_is_never_guessed(session: date, text: str, message: str) -> None:
    with pytest.raises(WrongSession, match=message):
        taken_apart(report(NIFTY.replace("15-01-2024", text)), session)


def test_a_row_of_another_session_is_refused() -> None:
    found = taken_apart(report(NIFTY, ONCE.replace("15-01", "12-01")))
    assert found.quarantine["reasons"].to_list() == [["Index_Date: asked for 2024-01-15, found 2024-01-12"]]
    assert found.normalized["index_name"].to_list() == ["Nifty 50"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (NIFTY.replace("22097.45", "-"), "close is null"),
        (NIFTY.replace("22115.55,21963.55", "21963.55,22115.55"), "low_le_high"),
        (NIFTY.replace("289183513", "289183513.5"), "Volume: '289183513.5' is not a whole number"),
        (NIFTY.replace("22053.15", "22,053.15"), "fields: expected 13, found 14"),
        (NIFTY.replace("22053.15", "n.a."), "Open_Index_Value: 'n.a.' is not a number"),
    ],
)
def test_an_invalid_row_is_refused_with_its_reason(row: str, reason: str) -> None:
    found = taken_apart(report(ONCE, row))
    assert (found.row_count, found.normalized.height) == (2, 1)
    assert found.quarantine.select("row", "reasons").rows() == [(row, [reason])]


def test_an_invalid_index_report_is_refused_whole() -> None:
    with pytest.raises(FormatError, match="unknown header"):
        taken_apart(report(NIFTY).replace(b"P/E,", b""))
    with pytest.raises(FormatError, match="ends within line 3"):
        taken_apart(report(ONCE, NIFTY)[:-2])
    with pytest.raises(FormatError, match="an HTML page"):
        taken_apart(b"<html>Resource not found</html>")


def test_a_renamed_index_has_one_current_name() -> None:
    assert not set(RENAMED) & set(RENAMED.values()), "no chain: an earlier name leads straight to today's"
    assert all(name == name.upper() for names in RENAMED.items() for name in names)


def test_the_real_report_of_2012(nse: Path) -> None:
    session = date(2012, 10, 1)
    found = taken_apart((nse / "content/indices/ind_close_all_01102012.csv").read_bytes(), session)
    assert (found.row_count, found.normalized.height, found.quarantine.height) == (30, 30, 0)
    assert found.normalized["index_id"].is_unique().all()
    nifty = found.normalized.filter(pl.col("index_id") == "NSE:NIFTY 50").row(0, named=True)
    assert (nifty["index_name"], nifty["close"], nifty["turnover"]) == ("S&P CNX Nifty", 5718.8, 47981700000.0)
    assert found.normalized["open"].null_count() == 4
