"""Price bands, lots, ban lists, market activity and index histories: each trap of the real files, and refusals.

The spellings are those of real files; the numbers of the tests with `nse_products` were counted by another program.
"""

from __future__ import annotations

import re
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from champion.errors import FormatError, WrongSession
from champion.pipeline.ingest.datasets import dataset_spec
from champion.pipeline.ingest.parse_file import parse_file
from champion.sources.download.staging_records import Staged
from champion.sources.lists import ban_list, daily, fo_lots, index_history, market_activity, price_bands

SESSION = date(2024, 5, 6)
BANDS = price_bands.HEADER
TITLE = "Securities in Ban For Trade Date 06-MAY-2024:"


def lines(*rows: str, end: str = "\n") -> bytes:
    return (end.join(rows) + end).encode()


def bands(*rows: str) -> bytes:
    return lines(BANDS, *rows)


def test_price_band_rows_and_remarks() -> None:
    content = bands(
        'BOSCHLTD,EQ,BOSCH LIMITED,No Band,"-\t"',
        'AKI,BE,AKI INDIA LIMITED,2,"GSM STAGE - II"',
        'M&MFIN,EQ,"MAHINDRA, MAHINDRA FIN",40,"-"',
    )
    found = price_bands.read("sec_list_06052024.csv", content, SESSION)
    assert found.rows.drop("row_number").rows() == [
        ("BOSCHLTD", "EQ", "BOSCH LIMITED", "No Band", None, "2024-05-06"),
        ("AKI", "BE", "AKI INDIA LIMITED", "2", "GSM STAGE - II", "2024-05-06"),
        ("M&MFIN", "EQ", "MAHINDRA, MAHINDRA FIN", "40", None, "2024-05-06"),
    ]
    assert found.row_count == 3


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('A,EQ,A LIMITED,15,"-"', "Band: expected 2, 5, 10, 20, 40 or No Band, found '15'"),
        ('A,EQ,A LIMITED,,"-"', "Band: expected 2, 5, 10, 20, 40 or No Band, found ''"),
        ('21STCENMGM,"21STCENMGM,",21ST CENTURY,2,"-"', "Series: expected a series of one or two characters"),
        ('A,EQ,A, LIMITED,5,"-"', "fields: expected 5, found 6"),
        ('A,EQ,A LIMITED,5,"-', "fields: expected 5, found no CSV"),
    ],
)
def test_damaged_price_band_row_is_rejected_with_its_line(row: str, reason: str) -> None:
    found = price_bands.read("sec_list.csv", bands('B,EQ,B LIMITED,5,"-"', row), SESSION)
    assert found.rows["Symbol"].to_list() == ["B"]
    assert found.rejected.select("row_number", "row").rows() == [(3, row)]
    assert reason in found.rejected["reasons"].item()[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bands('A,EQ,A LIMITED,5,"-"')[:-3], "cut off"),
        (bands("A,EQ,A LIMITED,5,-")[:-1], "cut off"),
        (bands(), "no rows"),
        (lines("Symbol,Series,Name,Band,Remarks", "A,EQ,A,5,-"), "missing columns 'Security Name'"),
        (b"<!DOCTYPE html>", "found an HTML page"),
        (b"PK\x03\x04 [Content_Types].xml", "found an Excel workbook"),
    ],
)
def test_price_band_file_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        price_bands.read("sec_list.csv", content, SESSION)


def test_last_price_band_line_without_line_end_is_complete_if_quoted() -> None:
    assert price_bands.read("sec_list.csv", bands('A,EQ,A LIMITED,5,"-"')[:-1], SESSION).rows.height == 1


def test_real_price_bands(nse_products: Path) -> None:
    folder = nse_products / "content/equities"
    dated = sorted(folder.glob("sec_list_[0-9]*.csv"))
    assert len(dated) == 13
    for path in dated:
        session = datetime.strptime(path.stem[-8:], "%d%m%Y").date()  # noqa: DTZ007
        found = price_bands.read(path.name, path.read_bytes(), session)
        assert (found.rows.height, found.rejected.height) == (len(path.read_text().splitlines()) - 1, 0)
    february = price_bands.read("f", (folder / "sec_list_24022025.csv").read_bytes(), date(2025, 2, 24)).rows
    counts = {"2": 67, "5": 546, "10": 147, "20": 1800, "40": 1, "No Band": 228}
    assert dict(february["Band"].value_counts().iter_rows()) == counts
    damaged = (folder / "sec_list_committed_20240506.csv").read_bytes()  # re-saved: BE became the symbol and a comma
    with pytest.raises(FormatError, match="ends within line 2511"):
        price_bands.read("sec_list.csv", damaged, SESSION)


