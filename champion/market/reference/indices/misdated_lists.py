"""Find index lists that the bars or other indices show to be newer or older than their date.

1. An index takes a share long after its listing, and names it as it trades. So two shares whose first bar, or first bar
   under the list's symbol or ISIN, is later than the list's date show that the list is from a later time.
2. Two shares that trade no more, or under another symbol, since weeks before the date show that it is from an earlier
   time. Old ISINs show nothing: real lists keep them for months.
3. Members that two lists of another index exclude, one before and one after, show that it is not as of its date
   (`champion.market.reference.indices.relations`).
4. Two lists with the same members, more than `HOLE` apart, are copies of one list if the index usually has at least
   `MIN_USUAL` changes in this time, or if a list in between has others. One of them has a wrong date: the later one, if
   the bars or the lists of other indices in the same half-year contradict more of its lines, else the earlier one. So
   in doubt no share is a member before the evidence. Lists that the exchange served, and a source of changes that is
   complete for the whole time, show that both are right.

Bars prove nothing about dates before them, nor about shares that they do not have. No dated change is needed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise

import polars as pl

from champion.base.counting import quantity
from champion.market.reference.indices.agreement import REVIEW
from champion.market.reference.indices.index_steps import OneIndex
from champion.market.reference.indices.relations import exclusions
from champion.market.reference.indices.stale_lists import MIN_UNDONE, DatedList, Stale
from champion.market.reference.indices.traded import Traded

MIN_NAMED = 2
"""Shares that show a wrong date: one such line is in real lists, of a share that traded elsewhere before, or late."""
MIN_EXCLUDED = 3
"""Lines that other indices exclude: at most one is in real lists, of a share in a demerger."""
_SESSIONS_BEFORE = 20  # of the market in the lake, so that a first bar is not that of the lake
_SOON = timedelta(10)  # a list may be as of a later session than the one on which a name changed
_LONG_AGO = timedelta(60)  # a list may show a new name, or an end, some weeks late
HOLE = timedelta(200)
"""After this time between two lists, a review of the index, twice a year, has surely been in between."""
MIN_USUAL = 4
"""Changes that an index usually has between two equal lists: if they come one by one, none at all is 2% likely."""
_LEAST_USUAL = 0.1  # changes a year and member of the indices that change least, for an index without two other lists
_YEAR = timedelta(365)
_OF_BARS = 2  # lines of other lists that count as much as one that the bars contradict: their dates may be wrong too
_SHOWN = 3
_ID = "instrument_id"


def misdated_by_bars(lists: pl.DataFrame, traded: Traded) -> dict[tuple[str, date], Stale]:
    """Return the reason by index and date of each list that names shares too early or too late.

    `lists` has index_name, list_date, instrument_id, symbol and isin; instruments are those of the bars
    (`Traded.name`).
    """
    if len(traded.sessions) <= _SESSIONS_BEFORE:
        return {}
    early, late = _untimely(lists, traded)
    ended, begun = _named(late, pl.col("ends").min()), _named(early, pl.col("begins").max())
    found = {
        where: Stale(f"it is from before {when + timedelta(1)}: it names {texts} that had ended", when + timedelta(1))
        for where, (texts, when) in ended.items()
    }
    for where, (texts, when) in begun.items():
        found[where] = Stale(f"it is from {when} or later: it names {texts} before the first bar", None)
    return found


def _untimely(lists: pl.DataFrame, traded: Traded) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the lines of shares before their first bar (date in `begins`), and after their last one (`ends`)."""
    day = pl.col("list_date")
    inside = lists.filter(day.is_between(traded.sessions[_SESSIONS_BEFORE], traded.sessions[-1]))
    spans, coded = pl.col("first").min(), traded.runs.drop_nulls("isin")
    named = inside.join(
        traded.runs.group_by(_ID).agg(first_bar=spans, last_bar=pl.col("last").max()), on=_ID
    ).join(
        traded.runs.group_by(_ID, "symbol").agg(symbol_from=spans, symbol_until=pl.col("last").max()),
        on=[_ID, "symbol"], how="left",
    ).join(
        coded.group_by(_ID, "isin").agg(isin_from=spans), on=[_ID, "isin"], how="left"
    ).join(coded.group_by(_ID).agg(first_isin=spans), on=_ID, how="left")  # fmt: skip
    # A first ISIN says nothing: the bars of some years have none.
    code_from = pl.when(pl.col("first_isin") < pl.col("isin_from")).then(pl.col("isin_from"))
    both = named.with_columns(
        begins=pl.max_horizontal("first_bar", "symbol_from", code_from),
        ends=pl.min_horizontal("last_bar", "symbol_until"),
    )
    return both.filter(pl.col("begins") > day + _SOON), both.filter(pl.col("ends") < day - _LONG_AGO)


