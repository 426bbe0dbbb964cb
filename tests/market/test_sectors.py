"""Industry and sector as of a date: two schemes, one continuous sector, nothing filled backward by default."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from champion.errors import FormatError, UsageError
from champion.market.reference.indices import sectors
from champion.market.reference.indices.membership import LISTS_SCHEMA, SET_ASIDE_SCHEMA, within
from champion.market.reference.indices.sectors import (
    UNKNOWN,
    industry_periods,
    of_sectors,
    require_known_industries,
    sector_map,
    sectors_on,
)

OLD, NEW = date(2022, 3, 1), date(2022, 9, 1)
NO_STALE = pl.DataFrame(schema=SET_ASIDE_SCHEMA)


def listed(day: date, industries: Mapping[str, str | None], index: str = "NIFTY 500") -> pl.DataFrame:
    rows = [
        {
            "index_name": index,
            "list_date": day,
            "seen_until": day,
            "known_on": day,
            "instrument_id": f"NSE:{symbol}",
            "symbol": symbol,
            "isin": f"ISIN{symbol}",
            "company": symbol,
            "is_dummy": symbol.startswith("DUMMY"),
            "industry": industry,
        }
        for symbol, industry in industries.items()
    ]
    return pl.DataFrame(rows, LISTS_SCHEMA | {"industry": pl.String()}, orient="row")


def both() -> pl.DataFrame:
    old = {"CIPLA": "PHARMA", "DABUR": "CONSUMER GOODS", "ODD": None, "DUMMYX": "METALS"}
    new = {"CIPLA": "Healthcare", "DABUR": "Fast Moving Consumer Goods", "NEWCO": "Realty"}
    return pl.concat([listed(OLD, old), listed(NEW, new)])


def test_scheme_changes_and_the_sector_stays() -> None:
    periods = industry_periods(both())
    cipla = periods.filter(symbol="CIPLA").select("industry", "scheme", "sector", "sector_from", "sector_until").rows()
    assert cipla == [
        ("PHARMA", "old", "Healthcare", OLD, NEW),
        ("Healthcare", "new", "Healthcare", NEW, None),
    ]


def test_companies_without_an_industry_are_unknown_and_dummies_are_left_out() -> None:
    found = sectors_on(industry_periods(both()), OLD)
    assert found.select("symbol", "sector").rows() == [
        ("CIPLA", "Healthcare"),
        ("DABUR", "Consumer Goods"),
        ("ODD", UNKNOWN),
    ]


def test_nothing_is_filled_backward_unless_asked_for_and_then_it_is_marked() -> None:
    periods = industry_periods(both())
    assert sectors_on(periods, OLD - timedelta(1)).is_empty()
    assert sectors_on(periods, OLD).filter(symbol="NEWCO").is_empty()
    filled = sectors_on(periods, OLD, fill_backward=True)
    assert dict(filled.select("symbol", "basis").iter_rows())["NEWCO"] == "later list"
    assert filled.filter(symbol="CIPLA")["industry"].to_list() == ["PHARMA"]
    assert sectors_on(periods, NEW + timedelta(900)).filter(symbol="ODD").height == 1  # it left the lists


def test_answer_as_known_on_a_date_uses_only_lists_known_then() -> None:
    early = sectors_on(industry_periods(both(), known=NEW - timedelta(1)), NEW + timedelta(5))
    assert early.filter(symbol="CIPLA")["industry"].to_list() == ["PHARMA"]


def test_stale_list_does_not_bring_the_old_scheme_back() -> None:
    stale = NEW + timedelta(30)
    lists = pl.concat([both(), listed(stale, {"CIPLA": "PHARMA", "LATE": "METALS"})])
    undated = pl.DataFrame([("NIFTY 500", stale, "undoes", None)], SET_ASIDE_SCHEMA, orient="row")
    found = sectors_on(industry_periods(lists, undated), stale)
    assert found.filter(symbol="CIPLA")["industry"].to_list() == ["Healthcare"]
    assert found.filter(symbol="LATE").is_empty()
    dated = undated.with_columns(content_before=pl.lit(OLD + timedelta(10)))
    late = industry_periods(lists, dated).filter(symbol="LATE")
    assert late["sector_from"].to_list() == [OLD + timedelta(9)]  # its content is from before the tenth day


def test_map_gives_each_industry_one_sector_of_one_scheme_with_a_reason() -> None:
    with Path(sectors.__file__).with_name("sector_map.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len({row["industry"] for row in rows}) == len(rows)
    assert all(row["reason"] and row["sector"] for row in rows)
    assert {row["scheme"] for row in rows} == {"old", "new"}
    assert all((row["industry"] == row["industry"].upper()) == (row["scheme"] == "old") for row in rows)
    in_new = {row["sector"] for row in rows if row["scheme"] == "new"}
    assert {row["sector"] for row in rows} == in_new  # no sector ends with the old scheme


def test_unknown_industry_is_refused_with_the_way_to_add_it() -> None:
    require_known_industries("list", pl.Series(["PHARMA", None]))
    with pytest.raises(FormatError, match=r"industry 'Dingo' is in neither scheme.*sector_map\.csv"):
        require_known_industries("list", pl.Series(["Dingo"]))


def test_sector_filter_keeps_the_unknown_as_a_group_of_its_own() -> None:
    periods = industry_periods(both())
    days = [OLD, OLD, OLD, NEW]
    rows = pl.DataFrame(
        {"instrument_id": ["NSE:CIPLA", "NSE:ODD", "NSE:NONE", "NSE:NEWCO"], "trade_date": days},
        {"instrument_id": pl.String, "trade_date": pl.Date},
    )

    def kept(*wanted: str) -> list[str]:
        return of_sectors(rows, periods, wanted)["instrument_id"].to_list()

    assert kept("Healthcare") == ["NSE:CIPLA"]
    assert kept(UNKNOWN) == ["NSE:ODD", "NSE:NONE"]
    assert kept(UNKNOWN, "Construction and Realty") == ["NSE:ODD", "NSE:NONE", "NSE:NEWCO"]
    assert kept(*sectors.sectors(), UNKNOWN) == rows["instrument_id"].to_list()
    with pytest.raises(UsageError, match="no sector is called 'Pharma': there are Automobile"):
        kept("Pharma")


def test_periods_hold_their_first_date_and_not_their_end() -> None:
    periods = pl.DataFrame({"instrument_id": ["A"], "a": [OLD], "b": [NEW]})
    rows = pl.DataFrame({"instrument_id": ["A"] * 3, "trade_date": [OLD - timedelta(1), OLD, NEW]})
    assert within(rows, periods, "a", "b")["trade_date"].to_list() == [OLD]


def test_real_industries_are_all_in_the_map(nse_products: Path) -> None:
    from champion.sources.lists.index_list import parse_index_list  # noqa: PLC0415

    lists = sorted((nse_products / "content/indices/snapshots").glob("*/ind_nifty500list.csv"))
    found = {industry for path in lists for industry in parse_index_list(path.name, path.read_bytes())["industry"]}
    assert found <= sector_map().keys()
    assert len(found) > 40
