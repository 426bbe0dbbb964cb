"""The full report: as a bhavcopy if there is no better one, and for delivery figures."""

from __future__ import annotations

import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from champion.errors import FormatError, WrongSession
from champion.pipeline.ingest.datasets import dataset_spec
from champion.pipeline.ingest.parse_file import ParsedFile, parse_file
from champion.sources import full_bhavcopy
from champion.sources.download.staging_records import Staged
from champion.sources.publications import BHAVCOPY, DELIVERY
from champion.sources.table import Publication

SESSION = date(2022, 5, 4)
# As the exchange writes them: an equity, a T-bill that is not delivered, one without a last price.
EQUITY = (
    "20MICRONS, EQ, 04-May-2022, 83.05, 84.70, 84.70, 77.55, 80.75, 79.90, 81.29, 207894, 169.01, 4916, 110453, 53.13"
)
BILL = "364D010922, TB, 04-May-2022, 98.40, 98.50, 98.50, 98.50, 98.50, 98.50, 98.50, 100, 0.10, 1, -, -"
NO_LAST = "8KMILES, BZ, 04-May-2022, 5.00, 5.10, 5.10, 5.10,  , 5.10, 5.10, 3, 0.00, 1, 1, 33.33"


def report(*rows: str) -> bytes:
    return "\n".join([*full_bhavcopy.HEADERS, *rows, ""]).encode()


def taken_apart(content: bytes, publication: Publication = DELIVERY, session: date = SESSION) -> ParsedFile:
    origin = Staged(Path("full.csv"), session, "0" * 64, datetime(2022, 5, 5, tzinfo=UTC), "full.csv")
    return parse_file(content, origin, dataset_spec(publication))


def test_the_full_report_as_bhavcopy_has_raw_columns() -> None:
    found = BHAVCOPY.read("full.csv", report(EQUITY, BILL, NO_LAST), SESSION)
    assert (found.source, found.row_count, found.rejected.height) == ("nse_cm_full", 3, 0)
    first = found.rows.row(0, named=True)
    assert first["TradDt"] == "2022-05-04"
    assert (first["TckrSymb"], first["SctySrs"], first["Src"], first["Sgmt"]) == ("20MICRONS", "EQ", "NSE", "CM")
    assert (first["PrvsClsgPric"], first["ClsPric"], first["LastPric"]) == ("83.05", "79.90", "80.75")
    assert found.rows["LastPric"].to_list()[2] is None
    assert "ISIN" not in found.rows.columns


def test_bars_have_turnover_in_rupees_exactly() -> None:
    lakhs = ["1.23", "169.01", "0.10", "0", "0.00", "12345678.91", "5.123456", "7."]
    rows = [EQUITY.replace("20MICRONS", f"S{i}").replace("169.01", text) for i, text in enumerate(lakhs)]
    bars = taken_apart(report(*rows), BHAVCOPY).normalized.sort("symbol")
    expected = [123000.0, 16901000.0, 10000.0, 0.0, 0.0, 1234567891000.0, 512345.6, 700000.0]
    assert bars["turnover"].to_list() == expected
    assert bars["source"].unique().to_list() == ["nse_cm_full"]


def test_delivery_figures() -> None:
    found = taken_apart(report(EQUITY, BILL, NO_LAST))
    assert (found.row_count, found.raw.height, found.quarantine.height) == (3, 3, 0)
    raw = found.raw.sort("SYMBOL").row(0, named=True)
    assert (raw["DATE1"], raw["TURNOVER_LACS"], raw["DELIV_QTY"], raw["DELIV_PER"]) == (SESSION, 169.01, 110453, 53.13)
    rows = found.normalized.sort("symbol").select(
        "instrument_id", "series", "volume", "delivered_volume", "delivered_share", "average_price", "trades"
    )
    assert rows.rows() == [
        ("NSE:20MICRONS", "EQ", 207894, 110453, 110453 / 207894, 81.29, 4916),
        ("NSE:364D010922:TB", "TB", 100, None, None, 98.5, 1),
        ("NSE:8KMILES", "BZ", 3, 1, 1 / 3, 5.1, 1),
    ]
    assert found.normalized["event_id"].n_unique() == 3