def _named(lines: pl.DataFrame, when: pl.Expr) -> dict[tuple[str, date], tuple[str, date]]:
    """Return the shares as text and their date, by index and date of each list that has enough of them."""
    found = lines.group_by("index_name", "list_date").agg(pl.col("symbol").unique().sort(), when=when)
    return {
        (index, day): (
            f"{quantity(len(symbols), 'share')} ({', '.join(symbols[:_SHOWN])}{', ...' * (len(symbols) > _SHOWN)})",
            date,
        )
        for index, day, symbols, date in found.iter_rows()
        if len(symbols) >= MIN_NAMED
    }


def misdated_by_indices(lists: Mapping[str, Sequence[DatedList]]) -> dict[tuple[str, date], Stale]:
    """Return the reason by index and date of each list that several members of other indices contradict.

    The list with most of them is set aside first, because it may be one of the two that contradict another list.
    """
    kept = {index: list(each) for index, each in lists.items()}
    found: dict[tuple[str, date], Stale] = {}
    wrong = {(index, one.day): _excluded(index, one, kept) for index, each in kept.items() for one in each}
    while True:
        most = max(((len(members), index, day) for (index, day), (members, _) in wrong.items()), default=None)
        if most is None or most[0] < MIN_EXCLUDED:
            return found
        count, index, day = most
        other = wrong.pop((index, day))[1]
        text = f"it is not as of its date: lists of {other} before and after exclude {quantity(count, 'line')} of it"
        found[index, day] = Stale(text, None)
        kept[index] = [one for one in kept[index] if one.day != day]
        for name, at in wrong:
            if any(one.other == index for one in exclusions(name)):
                (one,) = (each for each in kept[name] if each.day == at)
                wrong[name, at] = _excluded(name, one, kept)


def _excluded(index: str, one: DatedList, lists: Mapping[str, Sequence[DatedList]]) -> tuple[set[str], str]:
    """Return the members that a list has, or lacks, against two lists of another index, and the index with most."""
    found, by = set[str](), dict[str, int]()
    for since, state, other, forbidden in exclusions(index):
        around = _around(lists.get(other, ()), one.day) if since <= one.day else ()
        if not around:
            continue
        sets = [each.members for each in around]
        if forbidden:
            held = frozenset.intersection(*sets)
            wrong = held & one.members if state else held - one.members
        else:
            wrong = one.members.difference(*sets) if state else frozenset()
        found |= wrong
        by[other] = by.get(other, 0) + len(wrong)
    return found, max(by, key=lambda name: by[name], default="")


def _around(lists: Sequence[DatedList], day: date) -> Iterable[DatedList]:
    """Return the lists before and after a day, if they are near to each other.

    None if there is a list of the day: one list proves nothing, since its own date may be wrong.
    """
    days = [each.day for each in lists]
    before, after = bisect_right(days, day) - 1, bisect_left(days, day)
    if before < 0 or after == len(days) or days[after] - days[before] > REVIEW or before == after:
        return ()
    return lists[before], lists[after]


