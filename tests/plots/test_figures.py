"""Figures of the explorers, on frames small enough to check by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from figures import CALENDAR, DECISIONS, INDICES, RUNS, candles, days
from hypothesis import given, settings, strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle

from champion import plots
from champion.errors import UsageError
from champion.plots import style
from champion.plots.map import squarify


def rectangles(ax: Axes, color: str) -> list[Rectangle]:
    found = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    return [patch for patch in found if to_hex(patch.get_facecolor()).upper() == color]


def title(ax: Axes) -> str:
    return ax.get_title(loc="left")


def test_candles_are_blue_if_the_close_is_not_below_the_open() -> None:
    upper, lower = plots.candles(candles(5)).axes
    rose, fell = rectangles(upper, style.BLUE), rectangles(upper, style.VERMILION)
    assert [bar.get_x() + bar.get_width() / 2 for bar in rose] == pytest.approx([0, 2, 4])
    assert [(bar.get_y(), bar.get_height()) for bar in rose] == [(10.0, 1.0)] * 3
    assert [bar.get_y() for bar in fell] == [10.0, 10.0]
    assert [len(wicks.get_segments()) for wicks in upper.collections] == [3, 2]  # type: ignore[attr-defined]
    assert [text.get_text() for text in upper.texts] == ["÷ 2"], "the split is marked"
    assert [bar.get_height() for bar in rectangles(lower, style.BLUE)] == [50_000] * 5, "the delivered part is darker"


def test_candle_without_a_body_is_a_line() -> None:
    flat = candles(2).with_columns(open=pl.lit(10.0), close=pl.lit(10.0))
    upper = plots.candles(flat).axes[0]
    assert all(bar.get_height() > 0 for bar in rectangles(upper, style.BLUE))


def test_lines_over_candles_are_named_columns() -> None:
    frame = candles(5).with_columns(sma=pl.lit(10.5))
    upper = plots.candles(frame, "sma").axes[0]
    assert upper.lines[0].get_label() == "sma"
    with pytest.raises(UsageError, match=r"plots\.candles needs ema; missing: ema"):
        plots.candles(frame, "ema")
    with pytest.raises(UsageError, match="at most 4 lines"):
        plots.candles(frame, *["sma"] * 5)
    with pytest.raises(UsageError, match="shows one instrument; the frame has 2"):
        plots.candles(pl.concat([frame, frame.with_columns(instrument_id=pl.lit("NSE:B"))]))


def test_delivered_share_is_the_mean_of_known_values() -> None:
    frame = candles(3).with_columns(delivered_share=pl.Series([0.2, None, 0.4]))
    figure = plots.delivered(frame)
    assert title(figure.axes[0]) == "A: 30.0% of the volume delivered"
    assert "1 without a value left out" in figure.get_supxlabel()


def test_calendar_has_a_square_for_every_day() -> None:
    ax, bar = plots.calendar(CALENDAR, "bars").axes
    assert title(ax) == "2024: 15 sessions, 1 weekday without one"
    (mesh,) = [drawn for drawn in ax.collections if isinstance(drawn, QuadMesh)]
    squares = np.asarray(mesh.get_array())
    white, grey = np.ones(4), np.array([0.83, 0.83, 0.83, 1.0])
    assert np.allclose(squares[2, 1], grey), "Wednesday 10 January 2024: the second week"
    assert np.allclose(squares[6, :], white), "no Sunday"
    assert not np.allclose(squares[5, 1], white), "the session of Saturday 13 January"
    assert (squares[:, 4:] == 1).all(), "after the last session"
    assert bar.get_ylabel() == "bars"


def test_map_areas_are_proportional_to_turnover() -> None:
    rows = {"symbol": ["BIG", "SMALL", "LEFT"], "close": [110.0, 90.0, 100.0], "prev_close": [100.0] * 3}
    ax = plots.market_map(pl.DataFrame(rows | {"turnover": [6e7, 3e7, 1e7]}), n=2).axes[0]
    tiles = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    areas = [tile.get_width() * tile.get_height() for tile in tiles]
    assert areas[0] == pytest.approx(2 * areas[1])
    assert [text.get_text() for text in ax.texts] == ["BIG\n10.0%", "SMALL\n\N{MINUS SIGN}10.0%"]
    colors = [to_rgb(tile.get_facecolor()) for tile in tiles]
    blues = [blue - red for red, _, blue in colors]
    assert blues[0] > 0 > blues[1], "one rose, one fell"
    assert title(ax) == "Market map: ₹ 9 crore, 90% of the turnover"
    with pytest.raises(UsageError, match="shows one session; the frame has 2"):
        plots.market_map(pl.DataFrame(rows | {"turnover": [1.0] * 3, "trade_date": [*days(2), days(1)[0]]}))


@settings(max_examples=60)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=40))
def test_tiles_fill_the_map_without_overlap(sizes: list[float]) -> None:
    areas = sorted((size * 5800 / sum(sizes) for size in sizes), reverse=True)
    boxes = squarify(areas, (0.0, 0.0, 100.0, 58.0))
    assert [width * height for _, _, width, height in boxes] == pytest.approx(areas)
    for number, (left, top, width, height) in enumerate(boxes):
        assert min(left, top) >= -1e-6
        assert left + width <= 100 + 1e-6
        assert top + height <= 58 + 1e-6
        for other_left, other_top, other_width, other_height in boxes[:number]:
            beside = left >= other_left + other_width - 1e-6 or other_left >= left + width - 1e-6
            assert beside or top >= other_top + other_height - 1e-6 or other_top >= top + height - 1e-6


def test_index_changes_cover_the_available_spans() -> None:
    ax = plots.index_map(INDICES).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Nifty 50", "Nifty Bank"], "one has stopped"
    minus = "\N{MINUS SIGN}"
    assert [text.get_text() for text in ax.texts] == ["2.0%", "2.0%", f"{minus}2.0%"]
    assert title(ax) == "Indices: 1 of 2 rose"
    assert title(plots.index_map(INDICES.head(1)).axes[0]) == "Indices: no change known"


def test_run_bars_show_durations_newest_first() -> None:
    ax = plots.runs(RUNS).axes[0]
    assert [label.get_text().split()[0] for label in ax.get_yticklabels()] == [
        "training", "features", "quality", "ingest",
    ]  # fmt: skip
    bars = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert [bar.get_width() for bar in bars] == [0, 0.1, 3.5, 40]
    assert [text.get_text() for text in ax.texts] == ["running", "skipped, 0.1 s", "failed, 3.5 s", "succeeded, 40.0 s"]
    assert len(rectangles(ax, style.VERMILION)) == 1
    assert title(ax) == "Runs: 1 of 4 did not succeed"


def test_champions_are_steps_and_refusals_are_crosses() -> None:
    ax = plots.champions(DECISIONS).axes[0]
    (steps,) = ax.lines
    assert np.asarray(steps.get_ydata()).tolist() == [1, 3, 3]
    assert np.asarray(steps.get_xdata()).tolist() == [0, 2, 3]
    _, crosses = ax.collections
    assert np.asarray(crosses.get_offsets()).tolist() == [[1.0, 2.0]]
    assert title(ax) == "Champion: version 3 since 2024-01-10, 1 challenger refused"
    assert title(plots.champions(DECISIONS.head(1)).axes[0]) == "Champion: no decision yet"
