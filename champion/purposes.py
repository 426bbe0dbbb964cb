"""Corporate actions in the exchange's free text: `Bonus 1:2/Fv Splt Frm Rs 10 To Rs 5` to two actions with factors.

People type the text by hand. It is read in four steps, and what does not fit is `not_understood`, never guessed:

1. `purpose_words` makes tokens: one concept for each spelling, and numbers.
2. Separators (`/`, `+`, `&`, `and`) end a clause where an action's word follows; `/` also stands in `Rs 10/-`.
3. Each action's word starts a segment. A segment owns the quantities after it; in a clause with one action's word, also
   those before it.
4. Each kind reads its quantities: a pair of face values, a ratio, a premium, an amount or a percentage. Two candidates
   for one quantity, an unknown word beside a bonus or a right, or a cancelled action are not understood.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from champion.purpose_words import Token, tokens

READ, MOVES_NO_PRICE, NOT_UNDERSTOOD = "read", "moves_no_price", "not_understood"
ORDER = (
    *("split", "consolidation", "bonus", "rights", "demerger", "scheme", "capital_reduction"),
    *("buyback", "distribution", "interest", "meeting", "other", "dividend"),
)
_STARTS = {
    *("split", "consolidation", "bonus", "rights", "dividend", "demerger", "scheme", "capital_reduction"),
    *("buyback", "distribution", "interest", "income", "redemption", "meeting", "closure", "administrative"),
}
_LABELS = {"interim", "int", "special", "spl", "final", "kind_of_dividend"}
_KINDS = {"redemption": "interest", "income": "interest", "closure": "other", "administrative": "other"}
_SEPARATORS = {"/", "+", "&", ";", "|", ","}
_QUANTITIES = {"number", "ratio", "pair", "percent", "money"}
_WITHOUT_FACTOR = {
    "rights": "needs the price before the ex-date",
    "demerger": "the list gives no ratio",
    "scheme": "the list gives no ratio",
    "capital_reduction": "the list does not say what becomes of the number of shares",
    "dividend": "dividends are not adjusted for",
}
NOT_IN_SHARES = "the {} is not in equity shares"
_WORD = 4  # letters of an unknown word that may name an action
_BONUS_WHOLE = 100.0  # per cent: a bonus of 100% is one new share for each held


@dataclass(frozen=True, slots=True)
class Action:
    """One corporate action: prices before its ex-date are divided by `price_factor`.

    Where there is no factor, `reason` says why, if the kind could move the price. `amount` is in rupees a share: of a
    dividend, or the premium of a rights issue. `percent` is a dividend in per cent of the face value of its time.
    `verdict` is `read`, `moves_no_price` or `not_understood`.
    """

    kind: str
    price_factor: float | None
    detail: str
    reason: str | None = None
    amount: float | None = None
    percent: float | None = None
    verdict: str = READ


@dataclass(frozen=True, slots=True)
class _Item:
    """A quantity of a segment: money, number, percent, ratio (new, held) or pair (old, new); `place` of its first token."""

    kind: str
    value: float
    other: float = 0.0
    place: int = 0
    dotted: bool = False


@dataclass(slots=True)
class _Segment:
    """An action's word with the tokens that belong to it."""

    kind: str
    labels: list[str] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    included: bool = False

    def has(self, *concepts: str) -> bool:
        return any(token.concept in concepts for token in self.tokens)

    @property
    def items(self) -> list[_Item]:
        if self.kind in {"bonus", "rights", "dividend"}:
            return _items(_without_face_values(self.tokens)) or _items(self.tokens)
        return _items(self.tokens)

    @property
    def unknown(self) -> list[str]:
        return [token.text for token in self.tokens if token.concept == "unknown" and len(token.text) > 1]


