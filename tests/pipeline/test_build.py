"""Features in the lake: equal to a full build, rebuilt only where bars changed, and the frames of models."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from champion import contracts, features
from champion.errors import LakeError
from champion.lake import Lake
from champion.modeling.universe import Universe, members
from champion.pipeline.feature_store import fingerprints, strategies
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.ingest.bars import equity_bars, with_kinds
from champion.pipeline.ingest.corporate_actions import known_factors
from champion.pipeline.models import frames
from champion.settings import Settings

TRADED = Universe(min_turnover=1e6)
FIRST, LAST = date(2023, 11, 1), date(2024, 8, 30)
BARS, FEATURES = "normalized_equity_ohlc", "features_equity_indicators"


@pytest.fixture(scope="module")
def lake(ingested: Settings, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with bars and features; tests only read it."""
    root = tmp_path_factory.mktemp("features") / "lake"
    shutil.copytree(ingested.lake, root)
    build_features(Lake(root), FIRST, LAST)
    return Lake(root)


@pytest.fixture
def own(lake: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(lake.root, tmp_path / "lake")
    return Lake(tmp_path / "lake")


def by_group(lake: Lake) -> list[str]:
    return [part.sha256 for group in contracts.load(FEATURES).groups for _, part in lake.parts(FEATURES, group=group)]


def test_stored_features_equal_a_full_build(lake: Lake) -> None:
    expected = features.build(equity_bars(lake).collect())
    found = lake.scan(FEATURES).collect().sort("instrument_id", "trade_date")
    assert found.select(expected.columns).equals(expected)
    assert lake.sessions(FEATURES) == lake.sessions(BARS)


def test_daily_builds_equal_one_build(ingested: Settings, lake: Lake, tmp_path: Path) -> None:
    shutil.copytree(ingested.lake, tmp_path / "lake")
    daily = Lake(tmp_path / "lake")
    sessions = daily.sessions(BARS)
    build_features(daily, FIRST, sessions[-4])
    for session in sessions[-3:]:
        assert build_features(daily, session, session).totals["written"] == 1
    assert daily.digest(FEATURES) == lake.digest(FEATURES)


def test_chunks_of_instruments_equal_one_build(known: Settings, tmp_path: Path) -> None:
    """Chunks limit the memory of a build of many years."""
    shutil.copytree(known.lake, tmp_path / "lake")
    lake = Lake(tmp_path / "lake")
    leftover = lake.root / ".building" / "0123456789abcdef"
    leftover.mkdir(parents=True)
    leftover.with_suffix(".lock").touch()  # of a build that was killed
    build = fingerprints.plan(lake, LAST, features.V1, known_factors(lake))
    [whole] = strategies.from_histories(build, build.sessions)
    parts = list(strategies.from_histories(build, build.sessions, at_once=lake.rows(BARS) // 5))
    assert [part.sessions[0].year for part in parts] == [2023, 2024]
    assert [part.state is None for part in parts] == [True, False]
    assert_frame_equal(pl.concat([part.rows for part in parts]), whole.rows, check_row_order=False, check_exact=True)
    assert whole.state is not None
    assert parts[-1].state is not None
    assert parts[-1].state.equals(whole.state)
    assert list((lake.root / ".building").iterdir()) == []


def test_building_again_changes_nothing(own: Lake) -> None:
    before = own.digest(FEATURES)
    assert build_features(own, FIRST, LAST).totals["written"] == 0
    assert own.digest(FEATURES) == before


def test_a_corrected_bar_rebuilds_its_session_and_all_later_ones(own: Lake) -> None:
    sessions = own.sessions(BARS)
    middle = sessions[len(sessions) // 2]
    corrected = own.scan(BARS, middle, middle).with_columns(pl.col("volume") + 1).collect()
    own.write(BARS, middle, corrected, {"file": "corrected"})
    built = build_features(own, FIRST, LAST).sessions
    assert built.filter(pl.col("outcome") == "written")["session"].to_list() == sessions[len(sessions) // 2 :]
    expected = features.build(equity_bars(own).collect())
    assert own.scan(FEATURES).collect().sort("instrument_id", "trade_date").select(expected.columns).equals(expected)


def test_a_lost_group_is_rebuilt(own: Lake) -> None:
    before = by_group(own)
    session = own.sessions(FEATURES)[10]
    shutil.rmtree(own.files(FEATURES, session, session, "volume")[0].parent)
    assert build_features(own, FIRST, LAST).totals["written"] == 1
    assert by_group(own) == before


def test_universe_uses_only_earlier_bars(lake: Lake) -> None:
    bars = with_kinds(lake, equity_bars(lake).collect())
    until = lake.sessions(BARS)[100]
    early = members(bars.filter(pl.col("trade_date") <= until), TRADED)
    late = members(bars, TRADED).filter(pl.col("trade_date") <= until)
    assert early.equals(late)
    assert 0 < early.height < bars.filter(pl.col("trade_date") <= until).height


def test_scoring_inputs_equal_training_inputs(lake: Lake) -> None:
    session = lake.sessions(BARS)[-10]
    trained = frames.training_frame(lake, FIRST, LAST, horizon=5, universe=TRADED)
    scored = frames.scoring_frame(lake, session, universe=TRADED)
    expected = trained.filter(pl.col("trade_date") == session).select(scored.columns)
    assert scored.height > 5
    assert scored.equals(expected)


def test_labels_of_the_last_sessions_are_null(lake: Lake) -> None:
    frame = frames.training_frame(lake, FIRST, LAST, horizon=5, universe=TRADED)
    unknown = frame.filter(pl.col("label_end").is_null())["trade_date"].unique().sort().to_list()
    assert unknown == lake.sessions(BARS)[-5 - frames.LAG :]


def test_a_delisted_share_has_labels_to_its_last_close(lake: Lake) -> None:
    bars, sessions = equity_bars(lake).collect(), lake.sessions(BARS)
    last = bars.group_by("instrument_id").agg(pl.col("trade_date").max())
    ((gone, left),) = last.filter(pl.col("trade_date") < sessions[-30]).rows()
    place = sessions.index(left)
    frame = frames.training_frame(lake, FIRST, LAST, horizon=5, universe=Universe()).filter(instrument_id=gone)
    late = frame.filter(pl.col("trade_date") > sessions[place - 6]).sort("trade_date")
    close = dict(bars.filter(instrument_id=gone).select("trade_date", "close").iter_rows())
    expected: list[tuple[date, float | None, date, date | None]] = []
    for number in range(place - 5, place + 1):
        entry, end = sessions[number + frames.LAG], sessions[number + frames.LAG + 5]
        known = (close[left] / close[entry] - 1, end, left) if entry in close else (None, end, None)
        if sessions[number] in close:
            expected.append((sessions[number], *known))
    found = late.select("trade_date", "forward_return", "label_end", "exit_date").rows()
    assert [row[2:] for row in found] == [row[2:] for row in expected]
    returns = [row[1] for row in expected if row[1] is not None]
    assert late["forward_return"].drop_nulls().to_list() == pytest.approx(returns, rel=1e-3)
    assert returns


def test_a_session_without_features_cannot_be_scored(lake: Lake) -> None:
    with pytest.raises(LakeError, match="no features for session 2030-01-01"):
        frames.scoring_frame(lake, date(2030, 1, 1), universe=TRADED)
