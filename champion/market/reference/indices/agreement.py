"""Let the lists and changes of one index date and end memberships of the indices that its definition ties to it.

Each index is derived from its own evidence first (`index_steps`). Between two lists of it, another index may know more:
a share that joins NIFTY 50 has left NIFTY Next 50, and one that is not in NIFTY 500 is not in NIFTY 200
(`champion.market.reference.indices.relations`). Dates are taken in order. When two indices contradict each other on a
date, the one with the stronger evidence counts, and the other one changes on this date. The evidence is, the strongest
first:

5. a dated change on this date, or a source of changes that is complete on it;
4. two lists of the index that agree, before and after the date, at most `REVIEW` apart, or a list that the exchange
   served on both sides of it: an index is reviewed twice a year, and takes no change back before;
3. a list of this date;
2. two lists that agree, at most `LONG` apart;
1. the last list or change before it, which decides nothing.

What a list says of a member and does not count for this reason is a conflict. So is evidence of the same strength on
both sides, which changes nothing. The start of a change is bounded by all indices too: a share that was in NIFTY 50 on
a date has joined NIFTY Next 50 later.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from operator import attrgetter

from champion.market.reference.indices.index_steps import OneIndex, lower_bound, shown_since
from champion.market.reference.indices.relations import PAIR, Relation, exclusions, relations
from champion.market.reference.indices.stale_lists import DatedList
from champion.market.reference.indices.steps import BETWEEN_LISTS, Step

REVIEW = timedelta(180)
LONG = timedelta(540)
"""Between two lists, a share that joined and left again would be in neither; within 18 months this is rare."""
_CARRIED, _AGREED, _LISTED, _CONFIRMED, _EXACT = range(1, 6)
_STRENGTHS = ("", "its last list", "lists", "its list of the date", "its lists before and after", "its dated changes")
_DAY = timedelta(1)


@dataclass(frozen=True, slots=True)
class Conflict:
    """What a list says of a member and does not count, or equally strong evidence on both sides, which both counts."""

    index: str
    day: date
    member: str
    joins: bool
    reason: str


@dataclass(frozen=True, slots=True)
class _Track:
    """What one index says by itself: its lists by date, from when until when its sources are complete, and its steps.

    `gaps` are the spans in which no source is complete, because a change was refused (`OneIndex.gaps`).
    `stated` are the dates for which it says of every security whether it is a member.
    """

    one: OneIndex
    last: date
    list_days: Sequence[date]
    stated: Collection[date]
    sources: Sequence[tuple[date, date]]
    gaps: Sequence[tuple[date, date]]
    steps: Mapping[str, Sequence[Step]]

    @classmethod
    def of(cls, one: OneIndex, last: date) -> _Track:
        began: dict[str, date] = {}
        for event in one.events:
            began.setdefault(event.basis, event.day)
        sources = [(began[basis], end) for basis, end in one.complete.items() if basis in began]
        steps: dict[str, list[Step]] = {}
        for step in sorted(one.steps, key=attrgetter("day")):
            steps.setdefault(step.member, []).append(step)
        days = [each.day for each in one.lists]
        return cls(one, last, days, {one.first, *days}, sources, one.gaps(), steps)

    def covers(self, day: date) -> bool:
        return self.one.first <= day <= self.last

    def last_step(self, member: str, day: date) -> Step | None:
        steps = self.steps.get(member, ())
        place = bisect_right(steps, day, key=attrgetter("day"))
        return steps[place - 1] if place else None

    def has(self, member: str, day: date) -> bool:
        step = self.last_step(member, day)
        return step.joins if step else member in self.one.start

    def list_before(self, day: date) -> DatedList | None:
        place = bisect_right(self.list_days, day)
        return self.one.lists[place - 1] if place else None

    def strength(self, member: str, day: date) -> int:
        """Return how strong the evidence is for what the index itself says of a member on a date."""
        place = bisect_right(steps := self.steps.get(member, ()), day, key=attrgetter("day"))
        last, following = (steps[at] if 0 <= at < len(steps) else None for at in (place - 1, place))
        if last and last.day == day and last.basis != BETWEEN_LISTS:
            return _EXACT
        is_dated = all(step is None or step.basis != BETWEEN_LISTS for step in (last, following))
        is_open = any(hole <= day < listed for hole, listed in self.gaps)
        if is_dated and not is_open and any(first <= day <= end for first, end in self.sources):
            return _EXACT
        return self._listed(day, following.day if following else date.max)

    def _listed(self, day: date, changed: date) -> int:
        """Return how strongly the lists show a state on a date; it is `changed` by a later one."""
        place = bisect_right(self.list_days, day)
        before, after = (self.one.lists[at] if 0 <= at < len(self.one.lists) else None for at in (place - 1, place))
        if before is None:
            return _CARRIED
        if day <= before.seen_until and (before.as_of_from is not None or before.seen_until > before.day):
            return _CONFIRMED
        apart = after.day - before.day if after and after.day < changed else timedelta.max
        if apart <= REVIEW:
            return _CONFIRMED
        if before.day == day:
            return _LISTED
        return _AGREED if apart <= LONG else _CARRIED


@dataclass(slots=True)
class _Sweep:
    """The states of one member in some indices, date by date."""

    member: str
    tracks: Mapping[str, _Track]
    rules: Sequence[Relation]
    changed: dict[str, tuple[date, int, bool, str]] = field(default_factory=dict)
    """The indices that another one decides: since when, how strongly, the state, and which index."""
    steps: dict[str, list[Step]] = field(default_factory=dict)
    conflicts: dict[tuple[object, ...], Conflict] = field(default_factory=dict)

    def run(self) -> None:
        """Fill `steps`, of the indices whose steps change, and `conflicts`."""
        days = {rule.since for rule in self.rules}
        for track in self.tracks.values():
            days |= {track.one.first, *track.list_days, *(step.day for step in track.steps.get(self.member, ()))}
        states: dict[str, list[tuple[date, bool, str]]] = {index: [] for index in self.tracks}
        for day in sorted(days):
            for index, track in self.tracks.items():
                last = track.last_step(self.member, day)
                is_stated = day in track.stated or (last is not None and last.day == day)
                if index in self.changed and is_stated:
                    del self.changed[index]
            self._settle(day)
            for index, track in self.tracks.items():
                if track.covers(day):
                    by = self.changed[index][3] if index in self.changed else ""
                    states[index].append((day, self._has(index, day), by))
        for index, seen in states.items():
            if any(by for *_, by in seen):
                self.steps[index] = list(self._steps(index, seen))

    def _has(self, index: str, day: date) -> bool:
        return self.changed[index][2] if index in self.changed else self.tracks[index].has(self.member, day)

    def _strength(self, index: str, day: date) -> int:
        if index in self.changed:
            since, strength, *_ = self.changed[index]
            return strength if since == day else _CARRIED
        return self.tracks[index].strength(self.member, day)

    def _settle(self, day: date) -> None:
        """Change the weaker side of each contradiction; each change is to a stronger state, so that this ends."""
        has = {index: self._has(index, day) for index, track in self.tracks.items() if track.covers(day)}
        open_rules = [
            rule for rule in self.rules if rule.since <= day and all(index in has for index, _ in rule.states)
        ]
        while True:
            for rule in open_rules:
                if any(has[index] != state for index, state in rule.states):
                    continue
                weak, strong, *_ = sorted((self._strength(index, day), index) for index, _ in rule.states)
                if weak[0] == strong[0]:
                    self._tie(rule, day, weak[0])
                elif strong[0] >= _AGREED:
                    self._change(rule, day, *weak, strong[0])
                    has[weak[1]] = not has[weak[1]]
                    break
            else:
                return

    def _change(self, rule: Relation, day: date, strength: int, index: str, by: int) -> None:
        state = dict(rule.states)[index]
        others = [other for other, _ in rule.states if other != index]
        if strength >= _LISTED and index not in self.changed:
            reason = f"{_texts(rule, others)} by {_STRENGTHS[by]}: the list does not count for it"
            self.conflicts.setdefault(
                (index, self.member, state, *others), Conflict(index, day, self.member, state, reason)
            )
        self.changed[index] = day, by, not state, ", ".join(others)

    def _tie(self, rule: Relation, day: date, strength: int) -> None:
        if strength < _LISTED and len(rule.states) > PAIR:
            return  # no evidence of this date: what is not known contradicts nothing
        for index, state in rule.states:
            others = [other for other, _ in rule.states if other != index]
            reason = f"{_texts(rule, others)}, which its definition excludes; nothing decides, and both count"
            key = (index, self.member, state, *others)
            self.conflicts.setdefault(key, Conflict(index, day, self.member, state, reason))

    def _steps(self, index: str, seen: Iterable[tuple[date, bool, str]]) -> Iterator[Step]:
        track, changed = self.tracks[index], date.min
        has = self.member in track.one.start
        for day, state, by in seen:
            if state == has:
                continue
            own = track.last_step(self.member, day)
            if own and own.day == day and own.joins == state and not by and own.basis != BETWEEN_LISTS:
                yield own
            else:
                before = track.list_before(day - _DAY)
                after = lower_bound(track.one, before, day) if before else None
                since = max(after, changed) if after else None
                yield Step(day, self.member, state, BETWEEN_LISTS, since, by or None)
            has, changed = state, day


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What other indices say about the start of the interval in which a change of an index happened."""

    tracks: Mapping[str, _Track]
    shown: Mapping[str, Sequence[tuple[date, date, DatedList]]]
    """The lists of each index with a date that their content is not older than, first."""

    @classmethod
    def of(cls, tracks: Mapping[str, _Track]) -> _Bounds:
        shown = {
            index: [(since, each.day, each) for each in track.one.lists if (since := shown_since(track.one, each))]
            for index, track in tracks.items()
        }
        return cls(tracks, shown)

    def narrowed(self, index: str, step: Step) -> Step:
        """Return a step with the latest start of its interval that an index shows; an exact step stays as it is."""
        if step.basis != BETWEEN_LISTS:
            return step
        bound = step.after or date.min
        for since, own, other, state in exclusions(index):
            if own != step.joins or other not in self.tracks:
                continue
            known = self._known(other, step.member, state, max(bound, since), step.day)
            bound = max([bound, *(day for day in known if since <= day < step.day)])
        return step if bound in {step.after, date.min} else step._replace(after=bound)

    def _known(self, index: str, member: str, state: bool, after: date, day: date) -> Iterator[date]:
        """Yield dates between two on which an index has, or has not, a member by its own evidence."""
        for since, listed_on, listed in self.shown[index]:
            if after < since and listed_on < day and (member in listed.members) == state:
                yield since
        for step in self.tracks[index].steps.get(member, ()):
            if step.basis != BETWEEN_LISTS and after < step.day <= day:
                yield step.day if step.joins == state else step.day - _DAY


