"""A set of own and shipped features is built, trained on and scored without price scale, or refused."""

from __future__ import annotations

import shutil
from datetime import date

import polars as pl
import pytest
from ideas import MIXED, PART, PLACE, RSI_7
from polars.testing import assert_frame_equal

from champion import contracts, features
from champion.errors import UsageError
from champion.lake import Lake
from champion.modeling import training
from champion.modeling.estimators import Recipe
from champion.modeling.model_inputs import MODEL_INPUTS, model_inputs
from champion.modeling.splits import PurgedWalkForward
from champion.modeling.universe import find
from champion.pipeline.feature_store.build import build_features, compare_with_rebuild
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.models import frames
from champion.pipeline.models.model_columns import model_columns
from champion.pipeline.operations import own_features
from champion.settings import Settings

START, END = date(2024, 4, 1), date(2024, 6, 28)
ADDED = "v1+ideas:PLACE+ideas:RSI_7"


@pytest.fixture(scope="module")
def lake(known: Settings, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The known workspace's lake, which tests of this module add features to."""
    home = tmp_path_factory.mktemp("own") / "home"
    shutil.copytree(known.lake, home / "lake")
    return Lake(home / "lake")


def test_mixed_set_has_the_inputs_of_v1_and_its_own() -> None:
    columns = model_columns(MIXED)
    assert columns.derived == tuple(MODEL_INPUTS)
    assert columns.ranked == ("place", "shares")
    assert "as 26 inputs free of scale" in columns.notes[0].replace(str(len(MODEL_INPUTS)), "26")
    assert columns.notes[1].startswith("shares: in shares")
    assert model_columns("v1").names == MODEL_INPUTS
    assert model_columns("alpha158").names == features.ALPHA158.columns


def test_part_of_v1_gives_the_inputs_that_it_can_compute() -> None:
    assert model_columns(PART).names == ["close_to_sma_5", "return_1", "return_5", "return_20", "place"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ideas:RUPEES", "rupees1: moved depends on the level of prices"),
        ("v1+ideas:MOVED", "moved depends on the level of prices"),
        ("v1+ideas:NAMED_AS_INPUT", "return_5 has the name of an input"),
        ("v1+ideas:PLACE+ideas:PLACE", "place occurs twice"),
        ("v1+ideas:NOTHING", "module 'ideas' has no attribute 'NOTHING'"),
        ("v1+place", "'place' names no feature; write it as module:FEATURE"),
        ("v1+ideas:pl", "is a module, not a champion.features.Feature"),
        ("v9+ideas:PLACE", "'v9' is not known"),
    ],
)
def test_sets_that_cannot_be_trained_on_are_refused_with_a_remedy(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        model_columns(name)


def test_added_feature_is_equal_in_whole_and_nightly_builds_and_reports_its_cost(lake: Lake) -> None:
    built = build_features(lake, START, date(2024, 6, 26), feature_set=ADDED)
    assert built.stateless == ("rsi_7",)
    assert built.cost is not None
    assert built.cost.startswith(
        f"rsi_7: recursive, computed from each instrument's first bar: {built.bars:,} bars in "
    )
    assert built.bars == lake.rows("normalized_equity_ohlc", end=date(2024, 6, 26))
    nightly = [build_features(lake, day, day, feature_set=ADDED) for day in (date(2024, 6, 27), END)]
    assert [each.strategies for each in nightly] == [("rebuilt",), ("rebuilt",)]
    again = build_features(lake, START, END, feature_set=ADDED)
    assert again.totals["written"] == 0
    assert again.cost is None
    compared = compare_with_rebuild(lake, START, END, feature_set=ADDED)
    assert compared.rows
    assert compared.differing == []
    chosen = features.find(ADDED)
    assert chosen.columns[-2:] == [PLACE.name, RSI_7.name]


def test_set_of_windows_advances_from_carried_state(lake: Lake) -> None:
    build_features(lake, START, date(2024, 6, 26), feature_set="ideas:MIXED")
    built = build_features(lake, date(2024, 6, 27), END, feature_set="ideas:MIXED")
    assert built.strategies == ("advanced",)
    assert built.cost is None
    assert compare_with_rebuild(lake, START, END, feature_set="ideas:MIXED").differing == []


def test_training_and_scoring_use_the_same_inputs(lake: Lake) -> None:
    build_features(lake, START, END, feature_set=ADDED)
    build_features(lake, START, END)
    asked = {"horizon": 2, "universe": find("all")}
    frame = frames.training_frame(lake, START, END, feature_set=ADDED, **asked)  # type: ignore[arg-type]
    names = frames.inputs(ADDED)
    assert names == [*MODEL_INPUTS, "place", "rsi_7"]
    plain = frames.training_frame(lake, START, END, **asked)  # type: ignore[arg-type]
    assert_frame_equal(frame.select(plain.columns), plain, check_exact=True)
    assert frame.select(pl.col(names).is_between(-0.5, 0.5).all()).row(0) == (True,) * len(names)
    result = training.fit(frame, Recipe("logistic"), names, PurgedWalkForward(2, 2, 1))
    scoring = frames.scoring_frame(lake, END, universe=find("all"), feature_set=ADDED)
    scores = training.score(result.estimator, scoring, names)
    assert scores.height == frame.filter(pl.col("trade_date") == END).height
    assert frames.values(lake, END, END, universe=find("all"), feature_set=ADDED).columns[3:] == names
    recomputed = frames.recompute_inputs(lake, [END], universe=find("all"), feature_set=ADDED)
    assert_frame_equal(recomputed.select(names), scoring.select(names), abs_tol=0.06)


def test_inputs_of_a_mixed_set_by_hand(lake: Lake) -> None:
    bars = adjusted_bars(lake, end=END)
    built = features.build(bars, MIXED)
    made = model_inputs(bars, built, ("place",), ("close_to_sma_5",)).filter(pl.col("trade_date") == END)
    day = built.filter(pl.col("trade_date") == END).join(bars, on=["instrument_id", "trade_date"])
    far = (day["close"] / day["sma_5"] - 1).rank() - 0.5
    known = day["close"].len()
    assert made.sort("instrument_id")["close_to_sma_5"].to_list() == pytest.approx(
        (far / known - 0.5).to_list(), abs=1e-9
    )


def test_doctor_lists_own_features_of_an_earlier_version(lake: Lake) -> None:
    settings = Settings(home=lake.root.parent, feature_sets=("v1", "ideas:MIXED"))
    build_features(lake, date(2024, 6, 20), END, feature_set="ideas:MIXED")
    assert own_features.check(settings).state == "ok"
    contract, first = MIXED.contract, date(2024, 6, 20)
    for group in contracts.load(contract).groups:
        manifest = lake.manifest(contract, first, group)
        assert manifest is not None
        rows = lake.scan(contract, first, first, [group]).collect()
        inputs = {**manifest.current.inputs, "feature_set": "mixed1 0123456789abcdef"}
        assert lake.write(contract, first, rows, inputs, group)
    named = own_features.check(settings)
    assert named.state == "warning"
    assert named.found == "1 outdated session of ideas:MIXED, 2024-06-20 to 2024-06-20"
    unnamed = own_features.check(Settings(home=lake.root.parent))
    assert unnamed.found.startswith("features_mixed: an earlier version built 1 session, 2024-06-20 to 2024-06-20")
    assert "champion features START END --feature-set module:NAME" in unnamed.remedy
    build_features(lake, first, END, feature_set="ideas:MIXED")
    assert own_features.check(settings).state == own_features.check(Settings(home=lake.root.parent)).state == "ok"


def test_doctor_reports_a_refused_set(lake: Lake) -> None:
    named = Settings(home=lake.root.parent, feature_sets=("v1+ideas:PEEK",))
    with pytest.raises(UsageError, match="peek reads bars after its own"):
        own_features.check(named)


def test_extended_set_is_named_after_its_parts() -> None:
    assert features.find(ADDED).version == "v1_with_place_rsi_7"
    assert features.find(ADDED).contract == "features_equity_indicators_with_place_rsi_7"
