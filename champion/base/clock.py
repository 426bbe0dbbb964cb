"""The current time, read at the edges only.

`SOURCE_DATE_EPOCH` (seconds since 1970, the reproducible-builds convention) freezes it, so that a replay can be
compared with the original byte by byte.
"""

import os
from calendar import monthrange
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

INDIA = ZoneInfo("Asia/Kolkata")


def now() -> datetime:
    """Return the current time in UTC, to the millisecond, or the frozen time."""
    frozen = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(frozen), UTC) if frozen else datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def today() -> date:
    """Return the date in India, where the exchange is."""
    return now().astimezone(INDIA).date()


def in_india(moment: datetime) -> str:
    """Return an aware datetime as Indian time to the minute; column headers say `IST`.

    >>> in_india(datetime(2024, 12, 31, 20, 0, tzinfo=UTC))
    '2025-01-01 01:30'
    """
    return f"{moment.astimezone(INDIA):%Y-%m-%d %H:%M}"


def month_end(day: date) -> date:
    """Return the last day of a date's month.

    >>> month_end(date(2024, 2, 10))
    datetime.date(2024, 2, 29)
    """
    return day.replace(day=monthrange(day.year, day.month)[1])
