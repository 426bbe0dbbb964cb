"""Has the exchange published yet? When to look again, and what to call it when it has not. Pure but for `published`."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from champion.clock import INDIA
from champion.pipeline.fetch import fetch
from champion.settings import Settings
from champion.sources.publications import BHAVCOPY

_SATURDAY = 5
_FIRST, _LONGEST = 60.0, 900.0  # seconds between two looks, from the first to all later ones
_SETTLED = timedelta(days=3)  # as the archive's own memory of absent dates


class Awaited(StrEnum):
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
