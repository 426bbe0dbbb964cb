"""Parse corporate actions from the exchange's free text: `Bonus 1:2/Fv Splt Frm Rs 10 To Rs 5` has two actions.

The text is typed by hand. It is parsed in four steps. A text that does not fit is `not_understood`, never guessed:

1. `action_words` makes tokens: one concept for all spellings of a word, and numbers.
2. Separators (`/`, `+`, `&`, `and`) end a clause if an action's word follows; `/` also occurs in `Rs 10/-`.
3. Each action's word starts a segment with the quantities after it; in a clause with only one action's word, the
   quantities before it belong to the segment too.
4. Each kind reads its quantities: a pair of face values, a ratio, a premium, an amount or a percentage. Two candidates
   for one quantity, an unknown word next to a bonus or a right, or a cancelled action are not understood.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from champion.market.actions.action_quantities import money_pair
from champion.market.actions.action_segments import Segment, find_segments
from champion.market.actions.action_words import tokens

READ, MOVES_NO_PRICE, NOT_UNDERSTOOD = "read", "moves_no_price", "not_understood"
ORDER = (
    *("split", "consolidation", "bonus", "rights", "demerger", "scheme", "capital_reduction"),
    *("buyback", "distribution", "interest", "meeting", "other", "dividend"),
)
_WITHOUT_FACTOR = {
    "rights": "needs the price before the ex-date",
    "demerger": "the list gives no ratio",
    "scheme": "the list gives no ratio",
    "capital_reduction": "the list does not say what becomes of the number of shares",
    "dividend": "dividends are not adjusted for",
}
_NO_FACES, _NO_RATIO = "the face values are not in the text", "the ratio is not in the text"
_NO_AMOUNT, _NO_PREMIUM = "the text gives no amount", "the text gives no amount of premium"
WITHOUT_QUANTITY = (_NO_FACES, _NO_RATIO, _NO_AMOUNT)
"""The reasons for actions whose text has no quantity."""
NOT_IN_EQUITY = "not in equity"
"""In the reasons of actions whose entitlement is another instrument."""
NOT_IN_SHARES = f"the {{}} is {NOT_IN_EQUITY} shares"
_WORD = 4  # letters of an unknown word that may name an action
_BONUS_WHOLE = 100.0  # per cent: a bonus of 100% is one new share for each held


@dataclass(frozen=True, slots=True)
class ParsedAction:
    """One corporate action: prices before its ex-date are divided by `price_factor`.

    Without a factor, `reason` says why, if the kind can move the price. `amount` is a dividend, or the premium of a
    rights issue, in rupees per share. `percent` is a dividend in per cent of the face value at its time. `verdict` is
    `read`, `moves_no_price` or `not_understood`.
    """

    kind: str
    price_factor: float | None
    detail: str
    reason: str | None = None
    amount: float | None = None
    percent: float | None = None
    verdict: str = READ


@lru_cache(maxsize=65_536)  # the real list has 21,000 rows
def parse_purpose(text: str) -> tuple[ParsedAction, ...]:
    """Return the actions in one purpose text, at least one: an unknown action has kind `other`.

    The factor of a split or a consolidation is old over new face value, of a bonus a:b (a new for b held) (a + b) / b.

    >>> [(a.kind, a.price_factor) for a in parse_purpose("Bonus 1:2/ Fv Splt Frm Rs 10 To Rs 2")]
    [('split', 5.0), ('bonus', 1.5)]
    >>> parse_purpose("Interim Dividend - Rs 3.50 Per Share")[0].amount
    3.5
    >>> parse_purpose("Agm/Div-60%")[1].percent
    60.0
    >>> parse_purpose("Bonus Ncrps 1:116")[0].reason
    'the bonus is not in equity shares'
    >>> parse_purpose("Annual Housekeeping")[0].verdict
    'not_understood'
    """
    text = " ".join(text.split())
    found = tokens(text)
    actions: list[ParsedAction] = []
    for segment in find_segments(found):
        actions += _READERS.get(segment.kind, _other)(segment, text)
    if any(token.concept == "negated" for token in found):
        actions = [_unclear(one.kind, text, "the text says cancelled, deferred or not") for one in actions]
    actions = actions or [_unclear("other", text, "no known word")]
    bare = [one for one in actions if (one.kind, one.verdict) != ("other", MOVES_NO_PRICE)]
    actions = bare or actions  # a book closure beside a meeting is redundant
    return tuple(sorted(_distinct(actions), key=lambda action: ORDER.index(action.kind)))


def _split(segment: Segment, text: str) -> list[ParsedAction]:
    kind, items = segment.kind, segment.items
    if segment.has("not_equity"):
        return [ParsedAction(kind, None, text, NOT_IN_SHARES.format(kind), verdict=MOVES_NO_PRICE)]
    if any(token.text == "reverse" for token in segment.tokens):
        return [_unclear(kind, text, "the words say a split and its reverse")]
    pairs = money_pair(segment.tokens) or [item for item in items if item.kind == "pair"]
    ratios = [item for item in items if item.kind == "ratio"]
    loose = [item for item in items if item.kind not in {"pair", "ratio"}]
    if len(pairs) == 1 and not ratios and (not loose or pairs[0].kind == "money_pair"):
        old, new = pairs[0].value, pairs[0].other
    elif len(ratios) == 1 and not pairs and not loose:
        high, low = max(ratios[0].value, ratios[0].other), min(ratios[0].value, ratios[0].other)
        old, new = (high, low) if kind == "split" else (low, high)
    else:
        return [_unclear(kind, text, "the face values are not clear" if items else _NO_FACES)]
    if not (old > 0 and new > 0):
        return [_unclear(kind, text, "a face value is zero")]
    if (old > new) != (kind == "split") or old == new:
        return [_unclear(kind, text, f"the face value goes from {old:g} to {new:g}, which is no {kind}")]
    return [ParsedAction(kind, old / new, f"{old:g} to {new:g}")]


def _face_value(segment: Segment, text: str) -> list[ParsedAction]:
    pairs = [item for item in segment.items if item.kind == "pair"]
    if len(pairs) != 1:
        return [_unclear("other", text, "no known word")]
    kind = "split" if pairs[0].value > pairs[0].other else "consolidation"
    return _split(Segment(kind, tokens=segment.tokens), text)


def _bonus(segment: Segment, text: str) -> list[ParsedAction]:
    if other := _not_in_shares(segment, text):
        return [other]
    items = segment.items
    ratios = [item for item in items if item.kind == "ratio"]
    percents = [item for item in items if item.kind == "percent"]
    loose = [item for item in items if item.kind in {"number", "pair"}]
    if len(ratios) == 1 and not percents and not loose:
        new, held = ratios[0].value, ratios[0].other
    elif len(percents) == 1 and not ratios and not loose:
        new, held = percents[0].value, _BONUS_WHOLE
    else:
        return [_unclear("bonus", text, "the ratio is not clear" if items else _NO_RATIO)]
    if not (new > 0 and held > 0):
        return [_unclear("bonus", text, "a side of the ratio is zero")]
    return [ParsedAction("bonus", (new + held) / held, f"{new:g}:{held:g}")]


def _not_in_shares(segment: Segment, text: str) -> ParsedAction | None:
    """Return the action if a bonus or a right offers other securities or has an unknown word; else None."""
    kind = segment.kind
    if segment.has("not_equity", "own_class"):
        if sum(item.kind == "ratio" for item in segment.items) > 1:
            return _unclear(kind, text, "shares and other securities in one action")
        shown = "right" if kind == "rights" else kind
        return ParsedAction(kind, None, text, NOT_IN_SHARES.format(shown), verdict=MOVES_NO_PRICE)
    if segment.unknown:
        return _unclear(kind, text, f"unknown: {' '.join(segment.unknown)}")
    return None


def _rights(segment: Segment, text: str) -> list[ParsedAction]:
    if other := _not_in_shares(segment, text):
        return [other]
    ratios = [item for item in segment.items if item.kind == "ratio"]
    premium = _premium(segment)
    detail = f"{ratios[0].value:g}:{ratios[0].other:g}" if len(ratios) == 1 else text
    if len(ratios) != 1 or not (ratios[0].value > 0 and ratios[0].other > 0):
        why = "more than one ratio, or a side of it is zero" if ratios else "the ratio is not clear"
        return [_unclear("rights", detail, why if segment.items else _NO_RATIO)]
    if premium is None:
        return [_unclear("rights", detail, _NO_PREMIUM)]
    return [ParsedAction("rights", None, detail, _WITHOUT_FACTOR["rights"], premium)]


def _premium(segment: Segment) -> float | None:
    """Return the premium in rupees: after its word, else before it; 0 at par; None if it is not clear."""
    places = [place for place, token in enumerate(segment.tokens) if token.concept == "premium"]
    if segment.has("at_par") and not places:
        return 0.0
    prices = [item for item in segment.items if item.kind in {"money", "number"}]
    if len(places) != 1:
        return None
    after = [item for item in prices if item.place > places[0]]
    before = [item for item in prices if item.place < places[0]]
    chosen = after[:1] if after else before if len(before) == 1 else []
    return chosen[0].value if chosen and not chosen[0].dotted else None


def _dividend(segment: Segment, text: str) -> list[ParsedAction]:
    shown = {"spl": "special", "int": "interim"}
    label = " ".join(sorted({shown.get(one, one) for one in segment.labels} - {"kind_of_dividend"})) or "dividend"
    items = segment.items
    if segment.has("not_equity") and not segment.has("own_class"):
        return [ParsedAction("dividend", None, text, NOT_IN_SHARES.format("dividend"), verdict=MOVES_NO_PRICE)]
    has_ratio = any(item.kind in {"ratio", "pair"} for item in items)
    extra = [_unclear("other", text, "a ratio without a word for it")] if has_ratio else []
    money = [item for item in items if item.kind == "money"]
    percents = [item for item in items if item.kind == "percent"]
    numbers = [item for item in items if item.kind == "number"]
    chosen = money or percents or numbers
    stray = bool(money or percents) and any(not segment.tokens[item.place].tight for item in numbers)
    strange = not money and not percents and any(len(word) >= _WORD for word in segment.unknown)
    if len(chosen) != 1 or chosen[0].dotted or chosen[0].value <= 0 or strange or stray:
        why = "the amount is not clear" if chosen else _NO_AMOUNT
        return [_unclear("dividend", label if not chosen else text, why), *extra]
    value, is_percent = chosen[0].value, chosen[0].kind == "percent"
    amount, percent = (None, value) if is_percent else (value, None)
    detail = f"{label} {value:g}{'%' * is_percent}"
    return [ParsedAction("dividend", None, detail, _WITHOUT_FACTOR["dividend"], amount, percent), *extra]


def _by_price(segment: Segment, text: str) -> list[ParsedAction]:
    """Return a demerger, scheme or capital reduction, whose size only the prices show."""
    return [ParsedAction(segment.kind, None, "", _WITHOUT_FACTOR[segment.kind]), *_left_over(segment, text, {"ratio"})]


def _other(segment: Segment, text: str) -> list[ParsedAction]:
    paid = set() if segment.kind in {"buyback", "distribution", "interest"} else {"money", "percent"}
    found = ParsedAction(segment.kind, None, "", verdict=MOVES_NO_PRICE)
    return [found, *_left_over(segment, text, {"ratio", "pair"} | paid)]


def _unnamed(segment: Segment, text: str) -> list[ParsedAction]:
    known = segment.has("revised") and not segment.unknown and not segment.items
    return [] if known else [_unclear("other", text, "no known word")]


def _left_over(segment: Segment, text: str, kinds: set[str]) -> list[ParsedAction]:
    """Return an action that is not understood if a segment has quantities that its kind cannot have."""
    known = all(item.kind not in kinds for item in segment.items)
    return [] if known else [_unclear("other", text, "a quantity without a word for it")]


def _unclear(kind: str, detail: str, reason: str) -> ParsedAction:
    return ParsedAction(kind, None, detail, reason, verdict=NOT_UNDERSTOOD)


def _distinct(actions: Iterable[ParsedAction]) -> list[ParsedAction]:
    """Return the actions without duplicates of those that have no quantity."""
    seen, found = set(), []
    for action in actions:
        plain = action.price_factor is action.amount is action.percent is None
        key = (action.kind, action.verdict) if plain else None
        if key is None or action.kind == "dividend" or key not in seen:
            found.append(action)
        seen.add(key)
    return found


_READERS = {
    **dict.fromkeys(("split", "consolidation"), _split),
    **dict.fromkeys(("demerger", "scheme", "capital_reduction"), _by_price),
    "face_value": _face_value,
    "bonus": _bonus,
    "rights": _rights,
    "dividend": _dividend,
    "unnamed": _unnamed,
}
