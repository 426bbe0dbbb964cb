"""Figures of one instrument over time: adjusted for corporate actions, in several versions, with an indicator."""

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from champion.base.counting import quantity
from champion.plots import style

_COLORS = (style.BLUE, style.ORANGE, style.GREEN, style.PURPLE)
_NEAR = 6  # ratio of highest to lowest price up to which ticks are evenly spaced prices
_LABEL = 0.2  # width of a label, as a share of the axis
_LINES = 4
_MARKS = 8  # labelled marks; the labels of more would overlap


@style.plot(
    "Adjusted close", "instrument_id", "symbol", "trade_date", "close", "adjustment_factor", source="adjusted bars"
)
def adjustment(bars: pl.DataFrame) -> Figure:
    """Draw the close of one instrument as traded and adjusted, on a logarithmic scale, with marks at its changes.

    Columns: instrument_id, symbol, trade_date (Date), close (rupees, adjusted), adjustment_factor; optional isin. The
    first session after each change of factor, symbol or ISIN is marked.

    Raises:
        UsageError: the bars are of more than one instrument.

    >>> from datetime import date
    >>> frame = pl.DataFrame({
    ...     "instrument_id": ["NSE:A"] * 2,
    ...     "symbol": ["A", "B"],
    ...     "trade_date": [date(2024, 1, 1), date(2024, 1, 2)],
    ...     "close": [50.0, 51.0],
    ...     "adjustment_factor": [2.0, 1.0],
    ... })
    >>> [text.get_text() for text in adjustment(frame).axes[0].texts]
    ['÷ 2, A → B']
    """
    style.require_one(bars, "instrument_id", "instrument", "adjustment")
    bars = bars.sort("trade_date")
    figure, (ax,) = style.panels((9.5, 4.6))
    places = style.sessions_axis(ax, bars["trade_date"].to_list())
    traded = (bars["close"] * bars["adjustment_factor"]).to_numpy()
    style.line(ax, places, traded, color=style.ORANGE, label="as traded", linewidth=1.2)
    style.line(ax, places, bars["close"].to_numpy(), label="adjusted")
    _rupees(ax)
    marks = mark_changes(ax, bars)
    ax.set_title(f"{bars['symbol'][-1]}: {quantity(marks, 'change')} of factor, symbol or ISIN")
    style.legend_above(ax)
    return figure


@style.plot("Close, by version", "symbol", "trade_date", "close", "version", source="adjusted bars")
def price_versions(bars: pl.DataFrame) -> Figure:
    """Draw several versions of the close of one instrument, a line each, on a logarithmic scale.

    Columns: symbol, trade_date (Date), close (rupees), version (text, such as `known on 2024-06-28` or
    `total return`). The first version is drawn on top.

    >>> from datetime import date
    >>> frame = pl.DataFrame({
    ...     "symbol": ["A"] * 2,
    ...     "trade_date": [date(2024, 1, 1)] * 2,
    ...     "close": [50.0, 100.0],
    ...     "version": ["adjusted", "as traded"],
    ... })
    >>> [line.get_label() for line in price_versions(frame).axes[0].lines]
    ['as traded', 'adjusted']
    """
    sessions = bars["trade_date"].unique().sort().to_list()
    names = bars["version"].unique(maintain_order=True).to_list()
    figure, (ax,) = style.panels((9.5, 4.2))
    style.sessions_axis(ax, sessions)
    place = {session: number for number, session in enumerate(sessions)}
    for number, name in reversed(list(enumerate(names))):
        rows = bars.filter(version=name).sort("trade_date")
        places = np.array([place[session] for session in rows["trade_date"]])
        style.line(ax, places, rows["close"].to_numpy(), color=_COLORS[number % len(_COLORS)], label=name)
    _rupees(ax)
    ax.set_title(bars["symbol"][-1])
    style.legend_above(ax)
    return figure


