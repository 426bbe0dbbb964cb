"""Every figure renders, changes no global setting and reports missing columns."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from figures import (
    EVERY,
    account,
    days,
    footer,
    heights,
    ticks,
    title,
)
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from champion import plots
from champion.errors import UsageError
from champion.plots import style

NEEDY = [name for name in EVERY if not name.startswith("feature_") or name == "feature_drift"]


def test_every_plot_is_tested() -> None:
    assert sorted([*EVERY, "trace_graph"]) == plots.__all__, "a graph is two tables: see test_provenance.py"


@pytest.mark.parametrize("name", EVERY)
def test_plot_renders_without_changing_global_settings(name: str) -> None:
    draw, frame = EVERY[name]
    before, image = dict(mpl.rcParams), BytesIO()
    draw(frame).savefig(image, format="png", dpi=40)
    assert image.getvalue().startswith(b"\x89PNG")
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", EVERY)
def test_empty_frame_shows_no_data(name: str) -> None:
    draw, frame = EVERY[name]
    figure = draw(frame.clear())
    assert [text.get_text() for text in figure.axes[0].texts] == ["no data"]
    assert title(figure.axes[0])
    assert "0 rows" in footer(figure)


@pytest.mark.parametrize("name", NEEDY)
def test_missing_column_is_named(name: str) -> None:
    draw, _ = EVERY[name]
    with pytest.raises(UsageError, match=rf"plots\.{name} needs .*; missing: .*; the frame has: other"):
        draw(pl.DataFrame({"other": [1]}))


@pytest.mark.parametrize("draw", [plots.feature_distributions, plots.feature_correlation])
def test_text_feature_is_refused(draw: Callable[[pl.DataFrame], Figure]) -> None:
    with pytest.raises(UsageError, match=r"symbol \(String\): select the numeric columns"):
        draw(pl.DataFrame({"symbol": ["TCS"], "sma_5": [1.0]}))


def test_many_sessions_are_one_area_with_few_ticks() -> None:
    upper, lower = plots.sessions_and_rows(account(700)).axes
    (area,) = [patch for patch in lower.patches if isinstance(patch, StepPatch)]
    assert np.asarray(area.get_data()[0]).tolist() == [0] * 699 + [4]
    assert not heights(upper)
    assert 6 <= len(lower.get_xticks()) <= 12
    assert ticks(lower)[:3] == ["Jan\n2024", "Apr", "Jul"]


@pytest.mark.parametrize("count", [1, 2, 12, 13, 44, 45, 60, 250, 1250, 5000])
def test_session_ticks_are_on_sessions_and_apart(count: int) -> None:
    _, (ax,) = style.panels()
    sessions = days(count)
    assert style.sessions_axis(ax, sessions).tolist() == list(range(count))
    places = [int(place) for place in ax.get_xticks()]
    assert 1 <= len(places) <= 12
    assert all(0 <= place < count for place in places)
    assert all(later - earlier >= count / 30 for earlier, later in pairwise(places))
    assert str(sessions[places[0]].year) in ticks(ax)[0]


def test_the_former_name_of_price_versions_works_with_a_warning() -> None:
    _, frame = EVERY["price_versions"]
    with pytest.warns(DeprecationWarning, match="price_versions"):
        draw = plots.tellings
    assert len(draw(frame.rename({"version": "telling"})).axes[0].lines) == 2
