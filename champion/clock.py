"""The time of day, asked for at the edges only.

`SOURCE_DATE_EPOCH` (seconds since 1970, the reproducible-builds convention) freezes it, so that a replay can be
compared with the original byte for byte.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

INDIA = ZoneInfo("Asia/Kolkata")


def now() -> datetime:
    """Return the current time in UTC, to the millisecond, or the frozen one."""
    frozen = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(frozen), UTC) if frozen else datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def today() -> date:
    """Return the date in India: the exchange's own."""
    return now().astimezone(INDIA).date()
