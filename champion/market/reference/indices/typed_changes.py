"""Refuse the dates on which typed changes of an index lead back to members that other dated changes exclude.

A table of press releases is typed, and a wrong symbol in it gives a wrong member for all dates before it: who joins
under it was not in the index before, and who really joined stays in it until the first date. The number of companies
does not show this. Two kinds of evidence do:

1. A change of the index itself that its later changes contradict (`index_steps`): a join of a share that is in it.
2. A change of another index of NIFTY 100, which is NIFTY 50 and NIFTY NEXT 50 on every date: a share that left NIFTY
   100 on a date is in neither part on it. The register names these changes for 25 years.

Both show that a change of this share after the date is missing or wrong, up to its next change in the index, or else up
to the first list. If a typed change lies in between, the members before this date are not known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date, timedelta

from champion.market.reference.indices.index_steps import OneIndex
from champion.market.reference.indices.relations import exclusions, parts_of
from champion.market.reference.indices.stale_lists import Event
from champion.market.reference.indices.steps import PRESS_RELEASE

_WHOLE = "NIFTY 100"


def refuse_typed(evidence: Mapping[str, OneIndex]) -> None:
    """Let each index begin on the first date on which no other dated change contradicts its typed changes.

    `evidence` has the derived indices (`index_steps.derive`); the contradictions are added to their `refused`.
    """
    everyone = frozenset[str]().union(*(listed.members for one in evidence.values() for listed in one.lists))
    found = {index: list(_contradictions(index, evidence, everyone)) for index in evidence}
    for index, contradictions in found.items():
        one = evidence[index]
        known = [each for each in contradictions if one.first < each[0]]
        for until, event, why in sorted(known, key=lambda each: each[0]):
            text = f"{why}: a change of it is missing or wrong, and the members before {until} are not known"
            one.refused = [each for each in one.refused if each[0] is not event]
            one.refused.append((event, text))
        if known:
            _begin(one, max(until for until, *_ in known))


def _contradictions(
    index: str, evidence: Mapping[str, OneIndex], everyone: Collection[str]
) -> Iterator[tuple[date, Event, str]]:
    """Yield what the index says by itself and other changes exclude: the first date after it, the state, and why."""
    one = evidence[index]
    typed = [event.day for event in one.events if event.basis == PRESS_RELEASE]
    own = [(event, why) for event, why in one.refused if event.day < one.lists[0].day and event.member in everyone]
    for event, why in (*own, *_excluded(index, evidence)):
        until = _next_change(one, event.member, event.day)
        if any(event.day < day <= until for day in typed):
            yield until, event, why


def _excluded(index: str, evidence: Mapping[str, OneIndex]) -> Iterator[tuple[Event, str]]:
    """Yield the members that a change of another index of NIFTY 100 excludes, each as what the index says by itself."""
    one, core = evidence[index], {_WHOLE, *parts_of(_WHOLE)}
    for _, mine, other, state in exclusions(index) if index in core else ():
        for change in evidence[other].events if other in core and other in evidence else ():
            day = change.day if change.joins == state else change.day - timedelta(1)
            if one.first <= day < one.lists[0].day and _has(one, change.member, day) == mine:
                said = f"a change of {other} on {change.day} has it {'in' if change.joins else 'out'}"
                yield Event(day, change.member, mine, change.basis), said


def _has(one: OneIndex, member: str, day: date) -> bool:
    own = [step.joins for step in one.steps if step.member == member and step.day <= day]
    return own[-1] if own else member in one.start


def _next_change(one: OneIndex, member: str, day: date) -> date:
    first = one.lists[0].day
    return min((step.day for step in one.steps if step.member == member and day < step.day < first), default=first)


def _begin(one: OneIndex, day: date) -> None:
    """Leave out the dates before a date."""
    for step in one.steps:
        if step.day <= day:
            (one.start.add if step.joins else one.start.discard)(step.member)
    one.steps = [step for step in one.steps if step.day > day]
    one.first = day
