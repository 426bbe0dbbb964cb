"""The days on which the exchange trades, by the known holidays, and its longest closure."""

from collections.abc import Set as AbstractSet
from datetime import date, timedelta

LONGEST_CLOSURE = timedelta(6)
"""The next session is not further away than this."""
_SATURDAY = 5


def is_trading_day(day: date, holidays: AbstractSet[date]) -> bool:
    """Whether a date is a weekday and no known holiday.

    >>> [is_trading_day(date(2024, 12, day), {date(2024, 12, 25)}) for day in (24, 25, 28)]
    [True, False, False]
    """
    return day.weekday() < _SATURDAY and day not in holidays
