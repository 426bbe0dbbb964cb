"""Figures of features: how complete they are, how they are distributed, which say the same, which moved."""

from __future__ import annotations

import numpy as np
import polars as pl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

from champion.errors import UsageError
from champion.plots import style

_SOURCE = "features_equity_indicators"
_ACROSS = 4  # panels in a row
_TAIL = 0.01  # share of values beyond each end of a histogram
_ANNOTATED = 26  # columns up to which a correlation's number fits its cell


@style.plot("Feature coverage", source=_SOURCE)
def feature_coverage(frame: pl.DataFrame) -> Figure:
    """Return the share of rows in which each column is not null, the least complete last.

    >>> figure = feature_coverage(pl.DataFrame({"sma_5": [1.0, 2.0], "sma_200": [None, 2.0]}))
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['sma_5', 'sma_200']
    """
    shares = {name: 1 - frame[name].null_count() / frame.height for name in frame.columns}
    names = sorted(shares, key=lambda name: -shares[name])
    figure, (ax,) = style.panels((9.5, 1.3 + 0.24 * len(names)), grid="x")
    sns.barplot(x=[shares[name] for name in names], y=names, ax=ax, color=style.BLUE, saturation=1, width=0.75)
    style.bar_labels(ax, [style.percent(shares[name]) for name in names])
    ax.set_xlim(0, 1.08)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1])
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(xlabel="rows with a value", ylabel="")
    full = sum(share == 1 for share in shares.values())
    ax.set_title(f"Feature coverage: {full} of {len(names)} complete")
    return figure


@style.plot("Feature distributions", source=_SOURCE)
def feature_distributions(frame: pl.DataFrame) -> Figure:
    """Return a histogram per column between its 1st and 99th percentile, without nulls, NaN and infinities.

    A column without values, or with one value only, gets a panel that says so.

    Raises:
        UsageError: a column is not numeric.
    """
    _require_numeric(frame, "feature_distributions")
    rows = -(-frame.width // _ACROSS)
    across = min(_ACROSS, frame.width)
    figure, axes = style.panels((9.5, 0.8 + 1.6 * rows), nrows=rows, ncols=across)
    figure.suptitle("Feature distributions, 1st to 99th percentile", x=0.01, ha="left", fontsize=12, weight="bold")
    for ax, values in zip(axes, frame.iter_columns(), strict=False):
        _histogram(ax, values.cast(pl.Float64).drop_nulls())
        ax.set_title(values.name, fontsize=9, pad=4)
    for ax in axes[frame.width :]:
        ax.set_axis_off()
    return figure


@style.plot("Feature correlation", source=_SOURCE)
def feature_correlation(frame: pl.DataFrame) -> Figure:
    """Return the Spearman rank correlation of each pair of columns, over the rows where both have a value.

    The lower triangle only; a cell is grey where there is no correlation to speak of (no values, or all alike).

    Raises:
        UsageError: a column is not numeric.

    >>> figure = feature_correlation(pl.DataFrame({"sma_5": [1.0, 2.0, 3.0], "rsi_14": [60.0, 50.0, 70.0]}))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1.00', '0.50', '1.00']
    """
    _require_numeric(frame, "feature_correlation")
    floats = frame.select(pl.all().cast(pl.Float64))
    correlation = floats.to_pandas().corr(method="spearman")
    side = max(4.0, 1.6 + 0.36 * frame.width)
    figure, (ax,) = style.panels((side + 1.2, side), grid="none")
    sns.heatmap(
        correlation,
        mask=np.triu(np.ones(correlation.shape, dtype=bool), k=1),
        ax=ax,
        cmap=sns.diverging_palette(245, 35, s=85, l=48, as_cmap=True),  # blue to orange, white at 0
        vmin=-1,
        vmax=1,  # so the middle colour is 0; seaborn's own `center` warns with matplotlib 3.11
        linewidths=0.5,
        square=True,
        annot=frame.width <= _ANNOTATED,
        fmt=".2f",
        annot_kws={"fontsize": 6.5},
        cbar_kws={"label": "rank correlation", "shrink": 0.6, "ticks": [-1, -0.5, 0, 0.5, 1]},
        xticklabels=frame.columns,
        yticklabels=frame.columns,
    )
    _grey_where_unknown(ax, correlation.isna().to_numpy())
    for text in ax.texts:
        text.set_text(text.get_text().replace("-", "\N{MINUS SIGN}"))
    ax.tick_params(length=0)
    ax.tick_params(axis="x", labelrotation=90)
    ax.tick_params(axis="y", labelrotation=0)
    ax.set_title("Feature correlation: which say the same")
    return figure


@style.plot("Feature drift", "feature", "distance", source=_SOURCE)
def feature_drift(moved: pl.DataFrame) -> Figure:
    """Return how far each feature's values moved between two stretches of sessions, the furthest first.

    Columns: feature, distance (Kolmogorov's, 0 to 1), as `champion.drift.drift` gives them.

    >>> figure = feature_drift(pl.DataFrame({"feature": ["sma_5", "rsi_14"], "distance": [0.02, 0.31]}))
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['rsi_14', 'sma_5']
    """
    moved = moved.sort("distance", "feature", descending=[True, False])
    figure, (ax,) = style.panels((9.5, 1.3 + 0.24 * moved.height), grid="x")
    distances = moved["distance"].to_list()
    sns.barplot(x=distances, y=moved["feature"].to_list(), ax=ax, color=style.BLUE, saturation=1, width=0.75)
    style.bar_labels(ax, [f"{distance:.3f}" for distance in distances])
    ax.set_xlim(0, max(0.25, 1.1 * distances[0]))  # so that a quiet month looks quiet
    ax.set(xlabel="Kolmogorov distance, 0 to 1", ylabel="")
    ax.set_title(f"Feature drift: most in {moved['feature'][0]}, {distances[0]:.3f}")
    return figure


def _histogram(ax: Axes, values: pl.Series) -> None:
    values = values.filter(values.is_finite())
    low, high = values.quantile(_TAIL), values.quantile(1 - _TAIL)
    if low is None or high is None:
        style.note(ax, "no values")
    elif values.n_unique() == 1:
        style.note(ax, f"always {low:g}")
    else:
        shown = values.filter(values.is_between(low, high)) if low < high else values
        sns.histplot(x=shown.to_numpy(), bins=30, ax=ax, color=style.BLUE, alpha=1, linewidth=0)
        ax.set(xlabel="", ylabel="", yticks=[])
        ax.spines["left"].set_visible(False)
        ax.xaxis.set_major_locator(MaxNLocator(3))
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.tick_params(labelsize=8)


def _grey_where_unknown(ax: Axes, unknown: style.Values) -> None:
    for row, column in zip(*unknown.nonzero(), strict=True):
        if column <= row:
            ax.fill(
                [column, column + 1, column + 1, column], [row, row, row + 1, row + 1], color=style.PALE, linewidth=0
            )


def _require_numeric(frame: pl.DataFrame, name: str) -> None:
    others = [f"{column} ({dtype})" for column, dtype in frame.schema.items() if not dtype.is_numeric()]
    if others:
        raise UsageError(f"plots.{name} draws numbers, not {', '.join(others)}: select the numeric columns first")
