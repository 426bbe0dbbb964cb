"""Figures of one instrument's bars: candles with volume and lines, and the delivered share."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from champion.contracts.datasets import DELIVERY
from champion.errors import UsageError
from champion.plots import history, style

_LINES = (style.PURPLE, style.GREEN, style.ORANGE, style.SKY)
_BODY = 0.62  # width of a candle, as a share of its slot
_THIN = 160  # sessions from which wicks are thinner


@style.plot("Candles", "instrument_id", "symbol", "trade_date", "open", "high", "low", "close", "volume", source="bars")
def candles(bars: pl.DataFrame, *lines: str) -> Figure:
    """Draw the candles of one instrument, with the columns `lines` over them and volume below.

    Columns: instrument_id, symbol, trade_date (Date), open, high, low and close (rupees), volume (shares). Blue: the
    close is at or above the open; vermilion: below. With the optional adjustment_factor, the first session after each
    change of factor, symbol or ISIN is marked; with delivered_volume, the delivered part of the volume is darker.

    Raises:
        UsageError: the bars are of more than one instrument, or a column of `lines` is missing.

    >>> from datetime import date
    >>> bar = {"instrument_id": "NSE:A", "symbol": "A", "trade_date": date(2024, 1, 1), "volume": 1_000}
    >>> frame = pl.DataFrame([bar | {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0}])
    >>> [ax.get_title(loc="left") for ax in candles(frame).axes]
    ['A: ₹ 11.00 on 2024-01-01', '']
    """
    style.require_one(bars, "instrument_id", "instrument", "candles")
    style.require(bars, lines, "candles")
    if len(lines) > len(_LINES):
        raise UsageError(f"plots.candles draws at most {len(_LINES)} lines over the candles; asked for {len(lines)}")
    bars = bars.sort("trade_date")
    figure, (upper, lower) = style.panels((9.5, 5.6), nrows=2, sharex=True, height_ratios=[3, 1])
    places = style.sessions_axis(upper, bars["trade_date"].to_list())
    _draw_candles(upper, places, bars)
    for name, color in zip(lines, _LINES, strict=False):
        style.line(upper, places, bars[name].cast(pl.Float64).to_numpy(), color, label=name, linewidth=1.3)
    if lines:
        style.legend_above(upper)
    if "adjustment_factor" in bars.columns:
        history.mark_changes(upper, bars)
    _draw_volume(lower, places, bars)
    upper.yaxis.set_major_locator(MaxNLocator(6))
    upper.yaxis.set_major_formatter(lambda rupees, _: f"₹ {rupees:,.10g}")
    upper.set_title(f"{bars['symbol'][-1]}: ₹ {bars['close'][-1]:,.2f} on {bars['trade_date'][-1]}")
    return figure


@style.plot("Delivered share", "symbol", "trade_date", "delivered_share", source=DELIVERY)
def delivered(bars: pl.DataFrame) -> Figure:
    """Draw the share of the volume that was delivered, not squared off within the session, in per cent.

    Columns: symbol, trade_date (Date), delivered_share (0 to 1); rows without a share are left out. From 40
    sessions on, a line shows the mean over 20.

    >>> from datetime import date
    >>> frame = pl.DataFrame({"symbol": ["A"], "trade_date": [date(2024, 1, 1)], "delivered_share": [0.4]})
    >>> delivered(frame).axes[0].get_title(loc="left")
    'A: 40.0% of the volume delivered'
    """
    bars = bars.sort("trade_date")
    share = bars["delivered_share"].cast(pl.Float64)
    figure, (ax,) = style.panels((9.5, 3.2))
    places = style.sessions_axis(ax, bars["trade_date"].to_list())
    style.session_bars(ax, places, share.to_numpy(), style.SKY, alpha=0.7)
    if bars.height >= 2 * style.ROLLING:
        usual = share.rolling_mean(style.ROLLING).to_numpy()
        style.line(ax, places, usual, label=f"mean of {style.ROLLING} sessions")
        style.legend_above(ax)
    ax.set_ylim(0, 1)
    ax.yaxis.set_major_formatter(lambda value, _: style.percent(value, 0))
    ax.set_title(f"{bars['symbol'][-1]}: {style.percent(share.to_numpy().mean())} of the volume delivered")
    return figure


def _draw_candles(ax: Axes, places: style.Values, bars: pl.DataFrame) -> None:
    opens, high, low, closes = (bars[name].to_numpy() for name in ("open", "high", "low", "close"))
    rose = closes >= opens
    least = (high.max() - low.min()) / 400  # keeps a doji visible
    for side, color in ((rose, style.BLUE), (~rose, style.VERMILION)):
        wick = 0.8 if len(places) < _THIN else 0.5
        ax.vlines(places[side], low[side], high[side], colors=color, linewidth=wick)
        height = np.maximum(np.abs(closes - opens)[side], least)
        ax.bar(places[side], height, _BODY, np.minimum(opens, closes)[side], color=color, linewidth=0)


def _draw_volume(ax: Axes, places: style.Values, bars: pl.DataFrame) -> None:
    style.session_bars(ax, places, bars["volume"].to_numpy(), style.SKY, "volume", alpha=0.55)
    if "delivered_volume" in bars.columns:
        delivered_volume = bars["delivered_volume"].fill_null(0).to_numpy()  # no bar for a session without a report
        style.session_bars(ax, places, delivered_volume, style.BLUE, "delivered")
        style.legend_above(ax)
    ax.set_ylabel("shares")
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.yaxis.set_major_formatter(lambda shares, _: style.lakh_text(shares))
