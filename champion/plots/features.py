"""Feature figures for any number of columns: coverage, correlation and drift."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from champion.indicators.numeric import unknown
from champion.modeling.drift import MOVED, WATCH
from champion.plots import style

_LISTED = 40  # maximum number of bars
_CELL, _SIDE = 0.36, 14.0  # inches of a heat map cell, and maximum inches of a row
_ANNOTATED = 26  # columns up to which a correlation's number fits its cell
_CLEAR = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # keeps lines from crossing labels
_STRONG = 0.6  # absolute correlation from which text is white
_ALIKE = 0.95  # absolute rank correlation from which two features are nearly equal
_TITLED = 7.5  # inches that the title needs


@style.plot("Feature coverage", source="features")
def feature_coverage(frame: pl.DataFrame) -> Figure:
    """Draw the share of rows in which each column is not null, the 40 least complete columns at most.

    >>> figure = feature_coverage(pl.DataFrame({"sma_5": [1.0, 2.0], "sma_200": [None, 2.0]}))
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['sma_5', 'sma_200']
    """
    shares = {name: 1 - frame[name].null_count() / frame.height for name in frame.columns}
    names = sorted(shares, key=lambda name: -shares[name])[-_LISTED:]
    figure, ax = _bars(names, [shares[name] for name in names], [style.BLUE] * len(names))
    style.bar_labels(ax, [style.percent(shares[name]) for name in names])
    ax.set(xlim=(0, 1.08), xticks=[0, 0.25, 0.5, 0.75, 1], xlabel="rows with a value")
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    full = sum(share == 1 for share in shares.values())
    listed = f"; the {_LISTED} least complete" if len(shares) > _LISTED else ""
    ax.set_title(f"Feature coverage: {full} of {len(shares)} complete{listed}")
    return figure


@style.plot("Feature correlation", source="features")
def feature_correlation(frame: pl.DataFrame) -> Figure:
    """Draw the Spearman rank correlation of each pair of columns, over the rows where both have a value.

    Only the lower triangle is drawn; a cell is grey where the correlation is undefined (no values, or a constant
    column). The title counts the pairs with an absolute correlation of 0.95 or more.

    Raises:
        UsageError: a column is not numeric.

    >>> figure = feature_correlation(pl.DataFrame({"sma_5": [1.0, 2.0, 3.0], "rsi_14": [60.0, 50.0, 70.0]}))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1.00', '0.50', '1.00']
    """
    style.require_numeric(frame, "feature_correlation")
    values = frame.select(unknown.known(pl.col(name).cast(pl.Float64)).alias(name) for name in frame.columns)
    correlation = values.to_pandas().corr(method="spearman").to_numpy()  # of each pair, where both have a value
    cell = min(_CELL, _SIDE / frame.width)
    side = max(4.0, 1.6 + cell * frame.width)
    figure, (ax,) = style.panels((max(side + 1.2, _TITLED), side), grid="none")
    upper = np.triu(np.ones(correlation.shape, dtype=bool), k=1)
    mesh = ax.pcolormesh(
        np.ma.array(correlation, mask=upper | np.isnan(correlation)),
        cmap=style.diverging("#3176B0", "#A66129"),  # blue to orange, white at 0
        vmin=-1,
        vmax=1,
        edgecolors="white",
        linewidth=0.5 if cell == _CELL else 0,
    )
    for row, column in zip(*np.tril(np.isnan(correlation)).nonzero(), strict=True):
        ax.fill([column, column + 1, column + 1, column], [row, row, row + 1, row + 1], color=style.PALE, linewidth=0)
    if frame.width <= _ANNOTATED:
        lower = np.where(upper, np.nan, correlation)
        style.cell_texts(ax, lower, lambda value: style.signed(round(value, 2) + 0.0, ".2f"), dark=_STRONG, size=6.5)
    ax.set(aspect="equal", xlim=(0, frame.width), ylim=(frame.width, 0), anchor="W")
    ax.spines[:].set_visible(False)
    places = np.arange(frame.width) + 0.5
    ax.set_xticks(places, frame.columns, rotation=90)
    ax.set_yticks(places, frame.columns)
    ax.tick_params(length=0, labelsize=min(9.0, 60 * cell), pad=2)
    bar = figure.colorbar(mesh, ax=ax, shrink=0.6, ticks=[-1, -0.5, 0, 0.5, 1], label="rank correlation")
    bar.outline.set_visible(False)
    bar.ax.tick_params(color="#B5B5B5", labelcolor=style.INK, labelsize=9)
    pairs = np.abs(correlation[~upper & ~np.eye(frame.width, dtype=bool)])
    alike = f": {int((pairs >= _ALIKE).sum()):,} of {pairs.size:,} pairs at or beyond \N{PLUS-MINUS SIGN}{_ALIKE:g}"
    ax.set_title("Feature correlation" + (alike if pairs.size else ""))
    return figure


@style.plot("Feature drift", "column", "psi", source="features")
def feature_drift(drift: pl.DataFrame) -> Figure:
    """Draw the population stability index of each column, the largest 40 at most.

    Columns: column and psi of `champion.modeling.drift.between`; the optional chance is a mark on each bar. Blue is
    below 0.1 (little change), orange from 0.1, vermilion from 0.25 (a different distribution). The axis ends at 1 at
    most.

    >>> figure = feature_drift(pl.DataFrame({"column": ["sma_5", "rsi_14"], "psi": [0.02, 0.31]}))
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['rsi_14', 'sma_5']
    """
    drift = drift.sort("psi", "column", descending=[True, False])
    shown = drift.head(_LISTED)
    values = shown["psi"].to_list()
    colors = [style.VERMILION if psi >= MOVED else style.ORANGE if psi >= WATCH else style.BLUE for psi in values]
    end = min(1.0, max(0.3, 1.1 * values[0]))  # small values stay small, and a very large one does not hide the others
    figure, ax = _bars(shown["column"].to_list(), [min(psi, end) for psi in values], colors)
    chance = shown["chance"].fill_null(0).clip(0, end).to_list() if "chance" in shown.columns else [0.0] * shown.height
    if any(chance):
        ax.plot(chance, range(shown.height), "|", color=style.INK, markersize=7, label="expected by chance")
        style.legend_above(ax)
    for place, (psi, known) in enumerate(zip(values, chance, strict=True)):
        text = f"{psi:.3f}" if psi < end else f"{psi:.3f} \N{RIGHTWARDS ARROW}"
        x = max(min(psi, end), known)
        ax.annotate(text, (x, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8, bbox=_CLEAR)
    for limit in (WATCH, MOVED):
        ax.axvline(limit, color=style.GREY, linewidth=0.8, linestyle=(0, (3, 3)))
    ax.set_xlim(0, end * 1.1)
    ax.set_xlabel(f"population stability index: below {WATCH:g} little change, from {MOVED:g} a different distribution")
    count = (drift["psi"] >= MOVED).sum()
    listed = f"; the {_LISTED} largest" if drift.height > _LISTED else ""
    ax.set_title(f"Feature drift: {count} of {drift.height} at {MOVED:g} or more{listed}")
    return figure


def _bars(names: list[str], lengths: list[float], colors: list[str]) -> tuple[Figure, Axes]:
    """Return a panel of named horizontal bars, the first at the top."""
    figure, (ax,) = style.panels((9.5, 1.3 + 0.24 * len(names)), grid="x")
    ax.barh(names, lengths, color=colors, height=0.75, linewidth=0)
    ax.set_ylim(len(names) - 0.4, -0.6)
    return figure, ax
