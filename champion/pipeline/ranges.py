"""A long range of dates cut into spans, each with its own fetch, notebook and retries."""

from __future__ import annotations

from datetime import date, timedelta

from champion.errors import UsageError

Span = tuple[date, date]
"""First and last date, both included."""


def by_years(start: date, end: date, years: int = 2) -> list[Span]:
    """Return the range cut at fixed years, whatever it begins with: spans done under one range are done under another.

    >>> [(str(a), str(b)) for a, b in by_years(date(2021, 6, 1), date(2024, 3, 28))]
    [('2021-06-01', '2022-12-31'), ('2023-01-01', '2024-03-28')]

    Raises:
        UsageError: `end` is before `start`.
    """
    _require_order(start, end)
    found = []
    while start <= end:
        last = date((start.year - 1) // years * years + years, 12, 31)
        found.append((start, min(last, end)))
        start = date(last.year + 1, 1, 1)
    return found


def by_days(start: date, end: date, days: int) -> list[Span]:
    """Return the range in spans of so many days, the last of what is left.

    >>> [(str(a), str(b)) for a, b in by_days(date(2024, 1, 1), date(2024, 1, 5), 3)]
    [('2024-01-01', '2024-01-03'), ('2024-01-04', '2024-01-05')]

    Raises:
        UsageError: `end` is before `start`.
    """
    _require_order(start, end)
    firsts = [start + timedelta(offset) for offset in range(0, (end - start).days + 1, days)]
    return [(first, min(end, first + timedelta(days - 1))) for first in firsts]


def _require_order(start: date, end: date) -> None:
    if end < start:
        raise UsageError(f"from {start} to {end}: the end is before the start")
