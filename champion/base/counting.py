"""Format counts and known names in messages: one row, two rows, and the name that was perhaps meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

_SHOWN = 12


def quantity(number: Any, noun: str, plural: str = "") -> str:
    """Return the number with its noun, singular for 1. By default the plural adds an s.

    `number` is of any numeric type. A verb that follows belongs to the noun.

    >>> quantity(1, "session"), quantity(1200, "row"), quantity(0, "entry", "entries")
    ('1 session', '1,200 rows', '0 entries')
    >>> quantity(1, "session was", "sessions were"), quantity(2, "session was", "sessions were")
    ('1 session was', '2 sessions were')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def known_names(name: str, known: Iterable[str], what: str = "there are") -> str:
    """Return the nearest known name as a question, if one is near, and the known names in order, at most twelve.

    >>> known_names("NIFTY 5O", ["NIFTY 50", "NIFTY BANK"])
    "did you mean 'NIFTY 50'? There are NIFTY 50, NIFTY BANK"
    >>> known_names("x", map(str, range(20)))
    'there are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8 more'
    >>> known_names("x", [])
    'there are none'
    """
    names = list(dict.fromkeys(known))
    capitals = {each.upper(): each for each in names}
    near = get_close_matches(name.upper(), capitals, n=1, cutoff=0.8)
    shown = ", ".join(names[:_SHOWN]) or "none"
    listed = f"{what} {shown}{f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''}"
    return f"did you mean {capitals[near[0]]!r}? {listed[0].upper()}{listed[1:]}" if near else listed
