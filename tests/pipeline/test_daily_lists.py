"""The lists of every session: from the archive to lake and warehouse; a missing or broken one never stops the bars."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from archive_server import page, serving
from copies import with_warehouse

import champion as ch
from champion import warehouse
from champion.contracts.datasets import (
    BAN_LIST,
    BARS,
    CIRCUIT_HITS,
    EXTREMES,
    INDEX_BARS,
    INDEX_HISTORY,
    LOTS,
    MARKET_ACTIVITY,
    PRICE_BANDS,
)
from champion.errors import ArchiveError, UsageError
from champion.lake import Lake
from champion.market.identity.isin import check_digit
from champion.market.reference import lots
from champion.market.reference.benchmarks import error_by_year
from champion.market.reference.rolling_lists import merged_history
from champion.modeling.universe import BANDS, Universe
from champion.pipeline.ingest import symbol_changes, symbol_master
from champion.pipeline.ingest.datasets import LIST_SPECS, LISTS
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.maintenance.load_warehouse import load
from champion.pipeline.models import portfolio
from champion.pipeline.reference import as_known, daily_lists, index_lists, rolling_lists, universe_lists
from champion.pipeline.reference.benchmarks import BENCHMARKS, Basis
from champion.settings import Settings
from champion.simulate import SimulatedArchive
from champion.sources.lists import daily
from champion.sources.lists.index_list import index_names
from champion.sources.table import Publication

START, END = date(2024, 5, 6), date(2024, 5, 15)
ALL = (PRICE_BANDS, BAN_LIST, CIRCUIT_HITS, EXTREMES, MARKET_ACTIVITY)


@pytest.fixture(scope="module")
def loaded(archive: SimulatedArchive, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with bars and lists of eight sessions; tests only read it."""
    settings = Settings(home=tmp_path_factory.mktemp("lists"), archive=str(archive.root))
    ingest(Lake(settings.lake), fetch(settings, START, END).staged).require_complete()
    result = daily_lists.refresh(settings, START, END)
    assert result.refused == []
    rolling_lists.refresh_lots(settings)
    rolling_lists.refresh_histories(settings)
    return settings


