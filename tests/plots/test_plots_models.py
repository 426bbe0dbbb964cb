"""Figures of a model: information coefficients, returns, calibration, importance, scores, folds."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import polars as pl
import pytest
from figures import DECAY, EVERY, days, folds, footer, heights, predictions, series, shapes, ticks, title, widths
from matplotlib.collections import PathCollection

from champion import plots


def test_ic_by_horizon_shows_two_standard_errors() -> None:
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
    assert "maximum drawdown \N{MINUS SIGN}10.0%, 67% of periods up" in title(upper)


def test_initial_loss_is_a_drawdown() -> None:
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


def test_equal_scores_have_a_text() -> None:
    (ax,) = plots.score_distribution(predictions(50)).axes
    assert sum(heights(ax)) == 50
    (flat,) = plots.score_distribution(pl.DataFrame({"score": [0.5, 0.5]})).axes
    assert [text.get_text() for text in flat.texts] == ["every score is 0.5"]


def test_top_scores_are_best_and_last_around_one_half() -> None:
    (ax,) = plots.top_scores(predictions(101), n=2).axes
    assert ticks(ax, "y") == ["S0  101", "S1  100", "S99  2", "S100  1"]
    assert widths(ax) == pytest.approx([-0.2, -0.196, 0.196, 0.2])
    assert title(ax) == "Top scores: best 2 and last 2 of 101"
    (few,) = plots.top_scores(predictions(3), n=10).axes
    assert ticks(few, "y") == ["S0  3", "S1  2", "S2  1"]


def test_folds_are_in_order_and_bad_ones_orange() -> None:
    left, right = plots.fold_metrics(folds()).axes
    assert title(left) == "Rank IC above 0 in 2 of 3 folds"
    assert heights(left) == pytest.approx([-0.01, 0.02, 0.04])
    assert heights(right) == pytest.approx([-0.01, 0.01, 0.03])
    colors = [patch.get_facecolor() for patch in left.patches]
    assert colors[0] != colors[1] == colors[2]


def test_months_are_means_of_their_sessions() -> None:
    days_of = [date(2023, 12, 29), date(2024, 1, 1), date(2024, 1, 2)]
    (ax,) = plots.ic_by_month(pl.DataFrame({"trade_date": days_of, "ic": [-0.05, 0.02, 0.04]})).axes
    assert [text.get_text() for text in ax.texts if text.get_text()] == ["\N{MINUS SIGN}5.0", "3.0"]
    assert ticks(ax, "y") == ["2023", "2024"]
    assert title(ax) == "Rank IC by month, in hundredths: above 0 in 1 of 2 months"


def test_two_models_show_running_sums_and_their_difference() -> None:
    frame = series(3).with_columns(challenger=pl.lit(0.02), champion=pl.lit(0.01))
    upper, lower = plots.against(frame).axes
    assert [line.get_ydata()[-1] for line in upper.lines[:2]] == pytest.approx([0.06, 0.03])  # type: ignore[index]
    assert lower.lines[0].get_ydata()[-1] == pytest.approx(0.03)  # type: ignore[index]
    assert title(upper) == "Rank IC 0.0200 against 0.0100"


def test_turnover_title_shows_costs() -> None:
    frame = series(4).with_columns(turnover=pl.lit(1.5), cost=pl.lit(0.0015))
    upper, lower = plots.portfolio_turnover(frame).axes
    assert title(upper) == "Portfolio turnover: 1.50 per rebalance, total costs 0.6% of capital"
    assert lower.lines[0].get_ydata()[-1] == pytest.approx(0.6)  # type: ignore[index]


def test_groups_keep_their_order() -> None:
    groups = pl.DataFrame({"group": ["b", "a"], "ic": [0.02, -0.01]})
    (ax,) = plots.ic_by_group(groups).axes
    assert ticks(ax, "y") == ["a", "b"]  # drawn upwards: b is on top
    assert widths(ax) == pytest.approx([-0.01, 0.02])
    (named,) = plots.ic_by_group(groups, ["a", "b"]).axes
    assert ticks(named, "y") == ["b", "a"]


def test_delay_is_drawn_with_its_error() -> None:
    frame = pl.DataFrame({"lag": [1, 0], "ic": [0.01, 0.03], "error": [0.005, None]})
    (ax,) = plots.ic_by_lag(frame).axes
    assert ax.lines[0].get_ydata()[0] == 0.03  # type: ignore[index]
    assert title(ax) == "Rank IC by delay: 0.030 at 0, 0.010 at 1 session"