def agree(
    indices: Mapping[str, OneIndex], covered: Mapping[str, tuple[date, date]]
) -> tuple[dict[str, list[Step]], list[Conflict]]:
    """Return the steps of each index as all of them show it together, and the conflicts between them.

    `covered` has the first and last date for which each index is known.
    """
    tracks = {index: _Track.of(one, covered[index][1]) for index, one in indices.items()}
    rules = [rule for rule in relations() if all(index in tracks for index, _ in rule.states)]
    found = {index: {member: list(steps) for member, steps in track.steps.items()} for index, track in tracks.items()}
    conflicts, possible_rules = list[Conflict](), dict[frozenset[str], list[Relation]]()
    everyone = {member for track in tracks.values() for member in (*track.one.start, *track.steps)}
    for member in sorted(everyone):
        own = {index for index, track in tracks.items() if member in track.steps or member in track.one.start}
        if not any(_breaks(rule, tracks, member) for rule in rules if _may_break(rule, own)):
            continue
        if (key := frozenset(own)) not in possible_rules:
            reachable = reachable_from(own, rules)
            possible_rules[key] = [rule for rule in rules if _may_break(rule, reachable)]
        possible = possible_rules[key]
        names = {index for rule in possible for index, _ in rule.states}
        sweep = _Sweep(member, {index: tracks[index] for index in sorted(names)}, possible)
        sweep.run()
        conflicts += sweep.conflicts.values()
        for index, steps in sweep.steps.items():
            found[index][member] = steps
    bounds = _Bounds.of(tracks)
    return {
        index: sorted(
            (bounds.narrowed(index, step) for steps in by_member.values() for step in steps),
            key=attrgetter("day", "member"),
        )
        for index, by_member in found.items()
    }, conflicts


