"""Explain how an unknown header differs from the most similar known one."""

from collections.abc import Mapping, Sequence

from champion.errors import FormatError

_SHOWN = 12  # columns named in a message
_LONGEST = 40  # characters of each


def difference(found: Sequence[str], known: Mapping[str, Sequence[Sequence[str]]]) -> str:
    """Return how the columns in `found` differ from the most similar known header; `known` has the headers by format.

    >>> formats = {"full": [["SYMBOL", "OPEN", "CLOSE"]], "index": [["Date", "Index"]]}
    >>> difference(["SYMBOL", "CLOSE", "LTP"], formats)
    "against full: new columns 'LTP'; missing columns 'OPEN'"
    >>> difference(["Index", "Date"], formats)
    'against index: the same columns in another order'
    >>> difference(["<html>"], formats)
    'none of its columns is known'
    """
    columns = [name.strip() for name in found if name.strip()]
    headers = [(form, [name.strip() for name in each if name.strip()]) for form, all_ in known.items() for each in all_]
    form, nearest = min(headers, key=lambda header: len({*header[1]} ^ {*columns}))
    if not {*columns} & {*nearest}:
        return "none of its columns is known"
    parts = {
        "new columns": [name for name in columns if name not in nearest],
        "missing columns": [name for name in nearest if name not in columns],
        "repeated columns": sorted({name for name in columns if columns.count(name) > nearest.count(name) > 0}),
    }
    named = "; ".join(f"{what} {_shown(names)}" for what, names in parts.items() if names)
    rest = "only spaces or empty columns differ" if columns == nearest else "the same columns in another order"
    return f"against {form}: {named or rest}"


def require_header(name: str, header: list[str], expected: list[str]) -> None:
    """Do nothing if a list has the expected header.

    Raises:
        FormatError: it has another one; the message says how they differ.
    """
    if header != expected:
        differs = difference(header, {"the list": [expected]})
        raise FormatError(f"{name}: unknown header {header}; expected {expected}; {differs}")


def _shown(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:_LONGEST]) for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
