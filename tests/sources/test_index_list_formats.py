"""Index lists, the register, press-release changes and weights: real lines are read, wrong files are refused."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from champion.errors import FormatError
from champion.sources.container import check_signature
from champion.sources.lists.index_changes import parse_changes
from champion.sources.lists.index_list import canonical_index, index_names, is_valid_isin, parse_index_list
from champion.sources.lists.index_register import parse_register
from champion.sources.lists.index_weights import parse_weights
from champion.sources.lists.workbook import read_rows, serial_date

HEADER = "Company Name,Industry,Symbol,Series,ISIN Code\n"
BANK = "ind_niftybanklist.csv"
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_RELATIONS = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'


def check_digit(stem: str) -> int:
    """Return the ISO 6166 check digit by the Luhn rule as written in the standard: double from the right, sum."""
    total, double = 0, True
    for letter in reversed("".join(str(int(character, 36)) for character in stem)):
        value = int(letter) * (2 if double else 1)
        total += value - 9 if value > 9 else value
        double = not double
    return -total % 10


def lines(count: int) -> list[str]:
    stems = [f"INE{number:03d}A0101" for number in range(100, 100 + count)]
    return [f'"Bank {n}, Ltd.",Financial Services,BANK{n},EQ,{s}{check_digit(s)}\n' for n, s in enumerate(stems)]


def bank(rows: list[str], header: str = HEADER, ending: str = "\n") -> bytes:
    return (header + "".join(rows)).replace("\n", ending).encode()


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("has_last_newline", [True, False])
def test_list_is_read_with_either_line_ending(ending: str, has_last_newline: bool) -> None:
    content = bank(lines(12), ending=ending)
    rows = parse_index_list(BANK, content if has_last_newline else content.rstrip())
    assert rows.height == 12
    assert rows.row(0, named=True) == {
        "index_name": "NIFTY BANK",
        "symbol": "BANK0",
        "isin": f"INE100A0101{check_digit('INE100A0101')}",
        "company": "Bank 0, Ltd.",
        "industry": "Financial Services",
        "series": "EQ",
        "is_dummy": False,
    }


def test_dummy_lines_are_kept_and_marked() -> None:
    dummies = ["ITC Hotels,Services,DUMMYITC,EQ,DUM154A01025\n", "Vedanta 1,Power,DUMMYVEDL1,EQ,DU1205A01025\n"]
    rows = parse_index_list(BANK, bank(lines(12) + dummies))
    assert rows.filter("is_dummy")["symbol"].to_list() == ["DUMMYITC", "DUMMYVEDL1"]
    assert rows.filter(~pl.col("is_dummy")).height == 12


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (BANK, bank(lines(11)), "11 securities, expected 12 to 24: it is cut off"),
        (BANK, bank(lines(40)), "40 securities, expected 12 to 24"),
        (BANK, bank(lines(12))[:-4], "line 13"),
        (BANK, bank([*lines(12), lines(1)[0]]), "symbol BANK0 occurs twice"),
        (BANK, bank([*lines(12), "DingDong Industries,Dingo,DING,EQ,INE112358\n"]), "line 14.*DingDong"),
        (BANK, bank([*lines(12), "Tata Power,Power,TATAPOWER,EQ,INE245A01020\n"]), "line 14.*TATAPOWER"),
        (BANK, bank([*lines(12), "A,B\n"]), "line 14"),
        (BANK, bank(lines(12), HEADER.strip() + ",Fetch_Time\n"), "new columns 'Fetch_Time'"),
        (BANK, b"", "unknown header"),
        (BANK, b"  <!DOCTYPE html> <html>", "found an HTML page"),
        (BANK, b"PK\x03\x04 [Content_Types].xml", "found an Excel workbook"),
        (
            "ind_nifty_fifty_list.csv",
            bank(lines(50)),
            r"of no known index; \d+ are known, such as ind_nifty50list.csv",
        ),
    ],
)
def test_wrong_list_is_refused_whole(name: str, content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse_index_list(name, content)


def test_check_digit_catches_every_changed_digit() -> None:
    isin = "INE009A01021"  # Infosys, from the exchange's list of shares
    assert is_valid_isin(isin)
    for place in range(3, 12):
        for digit in "0123456789":
            changed = isin[:place] + digit + isin[place + 1 :]
            if changed[place] != isin[place] and isin[place].isdigit():
                assert not is_valid_isin(changed), changed


def test_index_names_are_unique_and_canonical() -> None:
    names = [known.index_name for known in index_names()]
    assert len({*names}) == len(names) == len({known.file.lower() for known in index_names()})
    assert names == [canonical_index(name) for name in names]
    assert canonical_index("Nifty Free Float Smallcap 100") == "NIFTY SMALLCAP 100"


def test_every_real_list_is_read_or_refused_with_its_reason(nse_products: Path) -> None:
    refused = {}
    lists = sorted((nse_products / "content/indices/snapshots").glob("*/*.csv"))
    for path in lists:
        try:
            rows = parse_index_list(path.name, path.read_bytes())
        except FormatError as error:
            refused[f"{path.parent.name} {path.name}"] = str(error)
        else:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                assert rows.height == len(list(csv.reader(stream))) - 1
    assert len(lists) > 100
    assert {name: message.split(": ")[1][:24] for name, message in refused.items()} == {
        "2024-11-09 ind_nifty200list.csv": "1 line is not of a secur",  # somebody added DingDong Industries
        "2025-07-23 ind_niftyA00list.csv": "the list of no known ind",  # renamed by its collector
        "2025-07-31 ind_nifty_fifty_list.csv": "the list of no known ind",
        "2026-06-30 ind_nifty50list.csv": "unknown header ['Company",  # Fetch_Time was added
        "2026-08-09 ind_nifty50list.csv": "unknown header ['Company",
    }


def test_pages_and_workbooks_served_as_lists_are_refused(nse_products: Path) -> None:
    files = sorted((nse_products / "edge_cases").glob("*_served_as_*"))
    assert len(files) == 4
    for path in files:
        with pytest.raises(FormatError, match=r"expected CSV text, found an (HTML page|Excel workbook)"):
            parse_index_list("ind_nifty500list.csv", path.read_bytes())


def workbook(sheets: dict[str, list[list[str | int]]], prolog: str = "", drop: str = "") -> bytes:
    """Return a workbook with shared strings for texts, and numbers as values, as Excel writes it."""
    strings: list[str] = []
    parts, entries, relations = {}, "", ""
    for place, (name, rows) in enumerate(sheets.items(), start=1):
        body = ""
        for number, row in enumerate(rows, start=1):
            cells = ""
            for column, value in zip("ABCD", row, strict=False):
                if isinstance(value, str):
                    strings.append(value)
                cell = (' t="s"', len(strings) - 1) if isinstance(value, str) else ("", value)
                cells += f'<c r="{column}{number}"{cell[0]}><v>{cell[1]}</v></c>'
            body += f'<row r="{number}">{cells}</row>'
        parts[f"xl/worksheets/sheet{place}.xml"] = f"{prolog}<worksheet {_MAIN}>{body}</worksheet>"
        entries += f'<sheet name="{name}" sheetId="{place}" r:id="rId{place}"/>'
        relations += f'<Relationship Id="rId{place}" Target="worksheets/sheet{place}.xml"/>'
    parts["xl/sharedStrings.xml"] = f"<sst {_MAIN}>{''.join(f'<si><t>{text}</t></si>' for text in strings)}</sst>"
    parts["xl/workbook.xml"] = f"<workbook {_MAIN} {_RELATIONS}><sheets>{entries}</sheets></workbook>"
    parts["xl/_rels/workbook.xml.rels"] = f"<Relationships>{relations}</Relationships>"
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        for name, text in parts.items():
            if name != drop:
                archive.writestr(name, text)
    return written.getvalue()


TITLES: list[str | int] = ["Index Name", "Event Date", "Scrip Name", "Description"]
ROWS: list[list[str | int]] = [
    ["Nifty Free Float Midcap 100", "19-03-2003", " Asian Hotels Ltd.  - Hotels\xa0", "Exclusion from Index "],
    ["Nifty Midcap 100", 44043, "SBI Cards Ltd.", "Inclusion In Index"],
    ["Nifty Midcap 100", 44043, "SBI Cards Ltd.", "Inclusion into Index"],
]


def test_register_reads_dates_as_text_and_as_numbers_and_drops_repeats() -> None:
    rows = parse_register("IndexInclExcl.xlsx", workbook({"Nifty Midcap 100": [TITLES, *ROWS]}))
    assert rows.rows() == [
        ("NIFTY MIDCAP 100", date(2003, 3, 19), "Asian Hotels Ltd. - Hotels", False),
        ("NIFTY MIDCAP 100", date(2020, 7, 31), "SBI Cards Ltd.", True),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (workbook({"A": [TITLES, *ROWS, ["Nifty 50", "31/07/2020", "X", "Inclusion into Index"]]}), "A row 5"),
        (workbook({"A": [TITLES, ["Nifty 50", 44043, "X", "Renamed"]]}), "1 row is no inclusion.*Renamed"),
        (workbook({"A": [TITLES, ["Nifty 50", 44043, "", "Inclusion into Index"]]}), "A row 2"),
        (workbook({"A": [["Index", "Date"], *ROWS]}), "sheet A: unknown header"),
        (workbook({"A": [TITLES]}), "no rows"),
        (workbook({"A": [TITLES, *ROWS]}, prolog='<!DOCTYPE a [<!ENTITY b "c">]>'), "declares a document type"),
        (workbook({"A": [TITLES, *ROWS]}, drop="xl/worksheets/sheet1.xml"), "not a readable workbook"),
        (workbook({"A": [TITLES, *ROWS]})[:-200], "not a readable workbook"),
        (b"<html>", "expected an Excel workbook, found an HTML page"),
        (b"\xd0\xcf\x11\xe0", "not a readable workbook"),  # the older format, .xls
    ],
)
def test_wrong_register_is_refused_whole(content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse_register("IndexInclExcl.xlsx", content)


def test_workbook_may_be_staged_only_under_its_name() -> None:
    content = workbook({"A": [TITLES]})
    check_signature("IndexInclExcl.xlsx", content)
    with pytest.raises(FormatError, match="expected CSV text, found an Excel workbook"):
        check_signature("ind_nifty500list.csv", content)


def test_serial_dates_are_whole_days_of_this_era() -> None:
    assert serial_date("35326") == date(1996, 9, 18)
    assert [serial_date(text) for text in ("0", "44043.5", "x", "1e9", "nan", "")] == [None] * 6


def test_real_register_has_the_counted_rows(nse_products: Path) -> None:
    content = (nse_products / "content/indices/IndexInclExcl.xlsx").read_bytes()
    cells = [row for row in read_rows("IndexInclExcl.xlsx", content) if row.number > 1]
    texts = sum("-" in row.cells["B"] for row in cells)
    assert (texts, len(cells) - texts) == (3546, 5593)  # counted in the folder's README
    rows = parse_register("IndexInclExcl.xlsx", content)
    assert rows.height == 9139 - 20  # 20 rows occur twice
    assert (rows["effective"].min(), rows["effective"].max()) == (date(1996, 9, 18), date(2020, 7, 31))
    seed = rows.filter((pl.col("index_name") == "NIFTY 500") & (pl.col("effective") == date(1998, 8, 1)))
    assert seed["is_inclusion"].all()
    assert seed.height == 500


CHANGES = "index,effective,out,in,press_release,remark\n"


def test_changes_have_one_row_per_symbol_and_the_date_of_the_release() -> None:
    text = (
        f"{CHANGES}Nifty 50,2024-09-30,DIVISLAB;LTIM,BEL;TRENT,ind_prs23082024_1,\nNIFTY 50,2025-12-31,,,,none since\n"
    )
    rows = parse_changes("index_changes.csv", text.encode())
    assert rows.select("index_name", "change", "symbol", "announced").rows() == [
        ("NIFTY 50", "in", "BEL", date(2024, 8, 23)),
        ("NIFTY 50", "in", "TRENT", date(2024, 8, 23)),
        ("NIFTY 50", "out", "DIVISLAB", date(2024, 8, 23)),
        ("NIFTY 50", "out", "LTIM", date(2024, 8, 23)),
        ("NIFTY 50", "none", None, None),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (",2024-09-30,UPL,BEL,,", "no index"),
        ("NIFTY 50,30-09-2024,UPL,BEL,,", "line 2"),
        ("NIFTY 50,2024-09-30,UPL,BEL,ind_prs01102024,", "announced after 2024-09-30"),
        ("NIFTY 50,2024-09-30,UPL,BEL", "4 fields, not 6"),
        ("NIFTY 50,2024-09-30,UPL,UPL,,", "2 changes with one index, date and symbol"),
    ],
)
def test_wrong_change_is_refused(line: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse_changes("index_changes.csv", f"{CHANGES}{line}\n".encode())


def test_real_press_releases_are_read(nse_products: Path) -> None:
    header, *rows = (nse_products / "facts/nifty50_changes.csv").read_text().splitlines()
    assert header == "effective,out,in,press_release,confirmed_by_snapshots"
    changes = parse_changes("index_changes.csv", (CHANGES + "".join(f"NIFTY 50,{row}\n" for row in rows)).encode())
    by_change = dict(changes.group_by("change").len().iter_rows())
    assert by_change == {"in": 38, "out": 38}  # the 51st line came in 2016 and went in 2017
    assert changes["announced"].null_count() == 2 + 7  # without a release: 2015-05-29 and 2016-04-01


WEIGHTS = (
    "Annexure II-  Nifty 50 Index : {month},,,,,,,,,,,\r\n,,,,,,,,,,,\r\n"
    "Sr. No,Security Symbol,Security Name,Industry,Equity Capital (In Rs.),"
    "Free Float Market Capitalisation (Rs. Crores),Weightage (%),Beta,R2,Volatility (%),Monthly Return,"
    "Avg. Impact Cost (%)\r\n1,ACC,ACC Ltd.,CEMENT,1877872630,20291.32,{first},1.2,0.4,3.0,-1.0,0.03\r\n"
    "2,UPL,UPL Ltd.,PESTICIDES,1528000000,41000.5,39.9,1.1,0.3,2.9,2.0,0.02\r\n,,,,,,,,,,,\r\n* A note,,,,,,,,,,,\r\n"
)


@pytest.mark.parametrize(("month", "end"), [("May 2022", date(2022, 5, 31)), ("Jun 2022", date(2022, 6, 30))])
def test_weights_are_fractions_as_of_the_end_of_the_month(month: str, end: date) -> None:
    rows = parse_weights("nifty50_mcwb.csv", WEIGHTS.format(month=month, first="60.1").encode())
    assert rows["weight"].to_list() == pytest.approx([0.601, 0.399])
    assert rows.row(0)[:3] == ("NIFTY 50", end, "ACC")
    assert rows["free_float_cap"][0] == pytest.approx(20291.32e7)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WEIGHTS.format(month="May 2022", first="6.1"), "add up to 46.00%"),
        (WEIGHTS.format(month="May 2022", first="-"), "not a line of a security"),
        (WEIGHTS.format(month="Mxy 2022", first="60.1"), "is not a month"),
        ("Weights\n", "no title"),
    ],
)
def test_wrong_weights_are_refused(content: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse_weights("nifty50_mcwb.csv", content.encode())


def test_real_weights_have_fifty_securities_that_add_up(nse_products: Path) -> None:
    for path in sorted((nse_products / "content/indices").glob("mcwb_*.zip")):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                rows = parse_weights(name, archive.read(name))
                assert rows.height == 50
                assert rows["weight"].sum() == pytest.approx(1, abs=0.001)
