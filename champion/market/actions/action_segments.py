"""Split a purpose text into clauses and segments: the words and quantities of each action."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from champion.market.actions.action_quantities import Item, find_quantities, has_to, without_face_values
from champion.market.actions.action_words import Token

STARTS = {
    *("split", "consolidation", "bonus", "rights", "dividend", "demerger", "scheme", "capital_reduction"),
    *("buyback", "distribution", "interest", "income", "redemption", "meeting", "closure", "administrative"),
}
"""Concepts that start an action."""
_LABELS = {"interim", "int", "special", "spl", "final", "kind_of_dividend"}
_KINDS = {"redemption": "interest", "income": "interest", "closure": "other", "administrative": "other"}
_SEPARATORS = {"/", "+", "&", ";", "|", ","}
_WORD = 4  # letters of an unknown word that may name an action


@dataclass(slots=True)
class Segment:
    """The word of an action with the tokens that belong to it."""

    kind: str
    labels: list[str] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    included: bool = False

    def has(self, *concepts: str) -> bool:
        """Return whether it has a token of one of these concepts."""
        return any(token.concept in concepts for token in self.tokens)

    @property
    def items(self) -> list[Item]:
        """Its quantities in order, without the face values next to them."""
        paid = self.kind in {"bonus", "rights", "dividend"}
        return (paid and find_quantities(without_face_values(self.tokens))) or find_quantities(self.tokens)

    @property
    def unknown(self) -> list[str]:
        """Its unknown words."""
        return [token.text for token in self.tokens if token.concept == "unknown" and len(token.text) > 1]


def find_segments(found: Sequence[Token]) -> list[Segment]:
    """Return the segments of a text in order, each with its quantities, without empty repetitions."""
    segments = [segment for clause in _clauses(found) for segment in _segments(clause, found)]
    if any(segment.kind in {"distribution", "interest"} for segment in segments):
        segments = [segment for segment in segments if segment.kind != "unnamed"]  # parts of a trust's distribution
    return _without_empty_twins(segments)


def _clauses(found: Sequence[Token]) -> list[list[Token]]:
    """Split at the separators that an action's word follows before the next separator."""
    chunks: list[list[Token]] = [[]]
    for token in found:
        if token.concept == "and" or (token.concept == "mark" and token.text in _SEPARATORS):
            chunks.append([])
        chunks[-1].append(token)
    clauses: list[list[Token]] = []
    for chunk in chunks:
        if not clauses or _starts_action(chunk):
            clauses.append(chunk)
        else:
            clauses[-1] += chunk
    if len(clauses) > 1 and not _starts_action(clauses[0]):
        clauses[:2] = [clauses[0] + clauses[1]]
    return clauses


def _starts_action(chunk: Sequence[Token]) -> bool:
    """Return whether a chunk has an action's word, a label, or a change of face value, or may name an unknown action.

    That is, its first word is unknown, and a number or only unknown words follow.
    """
    concepts = [token.concept for token in chunk]
    face_pair = concepts.count("number") > 1 and "face_value" in concepts and has_to(chunk)
    words = [token for token in chunk if token.concept not in {"mark", "and", "filler"}]
    named = bool(words) and words[0].concept == "unknown" and len(words[0].text) >= _WORD
    unknown = named and ("number" in concepts or all(token.concept == "unknown" for token in words))
    return face_pair or unknown or not (STARTS | _LABELS).isdisjoint(concepts)


def _segments(clause: Sequence[Token], text: Sequence[Token]) -> list[Segment]:
    """Return the segments of a clause; tokens before the first action's word belong to that action."""
    before: list[Token] = []
    found: list[Segment] = []
    pays = any(token.concept == "dividend" for token in text)
    for place, token in enumerate(clause):
        following = clause[place + 1 :]
        segment = _open_segment(token, following, before if not found else found[-1].tokens, found, pays=pays)
        if segment is not None:
            found.append(segment)
            if len(found) > 1:
                _move_amount_before(found[-2], segment)
        elif token.concept in _LABELS and _labels_next(following):
            pass  # the dividend's own word picks it up
        elif token.concept in _LABELS and found and found[-1].kind == "dividend" and not found[-1].items:
            found[-1].labels.append(token.concept)
        elif found:
            found[-1].tokens.append(token)
        else:
            before.append(token)
    if not found:
        # Without an action's word: a change of face value, or an unknown text.
        changes = any(token.concept == "face_value" for token in before) and has_to(before)
        return [Segment("face_value" if changes else "unnamed", tokens=before)] if before else []
    if before and len(found) > 1 and found[-1].kind != "meeting" and not found[-1].items and find_quantities(before):
        for one in found:  # each segment gets the tokens before its word, as in `1:1 bonus 5% dividend`
            one.tokens, before = before, one.tokens
    else:
        found[0].tokens[:0] = before
    _attach_labels(clause, found)
    return found


def _open_segment(
    token: Token, following: Sequence[Token], before: Sequence[Token], found: Sequence[Segment], *, pays: bool
) -> Segment | None:
    """Return the segment that a token starts, or None."""
    included = any(one.concept == "including" for one in before[-4:])
    if token.concept in STARTS:
        kind = _KINDS.get(token.concept, token.concept)
        return Segment(kind, included=included and kind == "dividend")
    waits = bool(found) and found[-1].kind == "dividend" and not found[-1].items
    if token.concept not in _LABELS or _labels_next(following) or waits:
        return None
    items = find_quantities(following)
    if token.concept == "spl":
        faces = any(one.concept == "face_value" for one in before[-3:])
        if faces or (items and items[0].kind in {"pair", "ratio"}):
            return Segment("split")
        labels = ["special"] if pays and items else []
        return Segment("dividend" if labels else "other", labels, included=included and bool(labels))
    if token.concept in {"interim", "special"} or (pays and items):
        return Segment("dividend", [token.concept], included=included)
    return None


def _labels_next(following: Sequence[Token]) -> bool:
    """Return whether a dividend's word follows after only labels and punctuation."""
    for token in following:
        if token.concept == "dividend":
            return True
        if token.concept not in _LABELS and not (token.concept in {"mark", "filler"} and token.text not in _SEPARATORS):
            return False
    return False


def _attach_labels(clause: Sequence[Token], found: Sequence[Segment]) -> None:
    """Give each dividend the labels directly before its word."""
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


def _move_amount_before(before: Segment, segment: Segment) -> None:
    """Give a segment the amount before its word in texts like `Rs 2 per unit as dividend`."""
    if not any(token.concept == "as" for token in before.tokens[-3:]):
        return
    items = before.items
    if len(items) > 1 or (items and before.kind not in {"distribution", "dividend"}):
        place = items[-1].place
        segment.tokens += before.tokens[place:]
        del before.tokens[place:]


def _without_empty_twins(segments: Sequence[Segment]) -> list[Segment]:
    """Drop a split, consolidation, bonus or right without quantities if another of its kind has them."""
    kept = []
    for segment in segments:
        others = [one for one in segments if one is not segment and one.kind == segment.kind]
        twin = any(one.items and not one.has("not_equity") for one in others)
        same = segment.kind in {"split", "consolidation", "bonus", "rights"}
        reverse = segment.kind == "split" and any(one.kind == "consolidation" and one.items for one in segments)
        empty = not segment.items and not segment.has("not_equity", "unknown")
        if not segment.included and not (empty and ((same and twin) or reverse)):
            kept.append(segment)
    return kept
