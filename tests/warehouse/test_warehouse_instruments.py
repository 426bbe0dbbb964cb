"""Kinds and lives in the warehouse are those of Python, and the registry of symbols has every column of its page."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from warehouse_rows import FRAMES, MASTER, NORMALIZED, envelope, master, normalized, sample, typed

from champion import contracts, warehouse
from champion.contracts.datasets import ACTIONS, CIRCUIT_HITS, CONSTITUENTS, EXTREMES, PRICE_BANDS, SECTORS
from champion.lake import Lake
from champion.market.envelope import session_close
from champion.market.reference import company_names
from champion.market.reference.life import QUIET
from champion.pipeline.ingest import symbol_master
from champion.settings import Settings
from champion.warehouse import adjustment_cache
from champion.warehouse.engine.database import Executor

SESSIONS = [date(2024, 1, 1) + timedelta(days=number) for number in range(60)]
FIRST_LIST, SECOND_LIST = date(2024, 2, 1), date(2024, 3, 15)
TRADED: dict[str, tuple[str, str | None, int, int]] = {  # symbol: series, ISIN, first and last session
    "STAY": ("EQ", "INE002A01018", 0, 59),
    "QUIET": ("EQ", "INE117A01022", 0, 59 - QUIET + 1),
    "GONE": ("BE", "INE237A01028", 0, 59 - QUIET),
    "HELD": ("BZ", "INE047A01021", 0, 5),
    "OLDNAME": ("EQ", "INE602A01023", 0, 9),
    "NEWNAME": ("BE", "INE602A01031", 12, 59),
    "FORMER": ("EQ", "INE111Q01013", 0, 5),
    "LATTER": ("EQ", "INE111Q01021", 10, 19),
    "THIRD": ("EQ", "INE111Q01039", 12, 59),
    "SMALL": ("SM", "INE0D0U01013", 0, 5),
    "FUND": ("EQ", "INF204KB14I2", 3, 59),
    "ENDED": ("EQ", "INF846K01X63", 0, 5),
    "TATADVR": ("EQ", "IN9155A01020", 0, 59),
    "SCAPDVR": ("EQ", "INE224E01036", 0, 59),
    "ACME-RE": ("BE", "INE647O20011", 10, 15),
    "BLANK-RE1": ("BE", None, 10, 15),
    "BYLIST": ("EQ", None, 0, 59),
    "NEVER": ("EQ", None, 0, 59),
    "LOAN": ("N3", "INE583D07257", 0, 59),
    "GOLD": ("GB", "IN0020150085", 0, 59),
    "BILL": ("TB", "IN002023Y185", 0, 59),
    "PARTLY": ("E1", "IN9397D01014", 0, 59),
    "OFFICE": ("RR", "INE041025011", 0, 59),
    "ODD": ("EQ", "INE000099012", 0, 59),
}
WINDOWS = {  # symbol and series: the instrument of which it is a window
    "STAY BL": "NSE:STAY", "STAY T0": "NSE:STAY", "GONE BO": "NSE:GONE", "OFFICE BL": "NSE:OFFICE:RR", "ALONE BL": None,
}  # fmt: skip


def bars() -> pl.DataFrame:
    """Return bars of the instruments; BOTH has the ISIN of a share, then of a fund; LATER gets its ISIN at the end."""
    windows: dict[str, tuple[str, str | None, int, int]] = {
        name: (name[-2:], None if name == "GONE BO" else TRADED.get(name[:-3], ("", "INE010A01011"))[1], 0, 3)
        for name in WINDOWS
    }
    spans = {**TRADED, **windows, "BOTH": ("EQ", "INE100D01014", 0, 59), "LATER": ("EQ", None, 0, 59)}
    rows = []
    for key, (series, isin, first, last) in spans.items():
        symbol = key.partition(" ")[0]
        name = f"NSE:{symbol}" if series in {"EQ", "BE", "BZ", "SM"} else f"NSE:{symbol}:{series}"
        for number in range(first, last + 1):
            known = {"BOTH": "INF204KB14I2" if number > 30 else isin, "LATER": "INE001A01036" if number > 50 else None}
            row = envelope(SESSIONS[number], name) | {"instrument_id": name, "symbol": symbol, "series": series}
            rows.append(row | {"trade_date": SESSIONS[number], "isin": known.get(symbol, isin), "exchange": "NSE"})
    frame = normalized().head(1).drop("instrument_id", "symbol", "series", "trade_date", "isin", "exchange")
    return pl.DataFrame(
        [{**frame.drop("event_id", "event_time", "entity_id").row(0, named=True), **row} for row in rows],
        schema=contracts.load(NORMALIZED).polars_schema,
    )


def lists() -> pl.DataFrame:
    """Return two lists of shares; the second has lost GONE, and has a share that never traded."""
    row = master().row(0, named=True)
    held = {
        FIRST_LIST: {"STAY": "INE002A01018", "GONE": "INE237A01028", "HELD": "INE047A01021", "BYLIST": "INE144J01027"},
        SECOND_LIST: {"STAY": "INE002A01018", "HELD": "INE047A01021", "BYLIST": "INE144J01027", "NEW": "INE253B01015"},
    }
    named = [
        {**row, "symbol": symbol, "instrument_id": f"NSE:{symbol}", "isin": isin, "list_date": day, "company": symbol}
        | {"listed_on": date(2001, 2, 3), "face_value": 2.0 if day == FIRST_LIST else 1.0, "instrument_kind": "equity"}
        for day, of_day in held.items()
        for symbol, isin in of_day.items()
    ]
    return typed(MASTER, named)


def periods() -> pl.DataFrame:
    """Return periods of sectors: STAY changed its industry, HELD lost it, NEW never traded, ODD has none."""
    row = FRAMES[SECTORS]().row(0, named=True)
    held = [
        ("STAY", "IT", "Information Technology", date(2020, 1, 1), date(2022, 8, 16)),
        ("STAY", "Information Technology", "Information Technology", date(2022, 8, 16), None),
        ("HELD", "PHARMA", "Healthcare", date(2020, 1, 1), date(2023, 1, 2)),
        ("HELD", None, "Unknown", date(2023, 1, 2), None),
        ("NEW", "Power", "Power", date(2024, 3, 10), None),
        ("ODD", None, "Unknown", date(2020, 1, 1), None),
    ]
    named = [
        {**row, "instrument_id": f"NSE:{symbol}", "symbol": symbol, "industry": industry, "sector": sector}
        | {"sector_from": first, "sector_until": until, "list_date": SECOND_LIST}
        for symbol, industry, sector, first, until in held
    ]
    return typed(SECTORS, named)


def names() -> dict[str, pl.DataFrame]:
    """Return rows of the other lists with names; the later name of a symbol is sometimes cut.

    The list that names ODD is kept under a date four days before it was read.
    """
    listed = {
        CONSTITUENTS: [("HELD", "Not this", 20), ("OLDNAME", "Old Ltd.", 5), ("ODD", "Odd Ltd.", 4)],
        ACTIONS: [("OLDNAME", "Old Limited", 6), ("ODD", "Odd Limited", 3)],
        PRICE_BANDS: [("FUND", "FUND ETF", 3), ("FUND", "FUND EXCHANGE TRADED", 4)],
        CIRCUIT_HITS: [("OLDNAME", "OLD", 30), ("SMALL", "SMALL LIMITE", 7)],
        EXTREMES: [("SMALL", "SMALL", 6), ("FUND", "FUND", 40)],
    }
    found = {}
    for name, rows in listed.items():
        column, session = company_names.SOURCES[name][1], contracts.load(name).session
        values = [
            {"instrument_id": f"NSE:{symbol}", "symbol": symbol, column: text, session: SESSIONS[day]}
            | {"known_at": session_close(SESSIONS[day + 4 * (text == "Odd Ltd.")])}
            for symbol, text, day in rows
        ]
        columns = [column, session, "instrument_id", "symbol"]
        columns += ["known_at"] if "known_at" in contracts.load(name).polars_schema else []
        one = sample(name).drop(columns)
        made = pl.DataFrame(values, schema={each: contracts.load(name).polars_schema[each] for each in columns})
        if "as_of_from" in one.columns:
            one = one.with_columns(pl.lit(None, pl.Date).alias("as_of_from"))
        found[name] = made.join(one, how="cross").select(list(contracts.load(name).polars_schema))
    return found


@pytest.fixture
def market(fresh: Settings) -> Settings:
    """A workspace with bars and lists in lake and warehouse."""
    lake = Lake(fresh.lake)
    with warehouse.writer(fresh) as client:
        for name, rows in ((NORMALIZED, bars()), (MASTER, lists()), (SECTORS, periods()), *names().items()):
            session = contracts.load(name).session
            for (day,), of_day in rows.partition_by(session, as_dict=True).items():
                assert isinstance(day, date)
                lake.write(name, day, of_day, {"file": "1"})
            for (month,), of_month in rows.group_by(pl.col(session).dt.truncate("1mo")):
                assert isinstance(month, date)
                warehouse.load_month(client, contracts.load(name), month, of_month, "1")
        assert adjustment_cache.refresh(client)
        assert not adjustment_cache.refresh(client)
    return fresh


def test_kinds_and_lives_are_those_of_python(market: Settings) -> None:
    wanted = symbol_master.register(Lake(market.lake))
    got = warehouse.sql(market, "select * from instruments order by instrument_id")
    shared = [name for name in got.columns if name != "exchange"]
    assert got.select(shared).rows() == wanted.select(shared).rows()
    of_windows = wanted.filter(instrument_kind="trading_window")
    assert dict(of_windows.select("instrument_id", "window_of").rows()) == {
        f"NSE:{name.replace(' ', ':')}": share for name, share in WINDOWS.items()
    }
    assert of_windows.select("status", "status_since", "is_active").unique().rows() == [("window", None, False)]
    assert wanted.drop_nulls("window_of").height == of_windows.height - 1
    wanted = wanted.filter(pl.col("instrument_kind") != "trading_window")
    assert dict(wanted.select("symbol", "status").rows()) | {} == {
        **dict.fromkeys((*TRADED, "BOTH", "LATER"), "active"),
        "GONE": "delisted", "HELD": "suspended", "OLDNAME": "continued", "FORMER": "delisted", "LATTER": "delisted",
        "SMALL": "inactive", "ENDED": "inactive",
        "ACME-RE": "inactive", "BLANK-RE1": "inactive",
    }  # fmt: skip
    assert wanted.drop_nulls("continued_as").select("symbol", "continued_as").rows() == [("OLDNAME", "NSE:NEWNAME")]
    kinds = dict(wanted.select("symbol", "instrument_kind").rows())
    unknown = {symbol for symbol, kind in kinds.items() if kind == "unknown"}
    assert unknown == {"NEVER", "BOTH", "ODD"}
    assert (kinds["BYLIST"], kinds["LATER"], kinds["SCAPDVR"], kinds["FUND"]) == ("equity", "equity", "dvr", "fund")


def test_the_registry_has_traded_and_listed_symbols(market: Settings) -> None:
    found = warehouse.sql(market, "select * from symbol_master order by symbol")
    specified = (
        "symbol exchange isin company_name sector industry instrument_type series face_value listing_date "
        "delisting_date is_active last_updated"
    ).split()
    assert set(specified) <= set(found.columns)
    by_symbol = {row["symbol"]: row for row in found.to_dicts()}
    assert set(by_symbol) == {*TRADED, "BOTH", "LATER", "NEW"} - {"LOAN", "GOLD", "BILL", "PARTLY", "OFFICE"}
    gone, stay, new, fund = (by_symbol[one] for one in ("GONE", "STAY", "NEW", "FUND"))
    assert (gone["delisting_date"], gone["is_active"], gone["face_value"]) == (SESSIONS[20], False, 2.0)
    assert (stay["delisting_date"], stay["is_active"], stay["face_value"]) == (None, True, 1.0)
    assert stay["listing_date"] == date(2001, 2, 3)
    assert (new["is_active"], new["instrument_type"], new["first_session"]) == (None, "equity", None)
    wanted = symbol_master.register(Lake(market.lake))
    shared = ["instrument_id", "sector", "industry", "company", "company_source"]
    both = found.join(wanted.select(shared), on="instrument_id", suffix="_python")
    assert both["company_name"].to_list() == both["company"].to_list()
    assert both["company_source"].to_list() == both["company_source_python"].to_list()
    assert {one: by_symbol[one]["company_name"] for one in ("HELD", "OLDNAME", "ODD", "FUND", "SMALL", "ENDED")} == {
        "HELD": "HELD", "OLDNAME": "Old Limited", "ODD": "Odd Ltd.", "FUND": "FUND EXCHANGE TRADED",
        "SMALL": "SMALL LIMITE", "ENDED": None,
    }  # fmt: skip
    early = symbol_master.register(Lake(market.lake), SESSIONS[5])
    assert dict(early.drop_nulls("company").select("symbol", "company").iter_rows()) == {
        "OLDNAME": "Old Ltd.", "ODD": "Odd Limited", "FUND": "FUND EXCHANGE TRADED",
    }  # fmt: skip
    assert both.filter(pl.col("sector").ne_missing(pl.col("sector_python"))).is_empty()
    assert both.filter(pl.col("industry").ne_missing(pl.col("industry_python"))).is_empty()
    assert (stay["sector"], stay["industry"]) == ("Information Technology", "Information Technology")
    assert (new["sector"], new["industry"]) == ("Power", "Power")
    assert {by_symbol[one]["sector"] for one in ("HELD", "ODD", "GONE")} == {None}
    earlier = symbol_master.register(Lake(market.lake), SESSIONS[-1])
    assert earlier.filter(instrument_id="NSE:STAY")["industry"].item() is None, "no list known then names it"
    assert symbol_master.company_sectors(Lake(market.lake), date(2022, 8, 15)).rows() == [
        ("NSE:HELD", "Healthcare", "PHARMA"),
        ("NSE:ODD", None, None),
        ("NSE:STAY", "Information Technology", "IT"),
    ]
    assert (fund["instrument_type"], fund["company_name"], fund["face_value"], fund["sector"]) == (
        "fund", "FUND EXCHANGE TRADED", None, None,
    )  # fmt: skip


def test_a_load_computes_the_spans_of_the_changed_years_alone(market: Settings) -> None:
    frame = normalized().head(2)
    later = frame.with_columns(trade_date=date(2025, 1, 2))

    def spans(client: Executor, view: str) -> list[tuple[object, ...]]:
        return warehouse.frame(client, f"select * from {view} order by all").rows()

    with warehouse.writer(market) as client:
        assert warehouse.frame(client, "select distinct year from instrument_spans").rows() == [(2024,)]
        client.command("alter table instrument_spans delete where symbol = 'STAY' settings mutations_sync = 2")
        damaged = spans(client, "instrument_spans")
        warehouse.load_month(client, contracts.load(NORMALIZED), later["trade_date"][0].replace(day=1), later, "2")
        assert adjustment_cache.refresh(client)
        after = spans(client, "instrument_spans")
        assert [row for row in after if row[0] == 2024] == damaged  # not read again
        assert len(after) == len(damaged) + later.height
        warehouse.load_month(client, contracts.load(NORMALIZED), SESSIONS[0], bars().head(0), "none")
        assert adjustment_cache.refresh(client)
        assert spans(client, "instrument_spans") == spans(client, "instrument_spans_now")
        client.command("alter table normalized_equity_ohlc drop partition 2024")  # as retention does
        warehouse.load_month(client, contracts.load(NORMALIZED), date(2025, 1, 1), later.head(1), "3")
        assert adjustment_cache.refresh(client)
        assert spans(client, "instrument_spans") == spans(client, "instrument_spans_now")
        assert warehouse.frame(client, "select distinct year from instrument_spans").rows() == [(2025,)]


def test_a_warehouse_from_before_has_its_instruments_after_the_migration(market: Settings) -> None:
    text = "insert into instruments select * from instruments_now where (select count() from instruments) = 0"
    with warehouse.writer(market) as client:
        before, every = warehouse.frame(client, "select count() from instruments").item(), len(TRADED) + len(WINDOWS)
        client.command(text)
        assert warehouse.frame(client, "select count() from instruments").item() == before == every + 2
        client.command("truncate table instruments")
        client.command(text)
        assert warehouse.frame(client, "select count() from instruments").item() == before
