"""A grammar of purpose texts as people type them, each with the actions it states."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

FACES = ((10.0, 1.0), (10.0, 2.0), (10.0, 5.0), (5.0, 1.0), (5.0, 2.0), (2.0, 1.0), (100.0, 10.0), (1.0, 0.5))
SPLITS = (
    *("Face Value Split", "FV SPLIT", "Fv Splt", "FV SPL", "FVSPLT", "F.V. Split", "Sub Division", "SUB-DIVISION"),
    *("Sub Div", "SUB DIVN", "Stock Split", "Share Split", "Split", "Face Value Split (Sub-Division)", "Spilt", "SPL"),
)
CONSOLIDATIONS = ("Consolidation", "Face Value Consolidation", "Consol", "Fv Consolidation", "Reverse Stock Split")
BONUSES = ("Bonus", "BON", "Bonus Issue", "Bonus Shares In The Ratio Of", "Bonus Equity Shares", "Bonsu", "BNS")
RIGHTS = ("Rights", "RHT", "Right", "Rights Issue", "RGT", "RTS", "Rights Issue Of Equity Shares")
PREMIA = ("Premium ", "Prem ", "PRM ", "Premium Of ", "Prem. ")
LABELS = ("", "Interim ", "Int ", "Final ", "Special ", "Spl ", "Fin ", "Spl Int ", "2nd Interim ", "Third Int ")
DIVIDENDS = ("Dividend", "DIV", "Div", "Divdend", "DIVD", "Dividned")
WITHOUT = (
    *("Annual General Meeting", "AGM", "EGM", "A.G.M.", "Buyback", "Buy-Back", "Annual Book Closure"),
    *("Bonus NCRPS 1:1", "Bonus Debentures 1:5", "Bonus Preference Shares 21:1", "Rights 2:15 NCD"),
    *("Bonus Warrants 1:2", "Bonus 1:20 (Dvr)", "Bonus Units 1:1"),
)


@dataclass
class Text:
    """A text, and what it states: factors by kind, rights as (new, held, premium), dividends in rupees or per cent."""

    text: str = ""
    factors: dict[str, float] = field(default_factory=dict)
    rights: tuple[int, int, float] | None = None
    rupees: float | None = None
    percent: float | None = None
    kinds: set[str] = field(default_factory=set)


def write(random: Random) -> Text:
    """Return one text of one to three actions, no two of a kind."""
    made, parts = Text(), []
    writers = (_split, _consolidation, _bonus, _rights, _dividend, _without)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3))):
        part = random.choice(writers)(random)
        faces = {"split", "consolidation"}
        if made.kinds & part.kinds or (made.kinds & faces and part.kinds & faces):
            continue
        parts.append(part.text)
        made.kinds |= part.kinds
        made.factors |= part.factors
        made.rights = made.rights or part.rights
        made.rupees, made.percent = made.rupees or part.rupees, made.percent or part.percent
    ending = random.choice(("", "", "", " (Purpose Revised)", " Purpose Revised", "(Revised)"))
    made.text = _typed(random, random.choice(("/", " / ", "/ ", " + ", " And ", " & ", "+")).join(parts) + ending)
    return made


def _typed(random: Random, text: str) -> str:
    text = random.choice((text, text, text.upper(), text.lower()))
    text = text.replace(" ", "  ") if random.random() < 0.15 else text
    return f"  {text} " if random.random() < 0.2 else text


def _money(random: Random, value: float, *, bare: bool = False) -> str:
    currency = random.choice(("Rs ", "Rs. ", "Rs.", "Rs", "RS ", "Re " if value <= 1 else "Rs ", "INR ", "Rs -"))
    plain = f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"
    number = random.choice((f"{value:g}", plain))
    return ("" if bare and random.random() < 0.3 else currency) + number + random.choice(("", "", "/-", " /-"))


def _per(random: Random) -> str:
    return random.choice((" Per Share", "", " Per Sh", " Per Equity Share", " PER SHR", " each"))


def _ratio(random: Random) -> tuple[str, int, int]:
    new, held = random.randint(1, 30), random.randint(1, 30)
    forms = ("{}:{}", "{} : {}", "{}: {}", "{} for {}", "{} for every {}", "{} Equity Share for every {} held")
    return random.choice(forms).format(new, held), new, held


def _split(random: Random) -> Text:
    old, new = random.choice(FACES)
    middle, to = random.choice((" - From ", " FRM ", " ", "- ", " Fm ")), random.choice((" To ", " to ", " Into "))
    text = f"{random.choice(SPLITS)}{middle}{_money(random, old, bare=True)}{_per(random)}{to}"
    return Text(f"{text}{_money(random, new, bare=True)}{_per(random)}", {"split": old / new}, kinds={"split"})


def _consolidation(random: Random) -> Text:
    new, old = random.choice(FACES)
    text = f"{random.choice(CONSOLIDATIONS)}{random.choice((' From ', ' FRM ', ' '))}{_money(random, old, bare=True)}"
    text += f"{_per(random)} To {_money(random, new, bare=True)}{_per(random)}"
    return Text(text, {"consolidation": old / new}, kinds={"consolidation"})


def _bonus(random: Random) -> Text:
    ratio, new, held = _ratio(random)
    text = f"{random.choice(BONUSES)}{random.choice((' ', '- ', ' - ', '-'))}{ratio}"
    return Text(text, {"bonus": (new + held) / held}, kinds={"bonus"})


def _rights(random: Random) -> Text:
    ratio, new, held = _ratio(random)
    premium = random.randint(0, 1900) + random.choice((0.0, 0.5))
    text = f"{random.choice(RIGHTS)}{random.choice((' ', '- ', ' - '))}{ratio}{random.choice((' @ ', ' at ', '@'))}"
    text += f"{random.choice(PREMIA)}{_money(random, float(round(premium)), bare=True)}{_per(random)}"
    return Text(text, rights=(new, held, float(round(premium))), kinds={"rights"})


def _dividend(random: Random) -> Text:
    head = random.choice(LABELS) + random.choice(DIVIDENDS)
    form = random.random()
    if form < 0.25:
        percent = random.choice((5.0, 10.0, 60.0, 150.0, 12.5, 1250.0))
        sign = random.choice(("%", " %", " Percent", " PCT", " per cent"))
        return Text(f"{head}{random.choice((' ', '-', ' - '))}{percent:g}{sign}", percent=percent, kinds={"dividend"})
    if form < 0.35:
        paise = random.choice((10, 25, 50, 75))
        words = random.choice((f"{paise} Paise", f"{paise} PS", f"Paise {paise}"))
        return Text(f"{head} {words}{_per(random)}", rupees=paise / 100, kinds={"dividend"})
    rupees = random.choice((0.5, 1.0, 2.5, 10.0, 12.75, 974.0, 1250.0, 14250.0))
    text = f"{head}{random.choice((' ', '-', ' - ', '- ', ' Of '))}{_money(random, rupees, bare=True)}{_per(random)}"
    return Text(text, rupees=rupees, kinds={"dividend"})


def _without(random: Random) -> Text:
    text = random.choice(WITHOUT)
    kind = next((kind for kind in ("bonus", "rights") if text.lower().startswith(kind)), text)
    return Text(text, kinds={kind})