@pytest.mark.parametrize(
    ("row", "stage", "reason"),
    [
        (EQUITY.replace("110453", "207895"), "normalized", "delivered_is_part_of_volume"),
        (EQUITY.replace("110453", "-5"), "raw", "delivery_is_not_negative"),
        (EQUITY.replace("84.70, 84.70", "-, 84.70"), "raw", "OPEN_PRICE: '-' is not a number"),
        (EQUITY.replace("04-May", "03-May"), "raw", "DATE1: asked for 2022-05-04, found 2022-05-03"),
        (EQUITY.replace("04-May-2022", "4th May"), "raw", "DATE1: '4th May' is not a date (YYYY-MM-DD)"),
        (EQUITY.replace(", EQ", ", , EQ"), "parse", "fields: expected 15, found 16"),
        (EQUITY.replace("EQ,", ","), "raw", "SERIES is null"),
        (
            EQUITY.replace("84.70, 77.55", "77.00, 77.55").replace("81.29", "0"),
            "normalized",
            "average_price_is_positive",
        ),
        (f"{EQUITY}{EQUITY}", "parse", "fields: expected 15, found 29"),
    ],
)
def test_an_invalid_row_is_refused_and_the_others_are_kept(row: str, stage: str, reason: str) -> None:
    found = taken_apart(report(BILL, row, NO_LAST))
    assert (found.row_count, found.normalized.height) == (3, 2)
    refused = found.quarantine.row(0, named=True)
    assert (refused["row_number"], refused["stage"], refused["row"]) == (3, stage, row)
    assert reason in refused["reasons"]


@pytest.mark.parametrize("publication", [BHAVCOPY, DELIVERY], ids=lambda publication: publication.name)
def test_an_invalid_report_is_refused_whole(publication: Publication) -> None:
    with pytest.raises(WrongSession, match="asked for session 2022-05-05, the file is dated 2022-05-04"):
        taken_apart(report(EQUITY), publication, date(2022, 5, 5))
    with pytest.raises(FormatError, match="ends within line 3"):
        taken_apart(report(EQUITY, BILL)[:-8], publication)
    with pytest.raises(FormatError, match="ends within line 3"):
        taken_apart(report(EQUITY, EQUITY)[:-3], publication)  # 53.13 became 53.: a number all the same
    with pytest.raises(FormatError, match="unknown header"):
        taken_apart(report(EQUITY).replace(b", DELIV_PER", b""), publication)
    with pytest.raises(FormatError, match="no dated rows"):
        taken_apart(report(), publication)


def test_real_reports_are_kept_completely(nse: Path) -> None:
    kept = {}
    with zipfile.ZipFile(nse / "bundles/sec_bhavdata_full_2021.zip") as bundle:
        for session in (date(2021, 7, 1), date(2021, 12, 31)):
            name = next(name for name in bundle.namelist() if name.endswith(f"{session:%d%m%Y}.csv"))
            content = bundle.read(name)
            for publication in (BHAVCOPY, DELIVERY):
                found = taken_apart(content, publication, session)
                assert found.row_count == found.normalized.height == len(content.splitlines()) - 1
                kept[session, publication.name] = found.normalized
    delivery, bars = (kept[date(2021, 12, 31), name] for name in ("delivery", "bhavcopy"))
    both = delivery.join(bars, on="instrument_id", suffix="_bar")
    assert both.height == delivery.height
    assert both["volume"].equals(both["volume_bar"].alias("volume"))
    published = DELIVERY.read("full.csv", content, date(2021, 12, 31)).rows
    percent = published["DELIV_PER"].cast(pl.Float64).mean()
    computed = delivery["delivered_share"].mean()
    assert isinstance(percent, float)
    assert isinstance(computed, float)
    assert abs(100 * computed - percent) < 0.001
