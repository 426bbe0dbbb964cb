"""Format counts in messages: one row, two rows."""

from typing import Any


def quantity(number: Any, noun: str, plural: str = "") -> str:
    """Return the number with its noun, singular for 1. By default the plural adds an s.

    `number` is of any numeric type. A verb that follows belongs to the noun.

    >>> quantity(1, "session"), quantity(1200, "row"), quantity(0, "entry", "entries")
    ('1 session', '1,200 rows', '0 entries')
    >>> quantity(1, "session was", "sessions were"), quantity(2, "session was", "sessions were")
    ('1 session was', '2 sessions were')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
