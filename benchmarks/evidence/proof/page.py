"""Sections of a report in Markdown, and the tables in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import polars as pl

_LONGEST = 240  # characters of a cell


@dataclass(frozen=True, slots=True)
class Section:
    """A title, paragraphs and tables as Markdown, and the frames behind them by name: every row, for `--details`."""

    title: str
    blocks: Sequence[str]
    frames: dict[str, pl.DataFrame] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """Yield the section's lines."""
        yield f"## {self.title}"
        for block in self.blocks:
            yield from ("", block)
        yield ""


def table(frame: pl.DataFrame, *, none: str = "None.") -> str:
    """Return a frame as a Markdown table, numbers to the right; `none` if it has no rows."""
    if frame.is_empty():
        return none
    numeric = [dtype.is_numeric() for dtype in frame.dtypes]
    rule = ["---:" if right else "---" for right in numeric]
    rows = [[_text(value) for value in row] for row in frame.rows()]
    return "\n".join(f"| {' | '.join(row)} |" for row in [frame.columns, rule, *rows])


def with_total(frame: pl.DataFrame, label: str) -> pl.DataFrame:
    """Return the frame with a last row of sums and `label` in the first column, which is text."""
    first, *rest = frame.columns
    sums = [pl.col(name).sum() if frame[name].dtype.is_numeric() else pl.lit("").alias(name) for name in rest]
    return pl.concat([frame, frame.select(pl.lit(label).alias(first), *sums)], how="vertical_relaxed")


def percent(value: float | None, decimals: int = 1) -> str:
    """Return a share in percent."""
    return "" if value is None else f"{value:.{decimals}%}"


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool() | date():
            return str(value)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"  # noqa: PLR2004 - no decimals from there
        case _:
            text = " ".join(str(value).split()).replace("|", "\\|")
            return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
