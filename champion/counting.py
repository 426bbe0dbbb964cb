"""Counts in messages: one row, two rows."""

from __future__ import annotations


def counted(number: float, noun: str, plural: str = "") -> str:
    """Return the number with its noun, singular for 1; the plural is the noun with an s unless it is given.

    >>> counted(1, "session"), counted(1200, "row"), counted(0, "entry", "entries")
    ('1 session', '1,200 rows', '0 entries')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def were(number: float, noun: str, plural: str = "") -> str:
    """Return the number with its noun and the verb that agrees.

    >>> were(1, "session"), were(2, "session")
    ('1 session was', '2 sessions were')
    """
    return f"{counted(number, noun, plural)} {'was' if number == 1 else 'were'}"
