"""Market maps: instruments as areas of turnover, and index returns over several spans."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from champion.contracts.datasets import BARS, INDEX_BARS
from champion.plots import style

_LIMIT = 0.05  # change from which the colour is saturated
_DARK = 0.6  # share of the limit from which text is white
_SPANS = {1: "1 session", 5: "5", 20: "20", 60: "60", 250: "250"}
_ROWS = 30
_Box = tuple[float, float, float, float]


@style.plot("Market map", "symbol", "close", "prev_close", "turnover", source=BARS)
def market_map(bars: pl.DataFrame, n: int = 60) -> Figure:
    """Draw the `n` instruments of one session with the highest turnover: the area is turnover, the colour the change.

    Columns: symbol, close and prev_close (rupees; rows with a prev_close of 0 or less are left out), turnover (rupees).
    Blue is a rise, orange a fall; the colour is saturated from 5%.

    Raises:
        UsageError: the bars are of more than one session.

    >>> rows = {"symbol": ["A", "B"], "close": [11.0, 9.0], "prev_close": [10.0, 10.0], "turnover": [3e7, 1e7]}
    >>> market_map(pl.DataFrame(rows)).axes[0].get_title(loc="left")
    'Market map: ₹ 4 crore, all of the turnover'
    """
    style.require_one(bars, "trade_date", "session", "market_map")
    change = pl.col("close") / pl.col("prev_close") - 1
    known = bars.filter(pl.col("prev_close") > 0, pl.col("turnover") > 0).with_columns(change=change)
    shown = known.sort("turnover", "symbol", descending=[True, False]).head(n)
    if shown.is_empty():
        return style.no_data("Market map: no turnover")
    figure, (ax,) = style.panels((9.5, 5.6), grid="none")
    width, height = 100.0, 58.0
    turnover = shown["turnover"].cast(pl.Float64).to_numpy()
    boxes = squarify((turnover / turnover.sum() * width * height).tolist(), (0.0, 0.0, width, height))
    colors, scale = _diverging(_LIMIT)
    for (left, top, wide, high), row in zip(boxes, shown.iter_rows(named=True), strict=True):
        color = colors(scale(row["change"]))
        ax.add_patch(Rectangle((left, top), wide, high, facecolor=color, edgecolor="white", linewidth=1.2))
        size = min(13.0, 9 * wide / max(len(row["symbol"]), 6), 2.2 * high)  # in points; both lines fit
        if size >= 5:  # noqa: PLR2004 - smaller is not legible
            ink = "white" if abs(row["change"]) > _DARK * _LIMIT else style.INK
            text = f"{row['symbol']}\n{style.percent(row['change'])}"
            ax.text(left + wide / 2, top + high / 2, text, ha="center", va="center", fontsize=size, color=ink)
    ax.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    share = float(turnover.sum() / known["turnover"].sum())
    part = "all" if shown.height == known.height else style.percent(share, 0)
    ax.set_title(f"Market map: {style.crore_text(float(turnover.sum()))}, {part} of the turnover")
    return figure


@style.plot("Indices", "index_name", "trade_date", "close", source=INDEX_BARS)
def index_map(indices: pl.DataFrame) -> Figure:
    """Draw the change of each index over the last 1, 5, 20, 60 and 250 sessions, sorted by the last session.

    Columns: index_name, trade_date (Date), close (points). A square is empty where the history is too short; with more
        than 30 indices, the indices with the smallest last change are left out.

    >>> from datetime import date
    >>> closes = {"index_name": ["Nifty 50"] * 2, "trade_date": [date(2024, 1, 1), date(2024, 1, 2)]}
    >>> figure = index_map(pl.DataFrame(closes | {"close": [100.0, 101.0]}))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1.0%']
    """
    changed = _changes(indices)
    if changed.is_empty():
        return style.no_data("Indices: no change known")
    largest = changed.sort(pl.col("1").abs(), "index_name", descending=[True, False]).head(_ROWS)
    shown = largest.sort("1", "index_name", descending=[True, False])
    changes = shown.select(map(str, _SPANS)).to_numpy().astype(float)
    figure, (ax,) = style.panels((7.5, 1.3 + 0.27 * shown.height), grid="none")
    limits = np.array([0.02, 0.04, 0.08, 0.14, 0.30])  # about proportional to the root of time
    colors, scale = _diverging(1.0)
    ax.pcolormesh(changes / limits, cmap=colors, norm=scale, edgecolors="white", linewidth=1.5)
    style.cell_texts(ax, changes, style.percent, dark=_DARK * limits, size=8)
    ax.set_xticks(np.arange(len(_SPANS)) + 0.5, list(_SPANS.values()))
    ax.set_yticks(np.arange(shown.height) + 0.5, shown["index_name"].to_list())
    ax.set(ylim=(shown.height, 0), xlabel="change over this many sessions; colours are scaled by column")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(f"Indices: {int((changed['1'] > 0).sum())} of {changed.height} rose")
    return figure


def squarify(areas: Sequence[float], box: _Box) -> list[_Box]:
    """Divide `box` into nearly square rectangles (left, top, width, height) of the given areas, largest first.

    M. Bruls, K. Huizing, J. van Wijk: Squarified Treemaps (2000): areas are added to a row along the shorter side while
    this improves the worst aspect ratio of the row.

    >>> squarify([6.0, 2.0], (0.0, 0.0, 4.0, 2.0))
    [(0.0, 0.0, 3.0, 2.0), (3.0, 0.0, 1.0, 2.0)]
    """
    placed: list[_Box] = []
    left, top, width, height = box
    rest = list(areas)
    while rest:
        side = min(width, height)
        count = 1
        while count < len(rest) and _worst(rest[: count + 1], side) <= _worst(rest[:count], side):
            count += 1
        row, rest = rest[:count], rest[count:]
        depth = sum(row) / side
        offset = 0.0
        for area in row:
            length = area / depth
            upright = (left, top + offset, depth, length)
            placed.append(upright if width >= height else (left + offset, top, length, depth))
            offset += length
        if width >= height:
            left, width = left + depth, width - depth
        else:
            top, height = top + depth, height - depth
    return placed


def _worst(row: Sequence[float], side: float) -> float:
    """Return the worst aspect ratio in a row along `side`."""
    total = sum(row)
    return max(side**2 * max(row) / total**2, total**2 / (side**2 * min(row)))


def _diverging(limit: float) -> tuple[Colormap, Normalize]:
    """Return colours from orange through white to blue, and a scale from -`limit` to `limit`."""
    return style.diverging("#BA7327", "#2F89CE"), Normalize(-limit, limit)


def _changes(indices: pl.DataFrame) -> pl.DataFrame:
    """Return index_name and the change over each span up to the frame's last session, null where unknown."""
    last = indices["trade_date"].max()
    ordered = indices.sort("trade_date").group_by("index_name", maintain_order=True)
    close = pl.col("close").cast(pl.Float64)
    over = {str(span): close.last() / close.get(-span - 1, null_on_oob=True) - 1 for span in _SPANS}
    changes = ordered.agg(last=pl.col("trade_date").last(), **over)
    return changes.filter(pl.col("last") == last, pl.col("1").is_not_null())
