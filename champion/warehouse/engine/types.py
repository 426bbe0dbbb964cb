"""ClickHouse's type names taken apart: `Array(Nullable(DateTime('UTC')))` is an Array of DateTime."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_HEAD = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*", re.DOTALL)
_TOKEN = re.compile(r"'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|[(),]", re.DOTALL)
_NAMED = re.compile(r"\s*(?:`((?:[^`\\]|\\.)*)`|([A-Za-z_]\w*))\s+([A-Z].*)", re.DOTALL)
_MEMBER = re.compile(r"\s*'((?:[^'\\]|\\.|'')*)'\s*=\s*(-?\d+)\s*", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)|''", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}
_TRANSPARENT = {"Nullable": 0, "LowCardinality": 0, "SimpleAggregateFunction": 1}


@dataclass(frozen=True, slots=True)
class Type:
    """A type's own name and what stands in its brackets.

    >>> Type.parse("Map(String, Array(UInt8))")
    Type(name='Map', arguments=('String', 'Array(UInt8)'))
    """

    name: str
    arguments: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Type:
        """Return a type by its full name; what is not the name of a type is a type of just this name."""
        match = _HEAD.fullmatch(text)
        return cls(text.strip()) if match is None else cls(match[1], tuple(_split(match[2] or "")))

    @property
    def is_nullable(self) -> bool:
        """Whether null is one of its values."""
        return self.name == "Nullable" or (self.name == "LowCardinality" and Type.parse(self.arguments[0]).is_nullable)

    @property
    def plain(self) -> Type:
        """Return the type of its values.

        >>> Type.parse("LowCardinality(Nullable(String))").plain
        Type(name='String', arguments=())
        """
        if self.name in _TRANSPARENT and len(self.arguments) > _TRANSPARENT[self.name]:
            return Type.parse(self.arguments[_TRANSPARENT[self.name]]).plain
        return self

    def elements(self) -> list[Type]:
        """Return the types of the parts of an Array, a Map, a Tuple or a Nested; none for all others."""
        if self.name not in {"Array", "Map", "Tuple", "Nested"}:
            return []
        return [Type.parse(match[3] if (match := _NAMED.fullmatch(text)) else text) for text in self.arguments]

    def members(self) -> dict[str, int]:
        r"""Return the names and numbers of an Enum.

        >>> Type.parse(r"Enum8('a' = 1, 'it\'s' = -2)").members()
        {'a': 1, "it's": -2}
        """
        found = (_MEMBER.fullmatch(text) for text in self.arguments)
        return {_ESCAPE.sub(_unescaped, match[1]): int(match[2]) for match in found if match}

    def text(self, number: int) -> str | None:
        """Return the argument of that number without its quotes, None where there is none."""
        return self.arguments[number].strip().strip("'") if number < len(self.arguments) else None


def _split(text: str) -> Iterator[str]:
    """Yield what commas separate, but for those in brackets and quotes."""
    start, depth = 0, 0
    for token in _TOKEN.finditer(text):
        if token[0] == "(":
            depth += 1
        elif token[0] == ")":
            depth -= 1
        elif token[0] == "," and not depth:
            yield text[start : token.start()].strip()
            start = token.end()
    if text.strip():
        yield text[start:].strip()


def _unescaped(match: re.Match[str]) -> str:
    return _ESCAPED.get(match[1], match[1]) if match[1] else "'"
