"""Derive the members of one index over time from its own lists and dated changes, as steps from a first date.

The rules are those of `champion.market.reference.indices.membership`, 2 to 4.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import groupby
from operator import attrgetter

import polars as pl

from champion.market.reference.indices.stale_lists import DatedList, Event
from champion.market.reference.indices.steps import BETWEEN_LISTS, REGISTER, Step

_HALF = ", and the number of companies is wrong without it: from then on, the members are not complete until a list"


@dataclass(slots=True)
class OneIndex:
    """The evidence for one index, and what follows from it."""

    lists: list[DatedList]
    events: list[Event]
    complete: dict[str, date]
    holes: set[date] = field(default_factory=set)
    first: date = date.max
    start: set[str] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    refused: list[tuple[Event, str]] = field(default_factory=list)

    def leave_open(self, holes: Collection[date]) -> None:
        """Note the dates of refused changes: after one that no list follows, no source is complete."""
        self.holes |= set(holes)
        for hole in holes:
            if all(each.day < hole for each in self.lists):
                before = hole - timedelta(1)
                self.complete = {basis: min(end, before) for basis, end in self.complete.items()}

    def gaps(self) -> list[tuple[date, date]]:
        """Return the spans in which no source is complete: from a refused change to the list after it, excluded."""
        lists = [each.day for each in self.lists]
        return [(hole, min((day for day in lists if day >= hole), default=date.max)) for hole in sorted(self.holes)]

    def is_complete(self, first: date, last: date) -> bool:
        """Return whether one source of changes is complete from a date to another one."""
        began: dict[str, date] = {}
        for event in self.events:
            began.setdefault(event.basis, event.day)
        is_open = any(first < until and hole <= last for hole, until in self.gaps())
        return not is_open and any(
            basis in began and began[basis] <= first and last <= end for basis, end in self.complete.items()
        )


def evidence_of(lists: pl.DataFrame, changes: pl.DataFrame) -> Iterator[tuple[str, OneIndex]]:
    """Yield each index with its lists and dated changes, both in order of dates."""
    by_index: dict[str, OneIndex] = {}
    seen = set[tuple[str, date, str, bool]]()
    key = ["index_name", "list_date"]
    grouped = lists.group_by(key).agg(pl.col("as_of_from", "seen_until").first(), "member").sort(key)
    for index, day, as_of_from, seen_until, members in grouped.iter_rows():
        one = by_index.setdefault(index, OneIndex([], [], {}))
        one.lists.append(DatedList(day, as_of_from, seen_until, frozenset(members)))
    ordered = changes.with_columns(is_register=pl.col("basis") == REGISTER).sort("effective", "is_register", "member")
    for row in ordered.select("index_name", "effective", "member", "joins", "basis").iter_rows():
        index, day, member, joins, basis = row
        if index not in by_index:
            continue
        one = by_index[index]
        one.complete[basis] = max(one.complete.get(basis, day), day)
        if joins is not None and (index, day, member, joins) not in seen:  # the register may repeat a release
            one.events.append(Event(day, member, joins, basis))
            seen.add((index, day, member, joins))
    yield from by_index.items()


def derive(one: OneIndex) -> None:
    """Set the members at the start, and the steps that lead from them to each later date."""
    anchor, *later = one.lists
    one.start, one.steps, one.first = _before(one, anchor)
    current = set(anchor.members)
    before = anchor
    for after in later:
        _apply(one, current, before.day, after)
        since = lower_bound(one, before, after.day)
        one.steps += [
            Step(after.day, member, member in after.members, BETWEEN_LISTS, since)
            for member in sorted(current ^ after.members)
        ]
        current, before = set(after.members), after
    _apply(one, current, before.day, None)


def _before(one: OneIndex, anchor: DatedList) -> tuple[set[str], list[Step], date]:
    """Return the members on the first date to which the changes lead back, the steps to the anchor, and this date."""
    current, steps, first = set(anchor.members), list[Step](), anchor.day
    hole = max((each for each in one.holes if each <= anchor.day), default=date.min)
    for day, of_day in groupby(reversed(_usable(one, anchor.day)), key=attrgetter("day")):
        if day <= hole:
            return current, steps[::-1], hole
        first, events = day, list(of_day)
        wrong = [event for event in events if (event.member in current) != event.joins]
        if wrong:
            one.refused += [
                (event, f"later evidence has it {'out of' if event.joins else 'in'} the index") for event in wrong
            ]
            break
        for event in events:
            (current.discard if event.joins else current.add)(event.member)
            steps.append(Step(*_fields(event), None))
    return current, steps[::-1], first


def _usable(one: OneIndex, reached: date) -> list[Event]:
    """Return the events that lead back from a date: of sources complete until then, then of those before them."""
    found, used = list[Event](), set[str]()
    while True:
        sources = {basis for basis, end in one.complete.items() if end >= reached} - used
        events = [each for each in one.events if each.basis in sources and (each.day < reached or not used)]
        events = [each for each in events if each.day <= reached]
        if not events:
            return found
        found, used, reached = events + found, used | sources, events[0].day


def _apply(one: OneIndex, current: set[str], after: date, following: DatedList | None) -> None:
    """Apply the changes from a date to the list after it.

    A change that the following list contradicts is refused if its source names no other change of this member until
    the list, although it is complete until then. A date of which only a half applies leaves a hole.
    """
    until = following.day if following else date.max
    due = [event for event in one.events if after < event.day <= until]
    last = {event.member: event for event in due}
    for day, of_day in groupby(due, key=attrgetter("day")):
        refused = list[tuple[Event, str]]()
        for event in of_day:
            if (event.member in current) == event.joins:
                refused.append((event, f"it is {'already' if event.joins else 'not'} in the index"))
                continue
            is_complete = one.complete[event.basis] >= until and last[event.member] is event
            if following and is_complete and (event.member in following.members) != event.joins:
                refused.append((event, f"the list of {until} has it {'not' if event.joins else 'still'}"))
                continue
            (current.add if event.joins else current.discard)(event.member)
            one.steps.append(Step(*_fields(event), None))
        # A list that is newer than its date has all changes of a review already, in equal numbers.
        is_half = sum(1 if event.joins else -1 for event, _ in refused) != 0
        if is_half:
            one.leave_open({day})
        for event, why in refused:
            one.refused.append((event, f"{why}{_HALF if is_half else ''}"))


def _fields(event: Event) -> tuple[date, str, bool, str]:
    return event.day, event.member, event.joins, event.basis


def lower_bound(one: OneIndex, older: DatedList, day: date) -> date | None:
    """Return the date after which a change between a list and a later day happened; None if nothing bounds the list.

    The older list is as of `as_of_from` or later. Without this date it is not older than the dated changes it shows,
    and it is assumed to be newer than the date of the list before it. Sources of changes that are complete until later
    would have named the change.
    """
    open_since = [hole - timedelta(1) for hole, _ in one.gaps() if older.day < hole < day]
    ends = [min([end, *open_since]) for end in one.complete.values()]
    bounds = [end for end in ends if end < day]
    if older.as_of_from is not None:
        bounds += [seen for seen in (older.as_of_from, older.seen_until) if seen < day]
    elif (since := shown_since(one, older)) is not None:
        bounds.append(since)
    return max(bounds, default=None)


def shown_since(one: OneIndex, listed: DatedList) -> date | None:
    """Return a date that the content of a list is not older than; None if nothing bounds it."""
    if listed.as_of_from is not None:
        return listed.as_of_from
    bounds = [each.day for each in one.lists if each.day < listed.day][-1:]
    bounds += [event.day for event in one.events if event.day <= listed.day][-1:]
    return max(bounds, default=None)


def covered_dates(one: OneIndex) -> tuple[date, date]:
    """Return the first and last date for which an index is known by its own evidence."""
    ends = [each.seen_until for each in one.lists] + [end for end in one.complete.values() if end > one.lists[-1].day]
    return one.first, max(ends)
