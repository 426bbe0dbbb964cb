"""Market figures: ingested rows, turnover, breadth and movers."""

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from champion.base.counting import quantity
from champion.contracts.datasets import BARS
from champion.plots import style


@style.plot("Rows by session", "session", "normalized", "rejected", source="ingest")
def sessions_and_rows(sessions: pl.DataFrame) -> Figure:
    """Draw the rows of each session: normalized bars above, rejected lines below on a separate scale.

    Columns: session (Date), normalized and rejected (rows).

    >>> from datetime import date
    >>> frame = pl.DataFrame({"session": [date(2024, 1, 15)], "normalized": [2104], "rejected": [3]})
    >>> [ax.get_title(loc="left") for ax in sessions_and_rows(frame).axes]
    ['Rows by session: 2,104 bars', '3 lines rejected (0.14%)']
    """
    sessions = sessions.sort("session")
    bars, rejected = int(sessions["normalized"].sum()), int(sessions["rejected"].sum())
    figure, (upper, lower) = style.panels((9.5, 4.8), nrows=2, sharex=True, height_ratios=[3, 1.3])
    places = style.sessions_axis(upper, sessions["session"].to_list())
    style.session_bars(upper, places, sessions["normalized"].to_numpy(), style.BLUE)
    style.session_bars(lower, places, sessions["rejected"].to_numpy(), style.VERMILION)
    share = rejected / (bars + rejected) if rejected else 0.0
    upper.set(title=f"Rows by session: {quantity(bars, 'bar')}", ylabel="bars")
    lines = f"{quantity(rejected, 'line rejected', 'lines rejected')} ({style.percent(share, 2)})"
    lower.set_title(lines, fontsize=10, color=style.VERMILION)
    lower.set(ylabel="rejected", ylim=(0, max(1.0, sessions["rejected"].to_numpy().max() * 1.1)))
    for ax, ticks in ((upper, 6), (lower, 3)):
        ax.yaxis.set_major_locator(MaxNLocator(ticks, integer=True))
        ax.yaxis.set_major_formatter(lambda rows, _: f"{rows:,.0f}")
    return figure


@style.plot("Turnover by session", "trade_date", "turnover", source=BARS)
def turnover_by_session(bars: pl.DataFrame) -> Figure:
    """Draw the turnover of each session in crore of rupees, from 40 sessions on with its median over 20.

    Columns: trade_date (Date), turnover (rupees).

    >>> from datetime import date
    >>> frame = pl.DataFrame({"trade_date": [date(2024, 1, 15)] * 2, "turnover": [3e7, 2e7]})
    >>> turnover_by_session(frame).axes[0].get_title(loc="left")
    'Turnover by session: median ₹ 5 crore'
    """
    sums = bars.group_by("trade_date").agg(pl.col("turnover").cast(pl.Float64).sum()).sort("trade_date")
    usual = sums["turnover"].rolling_median(style.ROLLING).to_numpy()
    figure, (ax,) = style.panels()
    places = style.sessions_axis(ax, sums["trade_date"].to_list())
    style.session_bars(ax, places, sums["turnover"].to_numpy(), style.SKY)
    if sums.height >= 2 * style.ROLLING:  # with fewer sessions the line is too short
        style.line(ax, places, usual, label=f"median of {style.ROLLING} sessions")
        style.legend_above(ax)
    ax.set_title(f"Turnover by session: median {style.crore_text(float(np.median(sums['turnover'].to_numpy())))}")
    ax.set_ylim(bottom=0)
    style.crore(ax)
    return figure


@style.plot("Breadth", "trade_date", "close", "prev_close", source=BARS)
def breadth(bars: pl.DataFrame) -> Figure:
    """Draw the number of instruments that closed above (upwards) and below (downwards) their previous close.

    Columns: trade_date (Date), close and prev_close (rupees). Unchanged instruments count on neither side.
    `champion.share_moves` returns such rows for company shares, adjusted.

    >>> from datetime import date
    >>> prices = {"close": [11.0, 12.0, 9.0], "prev_close": [10.0, 10.0, 10.0]}
    >>> breadth(pl.DataFrame({"trade_date": [date(2024, 1, 15)] * 3, **prices})).axes[0].get_title(loc="left")
    'Breadth: more advances than declines in 1 of 1 session'
    """
    rose, fell = pl.col("close") > pl.col("prev_close"), pl.col("close") < pl.col("prev_close")
    sums = {"up": rose.sum().cast(pl.Int64), "down": fell.sum().cast(pl.Int64)}
    counts = bars.group_by("trade_date").agg(**sums).sort("trade_date")
    up, down = counts["up"].to_numpy(), counts["down"].to_numpy()
    figure, (ax,) = style.panels()
    places = style.sessions_axis(ax, counts["trade_date"].to_list())
    style.session_bars(ax, places, up, style.BLUE, "advances")
    style.session_bars(ax, places, -down, style.ORANGE, "declines")
    ax.axhline(0, color=style.INK, linewidth=0.8)
    ahead = int((up > down).sum())
    ax.set_title(f"Breadth: more advances than declines in {ahead:,} of {quantity(counts.height, 'session')}")
    ax.set_ylabel("instruments")
    ax.yaxis.set_major_locator(MaxNLocator(7, integer=True))
    ax.yaxis.set_major_formatter(lambda count, _: f"{abs(count):,.0f}")
    style.legend_above(ax)
    return figure


@style.plot("Movers", "symbol", "close", "prev_close", source=BARS)
def movers(bars: pl.DataFrame, n: int = 10) -> Figure:
    """Draw the `n` largest gains and the `n` largest losses of one session, in per cent.

    Columns: symbol, close and prev_close (rupees; rows with a prev_close of 0 or less are left out).
    `champion.share_moves` returns such rows for company shares, adjusted.

    Raises:
        UsageError: the bars are of more than one session.

    >>> bars = pl.DataFrame({"symbol": ["A", "B"], "close": [11.0, 9.0], "prev_close": [10.0, 10.0]})
    >>> [label.get_text() for label in movers(bars, n=1).axes[0].get_yticklabels()]
    ['B', 'A']
    """
    style.require_one(bars, "trade_date", "session", "movers")
    change = pl.col("close") / pl.col("prev_close") - 1
    changed = bars.filter(pl.col("prev_close") > 0).select("symbol", change=change).sort("change", "symbol")
    losers = changed.filter(pl.col("change") < 0).head(n)
    gainers = changed.filter(pl.col("change") > 0).tail(n)
    shown = pl.concat([losers, gainers])
    if shown.is_empty():
        return style.no_data("Movers: no price changed")
    figure, (ax,) = style.panels((9.5, 1.4 + 0.26 * shown.height), grid="x")
    style.signed_bars(ax, shown["symbol"].to_list(), shown["change"].to_numpy(), losers.height)
    style.bar_labels(ax, [style.percent(value) for value in shown["change"]])
    ax.xaxis.set_major_formatter(lambda value, _: style.percent(value, 0))
    ax.margins(x=0.12)
    ax.set(xlabel="change from the previous close", title=f"Movers: {gainers.height} gainers, {losers.height} losers")
    return figure
