"""Purpose texts of corporate actions, spelled as people at exchanges spell them, with what each one means.

The spellings were collected from the exchange's lists without reading the parser: abbreviations, missing and doubled
spaces, slashes, `Rs`, `Rs.`, `Re`, `/-`, `Per Share`, `Per Sh`, remarks in brackets, several actions in one text. The
generator composes them; every text has one meaning that a person reads from it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

FACES = ((100, 10), (100, 1), (50, 5), (10, 5), (10, 2), (10, 1), (5, 2), (5, 1), (2, 1), (1000, 10), (20, 4), (4, 2))
RATIOS = ((1, 1), (1, 2), (2, 1), (3, 1), (1, 10), (3, 2), (5, 4), (21, 10), (1, 5), (4, 1), (11, 100), (65, 100))


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a text says: what the price is divided by, dividends in rupees and in percent of face value, rights.

    `rights` are (new, held, premium in rupees). Ratios and face values are exact, so the divisor is too.
    """

    divisor: float = 1.0
    rupees: tuple[float, ...] = ()
    percent: tuple[float, ...] = ()
    rights: tuple[tuple[int, int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """A text and its meaning."""

    text: str
    meaning: Meaning


def cases(count: int, seed: int) -> list[Case]:
    """Return as many different cases, the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311 - texts, not secrets
    found: dict[str, Case] = {}
    while len(found) < count:
        case = _case(rng)
        found.setdefault(case.text, case)
    return list(found.values())


def _case(rng: random.Random) -> Case:
    kinds: list[Callable[[random.Random], Case]] = [_split, _bonus, _dividend, _consolidation, _rights, _meeting, _debt]
    weights = [5, 5, 6, 1, 3, 2, 2]
    size = rng.choices([1, 2, 3], [6, 4, 1])[0]
    chosen: list[Callable[[random.Random], Case]] = []
    while len(chosen) < size:
        kind = rng.choices(kinds, weights)[0]
        if kind in chosen or {kind, *chosen} >= {_split, _consolidation}:
            continue
        chosen.append(kind)
    parts = [kind(rng) for kind in chosen]
    if _meeting in chosen:
        parts.sort(key=lambda part: part.meaning != Meaning())
    joint = rng.choice(["/", " / ", "/ ", " And ", " & ", " and ", "/", "/"])
    text = joint.join(part.text for part in parts)
    text += rng.choices(["", " (Purpose Revised)", " Purpose Revised", " (Date Revised)"], [12, 2, 1, 1])[0]
    return Case(_dressed(rng, text), _joined([part.meaning for part in parts]))


def _joined(meanings: list[Meaning]) -> Meaning:
    whole = Meaning()
    for one in meanings:
        whole = replace(
            whole,
            divisor=whole.divisor * one.divisor,
            rupees=whole.rupees + one.rupees,
            percent=whole.percent + one.percent,
            rights=whole.rights + one.rights,
        )
    return whole


def _dressed(rng: random.Random, text: str) -> str:
    ways: list[Callable[[str], str]] = [str, str.upper, str.lower, str.title]
    case = rng.choices(ways, [6, 2, 1, 1])[0]
    text = case(text)
    if rng.random() < 0.25:
        text = text.replace(" ", "  ", 1)
    return f"{' ' if rng.random() < 0.3 else ''}{text}{' ' if rng.random() < 0.15 else ''}"


def _money(rng: random.Random, value: float, *, bare: bool = False) -> str:
    number = f"{value:,.2f}" if value >= 1000 and rng.random() < 0.7 else f"{value:.2f}"
    if number.endswith(".00") and rng.random() < 0.8:
        number = number.removesuffix(".00")
    elif number.endswith("0") and "." in number and rng.random() < 0.5:
        number = number.removesuffix("0")
    word = "Re" if value <= 1 else "Rs"
    if bare:
        return number
    return word + rng.choice([" ", ". ", ".", "", " "]) + number + rng.choice(["/-", "", "", "/-", "/"])


def _split(rng: random.Random) -> Case:
    old, new = rng.choice(FACES)
    verb = rng.choice([
        "Face Value Split", "Face Value Split (Sub-Division) -", "Fv Splt", "Fv Split", "Fv Spl", "FV SPLIT",
        "Stock Split", "Split", "Sub-Division", "Sub Division Of Shares", "Face Value Split (Sub-Division) - ",
        "Fv Splt-", "Sub-Div", "Sub Division Of Equity Shares",
    ])  # fmt: skip
    before, between = rng.choice(
        [(" From ", " To "), (" Frm ", " To "), (" ", " To "), (" From ", " to "), (" ", " To ")]
    )
    per = rng.choice(["", "", " Per Share", " Per Sh"])
    second = _money(rng, new, bare=rng.random() < 0.1)
    text = f"{verb}{before}{_money(rng, old)}{per}{between}{second}{rng.choice(['', per])}"
    return Case(text, Meaning(divisor=old / new))


def _consolidation(rng: random.Random) -> Case:
    old, new = rng.choice(FACES)
    verb = rng.choice([
        "Consolidation", "Face Value Consolidation", "Consolidation Of Shares", "Consolidation Of Equity Shares",
        "Fv Consolidation",
    ])  # fmt: skip
    before = rng.choice([" From ", " Frm ", " "])
    return Case(f"{verb}{before}{_money(rng, new)} To {_money(rng, old)}", Meaning(divisor=new / old))


def _bonus(rng: random.Random) -> Case:
    new, held = rng.choice(RATIOS)
    verb = rng.choice([
        "Bonus", "Bonus Issue", "Bonus -", "Bon", "Bonus Shares", "Bonus Shares In The Ratio Of",
        "Bonus In The Ratio Of", "Bonus-", "Bonus Issue -", "BONUS", "Issue Of Bonus Shares In The Ratio",
    ])  # fmt: skip
    ratio = f"{new}{rng.choice([':', ' : ', ':', ':', ': '])}{held}"
    return Case(f"{verb} {ratio}", Meaning(divisor=(new + held) / held))


def _rights(rng: random.Random) -> Case:
    new, held = rng.choice(RATIOS)
    premium = rng.choice([0.0, 5.0, 10.0, 20.0, 65.0, 120.0, 7.5, 1250.0])
    ratio = f"{new}:{held}"
    verb = rng.choice(["Rights", "Rights Issue", "Rights -", "Right Issue", "Rht"])
    at = rng.choice([" @ Premium ", "@ Premium ", " @ Prem ", " At A Premium Of ", " @Premium "])
    tail = f"{at}{_money(rng, premium)}" if premium else rng.choice(["@ Par", " @ Par", " At Par"])
    return Case(f"{verb} {ratio}{tail}", Meaning(rights=((new, held, premium),)))


def _dividend(rng: random.Random) -> Case:
    verb = rng.choice([
        "Dividend", "Interim Dividend", "Final Dividend", "Special Dividend", "Int Div", "Div", "Spl Div", "Fin Div",
        "Annual General Meeting/Dividend", "Agm/Div", "1st Interim Dividend", "2nd Interim Dividend",
        "Third Interim Dividend",
    ])  # fmt: skip
    sep = rng.choice([" - ", " ", "- ", " -", "-"])
    if rng.random() < 0.3:
        percent = rng.choice([5.0, 10.0, 12.5, 20.0, 35.0, 60.0, 100.0, 130.0, 150.0, 7.5])
        number = f"{percent:g}"
        return Case(f"{verb}{sep}{number}{rng.choice(['%', ' %', '%'])}", Meaning(percent=(percent,)))
    if rng.random() < 0.1:
        paise = rng.choice([5, 10, 25, 40, 50, 75])
        return Case(f"{verb}{sep}{paise} Paise Per Share", Meaning(rupees=(paise / 100,)))
    amount = rng.choice([0.1, 0.25, 0.5, 1.0, 1.2, 2.0, 2.5, 3.75, 5.0, 7.0, 12.5, 16.0, 45.0, 250.0, 1250.0, 2012.0])
    per = rng.choice([" Per Share", " Per Sh", "", " Per Equity Share", " Per Share"])
    return Case(f"{verb}{sep}{_money(rng, amount)}{per}", Meaning(rupees=(amount,)))


def _meeting(rng: random.Random) -> Case:
    text = rng.choice([
        "Annual General Meeting", "AGM", "Extra Ordinary General Meeting", "Egm", "Buy Back", "Buyback",
        "Annual Book Closure", "Extra-Ordinary General Meeting",
    ])  # fmt: skip
    return Case(text, Meaning())


def _debt(rng: random.Random) -> Case:
    new, held = rng.choice(RATIOS)
    text = rng.choice([
        "Interest Payment", "Redemption", f"Bonus Debentures {new}:{held}", f"Bonus Preference Shares {new}:{held}",
        f"Scheme Of Arrangement - Bonus Ncrps {new}:{held}", f"Bonus Ncds {new}:{held}", "Interest Payment/Redemption",
        f"Bonus Non Convertible Redeemable Preference Shares {new}:{held}",
    ])  # fmt: skip
    return Case(text, Meaning())
