"""Company shares are the default everywhere, on a simulated market with funds, rights and trusts among the shares."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest

import champion as ch
from champion import contracts, warehouse
from champion.contracts.datasets import BARS, FEATURES, SYMBOLS
from champion.errors import UsageError
from champion.lake import Lake
from champion.market.envelope import session_close
from champion.modeling.universe import UNIVERSES, Universe, stored
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.ingest import symbol_master
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.ingest.share_moves import moves
from champion.pipeline.models import frames
from champion.pipeline.operations.session_report import session_report
from champion.settings import Settings
from champion.simulate import SimulatedArchive, other_kinds, publish
from champion.sources.publications import bhavcopy_paths
from champion.warehouse import adjustment_cache, load_month

START, END = date(2024, 1, 8), date(2024, 3, 22)
SCORED = date(2024, 3, 19)
FUNDS = {"KAVERIBEES", "DECCANGOLD", "MALWALIQ", "KONKANBANK", "TAPTIMID"}
IN_SHARE_SERIES = FUNDS | {"GIRNARDVR", "SATPURA-RE"}
ELSEWHERE = {"NILGIRIPP", "KUTCHREIT", "AWADHINVIT", "MARWARPREF", "CHAMBALWAR", "BETWAFMP", "SGBKOSI28"}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> SimulatedArchive:
    """An archive whose February has no bhavcopy: its bars come from the full report, which has no ISIN."""
    made = publish(tmp_path_factory.mktemp("archive"), instruments=other_kinds.SMALLEST, start=START, end=END)
    for session in made.sessions:
        if session.month == 2:
            for path in bhavcopy_paths(session)[:2]:
                (made.root / path).unlink(missing_ok=True)
    return made


@pytest.fixture(scope="module")
def market(published: SimulatedArchive, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with the whole archive in its lake, and features of the last sessions; tests only read it."""
    settings = Settings(home=tmp_path_factory.mktemp("kinds") / "home", archive=str(published.root))
    fetch(settings, START, END)
    ingest(Lake(settings.lake), staged(settings, START, END)).require_complete()
    build_features(Lake(settings.lake), SCORED, END)
    return settings


def symbols(rows: pl.DataFrame | pl.LazyFrame) -> set[str]:
    return set(rows.lazy().select("symbol").unique().collect()["symbol"])


def test_the_market_has_what_the_defaults_leave_out(market: Settings) -> None:
    lake = Lake(market.lake)
    traded = symbols(lake.scan(BARS))
    assert traded >= IN_SHARE_SERIES | ELSEWHERE
    every = symbols(equity_bars(lake, kinds=None))
    assert every & (IN_SHARE_SERIES | ELSEWHERE) == IN_SHARE_SERIES
    without_isin = lake.scan(BARS, date(2024, 2, 1), date(2024, 2, 29)).collect()
    assert without_isin["isin"].null_count() == without_isin.height > 0


def test_bars_and_moves_are_of_company_shares_also_where_no_isin_is_published(market: Settings) -> None:
    lake = Lake(market.lake)
    shares = symbols(equity_bars(lake, kinds=None)) - IN_SHARE_SERIES
    for start, end in ((None, None), (date(2024, 2, 1), date(2024, 2, 29)), (END, END)):
        for found in (equity_bars(lake, start, end), adjusted_bars(lake, start, end), moves(lake, start, end)):
            assert symbols(found) <= shares
    assert symbols(equity_bars(lake)) == symbols(adjusted_bars(lake)) == shares
    assert symbols(equity_bars(lake, kinds=("fund",))) == FUNDS
    february = equity_bars(lake, date(2024, 2, 1), date(2024, 2, 29), kinds=("fund", "dvr")).collect()
    assert symbols(february) == FUNDS | {"GIRNARDVR"}
    assert symbols(moves(lake, kinds=("rights_entitlement",))) == {"SATPURA-RE"}
    with pytest.raises(UsageError, match="no kind of instrument is called 'etf'"):
        equity_bars(lake, kinds=("etf",))


def test_chosen_bars_are_the_bars_themselves_in_the_same_order(market: Settings) -> None:
    lake = Lake(market.lake)
    every = equity_bars(lake, kinds=None).collect()
    parts = [equity_bars(lake, kinds=(kind,)).collect() for kind in ("equity", "fund", "dvr", "rights_entitlement")]
    assert sum(part.height for part in parts) == every.height
    again = every.join(parts[0].select("instrument_id", "trade_date"), on=["instrument_id", "trade_date"], how="semi")
    assert parts[0].equals(again)


def test_the_evidence_of_a_moment_is_that_published_by_then(published: SimulatedArchive, tmp_path: Path) -> None:
    """A lake that begins in February knows no kind by ISIN before the first bhavcopy of March."""
    settings = Settings(home=tmp_path / "home", archive=str(published.root))
    fetch(settings, date(2024, 2, 20), END)
    lake = Lake(settings.lake)
    ingest(lake, staged(settings, date(2024, 2, 20), END)).require_complete()
    last = max(session for session in lake.sessions(BARS) if session.month == 2)
    small = symbols(equity_bars(lake, kinds=None).filter(pl.col("series") == "SM"))
    then, now = (symbols(equity_bars(lake, end=last, as_of=moment)) for moment in (session_close(last), None))
    assert then == small, "only the SME platform lists companies alone"
    assert now > then
    assert not now & IN_SHARE_SERIES
    unknown = symbols(equity_bars(lake, as_of=session_close(last), kinds=("unknown",)))
    assert unknown >= (now - small) | {"KAVERIBEES", "MALWALIQ"}
    assert symmetric(lake, settings) == set()


