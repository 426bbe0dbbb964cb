"""Lot sizes, F&O eligibility and the ban list, as known on a date.

A list of lots counts from the day on which it was read until the next one, but not beyond its third expiry month: new
months, securities and lots come with every expiry.
"""

from collections.abc import Mapping, Sequence, Set as AbstractSet
from datetime import date

import polars as pl

from champion.errors import UsageError
from champion.market.reference.covered import ranges

_MONTHLY = 3  # every security has contracts of the next three months


def for_date(lists: pl.DataFrame, on: date) -> pl.DataFrame:
    """Return the rows of the list that counts on a date: symbol, kind, expiry_month, lot_size, list_date and the rest.

    `lists` are rows of contract normalized_fo_lots; `list_date` is the date in India on which a list was read.

    Raises:
        UsageError: no list was read by then, or the last one ended; the message has the covered ranges.
    """
    spans = covered(lists)
    counts = [first for first, last in spans if first <= on <= last]
    if not counts:
        have = ", ".join(f"{first} to {last}" for first, last in spans) or "none"
        raise UsageError(
            f"No list of lots counts on {on}; the lists cover {have}. Refresh the lists, or ask for these."
        )
    return lists.filter(pl.col("list_date") == counts[-1])


def eligible(lists: pl.DataFrame, on: date) -> list[str]:
    """Return the symbols of the securities with derivatives on a date, sorted; indices are not securities.

    Raises:
        UsageError: as `for_date`.
    """
    return for_date(lists, on).filter(kind="security")["symbol"].unique().sort().to_list()


def lot(lists: pl.DataFrame, symbol: str, month: date, on: date) -> int | None:
    """Return the lot of a symbol's contract that expires in a month, as known on a date; None without such an expiry.

    Raises:
        UsageError: as `for_date`, or the symbol has no derivatives, or the list's header does not have the month.
    """
    listed = for_date(lists, on)
    of_symbol = listed.filter(symbol=symbol)
    if not of_symbol.height:
        raise UsageError(f"{symbol} has no derivatives by the list of {listed['list_date'][0]}.")
    wanted = month.replace(day=1)
    if wanted not in (months := listed["expiry_month"].unique().sort().to_list()):
        raise UsageError(
            f"The list of {listed['list_date'][0]} has no expiry in {wanted:%Y-%m}; it has {_months(months)}."
        )
    found = of_symbol.filter(expiry_month=wanted)["lot_size"].to_list()
    return found[0] if found else None


def covered(lists: pl.DataFrame) -> list[tuple[date, date]]:
    """Return the first and last date on which each list counts, ascending; a list that ended when read has none.

    >>> months = [date(2024, month, 1) for month in (5, 6, 7)]
    >>> rows = {"list_date": [date(2024, 5, 6)] * 3, "expiry_month": months}
    >>> [(str(first), str(last)) for first, last in covered(pl.DataFrame(rows))]
    [('2024-05-06', '2024-07-31')]
    """
    dated = lists.group_by("list_date").agg(pl.col("expiry_month").unique().sort()).sort("list_date")
    read = dated["list_date"].to_list()
    spans = []
    for place, (day, months) in enumerate(dated.iter_rows()):
        last = _month_end(_consecutive(months)[-1])
        if place + 1 < len(read):
            last = min(last, date.fromordinal(read[place + 1].toordinal() - 1))
        if day <= last:
            spans.append((day, last))
    return spans


def banned(lists: Mapping[date, AbstractSet[str]], sessions: Sequence[date], session: date) -> frozenset[str]:
    """Return the symbols in the F&O ban period in a session; `lists` has the symbols by trade date.

    Raises:
        UsageError: there is no list of the session: that does not mean that nothing is banned.
    """
    if session not in lists:
        have = ranges(list(lists), sessions)
        raise UsageError(
            f"No ban list of {session}: unknown, not empty. Lists cover the sessions {have}; fetch its list."
        )
    return frozenset(lists[session])


def _consecutive(months: Sequence[date]) -> list[date]:
    """Return the first months that follow each other, at most three; quarters come later in the header."""
    found = [months[0]]
    for month in months[1:_MONTHLY]:
        if (month.year * 12 + month.month) - (found[-1].year * 12 + found[-1].month) != 1:
            break
        found.append(month)
    return found


def _month_end(month: date) -> date:
    after = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return date.fromordinal(after.toordinal() - 1)


def _months(months: Sequence[date]) -> str:
    return ", ".join(f"{month:%Y-%m}" for month in months)