@pytest.fixture
def workspace(archive: SimulatedArchive, tmp_path: Path) -> Settings:
    """A workspace with one session of bars, and an archive of one session that tests may change."""
    of_session = ("06052024", "060524", "20240506", "EQUITY_L", "symbolchange")
    for path in archive.root.rglob("*"):
        if path.is_file() and any(text in path.name for text in of_session):
            target = tmp_path / "archive" / path.relative_to(archive.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    settings = Settings(home=tmp_path / "home", archive=str(tmp_path / "archive"))
    ingest(Lake(settings.lake), fetch(settings, START, START).staged).require_complete()
    return settings


def test_every_session_has_every_list(loaded: Settings) -> None:
    lake = Lake(loaded.lake)
    sessions = lake.sessions(BARS)
    daily, (of_lots, of_histories) = daily_lists.coverage(lake)[:-2], daily_lists.coverage(lake)[-2:]
    assert [each.publication for each in daily] == [one.name for one in LISTS]
    assert (of_lots.dataset, of_lots.sessions, of_lots.gaps) == (LOTS, 1, None)
    assert (of_histories.dataset, of_histories.behind) == (INDEX_HISTORY, 0)
    for each in daily:
        assert (each.sessions, each.first, each.last) == (len(sessions), sessions[0], sessions[-1])
        assert (each.gaps, each.behind) == (0, 0)
    assert [lake.sessions(spec.quarantine) for spec in LIST_SPECS] == [[]] * len(LIST_SPECS)
    again = daily_lists.refresh(loaded, START, END)
    assert (again.written, again.already, again.missing) == (0, len(sessions) * len(LISTS), {})


def test_price_bands_of_a_session_are_those_of_the_list_before(loaded: Settings) -> None:
    lake = Lake(loaded.lake)
    bands = as_known.price_bands(lake, date(2024, 5, 8))
    assert bands["list_date"].unique().to_list() == [date(2024, 5, 7)]
    traded = lake.scan(BARS, date(2024, 5, 8), date(2024, 5, 8)).filter(pl.col("series") != "T0").collect()
    assert traded.join(bands, on="instrument_id", how="anti").height == 0
    assert bands.filter(band_kind="dynamic")["band_percent"].to_list() == [None]
    assert set(bands["band_percent"].drop_nulls()) <= {10, 20, 40}
    with pytest.raises(UsageError, match="Lists cover the sessions 2024-05-07 to 2024-05-16"):
        as_known.price_bands(lake, START)
    with pytest.raises(UsageError, match="No list of price bands applies"):
        as_known.price_bands(lake, date(2024, 5, 8), known_at=datetime(2024, 5, 7, tzinfo=UTC))


def test_band_prices_hold_every_bar_of_the_covered_sessions(loaded: Settings) -> None:
    lake = Lake(loaded.lake)
    limits = as_known.band_prices(lake, START, END)
    assert limits["trade_date"].unique().sort().to_list() == lake.sessions(BARS)[1:]  # no list before the first
    bars = lake.scan(BARS).collect().join(limits, on=["trade_date", "instrument_id"])
    assert bars.filter((pl.col("high") > pl.col("upper_band")) | (pl.col("low") < pl.col("lower_band"))).is_empty()
    free = bars.filter(pl.col("upper_band").is_infinite())
    assert free["instrument_id"].n_unique() == 1
    assert as_known.band_prices(lake, START, START).is_empty()
    assert as_known.band_prices(lake, START, END, datetime(2024, 5, 7, tzinfo=UTC)).is_empty()  # read later


def test_an_account_trades_by_published_bands(loaded: Settings, tmp_path: Path) -> None:
    lake, made = Lake(loaded.lake), Lake(tmp_path)
    day = lake.sessions(BARS)[4]
    limits = as_known.band_prices(lake, day, day).filter(pl.col("upper_band").is_finite())
    bars = lake.scan(BARS, day, day).filter(pl.col("series") == "EQ").collect().join(limits, on="instrument_id")
    moves = bars.filter(pl.col("low") < pl.col("high")).sort("instrument_id")
    (up, upper), (down, lower) = (
        moves["instrument_id", "upper_band"].row(0),
        moves["instrument_id", "lower_band"].row(1),
    )
    price, name = lake.scan(BARS).collect_schema()["close"], pl.col("instrument_id")
    changed = (
        pl.when(name == up).then(pl.lit(upper, price)).when(name == down).then(pl.lit(lower, price)).otherwise("close")
    )
    for session in lake.sessions(BARS):
        copy = lake.scan(BARS, session, session).collect()
        if session == day:
            copy = copy.with_columns(close=changed)
            copy = copy.with_columns(high=pl.max_horizontal("high", "close"), low=pl.min_horizontal("low", "close"))
        made.write(BARS, session, copy, {"copy": "bars"})
        if (bands := lake.scan(PRICE_BANDS, session, session).collect()).height:
            made.write(PRICE_BANDS, session, bands, {"copy": "bands"})
    scores = moves.select(trade_date=pl.lit(START), instrument_id=name, score=pl.lit(1.0))
    for where, expected in ((lake, [[], []]), (made, [[up], [down]])):
        market = portfolio.market(where, scores, after=100)
        row, names = market.sessions.index(day), np.array(market.instruments)
        found = [names[flags[row]].tolist() for flags in (market.locked_up, market.locked_down)]
        assert found == expected, "a close at the band counts as locked, though the session traded below it"


def test_session_without_bars_ends_the_list_before_it(loaded: Settings, tmp_path: Path) -> None:
    """Bars of 2024-05-09 are missing, but its other lists are not: the bands of 05-10 are those of 05-09."""
    whole, holed, missing = Lake(loaded.lake), Lake(tmp_path), date(2024, 5, 9)
    for name in (BARS, PRICE_BANDS, CIRCUIT_HITS):
        for day in whole.sessions(name):
            if (name, day) != (BARS, missing):
                holed.write(name, day, whole.scan(name, day, day).collect(), {"copy": name})
    after = as_known.price_bands(holed, "2024-05-10")
    assert after["list_date"].unique().to_list() == [missing]
    assert after.sort("symbol").equals(as_known.price_bands(whole, "2024-05-10").sort("symbol"))
    limits, all_limits = (as_known.band_prices(lake, "2024-05-08", "2024-05-15") for lake in (holed, whole))
    assert limits.equals(all_limits.filter(pl.col("trade_date") != missing))
    shutil.rmtree(holed.files(PRICE_BANDS, missing, missing)[0].parent)
    with pytest.raises(UsageError, match="it would be dated 2024-05-09"):
        as_known.price_bands(holed, "2024-05-10")


def test_universe_of_bands_has_the_securities_whose_list_says_so(loaded: Settings) -> None:
    lake = Lake(loaded.lake)
    rows = lake.scan(BARS, lake.sessions(BARS)[1], END).select("instrument_id", "trade_date").collect()
    parts = {band: universe_lists.keep(rows, lake, Universe(bands=(band,))) for band in BANDS}
    assert sum(part.height for part in parts.values()) == rows.join(pl.concat(parts.values()), on=rows.columns).height
    for day in rows["trade_date"].unique():
        listed = as_known.price_bands(lake, day).filter(pl.col("band_kind") == "dynamic")["instrument_id"]
        assert set(parts["none"].filter(trade_date=day)["instrument_id"]) <= set(listed)
    assert parts["none"].height == rows["trade_date"].n_unique()
    assert parts["20"].height
    assert universe_lists.keep(rows, lake, Universe()).equals(rows)
    first = lake.scan(BARS, START, START).select("instrument_id", "trade_date").collect()
    with pytest.raises(
        UsageError, match=r"no list applies to 2024-05-06 .*cover the sessions 2024-05-07 to 2024-05-16"
    ):
        universe_lists.keep(first, lake, Universe(bands=("20",)))
    held = lake.sessions(BARS)
    universe_lists.require_known(lake, Universe(bands=("20",)), held[1:])
    universe_lists.require_known(lake, Universe(bands=("20",), min_turnover=1.0), held)  # no share has 20 bars yet
    with pytest.raises(UsageError, match="no list applies to 2024-05-06"):
        universe_lists.require_known(lake, Universe(bands=("20",)), held)
    with pytest.raises(UsageError, match="no list of 'NIFTY 50': it has lists of none"):
        universe_lists.require_known(lake, Universe(index="NIFTY 50"))
    with pytest.raises(UsageError, match="no sector is called 'Banks': there are Automobile"):
        universe_lists.require_known(lake, Universe(sectors=("Banks",)))
    before, after = (universe_lists.digests(lake, Universe(bands=("20",)), day) for day in (START, END))
    assert before != after


def test_ban_list_of_nil_is_an_empty_session(loaded: Settings) -> None:
    lake = Lake(loaded.lake)
    rows = {session: lake.rows(BAN_LIST, session, session) for session in lake.sessions(BAN_LIST)}
    assert 0 in rows.values()
    empty = next(session for session, count in rows.items() if count == 0)
    assert as_known.banned(lake, empty) == frozenset()
    with pytest.raises(UsageError, match="No ban list of 2024-05-16: unknown, not empty"):
        as_known.banned(lake, date(2024, 5, 16))


def test_market_activity_equals_the_index_closes(loaded: Settings) -> None:
    lake = Lake(loaded.lake)
    activity, closes = (lake.scan(name).collect() for name in (MARKET_ACTIVITY, INDEX_BARS))
    both = activity.join(closes, on=["index_id", "trade_date"], suffix="_closes")
    assert both.height == closes.height == activity.height - len(lake.sessions(BARS))  # it has one index more
    assert (both["close"] - both["close_closes"]).abs().max() == pytest.approx(0, abs=1e-9)
    equal = ch.benchmark("NIFTY50 EQUAL WEIGHT", START, END, lake=lake)
    levels = activity.filter(index_id="NSE:NIFTY50 EQUAL WEIGHT").sort("trade_date")["close"]
    assert (equal["basis"][0], equal["level"].to_list()) == ("price", levels.to_list())


@pytest.mark.parametrize("name", ["NIFTY 50", "Nifty 500", "NIFTY50 EQL Wgt"])
def test_benchmark_covers_the_sessions_of_the_lake(loaded: Settings, name: str) -> None:
    lake = Lake(loaded.lake)
    sessions = lake.sessions(BARS)
    whole = ch.benchmark(name, START, END, lake=lake)
    assert whole["trade_date"].to_list() == sessions
    levels, returns = whole["level"].to_list(), whole["daily_return"].to_list()
    assert returns[0] is None  # the lake has no session before
    assert returns[1:] == pytest.approx([after / before - 1 for before, after in pairwise(levels)], abs=1e-15)
    part = ch.benchmark(name, sessions[3], sessions[5], lake=lake)
    assert part["daily_return"].to_list() == pytest.approx(returns[3:6], abs=1e-12)
    assert whole["basis"].unique().to_list() == [BENCHMARKS[whole["index_id"][0].removeprefix("NSE:")]]


def test_benchmark_of_each_basis_is_its_source(loaded: Settings) -> None:
    lake = Lake(loaded.lake)
    values = merged_history(lake.scan(INDEX_HISTORY).collect(), "NSE:NIFTY 50")
    values = values.filter(pl.col("trade_date").is_in(lake.sessions(BARS)))
    assert ch.benchmark("NIFTY 50", START, END, lake=lake)["level"].equals(values["total_return"], check_names=False)
    price = ch.benchmark("CNX Nifty", START, END, "price", lake=lake)
    assert price["level"].equals(values["close"], check_names=False)
    estimate = ch.benchmark("NIFTY 50", START, END, "estimated", lake=lake)
    income = estimate["daily_return"] - price["daily_return"]
    assert income.drop_nulls().is_between(0, 0.001).all()
    assert income.drop_nulls().max() > 0


def test_benchmark_outside_its_values_is_refused_with_the_covered_sessions(loaded: Settings, tmp_path: Path) -> None:
    lake = Lake(loaded.lake)
    with pytest.raises(UsageError, match="the lake has no session from 2024-06-01 to 2024-06-30"):
        ch.benchmark("NIFTY 50", "2024-06-01", "2024-06-30", lake=lake)
    with pytest.raises(
        UsageError, match=r"NIFTY AUTO .price. has no value on 8 of 8 sessions.*covered: none.*NIFTY 500"
    ):
        ch.benchmark("NIFTY AUTO", START, END, "price", lake=lake)
    with pytest.raises(UsageError, match="no usual basis for 'NIFTY AUTO': choose one of published, estimated, price"):
        ch.benchmark("NIFTY AUTO", START, END, lake=lake)
    gap = Lake(tmp_path)
    days = lake.sessions(BARS)
    for day in days:
        gap.write(BARS, day, lake.scan(BARS, day, day).head(1).collect(), {"copy": "bars"})
        if day != days[4]:
            gap.write(MARKET_ACTIVITY, day, lake.scan(MARKET_ACTIVITY, day, day).collect(), {"copy": "reports"})
    name, covered = "NIFTY50 EQUAL WEIGHT", f"covered: {days[0]} to {days[3]}, {days[5]} to {days[-1]}"
    with pytest.raises(UsageError, match=f"1 of 8 sessions, first {days[4]}; {covered}"):
        ch.benchmark(name, START, END, lake=gap)
    found = ch.benchmark(name, START, END, lake=gap, allow_gaps=True)
    assert [place for place, level in enumerate(found["level"]) if level is None] == [4]
    assert [place for place, change in enumerate(found["daily_return"]) if change is None] == [0, 4, 5]


def test_hits_and_extremes(loaded: Settings) -> None:
    lake = Lake(loaded.lake)
    assert lake.scan(CIRCUIT_HITS).select("symbol", "series", "side").unique().collect().rows() == [
        ("772GS2055", "GS", "high")
    ]
    extremes = lake.scan(EXTREMES).collect()
    unnamed = extremes.filter(pl.col("instrument_id").is_null())
    assert unnamed["security_name"].unique().to_list() == ["KAVERI NIFTY NEXT 50 ETF"]
    named = extremes.drop_nulls("instrument_id").join(
        lake.scan(BARS).collect(), on=["instrument_id", "trade_date"], suffix="_bar"
    )
    assert named.height == extremes.height - unnamed.height
    side = pl.when(pl.col("side") == "high").then("high").otherwise("low")
    assert named.filter(side != pl.col("price")).height == 0


def test_lots_and_histories(loaded: Settings) -> None:
    lake = Lake(loaded.lake)
    listed = lake.scan(LOTS).collect()
    assert listed.filter(kind="index")["instrument_id"].null_count() == listed.filter(kind="index").height
    assert lots.lot(listed, "NIFTY", date(2024, 8, 29), listed["list_date"][0]) == 50 if lots.covered(listed) else True
    history = merged_history(lake.scan(INDEX_HISTORY).collect(), "NSE:NIFTY 50")
    assert history.null_count().sum_horizontal().item() == 0
    bases: list[Basis] = ["estimated", "published"]
    estimate, published = (ch.benchmark("NIFTY 50", START, END, basis, lake=lake) for basis in bases)
    assert error_by_year(estimate, published)["year"].to_list() == [2024]
    assert history.select("trade_date").equals(history.select("trade_date").unique().sort("trade_date"))
    assert rolling_lists.refresh_histories(loaded).outcome == "already"
    assert rolling_lists.refresh_lots(loaded).outcome == "already"
    assert lake.rows(INDEX_HISTORY) > 0


def test_warehouse_has_the_lists(loaded: Settings, migrated: Settings) -> None:
    with_warehouse(loaded, migrated)
    rows = {result.table: result.rows for result in load(loaded, START, END)}
    lake = Lake(loaded.lake)
    assert {name: rows[name] for name in (*ALL, LOTS, INDEX_HISTORY)} == {
        name: lake.rows(name) for name in (*ALL, LOTS, INDEX_HISTORY)
    }
    text = "select count() from normalized_price_bands where band_kind = 'dynamic' and band_percent is null"
    assert warehouse.sql(loaded, text).item() == len(lake.sessions(BARS))


def test_night_requests_each_file_once_and_a_repeated_one_few(workspace: Settings) -> None:
    root, index = Path(workspace.archive), "content/indices/ind_niftybanklist.csv"
    body = [f"INE{number:03d}A0101" for number in range(12)]
    lines = [f"B{n} Ltd.,Financial Services,B{n},EQ,{one}{check_digit(one)}\n" for n, one in enumerate(body)]
    with serving() as server:
        for path in root.rglob("*"):
            if path.is_file():
                server.plan(page(path.read_bytes()), path=path.relative_to(root).as_posix())
        header = "Company Name,Industry,Symbol,Series,ISIN Code\n"
        server.plan(page("".join([header, *lines]).encode()), path=index)
        night = workspace.model_copy(
            update={"archive": server.url, "archive_pause": 0.0, "home": workspace.home.with_name("night")}
        )

        def run() -> list[str]:
            before = len(server.asked)
            symbol_changes.refresh(night)
            ingest(Lake(night.lake), fetch(night, START, START).staged).require_complete()
            daily_lists.refresh_quietly(night, START, START)
            index_lists.refresh(night)
            symbol_master.refresh(night)
            return [path for path, _, _ in server.asked[before:]]

        first, again = run(), run()
    assert len(first) == len({*first})
    bars, lists = 3, 4  # bhavcopy, full report, index closes; price bands, ban list, bundle, report
    assert len(first) == bars + lists + len(index_names()) + 3  # symbol changes, shares, lots
    assert len(first) <= 46  # as docs/howto/nse.md says
    assert index in first
    assert index not in again
    absent = len(index_names()) - 1  # a list that the archive does not have is requested again
    assert len(again) == absent + 3


def test_missing_list_is_named_and_the_others_are_loaded(workspace: Settings) -> None:
    (Path(workspace.archive) / daily.price_band_paths(START)[0]).unlink()
    result = daily_lists.refresh(workspace, START, START)
    assert (result.written, result.missing, result.refused) == (4, {"price bands": [START]}, [])
    assert result.asked == {"price bands": [f"file://{workspace.archive}/{daily.price_band_paths(START)[0]}"]}
    assert "no price bands of 1 session: 2024-05-06" in result.note
    result.require_any(START, START)
    (behind,) = (each for each in daily_lists.coverage(Lake(workspace.lake)) if each.dataset == PRICE_BANDS)
    assert (behind.sessions, behind.last, behind.gaps, behind.behind) == (0, None, None, None)


@pytest.mark.parametrize("publication", LISTS, ids=lambda one: one.name)
@pytest.mark.parametrize("content", [b"<html>404</html>", b"", b"A,B\n1,2\n"])
def test_broken_list_is_refused_and_stops_nothing(
    workspace: Settings, publication: Publication, content: bytes
) -> None:
    (Path(workspace.archive) / publication.paths(START)[0]).write_bytes(content)
    note = daily_lists.refresh_quietly(workspace, START, START)
    shared = sum(one.paths(START) == publication.paths(START) for one in LISTS)  # the bundle serves two
    assert f"{len(LISTS) - shared} lists written" in note
    assert f"{shared} refused" in note


def test_unchanged_bars_after_a_list_fails(workspace: Settings) -> None:
    before = Lake(workspace.lake).digest(BARS)
    (Path(workspace.archive) / daily.bundle_paths(START)[0]).write_bytes(b"PK\x03\x04")
    daily_lists.refresh_quietly(workspace, START, START)
    assert Lake(workspace.lake).digest(BARS) == before


def test_date_without_a_session_has_no_lists(workspace: Settings) -> None:
    result = daily_lists.refresh(workspace, date(2024, 5, 11), date(2024, 5, 12))
    assert (result.written, result.missing, result.refused) == (0, {}, [])
    with pytest.raises(ArchiveError, match="no session from 2024-05-11 to 2024-05-12 has a bhavcopy"):
        result.require_any(date(2024, 5, 11), date(2024, 5, 12))


def test_lists_that_the_archive_lacks_come_from_the_folder_of_lists(workspace: Settings, tmp_path: Path) -> None:
    paths = {one.paths(START)[0] for one in LISTS}
    for path in paths:
        target = tmp_path / "lists" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (Path(workspace.archive) / path).rename(target)
    result = daily_lists.refresh(workspace, START, START)
    assert {name: len(days) for name, days in result.missing.items()} == {one.name: 1 for one in LISTS}
    with pytest.raises(ArchiveError, match=r"no list of 1 session .*CHAMPION_LISTS"):
        result.require_any(START, START)
    with_folder = workspace.model_copy(update={"lists": str(tmp_path / "lists")})
    found = daily_lists.refresh(with_folder, START, START)
    assert (found.written, found.missing, found.refused) == (len(LISTS), {}, [])
    shutil.rmtree(tmp_path / "lists")
    (tmp_path / "lists").mkdir()
    again = daily_lists.refresh(with_folder, START, START)
    assert (again.written, again.already, again.missing) == (0, len(LISTS), {})
    assert len(staged(with_folder, START, START, LISTS)) == len(LISTS), "found again, if instruments are renamed"
