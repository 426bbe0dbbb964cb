"""The list of shares: parsed or refused whole, one partition per list, no change for the same list."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from champion.errors import ArchiveError, ContractError, FormatError
from champion.lake import Lake
from champion.market.identity.symbol_history import SymbolHistory
from champion.market.symbol_master import normalize
from champion.pipeline.ingest import symbol_master
from champion.settings import Settings
from champion.sources.masters import SOURCE, parse_equity_list

HEADER = "SYMBOL,NAME OF COMPANY, SERIES, DATE OF LISTING, PAID UP VALUE, MARKET LOT, ISIN NUMBER, FACE VALUE"
MICRONS = "20MICRONS,20 Microns Limited,EQ,06-OCT-2008,5,1,INE144J01027,5"
QUOTED = '21STCENMGM,"21st Century, Management",BE,03-MAY-1995,10,1,INE253B01015,0.5'
READ_AT = datetime(2026, 8, 7, 20, 0, tzinfo=UTC)
ORIGIN = (SOURCE, "ab" * 32, READ_AT)


def published(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows, ""]).encode()


def test_rows_have_their_types() -> None:
    rows = parse_equity_list("EQUITY_L.csv", published(MICRONS, QUOTED, MICRONS.replace("06-OCT-2008", "")))
    assert rows.rows() == [
        ("20MICRONS", "20 Microns Limited", "EQ", date(2008, 10, 6), 5.0, 1, "INE144J01027", 5.0),
        ("21STCENMGM", "21st Century, Management", "BE", date(1995, 5, 3), 10.0, 1, "INE253B01015", 0.5),
        ("20MICRONS", "20 Microns Limited", "EQ", None, 5.0, 1, "INE144J01027", 5.0),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "unknown header"),
        (published(MICRONS).replace(b", FACE VALUE", b""), "unknown header"),
        (published(), "no rows"),
        (published(MICRONS)[:-1], "it was cut off"),
        (published(MICRONS, "A,B,EQ"), "1 row is not of a listed share: line 3"),
        (published(MICRONS.replace("06-OCT-2008", "2008-10-06")), "line 2"),
        (published(MICRONS.replace(",5,1,", ",nan,1,")), "line 2"),
        (published(MICRONS.replace(",5,1,", ",5,one,")), "line 2"),
        (published(MICRONS.replace("INE144J01027", " ")), "line 2"),
        (b"<html></html>", "an HTML page"),
    ],
)
def test_an_invalid_list_is_refused_whole(content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse_equity_list("EQUITY_L.csv", content)


def test_a_latin_1_name_is_read() -> None:
    rows = parse_equity_list(
        "EQUITY_L.csv", published(MICRONS.replace("Limited", "Société")).decode().encode("latin-1")
    )
    assert rows["company"].to_list() == ["20 Microns Société"]


def test_the_contract_has_all_values_of_the_list() -> None:
    row = normalize(parse_equity_list("EQUITY_L.csv", published(MICRONS)), SymbolHistory(), *ORIGIN).row(0, named=True)
    assert (row["list_date"], row["instrument_id"], row["known_at"]) == (
        date(2026, 8, 8),  # it was past midnight in India
        "NSE:20MICRONS",
        READ_AT,
    )
    with pytest.raises(ContractError, match="2 listed share"):
        normalize(
            parse_equity_list("EQUITY_L.csv", published(MICRONS, MICRONS.replace("EQ", "BE"))), SymbolHistory(), *ORIGIN
        )


def test_refresh_follows_the_archive(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    path = archive / symbol_master.EQUITY_LIST
    archive.mkdir()
    settings = Settings(home=tmp_path / "home", archive=archive.as_uri())
    assert symbol_master.refresh(settings).outcome == "absent"
    path.parent.mkdir(parents=True)
    path.write_bytes(published(MICRONS))
    assert [symbol_master.refresh(settings).outcome for _ in range(2)] == ["written", "already"]
    path.write_bytes(published(MICRONS, QUOTED))
    assert (symbol_master.refresh(settings).outcome, symbol_master.refresh(settings).rows) == ("written", 2)
    lake = Lake(settings.lake)
    assert lake.scan("normalized_symbol_master").collect()["symbol"].to_list() == ["20MICRONS", "21STCENMGM"]
    path.write_bytes(published(MICRONS, QUOTED)[:-4])
    before = sorted((settings.staging / symbol_master.EQUITY_LIST).parent.iterdir())
    with pytest.raises(ArchiveError, match="cut off"):
        symbol_master.refresh(settings)
    aside = [found for found in (settings.staging / symbol_master.EQUITY_LIST).parent.iterdir() if found not in before]
    assert [found.read_bytes() for found in aside] == [path.read_bytes()], "kept as evidence"
    assert lake.rows("normalized_symbol_master") == 2
    assert lake.verify("normalized_symbol_master") == []
    digest = lake.digest("normalized_symbol_master")
    path.write_bytes(published(MICRONS, QUOTED))
    assert symbol_master.refresh(settings).outcome == "already", "whole again, as if nothing had been"
    assert lake.digest("normalized_symbol_master") == digest


def test_the_real_list(nse: Path) -> None:
    content = (nse / symbol_master.EQUITY_LIST).read_bytes()
    frame = normalize(parse_equity_list("EQUITY_L.csv", content), SymbolHistory(), *ORIGIN)
    assert frame.height == len(content.splitlines()) - 1 == 2397
    assert frame["isin"].is_unique().all()
    assert frame.filter(pl.col("symbol") == "RELIANCE").select("series", "listed_on", "isin", "face_value").rows() == [
        ("EQ", date(1995, 11, 29), "INE002A01018", 10.0)
    ]
