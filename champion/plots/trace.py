"""Provenance figure: the selected item at the top, its sources or results below.

A link that crosses a level has a position on it, as boxes have, so no line runs through a box.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import polars as pl
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from champion.plots.style import BLUE, GREEN, GREY, INK, LOOK, ORANGE, PURPLE, VERMILION, require

Link: TypeAlias = tuple[str, str]
_COLOURS = {"file": GREEN, "dataset": BLUE, "run": ORANGE, "model": PURPLE}
_WIDE, _HIGH, _APART, _DEEP, _LANE = 3.1, 0.66, 0.3, 0.5, 0.2  # inches
_TOP = 0.8
_LONGEST = 36  # characters of a name
_PASSES = 4  # sorting passes over the levels; more have no effect in graphs of this size


def trace_graph(nodes: pl.DataFrame, links: Sequence[Link], *, title: str) -> Figure:
    """Draw the graph of `nodes` (id, kind, name, span, state) and `links` (from, to), the first node at the top.

    A changed or missing item has a red frame and its state as text.

    Raises:
        UsageError: a column is missing.

    >>> bars = {"id": "bars", "kind": "dataset", "name": "bars", "span": "2024-01-15", "state": "same"}
    >>> file = {"id": "zip", "kind": "file", "name": "a.zip", "span": "", "state": "changed"}
    >>> figure = trace_graph(pl.DataFrame([bars, file]), [("bars", "zip")], title="bars and their file")
    >>> sorted(text.get_text() for text in figure.axes[0].texts)
    ['', '2024-01-15', 'a.zip', 'bars', 'bars and their file', 'file, changed']
    """
    require(nodes, ("id", "kind", "name", "span", "state"), "trace_graph")
    names = nodes["id"].to_list()
    levels, paths = _levels(names, links)
    wide = max(sum(_width(item, names) + _APART for item in level) for level in levels) + _APART
    wide, high = max(wide, 0.095 * len(title)), _TOP + len(levels) * (_HIGH + _DEEP)
    middle = _middles(levels, names, wide)
    with rc_context(LOOK):
        figure = Figure(figsize=(wide, high))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, wide), ylim=(high, 0))
        axes.axis("off")
        axes.text(_APART, 0.35, title, fontsize=11, fontweight="bold", va="center")
        for path in paths:
            _draw_path(axes, [middle[item] for item in path])
        for row in nodes.iter_rows(named=True):
            _draw_box(axes, row, *middle[row["id"]])
    return figure


def _levels(names: Sequence[str], links: Sequence[Link]) -> tuple[list[list[str]], list[list[str]]]:
    """Return the items of each level in order, and the path of each link: its ends and its positions in between."""
    depth = dict.fromkeys(names, 0)
    for _ in names:  # no path is longer than the number of nodes
        for of, to in links:
            depth[to] = max(depth[to], depth[of] + 1)
    levels: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name in names:
        levels[depth[name]].append(name)
    paths = []
    for number, (of, to) in enumerate(links):
        places = [f"{number}/{below}" for below in range(depth[of] + 1, depth[to])]
        for at_level, place in enumerate(places, start=depth[of] + 1):
            levels[at_level].append(place)
        paths.append([of, *places, to])
    above: dict[str, list[str]] = {}
    for path in paths:
        for upper, lower in pairwise(path):
            above.setdefault(lower, []).append(upper)
    for _ in range(_PASSES):
        for upper_level, level in pairwise(levels):
            at = {item: place / len(upper_level) for place, item in enumerate(upper_level)}
            mean = {item: sum(at[one] for one in above[item]) / len(above[item]) for item in level}
            level.sort(key=mean.__getitem__)
    return levels, paths


def _width(item: str, names: Sequence[str]) -> float:
    return _WIDE if item in names else _LANE


def _middles(levels: Sequence[Sequence[str]], names: Sequence[str], wide: float) -> dict[str, tuple[float, float]]:
    """Return the centre of each item; levels are centred."""
    centres = {}
    for number, level in enumerate(levels):
        taken = sum(_width(item, names) + _APART for item in level) - _APART
        left = (wide - taken) / 2
        for item in level:
            width = _width(item, names)
            centres[item] = (left + width / 2, _TOP + number * (_HIGH + _DEEP) + _HIGH / 2)
            left += width + _APART
    return centres


def _draw_path(axes: Axes, middles: Sequence[tuple[float, float]]) -> None:
    points = [(middles[0][0], middles[0][1] + _HIGH / 2)]
    for x, y in middles[1:-1]:
        points += [(x, y - _HIGH / 2), (x, y + _HIGH / 2)]
    end = (middles[-1][0], middles[-1][1] - _HIGH / 2)
    axes.plot([x for x, _ in points], [y for _, y in points], color=GREY, lw=0.8, solid_joinstyle="round")
    style = {"arrowstyle": "-|>", "color": GREY, "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=end, xytext=points[-1], arrowprops=style)


def _draw_box(axes: Axes, row: Mapping[str, str], x: float, y: float) -> None:
    sound, left, top = row["state"] == "same", x - _WIDE / 2, y - _HIGH / 2
    colour = _COLOURS[row["kind"]]
    frame, line = (colour, 1.1) if sound else (VERMILION, 2.2)
    shape = "round,pad=0,rounding_size=0.06"
    axes.add_patch(FancyBboxPatch((left, top), _WIDE, _HIGH, shape, edgecolor=frame, facecolor="white", lw=line))
    axes.add_patch(FancyBboxPatch((left, top), 0.07, _HIGH, "square,pad=0", color=colour, lw=0))
    name = row["name"]
    name = name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2]}…{name[-_LONGEST // 2 :]}"
    axes.text(left + 0.17, top + 0.22, name, fontsize=8.5, fontweight="bold", color=INK, va="center")
    text = ", ".join(filter(None, [row["span"] or row["kind"], "" if sound else row["state"]]))
    axes.text(left + 0.17, top + 0.46, text, fontsize=7.5, color=GREY if sound else VERMILION, va="center")