@lru_cache(maxsize=65_536)  # the real list has 21,000 rows
def parse_purpose(text: str) -> tuple[Action, ...]:
    """Return the actions in one purpose text, at least one: what is not known is of kind `other`.

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
    segments = [segment for clause in _clauses(found) for segment in _segments(clause, found)]
    if any(segment.kind in {"distribution", "interest"} for segment in segments):
        segments = [segment for segment in segments if segment.kind != "unnamed"]  # parts of a trust's distribution
    actions = [action for segment in _without_empty_twins(segments) for action in _read(segment, text)]
    if any(token.concept == "negated" for token in found):
        actions = [_unclear(one.kind, text, "the text says cancelled, deferred or not") for one in actions]
    actions = actions or [_unclear("other", text, "no known word")]
    bare = [one for one in actions if (one.kind, one.verdict) != ("other", MOVES_NO_PRICE)]
    actions = bare or actions  # a book closure beside a meeting says nothing more
    return tuple(sorted(_distinct(actions), key=lambda action: ORDER.index(action.kind)))


# Clauses and segments


def _clauses(found: Sequence[Token]) -> list[list[Token]]:
    """Cut at the separators behind which an action's word comes before the next separator."""
    chunks: list[list[Token]] = [[]]
    for token in found:
        if token.concept == "and" or (token.concept == "mark" and token.text in _SEPARATORS):
            chunks.append([token])
        else:
            chunks[-1].append(token)
    clauses: list[list[Token]] = []
    for chunk in chunks:
        begins = any(token.concept in _STARTS | _LABELS for token in chunk) or _is_face_pair(chunk)
        if begins or not clauses or _is_strange(chunk):
            clauses.append(chunk)
        else:
            clauses[-1] += chunk
    if len(clauses) > 1 and not _starts_anything(clauses[0]) and not _is_strange(clauses[0]):
        clauses[:2] = [clauses[0] + clauses[1]]
    return clauses


def _starts_anything(chunk: Sequence[Token]) -> bool:
    return any(token.concept in _STARTS | _LABELS for token in chunk) or _is_face_pair(chunk)


def _is_face_pair(chunk: Sequence[Token]) -> bool:
    numbers = sum(token.concept == "number" for token in chunk)
    return numbers > 1 and any(token.concept == "face_value" for token in chunk) and _has_to(chunk)


def _has_to(chunk: Sequence[Token]) -> bool:
    return any(token.concept == "to" for token in chunk)


def _is_strange(chunk: Sequence[Token]) -> bool:
    """Tell whether a chunk is about something unknown: its first word is, and a number or nothing known follows."""
    words = [token for token in chunk if token.concept not in {"mark", "and", "filler"}]
    if not words or words[0].concept != "unknown" or len(words[0].text) < _WORD:
        return False
    return all(token.concept == "unknown" for token in words) or any(token.concept == "number" for token in words)


def _segments(clause: Sequence[Token], text: Sequence[Token]) -> list[_Segment]:
    """Return the clause's segments; tokens before the first action's word go to it, or open one of kind `other`."""
    before: list[Token] = []
    found: list[_Segment] = []
    pays = any(token.concept == "dividend" for token in text)
    for place, token in enumerate(clause):
        following = clause[place + 1 :]
        segment = _opened(token, following, before if not found else found[-1].tokens, found, pays=pays)
        if segment is not None:
            found.append(segment)
            if len(found) > 1:
                _move_what_precedes(found[-2], segment)
        elif token.concept in _LABELS and _labels_next(following):
            pass  # the dividend's own word picks it up
        elif token.concept in _LABELS and found and found[-1].kind == "dividend" and not found[-1].items:
            found[-1].labels.append(token.concept)
        elif found:
            found[-1].tokens.append(token)
        else:
            before.append(token)
    if not found:
        return [_unnamed(before)] if before else []
    if before and len(found) > 1 and found[-1].kind != "meeting" and not found[-1].items and _items(before):
        _shift(before, found)
    else:
        found[0].tokens[:0] = before
    _attach_labels(clause, found)
    return found