@style.plot(
    "Indicator", "instrument_id", "symbol", "trade_date", "close", "value", source="adjusted bars", nulls="keep"
)
def indicator(bars: pl.DataFrame, name: str = "indicator") -> Figure:
    """Draw the close of one instrument and, below it, the `value` of an indicator, with gaps where it is null.

    Columns: instrument_id, symbol, trade_date (Date), close (rupees, adjusted), value.

    Raises:
        UsageError: the bars are of more than one instrument.

    >>> from datetime import date
    >>> bar = {"instrument_id": "NSE:A", "symbol": "A", "trade_date": date(2024, 1, 15), "close": 11.0, "value": 62.5}
    >>> [ax.get_ylabel() for ax in indicator(pl.DataFrame([bar]), "RSI 14").axes]
    ['', 'RSI 14']
    """
    style.require_one(bars, "instrument_id", "instrument", "indicator")
    bars = bars.sort("trade_date")
    figure, (upper, lower) = style.panels((9.5, 5), nrows=2, sharex=True, height_ratios=[3, 2])
    places = style.sessions_axis(upper, bars["trade_date"].to_list())
    style.line(upper, places, bars["close"].to_numpy())
    style.line(lower, places, bars["value"].cast(pl.Float64).to_numpy(), style.VERMILION, linewidth=1.2)
    _rupees(upper)
    lower.set_ylabel(name)
    upper.set_title(f"{bars['symbol'][-1]}: close and {name}")
    return figure


def mark_changes(ax: Axes, bars: pl.DataFrame) -> int:
    """Mark each change of factor, symbol or ISIN of bars sorted by session, and return the number of changes."""
    marks = _changes(bars)
    level, before = 0, -bars.height
    for place, text in marks:
        # Labels of neighbouring marks are on different lines, so that they do not overlap.
        level, before = (level + 1) % _LINES if place - before < bars.height * _LABEL else 0, place
        ax.axvline(place, color=style.GREY, linewidth=0.8, linestyle=(0, (3, 3)))
        if len(marks) <= _MARKS:
            right = place > bars.height * 0.75
            look: dict[str, Any] = {
                "ha": "right" if right else "left",
                "va": "top",
                "fontsize": 8.5,
                "color": style.INK,
            }
            beside, where = (-4 if right else 4, -4 - 13 * level), ("data", "axes fraction")
            ax.annotate(text, (place, 1.0), xycoords=where, xytext=beside, textcoords="offset points", **look)
    return len(marks)


def _rupees(ax: Axes) -> None:
    """Set a logarithmic axis in rupees with a few round prices."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    near = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10])
    ax.yaxis.set_major_locator(near if high / low < _NEAR else LogLocator(base=10, subs=(1, 2, 5), numticks=12))
    ax.yaxis.set_major_formatter(lambda rupees, _: f"₹ {rupees:,.10g}")
    ax.yaxis.set_minor_locator(NullLocator())


def _changes(bars: pl.DataFrame) -> list[tuple[int, str]]:
    """Return the positions of the sessions with a change, and a text for each."""
    was = {name: pl.col(name).shift(1) for name in ("symbol", "adjustment_factor")}
    ratio = (was["adjustment_factor"] / pl.col("adjustment_factor")).round(4)
    texts = [
        pl.when((ratio - 1).abs() > 1e-9).then(pl.format("÷ {}", ratio.cast(pl.String).str.strip_suffix(".0"))),  # noqa: PLR2004 - rounding of a product
        pl.when(was["symbol"] != pl.col("symbol")).then(pl.format("{} → {}", was["symbol"], "symbol")),
    ]
    if "isin" in bars.columns:
        isin = pl.col("isin").forward_fill()
        texts.append(pl.when(isin.shift(1) != isin).then(pl.lit("new ISIN")))
    labels = bars.select(pl.concat_str(texts, separator=", ", ignore_nulls=True)).to_series()
    return [(place, text) for place, text in enumerate(labels) if text]
