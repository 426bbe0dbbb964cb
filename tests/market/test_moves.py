"""Price moves of shares: adjusted, without rights entitlements and first sessions; order of scans after a revision."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from warehouse_rows import FACTORS, JANUARY, NORMALIZED, envelope, normalized, typed

from champion import contracts, plots, warehouse
from champion.lake import Lake, seal
from champion.pipeline.ingest.share_moves import moves
from champion.pipeline.operations.session_report import session_report
from champion.settings import Settings
from champion.warehouse import adjustment_cache, queries

FIRST, EVE, EX = date(2024, 1, 12), date(2024, 1, 15), date(2024, 1, 16)


def price(session: date, symbol: str, isin: str | None, prev_close: float | None, close: float) -> pl.DataFrame:
    """Return one bar of a series EQ."""
    identity = {"instrument_id": f"NSE:{symbol}", "symbol": symbol, "entity_id": f"NSE:{symbol}", "isin": isin}
    prices = dict.fromkeys(("open", "high", "low", "close", "settlement_price"), close) | {"prev_close": prev_close}
    row = normalized((session,)).row(0, named=True) | envelope(session, symbol) | identity | prices
    return typed(NORMALIZED, [row | {"turnover": 5e6, "volume": 1000, "series": "EQ"}])


def session_bars(session: date) -> pl.DataFrame:
    """Return KOTAK (split 5 for 1 on EX) and STEADY; from EVE on two rights entitlements, on EX two listings."""
    kotak = {FIRST: (2100.0, 2100.0), EVE: (2100.0, 2133.0), EX: (2133.0, 421.0)}[session]
    rows = [price(session, "KOTAK", "INE237A01028", *kotak), price(session, "STEADY", "INE047A01021", 100.0, 101.0)]
    if session >= EVE:
        rows.append(price(session, "GRASIM-RE", "INE047A20013", 30.0, 90.0))
        rows.append(price(session, "NOISIN-RE1", None, 30.0, 3.0))
    if session == EX:
        rows += [
            price(session, "NEWCO", "INE0NEW01012", 100.0, 190.0),
            price(session, "BLANK", "INE0BLK01012", None, 5.0),
        ]
    return pl.concat(rows)


def split() -> pl.DataFrame:
    row = {"instrument_id": "NSE:KOTAK", "symbol": "KOTAK", "list_date": EX, "ex_date": EX, "kind": "split"}
    row |= {"price_factor": 5.0, "volume_factor": 5.0, "known_at": datetime(2024, 1, 1, tzinfo=UTC), "basis": "text"}
    return typed(FACTORS, [envelope(EX, "KOTAK") | row | {"detail": "", "purpose": "", "source_sha256": ""}])


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace of three sessions."""
    settings = Settings(home=tmp_path_factory.mktemp("moves") / "home")
    lake = Lake(settings.lake)
    for session in (FIRST, EVE, EX):
        lake.write(NORMALIZED, session, session_bars(session), {"file": "1"})
    lake.write(FACTORS, EX, split(), {"file": "1"})
    return settings


def test_moves_are_adjusted_and_only_of_shares_that_traded_before(market: Settings) -> None:
    found = moves(Lake(market.lake))
    last = found.filter(trade_date=EX)
    assert last["symbol"].to_list() == ["KOTAK", "STEADY"]
    assert last["change"].to_list() == pytest.approx([421.0 / (2133.0 / 5) - 1, 0.01])
    assert last["close"].to_list() == [421.0, 101.0]
    assert found["symbol"].unique().sort().to_list() == ["KOTAK", "STEADY"]
    assert found.filter(trade_date=FIRST).height == 2, "the lake's own first session is no listing"


def test_a_share_listed_before_the_range_is_not_a_listing(market: Settings) -> None:
    assert moves(Lake(market.lake), EX, EX)["symbol"].to_list() == ["KOTAK", "STEADY"]
    assert moves(Lake(market.lake), date(2024, 1, 17)).is_empty()


def test_an_empty_lake_has_no_moves(tmp_path: Path) -> None:
    assert moves(Lake(tmp_path)).is_empty()


def test_the_report_and_its_figures_show_moves(market: Settings) -> None:
    found = session_report(market, EX)
    assert found.movers["symbol"].to_list() == ["STEADY", "KOTAK"]
    assert found.movers["simple_return"].min() == pytest.approx(-0.0131, abs=1e-4)
    assert found.market == {"shares": 4, "advances": 1, "declines": 1, "turnover": 2e7, "unknown_kinds": 0}
    (ax,) = plots.breadth(found.moves).axes
    assert ax.get_title(loc="left") == "Breadth: more advances than declines in 2 of 3 sessions"


def test_the_named_query_agrees_with_the_report(market: Settings, fresh: Settings) -> None:
    bars = pl.concat(session_bars(session) for session in (FIRST, EVE, EX))
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contracts.load(NORMALIZED), JANUARY, bars, "1")
        warehouse.load_month(client, contracts.load(FACTORS), JANUARY, split(), "1")
        assert adjustment_cache.refresh(client)
    for session in (FIRST, EVE, EX):
        wanted = moves(Lake(market.lake), session, session).sort(
            pl.col("change").abs(), "symbol", descending=[True, False]
        )
        got = queries.run(fresh, "movers", {"session": session})
        assert got["symbol"].to_list() == wanted["symbol"].to_list()
        assert got["simple_return"].to_list() == pytest.approx(wanted["change"].to_list())
        assert got.select("prev_close", "close").rows() == wanted.select("prev_close", "close").rows()
        assert got["trade_date"].unique().to_list() == [session]


def test_scans_are_in_the_order_of_sessions_after_sealing_and_a_revision(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    for session in (FIRST, EVE, EX):
        lake.write(NORMALIZED, session, session_bars(session), {"file": "1"})
    seal(lake, NORMALIZED, 2024)
    lake.write(NORMALIZED, EVE, session_bars(EVE), {"file": "2"})
    assert not lake.scan(NORMALIZED).collect()["trade_date"].is_sorted()
    ordered = lake.scan(NORMALIZED, in_order=True).collect()
    assert ordered["trade_date"].to_list() == [FIRST] * 2 + [EVE] * 4 + [EX] * 6
    assert lake.scan(NORMALIZED, EX, EX, in_order=True).collect().height == 6
