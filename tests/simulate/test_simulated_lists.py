"""The simulated lists of every session have the oddities of the real ones, and Champion's parsers read them all."""

from __future__ import annotations

import zipfile
from collections import Counter
from datetime import date

import polars as pl
import pytest

from champion.simulate import SimulatedArchive
from champion.simulate.reference.daily_lists import NO_LIST_EVERY
from champion.sources.indices import INDEX_CLOSES
from champion.sources.lists import daily, fo_lots, index_history
from champion.sources.table import Publication, Published


def parsed(archive: SimulatedArchive, publication: Publication) -> dict[date, Published]:
    """Return the parsed files of all sessions that have one."""
    found = {}
    for session in archive.sessions:
        for path in publication.paths(session):
            if (file := archive.root / path).exists():
                found[session] = publication.read(file.name, file.read_bytes(), session)
    return found


def test_price_bands_change_and_some_sessions_have_no_list(archive: SimulatedArchive) -> None:
    found = parsed(archive, daily.PRICE_BANDS)
    assert len(archive.sessions) - len(found) == len(archive.sessions) // NO_LIST_EVERY > 0
    bands = pl.concat(each.rows for each in found.values())
    assert set(bands["Band"]) == {"10", "20", "40", "No Band"}
    changed = bands.filter(Band="10")["Symbol"].unique().to_list()
    assert len(changed) == 1
    assert set(bands.filter(Symbol=changed[0])["Band"]) == {"10", "20"}
    assert all(each.rejected.is_empty() for each in found.values())
    raw = (archive.root / daily.price_band_paths(archive.sessions[0])[0]).read_text()
    assert raw.count('"-\t"') == 1


def test_ban_lists_have_every_spelling_and_are_often_empty(archive: SimulatedArchive) -> None:
    found = parsed(archive, daily.BAN_LIST)
    assert list(found) == list(archive.sessions)
    empty = Counter(each.rows.is_empty() for each in found.values())
    assert empty[True] > 0 < empty[False]
    titles = {
        (archive.root / daily.ban_list_paths(session)[0]).read_text().splitlines()[0].partition(":")[2]
        for session in archive.sessions
    }
    assert {"NIL", " NIL", "NIL,", " ", ","} <= titles
    assert any(title.endswith(".") for title in titles)


def test_bundles_have_mixed_case_and_a_fund_without_a_price(archive: SimulatedArchive) -> None:
    hits, extremes = (parsed(archive, each) for each in (daily.CIRCUIT_HITS, daily.WEEK52_EXTREMES))
    assert list(hits) == list(extremes) == list(archive.sessions)
    names = set()
    for session in archive.sessions[:3]:
        with zipfile.ZipFile(archive.root / daily.bundle_paths(session)[0]) as bundle:
            names |= {name[:2] for name in bundle.namelist()}
    assert names == {"bh", "BH", "hl", "HL", "Pd", "pd", "PD"}
    rows = pl.concat(each.rows for each in extremes.values())
    assert rows.filter(pl.col("SYMBOL").is_null())["SECURITY"].unique().to_list() == ["KAVERI NIFTY NEXT 50 ETF"]
    assert rows["SYMBOL"].n_unique() > 10


def test_market_activity_repeats_the_closes_under_short_names(archive: SimulatedArchive) -> None:
    session = archive.sessions[-1]
    activity = parsed(archive, daily.MARKET_ACTIVITY)[session].rows
    closes = parsed(archive, INDEX_CLOSES)[session].rows
    assert set(activity["Index_Name"]) - set(closes["Index_Name"]) == {"NIFTY50 EQL Wgt", "Nifty50 Div Point"}
    ours, theirs = (frame.filter(Index_Name="Nifty 50") for frame in (activity, closes))
    assert float(ours["Close"].item()) == float(theirs["Closing_Index_Value"].item())


def test_lots_and_histories_are_readable(archive: SimulatedArchive) -> None:
    path = archive.root / "content/fo/fo_mktlots.csv"
    lots = fo_lots.parse(path.name, path.read_bytes())
    assert set(lots["kind"]) == {"index", "security"}
    files = sorted((archive.root / "indices/history").glob("*.csv"))
    frames = [index_history.parse(file.name, file.read_bytes()) for file in files]
    assert sorted({file.stem.partition("_")[2] for file in files}) == [
        f"{kind}_{year}" for kind in ("PE", "Price", "TRI") for year in (2023, 2024)
    ]
    total = pl.concat(frames).filter(index_name="NIFTY 50").drop_nulls("total_return").sort("trade_date")
    price = pl.concat(frames).filter(index_name="NIFTY 50").drop_nulls("close").sort("trade_date")
    assert total["trade_date"].to_list() == price["trade_date"].to_list() == list(archive.sessions)
    income = total["total_return"] / price["close"]
    assert income.diff().drop_nulls().to_list() == pytest.approx(income.diff().drop_nulls().clip(0).to_list(), abs=3e-6)
    assert income[-1] - income[0] > 0.005  # dividends only add; levels have two decimals
