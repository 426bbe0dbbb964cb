"""Quantities among the tokens of a purpose text: money, percentages, ratios, pairs of face values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from champion.market.actions.action_words import Token


@dataclass(frozen=True, slots=True)
class Item:
    """A quantity of a segment: money, number, percent, ratio (new, held) or pair (old, new).

    `place` is the index of its first token; `dotted` means that its size is not clear: `Rs .50`.
    """

    kind: str
    value: float
    other: float = 0.0
    place: int = 0
    dotted: bool = False


def find_quantities(found: Sequence[Token]) -> list[Item]:
    """Return the quantities in order; numbers that form a ratio or a pair are joined."""
    single: list[Item] = []
    face = False  # `of face value Rs 10` is not a quantity of the action
    for place, token in enumerate(found):
        if token.concept == "face_value":
            face = True
        elif token.concept == "number":
            item = quantity_at(found, place)
            if item is not None and not (face and item.kind in {"money", "number"} and not has_to(found)):
                single.append(item)
            face = False
    return _join(single, found)


def without_face_values(found: Sequence[Token]) -> list[Token]:
    """Return the tokens without the face value in `per share of Rs 10 each`; the others keep their places."""
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
                if found[at].text in {"/", "-", "each"}:
                    kept[at] = Token("filler", "of")
    return kept


def quantity_at(found: Sequence[Token], place: int) -> Item | None:
    """Return the number at a place as money, a percentage or a bare number; None if there is no number."""
    token = found[place]
    if token.concept != "number":
        return None
    after = list(found[place + 1 : place + 4])
    before = [one for one in found[:place] if one.text not in {".", "-", "*", "("}][-1:]
    if after and after[0].concept == "percent":
        return Item("percent", token.value, place=place)
    rupees = bool(before) and before[0].concept == "rupee"
    if not rupees and ((after and after[0].concept == "paise") or (before and before[0].concept == "paise")):
        return Item("money", token.value / 100, place=place, dotted=token.value < 1)  # `0.50 Ps` may be `p.s.`
    if _is_unclear_unit(before, after, rupees=rupees):
        return Item("money", token.value, place=place, dotted=True)
    dashed = len(after) > 1 and after[0].text == "/" and after[1].text == "-"
    if rupees or dashed or (after and after[0].concept == "rupee" and not _money_follows(found, place + 1)):
        rupee = rupees and before[0].text == "re"
        if rupee and token.dotted:  # `Re .50` is less than a rupee
            value, unclear = float(f"0.{token.text}"), False
        else:  # `Re.50` may be either
            value, joined = token.value, found[place - 1].text == "." and token.text.isdigit()
            zero = joined and token.text.startswith("0") and value > 0  # `Rs.0125` is not 125
            unclear = token.dotted or zero or (rupee and joined and value > 1)
        return Item("money", value, place=place, dotted=unclear)
    return Item("number", token.value, place=place, dotted=token.dotted)


def _is_unclear_unit(before: Sequence[Token], after: Sequence[Token], *, rupees: bool) -> bool:
    """Return whether the unit of a number is not clear: `75P` (paise, or `per` cut short), `Rs 50 paise`, `USD 5`."""
    if any(token.concept == "foreign" for token in (*before, *after[:1])):
        return True
    if not after:
        return False
    cut_short = after[0].text == "p" and not (len(after) > 1 and after[1].text == "/")
    both = after[0].concept == "paise" and after[0].text != "ps"  # `Rs 5 ps` is per share
    return (cut_short and not rupees) or (both and rupees)


def _money_follows(found: Sequence[Token], place: int) -> bool:
    """Return whether the currency at `place` belongs to the number after it."""
    rest = [token for token in found[place + 1 : place + 4] if token.text not in {".", "-"}]
    return bool(rest) and rest[0].concept == "number"


_BETWEEN = {"filler", "per", "for", "not_equity", "own_class"}
_BETWEEN_PAIR = _BETWEEN | {"mark", "rupee", "from", "face_value", "paise", "to"}
_BETWEEN_RATIO = _BETWEEN | {"bonus", "rights"}


def _join(single: Sequence[Item], found: Sequence[Token]) -> list[Item]:
    joined: list[Item] = []
    for item in single:
        last = joined[-1] if joined else None
        between = found[last.place + 1 : item.place] if last is not None else []
        concepts = {token.concept for token in between}
        if last is not None and last.kind == "number" and item.kind == "number" and _is_ratio(between):
            joined[-1] = Item("ratio", last.value, item.value, last.place)
        elif last is not None and {last.kind, item.kind} <= {"money", "number"} and "to" in concepts <= _BETWEEN_PAIR:
            joined[-1] = Item("pair", last.value, item.value, last.place)
        elif last is not None and last.kind == "ratio" and between and between[-1].text == ":":
            joined[-1] = replace(last, kind="number", other=0.0)  # 1:1:1
            joined.append(item)
        else:
            joined.append(item)
    return joined


def _is_ratio(between: Sequence[Token]) -> bool:
    concepts = {token.concept for token in between if token.text not in {"-", "(", ")", "."}}
    return [token.text for token in between] == [":"] or "for" in concepts <= _BETWEEN_RATIO


def has_to(chunk: Sequence[Token]) -> bool:
    """Return whether the word `to` is among the tokens."""
    return any(token.concept == "to" for token in chunk)


def money_pair(found: Sequence[Token]) -> list[Item]:
    """Return the only two amounts in rupees as a pair, if `to` is between them: `1 share of Rs 10 into 5 of Rs 2`."""
    money = [item for place in range(len(found)) if (item := quantity_at(found, place)) and item.kind == "money"]
    if len(money) != 2 or not has_to(found[money[0].place : money[1].place]):  # noqa: PLR2004 - old and new
        return []
    return [Item("money_pair", money[0].value, money[1].value, money[0].place)]
