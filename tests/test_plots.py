"""Figures: what is drawn, from which columns, and what is said when there is nothing to draw."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta
from io import BytesIO
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import Collection, PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch

from champion import plots
from champion.errors import UsageError
from champion.plots import style

FIRST = date(2024, 1, 1)
GATES = pl.DataFrame(
    {
        "gate": ["completeness", "rejected", "row_count"],
        "severity": ["error", "error", "warning"],
        "value": [0.9991, 0.034, None],
        "limit": [0.995, 0.01, 0.25],
        "passed": [True, False, False],
        "detail": ["least complete column: isin", "1,204 rows in quarantine", "far fewer rows than before " * 20],
    }
)

MOVED = pl.DataFrame(
    {"column": ["a", "b", "c", "d"], "psi": [0.1, 2.5, None, 0.02], "chance": [0.01, 0.01, None, 0.05]}
)
DECAY = pl.DataFrame(
    {"horizon": [5, 1], "mean": [-0.02, 0.05], "std": [0.1, 0.1], "sessions": [100.0, 100.0], "t": [-0.9, 5.0]}
)


def days(count: int) -> list[date]:
    """`count` weekdays."""
    weekdays = (FIRST + timedelta(day) for day in range(2 * count + 3))
    return [day for day in weekdays if day.weekday() < 5][:count]


def bars(sessions: int, instruments: int = 4) -> pl.DataFrame:
    """Every session: one instrument falls, one stands, the others rise; turnover 1 crore each."""
    closes = [99.0, 100.0, *[101.0 + extra for extra in range(instruments - 2)]]
    session = pl.DataFrame({"symbol": [f"S{n}" for n in range(instruments)], "close": closes})
    dates = pl.DataFrame({"trade_date": days(sessions)}, schema={"trade_date": pl.Date})
    return dates.join(session, how="cross").with_columns(
        prev_close=pl.lit(100.0), turnover=pl.lit(1e7), source=pl.lit("nse")
    )


def renamed() -> pl.DataFrame:
    """One instrument that split 5 for 1 on the third day, under a new symbol and a new ISIN."""
    return pl.DataFrame(
        {
            "instrument_id": ["NSE:OLD"] * 4,
            "symbol": ["OLD", "OLD", "NEW", "NEW"],
            "isin": ["INE1", None, "INE2", "INE2"],
            "trade_date": days(4),
            "close": [20.0, 21.0, 20.5, 22.0],
            "adjustment_factor": [5.0, 5.0, 1.0, 1.0],
        }
    )


def account(sessions: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"session": days(sessions), "normalized": [2000] * sessions, "rejected": [0] * (sessions - 1) + [4]}
    )


def series(sessions: int) -> pl.DataFrame:
    returns = np.where(np.arange(sessions) % 3 == 2, -0.1, 0.05)
    return pl.DataFrame(
        {"trade_date": days(sessions), "ic": returns, "net_return": returns, "equity": np.cumprod(1 + returns)}
    )


def predictions(rows: int = 200) -> pl.DataFrame:
    score = np.linspace(0.3, 0.7, rows)
    return pl.DataFrame({"label": score > 0.4, "score": score, "symbol": [f"S{n}" for n in range(rows)]}).with_columns(
        rank=pl.col("score").rank("ordinal", descending=True).cast(pl.Int64)
    )


def features() -> pl.DataFrame:
    values = np.random.default_rng(7).normal(size=300)
    return pl.DataFrame(
        {"sma_5": values, "obv": (values * 1000).astype(int), "flat": [1.0] * 300, "empty": [None] * 300}
    ).cast({"empty": pl.Float64})


# Every plot, with a small frame it can draw.
EVERY: dict[str, tuple[Callable[[pl.DataFrame], Figure], pl.DataFrame]] = {
    "sessions_and_rows": (plots.sessions_and_rows, account(5)),
    "turnover_by_session": (plots.turnover_by_session, bars(45)),
    "breadth": (plots.breadth, bars(5)),
    "movers": (plots.movers, bars(1)),
    "adjustment": (plots.adjustment, renamed()),
    "indicator": (plots.indicator, renamed().with_columns(value=pl.Series([None, 1.0, 2.0, 3.0]))),
    "tellings": (plots.tellings, renamed().with_columns(telling=pl.Series(["then", "now"] * 2))),
    "feature_coverage": (plots.feature_coverage, features()),
    "feature_distributions": (plots.feature_distributions, features()),
    "feature_correlation": (plots.feature_correlation, features()),
    "feature_drift": (plots.feature_drift, MOVED),
    "ic_decay": (plots.ic_decay, DECAY),
    "ic_series": (plots.ic_series, series(45)),
    "quantile_bars": (plots.quantile_bars, pl.DataFrame({"quantile": [2, 1], "mean_return": [0.002, -0.001]})),
    "equity_curve": (plots.equity_curve, series(6)),
    "confusion": (plots.confusion, predictions()),
    "importance": (plots.importance, pl.DataFrame({"input": ["a", "b"], "importance": [0.1, -0.2]})),
    "calibration": (plots.calibration, predictions()),
    "score_distribution": (plots.score_distribution, predictions()),
    "top_scores": (plots.top_scores, predictions()),
    "quality_gates": (plots.quality_gates, GATES),
}
NEEDY = [name for name in EVERY if not name.startswith("feature_") or name == "feature_drift"]


def title(ax: Axes) -> str:
    return ax.get_title(loc="left")


def heights(ax: Axes) -> list[float]:
    return [patch.get_height() for patch in ax.patches if isinstance(patch, Rectangle)]


def shapes(drawn: Collection) -> list[np.ndarray[Any, Any]]:
    """The corners of each shape of a collection."""
    return [np.asarray(path.vertices) for path in drawn.get_paths()]


def widths(ax: Axes) -> list[float]:
    return [patch.get_width() for patch in ax.patches if isinstance(patch, Rectangle)]


def ticks(ax: Axes, axis: str = "x") -> list[str]:
    labels = ax.get_xticklabels() if axis == "x" else ax.get_yticklabels()
    return [label.get_text() for label in labels]


def footer(figure: Figure) -> str:
    return figure.get_supxlabel()


def test_every_plot_is_tried_here() -> None:
    assert sorted(EVERY) == plots.__all__


@pytest.mark.parametrize("name", EVERY)
def test_it_renders_and_leaves_nothing_behind(name: str) -> None:
    draw, frame = EVERY[name]
    before, image = dict(mpl.rcParams), BytesIO()
    draw(frame).savefig(image, format="png", dpi=40)
    assert image.getvalue().startswith(b"\x89PNG")
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", EVERY)
def test_an_empty_frame_says_so(name: str) -> None:
    draw, frame = EVERY[name]
    figure = draw(frame.clear())
    assert [text.get_text() for text in figure.axes[0].texts] == ["no data"]
    assert title(figure.axes[0])
    assert "0 rows" in footer(figure)


@pytest.mark.parametrize("name", NEEDY)
def test_a_missing_column_is_named(name: str) -> None:
    draw, _ = EVERY[name]
    with pytest.raises(UsageError, match=rf"plots\.{name} needs .*; missing: .*; the frame has: other"):
        draw(pl.DataFrame({"other": [1]}))


@pytest.mark.parametrize("draw", [plots.feature_distributions, plots.feature_correlation])
def test_a_text_feature_is_refused(draw: Callable[[pl.DataFrame], Figure]) -> None:
    with pytest.raises(UsageError, match=r"symbol \(String\): select the numeric columns"):
        draw(pl.DataFrame({"symbol": ["TCS"], "sma_5": [1.0]}))


def test_rejected_rows_stand_out_on_their_own_scale() -> None:
    upper, lower = plots.sessions_and_rows(account(5)).axes
    assert heights(upper) == [2000] * 5
    assert heights(lower) == [0, 0, 0, 0, 4]
    assert title(upper) == "Rows by session: 10,000 bars"
    assert title(lower) == "4 lines rejected (0.04%)"


def test_many_sessions_are_one_area_with_few_ticks() -> None:
    upper, lower = plots.sessions_and_rows(account(700)).axes
    (area,) = [patch for patch in lower.patches if isinstance(patch, StepPatch)]
    assert np.asarray(area.get_data()[0]).tolist() == [0] * 699 + [4]
    assert not heights(upper)
    assert 6 <= len(lower.get_xticks()) <= 12
    assert ticks(lower)[:3] == ["Jan\n2024", "Apr", "Jul"]


@pytest.mark.parametrize("count", [1, 2, 12, 13, 44, 45, 60, 250, 1250, 5000])
def test_session_ticks_stand_on_sessions_and_apart(count: int) -> None:
    _, (ax,) = style.panels()
    sessions = days(count)
    assert style.sessions_axis(ax, sessions).tolist() == list(range(count))
    places = [int(place) for place in ax.get_xticks()]
    assert 1 <= len(places) <= 12
    assert all(0 <= place < count for place in places)
    assert all(later - earlier >= count / 30 for earlier, later in pairwise(places))
    assert str(sessions[places[0]].year) in ticks(ax)[0]


def test_turnover_is_summed_and_shown_in_crore() -> None:
    figure = plots.turnover_by_session(bars(3))
    (ax,) = figure.axes
    assert heights(ax) == [4e7] * 3
    assert title(ax) == "Turnover by session: median ₹ 4 crore"
    assert ax.yaxis.get_major_formatter()(2.5e7, 0) == "₹ 2.5 crore"
    assert footer(figure) == "normalized_equity_ohlc (nse) · 2024-01-01 to 2024-01-03, 3 sessions · 12 rows"
    assert not ax.lines, "too few sessions for a median of 20"


def test_breadth_counts_both_sides_and_not_the_unmoved() -> None:
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
    assert title(plots.movers(flat).axes[0]) == "Movers: nothing moved"


def test_coverage_is_sorted_and_labelled() -> None:
    frame = pl.DataFrame({"late": [None, None, None, 1.0], "full": [1, 2, 3, 4], "half": [None, None, 1.0, 2.0]})
    (ax,) = plots.feature_coverage(frame).axes
    assert ticks(ax, "y") == ["full", "half", "late"]
    assert widths(ax) == [1.0, 0.5, 0.25]
    assert title(ax) == "Feature coverage: 1 of 3 complete"


def test_distributions_clip_and_say_what_cannot_be_drawn() -> None:
    values = [*map(float, range(-500, 500)), 1e9, math.nan, math.inf, None]
    frame = pl.DataFrame(
        {"wild": values, "flat": [2.5] * 1004, "empty": [None] * 1004}, schema_overrides={"empty": pl.Float64}
    )
    figure = plots.feature_distributions(frame)
    fills, outlines = figure.axes[0].collections
    (wild,) = shapes(fills)
    assert wild[:, 0].min() == 0
    assert wild[:, 0].max() == pytest.approx(0.9)
    texts = [text.get_text() for text in figure.axes[0].texts]
    minus = "\N{MINUS SIGN}"
    assert texts == ["wild", f"{minus}490", "490", "flat", "always 2.5", "empty", "no values"]
    assert not shapes(outlines)
    assert figure.axes[0].get_legend() is None


def test_distributions_stand_before_those_of_another_stretch() -> None:
    now = pl.DataFrame({"even": [1.0, 2.0, 3.0, 4.0] * 30})
    before = pl.DataFrame({"even": [1.0, 4.0, 4.0, 4.0] * 10, "other": "kept out"})
    fills, outlines = plots.feature_distributions(now, before).axes[0].collections
    (now_steps,), (before_steps,) = shapes(fills), shapes(outlines)
    tops = [max(steps[0, 1] - steps[:, 1]) for steps in (now_steps, before_steps)]
    assert tops[0] / tops[1] == pytest.approx(0.25 / 0.75), "shares, though one has three times the rows"
    with pytest.raises(UsageError, match="before lacks even"):
        plots.feature_distributions(now, before.select("other"))


def test_prices_of_pennies_and_thousands_stand_on_a_logarithmic_scale() -> None:
    values = [10.0 ** (power / 100) for power in range(401)]
    ax = plots.feature_distributions(pl.DataFrame({"price": values})).axes[0]
    assert [text.get_text() for text in ax.texts] == ["price, log", "1.1", "9.12k"]
    (steps,) = shapes(ax.collections[0])
    assert np.ptp(steps[1:61, 1]) < 0.05, "evenly spread in its logarithm"


def test_many_features_stay_one_legible_page() -> None:
    names = [f"feature_{number:03}" for number in range(158)]
    rows = np.random.default_rng(1).normal(size=(60, 158))
    rows[:20, 100:] = np.nan
    frame = pl.DataFrame(rows, schema=names).fill_nan(None)
    coverage, correlation = plots.feature_coverage(frame), plots.feature_correlation(frame)
    assert ticks(coverage.axes[0], "y")[-1] == "feature_157"
    assert len(ticks(coverage.axes[0], "y")) == 40
    assert title(coverage.axes[0]) == "Feature coverage: 100 of 158 complete; the 40 least complete"
    assert ticks(correlation.axes[0]) == names
    assert title(correlation.axes[0]).startswith("Feature correlation: 0 of 12,403 pairs")
    distributions = plots.feature_distributions(frame, frame)
    assert [len(shapes(drawn)) for drawn in distributions.axes[0].collections] == [158, 158]
    long = plots.feature_distributions(frame.rename({"feature_000": "a_name_too_long_for_its_cell"}))
    assert long.axes[0].texts[0].get_text() == "a_name_too_long_f\N{HORIZONTAL ELLIPSIS}"
    drift = plots.feature_drift(pl.DataFrame({"column": names, "psi": np.linspace(0, 0.3, 158)}))
    assert ticks(drift.axes[0], "y")[0] == "feature_157"
    assert title(drift.axes[0]) == "Feature drift: 27 of 158 at 0.25 or more; the first 40"
    for figure in (coverage, correlation, distributions, drift):
        assert max(figure.get_size_inches()) < 21


def test_correlation_is_of_ranks_and_pairwise() -> None:
    base = [1.0, 2.0, 3.0, 4.0]
    frame = pl.DataFrame(
        {"a": base, "cube": [value**3 for value in base], "down": [4.0, 3.0, None, 1.0], "flat": [1.0] * 4}
    )
    ax = plots.feature_correlation(frame).axes[0]
    minus = "\N{MINUS SIGN}1.00"
    assert [text.get_text() for text in ax.texts] == ["1.00", "1.00", "1.00", minus, minus, "1.00"]
    assert ticks(ax) == ticks(ax, "y") == frame.columns
    assert len(ax.patches) == 4, "the row of the constant column is grey"


def test_a_single_row_has_no_correlation() -> None:
    figure = plots.feature_correlation(features().head(1))
    figure.savefig(BytesIO(), format="png", dpi=40)
    assert not figure.axes[0].texts


def test_correlation_is_pandas_own_where_values_are_missing_here_and_there() -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(0, 30, size=(80, 6)).astype(float)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[:, 3:] = np.where(np.isnan(values[:, :1]), np.nan, np.nan_to_num(values[:, 3:]))
    frame = pl.DataFrame(values, schema=[f"c{n}" for n in range(6)]).fill_nan(None)
    expected = frame.to_pandas().corr(method="spearman").to_numpy()[np.tril_indices(6)]
    drawn = [text.get_text().replace("\N{MINUS SIGN}", "-") for text in plots.feature_correlation(frame).axes[0].texts]
    assert [float(text) for text in drawn] == pytest.approx(expected, abs=0.00501)


def test_drift_shows_the_furthest_first_and_counts_the_unknown() -> None:
    draw, frame = EVERY["feature_drift"]
    figure = draw(frame)
    (ax,) = figure.axes
    assert ticks(ax, "y") == ["b", "a", "d"]
    assert widths(ax) == [1.0, 0.1, 0.02]
    assert [text.get_text() for text in ax.texts] == ["2.500 \N{RIGHTWARDS ARROW}", "0.100", "0.020"]
    assert ax.patches[0].get_facecolor() != ax.patches[1].get_facecolor() != ax.patches[2].get_facecolor()
    assert np.asarray(ax.lines[0].get_xdata()).tolist() == [0.01, 0.01, 0.05]
    assert title(ax) == "Feature drift: 1 of 3 at 0.25 or more"
    assert footer(figure).endswith("3 rows · 1 without a value left out")


def test_ic_by_horizon_shows_which_could_be_chance() -> None:
    (ax,) = plots.ic_decay(DECAY).axes
    assert ticks(ax) == ["1", "5"]
    assert [text.get_text() for text in ax.texts] == ["0.050", "\N{MINUS SIGN}0.020"]
    lines, points = ax.collections
    ends = [sorted(line[:, 1]) for line in shapes(lines)]
    assert ends[0] == pytest.approx([0.03, 0.07])  # two of 0.1 / sqrt(100)
    assert ends[1] == pytest.approx([-0.02 - 2 * 0.1 / math.sqrt(20), -0.02 + 2 * 0.1 / math.sqrt(20)])
    assert isinstance(points, PathCollection)
    sure, unsure = np.asarray(points.get_facecolor())
    assert sure.tolist() != unsure.tolist()


def test_an_indicator_stands_below_its_close_with_a_gap_where_it_is_unknown() -> None:
    draw, frame = EVERY["indicator"]
    upper, lower = draw(frame).axes
    assert np.asarray(upper.lines[0].get_ydata()).tolist() == [20.0, 21.0, 20.5, 22.0]
    values = np.asarray(lower.lines[0].get_ydata())
    assert math.isnan(values[0])
    assert values[1:].tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(UsageError, match="one instrument"):
        draw(frame.with_columns(instrument_id=pl.Series(["a", "a", "b", "b"])))


def test_ic_shows_sessions_rolling_mean_and_sum() -> None:
    upper, lower = plots.ic_series(series(60)).axes
    assert len(heights(upper)) == 60
    rolling = np.asarray(upper.lines[0].get_ydata(), dtype=float)
    assert np.isnan(rolling[:19]).all()
    assert rolling[19] == pytest.approx(np.mean(series(20)["ic"].to_numpy()))
    assert np.asarray(lower.lines[0].get_ydata())[-1] == pytest.approx(0.0)
    assert title(upper) == "Rank IC: mean 0.000, ICIR 0.00"
    assert title(plots.ic_series(series(1)).axes[0]) == "Rank IC: mean 0.050, ICIR unknown"


def test_quantiles_are_in_order_and_basis_points() -> None:
    draw, frame = EVERY["quantile_bars"]
    (ax,) = draw(frame).axes
    assert heights(ax) == pytest.approx([-10, 20])
    assert ticks(ax) == ["1", "2"]
    assert title(ax) == "Forward return by score quantile: top less bottom 30.0 bp"


def test_drawdown_is_measured_from_the_peak() -> None:
    upper, lower = plots.equity_curve(series(3)).axes
    assert np.asarray(upper.lines[0].get_ydata()) == pytest.approx([1.05, 1.1025, 0.99225])
    assert np.asarray(lower.lines[0].get_ydata()) == pytest.approx([0, 0, -0.1])
    assert "deepest drawdown \N{MINUS SIGN}10.0%, 67% of periods up" in title(upper)


def test_a_loss_from_the_start_is_a_drawdown() -> None:
    frame = pl.DataFrame({"trade_date": days(1), "net_return": [-0.2], "equity": [0.8]})
    assert np.asarray(plots.equity_curve(frame).axes[1].lines[0].get_ydata()) == pytest.approx([-0.2])


@pytest.mark.parametrize("kind", [pl.Boolean, pl.Int8])
def test_confusion_counts_known_labels(kind: type[pl.DataType]) -> None:
    frame = pl.DataFrame({"label": [0, 0, 0, 1, 1, None], "score": [0.1, 0.4, 0.5, 0.9, 0.2, 0.9]})
    figure = plots.confusion(frame.with_columns(pl.col("label").cast(kind)))
    assert [text.get_text() for text in figure.axes[0].texts] == ["2\n40.0%", "1\n20.0%", "1\n20.0%", "1\n20.0%"]
    assert title(figure.axes[0]) == "Accuracy 60.0%, precision 50.0%, recall 50.0%"
    assert footer(figure).endswith("5 rows · 1 without a value left out")


def test_confusion_without_positives_has_no_precision() -> None:
    frame = pl.DataFrame({"label": [False], "score": [0.1]})
    assert title(plots.confusion(frame).axes[0]) == "Accuracy 100.0%, precision unknown, recall unknown"


def test_importance_keeps_the_twenty_largest() -> None:
    frame = pl.DataFrame({"input": [f"i{n}" for n in range(25)], "importance": [-n / 100 for n in range(25)]})
    (ax,) = plots.importance(frame).axes
    assert widths(ax) == [-n / 100 for n in range(24, 4, -1)]
    assert ticks(ax, "y")[0] == "i24"
    assert title(ax) == "Importance of inputs (top 20 of 25)"


def test_calibration_averages_tenths() -> None:
    (ax,) = plots.calibration(predictions(100)).axes
    model = ax.lines[1]
    assert np.asarray(model.get_ydata()) == pytest.approx([0, 0, 0.5, *[1] * 7], abs=0.11)
    assert np.asarray(model.get_xdata())[0] == pytest.approx(np.linspace(0.3, 0.7, 100)[:10].mean())
    assert len(np.asarray(plots.calibration(predictions(3)).axes[0].lines[1].get_xdata())) == 3


def test_scores_all_alike_are_said_to_be() -> None:
    (ax,) = plots.score_distribution(predictions(50)).axes
    assert sum(heights(ax)) == 50
    (flat,) = plots.score_distribution(pl.DataFrame({"score": [0.5, 0.5]})).axes
    assert [text.get_text() for text in flat.texts] == ["every score is 0.5"]


def test_top_scores_are_best_and_last_around_a_half() -> None:
    (ax,) = plots.top_scores(predictions(101), n=2).axes
    assert ticks(ax, "y") == ["S0  101", "S1  100", "S99  2", "S100  1"]
    assert widths(ax) == pytest.approx([-0.2, -0.196, 0.196, 0.2])
    assert title(ax) == "Top scores: best 2 and last 2 of 101"
    (few,) = plots.top_scores(predictions(3), n=10).axes
    assert ticks(few, "y") == ["S0  3", "S1  2", "S2  1"]


def test_gates_say_in_words_what_the_colours_say() -> None:
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


def test_an_adjusted_history_marks_what_changed() -> None:
    (ax,) = plots.adjustment(renamed()).axes
    assert [text.get_text() for text in ax.texts] == ["÷ 5, OLD → NEW, new ISIN"]
    traded, adjusted = ax.lines[:2]
    assert np.asarray(traded.get_ydata()).tolist() == [100.0, 105.0, 20.5, 22.0]
    assert np.asarray(adjusted.get_ydata()).tolist() == [20.0, 21.0, 20.5, 22.0]
    with pytest.raises(UsageError, match="one instrument"):
        plots.adjustment(renamed().with_columns(instrument_id=pl.Series(["a", "a", "b", "b"])))


def test_labels_of_neighbouring_changes_stand_below_one_another() -> None:
    figure = plots.adjustment(renamed().with_columns(symbol=pl.Series(["OLD", "NEW", "NEW", "NEWER"])))
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.texts] == ["OLD → NEW", "÷ 5, new ISIN", "NEW → NEWER"]
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))


def test_tellings_of_one_history_are_a_line_each() -> None:
    now = renamed().with_columns(telling=pl.lit("now"))
    then = now.head(3).with_columns(pl.col("close") * 5, telling=pl.lit("then"))
    (ax,) = plots.tellings(pl.concat([now, then])).axes
    assert title(ax) == "NEW"
    assert [str(line.get_label()) for line in ax.lines] == ["then", "now"]
    assert np.asarray(ax.lines[0].get_ydata()).tolist() == [100.0, 105.0, 102.5]
    assert np.asarray(ax.lines[0].get_xdata()).tolist() == [0, 1, 2]
    assert ticks(ax, "y")