def misdated_copies(
    evidence: Mapping[str, OneIndex], lists: pl.DataFrame, traded: Traded
) -> dict[tuple[str, date], Stale]:
    """Return the reason by index and date of each list that is a copy of another one under a wrong date.

    `evidence` has the lists of each index and its dated changes, `lists` their lines as for `misdated_by_bars`.
    """
    found: dict[tuple[str, date], Stale] = {}
    kept = {index: one.lists for index, one in evidence.items()}
    for index, one in evidence.items():
        for earlier, later, between in _copies(one):
            wrong, right = earlier, later
            if between:
                if not _is_ahead(one.lists, earlier, later, between):
                    continue  # an older list, which undoes changes: `stale_lists`
            else:
                of_earlier, of_later = (_against(index, each, kept, lists, traded) for each in (earlier, later))
                if of_later > of_earlier:
                    wrong, right = later, earlier
            apart = (later.day - earlier.day).days
            usual = _usual_changes(one.lists, earlier, later)
            why = (
                f"{between[0].day} has others in between"
                if between
                else f"{quantity(round(usual), 'change')} in {quantity(apart, 'day')} would be usual"
            )
            text = f"it has the same members as the list of {right.day}, a copy of it under a wrong date: {why}"
            found[index, wrong.day] = Stale(text, None)
    return found


def _copies(one: OneIndex) -> Iterator[tuple[DatedList, DatedList, Sequence[DatedList]]]:
    """Yield each two lists of an index that cannot both be right, with those in between that have other members."""
    for place, earlier in enumerate(one.lists):
        for other in range(place + 1, len(one.lists)):
            later, between = one.lists[other], one.lists[place + 1 : other]
            if later.members != earlier.members or later.day - earlier.seen_until <= HOLE:
                continue
            if earlier.as_of_from is not None and later.as_of_from is not None:
                continue
            if one.is_complete(earlier.day, later.day):
                continue
            others = [each for each in between if len(each.members ^ earlier.members) >= MIN_UNDONE]
            if others or (not between and _usual_changes(one.lists, earlier, later) >= MIN_USUAL):
                yield earlier, later, others
            break


def _usual_changes(lists: Sequence[DatedList], earlier: DatedList, later: DatedList) -> float:
    """Return how many joins and exits an index usually has between two dates, by its other lists."""
    changes, days = 0, timedelta()
    for before, after in pairwise(lists):
        if before.members != after.members or (before, after) != (earlier, later):
            changes, days = changes + len(before.members ^ after.members), days + (after.day - before.day)
    yearly = changes * (_YEAR / days) if days >= _YEAR else 0.0
    return max(yearly, _LEAST_USUAL * len(earlier.members)) * ((later.day - earlier.seen_until) / _YEAR)


def _against(
    index: str, one: DatedList, lists: Mapping[str, Sequence[DatedList]], lines: pl.DataFrame, traded: Traded
) -> tuple[bool, int]:
    """Return whether a list may be of another date than its own, and how much of it speaks against its date."""
    own = lines.filter(index_name=index, list_date=one.day)
    untimely = _untimely(own, traded) if len(traded.sessions) > _SESSIONS_BEFORE else ()
    excluded = set[str]()
    for since, state, other, forbidden in exclusions(index):
        near = [each for each in lists.get(other, ()) if _half_year(each.day) == _half_year(one.day)]
        if near and since <= one.day:
            held = min(near, key=lambda each: abs(each.day - one.day)).members
            wrong = (held & one.members if state else held - one.members) if forbidden else one.members - held
            excluded |= wrong
    return one.as_of_from is None, _OF_BARS * sum(each.height for each in untimely) + len(excluded)


def _half_year(day: date) -> int:
    """Return the number of the half-year between two reviews, at the ends of March and September, that has a date."""
    return (12 * day.year + day.month - 4) // 6


def _is_ahead(lists: Sequence[DatedList], earlier: DatedList, later: DatedList, between: Sequence[DatedList]) -> bool:
    """Return whether the first of two copies is ahead of its time, by the lists around both; False if none shows it."""
    before = [each for each in lists if each.day < earlier.day][-1:]
    after = [each for each in lists if each.day > later.day][:1]
    first, last = between[0].members, between[-1].members
    # Of three lists in order, the outer two differ most.
    nearer = [len(each.members ^ first) - len(each.members ^ earlier.members) for each in before]
    nearer += [len(each.members ^ earlier.members) - len(each.members ^ last) for each in after]
    return sum(nearer) < 0
