"""Views over final rows."""

from __future__ import annotations

import polars as pl
import pytest
from warehouse_rows import COUNT, JANUARY, NORMALIZED, SESSIONS, SYMBOLS, normalized

from champion import contracts, warehouse
from champion.settings import Settings


def test_symbol_master_has_traded_instruments_with_the_latest_list(loaded: Settings) -> None:
    text = "select symbol, exchange, company_name, face_value from symbol_master order by symbol"
    found = warehouse.sql(loaded, text)
    assert found.rows()[0] == ("ACME", "NSE", "Acme Ltd", 2.0)
    assert found.rows()[1:] == [(symbol, "NSE", None, None) for symbol in SYMBOLS[1:]]


def test_views_count_final_rows_only(fresh: Settings) -> None:
    later = normalized(bump=3.0).with_columns(ingest_time=pl.col("ingest_time") + pl.duration(hours=1))
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contracts.load(NORMALIZED), JANUARY, normalized(), "1")
        # A streaming insert beside the loads would insert the same keys again.
        columns = [column for column in later.columns if column != "event_id"]
        client.insert_arrow(f"champion_market.{NORMALIZED}", later.select(columns).to_arrow())
        assert warehouse.frame(client, COUNT.format(NORMALIZED)).item() == 16
        bars = warehouse.frame(client, "select * from equity_ohlc")
        summary = warehouse.frame(client, "select * from equity_ohlc_daily_summary order by trade_date")
        leaders = warehouse.frame(client, "select * from equity_volume_leaders order by trade_date, volume_rank")
    assert sorted(bars["close"].to_list()) == sorted(later["close"].to_list())
    wanted = (
        later.group_by("trade_date", "exchange")
        .agg(
            pl.len(), pl.col("volume").sum(), pl.col("turnover").sum(),
            pl.col("close").mean(), pl.col("high").max(), pl.col("low").min(),
        )
        .sort("trade_date")
    )  # fmt: skip
    for got, expected in zip(summary.rows(), wanted.rows(), strict=True):
        assert got[:4] == expected[:4]
        assert got[4:] == pytest.approx(expected[4:])
    assert leaders["symbol"].to_list() == list(reversed(SYMBOLS)) * 2
    assert leaders["pct_change"].to_list()[-1] == pytest.approx(100 / 0.9 - 100)


def test_volume_leaders_are_a_hundred_per_session(fresh: Settings) -> None:
    one = normalized(SESSIONS[:1]).head(1)
    names = [f"S{number:03d}" for number in range(130)]
    many = pl.concat(
        one.with_columns(symbol=pl.lit(name), instrument_id=pl.lit(name), volume=pl.lit(number, dtype=pl.Int64))
        for number, name in enumerate(names)
    )
    with warehouse.writer(fresh) as client:
        warehouse.load_month(client, contracts.load(NORMALIZED), JANUARY, many, "1")
        leaders = warehouse.frame(client, "select symbol from equity_volume_leaders order by volume_rank")
    assert leaders["symbol"].to_list() == names[:29:-1]
