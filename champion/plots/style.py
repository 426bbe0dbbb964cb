"""The common style of all figures: palette, fonts, panels, session and rupee axes, and the footer.

Figures are created without pyplot, so there is no global state. The decorator `plot` checks the columns, leaves out
rows that cannot be drawn, draws with the style `LOOK` and writes the footer.
"""

from collections.abc import Callable, Sequence
from datetime import date
from functools import wraps
from typing import Any, Concatenate, Literal, ParamSpec, TypeAlias

import numpy as np
import polars as pl
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import RcKeyType

from champion.base.counting import quantity
from champion.errors import UsageError

P = ParamSpec("P")
Draw: TypeAlias = Callable[Concatenate[pl.DataFrame, P], Figure]
Values: TypeAlias = np.ndarray[Any, Any]

# M. Okabe and K. Ito, Color Universal Design (2008): distinct for all types of colour vision.
BLUE, SKY, GREEN, ORANGE, VERMILION, PURPLE = "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7"
INK, GREY, PALE = "#2B2B2B", "#767676", "#E4E4E4"
LOOK: dict[RcKeyType, Any] = {
    "text.parse_math": False,  # a symbol with two dollar signs is not a formula
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": "#B5B5B5",
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
}
CRORE, LAKH = 1e7, 1e5
ROLLING = 20  # sessions of rolling means, about a month
_BARS = 120  # more sessions are drawn as one stepped area, as bars would be thinner than a pixel
_ROOM = 5  # minimum slots of a session axis, so a single bar does not fill it
_MONTHLY = 45  # sessions from which ticks are at months
_TICKS = 12


def plot(title: str, *needs: str, source: str, nulls: Literal["drop", "keep"] = "drop") -> Callable[[Draw[P]], Draw[P]]:
    """Return a decorator for a function that draws a frame with the columns `needs`.

    Rows where one of them is null, NaN or infinite are left out and counted in the footer, unless nulls are kept. If no
    row is left, the figure is a panel with 'no data'.

    Raises:
        UsageError: when drawing a frame without one of the columns.
    """

    def decorate(draw: Draw[P]) -> Draw[P]:
        @wraps(draw)
        def draw_frame(frame: pl.DataFrame, /, *args: P.args, **kwargs: P.kwargs) -> Figure:
            require(frame, needs, draw.__name__)
            known = known_rows(frame, needs) if nulls == "drop" else frame
            with rc_context(LOOK):
                figure = no_data(title) if known.is_empty() else draw(known, *args, **kwargs)
                _footer(figure, known, source, left_out=frame.height - known.height)
            return figure

        return draw_frame

    return decorate


def require(frame: pl.DataFrame, needs: Sequence[str], name: str) -> None:
    """Require that `frame` has every column of `needs`.

    Raises:
        UsageError: a column is missing; the message lists the missing and the existing ones.

    >>> require(pl.DataFrame({"score": [0.5]}), ["score", "rank"], "top_scores")
    Traceback (most recent call last):
    champion.errors.UsageError: plots.top_scores needs score, rank; missing: rank; the frame has: score
    """
    if missing := [column for column in needs if column not in frame.columns]:
        has = ", ".join(frame.columns) or "no columns"
        raise UsageError(f"plots.{name} needs {', '.join(needs)}; missing: {', '.join(missing)}; the frame has: {has}")


def require_numeric(frame: pl.DataFrame, name: str) -> None:
    """Require that every column of `frame` is numeric.

    Raises:
        UsageError: a column is not; the message names it.
    """
    if others := [f"{column} ({dtype})" for column, dtype in frame.schema.items() if not dtype.is_numeric()]:
        raise UsageError(f"plots.{name} draws numbers, not {', '.join(others)}: select the numeric columns first")


def require_one(frame: pl.DataFrame, column: str, what: str, name: str) -> None:
    """Require that a column, if it exists, has a single value.

    Raises:
        UsageError: it has several.
    """
    count = frame[column].n_unique() if column in frame.columns else 1
    if count > 1:
        raise UsageError(f"plots.{name} shows one {what}; the frame has {count}: filter it by {column}")


