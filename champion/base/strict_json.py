"""JSON that Champion wrote, read strictly: the types it was written with, no name too many, and an end to nesting."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from pathlib import PurePath
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

Kind = TypeVar("Kind")


def parse_json(kind: type[Kind], content: bytes | str) -> Kind:
    """Return the JSON `content` as a `kind`, as a dataclass or a `dict[str, int]`.

    Raises:
        ValueError: it is no JSON, or not of that kind; in one line, where and why.

    >>> parse_json(dict[str, int], '{"rows": 2}')
    {'rows': 2}
    >>> parse_json(dict[str, int], '{"rows": "2"}')
    Traceback (most recent call last):
    ValueError: rows: Input should be a valid integer
    """
    try:
        found: Kind = _adapter(cast("Any", kind)).validate_json(content, strict=True, extra="forbid")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from error
    return found


def is_unicode(value: object) -> bool:
    r"""Return whether every text in a value of JSON's types can be written as UTF-8: none holds a lone surrogate.

    Python reads bytes of a command line or a file's name that are not UTF-8 as such surrogates.

    >>> is_unicode(["caf\u00e9", {"n": 1}]), is_unicode({"caf\udce9": 1})
    (True, False)
    """
    match value:
        case str():
            return value.isascii() or not any("\ud800" <= one <= "\udfff" for one in value)
        case PurePath():
            return is_unicode(str(value))
        case dict():
            return all(is_unicode(name) and is_unicode(one) for name, one in value.items())
        case list() | tuple() | set() | frozenset():
            return all(map(is_unicode, value))
        case _:
            return True


def moment(value: datetime | str) -> datetime:
    """Return a moment, also one in ISO 8601, in UTC.

    Raises:
        ValueError: it is none, has no time zone, or lies in a year at the end of the calendar.

    >>> moment("2024-07-02T15:30:00+05:30").isoformat()
    '2024-07-02T10:00:00+00:00'
    """
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    if found.tzinfo is None:
        raise ValueError(f"{found} has no time zone")
    if not date.min.year < found.year < date.max.year:  # another zone may have no name for it
        raise ValueError(f"{found} is no moment that happened")
    return found.astimezone(UTC)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