def symmetric(lake: Lake, settings: Settings) -> set[str]:
    """Return symbols that only one of bars now and bars as of the last close have."""
    last = session_close(lake.sessions(BARS)[-1])
    return symbols(equity_bars(lake)) ^ symbols(equity_bars(Lake(settings.lake), as_of=last))


def test_no_fund_is_in_a_universe_that_does_not_ask_for_it(market: Settings) -> None:
    lake = Lake(market.lake)
    for name in ("all", "liquid"):
        assert not symbols(frames.scoring_frame(lake, END, universe=UNIVERSES[name])) & IN_SHARE_SERIES
    both = frames.scoring_frame(lake, END, universe=Universe(kinds=("equity", "fund")))
    assert symbols(both) & IN_SHARE_SERIES == FUNDS - {"TAPTIMID"}, "one has ended; features of all are stored"
    before = frames.scoring_frame(lake, END, universe=Universe(kinds=()))
    assert before.height == lake.scan(FEATURES, END, END).collect().height
    rows = frames.training_frame(lake, SCORED, END, horizon=1, universe=UNIVERSES["liquid"])
    assert rows.height > 0
    assert not symbols(rows) & IN_SHARE_SERIES
    liquid_funds = frames.scoring_frame(lake, END, universe=Universe(min_turnover=5e6, kinds=("fund",)))
    assert symbols(liquid_funds) == {"KAVERIBEES", "DECCANGOLD", "MALWALIQ", "KONKANBANK"}


def test_models_of_the_same_universe_compare_whatever_version_stored_it() -> None:
    before = '{"min_age": 0, "min_close": 0.0, "min_turnover": 5000000.0, "series": []}'
    old, again, shares = (stored(text).text for text in (before, stored(before).text, UNIVERSES["liquid"].text))
    assert old == again
    assert old != shares, "one has funds, the other has not"


def test_the_session_report_counts_company_shares(market: Settings) -> None:
    report = session_report(market, END)
    shares = equity_bars(Lake(market.lake), END, END).collect()
    assert report.market["shares"] == shares.height
    assert report.market["turnover"] == pytest.approx(float(shares["turnover"].sum()))
    assert not symbols(report.bars) & IN_SHARE_SERIES
    assert not symbols(report.movers) & IN_SHARE_SERIES


def test_the_register_has_every_instrument_with_its_kind_and_life(market: Settings, tmp_path: Path) -> None:
    copy = market.model_copy(update={"home": tmp_path / "home"})
    shutil.copytree(market.home, copy.home)
    assert symbol_master.refresh(copy).outcome == "written"
    lake = Lake(copy.lake)
    found = symbol_master.register(lake)
    assert found["instrument_id"].is_sorted()
    assert found.height == lake.scan(BARS).select("instrument_id").unique().collect().height
    named = dict(found.filter(pl.col("symbol").is_in(IN_SHARE_SERIES | ELSEWHERE)).select("symbol", "status").rows())
    assert named.pop("SATPURA-RE") == named.pop("TAPTIMID") == "active", "ended less than 40 sessions ago"
    assert set(named.values()) == {"active"}
    kinds = dict(found.select("symbol", "instrument_kind").rows())
    assert {kinds[symbol] for symbol in FUNDS} == {"fund"}
    assert [kinds[one] for one in ("GIRNARDVR", "KUTCHREIT", "NILGIRIPP")] == ["dvr", "reit_invit", "partly_paid"]
    assert "unknown" not in kinds.values()
    listed = lake.scan(SYMBOLS).collect()
    assert listed["instrument_kind"].unique().to_list() == ["equity"]
    shares = found.join(listed, on="instrument_id", how="semi")
    assert shares["company"].null_count() == shares["face_value"].null_count() == shares["listed_on"].null_count() == 0
    early = symbol_master.register(lake, date(2024, 1, 15))
    assert early["last_session"].max() == date(2024, 1, 15)
    assert early["company"].null_count() == early.height, "the list was first read later"
    assert "KONKANBANK" not in symbols(early)


def test_the_warehouse_agrees_with_the_register(market: Settings, fresh: Settings) -> None:
    lake = Lake(market.lake)
    with warehouse.writer(fresh) as client:
        for month in (1, 2, 3):
            first = date(2024, month, 1)
            bars = lake.scan(BARS, first, date(2024, month, 29)).collect()
            load_month(client, contracts.load(BARS), first, bars, "1")
        assert adjustment_cache.refresh(client)
        assert not adjustment_cache.refresh(client)
    got = warehouse.sql(fresh, "select * from instruments order by instrument_id")
    kept = lake.sessions(BARS)
    wanted = symbol_master.register(lake)
    shared = ["instrument_id", "symbol", "isin", "series", "instrument_kind", "first_session", "last_session", "status"]
    assert kept[-1] == END
    assert got.select(shared).rows() == wanted.select(shared).rows()
    registered = warehouse.sql(fresh, "select symbol, instrument_type, is_active from symbol_master order by symbol")
    in_share_series = wanted.join(equity_bars(lake, kinds=None).collect(), on="instrument_id", how="semi")
    assert set(registered["symbol"]) == symbols(in_share_series)


def test_instruments_of_a_notebook_are_chosen_by_kind(market: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAMPION_HOME", str(market.home))
    ch.workspace.settings.cache_clear()
    assert symbols(ch.instruments(kinds=("fund",))) == FUNDS | {"BETWAFMP"}
    assert symbols(ch.share_moves(END, END, kinds=("dvr",))) <= {"GIRNARDVR"}
    assert not symbols(ch.scan_adjusted(END)) & IN_SHARE_SERIES
    ch.workspace.settings.cache_clear()
