"""The changes that were applied to the members of an index, and the periods of membership that they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from champion.market.reference.indices.identities import Identity

LIST, REGISTER, PRESS_RELEASE, BETWEEN_LISTS, RENAMED = "list", "register", "press release", "between lists", "renamed"
NO_BAR = "no bar"


class Step(NamedTuple):
    """One applied change: the date from which it counts; the true date is later than `after` if that is given.

    `by_index` names the indices whose lists or changes date it, null for the evidence of the index itself.
    """

    day: date
    member: str
    joins: bool
    basis: str
    after: date | None
    by_index: str | None = None


def periods(
    members: Iterable[str],
    steps: Iterable[Step],
    identities: Mapping[str, Sequence[tuple[date, Identity]]],
    start: date,
) -> Iterator[tuple[object, ...]]:
    """Yield the periods of membership, split where the symbol or ISIN of a member changes."""
    begun = {member: Step(start, member, joins=True, basis=LIST, after=None) for member in members}
    for step in steps:
        if step.joins:
            begun[step.member] = step
        else:
            yield from _split(begun.pop(step.member), step, identities[step.member])
    for step in begun.values():
        yield from _split(step, None, identities[step.member])


def _split(first: Step, end: Step | None, known: Sequence[tuple[date, Identity]]) -> Iterator[tuple[object, ...]]:
    inside = [(day, identity) for day, identity in known[1:] if first.day < day and (end is None or day < end.day)]
    at_start = [each for each in known if each[0] <= first.day][-1:] or [known[0]]
    edges: list[tuple[date | None, str | None, date | None, str | None]] = [_edge(first)]
    edges += [(day, RENAMED, None, None) for day, _ in inside]
    edges.append(_edge(end) if end else (None, None, None, None))
    for place, (seen_on, identity) in enumerate([*at_start, *inside]):
        since, until = edges[place], edges[place + 1]
        if since[0] == until[0]:
            continue  # it left on the first covered date
        yield *identity, seen_on, since[0], until[0], *since[1:], *until[1:], first.member


def _edge(step: Step) -> tuple[date, str, date | None, str | None]:
    return step.day, step.basis, step.after, step.by_index
