"""alpha158 and technical in the pipeline: daily builds equal a rebuild, a correction changes one share, v1 stays."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from copies import with_warehouse

from champion import contracts, features, warehouse
from champion.contracts.datasets import BARS
from champion.features import FeatureSet
from champion.lake import Lake
from champion.pipeline.feature_store.build import build_features, outdated_sessions, stale_sessions
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.maintenance.load_warehouse import load
from champion.settings import Settings

SETS = [features.find(version) for version in ("alpha158", "technical")]
SPLIT = date(2024, 4, 8)  # in the simulated archive: a bonus and a split in one row


@pytest.fixture
def home(known: Settings, tmp_path: Path) -> Settings:
    own = known.model_copy(update={"home": tmp_path / "home"})
    shutil.copytree(known.lake, own.lake)
    return own


def around(lake: Lake, first: int, last: int) -> tuple[date, date]:
    sessions = lake.sessions(BARS)
    middle = sessions.index(SPLIT)
    return sessions[middle + first], sessions[middle + last]


def same(left: Lake, right: Lake, chosen: FeatureSet) -> None:
    """Assert that features and the last state are the same, byte for byte."""
    assert left.sessions(chosen.contract) == right.sessions(chosen.contract)
    assert left.digest(chosen.contract) == right.digest(chosen.contract)
    last = right.sessions(chosen.state_contract)[-1]
    assert left.digest(chosen.state_contract, last) == right.digest(chosen.state_contract, last)


@pytest.mark.parametrize("chosen", SETS, ids=lambda chosen: chosen.version)
def test_daily_builds_equal_a_rebuild_over_a_split_and_a_late_correction(
    home: Settings, tmp_path: Path, chosen: FeatureSet
) -> None:
    daily, whole = Lake(home.lake), Lake(Path(shutil.copytree(home.lake, tmp_path / "whole")))
    start, end = around(daily, -2, 3)
    for number, session in enumerate(daily.sessions(BARS, start, end)):
        made = build_features(daily, session, session, feature_set=chosen.version)
        assert made.strategies == (("advanced",) if number else ("rebuilt",))
    assert build_features(whole, start, end, feature_set=chosen, from_state=False).strategies == ("rebuilt",)
    same(daily, whole, chosen)
    assert daily.verify(chosen.contract) == []
    groups = contracts.load(chosen.contract).groups
    assert all(daily.sessions(chosen.contract) == whole.sessions(chosen.contract) for _ in groups)

    before = daily.scan(chosen.contract).collect()
    corrected = around(daily, -1, 0)[0]
    bars = daily.scan(BARS, corrected, corrected).collect()
    name = equity_bars(daily, corrected, corrected).select("instrument_id").sort("instrument_id").collect().item(2, 0)
    mine = pl.col("instrument_id") == name
    more = [
        pl.when(mine).then(pl.col(each) + add).otherwise(each).alias(each)
        for each, add in (("volume", 11), ("high", 1))
    ]
    for lake in (daily, whole):
        lake.write(BARS, corrected, bars.with_columns(*more), {"file": "corrected"})
    assert outdated_sessions(daily, end, chosen.version) == daily.sessions(BARS, corrected, end)
    assert build_features(daily, start, end, feature_set=chosen.version).strategies == ("repaired",)
    build_features(whole, start, end, feature_set=chosen.version, from_state=False)
    same(daily, whole, chosen)
    changed = daily.scan(chosen.contract).collect().join(before, on=before.columns, how="anti", nulls_equal=True)
    assert changed["instrument_id"].unique().to_list() == [name]


@pytest.mark.parametrize("chosen", SETS, ids=lambda chosen: chosen.version)
def test_sets_are_independent_and_load_into_the_warehouse(
    home: Settings, migrated: Settings, chosen: FeatureSet
) -> None:
    lake = Lake(home.lake)
    start, end = around(lake, 60, 62)
    build_features(lake, start, end, feature_set=chosen.version)
    held = lake.digest(chosen.contract)
    assert len(stale_sessions(lake, end)) == len(lake.sessions(BARS, end=end))
    build_features(lake, start, end)
    assert lake.digest(chosen.contract) == held
    expected = features.build(equity_bars(lake, end=end).collect(), "v1")
    assert (
        lake.scan(features.find("v1").contract).collect().height
        == expected.filter(pl.col("trade_date") >= start).height
    )

    months = load(with_warehouse(home, migrated), start, end, (chosen.contract,))
    assert sum(month.rows for month in months) == lake.rows(chosen.contract)
    stored = warehouse.sql(home, f"select * from {chosen.contract}").sort("instrument_id", "trade_date")
    kept = lake.scan(chosen.contract).collect().sort("instrument_id", "trade_date")
    assert stored.select(chosen.columns).equals(kept.select(chosen.columns))
    full = {"alpha158": "RANK60", "technical": "channel_slope_60"}[chosen.version]
    assert stored[full].drop_nulls().len() > 10
