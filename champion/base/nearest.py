"""Say in an error message which known name is nearest to an unknown one, and which names there are."""

from collections.abc import Iterable
from difflib import get_close_matches

_SHOWN = 12


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
