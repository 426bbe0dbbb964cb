"""Settlement of the cash market: when a trade is paid and delivered."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date

T1_SINCE = date(2023, 1, 27)
"""The first trade date on which every share settled after one session; before it, after two (SEBI, 2021-09-07).

Shares moved in tranches from 2022-02-25. Which share moved when is in no list at hand, so they settle after two here.
"""


def settlement_sessions(day: date) -> int:
    """Return after how many sessions a trade of the day settles.

    >>> settlement_sessions(date(2023, 1, 25)), settlement_sessions(date(2023, 1, 27))
    (2, 1)
    """
    return 1 if day >= T1_SINCE else 2


def settlement_rows(sessions: Sequence[date]) -> list[int]:
    """Return for each session the row on which its trades settle; the rows after the last one may not exist yet.

    Sessions are taken as settlement days: bank holidays on which the exchange trades are in no list at hand.

    >>> days = [date(2023, 1, 23), date(2023, 1, 24), date(2023, 1, 25), date(2023, 1, 27), date(2023, 1, 30)]
    >>> settlement_rows(days)
    [2, 3, 4, 4, 5]
    """
    first_of_t1 = bisect_left(sessions, T1_SINCE)
    return [row + (1 if row >= first_of_t1 else 2) for row in range(len(sessions))]
