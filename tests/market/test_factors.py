"""Factors calculated by hand: the effect of each kind of action on prices and volumes, and reasons for no factor."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from champion import contracts
from champion.contracts.datasets import FACTORS
from champion.market.actions import adjustment, adjustment_factors, corporate_actions
from champion.market.actions.corporate_actions import ListOrigin
from champion.market.envelope import session_close
from champion.market.identity.symbol_history import SymbolHistory

READ = datetime(2024, 1, 10, 12, tzinfo=UTC)
EX = date(2024, 5, 6)
BEFORE = EX - timedelta(days=3)  # a Friday
LISTED: dict[str, Any] = {
    "symbol": pl.String,
    "company": pl.String,
    "series": pl.String,
    "purpose": pl.String,
    "face_value": pl.Float64,
    "ex_date": pl.Date,
    "record_date": pl.Date,
}


def listed(*rows: tuple[str, date], face_value: float | None = 10.0, read: datetime = READ) -> pl.DataFrame:
    """Return the known actions of one company, by text and ex-date; the list is made on the day it is read."""
    frame = pl.DataFrame(
        [("ACME", "Acme", "EQ", text, face_value, ex_date, None) for text, ex_date in rows],
        schema=LISTED,
        orient="row",
    )
    origin = ListOrigin("test", "0" * 64, read, (date(2024, 1, 1), date(2024, 12, 31)))
    return corporate_actions.as_known(corporate_actions.normalize(frame, SymbolHistory(), origin))


def bars(close: float = 100.0, opened: float = 100.0, *more: tuple[date, float, float]) -> pl.DataFrame:
    rows = [(BEFORE, close, close), (EX, opened, opened), *more]
    values = [("NSE:ACME", day, open_, close_) for day, open_, close_ in rows]
    return pl.DataFrame(values, schema=["instrument_id", "trade_date", "open", "close"], orient="row")


def one(text: str, market: pl.DataFrame, **details: Any) -> dict[str, Any]:
    (row,) = adjustment_factors.factors(listed((text, EX), **details), market).to_dicts()
    return row


def test_a_split_is_in_the_text_and_moves_volume() -> None:
    row = one("Face Value Split (Sub-Division) - From Rs 10/- Per Share To Rs 2/- Per Share", bars())
    assert (row["price_factor"], row["volume_factor"], row["basis"]) == (5.0, 5.0, "text")


def test_rights_by_hand() -> None:
    # 1 new for 4 held at 10 + 40: (4 * 100 + 1 * 50) / 5 = 90 is the price without the right.
    row = one("Rights 1:4 @ Premium Rs 40/-", bars())
    assert row["price_factor"] == pytest.approx(100 / 90)
    assert (row["volume_factor"], row["basis"], row["prev_close"]) == (1.0, "theoretical", 100.0)


def test_the_face_value_at_the_ex_date_is_the_lists_times_later_splits() -> None:
    later = ("Fv Splt Frm Rs 10 To Re 1", EX + timedelta(days=30))
    rights = ("Rights 1:4 @ Premium Rs 40/-", EX)
    after = READ + timedelta(days=200)
    made = adjustment_factors.factors(listed(rights, later, face_value=1.0, read=after), bars())
    assert made.filter(kind="rights")["price_factor"].item() == pytest.approx(100 / 90)
    # A list made before the split still states ten rupees: the split, from whatever list, does not count.
    made = adjustment_factors.factors(listed(rights, later, face_value=10.0), bars())
    assert made.filter(kind="rights")["price_factor"].item() == pytest.approx(100 / 90)


def test_a_split_that_is_not_understood_leaves_the_face_value_unknown() -> None:
    later = ("Face Value Split", EX + timedelta(days=30))
    rows = listed(("Rights 1:4 @ Premium Rs 40/-", EX), later, face_value=1.0, read=READ + timedelta(days=200))
    row = adjustment_factors.factors(rows, bars()).filter(kind="rights").to_dicts()[0]
    assert (row["price_factor"], row["verdict"]) == (None, "undecided")
    assert "face value" in row["reason"]


def test_percent_dividends_use_the_face_value_at_the_ex_date() -> None:
    later = ("Fv Splt Frm Rs 10 To Re 1", EX + timedelta(days=30))
    rows = listed(("Agm/Div-60%", EX), later, face_value=1.0, read=READ + timedelta(days=200))
    row = adjustment_factors.factors(rows, bars()).filter(kind="dividend").to_dicts()[0]
    assert row["price_factor"] == pytest.approx(100 / 94)  # 60% of 10 rupees, though the list states 1
    both = one("Interim Dividend Rs 4/Special Dividend 20%", bars())
    assert both["price_factor"] == pytest.approx(100 / 94)


def test_a_right_at_the_market_price_is_worth_nothing() -> None:
    row = one("Rights 1:4 @ Premium Rs 95/-", bars())
    assert row["price_factor"] is None
    assert "worth nothing" in row["reason"]


def test_a_demerger_is_the_ratio_of_its_ex_date_known_at_its_close() -> None:
    row = one("Demerger", bars(100.0, 80.0))
    assert (row["price_factor"], row["volume_factor"], row["basis"]) == (1.25, 1.0, "ex_date_ratio")
    assert row["known_at"] == session_close(EX)


def test_the_factor_of_a_demerger_excludes_other_actions_of_the_date() -> None:
    both = listed(("Demerger", EX), ("Bonus 1:1", EX))
    made = adjustment_factors.factors(both, bars(100.0, 40.0)).sort("kind")
    assert made["price_factor"].to_list() == [2.0, 1.25]


def test_a_scheme_within_the_price_band_moves_no_price() -> None:
    assert one("Scheme Of Arrangement", bars(100.0, 85.0))["price_factor"] is None
    assert one("Scheme Of Arrangement", bars(100.0, 50.0))["price_factor"] == 2.0


def test_one_gap_is_explained_once() -> None:
    made = adjustment_factors.factors(listed(("Scheme Of Arrangement/Demerger", EX)), bars(100.0, 50.0)).sort("kind")
    assert made["price_factor"].to_list() == [2.0, None]


def test_dividends_add_up_and_count_separately() -> None:
    row = one("Interim Dividend - Rs 12 Per Share/Special Dividend - Rs 8 Per Share", bars())
    assert (row["kind"], row["price_factor"], row["volume_factor"]) == ("dividend", 1.25, 1.0)
    assert adjustment.effective_factors(
        adjustment_factors.factors(listed(("Dividend - Rs 20 Per Share", EX)), bars())
    ).is_empty()


@pytest.mark.parametrize(
    ("text", "market", "reason"),
    [
        ("Dividend - Rs  Per Share", bars(), "no amount"),
        ("Interim Dividend - Rs 100", bars(), "the whole price"),
        ("Bonus Ncrps 1:116", bars(), "not in equity shares"),
        ("Rights 1:4", bars(), "no amount"),
        ("Demerger", bars().filter(pl.col("trade_date") < EX), "no bar since"),
        ("Demerger", bars().filter(pl.col("trade_date") >= EX), "no bar before"),
        ("Demerger", bars().clear(), "no bar before"),
    ],
)
def test_every_action_without_a_factor_says_why(text: str, market: pl.DataFrame, reason: str) -> None:
    row = one(text, market)
    assert row["price_factor"] is None
    assert row["volume_factor"] is None or row["kind"] in {"dividend", "rights", "demerger"}
    assert reason in row["reason"]


def test_an_action_that_moves_no_price_has_no_factor() -> None:
    assert adjustment_factors.factors(listed(("Annual General Meeting", EX), ("Buy Back", EX)), bars()).is_empty()


def test_factors_keep_their_contract() -> None:
    contract = contracts.load(FACTORS)
    made = adjustment_factors.factors(listed(("Bonus 1:1", EX), ("Dividend - Rs 2 Per Share", EX)), bars())
    assert contract.conform(made).height == 2
    for rule in contract.rules.values():
        assert made.select(contracts.rule_expression(rule)).to_series().all()
