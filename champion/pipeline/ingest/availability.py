"""Wait for the exchange to publish: states, deadlines and waiting times; and split ranges of dates."""

from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from champion.base.clock import INDIA
from champion.market.trading_days import is_trading_day
from champion.pipeline.ingest.fetch import fetch, require_order
from champion.settings import Settings
from champion.sources.download.negative_cache import is_settled
from champion.sources.publications import BHAVCOPY

_FIRST_WAIT, _LONGEST_WAIT = 60.0, 900.0  # seconds between two requests


class PublicationState(StrEnum):
    """The result of waiting for a session's file."""

    PUBLISHED = "published"
    NO_SESSION = "no_session"  # a weekend, a holiday, or a date so long past that no file will come
    NOT_PUBLISHED = "not_published"  # a session by the known holidays, without a file at the deadline


def published(settings: Settings, session: date) -> bool:
    """Whether the archive has the session's bhavcopy; if it has, the file is staged.

    Raises:
        ArchiveError: the archive did not answer, or the file is malformed.
    """
    fetched = fetch(settings, session, session, publications=(BHAVCOPY,))
    for _, error in fetched.failed:
        raise error
    return bool(fetched.staged)


def deadline(session: date, until: time) -> datetime:
    """Return the moment in India at which waiting for a session ends; an `until` before noon is on the next day.

    >>> deadline(date(2024, 12, 31), time(23, 0)).isoformat(), deadline(date(2024, 12, 31), time(2, 0)).isoformat()
    ('2024-12-31T23:00:00+05:30', '2025-01-01T02:00:00+05:30')
    """
    return datetime.combine(session + timedelta(days=1) if until < time(12) else session, until, INDIA)


def expected(session: date, holidays: AbstractSet[date], now: datetime) -> bool:
    """Whether a file may still be published: the date is a weekday, no known holiday, and less than three days past.

    >>> monday = datetime(2024, 12, 30, 19, tzinfo=INDIA)
    >>> [expected(date(2024, 12, day), {date(2024, 12, 25)}, monday) for day in (30, 29, 25, 26)]
    [True, False, False, False]
    """
    return is_trading_day(session, holidays) and not is_settled(session, now)


def next_wait(requests: int, now: datetime, until: datetime, jitter: float) -> float | None:
    """Return the seconds to wait after a number of requests, or None if the deadline is past.

    The wait doubles from one minute to a quarter of an hour. `jitter`, from 0 to 1, removes up to half of it, so that
    many clients do not ask at the same moment. The last request is at the deadline.

    >>> seven, eleven = datetime(2024, 12, 31, 19, tzinfo=INDIA), datetime(2024, 12, 31, 23, tzinfo=INDIA)
    >>> [next_wait(requests, seven, eleven, jitter=0) for requests in (1, 2, 3, 10)]
    [60.0, 120.0, 240.0, 900.0]
    >>> next_wait(9, eleven - timedelta(seconds=30), eleven, jitter=0), next_wait(9, eleven, eleven, jitter=0)
    (30.0, None)
    """
    if (left := (until - now).total_seconds()) <= 0:
        return None
    return min(left, min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (requests - 1)) * (1 - jitter / 2))


Span = tuple[date, date]
"""First and last date, both included."""


def by_years(start: date, end: date, years: int = 2) -> list[Span]:
    """Split a range at fixed years, so that ranges with different starts share their spans.

    >>> [(str(a), str(b)) for a, b in by_years(date(2021, 6, 1), date(2024, 3, 28))]
    [('2021-06-01', '2022-12-31'), ('2023-01-01', '2024-03-28')]

    Raises:
        UsageError: `end` is before `start`.
    """
    require_order(start, end)
    spans = []
    while start <= end:
        last = date((start.year - 1) // years * years + years, 12, 31)
        spans.append((start, min(last, end)))
        start = date(last.year + 1, 1, 1)
    return spans


def by_days(start: date, end: date, days: int) -> list[Span]:
    """Split a range into spans of `days` days; the last may be shorter.

    >>> [(str(a), str(b)) for a, b in by_days(date(2024, 1, 1), date(2024, 1, 5), 3)]
    [('2024-01-01', '2024-01-03'), ('2024-01-04', '2024-01-05')]

    Raises:
        UsageError: `end` is before `start`.
    """
    require_order(start, end)
    firsts = [start + timedelta(offset) for offset in range(0, (end - start).days + 1, days)]
    return [(first, min(end, first + timedelta(days - 1))) for first in firsts]
