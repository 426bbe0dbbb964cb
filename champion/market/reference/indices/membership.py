"""Derive the members of an index as of a date from dated lists and dated changes.

1. Lists that are older or newer than their date are set aside (`champion.market.reference.indices.stale_lists` and
   `early_lists`).
2. The first list is the anchor. Earlier dates follow from it by undoing the dated changes, latest first, from
   sources that are complete until then, and only back to the first contradiction.
3. Later dates follow by applying the dated changes. What then differs from the next list changed between both lists:
   the change takes effect on the later list's date, and the interval says since when it is possible. So a member never
   appears before the evidence for it.
4. A dated change that contradicts the members is not applied, and is reported. So is a change of an index or symbol
   that nothing else knows (`champion.market.reference.indices.change_checks`): from its date on, the members are not
   known to be complete until a list shows them, and dates before it do not follow from later ones.
5. The bars say which instrument and symbol a member has, and when it stopped trading
   (`champion.market.reference.indices.traded`).

An index is covered from its first dated change (or list) to the last date on which a list was seen or the table of
changes is complete. A date outside is refused, never filled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import groupby
from operator import attrgetter

import polars as pl

from champion.base.counting import known_names
from champion.errors import UsageError
from champion.market.reference.indices.change_checks import REFUSED_SCHEMA, checked
from champion.market.reference.indices.early_lists import early_lists
from champion.market.reference.indices.identities import Identities
from champion.market.reference.indices.index_identity import identify
from champion.market.reference.indices.stale_lists import DatedList, Event, set_aside_stale
from champion.market.reference.indices.steps import (
    BETWEEN_LISTS,
    LIST,
    NO_BAR,
    PRESS_RELEASE,
    REGISTER,
    RENAMED,
    Step,
    periods,
)
from champion.market.reference.indices.traded import Traded

VERSION = "3"  # raise it when the meaning of the output changes: stored members are then derived again
BASES = (LIST, REGISTER, PRESS_RELEASE, BETWEEN_LISTS, RENAMED, NO_BAR)
LISTS_SCHEMA = {
    "index_name": pl.String(),
    "list_date": pl.Date(),
    "as_of_from": pl.Date(),
    "seen_until": pl.Date(),
    "known_on": pl.Date(),
    "instrument_id": pl.String(),
    "symbol": pl.String(),
    "isin": pl.String(),
    "company": pl.String(),
    "is_dummy": pl.Boolean(),
}
CHANGES_SCHEMA = {
    "index_name": pl.String(),
    "effective": pl.Date(),
    "joins": pl.Boolean(),
    "instrument_id": pl.String(),
    "symbol": pl.String(),
    "company": pl.String(),
    "basis": pl.String(),
    "known_on": pl.Date(),
}
MEMBERS_SCHEMA = {
    "index_name": pl.String(),
    "instrument_id": pl.String(),
    "symbol": pl.String(),
    "isin": pl.String(),
    "company": pl.String(),
    "seen_on": pl.Date(),
    "member_from": pl.Date(),
    "member_until": pl.Date(),
    "from_basis": pl.String(),
    "from_after": pl.Date(),
    "until_basis": pl.String(),
    "until_after": pl.Date(),
    "member": pl.String(),
}
SET_ASIDE_SCHEMA = {
    "index_name": pl.String(),
    "list_date": pl.Date(),
    "reason": pl.String(),
    "content_before": pl.Date(),
}


@dataclass(frozen=True, slots=True)
class Membership:
    """The members of all indices, and the dates for which they are known.

    `members` has a row per index, security and period with one symbol and ISIN (see `memberships`); `covered` the first
    and last covered date by index; `set_aside` (index_name, list_date, reason, content_before) the stale lists;
    `contradictions` (index_name, effective, member, joins, basis, reason) the changes that were not applied.
    """

    members: pl.DataFrame
    covered: Mapping[str, tuple[date, date]]
    set_aside: pl.DataFrame
    contradictions: pl.DataFrame

    def on(self, index: str, day: date) -> pl.DataFrame:
        """Return the members of an index on a date, by symbol; columns as in `members`.

        Raises:
            UsageError: the index is unknown, or the date is not covered; the message names what is covered.
        """
        require_covered(self.covered, index, day, day)
        is_member = (pl.col("member_from") <= day) & (pl.col("member_until").fill_null(date.max) > day)
        return self.members.filter((pl.col("index_name") == index) & is_member).sort("symbol", "company")


@dataclass(slots=True)
class _Index:
    """The evidence for one index, and what follows from it."""

    lists: list[DatedList]
    events: list[Event]
    complete: dict[str, date]
    holes: Collection[date] = ()
    first: date = date.max
    start: set[str] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    refused: list[tuple[Event, str]] = field(default_factory=list)

    def leave_open(self, holes: Collection[date]) -> None:
        """Note the dates of refused changes: after one that no list follows, no source is complete."""
        self.holes = holes
        for hole in holes:
            if all(each.day < hole for each in self.lists):
                before = hole - timedelta(1)
                self.complete = {basis: min(end, before) for basis, end in self.complete.items()}


def memberships(
    lists: pl.DataFrame,
    changes: pl.DataFrame,
    *,
    known: date | None = None,
    traded: Traded | None = None,
    covered_now: Mapping[str, tuple[date, date]] | None = None,
) -> Membership:
    """Return the members of every index with a list.

    `lists` has `LISTS_SCHEMA`: a line per security, index and list; `list_date` is an upper bound of the date that the
    list describes, `as_of_from` a lower bound (null if unknown), `seen_until` the last date on which the provider still
    served it. `changes` has `CHANGES_SCHEMA`; a row without `joins` says that its source is complete until its date.
    `known` leaves out what became known after that date. `traded` are the bars of company shares; without them, lists
    and changes alone decide. `covered_now` is the coverage by all evidence: with it, the last list of an index counts
    until `known`, as for a person on that day, if later evidence covers that day.

    In the result, symbol, ISIN and company are those of the list or change of `seen_on`. `member_from` is the first
    date as a member and `member_until` the first date after; null if the security is still a member. `from_basis` is
    the evidence: `list` (a member on the first covered date, and perhaps earlier), `register`, `press release`,
    `between lists`, `renamed` (a new instrument, symbol or ISIN of the same member), or for the end alone `no bar`: it
    stopped trading after `until_after`, and was without a bar for `life.QUIET` sessions on `member_until`.
    `from_after` is null for an exact date; otherwise the change happened after this date and not after `member_from`.
    For changes between lists it is null too if nothing bounds the older list. `until_basis` and `until_after` are the
    same for the end.

    Raises:
        UsageError: nothing is known by `known`.
    """
    bars = traded or Traded.nothing()
    if known is not None:
        lists = lists.filter(pl.col("known_on") <= known).with_columns(pl.min_horizontal("seen_until", pl.lit(known)))
        changes, bars = changes.filter(pl.col("known_on") <= known), bars.until(known)
    lists = lists.filter(~pl.col("is_dummy"))
    if lists.is_empty():
        raise UsageError(f"no index list is known{f' on {known}' if known else ''}: load lists with `champion lists`")
    checks = checked(lists, changes, bars)
    lists, changes = bars.name(lists), bars.name(checks.usable)
    lists, changes = identify(lists, changes, dict(bars.continued.select("instrument_id", "continued_as").iter_rows()))
    everyone = frozenset(lists["member"].unique())
    early = early_lists(lists, bars)
    aside: list[tuple[object, ...]] = [(*where, each.reason, each.content_before) for where, each in early.items()]
    evidence = dict(_evidence(lists, changes))
    for index, one in evidence.items():
        one.leave_open(checks.holes.get(index, ()))
        one.lists = [each for each in one.lists if (index, each.day) not in early]
        one.lists, stale = set_aside_stale(one.lists, one.events, one.complete, everyone)
        aside += [(index, day, each.reason, each.content_before) for day, each in stale.items()]
    set_aside = pl.DataFrame(aside, SET_ASIDE_SCHEMA, orient="row")
    kept = lists.join(set_aside, on=["index_name", "list_date"], how="anti")
    unnamed = lists.join(kept, on="member", how="anti")  # a name that only a list which was set aside has
    identities = Identities.of(pl.concat([kept, unnamed]), changes, bars)
    rows: list[tuple[object, ...]] = []
    refused = checks.refused.rows()
    covered = {}
    for index, one in evidence.items():
        if not one.lists:
            continue
        _derive(one)
        covered[index] = _covered(one)
        if known is not None and covered_now and index in covered_now:
            until = min(known, covered_now[index][1])
            covered[index] = covered[index][0], max(covered[index][1], until)
        one.steps = _without_dead(one, identities)
        rows += [(index, *row) for row in periods(one.start, one.steps, identities.by_member, covered[index][0])]
        refused += [(index, event.day, event.member, event.joins, event.basis, why) for event, why in one.refused]
    return Membership(
        pl.DataFrame(rows, MEMBERS_SCHEMA, orient="row").sort("index_name", "member_from", "symbol", "company"),
        covered,
        set_aside,
        pl.DataFrame(refused, REFUSED_SCHEMA, orient="row"),
    )


def stored(rows: pl.DataFrame) -> Membership:
    """Return the members that the lake holds (contract normalized_index_members), without what was set aside."""
    spans = rows.select("index_name", "covered_from", "covered_until").unique().sort("index_name").rows()
    nothing = pl.DataFrame(schema=SET_ASIDE_SCHEMA), pl.DataFrame(schema=REFUSED_SCHEMA)
    return Membership(rows, {index: (first, last) for index, first, last in spans}, *nothing)


def within(rows: pl.DataFrame, periods: pl.DataFrame, first: str, until: str) -> pl.DataFrame:
    """Return the rows (instrument_id, trade_date) whose instrument has a period, from `first` on, that holds the date.

    >>> day = date(2024, 1, 15)
    >>> rows = pl.DataFrame({"instrument_id": ["A", "B"], "trade_date": [day, day]})
    >>> periods = pl.DataFrame({"instrument_id": ["A", "B"], "since": [day, day], "until": [None, day]})
    >>> within(rows, periods, "since", "until")["instrument_id"].to_list()
    ['A']
    """
    inside = (pl.col("trade_date") >= pl.col(first)) & (pl.col("trade_date") < pl.col(until).fill_null(date.max))
    known = periods.select("instrument_id", first, until).drop_nulls("instrument_id")
    pairs = rows.select("instrument_id", "trade_date").join(known, on="instrument_id").filter(inside)
    return rows.join(pairs, on=["instrument_id", "trade_date"], how="semi", maintain_order="left")


def require_covered(covered: Mapping[str, tuple[date, date]], index: str, first: date, last: date) -> None:
    """Do nothing if the dates from `first` to `last` are covered for the index.

    Raises:
        UsageError: they are not; the message names the covered dates, or the known indices.
    """
    if index not in covered:
        raise UsageError(f"no list of index {index!r}: {known_names(index, covered, 'there are lists of')}")
    start, end = covered[index]
    if first < start or last > end:
        span = f"{first}" if first == last else f"{first} to {last}"
        raise UsageError(
            f"the members of {index} on {span} are not known: its lists and changes cover {start} to {end}. "
            "Load a list of that date, or ask for a covered one"
        )


def _evidence(lists: pl.DataFrame, changes: pl.DataFrame) -> Iterator[tuple[str, _Index]]:
    """Yield each index with its lists and dated changes, both in order of dates."""
    by_index: dict[str, _Index] = {}
    seen = set[tuple[str, date, str, bool]]()
    key = ["index_name", "list_date"]
    grouped = lists.group_by(key).agg(pl.col("as_of_from", "seen_until").first(), "member").sort(key)
    for index, day, as_of_from, seen_until, members in grouped.iter_rows():
        one = by_index.setdefault(index, _Index([], [], {}))
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


def _derive(one: _Index) -> None:
    """Set the members at the start, and the steps that lead from them to each later date."""
    anchor, *later = one.lists
    one.start, one.steps, one.first = _before(one, anchor)
    current = set(anchor.members)
    before = anchor
    for after in later:
        _apply(one, current, before.day, after.day)
        since = _lower_bound(one, before, after)
        one.steps += [
            Step(after.day, member, member in after.members, BETWEEN_LISTS, since)
            for member in sorted(current ^ after.members)
        ]
        current, before = set(after.members), after
    _apply(one, current, before.day, date.max)


def _before(one: _Index, anchor: DatedList) -> tuple[set[str], list[Step], date]:
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


def _usable(one: _Index, reached: date) -> list[Event]:
    """Return the events that lead back from a date: of sources complete until then, then of those before them."""
    found, used = list[Event](), set[str]()
    while True:
        sources = {basis for basis, end in one.complete.items() if end >= reached} - used
        events = [each for each in one.events if each.basis in sources and (each.day < reached or not used)]
        events = [each for each in events if each.day <= reached]
        if not events:
            return found
        found, used, reached = events + found, used | sources, events[0].day


def _apply(one: _Index, current: set[str], after: date, until: date) -> None:
    for event in one.events:
        if not after < event.day <= until:
            continue
        if (event.member in current) == event.joins:
            one.refused.append((event, f"it is {'already' if event.joins else 'not'} in the index"))
            continue
        (current.add if event.joins else current.discard)(event.member)
        one.steps.append(Step(*_fields(event), None))


def _fields(event: Event) -> tuple[date, str, bool, str]:
    return event.day, event.member, event.joins, event.basis


def _lower_bound(one: _Index, older: DatedList, newer: DatedList) -> date | None:
    """Return the date after which a change between both lists happened; None if nothing bounds the older list.

    The older list is as of `as_of_from` or later. Without this date it is not older than the dated changes it shows,
    and it is assumed to be newer than the date of the list before it. Sources of changes that are complete until later
    would have named the change.
    """
    bounds = [end for end in one.complete.values() if end < newer.day]
    if older.as_of_from is not None:
        bounds += [day for day in (older.as_of_from, older.seen_until) if day < newer.day]
    else:
        bounds += [each.day for each in one.lists if each.day < older.day][-1:]
        bounds += [event.day for event in one.events if event.day <= older.day][-1:]
    return max(bounds, default=None)


def _covered(one: _Index) -> tuple[date, date]:
    ends = [each.seen_until for each in one.lists] + [end for end in one.complete.values() if end > one.lists[-1].day]
    return one.first, max(ends)


def _without_dead(one: _Index, identities: Identities) -> list[Step]:
    """Return the steps with the exits of members that stopped trading, unless a later list of the index names them."""
    exits = {}
    for member, (last_bar, quiet) in identities.ended.items():
        named = [each.day for each in one.lists if member in each.members][-1:]
        day = max([quiet, *(day + timedelta(1) for day in named)])
        if day > one.first:
            exits[member] = Step(day, member, joins=False, basis=NO_BAR, after=last_bar)
    inside, steps = set(one.start), list[Step]()
    gone = set[str]()
    for step in sorted([*one.steps, *exits.values()], key=lambda step: (step.day, step.basis == NO_BAR)):
        if step.basis == NO_BAR and step.member not in inside:
            continue
        if step.member in gone and not step.joins:
            continue  # a list shows its exit later
        (inside.add if step.joins else inside.discard)(step.member)
        (gone.add if step.basis == NO_BAR else gone.discard)(step.member)
        steps.append(step)
    return steps
