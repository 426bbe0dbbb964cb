"""Figures of sessions and of shares: rows, turnover, breadth, movers, gates, histories."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from figures import EVERY, GATES, account, bars, footer, heights, renamed, ticks, title, widths

from champion import plots
from champion.errors import UsageError


def test_rejected_rows_have_a_separate_scale() -> None:
    upper, lower = plots.sessions_and_rows(account(5)).axes
    assert heights(upper) == [2000] * 5
    assert heights(lower) == [0, 0, 0, 0, 4]
    assert title(upper) == "Rows by session: 10,000 bars"
    assert title(lower) == "4 lines rejected (0.04%)"


def test_turnover_is_summed_and_shown_in_crore() -> None:
    figure = plots.turnover_by_session(bars(3))
    (ax,) = figure.axes
    assert heights(ax) == [4e7] * 3
    assert title(ax) == "Turnover by session: median ₹ 4 crore"
    assert ax.yaxis.get_major_formatter()(2.5e7, 0) == "₹ 2.5 crore"
    assert footer(figure) == "normalized_equity_ohlc (nse) · 2024-01-01 to 2024-01-03, 3 sessions · 12 rows"
    assert not ax.lines, "too few sessions for a median of 20"


def test_breadth_counts_both_sides_without_unchanged_shares() -> None:
    (ax,) = plots.breadth(bars(2)).axes
    assert heights(ax) == [2, 2, -1, -1]
    assert ax.yaxis.get_major_formatter()(-1, 0) == "1"
    assert title(ax) == "Breadth: more advances than declines in 2 of 2 sessions"


def test_movers_are_the_extremes_of_one_session() -> None:
    (ax,) = plots.movers(bars(1, instruments=8), n=2).axes
    assert ticks(ax, "y") == ["S0", "S6", "S7"]
    assert [round(width, 4) for width in widths(ax)] == [-0.01, 0.05, 0.06]
    assert [text.get_text() for text in ax.texts] == ["\N{MINUS SIGN}1.0%", "5.0%", "6.0%"]
    with pytest.raises(UsageError, match="the frame has 2: filter it by trade_date"):
        plots.movers(bars(2))
    flat = bars(1).with_columns(close=pl.col("prev_close"))
    assert title(plots.movers(flat).axes[0]) == "Movers: no price changed"


def test_indicator_panel_has_gaps_where_values_are_unknown() -> None:
    draw, frame = EVERY["indicator"]
    upper, lower = draw(frame).axes
    assert np.asarray(upper.lines[0].get_ydata()).tolist() == [20.0, 21.0, 20.5, 22.0]
    values = np.asarray(lower.lines[0].get_ydata())
    assert math.isnan(values[0])
    assert values[1:].tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(UsageError, match="one instrument"):
        draw(frame.with_columns(instrument_id=pl.Series(["a", "a", "b", "b"])))


def test_gates_show_their_result_in_words() -> None:
    (ax,) = plots.quality_gates(GATES).axes
    rows = [text.get_text() for text in ax.texts[5:]]
    assert rows[:5] == ["✓ passed", "completeness", "0.9991", "0.995", "least complete column: isin"]
    assert rows[5] == "✗ error"
    assert rows[10:14] == ["⚠ warning", "row_count", "\N{EN DASH}", "0.25"]
    assert rows[14].endswith(" …")
    assert max(map(len, rows[14].split("\n"))) <= 56
    assert len(rows[14].split("\n")) == 2
    assert title(ax) == "Quality gates: 1 of 3 passed"


def test_gate_texts_stay_inside_the_figure() -> None:
    figure = plots.quality_gates(GATES.with_columns(detail=pl.lit("ISIN NOT IN THE CONTRACT MASTER, " * 9)))
    figure.draw_without_rendering()
    assert all(text.get_window_extent().x1 <= figure.bbox.x1 for text in figure.axes[0].texts)


def test_adjusted_history_marks_changes() -> None:
    (ax,) = plots.adjustment(renamed()).axes
    assert [text.get_text() for text in ax.texts] == ["÷ 5, OLD → NEW, new ISIN"]
    traded, adjusted = ax.lines[:2]
    assert np.asarray(traded.get_ydata()).tolist() == [100.0, 105.0, 20.5, 22.0]
    assert np.asarray(adjusted.get_ydata()).tolist() == [20.0, 21.0, 20.5, 22.0]
    with pytest.raises(UsageError, match="one instrument"):
        plots.adjustment(renamed().with_columns(instrument_id=pl.Series(["a", "a", "b", "b"])))


def test_labels_of_neighbouring_changes_do_not_overlap() -> None:
    figure = plots.adjustment(renamed().with_columns(symbol=pl.Series(["OLD", "NEW", "NEW", "NEWER"])))
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.texts] == ["OLD → NEW", "÷ 5, new ISIN", "NEW → NEWER"]
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))


def test_price_versions_have_a_line_each() -> None:
    now = renamed().with_columns(version=pl.lit("now"))
    then = now.head(3).with_columns(pl.col("close") * 5, version=pl.lit("then"))
    (ax,) = plots.price_versions(pl.concat([now, then])).axes
    assert title(ax) == "NEW"
    assert [str(line.get_label()) for line in ax.lines] == ["then", "now"]
    assert np.asarray(ax.lines[0].get_ydata()).tolist() == [100.0, 105.0, 102.5]
    assert np.asarray(ax.lines[0].get_xdata()).tolist() == [0, 1, 2]
    assert ticks(ax, "y")
