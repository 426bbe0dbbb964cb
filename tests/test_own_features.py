"""Own features: the same whole, nightly and alone, to the last bit; anything else is refused with what to declare."""

from __future__ import annotations

import polars as pl
from expressions import evaluated, sources
from hypothesis import given, settings, strategies as st
from markets import market
from polars.testing import assert_frame_equal

from champion import features
from champion.errors import UsageError
from champion.features import Feature, FeatureSet

CLOSE, HIGH, LOW = pl.col("close"), pl.col("high"), pl.col("low")


def own(expression: pl.Expr, lookback: int = 1, **more: object) -> FeatureSet:
    """Return a set of one feature."""
    return FeatureSet("own_x", "x1", (Feature("x", "g", lookback, pl.Float64(), "", expression, **more),))  # type: ignore[arg-type]


def is_refused(chosen: FeatureSet) -> bool:
    """Tell whether the set is refused when it is first used, by its feature's name."""
    try:
        features.find(chosen)
    except UsageError as error:
        return "x" in str(error).split()[:6] or f"{chosen.version}: x " in str(error)
    return False


def bars_of(lengths: list[int], seed: int = 1) -> pl.DataFrame:
    """Return bars with every column, each instrument from its own session on."""
    return market(lengths, seed).with_columns(open=pl.col("low"), trades=pl.col("volume") // 10)


def assert_one_value(bars: pl.DataFrame, chosen: FeatureSet, nights: int = 3) -> None:
    """Assert that values are the same whole, alone, over the history then known, and built night after night."""
    whole = features.build(bars, chosen)
    alone = [features.build(part, chosen) for part in bars.partition_by("instrument_id", maintain_order=True)]
    assert_frame_equal(pl.concat(alone).sort("instrument_id", "trade_date"), whole, check_exact=True)
    found, days = features.find(chosen), bars["trade_date"].unique().sort()
    for day in days[-nights:]:
        then = bars.filter(pl.col("trade_date") <= day)
        now = whole.filter(pl.col("trade_date") == day)
        assert_frame_equal(features.build(then, chosen).filter(pl.col("trade_date") == day), now, check_exact=True)
        if found.advances:
            state = features.state_after(bars.filter(pl.col("trade_date") < day), chosen)
            rows, _ = features.advance(state, bars.filter(pl.col("trade_date") == day), chosen)
            assert_frame_equal(rows, now, check_exact=True)
    if not any(feature.recursive for feature in found.features):
        recent = bars.group_by("instrument_id", maintain_order=True).tail(found.lookback)
        last = [features.build(each, chosen).group_by("instrument_id").last() for each in (recent, bars)]
        assert_frame_equal(*(each.sort("instrument_id") for each in last), check_exact=True)


@settings(max_examples=150)
@given(sources(), st.integers(1, 30), st.integers(0, 2**16), st.lists(st.integers(1, 70), min_size=1, max_size=3))
def test_random_expressions_give_one_value_or_are_refused(
    source: str, lookback: int, seed: int, lengths: list[int]
) -> None:
    chosen = own(evaluated(source), lookback)
    if not is_refused(chosen):
        assert_one_value(bars_of(lengths, seed), chosen)