def known_rows(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return the rows where none of `columns` is null, NaN or infinite.

    >>> known_rows(pl.DataFrame({"score": [0.5, None, float("nan")]}), ["score"]).height
    1
    """
    floats = [column for column in columns if frame.schema[column].is_float()]
    kept = frame.drop_nulls(list(columns)) if columns else frame
    return kept.filter(pl.all_horizontal(pl.col(floats).is_finite())) if floats else kept


def panels(
    size: tuple[float, float] = (9.5, 4.2), *, grid: Literal["x", "y", "both", "none"] = "y", **subplots: Any
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure of `size` inches and its panels, row by row; `subplots` as of `Figure.subplots`."""
    figure = Figure(figsize=size, layout="constrained")
    axes: list[Axes] = list(figure.subplots(squeeze=False, **subplots).ravel())
    for ax in axes:
        # Set explicitly: ticks created later, when the notebook renders, would use the defaults instead of LOOK.
        ax.tick_params(
            color="#B5B5B5", labelcolor=INK, labelsize=9, labelfontfamily="DejaVu Sans", length=3,
            grid_color=PALE, grid_linewidth=0.8,
        )  # fmt: skip
        if grid != "none":
            ax.grid(visible=True, axis=grid)
    return figure, axes


def no_data(title: str) -> Figure:
    """Return a figure with the text 'no data'."""
    figure, (ax,) = panels((9.5, 2.6), grid="none")
    ax.set_title(title)
    note(ax, "no data")
    return figure


def note(ax: Axes, text: str) -> None:
    """Write `text` in the middle of an empty panel."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=GREY)


def sessions_axis(ax: Axes, sessions: Sequence[date]) -> Values:
    """Label an x axis of sessions without gaps for closed days, and return their positions 0, 1, 2, ..."""
    places = np.arange(len(sessions))
    slack = max(0.0, (_ROOM - len(sessions)) / 2)
    ax.set_xlim(-0.5 - slack, len(sessions) - 0.5 + slack)
    if len(sessions) < _MONTHLY:
        ticks = [int(place) for place in places[:: max(1, -(-len(sessions) // _TICKS))]]
        pattern = "%-d %b"
    else:
        ticks = _month_starts(sessions)
        pattern = "%b"
    ax.set_xticks(ticks, [_label(sessions, ticks, index, pattern) for index in range(len(ticks))])
    return places


def session_bars(
    ax: Axes, places: Values, heights: Values, color: str, label: str | None = None, alpha: float = 1
) -> None:
    """Draw a bar per session from zero, or one stepped area if bars would be too thin."""
    if len(places) <= _BARS:
        ax.bar(places, heights, width=0.8, color=color, label=label, alpha=alpha, linewidth=0)
    else:
        edges = np.arange(len(places) + 1) - 0.5
        ax.stairs(heights, edges, fill=True, color=color, label=label, alpha=alpha, linewidth=0)


def line(ax: Axes, places: Values, values: Values, color: str = BLUE, **look: Any) -> None:
    """Draw a line over sessions; a point if there is only one."""
    ax.plot(places, values, color=color, marker="o" if len(places) == 1 else "", **({"linewidth": 1.8} | look))


def signed_bars(ax: Axes, names: Sequence[str], values: Values, lower: int, base: float = 0.0) -> None:
    """Draw a named horizontal bar per value from `base`, upwards: the first `lower` orange, the others blue."""
    colors = [ORANGE] * lower + [BLUE] * (len(names) - lower)
    places = np.arange(len(names))
    ax.barh(places, values - base, left=base, color=colors, height=0.75, linewidth=0)
    ax.set_yticks(places, names)
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.axvline(base, color=INK, linewidth=0.8)


def bar_labels(ax: Axes, labels: Sequence[str], size: float = 8) -> None:
    """Write a label at the end of each bar of the panel."""
    for bars in ax.containers:
        if isinstance(bars, BarContainer):
            ax.bar_label(bars, labels, padding=3, fontsize=size)


def legend_above(ax: Axes) -> None:
    """Place the legend in a row above the right end of the panel."""
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.3)


def diverging(low: str, high: str) -> Colormap:
    """Return colours from `low` through near white to `high`."""
    return LinearSegmentedColormap.from_list("diverging", [low, "#F2F2F2", high])


def cell_texts(ax: Axes, values: Values, text: Callable[[float], str], *, dark: float | Values, size: float) -> None:
    """Write the text of each known value into its heat map cell, white where its absolute value is above `dark`."""
    limits = np.broadcast_to(dark, values.shape)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            color = "white" if abs(value) > limits[row, column] else INK
            ax.text(column + 0.5, row + 0.5, text(float(value)), ha="center", va="center", fontsize=size, color=color)


def crore(ax: Axes) -> None:
    """Show the y axis, in rupees, as crore of rupees (1 crore = 10 million)."""
    ax.yaxis.set_major_formatter(lambda rupees, _: crore_text(rupees))
    ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))


def crore_text(rupees: float) -> str:
    """Return an amount in rupees as crore.

    >>> crore_text(1_234_500_000_000), crore_text(5_000_000)
    ('₹ 123,450 crore', '₹ 0.5 crore')
    """
    amount = rupees / CRORE
    text = f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:,.2f}".rstrip("0").rstrip(".")  # noqa: PLR2004
    return f"₹ {text} crore"


def lakh_text(count: float) -> str:
    """Return a count in Indian units: in lakh from 100,000, in crore from 10 million.

    >>> lakh_text(50_000), lakh_text(250_000), lakh_text(12_000_000)
    ('50,000', '2.5 lakh', '1.2 crore')
    """
    for size, name in ((CRORE, "crore"), (LAKH, "lakh")):
        if abs(count) >= size:
            return f"{count / size:,.4g} {name}"
    return f"{count:,.0f}"


def duration_text(seconds: float) -> str:
    """Return a duration in seconds, or in minutes and seconds from a minute on.

    >>> duration_text(3.46), duration_text(295)
    ('3.5 s', '4 min 55 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s" if minutes else f"{seconds:.1f} s"


def percent(value: float, digits: int = 1) -> str:
    """Return a decimal as per cent with a true minus sign.

    >>> percent(0.0534)
    '5.3%'
    """
    return signed(value, f".{digits}%")


def signed(value: float, pattern: str) -> str:
    """Return a number in a format pattern with a true minus sign, as on the axes."""
    return f"{value:{pattern}}".replace("-", "\N{MINUS SIGN}")


def _month_starts(sessions: Sequence[date]) -> list[int]:
    """Return the positions of the first sessions of months, or of every 2, 3, 6, ... months, as space allows."""
    starts = [place for place, day in enumerate(sessions) if place == 0 or day.month != sessions[place - 1].month]
    for step in (1, 2, 3, 6, 12, 24, 60):
        kept = [place for place in starts if (sessions[place].year * 12 + sessions[place].month - 1) % step == 0]
        if kept[1:] and kept[1] - kept[0] < len(sessions) / (2 * _TICKS):
            kept = kept[1:]  # the first month is short, so the two labels would touch
        if kept and len(kept) <= _TICKS:
            return kept
    return starts[:1]


def _label(sessions: Sequence[date], ticks: Sequence[int], index: int, pattern: str) -> str:
    day = sessions[ticks[index]]
    new_year = index == 0 or sessions[ticks[index - 1]].year != day.year
    return day.strftime(f"{pattern}\n%Y" if new_year else pattern)


def _footer(figure: Figure, frame: pl.DataFrame, source: str, left_out: int) -> None:
    """Write the source and the dates of the data below the panels."""
    parts = [source]
    if "source" in frame.columns and frame.height:
        parts[0] += f" ({', '.join(frame['source'].drop_nulls().unique().sort())})"
    sessions = next((frame[name].drop_nulls() for name in ("trade_date", "session") if name in frame.columns), None)
    if sessions is not None and sessions.len():
        first, last, count = min(sessions), max(sessions), sessions.n_unique()
        parts.append(f"{first}" if count == 1 else f"{first} to {last}, {quantity(count, 'session')}")
    parts.append(quantity(frame.height, "row"))
    if left_out:
        parts.append(f"{left_out:,} without a value left out")
    figure.supxlabel(" · ".join(parts), x=0.01, ha="left", fontsize=7.5, color=GREY)
