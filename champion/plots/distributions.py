"""Distribution figure: a grid of small histograms on one panel, fast for any number of columns."""

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter

from champion.errors import UsageError
from champion.indicators.numeric.unknown import finite
from champion.plots import style

_TAIL = 0.01  # share of values beyond each end of a histogram
_BINS = 30
_INCHES = 9.5  # the figure's width
_FEW, _MANY = 24, 60  # columns up to which a row has four, or six, histograms; beyond, eight
_WIDE = 100  # ratio of highest to lowest from which positive values have a logarithmic scale
_WIDTH, _BASE, _TALL = 0.9, 0.8, 0.52  # histogram width, baseline and maximum height, in cells


class _Grid(NamedTuple):
    across: int
    rows: int
    inches: float  # height of a row
    size: float  # font size of a name, in points
    letters: int  # letters of a name that fit


@style.plot("Feature distributions", source="features")
def feature_distributions(frame: pl.DataFrame, before: pl.DataFrame | None = None) -> Figure:
    """Draw a histogram per column between its 1st and 99th percentile, without nulls, NaN and infinities.

    With `before`, a frame with the same columns of other sessions, an outline shows their earlier distribution. Both
    are shares of their own values, so ranges of different length are comparable. Positive values that span two powers
    of ten have a logarithmic scale, marked in the name. A column without values, or with a single value, has a text
    instead.

    Raises:
        UsageError: a column is not numeric, or `before` lacks one.

    >>> columns = pl.DataFrame({"rsi_14": [30.0, 50.0, 70.0], "flat": [1.0, 1.0, 1.0]})
    >>> [text.get_text() for text in feature_distributions(columns).axes[0].texts]
    ['rsi_14', '30', '70', 'flat', 'always 1']
    """
    style.require_numeric(frame, "feature_distributions")
    lacking = [name for name in frame.columns if before is not None and name not in before.columns]
    if lacking:
        raise UsageError(f"plots.feature_distributions compares the same columns; before lacks {', '.join(lacking)}")
    grid = _grid(frame.width)
    figure, (ax,) = style.panels((_INCHES, 0.9 + grid.inches * grid.rows), grid="none")
    ax.set_axis_off()
    ax.set(xlim=(-0.02, grid.across - 1 + _WIDTH + 0.02), ylim=(grid.rows, 0))
    fills, outlines = [], []
    for place, values in enumerate(frame.iter_columns()):
        corner = place % grid.across, place // grid.across
        then = None if before is None else before[values.name]
        now_steps, then_steps = _histograms(ax, corner, values, then, grid)
        fills += now_steps
        outlines += then_steps
    ax.add_collection(PolyCollection(fills, facecolors=style.SKY, linewidths=0))
    ax.add_collection(LineCollection(outlines, colors=style.VERMILION, linewidths=1))
    ax.set_title("Feature distributions, 1st to 99th percentile")
    if outlines:
        handles = [Patch(color=style.SKY, label="now"), Line2D([], [], color=style.VERMILION, label="before")]
        ax.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.3)
    return figure


def _grid(columns: int) -> _Grid:
    across, inches, size = (4, 1.35, 9.0) if columns <= _FEW else (6, 1.1, 7.5) if columns <= _MANY else (8, 0.95, 7.0)
    across = min(across, columns)
    letters = int(_INCHES / across * _WIDTH * 72 / (0.6 * size))
    return _Grid(across, -(-columns // across), inches, size, letters)


def _histograms(
    ax: Axes, corner: tuple[int, int], values: pl.Series, before: pl.Series | None, grid: _Grid
) -> tuple[list[style.Values], list[style.Values]]:
    """Write the texts of a column into its cell; return the corners of its histograms, now and before."""
    (left, top), size = corner, grid.size
    now, then = finite(values), np.empty(0) if before is None else finite(before)
    text = "no values" if not len(now) else f"always {now[0]:g}" if now[0] == now[-1] else ""
    low, high = (0.0, 0.0) if text else _range(now, then)
    scale = ", log" if 0 < _WIDE * low < high else ""
    room = grid.letters - len(scale)
    name = values.name if len(values.name) <= room else f"{values.name[: room - 1]}\N{HORIZONTAL ELLIPSIS}"
    ax.text(left, top + 0.16, name + scale, fontsize=size, va="center")
    if text:
        ax.text(left + _WIDTH / 2, top + 0.55, text, ha="center", va="center", color=style.GREY, fontsize=size)
        return [], []
    if low == high:  # the percentile range is a point
        low, high = float(now[0]), float(now[-1])
    edges = np.geomspace(low, high, _BINS + 1) if scale else np.linspace(low, high, _BINS + 1)
    ax.plot([left, left + _WIDTH], [top + _BASE] * 2, color="#B5B5B5", linewidth=0.8)
    look: dict[str, Any] = {"va": "top", "color": style.GREY, "fontsize": size - 2}
    ax.text(left, top + _BASE + 0.04, _short(edges[0]), ha="left", **look)
    ax.text(left + _WIDTH, top + _BASE + 0.04, _short(edges[-1]), ha="right", **look)
    shares = [np.histogram(each, edges)[0] / len(each) for each in (now, then) if len(each)]
    tallest = max(share.max() for share in shares)
    steps = [_steps(share / tallest, left, top) for share in shares]
    return steps[:1], steps[1:]


def _range(now: style.Values, then: style.Values) -> tuple[float, float]:
    """Return the lower 1st and the higher 99th percentile of the two."""
    known = [(values, int(_TAIL * len(values))) for values in (now, then) if len(values)]
    return float(min(values[tail] for values, tail in known)), float(max(values[-1 - tail] for values, tail in known))


def _steps(shares: style.Values, left: int, top: int) -> style.Values:
    """Return the corners of a histogram in its cell, from left to right."""
    x = left + _WIDTH * np.repeat(np.arange(len(shares) + 1), 2) / len(shares)
    y = top + _BASE - _TALL * np.concatenate([[0], np.repeat(shares, 2), [0]])
    return np.column_stack([x, y])


def _short(value: float) -> str:
    """Return a number with three digits, and k, M, ... from thousands on."""
    rounded = float(f"{value:.3g}")
    text = EngFormatter(sep="")(rounded) if abs(rounded) >= 1000 else f"{rounded:g}"  # noqa: PLR2004
    return text.replace("-", "\N{MINUS SIGN}")
