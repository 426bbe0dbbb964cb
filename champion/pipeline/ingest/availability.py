"""Has the exchange published yet? When to look again, and what to call it when it has not. Pure but for `published`."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from champion.base.clock import INDIA
from champion.errors import UsageError
from champion.pipeline.ingest.fetch import fetch
from champion.settings import Settings
from champion.sources.publications import BHAVCOPY

_SATURDAY = 5
_FIRST, _LONGEST = 60.0, 900.0  # seconds between two looks, from the first to all later ones
_SETTLED = timedelta(days=3)  # as the archive's own memory of absent dates


class PublicationState(StrEnum):
    """What became of waiting for a session's file."""

    PUBLISHED = "published"
    NO_SESSION = "no_session"  # a weekend, a holiday, or a date so long past that no file will come
    NOT_PUBLISHED = "not_published"  # a session as far as anybody knows, and still no file at the deadline


def published(settings: Settings, session: date) -> bool:
    """Tell whether the archive has the session's bhavcopy; what it has is in staging afterwards.

    Raises:
        ArchiveError: it did not answer, or what it has is not what it should be.
    """
    found = fetch(settings, session, session, publications=(BHAVCOPY,))
    for _, error in found.failed:
        raise error
    return bool(found.staged)


def deadline(session: date, until: time) -> datetime:
    """Return the moment in India at which waiting for a session ends; an `until` before noon is on the next morning.

    >>> deadline(date(2024, 12, 31), time(23, 0)).isoformat(), deadline(date(2024, 12, 31), time(2, 0)).isoformat()
    ('2024-12-31T23:00:00+05:30', '2025-01-01T02:00:00+05:30')
    """
    day = session + timedelta(days=1) if until < time(12) else session
    return datetime.combine(day, until, INDIA)


def expected(session: date, holidays: AbstractSet[date], now: datetime) -> bool:
    """Tell whether a file may still come: a weekday that is no known holiday, and not three days past.

    >>> monday = datetime(2024, 12, 30, 19, tzinfo=INDIA)
    >>> [expected(date(2024, 12, day), {date(2024, 12, 25)}, monday) for day in (30, 29, 25, 26)]
    [True, False, False, False]
    """
    is_weekday = session.weekday() < _SATURDAY and session not in holidays
    return is_weekday and now.astimezone(INDIA).date() - session < _SETTLED


def next_look(looks: int, now: datetime, until: datetime, chance: float) -> float | None:
    """Return the seconds to wait after so many looks, or None where the deadline is past.

    The wait doubles from a minute to a quarter of an hour; `chance`, from 0 to 1, takes up to half of it away, so that
    many who wait do not ask at once. The last look is at the deadline itself.

    >>> seven, eleven = datetime(2024, 12, 31, 19, tzinfo=INDIA), datetime(2024, 12, 31, 23, tzinfo=INDIA)
    >>> [next_look(looks, seven, eleven, chance=0) for looks in (1, 2, 3, 10)]
    [60.0, 120.0, 240.0, 900.0]
    >>> next_look(9, eleven - timedelta(seconds=30), eleven, chance=0), next_look(9, eleven, eleven, chance=0)
    (30.0, None)
    """
    left = (until - now).total_seconds()
    if left <= 0:
        return None
    return min(left, min(_LONGEST, _FIRST * 2.0 ** (looks - 1)) * (1 - chance / 2))


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
