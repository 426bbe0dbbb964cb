"""A long range of dates in parts: each has its own fetch, notebook and retries."""

from __future__ import annotations

from datetime import date

from champion.errors import UsageError


def parts(start: date, end: date, years: int = 2) -> list[tuple[date, date]]:
    """Return the range cut at fixed years, whatever it begins with: parts done under one range are done under another.

    >>> [(str(a), str(b)) for a, b in parts(date(2021, 6, 1), date(2024, 3, 28))]
    [('2021-06-01', '2022-12-31'), ('2023-01-01', '2024-03-28')]

    Raises:
        UsageError: `end` is before `start`.
    """
    if end < start:
        raise UsageError(f"from {start} to {end}: the end is before the start")
    found = []
    while start <= end:
        last = date((start.year - 1) // years * years + years, 12, 31)
        found.append((start, min(last, end)))
        start = date(last.year + 1, 1, 1)
    return found
