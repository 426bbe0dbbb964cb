"""Name the dates that lists cover, for error messages and reports."""

from collections.abc import Sequence
from datetime import date

_SHOWN = 6  # ranges in a message


def ranges(covered: Sequence[date], sessions: Sequence[date]) -> str:
    """Return the runs of consecutive sessions that are covered, as text; the latest are shown if there are many.

    >>> days = [date(2024, 1, day) for day in (1, 2, 3, 4, 5)]
    >>> ranges(days[:2] + days[3:4], days)
    '2024-01-01 to 2024-01-02, 2024-01-04'
    >>> ranges([], days)
    'none'
    """
    known, runs = set(covered), list[list[date]]()
    is_open = False
    for session in sorted(sessions):
        if session in known and is_open:
            runs[-1][1] = session
        elif session in known:
            runs.append([session, session])
        is_open = session in known
    texts = [str(first) if first == last else f"{first} to {last}" for first, last in runs]
    earlier = [f"{len(texts) - _SHOWN} earlier ranges"] if len(texts) > _SHOWN else []
    return ", ".join([*earlier, *texts[-_SHOWN:]]) or "none"
