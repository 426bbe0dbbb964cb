"""When a trade is paid and delivered, and when what a corporate action gives can be sold or spent.

A holder owns new shares from the ex-date on, but cannot sell them before the depository has credited them:

- Bonus shares are credited about two weeks after the record date (SEBI's circular of 2024-09-16 shortens "about two
  weeks"; brokers say 15 days). Since that circular they trade two sessions after the record date. It holds for bonuses
  announced from 2024-10-01 on. A bonus must be issued within two months of its announcement (regulation 295 of SEBI's
  ICDR regulations), so those with an ex-date from 2024-12-01 on are under it. Between the two dates the announcement is
  in no list at hand, so the longer time is taken.
- After a split or consolidation the share trades under a new ISIN, and the old shares cannot be delivered. Brokers
  credit the new ones up to two working days after the record date.
- Demerged shares are listed about a month later, and a merger's about as late. The market's `entitlement` and `ending`
  are their value in cash, which can be spent after as many sessions. An example is 21 sessions: Jio Financial
  Services was demerged from Reliance on 2023-07-20 and traded from 2023-08-21 on.

The record date is the ex-date where trades settle after one session, and one session later before.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
BONUS_T2_SINCE = date(2024, 12, 1)
"""The first ex-date of bonuses that were surely announced under the circular."""
BONUS_CREDIT, QUICK_BONUS_CREDIT = 10, 2
"""Sessions after the record date until bonus shares can be sold: two weeks, and under the circular."""
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


def bonus_sessions(ex_date: date) -> int:
    """Return after how many sessions from the ex-date bonus shares can be sold.

    >>> [bonus_sessions(date(*day)) for day in ((2022, 6, 1), (2024, 6, 3), (2024, 12, 3))]
    [11, 10, 2]
    """
    after_record = QUICK_BONUS_CREDIT if ex_date >= BONUS_T2_SINCE else BONUS_CREDIT
    return after_record + settlement_sessions(ex_date) - 1


class Awaited:
    """Quantities of instruments, or amounts, that arrive on later sessions.

    >>> awaited = Awaited(2)
    >>> awaited.add(5, np.array([3.0, 0.0]))
    >>> awaited.add(4, np.array([0.0, 2.0]))
    >>> awaited.scale(np.array([2.0, 2.0]))
    >>> awaited.arrive(4)
    >>> awaited.total.tolist()
    [6.0, 0.0]
    """

    def __init__(self, count: int) -> None:
        self._due: dict[int, Floats] = {}
        self.total: Floats = np.zeros(count)

    def add(self, row: int, amounts: Floats) -> None:
        """Await amounts until a session."""
        self._due[row] = self._due.get(row, 0.0) + amounts
        self.total = self.total + amounts

    def arrive(self, row: int) -> None:
        """Take off what has arrived by a session."""
        for due in [due for due in self._due if due <= row]:
            del self._due[due]
            self.total = sum(self._due.values(), np.zeros_like(self.total))

    def postpone(self, row: int, which: Flags) -> None:
        """Let what would arrive before a session arrive on it, for the instruments of `which`."""
        for due in [due for due in self._due if due < row]:
            moved = np.where(which, self._due[due], 0.0)
            self._due[due] = self._due[due] - moved
            self._due[row] = self._due.get(row, 0.0) + moved

    def scale(self, ratio: Floats, *, whole: bool = False) -> None:
        """Multiply what is awaited, rounded down to whole shares if `whole`; a ratio of 0 awaits it no more."""
        if self._due:
            scaled = {due: each * ratio for due, each in self._due.items()}
            self._due = {due: np.floor(each + 1e-9) for due, each in scaled.items()} if whole else scaled
            self.total = sum(self._due.values(), np.zeros_like(self.total))


class Deliveries:
    """Shares that an account owns, and cannot sell yet: purchases that are not settled, and new shares of actions.

    >>> deliveries, one = Deliveries(1), np.array([1.0])
    >>> held = np.array([10.0])
    >>> deliveries.act(held, 3 * held, (3 * one, 3 * one, one > 1), (10, 2), whole=True)  # a bonus of two for one
    >>> [each.tolist() for each in deliveries.sellable(3 * held, one > 1)]
    [[10.0], [10.0]]
    >>> deliveries.arrive(10)
    >>> deliveries.sellable(3 * held, one > 1)[0].tolist()
    [30.0]
    """

    def __init__(self, count: int) -> None:
        self.bought, self._new = Awaited(count), Awaited(count)

    def arrive(self, row: int) -> None:
        """Deliver and credit what is due by a session."""
        self.bought.arrive(row)
        self._new.arrive(row)

    def act(
        self, before: Floats, held: Floats, action: tuple[Floats, Floats, Flags], due: tuple[int, int], *, whole: bool
    ) -> None:
        """Await bonus shares and replaced shares, from those held `before`, until the two sessions `due`.

        `action` has the ratio of each share, the part of it that is a bonus, and whether the share is replaced.
        """
        ratio, bonus, replaced = action
        self.bought.scale(np.where(replaced, 0.0, ratio / bonus), whole=whole)
        self._new.scale(ratio, whole=whole)
        earlier = before * ratio / bonus
        new = np.where(bonus > 1, held - (np.floor(earlier + 1e-9) if whole else earlier), 0.0)
        self._new.add(due[0], new.clip(0))
        if replaced.any():
            self._new.postpone(due[1], replaced)
            self._new.add(due[1], np.where(replaced, held - self._new.total, 0.0).clip(0))

    def scale(self, ratio: Floats, *, whole: bool) -> None:
        """Multiply what is awaited, as after an action of unknown effect; a ratio of 0 awaits it no more."""
        self.bought.scale(ratio, whole=whole)
        self._new.scale(ratio, whole=whole)

    def sellable(self, held: Floats, delivery_only: Flags) -> tuple[Floats, Floats]:
        """Return how many of the shares held are credited, and may be sold: in some series, only those delivered."""
        credited = (held - self._new.total).clip(0)
        return credited, np.where(delivery_only, (credited - self.bought.total).clip(0), credited)
