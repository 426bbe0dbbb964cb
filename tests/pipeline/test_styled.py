"""Styles, sectors and targets of a lake's instruments, as known on each session."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from champion.errors import UsageError
from champion.lake import Lake
from champion.modeling import risk, targets
from champion.modeling.estimators import Recipe
from champion.modeling.labels import forward_return
from champion.modeling.styles import SECTOR, STYLES
from champion.modeling.universe import find
from champion.pipeline.feature_store.risk_model import risk_model
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.ingest.corporate_actions import known_factors
from champion.pipeline.models import frames, styled
from champion.portfolio.construction import Rule
from champion.settings import Settings

HORIZON = 5


@pytest.fixture(scope="module")
def lake(modelled: Settings) -> Lake:
    return Lake(modelled.lake)


@pytest.fixture(scope="module")
def frame(lake: Lake) -> pl.DataFrame:
    sessions = lake.sessions("normalized_equity_ohlc")
    return frames.training_frame(lake, sessions[-60], sessions[-1], horizon=HORIZON, universe=find("all"))


def test_styles_of_a_session_are_known_at_its_close(lake: Lake, frame: pl.DataFrame) -> None:
    """Later sessions change nothing, nor do earlier ones that the styles do not use."""
    day: date = frame["trade_date"].unique().sort()[30]
    whole = styled.with_styles(lake, frame).filter(trade_date=day)
    alone = styled.with_styles(lake, frame.filter(trade_date=day))
    assert_frame_equal(whole.select("instrument_id", *STYLES, SECTOR), alone.select("instrument_id", *STYLES, SECTOR))
    assert whole.drop_nulls(STYLES).height > 10
    assert whole[SECTOR].null_count() == 0
    assert styled.with_styles(lake, frame.clear()).columns == styled.with_styles(lake, frame).columns


def test_the_risk_of_a_session_does_not_depend_on_the_last_session_of_the_model(lake: Lake) -> None:
    sessions = lake.sessions("normalized_equity_ohlc")
    estimation, ends = risk.Estimation(fewest=20), (sessions[-50], sessions[-25], sessions[-1])
    models = [risk_model(sessions[-90], end, universe="all", estimation=estimation, lake=lake) for end in ends]
    later = known_factors(lake).filter(pl.col("ex_date") > ends[0], pl.col("price_factor").is_not_null())
    assert later.height, "no later action could change a price"
    alone, *others = (model.at(ends[0]) for model in models)
    for each in others:
        names = list(alone.instruments)
        assert names == list(each.instruments)
        difference = np.abs(each.covariance(names) - alone.covariance(names)).max()
        assert difference <= 1e-12 * np.abs(alone.covariance(names)).max()


def test_target_combines_the_horizons_of_a_recipe(lake: Lake, frame: pl.DataFrame) -> None:
    recipe = Recipe(target="rank", horizons=(1, 3))
    found = styled.with_target(lake, frame, recipe, horizon=HORIZON)
    assert found.columns == [*frame.columns, "target"]
    bars = adjusted_bars(lake, columns=("instrument_id", "trade_date", "close"), kinds=None)
    key = ["instrument_id", "trade_date"]
    by_hand = frame.select(*key, "forward_return")
    for horizon in recipe.horizons:
        returns = forward_return(bars, horizon, frames.LAG).select(*key, pl.col("forward_return").alias(f"r{horizon}"))
        by_hand = by_hand.join(returns, on=key, how="left", maintain_order="left")
    expected = targets.add_target(by_hand, "rank", ["r1", "r3", "forward_return"])["target"]
    both = pl.DataFrame({"found": found["target"], "expected": expected}).drop_nulls()
    assert (both["found"] - both["expected"]).abs().max() < 1e-12  # type: ignore[operator]
    assert both.height > 500
    assert styled.with_target(lake, frame, Recipe(), horizon=HORIZON) is frame
    residual = styled.with_target(lake, frame, Recipe(target="residual"), horizon=HORIZON)
    assert residual["target"].drop_nulls().is_between(0, 1).all()
    with pytest.raises(UsageError, match="horizons 5 cannot be combined with a horizon of 5 sessions"):
        styled.with_target(lake, frame, Recipe(horizons=(5,)), horizon=HORIZON)


def test_portfolio_that_keeps_its_shares_is_more_clustered_than_one_that_changes_them(
    lake: Lake, frame: pl.DataFrame
) -> None:
    rule = Rule(top=5, cap=1.0)
    kept = frame.select("trade_date", "instrument_id", score=pl.col("instrument_id").hash(1).cast(pl.Float64))
    changing = kept.with_columns(score=pl.struct("trade_date", "instrument_id").hash(1).cast(pl.Float64))
    factors = [styled.clustered(lake, scores, rule) for scores in (kept, changing)]
    assert all(1 <= factor < 3 for factor in factors)
    assert math.isnan(styled.clustered(lake, kept.clear(), rule))
    # It holds every scored share, as its benchmark does, so a few of them cannot have earned the difference.
    assert styled.clustered(lake, kept, Rule(top=500)) == 1.0