def _opened(
    token: Token, following: Sequence[Token], before: Sequence[Token], found: Sequence[_Segment], *, pays: bool
) -> _Segment | None:
    """Return the segment that a token opens, or None."""
    included = any(one.concept == "including" for one in before[-4:])
    if token.concept in _STARTS:
        kind = _KINDS.get(token.concept, token.concept)
        return _Segment(kind, included=included and kind == "dividend")
    if token.concept not in _LABELS or _labels_next(following):
        return None
    if found and found[-1].kind == "dividend" and not found[-1].items:
        return None
    items = _items(following)
    if token.concept == "spl":
        faces = any(one.concept == "face_value" for one in before[-3:])
        if faces or (items and items[0].kind in {"pair", "ratio"}):
            return _Segment("split")
        return _Segment("dividend", ["special"], included=included) if pays and items else _Segment("other")
    if token.concept in {"interim", "special"} or (pays and items):
        return _Segment("dividend", [token.concept], included=included)
    return None


def _labels_next(following: Sequence[Token]) -> bool:
    """Tell whether only labels and punctuation lie between here and a dividend's word."""
    for token in following:
        if token.concept == "dividend":
            return True
        if token.concept not in _LABELS and not (token.concept in {"mark", "filler"} and token.text not in _SEPARATORS):
            return False
    return False


def _attach_labels(clause: Sequence[Token], found: Sequence[_Segment]) -> None:
    """Give each dividend the labels that stand directly before its word."""
    dividends = iter([segment for segment in found if segment.kind == "dividend"])
    waiting: list[str] = []
    for token in clause:
        if token.concept in _LABELS:
            waiting.append(token.concept)
        elif token.concept == "dividend":
            if (segment := next(dividends, None)) is not None:
                segment.labels += waiting
            waiting = []
        elif token.concept not in {"mark", "filler"}:
            waiting = []


def _move_what_precedes(before: _Segment, segment: _Segment) -> None:
    """Give a segment the amount before its word where the text says `Rs 2 per unit as dividend`."""
    if not any(token.concept == "as" for token in before.tokens[-3:]):
        return
    items = before.items
    if len(items) > 1 or (items and before.kind not in {"distribution", "dividend"}):
        place = items[-1].place
        segment.tokens += before.tokens[place:]
        del before.tokens[place:]


def _shift(before: list[Token], found: Sequence[_Segment]) -> None:
    """Give each segment what stands before its word, as in `1:1 bonus 5% dividend`."""
    for segment in found:
        segment.tokens, before = before, segment.tokens


def _unnamed(left: Sequence[Token]) -> _Segment:
    """Return the segment of a clause without an action's word: a change of face value, or nothing known."""
    changes = any(token.concept == "face_value" for token in left) and _has_to(left)
    return _Segment("face_value" if changes else "unnamed", tokens=list(left))


def _without_empty_twins(segments: Sequence[_Segment]) -> list[_Segment]:
    """Drop a split, consolidation, bonus or right without quantities where another of its kind has them."""
    kept = []
    for segment in segments:
        others = [one for one in segments if one is not segment and one.kind == segment.kind]
        twin = any(one.items and not one.has("not_equity") for one in others)
        same = segment.kind in {"split", "consolidation", "bonus", "rights"}
        reverse = segment.kind == "split" and any(one.kind == "consolidation" and one.items for one in segments)
        if (same and twin or reverse) and not segment.items and not segment.has("not_equity", "unknown"):
            continue
        if not segment.included:
            kept.append(segment)
    return kept


# Quantities


def _items(found: Sequence[Token]) -> list[_Item]:
    """Return the quantities in order: ratios and pairs first joined, then money, percentages and bare numbers."""
    single: list[_Item] = []
    face = False  # `of face value Rs 10`: no quantity of the action
    for place, token in enumerate(found):
        if token.concept == "face_value":
            face = True
        elif token.concept == "number":
            item = _single(found, place)
            if item is not None and not (face and item.kind in {"money", "number"} and not _has_to(found)):
                single.append(item)
            face = False
    return _joined(single, found)


