"""Published formats: told by their header, accounted for line by line, refused loudly."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from champion.errors import FormatError
from champion.sources import container, legacy, parse, udiff

SESSION = date(2024, 1, 15)
ROW = (
    "2024-01-15,2024-01-15,CM,NSE,STK,13,INE117A01022,ABB,EQ,,,,,ABB INDIA LIMITED,4674.85,4715.00,4653.80,4682.20,"
    "4668.00,4674.85,,4682.20,,,84544,395935611.70,12510,F1,1,,,,,"
)
LEGACY_ROW = "ABB,EQ,4674.85,4715,4653.8,4682.2,4668,4674.85,84544,395935611.7,15-JAN-2024,12510,INE117A01022"


def udiff_file(*rows: str, header: str = udiff.HEADERS[1]) -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def zipped(content: bytes, name: str = "a.csv") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize("header", udiff.HEADERS)
def test_both_udiff_headers_give_the_same_rows(header: str) -> None:
    found = parse("a.csv", udiff_file(ROW, header=header), SESSION)
    assert found.source == "nse_cm_udiff"
    row = found.rows.row(0, named=True)
    assert (row["TckrSymb"], row["ClsPric"], row["Rsvd4"], row["XpryDt"]) == ("ABB", "4682.20", None, None)
    assert row["row_number"] == 2


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (legacy.HEADERS[0], f"{LEGACY_ROW},"),
        (legacy.HEADERS[1], LEGACY_ROW),
        (legacy.HEADERS[2], ",".join(LEGACY_ROW.split(",")[:11]) + ","),
        (legacy.HEADERS[3], ",".join(LEGACY_ROW.split(",")[:11])),
        (legacy.HEADERS[1], LEGACY_ROW.replace("15-JAN-2024", "15-Jan-24")),
    ],
)
def test_every_legacy_shape(header: str, row: str) -> None:
    found = parse("cm15JAN2024bhav.csv", f"{header}\r\n{row}\r\n".encode(), SESSION)
    assert found.source == "nse_cm_legacy"
    first = found.rows.row(0, named=True)
    assert (first["TckrSymb"], first["TradDt"], first["ClsPric"], first["Sgmt"]) == (
        "ABB",
        "2024-01-15",
        "4682.2",
        "CM",
    )


@pytest.mark.parametrize("zero", ["0", "0.0", "0.00"])
def test_a_legacy_last_price_of_zero_means_none(zero: str) -> None:
    content = f"{legacy.HEADERS[1]}\n{LEGACY_ROW.replace(',4668,', f',{zero},')}\n"
    assert parse("a.csv", content.encode(), SESSION).rows["LastPric"].to_list() == [None]


def test_a_line_with_other_fields_is_refused_with_its_number() -> None:
    found = parse("a.csv", udiff_file(ROW, "2024-01-15,cut", f"{ROW}{ROW}", ROW), SESSION)
    assert found.rows["row_number"].to_list() == [2, 5]
    assert found.rejected.to_dicts() == [
        {"row_number": 3, "reasons": ["fields: expected 34, found 2"], "row": "2024-01-15,cut"},
        {"row_number": 4, "reasons": ["fields: expected 34, found 67"], "row": f"{ROW}{ROW}"},
    ]
    assert found.row_count == 4


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", udiff_file(ROW, header=udiff.HEADERS[1] + ",New"), "unknown header"),
        ("a.csv", udiff_file(ROW, header=udiff.HEADERS[1].replace(",Rmks", "")), "unknown header"),
        ("a.csv", udiff_file(), "no dated rows"),
        (
            "a.csv",
            udiff_file(ROW.replace("2024-01-15", "2024-01-12")),
            "asked for session 2024-01-15, the file is dated 2024-01-12",
        ),
        ("a.csv", b"", "unknown header"),
        ("a.csv", b"<!DOCTYPE html><html>", "an HTML page"),
        ("a.csv", zipped(b"x"), "a zip"),
        ("a.csv", udiff_file(ROW).replace(b"ABB", b"A\0B"), "NUL"),
        ("a.csv", udiff_file(ROW).replace(b"ABB", b"A\xff\xfe"), "not UTF-8"),
        ("a.csv.zip", b"<html>404</html>", "not a readable zip"),
        ("a.csv.zip", zipped(udiff_file(ROW))[:-30], "not a readable zip"),
        ("a.csv.zip", zipped(b"<html></html>"), "an HTML page"),
    ],
)
def test_what_is_no_bhavcopy_is_a_clear_error(name: str, content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse(name, content, SESSION)


def test_a_zip_holds_one_file_and_its_path_is_never_used() -> None:
    assert parse("a.csv.zip", zipped(udiff_file(ROW), "../../etc/passwd"), SESSION).row_count == 1
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.csv", "a")
        archive.writestr("b.csv", "b")
    with pytest.raises(FormatError, match="one file inside"):
        parse("a.csv.zip", stream.getvalue(), SESSION)


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(FormatError, match="bytes of text, at most"):
        container.text("a.csv.zip", zipped(b"0" * (200 * 1024 * 1024)))


@pytest.mark.parametrize(
    ("name", "session", "rows", "verdict"),
    [
        ("cm10JUL2017bhav_no_trailing_comma.csv", date(2017, 7, 10), 1683, "nse_cm_legacy"),
        ("cm13JUL2020bhav.csv.zip", date(2020, 7, 13), 2001, "nse_cm_legacy"),
        ("cm13JUL2020bhav_two_digit_year.csv", date(2020, 7, 13), 2001, "nse_cm_legacy"),
        ("cm21JUN2011bhav_no_isin_11col.csv", date(2011, 6, 21), 1503, "nse_cm_legacy"),
        ("udiff_Rsvd01_trailing_comma_header_20240102.csv", date(2024, 1, 2), 2658, "nse_cm_udiff"),
        ("udiff_T0_first_day_20240328.csv", date(2024, 3, 28), 2716, "nse_cm_udiff"),
    ],
)
def test_real_edge_cases(nse: Path, name: str, session: date, rows: int, verdict: str) -> None:
    file = nse / "edge_cases" / name
    found = parse(name, file.read_bytes(), session)
    assert (found.source, found.row_count, found.rejected.height) == (verdict, rows, 0)
    assert found.rows["TckrSymb"].null_count() == 0


def test_real_formats_agree_where_both_were_published(nse: Path) -> None:
    session = date(2024, 7, 5)
    new = parse("u.zip", (nse / "content/cm/BhavCopy_NSE_CM_0_0_0_20240705_F_0000.csv.zip").read_bytes(), session)
    old_file = nse / "content/historical/EQUITIES/2024/JUL/cm05JUL2024bhav.csv.zip"
    old = parse("l.zip", old_file.read_bytes(), session)
    prices = ["OpnPric", "HghPric", "LwPric", "ClsPric", "LastPric", "PrvsClsgPric", "TtlTradgVol", "TtlTrfVal"]
    shared = ["TckrSymb", "SctySrs", "ISIN", *prices]

    def comparable(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select(shared).cast(dict.fromkeys(prices, pl.Float64)).sort("TckrSymb", "SctySrs")

    assert old.row_count == new.row_count == 2775
    assert comparable(old.rows).equals(comparable(new.rows))
