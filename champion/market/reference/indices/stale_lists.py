"""Find index lists that are older than the date under which they are known, or newer.

A list carries no date, so its date is only an upper bound: the day of download or of publication elsewhere. Two signs
show that a list is older than a list before it, or than a change that it should show:

1. It is much nearer to an earlier list than to the list before it: a block of changes is undone.
2. It lacks every change of the last date of changes before its own date. This counts if the source of the changes is
   complete until the list's date, or nearly so: an index seldom takes a change back within two months.

A list is newer than its date, as a copy in a folder of the wrong year, if

3. it has every change of the next dates of changes after its own date, from sources that are complete until then, or
4. it is nearer to a later list than to the list before it and to several in between, or
5. several other lists would have to be set aside by the first sign, but are consistent without it.

The last two signs need no dated changes. A list that is older than every other one, and undated by changes, cannot be
recognized, nor can the last list if it is newer than its date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from operator import attrgetter

from champion.base.counting import quantity

MIN_UNDONE = 4
"""Changes that a list must undo to be set aside: demergers and re-entries undo up to 2 in real lists, stale ones 36."""
MIN_AHEAD = 2
"""Later changes that a list must have to be newer than its date: one join and one exit, the smallest review."""
MIN_AGAINST = 3
"""Lists that must be consistent without one list, so that this one is wrong: no real stale copies were so many."""
_SELDOM_TAKEN_BACK = timedelta(60)


@dataclass(frozen=True, slots=True)
class DatedList:
    """One list: its date (an upper bound), the first date it may be as of, the last date it was seen, its members."""

    day: date
    as_of_from: date | None
    seen_until: date
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class Stale:
    """Why a list is set aside; its content is from before `content_before`, null if no dated change shows it."""

    reason: str
    content_before: date | None


@dataclass(frozen=True, slots=True)
class Event:
    """One dated change: the first session of the changed index, who joins or leaves, and the kind of its source."""

    day: date
    member: str
    joins: bool
    basis: str


def set_aside_stale(
    lists: Sequence[DatedList], events: Sequence[Event], complete: Mapping[str, date], known: frozenset[str]
) -> tuple[list[DatedList], dict[date, Stale]]:
    """Return the lists that are consistent in order, and the reason for each one that is set aside.

    Lists and events are in order of dates. `complete` has the date until which each source of events is complete.
    `known` are the securities that occur in any list: changes of others, which only the register names, prove nothing.

    >>> sets = [frozenset("abcdefgh"), frozenset("abcdwxyz"), frozenset("abcdefgh")]
    >>> lists = [DatedList(day := date(2024, month, 1), None, day, names) for month, names in enumerate(sets, start=1)]
    >>> [stale.reason for stale in set_aside_stale(lists, [], {}, frozenset())[1].values()]
    ['it undoes 8 changes that the list of 2024-02-01 has since 2024-01-01']
    """
    provable = [event for event in events if event.member in known]
    aside = {one.day: why for one in lists if (why := _lacks(one, provable, complete) or _has_later(one, provable))}
    rest = [one for one in lists if one.day not in aside]
    while (culprit := _culprit(rest)) is not None:
        one, stale = culprit
        aside[one.day] = stale
        rest.remove(one)
    kept, undone = _in_order(rest)
    return kept, aside | undone


def _in_order(lists: Iterable[DatedList]) -> tuple[list[DatedList], dict[date, Stale]]:
    """Return the lists that are consistent in order, and those that undo changes of the lists before them."""
    kept: list[DatedList] = []
    undone: dict[date, Stale] = {}
    for one in lists:
        if stale := _undoes(one, kept):
            undone[one.day] = stale
        else:
            kept.append(one)
    return kept, undone


def _culprit(lists: Sequence[DatedList]) -> tuple[DatedList, Stale] | None:
    """Return a list that contradicts many others, and why: not they are wrong, but this one."""
    kept, undone = _in_order(lists)
    for place, one in enumerate(kept):
        if stale := _anticipates(one, kept[:place], kept[place + 1 :]):
            return one, stale
    if len(undone) < MIN_AGAINST:
        return None
    left = {one.day: len(undone) - len(_in_order([each for each in lists if each is not one])[1]) for one in kept}
    best = max(kept, key=lambda one: left[one.day])
    text = f"it is not as of its date: without it, {quantity(left[best.day], 'other list')} would agree"
    return (best, Stale(text, None)) if left[best.day] >= MIN_AGAINST else None


def _anticipates(one: DatedList, before: Sequence[DatedList], after: Sequence[DatedList]) -> Stale | None:
    """Return why a list is newer than its date: it is nearer to a later list than to those around it."""
    distances = [len(one.members ^ each.members) for each in after]
    around = [*distances[:1], *(len(one.members ^ each.members) for each in before[-1:])]
    for place in range(MIN_AGAINST, len(after)):
        limit = distances[place] + MIN_UNDONE
        farther = sum(distance >= limit for distance in distances[:place])
        if farther >= MIN_AGAINST and min(around) >= limit:
            text = f"it is nearer to the list of {after[place].day} than to {quantity(farther, 'list')} in between"
            return Stale(text, None)
    return None


def _lacks(one: DatedList, events: Iterable[Event], complete: Mapping[str, date]) -> Stale | None:
    limit = one.day - _SELDOM_TAKEN_BACK
    past = [each for each in events if each.day <= one.day and (each.day > limit or complete[each.basis] >= one.day)]
    before: date | None = None
    count, seen = 0, set[str]()
    for day, of_day in groupby(reversed(past), key=attrgetter("day")):
        last = {event.member: event.joins for event in of_day if event.member not in seen}
        seen |= last.keys()
        if not last or any(joins == (member in one.members) for member, joins in last.items()):
            break
        before, count = day, count + len(last)
    if before is None:
        return None
    return Stale(f"it is from before {before}: it has none of the {quantity(count, 'change')} since", before)


def _has_later(one: DatedList, events: Iterable[Event]) -> Stale | None:
    """Return why a list is newer than its date: it has all changes of the next dates after it."""
    after: date | None = None
    count = 0
    for day, of_day in groupby((each for each in events if each.day > one.seen_until), key=attrgetter("day")):
        last = {event.member: event.joins for event in of_day}
        if any(joins != (member in one.members) for member, joins in last.items()):
            break
        after, count = day, count + len(last)
    if after is None or count < MIN_AHEAD:
        return None
    return Stale(f"it is from {after} or later: it has the {quantity(count, 'change')} after its date", None)


def _undoes(one: DatedList, kept: Sequence[DatedList]) -> Stale | None:
    if len(kept) < 2:  # noqa: PLR2004 - one before, and one before that
        return None
    *earlier, last = kept
    distance, day = min((len(one.members ^ before.members), before.day) for before in earlier)
    undone = len(one.members ^ last.members) - distance
    if undone < MIN_UNDONE or distance > undone:
        return None
    return Stale(f"it undoes {quantity(undone, 'change')} that the list of {last.day} has since {day}", None)
