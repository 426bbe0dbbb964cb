"""Find index lists that the bars or other indices show to be newer or older than their date.

1. An index takes a share long after its listing, and names it as it trades. So two shares whose first bar, or first bar
   under the list's symbol or ISIN, is later than the list's date show that the list is from a later time.
2. Two shares that trade no more, or under another symbol, since weeks before the date show that it is from an earlier
   time. Old ISINs show nothing: real lists keep them for months.
3. Members that two lists of another index exclude, one before and one after, show that it is not as of its date
   (`champion.market.reference.indices.relations`).

Bars prove nothing about dates before them, nor about shares that they do not have. No dated change is needed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

import polars as pl

from champion.base.counting import quantity
from champion.market.reference.indices.agreement import REVIEW
from champion.market.reference.indices.relations import exclusions
from champion.market.reference.indices.stale_lists import DatedList, Stale
from champion.market.reference.indices.traded import Traded

MIN_NAMED = 2
"""Shares that show a wrong date: one such line is in real lists, of a share that traded elsewhere before, or late."""
MIN_EXCLUDED = 3
"""Lines that other indices exclude: at most one is in real lists, of a share in a demerger."""
_SESSIONS_BEFORE = 20  # of the market in the lake, so that a first bar is not that of the lake
_SOON = timedelta(10)  # a list may be as of a later session than the one on which a name changed
_LONG_AGO = timedelta(60)  # a list may show a new name, or an end, some weeks late
_SHOWN = 3
_ID = "instrument_id"


def misdated_by_bars(lists: pl.DataFrame, traded: Traded) -> dict[tuple[str, date], Stale]:
    """Return the reason by index and date of each list that names shares too early or too late.

    `lists` has index_name, list_date, instrument_id, symbol and isin; instruments are those of the bars
    (`Traded.name`).
    """
    if len(traded.sessions) <= _SESSIONS_BEFORE:
        return {}
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
    begins = pl.max_horizontal("first_bar", "symbol_from", code_from)
    ends = pl.min_horizontal("last_bar", "symbol_until")
    early = _named(named.filter(begins > day + _SOON), begins.max())
    late = _named(named.filter(ends < day - _LONG_AGO), ends.min())
    found = {
        where: Stale(f"it is from before {when + timedelta(1)}: it names {texts} that had ended", when + timedelta(1))
        for where, (texts, when) in late.items()
    }
    for where, (texts, when) in early.items():
        found[where] = Stale(f"it is from {when} or later: it names {texts} before the first bar", None)
    return found


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
    """Return the lists before and after a day, if they are near to each other; a list of the day is both."""
    days = [each.day for each in lists]
    before, after = bisect_right(days, day) - 1, bisect_left(days, day)
    if before < 0 or after == len(days) or days[after] - days[before] > REVIEW or before == after:
        return ()
    return lists[before], lists[after]
