"""Calendar figure: a panel per year with a square per day, which shows missing sessions."""

from datetime import date

import numpy as np
import polars as pl
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from champion.plots import style

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WEEKS = 54
_SATURDAY = 5
_WIDTH, _PANEL = 9.5, 1.35  # inches


@style.plot("Sessions", "session", "rows", source="lake manifests")
def calendar(sessions: pl.DataFrame, label: str = "rows") -> Figure:
    """Draw a square for each day, darker for sessions with more rows; grey is a weekday without a session.

    Columns: session (Date), rows (any count; `label` names it). Days before the first session and after the last are
    white, and so are weekends without a session.

    >>> frame = pl.DataFrame({"session": [date(2024, 1, 15), date(2024, 1, 17)], "rows": [2104, 2098]})
    >>> [ax.get_title(loc="left") for ax in calendar(frame).axes][0]
    '2024: 2 sessions, 1 weekday without one'
    """
    days = sessions.group_by("session").agg(pl.col("rows").sum()).sort("session")
    first, last = days["session"][0], days["session"][-1]
    years = list(range(first.year, last.year + 1))
    counts = dict(days.iter_rows())
    every = pl.date_range(first, last, eager=True)
    empty = {day for day in every if day not in counts and day.weekday() < _SATURDAY}
    colors = LinearSegmentedColormap.from_list("rows", colormaps["Blues"](np.linspace(0.15, 1, 64)))
    low, high = float(min(counts.values())), float(max(counts.values()))
    scale = Normalize(low - 1 if low == high else low, high)
    figure, axes = style.panels((_WIDTH, 0.7 + _PANEL * len(years)), grid="none", nrows=len(years))
    for ax, year in zip(axes, years, strict=True):
        _year(ax, year, {day: rows for day, rows in counts.items() if day.year == year}, empty, colors, scale)
    shrink, rows = min(1.0, 1.6 / len(years)), ScalarMappable(scale, colors)
    bar = figure.colorbar(rows, ax=axes, shrink=shrink, aspect=14, label=label, pad=0.01)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(lambda rows, _: f"{rows:,.0f}")
    bar.ax.tick_params(color="#B5B5B5", labelcolor=style.INK, labelsize=8)
    return figure


def _year(ax: Axes, year: int, rows: dict[date, int], empty: set[date], colors: Colormap, scale: Normalize) -> None:
    missing = sorted(day for day in empty if day.year == year)
    squares = np.full((7, _WEEKS, 4), 1.0)
    for day, count in rows.items():
        squares[_place(day)] = colors(scale(count))
    for day in missing:
        squares[_place(day)] = (0.83, 0.83, 0.83, 1.0)
    ax.pcolormesh(np.arange(_WEEKS + 1), np.arange(8), squares, edgecolors="white", linewidth=1.2)
    ax.set(ylim=(7, 0), xlim=(0, _WEEKS), aspect="equal")
    ax.set_yticks([0.5, 2.5, 4.5], [_WEEKDAYS[0], _WEEKDAYS[2], _WEEKDAYS[4]], fontsize=7)
    months = [date(year, month, 1) for month in range(1, 13)]
    ax.set_xticks([_place(day)[1] + 0.5 for day in months], [f"{day:%b}" for day in months], fontsize=7.5)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    sessions = f"{len(rows)} session{'' if len(rows) == 1 else 's'}"
    without = f"{len(missing)} weekday{'' if len(missing) == 1 else 's'} without one"
    ax.set_title(f"{year}: {sessions}, {without}", fontsize=10, pad=4)


def _place(day: date) -> tuple[int, int]:
    """Return the row and the column of a day: its weekday, and its week counted from that of 1 January."""
    return day.weekday(), (day.timetuple().tm_yday - 1 + date(day.year, 1, 1).weekday()) // 7
