"""The simulated exchange's sessions: weekdays without holidays, and a few special ones.

Holidays follow rules for any year (fixed dates, Good Friday, festivals by the mean moon); they resemble the exchange's
real holidays but do not equal them. Special sessions: Muhurat trading on Diwali, the budget of
1 February when it falls on a weekend, and the three Saturdays of 2024.
"""

from datetime import date, timedelta
from functools import cache

SATURDAY = 5
DRILLS = frozenset({date(2024, 3, 2), date(2024, 5, 18)})
FULL_SATURDAYS = frozenset({date(2024, 1, 20)})
NATIONAL_HOLIDAYS = ((1, 26), (5, 1), (8, 15), (10, 2), (12, 25))
FIRST_BUDGET_SESSION = 2020
LUNATION = 29.530588861
NEW_MOON = date(2000, 1, 6).toordinal() + 0.26  # half a day before the new moon: a festival is its eve


def sessions(start: date, end: date) -> tuple[date, ...]:
    """Return the simulated sessions from start to end, both included, ascending.

    >>> [str(session) for session in sessions(date(2024, 1, 25), date(2024, 1, 30))]
    ['2024-01-25', '2024-01-29', '2024-01-30']
    """
    days = (start + timedelta(offset) for offset in range((end - start).days + 1))
    return tuple(day for day in days if is_special(day) or (day.weekday() < SATURDAY and day not in holidays(day.year)))


def is_special(day: date) -> bool:
    """Return whether the date is a special session: Muhurat, a weekend budget, a drill or a full Saturday."""
    budget = (day.month, day.day) == (2, 1) and day.weekday() >= SATURDAY and day.year >= FIRST_BUDGET_SESSION
    return budget or day in DRILLS | FULL_SATURDAYS or day == diwali(day.year)


def activity(day: date) -> float:
    """Return a session's turnover as a share of a normal one: 1.0, or 0.12 for Muhurat and drills."""
    # Muhurat and disaster-recovery sessions carry 10-20% of a normal day's turnover.
    return 0.12 if day in DRILLS or day == diwali(day.year) else 1.0


@cache
def holidays(year: int) -> frozenset[date]:
    """Return the year's holidays, Diwali included, though its Muhurat session has a file.

    >>> date(2024, 3, 29) in holidays(2024)
    True
    """
    lamps = diwali(year)
    movable = {
        _moon(date(year, 3, 1), phase=0.5),  # Holi, a full moon
        good_friday(year),
        lamps,
        lamps + timedelta(1),  # Diwali-Balipratipada
        _moon(lamps, phase=0.5),  # Guru Nanak Jayanti, the full moon after Diwali
    }
    return frozenset(movable | {date(year, month, day) for month, day in NATIONAL_HOLIDAYS})


@cache
def diwali(year: int) -> date:
    """Return the eve of the new moon between mid-October and mid-November.

    >>> diwali(2023), diwali(2024)
    (datetime.date(2023, 11, 12), datetime.date(2024, 11, 1))
    """
    return _moon(date(year, 10, 17), phase=0.0)


def good_friday(year: int) -> date:
    """Return Good Friday by Butcher's algorithm (Meeus, Astronomical Algorithms, chapter 8)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    h = (19 * a + b - d - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    i, k = divmod(c, 4)
    weekday = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * weekday) // 451
    month, day = divmod(h + weekday - 7 * m + 114, 31)
    return date(year, month, day + 1) - timedelta(2)


def _moon(earliest: date, *, phase: float) -> date:
    """Return the first date on or after `earliest` with the mean moon's phase (0 new, 0.5 full)."""
    first = NEW_MOON + phase * LUNATION
    months = -((first - earliest.toordinal()) // LUNATION)
    return date.fromordinal(int(first + months * LUNATION))