def _without_face_values(found: Sequence[Token]) -> list[Token]:
    """Return the tokens without the face value in `per share of Rs 10 each`; places of the others stay."""
    kept = list(found)
    for place, token in enumerate(found):
        if token.concept != "number":
            continue
        words = [at for at in range(place) if found[at].text not in {".", "-"}][-3:]
        texts = [found[at].text for at in words]
        if len(texts) == 3 and texts[1] == "of" and found[words[2]].concept == "rupee" and texts[0].startswith("sh"):  # noqa: PLR2004
            for at in range(words[1], place + 1):
                kept[at] = Token("filler", "of")
            for at in range(place + 1, min(place + 4, len(found))):
                if found[at].text in {"/", "-"}:
                    kept[at] = Token("filler", "of")
                elif found[at].text == "each":
                    kept[at] = Token("filler", "of")
    return kept


def _single(found: Sequence[Token], place: int) -> _Item | None:
    token = found[place]
    if token.concept != "number":
        return None
    after = list(found[place + 1 : place + 4])
    before = [one for one in found[:place] if one.text not in {".", "-", "*", "("}][-1:]
    if after and after[0].concept == "percent":
        return _Item("percent", token.value, place=place)
    if after and after[0].concept == "paise" or (before and before[0].concept == "paise"):
        return _Item("money", token.value / 100, place=place)
    rupees = bool(before) and before[0].concept == "rupee"
    dashed = len(after) > 1 and after[0].text == "/" and after[1].text == "-"
    if rupees or dashed or (after and after[0].concept == "rupee" and not _money_follows(found, place + 1)):
        if token.dotted and rupees and before[0].text == "re":  # `Re .50` is less than a rupee
            return _Item("money", float(f"0.{token.text}"), place=place)
        short = (
            rupees
            and before[0].text == "re"
            and found[place - 1].text == "."
            and token.text.isdigit()
            and token.value > 1
        )  # `Re.50`
        return _Item("money", token.value, place=place, dotted=token.dotted or short)
    return _Item("number", token.value, place=place, dotted=token.dotted)


def _money_follows(found: Sequence[Token], place: int) -> bool:
    """Tell whether the currency at `place` belongs to the number after it."""
    rest = [token for token in found[place + 1 : place + 4] if token.text not in {".", "-"}]
    return bool(rest) and rest[0].concept == "number"


_BETWEEN_PAIR = {"filler", "per", "mark", "rupee", "from", "for", "face_value", "paise", "not_equity", "own_class"}
_BETWEEN_RATIO = {"filler", "bonus", "rights", "not_equity", "own_class", "per"}


def _joined(single: Sequence[_Item], found: Sequence[Token]) -> list[_Item]:
    joined: list[_Item] = []
    for item in single:
        last = joined[-1] if joined else None
        between = found[last.place + 1 : item.place] if last is not None else []
        if last is not None and last.kind == "number" and item.kind == "number" and _is_ratio(between):
            joined[-1] = _Item("ratio", last.value, item.value, last.place)
        elif (
            last is not None
            and {last.kind, item.kind} <= {"money", "number"}
            and any(token.concept == "to" for token in between)
            and all(token.concept in _BETWEEN_PAIR | {"to"} for token in between)
        ):
            joined[-1] = _Item("pair", last.value, item.value, last.place)
        elif last is not None and last.kind == "ratio" and between and between[-1].text == ":":
            joined[-1] = replace(last, kind="number", other=0.0)  # 1:1:1
            joined.append(item)
        else:
            joined.append(item)
    return joined


def _is_ratio(between: Sequence[Token]) -> bool:
    if [token.text for token in between] == [":"]:
        return True
    words = [token for token in between if token.text not in {"-", "(", ")", "."}]
    return any(token.concept == "for" for token in words) and all(
        token.concept in _BETWEEN_RATIO | {"for"} for token in words
    )


# Kinds


def _read(segment: _Segment, text: str) -> Iterable[Action]:
    reader = _READERS.get(segment.kind, _other)
    return reader(segment, text)


