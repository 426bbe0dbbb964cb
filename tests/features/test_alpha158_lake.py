"""alpha158 in the pipeline: daily builds equal a rebuild, a correction changes one share, v1 is unchanged."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from champion import contracts, features, warehouse
from champion.contracts.datasets import BARS
from champion.lake import Lake
from champion.pipeline.feature_store.build import build_features, outdated_sessions, stale_sessions
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.maintenance.load_warehouse import load
from champion.settings import Settings

SET = features.find("alpha158")
STATE = SET.state_contract
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


def same(left: Lake, right: Lake) -> None:
    """Assert that features and the last state are the same, byte for byte."""
    assert left.sessions(SET.contract) == right.sessions(SET.contract)
    assert left.digest(SET.contract) == right.digest(SET.contract)
    last = right.sessions(STATE)[-1]
    assert left.digest(STATE, last) == right.digest(STATE, last)


def test_daily_builds_equal_a_rebuild_over_a_split_and_a_late_correction(home: Settings, tmp_path: Path) -> None:
    daily, whole = Lake(home.lake), Lake(Path(shutil.copytree(home.lake, tmp_path / "whole")))
    start, end = around(daily, -2, 3)
    for number, session in enumerate(daily.sessions(BARS, start, end)):
        made = build_features(daily, session, session, feature_set="alpha158")
        assert made.strategies == (("advanced",) if number else ("rebuilt",))
    assert build_features(whole, start, end, feature_set=SET, from_state=False).strategies == ("rebuilt",)
    same(daily, whole)
    assert daily.verify(SET.contract) == []
    groups = contracts.load(SET.contract).groups
    assert all(daily.sessions(SET.contract) == whole.sessions(SET.contract) for _ in groups)

    before = daily.scan(SET.contract).collect()
    corrected = around(daily, -1, 0)[0]
    bars = daily.scan(BARS, corrected, corrected).collect()
    name = equity_bars(daily, corrected, corrected).select("instrument_id").sort("instrument_id").collect().item(2, 0)
    more = pl.when(pl.col("instrument_id") == name).then(pl.col("volume") + 11).otherwise("volume").alias("volume")
    for lake in (daily, whole):
        lake.write(BARS, corrected, bars.with_columns(more), {"file": "corrected"})
    assert outdated_sessions(daily, end, "alpha158") == daily.sessions(BARS, corrected, end)
    assert build_features(daily, start, end, feature_set="alpha158").strategies == ("repaired",)
    build_features(whole, start, end, feature_set="alpha158", from_state=False)
    same(daily, whole)
    changed = daily.scan(SET.contract).collect().join(before, on=before.columns, how="anti", nulls_equal=True)
    assert changed["instrument_id"].unique().to_list() == [name]


def test_sets_are_independent_and_load_into_the_warehouse(home: Settings) -> None:
    lake = Lake(home.lake)
    start, end = around(lake, 60, 62)
    build_features(lake, start, end, feature_set="alpha158")
    held = lake.digest(SET.contract)
    assert len(stale_sessions(lake, end)) == len(lake.sessions(BARS, end=end))
    build_features(lake, start, end)
    assert lake.digest(SET.contract) == held
    expected = features.build(equity_bars(lake, end=end).collect(), "v1")
    assert (
        lake.scan(features.find("v1").contract).collect().height
        == expected.filter(pl.col("trade_date") >= start).height
    )

    months = load(home, start, end, (SET.contract,))
    assert sum(month.rows for month in months) == lake.rows(SET.contract)
    stored = warehouse.sql(home, f"select * from {SET.contract}").sort("instrument_id", "trade_date")
    kept = lake.scan(SET.contract).collect().sort("instrument_id", "trade_date")
    assert stored.select(SET.columns).equals(kept.select(SET.columns))
    assert stored["RANK60"].drop_nulls().len() > 10