FIRST = "UNDERLYING          ,SYMBOL    ,JUL-20     ,AUG-20     ,DEC-20     ,           "
SECOND = "Derivatives on Individual Securities,Symbol    ,JUL-20     ,AUG-20     ,           ,           "
NIFTY = "NIFTY 50            ,NIFTY     ,75         ,75         ,75         ,           "
BANK = "NIFTY BANK          ,BANKNIFTY ,25         ,15         ,           ,           "
PVR = "PVR LIMITED         ,PVR       ,407        ,407        ,           ,           "


def test_lots_by_month_and_kind() -> None:
    found = fo_lots.parse("fo_mktlots.csv", lines(FIRST, NIFTY, BANK, SECOND, PVR))
    july, august, december = (date(2020, month, 1) for month in (7, 8, 12))
    assert found.rows() == [
        ("NIFTY 50", "NIFTY", "index", july, 75),
        ("NIFTY 50", "NIFTY", "index", august, 75),
        ("NIFTY 50", "NIFTY", "index", december, 75),
        ("NIFTY BANK", "BANKNIFTY", "index", july, 25),
        ("NIFTY BANK", "BANKNIFTY", "index", august, 15),
        ("PVR LIMITED", "PVR", "security", july, 407),
        ("PVR LIMITED", "PVR", "security", august, 407),
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((FIRST, NIFTY), "cut off before the shares"),
        ((FIRST, NIFTY, SECOND.replace("AUG", "SEP"), PVR), "the months of line 3 differ"),
        ((FIRST, NIFTY, SECOND, PVR, PVR), "line 5"),
        ((FIRST, NIFTY, SECOND, PVR.replace("407", "4.7")), "line 4"),
        ((FIRST, NIFTY, SECOND, PVR.replace("407", "  0")), "line 4"),
        ((FIRST, NIFTY, SECOND, PVR[:-1] + "9"), "line 4"),
        ((FIRST, NIFTY, SECOND, PVR + ",1"), "line 4"),
        ((FIRST.replace("AUG", "JUL"), NIFTY, SECOND, PVR), "different months"),
        ((FIRST.replace("AUG-20", "August"), NIFTY, SECOND, PVR), "not written JUL-20"),
        (("SYMBOL,UNDERLYING", NIFTY), "expected a header"),
    ],
)
def test_lots_are_refused(rows: tuple[str, ...], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        fo_lots.parse("fo_mktlots.csv", lines(*rows))


def test_cut_lots_are_refused() -> None:
    with pytest.raises(FormatError, match="cut off"):
        fo_lots.parse("fo_mktlots.csv", lines(FIRST, NIFTY, SECOND, PVR)[:-1])


def test_real_lots(nse_products: Path) -> None:
    paths = sorted((nse_products / "content/fo/mktlots_snapshots").glob("*/fo_mktlots.csv"))
    assert len(paths) == 14
    found = {path.parent.name[:10]: fo_lots.parse(path.name, path.read_bytes()) for path in paths}

    def lots(day: str, symbol: str) -> list[int]:
        return found[day].filter(symbol=symbol)["lot_size"].to_list()

    # facts/fo_index_lots_expiries.csv
    assert set(lots("2020-08-07", "NIFTY")) == {75}
    assert set(lots("2021-07-05", "NIFTY")) == {50}
    assert lots("2023-07-04", "BANKNIFTY") == [25, 15, 15, 15, 15, 15]
    assert (lots("2020-08-07", "RELIANCE")[0], lots("2021-01-03", "RELIANCE")) == (505, [505, 505, 250])


SPELLINGS = [
    (("Securities in Ban For Trade Date 06-MAY-2024: ", "1,DHFL", "2,M&MFIN", "3,BAJAJ-AUTO"), 3),
    (("Securities in Ban For Trade Date 06-MAY-2024:,", "1,DHFL"), 1),
    (("Securities in Ban For Trade Date 06-MAY-2024: NIL",), 0),
    (("Securities in Ban For Trade Date 06-MAY-2024:NIL",), 0),
    (("Securities in Ban For Trade Date 06-MAY-2024:NIL,",), 0),
    (("Securities in Ban For Trade Date 6-May-2024: NIL",), 0),
    (("Securities in Ban For Trade Date 06-MAY-2024: 1,SAIL,2,IDEA.",), 2),
    (("Securities in Ban For Trade Date 06-MAY-2024: 1,SAIL.",), 1),
]


@pytest.mark.parametrize(("rows", "count"), SPELLINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_ban_list_spellings(rows: tuple[str, ...], count: int, end: str) -> None:
    found = ban_list.read("fo_secban_06052024.csv", lines(*rows, end=end), SESSION)
    assert (found.rows.height, found.rejected.height) == (count, 0)
    assert found.rows["Serial"].to_list() == [str(place) for place in range(1, count + 1)]
    assert found.rows["Trade_Date"].to_list() == ["2024-05-06"] * count
    # Each entry is a row of the lake: the import would refuse a list whose lines it cannot account for.
    origin = Staged(Path(), SESSION, "0" * 64, datetime(2024, 5, 5, 13, tzinfo=UTC), "fo_secban_06052024.csv")
    read = parse_file(lines(*rows, end=end), origin, dataset_spec(daily.BAN_LIST))
    assert (read.normalized.height, read.quarantine.height) == (count, 0)


def test_ban_list_with_the_month_in_full() -> None:
    content = lines("Securities in Ban For Trade Date 28-July-2026: NIL")
    assert ban_list.read("f.csv", content, date(2026, 7, 28)).rows.height == 0


def test_ban_list_of_another_date_is_refused() -> None:
    with pytest.raises(WrongSession, match="is of 2024-05-07"):
        ban_list.read("f.csv", lines(TITLE.replace("06", "07") + " NIL"), SESSION)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((TITLE,), "neither securities nor NIL"),
        ((TITLE + ",",), "neither securities nor NIL"),
        ((TITLE, "1,DHFL", "3,SAIL"), "a gap means that lines are missing"),
        ((TITLE, "2,DHFL"), "a gap means"),
        ((TITLE + " NIL", "1,DHFL"), "says NIL, but lines follow"),
        ((TITLE + " 1,SAIL,2,ID",), "it was cut off"),
        ((TITLE + " 1,SAIL,2.",), "it was cut off"),
        ((TITLE, "1,DHFL", "2,DHFL"), "different symbols"),
        ((TITLE, "1,<b>"), "different symbols"),
        ((TITLE, "DHFL"), "not a number and a symbol"),
        (("Securities in Ban For Trade Date 31-FEB-2024: NIL",), "not a date"),
        (("SYMBOL,DATE",), "expected 'Securities in Ban"),
    ],
)
def test_ban_list_is_refused(rows: tuple[str, ...], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        ban_list.read("fo_secban_06052024.csv", lines(*rows), SESSION)


def test_every_cut_of_a_ban_list_is_refused_or_names_whole_symbols() -> None:
    whole = lines(TITLE, "1,DHFL", "2,SAIL")
    for length in range(len(whole)):
        try:
            found = ban_list.read("f.csv", whole[:length], SESSION)
        except FormatError:
            continue
        assert set(found.rows["Symbol"]) <= {"DHFL", "SAIL"}


REPORT = (
    ",06-May-2024",
    "The Nifty witnessed an intraday movement of about 178.5 points.",
    "",
    ", Traded Value (Rs. In Crores), 80447.49",
    "",
    market_activity.HEADER,
    ",Nifty 50,     21622.40,     21706.15,     21720.30,     21541.80,     21571.80,-50.6",
    ",Nifty Infra,      7665.90,      7699.25,      7712.35,      7656.25,      7666.85,.95",
    ",India VIX,13.8775,13.8775,14.2475,13.0975,13.8025,-0.0750",
    "",
    ",ADVANCES,1252",
    "",
    ",Total securities that have hit their price bands today,213",
)


def test_market_activity_has_the_index_table_only() -> None:
    found = market_activity.read("MA060524.csv", lines(*REPORT), SESSION)
    assert found.rows.rows() == [
        (7, "Nifty 50", "21622.40", "21706.15", "21720.30", "21541.80", "21571.80", "-50.6", "2024-05-06"),
        (8, "Nifty Infra", "7665.90", "7699.25", "7712.35", "7656.25", "7666.85", ".95", "2024-05-06"),
        (9, "India VIX", "13.8775", "13.8775", "14.2475", "13.0975", "13.8025", "-0.0750", "2024-05-06"),
    ]
    assert market_activity.price_band_hits("MA060524.csv", lines(*REPORT)) == 213


def test_market_activity_rejects_a_malformed_index() -> None:
    rows = [row.replace(",     21622.40", ",        -") for row in REPORT]
    found = market_activity.read("MA060524.csv", lines(*rows), SESSION)
    assert found.rejected.select("row_number", "reasons").rows() == [
        (7, ["Previous_Close: expected a number, found '-'"])
    ]
    assert found.row_count == 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (REPORT[:9], "ends within its index table"),
        (REPORT[:5], "no index table"),
        ((",6 May", *REPORT[1:]), "expected a date as 20-Jan-2024"),
        ((*REPORT[:6], "", ",ADVANCES,1"), "has no rows"),
    ],
)
def test_market_activity_is_refused(rows: tuple[str, ...], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        market_activity.read("MA060524.csv", lines(*rows), SESSION)


def test_market_activity_of_another_session_is_refused() -> None:
    with pytest.raises(WrongSession, match="the report is of 2024-05-06"):
        market_activity.read("MA070524.csv", lines(*REPORT), date(2024, 5, 7))


def test_real_market_activity(nse_products: Path) -> None:
    for name, session, indices, hits in [
        ("MA230320", date(2020, 3, 23), 55, 983),
        ("MA240221", date(2021, 2, 24), 59, 260),
        ("MA200124", date(2024, 1, 20), 73, 213),
    ]:
        path = nse_products / f"archives/equities/mkt/{name}.csv.zip"
        found = market_activity.read(path.name, path.read_bytes(), session)
        assert (found.rows.height, found.rejected.height) == (indices, 0)
        assert market_activity.price_band_hits(path.name, path.read_bytes()) == hits


def history(*rows: str, header: str = '"Index Name","Date","Open","High","Low","Close"') -> bytes:
    return "\n".join([header, *rows]).encode()


def test_index_history_is_sorted_and_has_nulls() -> None:
    rows = ('"NIFTY 100","02 Jan 2003","1","3","1","2.5"', '"NIFTY 100","01 Jan 2003","-","-","-","1000.00"')
    found = index_history.parse("f.csv", history(*rows))
    assert found.columns == ["index_name", "trade_date", *index_history.VALUES]
    assert found.select("trade_date", "open", "close", "total_return").rows() == [
        (date(2003, 1, 1), None, 1000.0, None),
        (date(2003, 1, 2), 1.0, 2.5, None),
    ]
    ratios = history(
        '"NIFTY 100","30 Dec 2005","18.12","4.15","1.54"', header='"IndexName","Date","P/E","P/B","Div Yield %"'
    )
    assert index_history.parse("f.csv", ratios)["dividend_yield"].to_list() == [1.54]
    total = history('"NIFTY 50","30 Dec 2005","3500.1"', header='"Index Name","Date","Total Returns Index"')
    assert index_history.parse("f.csv", total)["total_return"].to_list() == [3500.1]


GOOD = '"NIFTY 100","02 Jan 2003","1","3","1","2.5"'


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((GOOD[:-1],), "ends within line 2"),
        ((GOOD.replace("02 Jan", "2003-01-02"),), "expected a date"),
        ((GOOD.replace("02 Jan", "31 Feb"),), "is not a date"),
        ((GOOD.replace("2.5", "2,5"),), "expected a number"),
        ((GOOD, GOOD), "each date once"),
        ((GOOD, GOOD.replace("02", "03").replace("100", "500")), "expected one index"),
        ((re.sub(r'"[\d.]+"(?=,|$)', '"-"', GOOD),), "no value"),
        ((), "no rows"),
    ],
)
def test_index_history_is_refused(rows: tuple[str, ...], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        index_history.parse("f.csv", history(*rows))


def test_index_history_with_an_unknown_header_is_refused() -> None:
    with pytest.raises(FormatError, match="known headers: Index Name,Date,Open"):
        index_history.parse("f.csv", history(GOOD, header="Date,Open,High,Low,Close"))


def test_real_index_histories_cover_each_year(nse_products: Path) -> None:
    counts: dict[int, int] = {}
    for part in ("to2018", "from2019"):
        with zipfile.ZipFile(nse_products / f"derived/niftyindices_history/NIFTY_500_{part}.zip") as archive:
            for name in archive.namelist():
                if "_Price_" in name:
                    found = index_history.parse(name, archive.read(name))
                    assert found["trade_date"].is_sorted()
                    counts[int(name[-8:-4])] = found.height
    assert sorted(counts) == list(range(1996, 2027))
    assert all(240 <= count <= 255 for year, count in counts.items() if 2000 <= year <= 2025)
