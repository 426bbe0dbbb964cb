"""Published formats: recognised by their header; every line is accepted or rejected with a reason."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from champion.errors import FormatError, WrongSession
from champion.market.equity_bars import instrument_id
from champion.sources import full_bhavcopy, indices, legacy, parse, udiff
from champion.sources.parse import BHAVCOPIES, read
from champion.sources.publications import BHAVCOPY, BSE_BHAVCOPY, DELIVERY, bhavcopy_paths
from champion.sources.table import Format, Publication

SESSION = date(2024, 1, 15)
ROW = (
    "2024-01-15,2024-01-15,CM,NSE,STK,13,INE117A01022,ABB,EQ,,,,,ABB INDIA LIMITED,4674.85,4715.00,4653.80,4682.20,"
    "4668.00,4674.85,,4682.20,,,84544,395935611.70,12510,F1,1,,,,,"
)
LEGACY_ROW = "ABB,EQ,4674.85,4715,4653.8,4682.2,4668,4674.85,84544,395935611.7,15-JAN-2024,12510,INE117A01022"


def udiff_file(*rows: str, header: str = udiff.HEADERS[1]) -> bytes:
    return "\n".join([header, *rows, ""]).encode()


@pytest.mark.parametrize("header", udiff.HEADERS[:2])
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
def test_every_legacy_header_is_parsed(header: str, row: str) -> None:
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


def test_a_line_with_a_wrong_number_of_fields_is_refused_with_its_number() -> None:
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
        ("a.csv", udiff_file(ROW.replace(",NSE,", ",MSE,")), "rows of exchange MSE; expected one of NSE, BSE"),
        ("a.csv", udiff_file(ROW, ROW.replace(",NSE,", ",BSE,")), "rows of exchange BSE, NSE"),
        ("a.csv", udiff_file(ROW, ROW[:-40])[:-1], "ends within line 3: it was cut off"),
    ],
)
def test_a_file_that_is_not_a_bhavcopy_is_refused(name: str, content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse(name, content, SESSION)


@pytest.mark.parametrize("form", [*BHAVCOPIES, full_bhavcopy.FORMAT, indices.FORMAT], ids=lambda form: form.source)
def test_a_changed_header_names_each_new_and_missing_column(form: Format) -> None:
    formats = [*BHAVCOPIES, form]
    for header in form.headers:
        columns = header.split(",")
        for place, column in enumerate(columns):
            if not (name := column.strip()):
                continue
            before, after = columns[:place], columns[place + 1 :]
            cases = {
                f"against {form.source}: missing columns {name!r}.": [*before, *after],
                f"against {form.source}: new columns 'Added'; missing columns {name!r}.": [*before, "Added", *after],
                f"against {form.source}: new columns 'Added'.": [*before, "Added", column, *after],
                f"against {form.source}: repeated columns {name!r}.": [*before, column, column, *after],
            }
            for wanted, changed in cases.items():
                with pytest.raises(FormatError, match="unknown header") as refused:
                    read("a.csv", "\n".join([",".join(changed), "1", ""]).encode(), SESSION, formats)
                assert wanted in str(refused.value)


def test_a_reordered_header_is_reported_as_such() -> None:
    columns = udiff.HEADERS[1].split(",")
    with pytest.raises(FormatError, match="against nse_cm_udiff: the same columns in another order"):
        parse("a.csv", udiff_file(ROW, header=",".join(reversed(columns))), SESSION)
    with pytest.raises(FormatError, match="only spaces or empty columns differ"):
        parse("a.csv", udiff_file(ROW, header=f"{udiff.HEADERS[1]},,"), SESSION)


def test_a_file_of_another_session_is_not_reported_as_damaged() -> None:
    with pytest.raises(WrongSession, match="asked for session 2024-01-16, the file is dated 2024-01-15"):
        parse("a.csv", udiff_file(ROW), date(2024, 1, 16))


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        ([udiff.HEADERS[1], ROW, ROW], "whole"),  # its last field is empty, as in every line: nothing is missing
        ([udiff.HEADERS[1], ROW, ROW[:-1]], "cut"),
        ([legacy.HEADERS[0], f"{LEGACY_ROW},", f"{LEGACY_ROW},"], "whole"),
        ([legacy.HEADERS[1], LEGACY_ROW, LEGACY_ROW], "cut"),  # who can say whether the ISIN goes on?
        ([legacy.HEADERS[1], LEGACY_ROW, LEGACY_ROW[:-3]], "cut"),
    ],
)
def test_a_last_line_without_newline_is_checked(lines: list[str], verdict: str) -> None:
    content = "\n".join(lines).encode()
    if verdict == "whole":
        assert parse("a.csv", content, SESSION).row_count == 2
        return
    with pytest.raises(FormatError, match=r"a\.csv: the file ends within line 3"):
        parse("a.csv", content, SESSION)


def test_bse_files_are_recognised_by_their_source_column() -> None:
    row = ROW.replace(",NSE,", ",BSE,").replace(",ABB,EQ,", ",ABB,A,")
    content = udiff_file(row, row.replace(",ABB,A,", ",ABBF,F,"))
    found = BSE_BHAVCOPY.read("b.CSV", content, SESSION)
    assert found.source == "bse_cm_udiff"
    named = found.rows.select(instrument_id(pl.col("TckrSymb"), pl.col("SctySrs"), pl.col("Src")))
    assert named["TckrSymb"].to_list() == ["BSE:ABB", "BSE:ABBF:F"]
    with pytest.raises(FormatError, match="expected the bhavcopy of NSE, found rows of BSE"):
        BHAVCOPY.read("b.CSV", content, SESSION)
    with pytest.raises(FormatError, match="expected the bhavcopy of BSE, found rows of NSE"):
        BSE_BHAVCOPY.read("b.CSV", udiff_file(ROW), SESSION)


@pytest.mark.parametrize(
    ("name", "session", "verdict"),
    [
        ("cm10JUL2017bhav_no_trailing_comma.csv", date(2017, 7, 10), "nse_cm_legacy, 1683 rows"),
        ("cm13JUL2020bhav.csv.zip", date(2020, 7, 13), "nse_cm_legacy, 2001 rows"),
        ("cm13JUL2020bhav_two_digit_year.csv", date(2020, 7, 13), "nse_cm_legacy, 2001 rows"),
        ("cm21JUN2011bhav_no_isin_11col.csv", date(2011, 6, 21), "nse_cm_legacy, 1503 rows"),
        (
            "stale_holiday_sec_bhavdata_full_26062026.csv",
            date(2026, 6, 26),
            "WrongSession: asked for session 2026-06-26, the file is dated 2026-06-25",
        ),
        (
            "stale_sunday_sec_bhavdata_full_05012020.csv",
            date(2020, 1, 5),
            "WrongSession: asked for session 2020-01-05, the file is dated 2020-01-03",
        ),
        (
            "truncated_sec_bhavdata_full_04052022.csv",
            date(2022, 5, 4),
            "FormatError: the file ends within line 25: it was cut off; fetch it again",
        ),
        (
            "truncated_sec_bhavdata_full_18112024.csv",
            date(2024, 11, 18),
            "FormatError: the file ends within line 381: it was cut off; fetch it again",
        ),
        ("udiff_Rsvd01_trailing_comma_header_20240102.csv", date(2024, 1, 2), "nse_cm_udiff, 2658 rows"),
        ("udiff_T0_first_day_20240328.csv", date(2024, 3, 28), "nse_cm_udiff, 2716 rows"),
        (
            "xlsx_named_csv_sec_bhavdata_full_08082022.csv",
            date(2022, 8, 8),
            "FormatError: expected CSV text, found an Excel workbook",
        ),
    ],
)
def test_every_edge_case_is_accepted_or_refused(nse: Path, name: str, session: date, verdict: str) -> None:
    assert len(list((nse / "edge_cases").iterdir())) == 11
    content = (nse / "edge_cases" / name).read_bytes()
    for publication in (BHAVCOPY, DELIVERY) if "sec_bhavdata" in name else (BHAVCOPY,):
        assert _verdict(publication, name, content, session) == verdict


def _verdict(publication: Publication, name: str, content: bytes, session: date) -> str:
    try:
        found = publication.read(name, content, session)
    except FormatError as error:
        return f"{type(error).__name__}: {error}".replace(f"{name}: ", "")
    assert found.rejected.height + found.rows["TckrSymb"].null_count() == 0
    return f"{found.source}, {found.row_count} rows"


PRICES = ["OpnPric", "HghPric", "LwPric", "ClsPric", "LastPric", "PrvsClsgPric"]
COUNTS = ["TtlTradgVol", "TtlNbOfTxsExctd"]


def comparable(rows: pl.DataFrame) -> pl.DataFrame:
    numbers = [*PRICES, *COUNTS, "TtlTrfVal"]
    return rows.select("TckrSymb", "SctySrs", *numbers).cast(dict.fromkeys(numbers, pl.Float64))


def test_udiff_and_legacy_files_of_one_session_agree(nse: Path) -> None:
    session = date(2024, 7, 5)
    new = parse("u.zip", (nse / bhavcopy_paths(session)[0]).read_bytes(), session)
    old = parse("l.zip", (nse / bhavcopy_paths(session)[1]).read_bytes(), session)
    assert old.row_count == new.row_count == 2775
    both = [comparable(found.rows).sort("TckrSymb", "SctySrs") for found in (old, new)]
    assert both[0].equals(both[1])
    isins = [found.rows.sort("TckrSymb", "SctySrs")["ISIN"] for found in (old, new)]
    assert isins[0].equals(isins[1])


@pytest.mark.parametrize(
    ("report", "session", "other", "rows"),
    [
        ("stale_sunday_sec_bhavdata_full_05012020.csv", date(2020, 1, 3), bhavcopy_paths(date(2020, 1, 3))[1], 1960),
        (
            "truncated_sec_bhavdata_full_18112024.csv",
            date(2024, 11, 18),
            bhavcopy_paths(date(2024, 11, 18))[0],
            379,
        ),
    ],
)
def test_the_full_report_agrees_with_the_bhavcopy_of_its_session(
    nse: Path, report: str, session: date, other: str, rows: int
) -> None:
    content = (nse / "edge_cases" / report).read_bytes()
    full = comparable(parse(report, content[: content.rindex(b"\n") + 1], session).rows)
    bhavcopy = comparable(parse(other, (nse / other).read_bytes(), session).rows)
    both = full.join(bhavcopy, on=["TckrSymb", "SctySrs"], suffix="_too")
    assert both.height == full.height == rows
    for name in [*PRICES, *COUNTS]:
        assert both[name].equals(both[f"{name}_too"].alias(name)), name
    # Lakhs with two decimals are rupees to the nearest thousand.
    assert both.select((pl.col("TtlTrfVal") - pl.col("TtlTrfVal_too")).abs().max()).item() <= 500.01
