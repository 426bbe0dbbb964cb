"""The adjusted bars of the warehouse equal those of Polars, on the simulated archive and in edge cases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import polars as pl
import pytest
from copies import with_warehouse
from polars.testing import assert_frame_equal
from warehouse_rows import FACTORS, JANUARY, NORMALIZED, SESSIONS, envelope, factors, normalized, typed

from champion import contracts, warehouse
from champion.lake import Lake
from champion.market.actions.adjustment import adjust
from champion.market.equity_bars import EQUITY_SERIES
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.maintenance.load_warehouse import load
from champion.settings import Settings
from champion.warehouse import adjustment_cache
from champion.warehouse.engine.database import Executor

START, END = date(2023, 11, 1), date(2024, 8, 30)
ORDER = ["instrument_id", "trade_date"]
VIEWS = {"equity_adjusted": False, "equity_total_return": True}


@pytest.fixture(scope="module")
def market(known: Settings, migrated: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The lake of the simulated workspace, and its bars and factors in a separate warehouse."""
    made = with_warehouse(known.model_copy(update={"home": tmp_path_factory.mktemp("adjusted") / "home"}), migrated)
    made.lake.symlink_to(known.lake)
    load(made, START, END, (NORMALIZED, FACTORS))
    return made


def view(client: Executor, name: str) -> pl.DataFrame:
    text = f"select * except (event_id) from {name} order by instrument_id, trade_date"
    return warehouse.frame(client, text).cast({"is_trading_day": pl.Boolean})


@pytest.mark.parametrize(("name", "total_return"), VIEWS.items())
def test_views_equal_adjusted_bars_bit_for_bit(market: Settings, name: str, total_return: bool) -> None:
    wanted = adjusted_bars(Lake(market.lake), total_return=total_return).drop("event_id").sort(ORDER)
    with warehouse.reader(market) as client:
        assert_frame_equal(view(client, name), wanted, check_exact=True)
        moved = warehouse.frame(client, f"select * from {name} where adjustment_factor <> 1")
        kinds = warehouse.frame(client, "select distinct kind from adjustment_factors")["kind"].to_list()
    assert moved.height > 0
    assert {"split", "bonus", "consolidation", "rights", "demerger", "dividend"} <= set(kinds)
    names = moved.group_by("instrument_id").agg(pl.col("symbol").n_unique())
    everywhere = wanted.group_by("instrument_id").agg(pl.col("symbol").n_unique()).filter(pl.col("symbol") > 1)
    assert everywhere.join(names, on="instrument_id", how="semi").height > 0, "a renamed instrument is adjusted"


@pytest.mark.parametrize("name", VIEWS)
def test_filtered_view_returns_rows_of_the_full_view(market: Settings, name: str) -> None:
    with warehouse.reader(market) as client:
        everything = view(client, name)
        one = everything.filter(pl.col("adjustment_factor") != 1)["symbol"][0]
        text = f"select * except (event_id) from {name} where symbol = {{s:String}} and trade_date < '2024-02-01'"
        got = warehouse.frame(client, text, {"s": one}).cast({"is_trading_day": pl.Boolean}).sort(ORDER)
    wanted = everything.filter((pl.col("symbol") == one) & (pl.col("trade_date") < date(2024, 2, 1)))
    assert_frame_equal(got, wanted, check_exact=True)


def dated(*rows: tuple[str, date, date, float]) -> pl.DataFrame:
    """Return splits: instrument, date of the list, ex-date, factor."""
    row: dict[str, object] = {"kind": "split", "basis": "text", "detail": "", "purpose": "", "source_sha256": ""}
    row |= {"known_at": datetime(2024, 1, 1, tzinfo=UTC)}
    named = ("instrument_id", "list_date", "ex_date", "price_factor")
    splits = [row | envelope(one[1], one[0]) | dict(zip(named, one, strict=True)) for one in rows]
    return typed(FACTORS, [one | {"symbol": "", "volume_factor": one["price_factor"]} for one in splits])


def edges() -> Iterator[tuple[str, pl.DataFrame, pl.DataFrame]]:
    """Yield rare cases of bars and factors of the latest list."""
    first, last = SESSIONS
    bars, read = normalized(), date(2024, 1, 20)
    yield "no factors", bars, dated()
    yield "before the first bar", bars, dated(("NSE:ACME", read, date(2020, 1, 1), 5.0))
    yield "on the first bar", bars, dated(("NSE:ACME", read, first, 5.0))
    yield "after the last bar", bars, dated(("NSE:ACME", read, date(2024, 1, 17), 5.0))
    yield "two at once", bars, dated(("NSE:ACME", read, last, 5.0)).vstack(factors()[1:2].with_columns(list_date=read))
    gone = bars.filter((pl.col("symbol") != "ACME") | (pl.col("trade_date") == first))
    yield "gone by the ex-date", gone, dated(("NSE:ACME", read, last, 5.0))
    suspended = normalized((date(2024, 1, 10), first, last)).filter(
        (pl.col("symbol") != "ACME") | (pl.col("trade_date") != first)
    )
    yield "suspended over the ex-date", suspended, dated(("NSE:ACME", read, date(2024, 1, 12), 3.0))
    yield "of another series", bars, dated(("NSE:ZED'S", read, last, 2.0))


@pytest.fixture(scope="module")
def month(migrated: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A warehouse of one month; each test replaces all of its bars and factors."""
    return with_warehouse(Settings(home=tmp_path_factory.mktemp("edges") / "ws"), migrated)


@pytest.mark.parametrize(("name", "bars", "known"), [pytest.param(*case, id=case[0]) for case in edges()])
def test_edges_are_adjusted_like_polars(month: Settings, name: str, bars: pl.DataFrame, known: pl.DataFrame) -> None:
    older = dated(("NSE:BETA", date(2024, 1, 5), SESSIONS[1], 7.0)) if known.height else known  # a list since replaced
    with warehouse.writer(month) as client:
        warehouse.load_month(client, contracts.load(NORMALIZED), JANUARY, bars, name)
        warehouse.load_month(client, contracts.load(FACTORS), JANUARY, pl.concat([older, known]), name)
        assert adjustment_cache.refresh(client)
        assert not adjustment_cache.refresh(client)
        got = view(client, "equity_adjusted")
    shares = bars.filter(pl.col("series").is_in(EQUITY_SERIES))
    assert_frame_equal(got, adjust(shares, known).drop("event_id").sort(ORDER), check_exact=True)