def _split(segment: _Segment, text: str) -> list[Action]:
    kind, items = segment.kind, segment.items
    if segment.has("not_equity"):
        return [Action(kind, None, text, NOT_IN_SHARES.format(kind), verdict=MOVES_NO_PRICE)]
    if any(token.text == "reverse" for token in segment.tokens):
        return [_unclear(kind, text, "the words say a split and its reverse")]
    pairs = _money_pair(segment.tokens) or [item for item in items if item.kind == "pair"]
    ratios = [item for item in items if item.kind == "ratio"]
    loose = [item for item in items if item.kind not in {"pair", "ratio"}]
    if len(pairs) == 1 and not ratios and (not loose or pairs[0].kind == "money_pair"):
        old, new = pairs[0].value, pairs[0].other
    elif len(ratios) == 1 and not pairs and not loose:
        high, low = max(ratios[0].value, ratios[0].other), min(ratios[0].value, ratios[0].other)
        old, new = (high, low) if kind == "split" else (low, high)
    else:
        return [_unclear(kind, text, "the face values are not in the text")]
    if not (old > 0 and new > 0):
        return [_unclear(kind, text, "a face value is zero")]
    if (old > new) != (kind == "split") or old == new:
        return [_unclear(kind, text, f"the face value goes from {old:g} to {new:g}, which is no {kind}")]
    return [Action(kind, old / new, f"{old:g} to {new:g}")]


def _money_pair(found: Sequence[Token]) -> list[_Item]:
    """Return the only two amounts in rupees as a pair, where `to` lies between: `1 share of Rs 10 into 5 of Rs 2`."""
    money = [item for place in range(len(found)) if (item := _single(found, place)) and item.kind == "money"]
    if len(money) == 2 and _has_to(found[money[0].place : money[1].place]):  # noqa: PLR2004 - old and new
        return [_Item("money_pair", money[0].value, money[1].value, money[0].place)]
    return []


def _face_value(segment: _Segment, text: str) -> list[Action]:
    pairs = [item for item in segment.items if item.kind == "pair"]
    if len(pairs) == 1:
        kind = "split" if pairs[0].value > pairs[0].other else "consolidation"
        return _split(_Segment(kind, tokens=segment.tokens), text)
    return [_unclear("other", text, "no known word")]


def _bonus(segment: _Segment, text: str) -> list[Action]:
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
        return [_unclear("bonus", text, "the ratio is not in the text")]
    if not (new > 0 and held > 0):
        return [_unclear("bonus", text, "a side of the ratio is zero")]
    return [Action("bonus", (new + held) / held, f"{new:g}:{held:g}")]


def _not_in_shares(segment: _Segment, text: str) -> Action | None:
    """Return the verdict on a bonus or a right of other securities, or beside an unknown word; None for one of shares."""
    kind = segment.kind
    if segment.has("not_equity", "own_class"):
        if sum(item.kind == "ratio" for item in segment.items) > 1:
            return _unclear(kind, text, "shares and other securities in one action")
        shown = "right" if kind == "rights" else kind
        return Action(kind, None, text, NOT_IN_SHARES.format(shown), verdict=MOVES_NO_PRICE)
    if segment.unknown:
        return _unclear(kind, text, f"unknown: {' '.join(segment.unknown)}")
    return None


def _rights(segment: _Segment, text: str) -> list[Action]:
    if other := _not_in_shares(segment, text):
        return [other]
    ratios = [item for item in segment.items if item.kind == "ratio"]
    premium = _premium(segment)
    detail = f"{ratios[0].value:g}:{ratios[0].other:g}" if len(ratios) == 1 else text
    if len(ratios) != 1 or not (ratios[0].value > 0 and ratios[0].other > 0):
        why = "the ratio is not in the text" if not ratios else "more than one ratio, or a side of it is zero"
        return [_unclear("rights", detail, why)]
    if premium is None:
        return [_unclear("rights", detail, "the text gives no amount of premium")]
    return [Action("rights", None, detail, _WITHOUT_FACTOR["rights"], premium)]


