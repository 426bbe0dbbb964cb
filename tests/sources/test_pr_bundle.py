"""Circuit hits and 52-week extremes of the PR bundle: names in any case, commas in names, empty and misdated files."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime
from pathlib import Path

import pytest

from champion.errors import FormatError, WrongSession
from champion.sources.lists import pr_bundle

SESSION = date(2020, 12, 1)
HITS = "bh011220.csv"
HIT = f"{pr_bundle.HIT_HEADER}\n21STCENMGM,EQ,21ST CENTURY MGMT SERVICE,H\nAFFLE,EQ,AFFLE (INDIA) LIMITED,L\n"
HIGHS = f"{pr_bundle.EXTREME_HEADER}\r\nADANI GAS LIMITED,371.8,365.75,H\r\nTWIN LTD,5,6,L\r\n\r\n\n"
PRICES = (
    f"{pr_bundle.PRICE_HEADER}\n"
    "Y, , ,Nifty 50,     12968.95,     13062.20,     13128.40,     12962.80,     13109.05,631.57,32,Y, ,1,1,1\n"
    "N,EQ,ADANIGAS,ADANI GAS LIMITED,     1,     1,     371.80,     1,     1,1,1,N, ,1,1,1\n"
    "N,EQ,TWINA,TWIN LTD,     1,     1,     7,     5,     1,1,1,N, ,1,1,1\n"
    "N,BE,TWINB,TWIN LTD,     1,     1,     7,     5,     1,1,1,N, ,1,1,1\n"
)


def bundle(**files: str | bytes) -> bytes:
    """Return a zip; `bh011220="..."` is the file bh011220.csv."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.csv", (2020, 12, 1, 18, 0, 0)), content)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["bh011220", "BH011220", "Bh011220"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_hits_in_any_case_and_line_end(name: str, end: str) -> None:
    found = pr_bundle.read_hits("PR.zip", bundle(**{name: HIT.replace("\n", end), "pd011220": PRICES}), SESSION)
    assert found.rows.drop("row_number").rows() == [
        ("21STCENMGM", "EQ", "21ST CENTURY MGMT SERVICE", "H", None, "2020-12-01"),
        ("AFFLE", "EQ", "AFFLE (INDIA) LIMITED", "L", None, "2020-12-01"),
    ]
    assert found.rejected.height == 0


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ("A,EQ,ONE, TWO AND CO,H", ("A", "EQ", "ONE,TWO AND CO", "H", None)),
        ("A,EQ,ONE LTD,L,Y", ("A", "EQ", "ONE LTD", "L", "Y")),
        ("A,EQ,ONE LTD,L,", ("A", "EQ", "ONE LTD", "L", None)),
        ("549  ,GS ,ONE LTD ,H ", ("549", "GS", "ONE LTD", "H", None)),
    ],
)
def test_hit_with_commas_in_the_name_or_an_index_flag(row: str, fields: tuple[str | None, ...]) -> None:
    content = bundle(bh011220=f"{pr_bundle.HIT_HEADER}\n{row}\n")
    assert pr_bundle.read_hits("PR.zip", content, SESSION).rows.row(0)[1:6] == fields


def test_hit_without_a_side_is_rejected_with_its_line() -> None:
    found = pr_bundle.read_hits("PR.zip", bundle(bh011220=HIT + "ABC,EQ,ABC LIMITED\n"), SESSION)
    assert found.rejected.select("row_number", "row").rows() == [(4, "ABC,EQ,ABC LIMITED")]
    assert found.row_count == 3


def test_extremes_take_the_symbol_only_from_a_unique_price_row() -> None:
    found = pr_bundle.read_extremes("PR.zip", bundle(HL011220=HIGHS, Pd011220=PRICES), SESSION)
    assert found.rows.select("SECURITY", "NEW", "NEW_STATUS", "SYMBOL", "SERIES").rows() == [
        ("ADANI GAS LIMITED", "371.8", "H", "ADANIGAS", "EQ"),
        ("TWIN LTD", "5", "L", None, None),
    ]


def test_price_row_with_commas_in_the_name() -> None:
    row = "N,EQ,ABC,ONE, TWO AND CO,     1,     1,     9,     8,     1,1,1,N, ,1,1,1\n"
    found = pr_bundle.prices("PR.zip", bundle(pd011220=f"{pr_bundle.PRICE_HEADER}\n{row}"), SESSION)
    assert found.rows() == [("ABC", "EQ", "ONE,TWO AND CO", 1.0, 9.0, 8.0)]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"bh011220": ""}, "the file is empty"),
        ({"bh011220": pr_bundle.HIT_HEADER + "\n"}, "does not say that no security hit its band"),
        ({"bh011220": HIT[:-4]}, "cut off"),
        ({"bh011220": HIT.replace("SECURITY", "NAME")}, "new columns 'NAME'"),
        ({"hl011220": HIGHS}, "expected one file bh"),
        ({"bh011220": HIT, "BH011220": HIT}, "found 2 of"),
        ({"bh991320": HIT}, "its name has no date"),
    ],
)
def test_bundle_is_refused(files: dict[str, str], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        pr_bundle.read_hits("PR.zip", bundle(**files), SESSION)


def test_hits_of_another_date_are_refused() -> None:
    with pytest.raises(WrongSession, match="this file is of 2020-11-27"):
        pr_bundle.read_hits("PR.zip", bundle(bh271120=HIT), SESSION)


DAMAGED = {"empty": b"", "a page": b"<html>", "no zip": b"PK\x03\x04 cut off", "cut": bundle(bh011220=HIT)[:60]}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_bundle_is_refused(content: bytes) -> None:
    with pytest.raises(FormatError):
        pr_bundle.read_hits("PR.zip", content, SESSION)


def test_real_bundles(nse_products: Path) -> None:
    paths = sorted((nse_products / "archives/equities/bhavcopy/pr").glob("PR*.zip"))
    assert len(paths) == 14
    hits = extremes = unnamed = 0
    for path in paths:
        session, content = datetime.strptime(path.stem[2:], "%d%m%y").date(), path.read_bytes()  # noqa: DTZ007
        found, new = (read(path.name, content, session) for read in (pr_bundle.read_hits, pr_bundle.read_extremes))
        assert found.rejected.height == new.rejected.height == 0
        hits, extremes = hits + found.rows.height, extremes + new.rows.height
        unnamed += new.rows["SYMBOL"].null_count()
    assert (hits, extremes, unnamed) == (5547, 1020, 2)  # lines of the files, counted by wc
