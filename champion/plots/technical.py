"""Figures of the feature set technical on one instrument's candles: levels and channel, trends, patterns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from champion.base.counting import quantity
from champion.plots import style
from champion.plots.instrument import draw_candles

_BAR = ("instrument_id", "symbol", "trade_date", "open", "high", "low", "close")
_SWINGS = {"high": ("v", style.VERMILION, 6), "low": ("^", style.BLUE, -6)}  # marker, colour, points from the price
_SIDE = 5  # bars from a swing to the bar that confirms it
_LEVELS = {"resistance": style.VERMILION, "support": style.BLUE}
_MOST = 24  # labelled bars on each side; more would overlap
_NAMES = 2  # names at a bar
_ROOM = 0.1  # share of the panel's height for the legend
_LABEL = 10  # points from the end of a candle to the name of its pattern
_SOURCE = "features_equity_technical"


@style.plot(
    "Levels and channel", *_BAR, "swing_high", "swing_low", "resistance", "support", source=_SOURCE, nulls="keep"
)
def chart_levels(bars: pl.DataFrame, window: int = 60) -> Figure:
    """Draw candles with swings, the last support and resistance, and the regression channel of the last bars.

    Columns: those of a bar, and of the set technical swing_high, swing_low, resistance and support with their _touches
    and _age, and channel_middle, channel_slope and channel_width of `window` (20 or 60). A swing is drawn at its own
    bar, 5 bars before it was known; each level from its swing to the last bar. The channel is the one known on the last
    bar.

    Raises:
        UsageError: the bars are of more than one instrument, or a column is missing.

    >>> from datetime import date
    >>> names = ["swing_high", "swing_low", *(f"{s}{w}" for s in ("support", "resistance") for w in _OF_LEVEL)]
    >>> bar = {"instrument_id": "NSE:A", "symbol": "A", "trade_date": date(2024, 1, 1), "open": 10.0, "high": 12.0}
    >>> bar |= {"low": 9.0, "close": 11.0} | dict.fromkeys([*names, *_channel_columns(60)])
    >>> chart_levels(pl.DataFrame([bar])).axes[0].get_title(loc="left")
    'A on 2024-01-01: no support, no resistance'
    """
    style.require_one(bars, "instrument_id", "instrument", "chart_levels")
    details = [f"{side}{what}" for side in _LEVELS for what in _OF_LEVEL]
    style.require(bars, [*details, *_channel_columns(window)], "chart_levels")
    bars, ax, places, figure = _canvas(bars)
    for side, (marker, color, offset) in _SWINGS.items():
        _draw_swings(ax, places, bars[f"swing_{side}"], marker, color, offset)
    last = bars.row(-1, named=True)
    described = [_draw_level(ax, places, last, side, color) for side, color in _LEVELS.items()]
    _draw_channel(ax, places, last, window)
    _legend(ax)
    ax.set_title(f"{last['symbol']} on {last['trade_date']}: {described[1]}, {described[0]}", fontsize=10.5)
    return figure


@style.plot(
    "Supertrend and Ichimoku", *_BAR, "supertrend", "supertrend_direction", "ichimoku_tenkan", "ichimoku_kijun",
    "ichimoku_span_a", "ichimoku_span_b", source=_SOURCE, nulls="keep",
)  # fmt: skip
def chart_trends(bars: pl.DataFrame) -> Figure:
    """Draw candles with Supertrend, and below with Ichimoku's lines and cloud.

    Columns: those of a bar, and of the set technical supertrend, supertrend_direction and ichimoku_tenkan, _kijun,
    _span_a and _span_b. Blue: an upward trend, or span A above span B; vermilion: downward. The cloud of a bar was
    known 26 bars before it.

    Raises:
        UsageError: the bars are of more than one instrument.

    >>> from datetime import date
    >>> lines = [f"ichimoku_{name}" for name in ("tenkan", "kijun", "span_a", "span_b")]
    >>> bar = {"instrument_id": "NSE:A", "symbol": "A", "trade_date": date(2024, 1, 1), "open": 10.0, "high": 12.0}
    >>> bar |= {"low": 9.0, "close": 11.0, "supertrend": 9.5, "supertrend_direction": 1} | dict.fromkeys(lines)
    >>> chart_trends(pl.DataFrame([bar])).axes[0].get_title(loc="left")
    'A on 2024-01-01: upward since 2024-01-01, stop at ₹ 9.50'
    """
    style.require_one(bars, "instrument_id", "instrument", "chart_trends")
    bars, upper, places, figure = _canvas(bars, rows=2)
    lower = figure.axes[1]
    draw_candles(lower, places, bars)
    _rupee_axis(lower)
    for sign, color, label in ((1, style.BLUE, "Supertrend, upward"), (-1, style.VERMILION, "Supertrend, downward")):
        stop = bars.select(pl.when(supertrend_direction=sign).then("supertrend").cast(pl.Float64)).to_series()
        style.line(upper, places, stop.to_numpy(), color, label=label, linewidth=1.6)
    for name, color in (("tenkan", style.ORANGE), ("kijun", style.PURPLE)):
        style.line(lower, places, _numbers(bars, f"ichimoku_{name}"), color, label=name, linewidth=1.2)
    _draw_cloud(lower, places, bars)
    for ax in (upper, lower):
        _legend(ax)
    upper.set_title(_trend_title(bars), fontsize=10.5)
    lower.set_title("Ichimoku", fontsize=10.5)
    return figure


@style.plot("Candlestick patterns", *_BAR, source=_SOURCE)
def chart_patterns(bars: pl.DataFrame, *patterns: str) -> Figure:
    """Draw candles with the named patterns above (bearish) or below (bullish) the bar that completes them.

    Columns: those of a bar, and the columns `patterns` of the set technical, such as cdl_hammer; by default all that
    the frame has. The latest 24 bars with marks on each side have names.

    Raises:
        UsageError: the bars are of more than one instrument, or a pattern has no column.

    >>> from datetime import date
    >>> bar = {"instrument_id": "NSE:A", "symbol": "A", "trade_date": date(2024, 1, 1), "open": 10.0, "high": 12.0}
    >>> frame = pl.DataFrame([bar | {"low": 9.0, "close": 11.0, "cdl_hammer": 100}])
    >>> chart_patterns(frame, "cdl_hammer").axes[0].get_title(loc="left")
    'A: 1 pattern, 1 bullish, 0 bearish'
    """
    style.require_one(bars, "instrument_id", "instrument", "chart_patterns")
    named = patterns or tuple(name for name in bars.columns if name.startswith("cdl_"))
    style.require(bars, named, "chart_patterns")
    bars, ax, places, figure = _canvas(bars)
    marks = pattern_marks(bars, named)
    for sign, marker, color in ((1, "^", style.BLUE), (-1, "v", style.VERMILION)):
        _draw_marks(ax, places, bars, marks.filter(pl.col("mark") * sign > 0), (marker, color, sign))
    rises = marks.filter(pl.col("mark") > 0).height
    counts = f"{quantity(marks.height, 'pattern')}, {rises} bullish, {marks.height - rises} bearish"
    ax.set_title(f"{bars['symbol'][-1]}: {counts}", fontsize=10.5)
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.12 * (high - low), high + 0.12 * (high - low))  # room for labels
    return figure


def pattern_marks(bars: pl.DataFrame, patterns: Sequence[str]) -> pl.DataFrame:
    """Return trade_date, pattern and mark of each mark that is not 0, in the order of sessions.

    >>> from datetime import date
    >>> frame = pl.DataFrame({"trade_date": [date(2024, 1, 1)], "cdl_doji": [100], "cdl_hammer": [0]})
    >>> pattern_marks(frame, ["cdl_doji", "cdl_hammer"]).rows()
    [(datetime.date(2024, 1, 1), 'doji', 100)]
    """
    long = bars.select("trade_date", *patterns).unpivot(index="trade_date", variable_name="pattern", value_name="mark")
    found = long.filter(pl.col("mark") != 0).with_columns(pl.col("pattern").str.strip_prefix("cdl_"))
    return found.sort("trade_date", "pattern")


_OF_LEVEL = ("", "_touches", "_age")


def _channel_columns(window: int) -> list[str]:
    return [f"channel_{name}_{window}" for name in ("middle", "slope", "width")]


def _canvas(bars: pl.DataFrame, rows: int = 1) -> tuple[pl.DataFrame, Axes, style.Values, Figure]:
    """Return the bars in session order, the first panel with their candles, their places, and the figure."""
    bars = bars.sort("trade_date")
    figure, axes = style.panels((9.5, 4.8 if rows == 1 else 7.6), nrows=rows, sharex=True)
    places = style.sessions_axis(axes[-1], bars["trade_date"].to_list())
    draw_candles(axes[0], places, bars)
    _rupee_axis(axes[0])
    return bars, axes[0], places, figure


def _rupee_axis(ax: Axes) -> None:
    ax.yaxis.set_major_locator(MaxNLocator(6))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda rupees, _: f"₹ {rupees:,.10g}"))


def _legend(ax: Axes) -> None:
    """Place the legend in a row at the top of the panel, above the candles."""
    if not ax.get_legend_handles_labels()[0]:
        return
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + _ROOM * (high - low))
    ax.legend(loc="upper left", ncols=6, fontsize=8, borderaxespad=0.2, columnspacing=1.2, handlelength=1.5)


def _numbers(bars: pl.DataFrame, name: str) -> style.Values:
    return bars[name].cast(pl.Float64).to_numpy()


def _draw_swings(ax: Axes, places: style.Values, swings: pl.Series, marker: str, color: str, offset: int) -> None:
    """Mark each swing at its own bar; one before the first bar shown is left out."""
    prices = swings.cast(pl.Float64).to_numpy()
    own = np.flatnonzero(np.isfinite(prices))
    own = own[own >= _SIDE]
    name = "swing high" if offset > 0 else "swing low"
    for count, place in enumerate(own):
        label = name if count == 0 else "_"
        at = (places[place - _SIDE], prices[place])
        ax.plot(*at, marker=marker, color=color, markersize=6, linewidth=0, label=label, zorder=3)


def _draw_level(ax: Axes, places: style.Values, last: dict[str, Any], side: str, color: str) -> str:
    """Draw a level from its swing to the last bar, and return its description."""
    price, touches, age = (last[f"{side}{what}"] for what in _OF_LEVEL)
    if price is None:
        return f"no {side}"
    start = max(places[0], places[-1] - age)
    ax.hlines(price, start, places[-1], colors=color, linewidth=1.4, linestyles="dashed", label=side)
    return f"{side} ₹ {price:,.2f} ({touches} touches)"


def _draw_channel(ax: Axes, places: style.Values, last: dict[str, Any], window: int) -> None:
    middle, slope, width = (last[name] for name in _channel_columns(window))
    if middle is None or slope is None or width is None:
        return
    count = min(window, len(places))
    line = middle + np.arange(1 - count, 1) * (slope * last["close"])
    half = width * last["close"] / 2
    style.line(ax, places[-count:], line, style.GREEN, label=f"channel of {quantity(window, 'bar')}", linewidth=1.2)
    ax.fill_between(places[-count:], line - half, line + half, color=style.GREEN, alpha=0.08, linewidth=0)


def _draw_cloud(ax: Axes, places: style.Values, bars: pl.DataFrame) -> None:
    above, below = _numbers(bars, "ichimoku_span_a"), _numbers(bars, "ichimoku_span_b")
    for where, color, label in (
        (above >= below, style.BLUE, "cloud, A above B"),
        (above < below, style.VERMILION, "cloud, A below B"),
    ):
        look: dict[str, Any] = {"color": color, "alpha": 0.15, "linewidth": 0, "interpolate": True, "label": label}
        ax.fill_between(places, above, below, where=where, **look)
    style.line(ax, places, above, style.BLUE, linewidth=0.7)
    style.line(ax, places, below, style.VERMILION, linewidth=0.7)


def _trend_title(bars: pl.DataFrame) -> str:
    last = bars.row(-1, named=True)
    if last["supertrend_direction"] is None:
        return f"{last['symbol']} on {last['trade_date']}: no Supertrend yet"
    turned = bars.filter(pl.col("supertrend_direction").rle_id() == pl.col("supertrend_direction").rle_id().last())
    way = "upward" if last["supertrend_direction"] > 0 else "downward"
    since = turned["trade_date"][0]
    return f"{last['symbol']} on {last['trade_date']}: {way} since {since}, stop at ₹ {last['supertrend']:,.2f}"


def _draw_marks(
    ax: Axes, places: style.Values, bars: pl.DataFrame, marks: pl.DataFrame, look: tuple[str, str, int]
) -> None:
    """Mark the bars of the patterns, and write the names of the latest ones, one above the other."""
    marker, color, sign = look
    place_of = dict(zip(bars["trade_date"], places, strict=True))
    ends = dict(zip(bars["trade_date"], bars["low" if sign > 0 else "high"], strict=True))
    by_session = marks.group_by("trade_date", maintain_order=True).agg("pattern").tail(_MOST)
    for session, names in by_session.iter_rows():
        at = (place_of[session], ends[session])
        ax.plot(at[0], at[1] * (1 - sign * 0.006), marker=marker, color=color, markersize=4.5, linewidth=0, zorder=3)
        text = "\n".join([*names[:_NAMES], *(["…"] if len(names) > _NAMES else [])])
        ax.annotate(text, at, (0, -sign * _LABEL), textcoords="offset points", ha="center", fontsize=6.5,
                    va="top" if sign > 0 else "bottom", color=color, rotation=90)  # fmt: skip
