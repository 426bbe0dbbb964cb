"""Figure of one instrument through its corporate actions: as traded, and adjusted."""

from __future__ import annotations

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from champion.errors import UsageError
from champion.plots import style

_MARKS = 8  # more than this and their labels would cover each other


@style.plot(
    "Adjusted close", "instrument_id", "symbol", "trade_date", "close", "adjustment_factor", source="adjusted bars"
)
def adjustment(bars: pl.DataFrame) -> Figure:
    """Return the close of one instrument as traded and adjusted, on a logarithmic scale, with what changed when.

    Columns: instrument_id, symbol, trade_date (Date), close (rupees, adjusted), adjustment_factor; isin, if it is
    there. A mark stands on the first session after each change of factor, symbol or ISIN.

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
    if bars["instrument_id"].n_unique() > 1:
        raise UsageError(f"plots.adjustment shows one instrument; the frame has {bars['instrument_id'].n_unique()}")
    bars = bars.sort("trade_date")
    figure, (ax,) = style.panels((9.5, 4.6))
    places = style.sessions_axis(ax, bars["trade_date"].to_list())
    traded = (bars["close"] * bars["adjustment_factor"]).to_numpy()
    style.line(ax, places, traded, color=style.ORANGE, label="as traded", linewidth=1.2)
    style.line(ax, places, bars["close"].to_numpy(), label="adjusted")
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5), numticks=12))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda rupees, _: f"₹ {rupees:,.10g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    marks = _changes(bars)
    for place, text in marks:
        _mark(ax, place, text if len(marks) <= _MARKS else "", len(places))
    ax.set_title(f"{bars['symbol'][-1]}: {len(marks)} change{'' if len(marks) == 1 else 's'} on the way")
    style.legend_above(ax)
    return figure


def _changes(bars: pl.DataFrame) -> list[tuple[int, str]]:
    """Return the places of sessions on which something changed, with what it was."""
    was = {name: pl.col(name).shift(1) for name in ("symbol", "adjustment_factor")}
    ratio = (was["adjustment_factor"] / pl.col("adjustment_factor")).round(4)
    texts = [
        pl.when((ratio - 1).abs() > 1e-9).then(pl.format("÷ {}", ratio.cast(pl.String).str.strip_suffix(".0"))),  # noqa: PLR2004 - the last bits of a product
        pl.when(was["symbol"] != pl.col("symbol")).then(pl.format("{} → {}", was["symbol"], "symbol")),
    ]
    if "isin" in bars.columns:
        isin = pl.col("isin").forward_fill()
        texts.append(pl.when(isin.shift(1) != isin).then(pl.lit("new ISIN")))
    said = bars.select(pl.concat_str(texts, separator=", ", ignore_nulls=True)).to_series()
    return [(place, text) for place, text in enumerate(said) if text]


def _mark(ax: Axes, place: int, text: str, sessions: int) -> None:
    ax.axvline(place, color=style.GREY, linewidth=0.8, linestyle=(0, (3, 3)))
    if text:
        right = place > sessions * 0.75
        ax.annotate(
            text,
            (place, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if right else 4, -4),
            textcoords="offset points",
            ha="right" if right else "left",
            va="top",
            fontsize=8.5,
            color=style.INK,
        )
