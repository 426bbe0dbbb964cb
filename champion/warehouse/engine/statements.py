"""Split SQL text into statements; a semicolon in a string, an identifier or a comment does not end a statement."""

import re

_TOKEN = re.compile(
    r"""'(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.)*" | `(?:[^`\\]|\\.)*`   # quoted
      | --[^\n]* | \#[ !][^\n]* | /\*.*?\*/                             # comments
      | ;""",
    re.DOTALL | re.VERBOSE,
)
_LEADING = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|\#[ !][^\n]*(?:\n|\Z)|/\*.*?\*/)+", re.DOTALL)


def split(text: str) -> list[str]:
    r"""Return the statements of `text`, without semicolons and leading comments.

    >>> split("select ';' -- one; two\n; /* three; */ select 2;")
    ["select ';' -- one; two", 'select 2']
    """
    found, start = [], 0
    for token in _TOKEN.finditer(text):
        if token[0] == ";":
            found.append(text[start : token.start()])
            start = token.end()
    found.append(text[start:])
    return [code for statement in found if (code := _LEADING.sub("", statement).strip())]


def mask(statement: str) -> str:
    """Return `statement` with the text of strings replaced by x and comments by blanks, at the same length.

    >>> mask("select 'a;b' -- c")
    "select 'xxx'     "
    """

    def hidden(token: re.Match[str]) -> str:
        text = token[0]
        if text[0] == "'":
            return f"'{'x' * (len(text) - 2)}'"
        return text if text[0] in '"`;' else " " * len(text)

    return _TOKEN.sub(hidden, statement)
