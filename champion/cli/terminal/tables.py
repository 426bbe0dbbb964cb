"""Tables that fit the terminal: columns are narrowed between words; if that is not enough, rows become records.

1. Each column has a natural width, that of its longest line, and a minimum width, that of its longest word. Words
   longer than `_LONGEST` may be split, after a separator if possible.
2. If the minimum widths fit, the remaining width goes to the columns that need most.
3. If they do not fit, each row is printed as a record, one line per value.
"""

import re
from collections.abc import Sequence

from rich.cells import cell_len, chop_cells

_GAP = 2
_LONGEST = 15
_PIECES = re.compile(r"[^\s._/:;,@=-]*[\s._/:;,@=-]*")


def widths(columns: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Return the width of each column in a terminal of `room` characters; None if the columns do not fit.

    >>> widths(["at", "why"], [["2024-12-31 18:30", "the rank IC is higher"]], 40)
    [16, 21]
    >>> widths(["at", "why"], [["2024-12-31 18:30", "the rank IC is higher"]], 30)
    [12, 16]
    >>> widths(["at", "why"], [["2024-12-31 18:30", "the rank IC is higher"]], 12) is None
    True
    """
    cells = [[name, *(row[place] for row in rows)] for place, name in enumerate(columns)]
    natural = [max(_longest(cell.splitlines()) for cell in column) for column in cells]
    left = room - _GAP * (len(columns) - 1)
    if sum(natural) <= left:
        return natural
    # Words are not split up to this width: that of the longest word of the header, at least `_LONGEST`.
    caps = [max(_LONGEST, _longest(name.split())) for name in columns]
    words = [max(_longest(cell.split()) for cell in column) for column in cells]
    found = [min(pair) for pair in zip(words, caps, strict=True)]
    if sum(found) > left:
        return None
    for _ in range(left - sum(found)):
        neediest = max(range(len(found)), key=lambda place: natural[place] / max(found[place], 1))
        found[neediest] += 1
    return found


def wrapped(text: str, width: int) -> str:
    """Return the text in lines of at most `width` cells, broken after spaces and separators if possible.

    >>> wrapped("sklearn.naive_bayes.GaussianNB", 16).splitlines()
    ['sklearn.naive_', 'bayes.', 'GaussianNB']
    """
    lines: list[str] = []
    for line in text.splitlines() or [""]:
        current = ""
        for piece in re.findall(r"\S+\s*|\s+", line):
            if current and cell_len((current + piece).rstrip()) > width:
                lines.append(current.rstrip())
                current = ""
            if cell_len(piece.rstrip()) > width:
                *whole, piece = [part for cut in _PIECES.findall(piece) if cut for part in chop_cells(cut, width)]  # noqa: PLW2901
                lines += [part.rstrip() for part in _joined(whole, width)]
            current += piece
        lines.append(current.rstrip())
    return "\n".join(lines)


def _joined(pieces: Sequence[str], width: int) -> list[str]:
    """Return the pieces joined into lines of at most `width` cells."""
    lines: list[str] = []
    for piece in pieces:
        if lines and cell_len(lines[-1] + piece) <= width:
            lines[-1] += piece
        else:
            lines.append(piece)
    return lines


def _longest(parts: Sequence[str]) -> int:
    return max(map(cell_len, parts), default=0)
