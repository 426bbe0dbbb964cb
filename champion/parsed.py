"""JSON that Champion wrote, read strictly: the types it was written with, no name too many, and an end to nesting."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

Kind = TypeVar("Kind")


def parsed(kind: type[Kind], content: bytes | str) -> Kind:
    """Return the JSON `content` as a `kind`, as a dataclass or a `dict[str, int]`.

    Raises:
        ValueError: it is no JSON, or not of that kind; in one line, where and why.

    >>> parsed(dict[str, int], '{"rows": 2}')
    {'rows': 2}
    >>> parsed(dict[str, int], '{"rows": "2"}')
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


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
