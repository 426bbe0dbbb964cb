"""Shares that ended, or came back, by known terms."""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise

import polars as pl
import pytest
from accounts import bars_of

from champion.errors import UsageError
from champion.portfolio.arrays import market_arrays
from champion.portfolio.endings import KINDS, known_endings, reductions, valued, without_reduced
from champion.portfolio.simulator import MarketRules, simulate


def test_each_ending_has_terms_and_a_source() -> None:
    table = known_endings()
    assert table["instrument_id"].is_unique().all()
    assert all(before <= after for before, after in pairwise(table["last"]))
    for row in table.iter_rows(named=True):
        assert re.fullmatch(r"NSE:[A-Z0-9&-]+", row["instrument_id"])
        assert row["kind"] in KINDS
        assert row["successor"] is not None or row["kind"] != "merger"
        assert row["successor"] is None or row["kind"] != "extinguished"
        assert row["successor"] != row["instrument_id"]
        assert (row["shares"] == 0) == (row["kind"] == "extinguished")
        assert row["held"] > 0
        assert row["evidence"] in {"official", "press"}
        assert (row["difference"] is None) == (row["kind"] != "merger"), "terms that no close was compared with"
        assert abs(row["difference"] or 0) <= (26 if row["instrument_id"] == "NSE:ALBK" else 12)
        assert len(row["source"]) > 15


def test_an_ending_is_valued_at_the_first_close_of_its_successor_from_its_last_session_on_or_not_at_all() -> None:
    day = date(2024, 1, 2)
    columns = {"instrument_id": ["A", "B", "C", "D"], "last": [day] * 4, "shares": [3.0, 1.0, 0.0, 1.0]}
    terms = columns | {"kind": ["merger", "reduction", "extinguished", "merger"], "held": [2.0, 100.0, 1.0, 1.0]}
    endings = pl.DataFrame(terms | {"successor": ["S", None, None, "T"]})
    closes = pl.DataFrame({"trade_date": [day, day, date(2024, 1, 1)], "instrument_id": ["S", "B", "T"], "close": 50.0})
    assert valued(endings, closes).select("instrument_id", "value").rows() == [("A", 75.0), ("C", 0.0)]
    with pytest.raises(UsageError, match="no share ended by sale; the kinds are merger, reduction, extinguished"):
        valued(endings.with_columns(kind=pl.lit("sale")), closes)


def test_a_share_that_came_back_after_a_reduction_continues_with_the_new_number() -> None:
    bars = bars_of([10.0] * 4 + [30.0] * 3)
    held, back = bars["trade_date"][3], bars["trade_date"][4]
    end = {"instrument_id": ["A"], "last": [held], "kind": ["reduction"], "successor": [None]}
    endings = pl.DataFrame(end | {"shares": [1.0], "held": [100.0]}, schema_overrides={"successor": pl.String})
    terms = reductions(endings, bars)
    assert terms.select("ex_date", "price_factor", "volume_factor").rows() == [(back, 0.01, 0.01)]
    assert valued(endings, bars).is_empty(), "the share did not end"
    gap = pl.DataFrame({"instrument_id": ["A", "A", "B"], "session": [back, held, back]})
    assert without_reduced(gap, terms, "session").rows() == [("A", held), ("B", back)]
    weights = pl.DataFrame({"trade_date": [bars["trade_date"][0]], "instrument_id": ["A"], "weight": [0.5]})
    market = market_arrays(bars, terms)
    found = simulate(market, weights, MarketRules(capital=1e6, charged=False, impact=0.0, participation=1.0))
    positions = dict(found.positions.select("trade_date", "quantity").iter_rows())
    assert (positions[held], positions[back]) == (50_000, 500)
    assert found.account["equity"][-1] == 500_000 + 500 * 30.0


def test_the_new_shares_of_another_instrument_are_paid_at_their_first_close() -> None:
    day, back = date(2019, 11, 13), date(2020, 1, 27)
    closes = pl.DataFrame({"trade_date": [day, back], "instrument_id": ["NSE:RUCHISOYA", "NSE:RUCHI"], "close": 17.0})
    own = known_endings().filter(instrument_id="NSE:RUCHISOYA")
    assert valued(own, closes).select("last", "value").rows() == [(back, pytest.approx(0.17))]
    assert reductions(own, closes).is_empty()
