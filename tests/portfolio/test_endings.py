"""Shares that ended by known terms, and actions whose amount is not known."""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise

import polars as pl
import pytest
from accounts import bars_of

from champion.errors import UsageError
from champion.portfolio.endings import KINDS, known_endings, valued
from champion.portfolio.unread_actions import unread_actions

BONUS = "the bonus is not in equity shares"


def test_each_ending_has_terms_and_a_source() -> None:
    table = known_endings()
    assert table["instrument_id"].is_unique().all()
    assert all(before <= after for before, after in pairwise(table["last"]))
    for row in table.iter_rows(named=True):
        assert re.fullmatch(r"NSE:[A-Z0-9&-]+", row["instrument_id"])
        assert row["kind"] in KINDS
        assert (row["successor"] is not None) == (row["kind"] == "merger")
        assert row["successor"] != row["instrument_id"]
        assert (row["shares"] == 0) == (row["kind"] == "extinguished")
        assert row["held"] > 0
        assert row["evidence"] in {"official", "press", "bars"}
        assert len(row["source"]) > 15


def test_an_ending_is_valued_at_the_close_of_its_last_session_or_not_at_all() -> None:
    day = date(2024, 1, 2)
    columns = {"instrument_id": ["A", "B", "C", "D"], "last": [day] * 4, "shares": [3.0, 1.0, 0.0, 1.0]}
    terms = columns | {"kind": ["merger", "reduction", "extinguished", "merger"], "held": [2.0, 100.0, 1.0, 1.0]}
    endings = pl.DataFrame(terms | {"successor": ["S", None, None, "T"]})
    closes = pl.DataFrame({"trade_date": [day, day, date(2024, 1, 1)], "instrument_id": ["S", "B", "T"], "close": 50.0})
    assert valued(endings, closes).select("instrument_id", "value").rows() == [("A", 75.0), ("B", 0.5), ("C", 0.0)]
    with pytest.raises(UsageError, match="no share ended by sale; the kinds are merger, reduction, extinguished"):
        valued(endings.with_columns(kind=pl.lit("sale")), closes)


@pytest.mark.parametrize("verdict", ["not_understood", "undecided", "moves_no_price"])
@pytest.mark.parametrize(("opened", "other", "moved"), [(95.0, None, True), (100.0, None, False), (50.0, 2.0, False)])
def test_an_action_of_unknown_amount_is_undecided_if_the_price_moved_beyond_what_is_explained(
    verdict: str, opened: float, other: float | None, moved: bool
) -> None:
    bars = bars_of([100.0, 100.0, 100.0, opened, opened])
    bars = bars.with_columns(open="close", prev_close=pl.col("close").shift(1, fill_value=100.0))
    row = {"instrument_id": "A", "ex_date": bars["trade_date"][3], "kind": "bonus", "purpose": "Bonus Ncrps 1:116"}
    unknown = row | {"price_factor": None, "verdict": verdict, "reason": BONUS, "basis": "text"}
    split = unknown | {"kind": "split", "price_factor": other, "verdict": "read", "reason": None}
    types = {"price_factor": pl.Float64, "reason": pl.String}
    factors = pl.DataFrame([unknown, split] if other else [unknown], schema_overrides=types)
    assert unread_actions(factors, bars)["moved"].to_list() == [moved]
    measured = pl.DataFrame([unknown, split | {"price_factor": 1.05, "basis": "ex_date_ratio"}], schema_overrides=types)
    assert unread_actions(measured, bars).is_empty(), "the other action has the whole gap"
