"""Figures of the feature set technical: what is drawn, where, and what a frame without values shows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from figures import technical, title
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from champion import plots
from champion.errors import UsageError


def labelled(ax: Axes) -> set[str]:
    """Return the names in the legend of a panel."""
    legend = ax.get_legend()
    return {text.get_text() for text in legend.get_texts()} if legend else set()


def points(line: Line2D) -> list[tuple[float, float]]:
    """Return the points of a line."""
    return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata())]


def test_swings_are_drawn_at_their_own_bars_and_levels_from_their_swing() -> None:
    frame = technical(120)
    ax = plots.chart_levels(frame).axes[0]
    drawn = {points(line)[0] for line in ax.lines if line.get_marker() == "v"}
    confirmed = frame["swing_high"].is_not_null().arg_true()
    assert drawn == {(row - 5, frame["high"][row - 5]) for row in confirmed}
    assert len(drawn) >= 3
    last = frame.row(-1, named=True)
    assert labelled(ax) >= {"swing high", "swing low", "support", "channel of 60 bars"}
    (dashed,) = [each for each in ax.collections if each.get_label() == "support"]
    assert isinstance(dashed, LineCollection)
    (segment,) = dashed.get_segments()
    assert np.asarray(segment).tolist() == [[119 - last["support_age"], last["support"]], [119, last["support"]]]
    assert f"support ₹ {last['support']:,.2f} ({last['support_touches']} touches)" in title(ax)


def test_channel_ends_at_the_middle_of_the_last_bar() -> None:
    frame = technical(120)
    ax = plots.chart_levels(frame, 20).axes[0]
    (line,) = [each for each in ax.lines if each.get_label() == "channel of 20 bars"]
    heights = [y for _, y in points(line)]
    rises = np.diff(heights)
    assert heights[-1] == frame["channel_middle_20"][-1]
    assert rises == pytest.approx(frame["channel_slope_20"][-1] * frame["close"][-1])
    assert len(heights) == 20


def test_trends_name_direction_and_start() -> None:
    frame = technical(120)
    upper, lower = plots.chart_trends(frame).axes
    direction = frame["supertrend_direction"]
    turn = max(row for row in range(1, 120) if direction[row] != direction[row - 1])
    way = "upward" if direction[-1] > 0 else "downward"
    assert f"{way} since {frame['trade_date'][turn]}" in title(upper)
    assert labelled(upper) == {"Supertrend, upward", "Supertrend, downward"}
    assert labelled(lower) == {"tenkan", "kijun", "cloud, A above B", "cloud, A below B"}


def test_patterns_are_counted_and_named() -> None:
    frame = technical(120)
    ax = plots.chart_patterns(frame, "cdl_engulfing", "cdl_hikkake").axes[0]
    marks = frame.select("cdl_engulfing", "cdl_hikkake").to_numpy()
    rises, falls = int((marks > 0).sum()), int((marks < 0).sum())
    assert rises + falls > 0
    assert title(ax) == f"A: {rises + falls} patterns, {rises} bullish, {falls} bearish"
    assert {text.get_text() for text in ax.texts} <= {"engulfing", "hikkake", "engulfing\nhikkake"}
    with pytest.raises(UsageError, match=r"plots.chart_patterns needs cdl_star; missing: cdl_star"):
        plots.chart_patterns(frame, "cdl_star")


def test_first_bars_have_no_levels_and_no_trend() -> None:
    frame = technical(3)
    assert title(plots.chart_levels(frame).axes[0]).endswith("no support, no resistance")
    assert title(plots.chart_trends(frame).axes[0]).endswith("no Supertrend yet")
    assert title(plots.chart_patterns(frame).axes[0]).startswith("A: 0 patterns")


def test_several_instruments_are_refused() -> None:
    both = pl.concat([technical(5), technical(5).with_columns(instrument_id=pl.lit("NSE:B"))])
    for draw in (plots.chart_levels, plots.chart_trends, plots.chart_patterns):
        with pytest.raises(UsageError, match="shows one instrument; the frame has 2"):
            draw(both)