def _premium(segment: _Segment) -> float | None:
    """Return the premium in rupees: what stands after its word, else before it; 0 at par; None where it is not clear."""
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


def _dividend(segment: _Segment, text: str) -> list[Action]:
    label = " ".join(sorted({_SHOWN.get(one, one) for one in segment.labels} - {"kind_of_dividend"})) or "dividend"
    items = segment.items
    if segment.has("not_equity") and not segment.has("own_class"):
        return [Action("dividend", None, text, NOT_IN_SHARES.format("dividend"), verdict=MOVES_NO_PRICE)]
    extra = []
    if any(item.kind in {"ratio", "pair"} for item in items):
        extra = [_unclear("other", text, "a ratio without a word for it")]
    money = [item for item in items if item.kind == "money"]
    percents = [item for item in items if item.kind == "percent"]
    numbers = [item for item in items if item.kind == "number"]
    chosen = money or percents or numbers
    stray = bool(money or percents) and any(not segment.tokens[item.place].tight for item in numbers)
    strange = not money and not percents and any(len(word) >= _WORD for word in segment.unknown)
    if len(chosen) != 1 or chosen[0].dotted or chosen[0].value <= 0 or strange or stray:
        why = "the text gives no amount" if not chosen else "the amount is not clear"
        return [_unclear("dividend", label if not chosen else text, why), *extra]
    value = chosen[0].value
    if chosen[0].kind == "percent":
        detail = f"{label} {value:g}%"
        found = Action("dividend", None, detail, _WITHOUT_FACTOR["dividend"], percent=value)
    else:
        found = Action("dividend", None, f"{label} {value:g}", _WITHOUT_FACTOR["dividend"], value)
    return [found, *extra]


_SHOWN = {"spl": "special", "int": "interim"}


def _by_price(segment: _Segment, text: str) -> list[Action]:
    """Demergers, schemes and reductions of capital: known, but their size is in the prices only."""
    return [Action(segment.kind, None, "", _WITHOUT_FACTOR[segment.kind]), *_left_over(segment, text, {"ratio"})]


def _other(segment: _Segment, text: str) -> list[Action]:
    found = [Action(segment.kind, None, "", verdict=MOVES_NO_PRICE)]
    if segment.kind in {"buyback", "distribution", "interest"}:
        return [*found, *_left_over(segment, text, {"ratio", "pair"})]
    return [*found, *_left_over(segment, text, {"ratio", "pair", "money", "percent"})]


def _unnamed_action(segment: _Segment, text: str) -> list[Action]:
    known = segment.has("revised") and not segment.unknown and not segment.items
    return [] if known else [_unclear("other", text, "no known word")]


def _left_over(segment: _Segment, text: str, kinds: set[str]) -> list[Action]:
    """Return an action that is not understood where a segment has quantities its kind does not have."""
    if any(item.kind in kinds for item in segment.items):
        return [_unclear("other", text, "a quantity without a word for it")]
    return []


def _unclear(kind: str, detail: str, reason: str) -> Action:
    return Action(kind, None, detail, reason, verdict=NOT_UNDERSTOOD)


def _distinct(actions: Iterable[Action]) -> list[Action]:
    """Return the actions, those without a quantity once each."""
    seen, found = set(), []
    for action in actions:
        plain = (
            (action.kind, action.verdict) if action.price_factor is action.amount is action.percent is None else None
        )
        if plain is None or action.kind == "dividend" or plain not in seen:
            found.append(action)
        seen.add(plain)
    return found


_READERS = {
    "split": _split,
    "consolidation": _split,
    "face_value": _face_value,
    "bonus": _bonus,
    "rights": _rights,
    "dividend": _dividend,
    "demerger": _by_price,
    "scheme": _by_price,
    "capital_reduction": _by_price,
    "unnamed": _unnamed_action,
}
