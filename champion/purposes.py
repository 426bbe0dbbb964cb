"""What the exchange's free text says happened: `Bonus 1:2/Fv Splt Frm Rs 10 To Rs 5` to two actions with factors.

The text is typed by hand, so a row holds one action or several, joined by `/`, `+`, `&` or nothing at all, and `/`
also stands in `Rs 10/-`. Each kind is therefore looked for in the whole text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_NUMBER = r"(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)(?![0-9]))"
_FACES = rf"\D*?(?:from|frm)?\s*r[es]\.?\s*{_NUMBER}\s*(?:/-)?\s*(?:per share)?\s*to\s*r[es]\.?\s*{_NUMBER}"
_SPLIT = re.compile(rf"(?:face value split|fv splt|sub-?\s?division){_FACES}", re.IGNORECASE)
_CONSOLIDATION = re.compile(rf"consolidation{_FACES}", re.IGNORECASE)
_BONUS = re.compile(r"bonus\b\W*(?:([0-9]{1,9})\s*:\s*([0-9]{1,9})(?![0-9]))?", re.IGNORECASE)
_RIGHTS = re.compile(r"\brights?\b[^\d@]*(?:([0-9]{1,9})\s*:\s*([0-9]{1,9})(?![0-9]))?", re.IGNORECASE)
_PREMIUM = re.compile(rf"(?:premium|prem|prm)\s*(?:of)?\s*(?:r[es]\.?)?\s*{_NUMBER}", re.IGNORECASE)
_DIVIDEND = re.compile(
    r"(?:\b(?P<label>interi?m|inteim|inteirm|int|special?|splecial|spl|final|exempt|taxable|total)\s*)?"
    rf"(?:l?d?ivi?d(?:end|ned)|\bdiv\b)[^\w/&+]*(?:of\b)?\s*(?:r\s?[es]\b)?[\s.:-]*(?:r[es])?[\s.:-]*{_NUMBER}?",
    re.IGNORECASE,
)
_OTHERS = {
    "demerger": r"de-?merger",
    "scheme": r"s[ch]+eme of|amalgamation|reconstruction",
    "capital_reduction": r"capital reduction",
    "buyback": r"buy\s?-?\s?back",
    "distribution": r"dist\w*bution",
    "interest": r"\bi?nter\w?st\b(?!\s+dividend)|redemption|return o[nf] cap|principal|amortization",
    "meeting": r"general\s+me|\bagm\b",
}
_WITHOUT_FACTOR = {
    "rights": "needs the price before the ex-date",
    "demerger": "the list gives no ratio",
    "scheme": "the list gives no ratio",
    "capital_reduction": "the list does not say what becomes of the number of shares",
    "dividend": "dividends are not adjusted for",
}


@dataclass(frozen=True, slots=True)
class Action:
    """One corporate action: prices before its ex-date are divided by `price_factor`.

    Where there is no factor, `reason` says why, if the kind could move the price. `amount` is in rupees a share: of a
    dividend, or the premium of a rights issue.
    """

    kind: str
    price_factor: float | None
    detail: str
    reason: str | None = None
    amount: float | None = None


@lru_cache(maxsize=65_536)  # the real list has 21,000 rows
def parse_purpose(text: str) -> tuple[Action, ...]:
    """Return the actions in one purpose text, at least one: what is not known is of kind `other`.

    The factor of a split or a consolidation is old over new face value, of a bonus a:b (a new for b held) (a + b) / b.

    >>> [(a.kind, a.price_factor) for a in parse_purpose("Bonus 1:2/ Fv Splt Frm Rs 10 To Rs 2")]
    [('split', 5.0), ('bonus', 1.5)]
    >>> parse_purpose("Interim Dividend - Rs 3.50 Per Share")[0].amount
    3.5
    >>> parse_purpose("Bonus Ncrps 1:116")[0].reason
    'the bonus is not in equity shares'
    """
    text = " ".join(text.split())
    found = [*_faces(text), *_bonuses(text), *_rights(text)]
    found += [
        Action(kind, None, "", _WITHOUT_FACTOR.get(kind))
        for kind, pattern in _OTHERS.items()
        if re.search(pattern, text, re.IGNORECASE)
    ]
    found += _dividends(text)
    return tuple(found) or (Action("other", None, text),)


def _faces(text: str) -> list[Action]:
    found = []
    for pattern, word in ((_SPLIT, "split"), (_CONSOLIDATION, "consolidation")):
        for old, new in pattern.findall(text):
            known = float(old) > 0 and float(new) > 0
            reason = None if known else "a face value is zero"
            factor = float(old) / float(new) if known else None
            found.append(Action(word, factor, f"{old} to {new}", reason))
    for word, stem in (("split", r"face value split|fv splt|sub-?\s?division"), ("consolidation", "consolidation")):
        if re.search(stem, text, re.IGNORECASE) and not any(action.kind == word for action in found):
            found.append(Action(word, None, text, "the face values are not in the text"))
    return found


def _bonuses(text: str) -> list[Action]:
    found = []
    for new, held in _BONUS.findall(text):
        if new and int(held) > 0:
            found.append(Action("bonus", (int(new) + int(held)) / int(held), f"{int(new)}:{int(held)}"))
        else:
            found.append(Action("bonus", None, text, "the bonus is not in equity shares"))
    return found


def _rights(text: str) -> list[Action]:
    match = _RIGHTS.search(text)
    if match is None:
        return []
    premium = _PREMIUM.search(text)
    ratio = f"{int(match[1])}:{int(match[2])}" if match[1] else text
    return [Action("rights", None, ratio, _WITHOUT_FACTOR["rights"], float(premium[1]) if premium else None)]


def _dividends(text: str) -> list[Action]:
    return [
        Action(
            "dividend",
            None,
            " ".join(match[0].split()),
            _WITHOUT_FACTOR["dividend"],
            float(match[2]) if match[2] else None,
        )
        for match in _DIVIDEND.finditer(text)
    ]
