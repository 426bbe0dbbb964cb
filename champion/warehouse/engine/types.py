"""Parse the type names of ClickHouse, such as `Array(Nullable(DateTime('UTC')))`."""

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
    """The name of a type and the arguments in its brackets.

    >>> Type.parse("Map(String, Array(UInt8))")
    Type(name='Map', arguments=('String', 'Array(UInt8)'))
    """

    name: str
    arguments: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Type:
        """Return the type of a full name; text in another form becomes a type of this name without arguments."""
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
        """Return the types of the parts of an Array, Map, Tuple or Nested; empty for other types."""
        if self.name not in {"Array", "Map", "Tuple", "Nested"}:
            return []
        return [Type.parse(match[3] if (match := _NAMED.fullmatch(text)) else text) for text in self.arguments]

    def members(self) -> dict[str, int]:
        r"""Return the names and numbers of an Enum.

        >>> Type.parse(r"Enum8('a' = 1, 'it\'s' = -2)").members()
        {'a': 1, "it's": -2}
        """
        return {
            _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[1]) if m[1] else "'", match[1]): int(match[2])
            for match in map(_MEMBER.fullmatch, self.arguments)
            if match
        }

    def text(self, number: int) -> str | None:
        """Return an argument without quotes; None if the type has fewer arguments."""
        return self.arguments[number].strip().strip("'") if number < len(self.arguments) else None


def _split(text: str) -> Iterator[str]:
    """Yield the parts between commas that are not in brackets or quotes."""
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