def _may_break(rule: Relation, indices: Collection[str]) -> bool:
    """Return whether a security that may be in some indices may be in the forbidden state."""
    return all(index in indices for index, state in rule.states if state)


def reachable_from(own: Collection[str], rules: Iterable[Relation]) -> set[str]:
    """Return the indices in which a security may be if it is in some by their own evidence."""
    found, rules = set(own), list(rules)
    while True:
        reached = set(found)
        for rule in rules:
            if _may_break(rule, reached):
                reached |= {index for index, state in rule.states if not state or len(rule.states) > PAIR}
        if reached == found:
            return found
        found = reached


def _breaks(rule: Relation, tracks: Mapping[str, _Track], member: str) -> bool:
    """Return whether the indices by themselves are in the forbidden state on some date."""
    own = [(tracks[index], state) for index, state in rule.states]
    first = max(rule.since, *(track.one.first for track, _ in own))
    last = min(track.last for track, _ in own)
    days = [first, *(step.day for track, _ in own for step in track.steps.get(member, ()) if first < step.day)]
    return any(day <= last and all(track.has(member, day) == state for track, state in own) for day in days)


def _texts(rule: Relation, indices: Iterable[str]) -> str:
    states = dict(rule.states)
    return " and ".join(f"{index} has it{'' if states[index] else ' not'}" for index in indices)
