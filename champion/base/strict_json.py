"""Read JSON that Champion wrote, strictly: exact types, no unknown names, limited nesting."""

from datetime import UTC, date, datetime
from functools import cache
from pathlib import PurePath
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

Kind = TypeVar("Kind")
_adapter = cache(TypeAdapter)


def parse_json(kind: type[Kind], content: bytes | str) -> Kind:
    """Return the JSON `content` as a `kind`, for example a dataclass or a `dict[str, int]`.

    Raises:
        ValueError: it is not JSON, or not of that kind; one line with the place and the reason.

    >>> parse_json(dict[str, int], '{"rows": 2}')
    {'rows': 2}
    >>> parse_json(dict[str, int], '{"rows": "2"}')
    Traceback (most recent call last):
    ValueError: rows: Input should be a valid integer
    """
    try:
        return cast("Kind", _adapter(cast("Any", kind)).validate_json(content, strict=True, extra="forbid"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from error


def is_unicode(value: object) -> bool:
    r"""Return whether all text in a JSON-like value can be written as UTF-8, that is, has no lone surrogate.

    Python reads bytes of a command line or a file name that are not UTF-8 as such surrogates.

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
    """Return a datetime, or a text in ISO 8601, as a datetime in UTC.

    Raises:
        ValueError: it is not a datetime, has no time zone, or is in year 1 or 9999.

    >>> moment("2024-07-02T15:30:00+05:30").isoformat()
    '2024-07-02T10:00:00+00:00'
    """
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    if found.tzinfo is None:
        raise ValueError(f"{found} has no time zone")
    if not date.min.year < found.year < date.max.year:  # the conversion to another zone may overflow
        raise ValueError(f"{found} is outside the supported years")
    return found.astimezone(UTC)
