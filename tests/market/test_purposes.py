"""Purpose texts: the exchange's spellings, a grammar of them, and texts that must not be guessed."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random

import pytest
from action_texts import Case, cases
from hypothesis import given, strategies as st
from purpose_texts import Text, write

from champion.market.actions.action_text import MOVES_NO_PRICE, NOT_UNDERSTOOD, READ, parse_purpose
from champion.market.actions.action_words import tokens
from champion.sources import actions as lists

TEXTS = 3000
"""Texts of the grammar: about a second of CPU."""
STRANGERS = 10_000
"""Texts of the grammar whose author has not seen the parser: about three seconds of CPU."""


def factor(text: str) -> float:
    return math.prod(action.price_factor or 1.0 for action in parse_purpose(text))


def verdicts(text: str) -> set[str]:
    return {action.verdict for action in parse_purpose(text)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fv Split Rs.10/- To Rs.2/", 5),
        ("Fv Split Rs10 To Rs2", 5),
        ("FV SPLIT FROM RS 5/- TO RE 1/-", 5),
        ("Fv Splt Frm Rs 10 To Rs 2", 5),
        ("Bon 1:1/Fv Spl Rs.5tors.2", 5),
        ("Fv Spl-Rs10tore1/Bon-1:1", 20),
        ("Agm/Div-5%/Spl-Rs10tors2 Purpose Revised", 5),
        ("Bonus - 1:1 And Face Value Split From Rs. 10 To Rs. 2", 10),
        ("1st Interim Dividend Rs.2.50 Per Share And Face Value Split From Rs.10/- To Re.1/-", 10),
        ("Face Valus Split (Sub-Division) - From Rs 10/- Per To Rs 2/- Per Share", 5),
        ("Bonus Shares In The Ratio Of 1:1", 2),
        ("SUB DIV FRM RS 10 TO RS 2", 5),
        ("FV SPLT FRM RS 10 TO 2", 5),
        ("CONSOLIDATION RE1 TO RS 10", 0.1),
        ("Face Value Consolidation From Re 1 To Rs 10", 0.1),
        ("Bonus 1:1 And Face Value Split Rs.10/- To Rs.5/- Per Share", 4),
        ("FVSPLT FRM RS 10 TO RS 2", 5),
        ("Reverse Stock Split 1:10", 0.1),
        ("Sub-division of 1 equity share of Rs 10 into 10 equity shares of Re 1", 10),
        ("Split of Equity Shares of Rs 10 each into 5 Equity Shares of Rs 2 each", 5),
        ("Bonus of 1 equity share of Rs 10 each for every 2 equity shares of Rs 10/- each held", 1.5),
        ("Face Value Split - From Rs 100/- Per Unit To Re 1/- Per Unit", 100),
        ("Bonus 1:1 and Bonus Debentures 1:5", 2),
        ("1:1 Bonus/ Rs 10 To Rs 2 Split", 10),
    ],
)
def test_factors(text: str, expected: float) -> None:
    assert factor(text) == pytest.approx(expected)
    assert NOT_UNDERSTOOD not in verdicts(text)


@pytest.mark.parametrize(
    "text",
    [
        "Sch Of Agmt- Bonus Deb1:1",
        "Bonus Preference Shares 21:1",
        "Scheme Of Arrangement - Bonus Ncrps 4:1",
        "Bonus 1:20 (Dvr)",
        "Spl Int Div-150%",
        "Bonus Issue Of 9% NCDs 1:1",
        "Rights:14 Compulosry Convertible Debentures For Every 15 Equity Shares",
        "Split of preference shares from Rs 100 to Rs 10",
        "Bonus Units 1:1",
        "Dividend on preference shares 10%",
    ],
)
def test_an_action_on_other_securities_moves_no_equity_price(text: str) -> None:
    assert factor(text) == 1.0
    assert NOT_UNDERSTOOD not in verdicts(text)


@pytest.mark.parametrize(
    ("text", "amounts", "percents"),
    [
        ("Agm/Div-60%", [], [60.0]),
        ("Spl Int Div-150%", [], [150.0]),
        ("Agm/Div Fin-130% +Spl-20%", [], [130.0, 20.0]),
        ("Div Int-Rs12.50+Spl-Rs16 Purpose Revised", [12.5, 16.0], []),
        ("Dividend - Rs 1,250 Per Share", [1250.0], []),
        ("Dividend Rs. 2,50,000", [250000.0], []),
        ("Agm/Div-2.50", [2.5], []),
        ("Agm/Divrs10", [10.0], []),
        ("Dividend Re .50", [0.5], []),
        ("INTDIV-RS.2", [2.0], []),
        ("Dividend 50 Paise", [0.5], []),
        ("Div Rs. 5 p.s.", [5.0], []),
        ("Div - Rs 5.00 P/S", [5.0], []),
        ("Dividend-Rs.8.50 Per Share (Including Special Dividend Of Rs.2/- Per Share).", [8.5], []),
        ("Dividend Rs 5 each on Equity Shares of Rs 10 each", [5.0], []),
        ("Dividend 50% (Rs 5 per share)", [5.0], []),
    ],
)
def test_dividends(text: str, amounts: list[float], percents: list[float]) -> None:
    found = [action for action in parse_purpose(text) if action.kind == "dividend"]
    assert [action.amount for action in found if action.amount is not None] == amounts
    assert [action.percent for action in found if action.percent is not None] == percents
    assert {action.verdict for action in found} == {READ}


@pytest.mark.parametrize(
    "text",
    [
        "Bonus 1:1:1",
        "Bonus 1.1",
        "Bonus 1:0",
        f"Bonus {'9' * 400}:1",
        f"Dividend Rs {'9' * 400}",
        "Bonus",
        "Bonus 1:1 (Cancelled)",
        "Bonus 1:1 Zzcps",
        "Bonus 1:1 and Debentures 1:5",
        "Face Value Split",
        "Face Value Split From Re 1 To Rs 10",
        "Face Value Split From Rs 10 To Rs 10",
        "Fv Splt Frm Rs 10 Rs 2",
        "Rs.10/- To Rs.2/-",
        "Consolidation From Rs 10 To Re 1",
        "Rights 1:4",
        "Rights 1:4 @ Rs 40",
        "Rights - 4:25 Fully Paid Up @ Premium Rs 500/- / 2:25 Partly Paid Up @ Premium Rs 605/-",
        "Rights 1:50 @ Premium Rs 175 With 6 Warrants For 50 Equity Shares",
        "Dividend",
        "Dividend Rs 1,50",
        "Dividend Rs .50",
        "Dividend 5 Rs 7",
        "Dividend 75P",
        "Dividend Rs 50 Paise",
        "Dividend 0.50 Ps",
        "Dividend Rs.0125 Per Share",
        "Dividend $0.50",
        "Dividend USD 0.5 Per Share",
        "Dividend \u20ac 2",
        "Rights 1:4 @ Premium USD 2",
        "FACE VALUE SPLIT FRM RS 1OO TO RS 10",
        "Dividend Rs 5 + Xyz 1:1",
        "Annual General Meeting- Re 0.85 Per Share",
        "Frstcall-Rs 27.50 Per Sh",
        "Annual Housekeeping",
    ],
)
def test_an_unclear_text_is_not_understood(text: str) -> None:
    unclear = [action for action in parse_purpose(text) if action.verdict == NOT_UNDERSTOOD]
    assert unclear
    assert all(action.price_factor is None and action.reason for action in unclear)


def test_three_thousand_texts_of_a_grammar() -> None:
    random = Random(20240506)  # noqa: S311 - texts, no secrets
    wrong = [(one.text, message) for one in (write(random) for _ in range(TEXTS)) if (message := _difference(one))]
    assert not wrong, (len(wrong), wrong[:10])


def _difference(one: Text) -> str:
    """Return the differences between the parsed actions and the text; empty if they agree."""
    found = parse_purpose(one.text)
    factors = {action.kind: action.price_factor for action in found if action.price_factor}
    stated = [action for action in found if action.kind == "rights" and action.amount is not None]
    rights = (*(int(part) for part in stated[0].detail.split(":")), stated[0].amount) if stated else None
    rupees = [action.amount for action in found if action.kind == "dividend" and action.amount is not None]
    percent = [action.percent for action in found if action.percent is not None]
    same = (
        factors == pytest.approx(one.factors)
        and rights == one.rights
        and rupees == ([] if one.rupees is None else [pytest.approx(one.rupees)])
        and percent == ([] if one.percent is None else [one.percent])
        and all(action.verdict != NOT_UNDERSTOOD for action in found)
    )
    return "" if same else f"{factors} {rights} {rupees} {percent} {[a.reason for a in found]}"


def test_ten_thousand_texts_of_a_grammar_whose_author_has_not_seen_the_parser() -> None:
    wrong = [(one.text, differs) for one in cases(STRANGERS, 20240507) if (differs := _difference_from_meaning(one))]
    assert not wrong, (len(wrong), wrong[:10])


def _difference_from_meaning(case: Case) -> list[str]:
    """Return the differences between the parsed actions and the meaning: divisor, rupees, percent, rights, verdict."""
    found, meant = parse_purpose(case.text), case.meaning
    rights = [(action.detail, action.amount) for action in found if action.kind == "rights" and action.verdict == READ]
    dividends = [action for action in found if action.kind == "dividend"]
    agrees = {
        "divisor": math.prod(action.price_factor or 1.0 for action in found) == pytest.approx(meant.divisor, rel=1e-12),
        "rupees": sorted(one.amount for one in dividends if one.amount is not None) == sorted(meant.rupees),
        "percent": sorted(one.percent for one in dividends if one.percent is not None) == sorted(meant.percent),
        "rights": rights == [(f"{new}:{held}", premium) for new, held, premium in meant.rights],
        "verdict": all(action.verdict != NOT_UNDERSTOOD for action in found),
    }
    return [name for name, same in agrees.items() if not same]


@pytest.mark.parametrize(
    "text", ["Rights 3:1@ Par", "Rights 3:1 @Par", "RIGHTS 3:1 At Par", "Rights 3:1 @ Premium Rs 0"]
)
def test_rights_at_par_have_no_premium(text: str) -> None:
    assert [(one.kind, one.detail, one.amount, one.verdict) for one in parse_purpose(text)] == [
        ("rights", "3:1", 0.0, READ)
    ]


@given(st.text(max_size=60))
def test_any_text_has_a_verdict(text: str) -> None:
    found = parse_purpose(text)
    assert found
    for action in found:
        assert action.verdict in {READ, MOVES_NO_PRICE, NOT_UNDERSTOOD}
        assert action.verdict == READ or (action.price_factor is action.amount is action.percent is None)
        assert action.price_factor is None or (action.price_factor > 0 and math.isfinite(action.price_factor))


@given(st.integers(0, 10_000), st.sampled_from([str.upper, str.lower, str.title, str.strip]))
def test_case_and_surrounding_space_do_not_matter(seed: int, change: object) -> None:
    text = write(Random(seed)).text  # noqa: S311 - texts, no secrets
    plain = [(a.kind, a.price_factor, a.amount, a.percent, a.verdict) for a in parse_purpose(text)]
    changed = [(a.kind, a.price_factor, a.amount, a.percent, a.verdict) for a in parse_purpose(change(text))]  # type: ignore[operator]
    assert changed == plain


def test_words_are_recognised_glued_split_and_misspelt() -> None:
    for text in ("meetingdividend", "Dividned", "intdividend", "div idend", "DIVDEND"):
        assert "dividend" in {token.concept for token in tokens(text)}, text
    assert {token.concept for token in tokens("zzyzx")} == {"unknown"}


def test_every_text_of_the_real_list_has_its_verdict(nse: Path) -> None:
    path = next((nse / "corporates").glob("CF-CA-*.csv"))
    texts = lists.parse_actions(path.name, path.read_bytes())["purpose"]
    unclear = {text.strip() for text in texts if NOT_UNDERSTOOD in verdicts(text)}
    # Amounts that are missing or damaged, rights without an issue price, rights with two kinds of shares or warrants.
    assert len(unclear) == 23, sorted(unclear)
    assert all(
        any(word in text for word in ("Dividend", "Divdend", "Right", "Re 0.85", "dividend")) for text in unclear
    )
