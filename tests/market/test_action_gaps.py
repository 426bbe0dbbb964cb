"""Which gaps of prices the corporate actions and the decisions of people explain, and which stay open."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from action_lists import published
from hypothesis import given, strategies as st

from champion.market import quality_gates
from champion.market.actions import action_questions, corporate_actions
from champion.market.actions.adjustment import effective_factors
from champion.market.actions.adjustment_factors import DECISION, factors
from champion.market.actions.corporate_actions import ListOrigin
from champion.market.identity.symbol_history import SymbolHistory
from champion.modeling.labels import forward_return
from champion.portfolio.unread_actions import unread_actions
from champion.sources import actions as lists, decisions

DAY = timedelta(days=1)
EX, BEFORE = date(2024, 5, 6), date(2024, 5, 3)


def bars(*prices: tuple[date, float, float], name: str = "NSE:ACME") -> pl.DataFrame:
    rows = [(name, day, opened, close) for day, opened, close in prices]
    return pl.DataFrame(rows, schema=["instrument_id", "trade_date", "open", "close"], orient="row")


def believed(*rows: tuple[str, date], decided: str = "") -> pl.DataFrame:
    """Return the actions of ACME from a list, and a decision on it, as known now."""
    read = datetime(2024, 6, 1, tzinfo=UTC)
    listed = lists.parse_actions("a.csv", published(*(("ACME", text, day) for text, day in rows)))
    origin = ListOrigin("test", "0", read, (date(2024, 1, 1), date(2024, 5, 31)))
    made = [corporate_actions.normalize(listed, SymbolHistory(), origin)]
    if decided:
        header = ",".join(decisions.HEADER)
        people = decisions.parse_decisions("d.csv", f"{header}\n{decided}\n".encode())
        made.append(corporate_actions.decision_rows(people, SymbolHistory(), read, "1"))
    return corporate_actions.as_known(pl.concat(made))


def test_a_row_without_quantity_is_ignored_beside_one_with_it() -> None:
    rows = believed(
        ("Interim Dividend", EX), ("Interim Dividend - Rs 7 Per Share", EX), ("Bonus", EX), ("Bonus 1:1", EX)
    )
    assert rows.select("kind", "verdict", "amount", "price_factor").rows() == [
        ("bonus", "read", None, 2.0),
        ("dividend", "read", 7.0, None),
    ]
    apart = believed(("Final Dividend", EX), ("Special Dividend - Rs 7 Per Share", EX))
    assert apart["verdict"].to_list() == ["not_understood"], "the final one is another dividend"


def test_a_decision_replaces_all_other_actions_of_its_date() -> None:
    market = bars((BEFORE, 100.0, 100.0), (EX, 40.0, 40.0))
    rows = [("Bonus 1:1", EX), ("Scheme Of Arrangement", EX), ("Dividend Rs 2", EX)]
    found = factors(believed(*rows, decided=f"ACME,{EX},2.5,both,asha"), market)
    assert effective_factors(found).select("kind", "price_factor", "volume_factor").rows() == [(DECISION, 2.5, 2.0)]
    assert found.filter(kind="dividend")["price_factor"].item() == pytest.approx(100 / 98)
    assert set(found.filter(pl.col("kind").is_in(["bonus", "scheme"]))["verdict"]) == {"decided"}
    unread = factors(believed(("Bonus", EX), decided=f"ACME,{EX},2,a circular,asha"), market)
    assert effective_factors(unread).select("price_factor", "volume_factor").rows() == [(2.0, 2.0)]


@pytest.mark.parametrize(("opened", "waits"), [(88.0, True), (97.0, True), (99.5, False), (104.0, True)])
def test_a_scheme_with_an_unexplained_gap_is_undecided(opened: float, waits: bool) -> None:
    found = factors(believed(("Scheme Of Arrangement", EX)), bars((BEFORE, 100.0, 100.0), (EX, opened, opened)))
    assert found["price_factor"].to_list() == [None]
    questions = action_questions.questions(found, [BEFORE, EX])
    assert questions["gate"].to_list() == (["actions_undecided"] if waits else [])
    assert questions["value"].to_list() == ([pytest.approx(opened / 100 - 1)] if waits else [])


def test_the_market_and_usual_gaps_explain_a_gap() -> None:
    scheme, priced = believed(("Scheme Of Arrangement", EX)), bars((BEFORE, 100.0, 100.0), (EX, 88.0, 88.0))
    fell = pl.DataFrame({"trade_date": [EX], "market_gap": [-0.12]})
    assert action_questions.questions(factors(scheme, priced, fell), [BEFORE, EX]).is_empty()
    rose = pl.DataFrame({"trade_date": [EX], "market_gap": [0.05]})
    assert action_questions.questions(factors(scheme, priced, rose), [BEFORE, EX])["value"].item() == pytest.approx(
        -0.17
    )
    wild = [(BEFORE - n * DAY, 100.0 + 10 * (n % 2), 100.0) for n in range(30, 0, -1)]
    usual = bars(*wild, (BEFORE, 100.0, 100.0), (EX, 88.0, 88.0))
    assert action_questions.questions(factors(scheme, usual), [BEFORE, EX]).is_empty()


@pytest.mark.parametrize("text", ["Bonus Ncrps 1:116", "Interim Dividend", "Hive Off"])
@pytest.mark.parametrize(
    ("opened", "other", "fell", "moved"),
    [(95.0, "", 0.0, True), (100.0, "", 0.0, False), (50.0, "Bonus 1:1", 0.0, False), (95.0, "", -0.05, False)],
)
def test_an_action_of_unknown_amount_moved_the_price_if_nothing_explains_the_open(
    text: str, opened: float, other: str, fell: float, moved: bool
) -> None:
    if other and text.startswith("Bonus"):
        other = "Face Value Split From Rs 10/- Per Share To Rs 5/- Per Share"  # the list has one row for each kind
    rows = believed((text, EX), *([(other, EX)] if other else []))
    market = pl.DataFrame({"trade_date": [EX], "market_gap": [fell]})
    found = factors(rows, bars((BEFORE, 100.0, 100.0), (EX, opened, opened)), market)
    unread = unread_actions(found, [BEFORE, EX])
    assert unread.select("session", "moved").rows() == [(EX, moved)]
    assert unread_actions(found, [EX + DAY]).is_empty(), "before the first session"
    demerged = factors(believed((text, EX), ("Demerger", EX)), bars((BEFORE, 100.0, 100.0), (EX, 80.0, 80.0)), market)
    assert unread_actions(demerged, [BEFORE, EX]).is_empty(), "the other action has the whole gap"


def test_an_action_that_is_not_understood_explains_no_gap() -> None:
    rows = believed(("Hive Off", EX), ("Bonus 1:1:1", EX + 10 * DAY))
    priced = bars((BEFORE, 100.0, 100.0), (EX, 50.0, 50.0), (EX + 10 * DAY, 50.0, 50.0))
    found = factors(rows, priced)
    assert found["verdict"].to_list() == ["not_understood", "not_understood"]
    assert quality_gates.unadjusted_gaps(priced, found)["session"].to_list() == [EX]
    settled = factors(believed(("Hive Off", EX), decided=f"ACME,{EX},1,the market's,asha"), priced)
    assert quality_gates.unadjusted_gaps(priced, settled).is_empty(), "a person's 1 says that the gap is the market's"


def test_a_very_large_dividend_is_a_gap_for_labels() -> None:
    # MAJESCO, 2020-12-23: 974 of 985.65 rupees. Prices are not adjusted for dividends.
    found = factors(believed(("Interim Dividend - Rs 974", EX)), bars((BEFORE, 985.65, 985.65), (EX, 12.2, 12.2)))
    assert quality_gates.unadjusted_gaps(bars((BEFORE, 985.65, 985.65), (EX, 12.2, 12.2)), found)[
        "session"
    ].to_list() == [EX]


@pytest.mark.parametrize("decided", [EX, EX - DAY, BEFORE + DAY])
def test_a_decision_on_a_holiday_covers_the_next_gap(decided: date) -> None:
    priced = bars((BEFORE, 100.0, 100.0), (EX, 50.0, 50.0))
    market = factors(believed(decided=f"ACME,{decided},1,the market fell,asha"), priced)
    assert quality_gates.unadjusted_gaps(priced, market).is_empty()
    early = factors(believed(decided=f"ACME,{BEFORE},1,the market fell,asha"), priced)
    assert quality_gates.unadjusted_gaps(priced, early)["session"].to_list() == [EX]


def test_an_action_on_an_instrument_without_bars_is_reported() -> None:
    rows = believed(("Bonus 1:1", EX), ("Dividend Rs 2", EX))
    found = factors(rows, bars((BEFORE, 100.0, 100.0), (EX, 50.0, 50.0), name="NSE:OTHER"))
    questions = action_questions.questions(found, [BEFORE, EX])
    assert questions.select("gate", "symbol", "session", "kind").rows() == [
        ("actions_without_bars", "ACME", EX, "bonus")
    ]
    assert action_questions.questions(found, [EX + DAY]).is_empty(), "before the lake's first session"


SESSIONS = [date(2024, 1, 1) + n * DAY for n in range(20)]


@given(
    st.sets(st.integers(0, 19), min_size=2),
    st.sets(st.integers(0, 19), max_size=3),
    st.integers(1, 5),
    st.integers(0, 2),
)
def test_labels_do_not_span_a_gap(traded: set[int], gaps: set[int], horizon: int, lag: int) -> None:
    """Compared with a plain loop: a label is null exactly if a gap is after its entry and up to its end."""
    frame = pl.DataFrame({"instrument_id": "A", "trade_date": [SESSIONS[n] for n in sorted(traded)], "close": 10.0})
    market = pl.DataFrame({"instrument_id": "B", "trade_date": SESSIONS, "close": 10.0})
    broken = pl.DataFrame(
        {"instrument_id": ["A"] * len(gaps), "session": [SESSIONS[n] for n in sorted(gaps)]},
        schema={"instrument_id": pl.String, "session": pl.Date},
    )
    plain = forward_return(pl.concat([frame, market]), horizon, lag)
    found = forward_return(pl.concat([frame, market]), horizon, lag, broken)
    for before, after in zip(plain.to_dicts(), found.to_dicts(), strict=True):
        entry = SESSIONS.index(before["trade_date"]) + lag
        crosses = before["instrument_id"] == "A" and any(entry < gap <= entry + horizon for gap in gaps)
        if before["label_end"] is not None:
            assert after.pop("across_gap") == crosses
        expected = before | ({"forward_return": None, "exit_date": None} if crosses else {})
        after.pop("across_gap", None)
        assert after == expected or before["label_end"] is None
