"""Figures of features: coverage, distributions, correlation, drift."""

from __future__ import annotations

import math
from io import BytesIO

import numpy as np
import polars as pl
import pytest
from figures import EVERY, features, footer, shapes, ticks, title, widths
from scipy.stats import spearmanr

from champion import plots
from champion.errors import UsageError


def test_coverage_is_sorted_and_labelled() -> None:
    frame = pl.DataFrame({"late": [None, None, None, 1.0], "full": [1, 2, 3, 4], "half": [None, None, 1.0, 2.0]})
    (ax,) = plots.feature_coverage(frame).axes
    assert ticks(ax, "y") == ["full", "half", "late"]
    assert widths(ax) == [1.0, 0.5, 0.25]
    assert title(ax) == "Feature coverage: 1 of 3 complete"


def test_distributions_clip_tails_and_explain_missing_histograms() -> None:
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


def test_distributions_are_compared_with_earlier_ones() -> None:
    now = pl.DataFrame({"even": [1.0, 2.0, 3.0, 4.0] * 30})
    before = pl.DataFrame({"even": [1.0, 4.0, 4.0, 4.0] * 10, "other": "kept out"})
    fills, outlines = plots.feature_distributions(now, before).axes[0].collections
    (now_steps,), (before_steps,) = shapes(fills), shapes(outlines)
    tops = [max(steps[0, 1] - steps[:, 1]) for steps in (now_steps, before_steps)]
    assert tops[0] / tops[1] == pytest.approx(0.25 / 0.75), "shares, though one has three times the rows"
    with pytest.raises(UsageError, match="before lacks even"):
        plots.feature_distributions(now, before.select("other"))


def test_wide_ranges_have_a_logarithmic_scale() -> None:
    values = [10.0 ** (power / 100) for power in range(401)]
    ax = plots.feature_distributions(pl.DataFrame({"price": values})).axes[0]
    assert [text.get_text() for text in ax.texts] == ["price, log", "1.1", "9.12k"]
    (steps,) = shapes(ax.collections[0])
    assert np.ptp(steps[1:61, 1]) < 0.05, "evenly spread in its logarithm"


def test_many_features_fit_on_one_page() -> None:
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
    assert title(drift.axes[0]) == "Feature drift: 27 of 158 at 0.25 or more; the 40 largest"
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


def test_correlation_with_missing_values_equals_scipy() -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(0, 30, size=(80, 6)).astype(float)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[:, 3:] = np.where(np.isnan(values[:, :1]), np.nan, np.nan_to_num(values[:, 3:]))
    frame = pl.DataFrame(values, schema=[f"c{n}" for n in range(6)]).fill_nan(None)
    expected = []
    for row, column in zip(*np.tril_indices(6), strict=True):
        both = ~np.isnan(values[:, row]) & ~np.isnan(values[:, column])
        expected.append(spearmanr(values[both, row], values[both, column]).statistic)
    drawn = [text.get_text().replace("\N{MINUS SIGN}", "-") for text in plots.feature_correlation(frame).axes[0].texts]
    assert [float(text) for text in drawn] == pytest.approx(expected, abs=0.00501)


def test_drift_is_sorted_and_counts_unknown_columns() -> None:
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
