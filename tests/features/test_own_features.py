"""Own features have bit for bit the same values in whole, nightly and single-instrument builds, or are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import polars as pl
import pytest
from expressions import evaluated, sources
from hypothesis import given, settings, strategies as st
from indicator_cases import RECURSIVE as REMEMBERING, WINDOWED
from markets import market
from polars.testing import assert_frame_equal

from champion import features, indicators
from champion.errors import UsageError
from champion.features import Carried, Feature, FeatureSet, Kernel, synthetic_bars
from champion.features.reach import reach_of

CLOSE, HIGH, LOW = pl.col("close"), pl.col("high"), pl.col("low")


def own(expression: pl.Expr, lookback: int = 1, **more: object) -> FeatureSet:
    """Return a set of one feature."""
    return FeatureSet("own_x", "x1", (Feature("x", "g", lookback, pl.Float64(), "", expression, **more),))  # type: ignore[arg-type]


def is_refused(chosen: FeatureSet) -> bool:
    """Return whether the set is refused on first use, with the name of its feature."""
    try:
        features.find(chosen)
    except UsageError as error:
        return "x" in str(error).split()[:6] or f"{chosen.version}: x " in str(error)
    return False


def bars_of(lengths: list[int], seed: int = 1) -> pl.DataFrame:
    """Return bars with every column; each instrument starts on a different session."""
    return market(lengths, seed).with_columns(open=pl.col("low"), trades=pl.col("volume") // 10)


def assert_one_value(bars: pl.DataFrame, chosen: FeatureSet, nights: int = 3) -> None:
    """Assert equal values over the whole market, per instrument, over shorter histories and in nightly builds."""
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


@settings(max_examples=60)
@given(sources(), st.integers(1, 30), st.integers(0, 2**16), st.lists(st.integers(1, 70), min_size=1, max_size=3))
def test_random_expressions_are_refused_or_give_the_same_values_in_every_build(
    source: str, lookback: int, seed: int, lengths: list[int]
) -> None:
    chosen = own(evaluated(source), lookback)
    if not is_refused(chosen):
        assert_one_value(bars_of(lengths, seed), chosen)


REFUSED = [
    (CLOSE.shift(-1) / CLOSE - 1, 2, r"x1: x reads bars after its own \(shift\(-1\)\)"),
    ((CLOSE - CLOSE.mean()) / CLOSE.std(), 2, r"x1: x reads bars after its own \(mean\(\), std\(\)\)"),
    (CLOSE.rank(), 1, r"reads bars after its own \(rank\(\)\)"),
    (CLOSE * pl.len(), 1, r"reads bars after its own \(len\(\)\)"),
    (CLOSE.rolling_max(5, center=True), 5, r"\(center=True\)"),
    (CLOSE.cum_sum(reverse=True), 1, r"\(reverse=True\)"),
    (CLOSE.shift(1).backward_fill(), 2, "reads bars after its own"),
    (pl.when(CLOSE > 1e8).then(CLOSE.max()).otherwise(CLOSE), 1, r"reads bars after its own \(max\(\)\)"),
    (CLOSE.map_batches(lambda s: s.shift(-1), return_dtype=pl.Float64), 2, "reads bars after its own: on synthetic"),
    (CLOSE / CLOSE.shift(20) - 1, 2, r"declares lookback=2, but reads 21 bars: .* None from the last 2 .*lookback=21"),
    (CLOSE.rolling_mean(20), 19, "declares lookback=19, but reads 20 bars"),
    (CLOSE.rolling_max(20, min_samples=1), 5, r"declares lookback=5, but reads 20 bars.*Declare lookback=20"),
    (CLOSE.map_batches(lambda s: s.rolling_max(7), return_dtype=pl.Float64), 3, "Declare lookback=7"),
    (CLOSE.drop_nulls().head(3), 1, "feature x cannot be computed as Float64 from .* gives one value per bar"),
    (CLOSE.map_batches(lambda _: 1 / 0), 1, "feature x cannot be computed"),
]  # fmt: skip


SELDOM = [
    lambda s: (s.shift(-1) / s > 2).cast(pl.Float64),  # a price that more than doubles
    lambda s: (s.shift(-1) / s < 0.05).cast(pl.Float64),
    lambda s: s - s.mean() if s.len() > 1000 else s,  # uses the whole history only if it is long
    lambda s: pl.when(pl.int_range(s.len(), eager=True) > 700).then(s.max()).otherwise(s),
]


@pytest.mark.parametrize("function", SELDOM)
def test_function_that_rarely_reads_later_bars_is_refused(function: Callable[[pl.Series], pl.Series]) -> None:
    def seldom(values: pl.Series) -> pl.Series:
        made = function(values)
        return made if isinstance(made, pl.Series) else pl.select(made).to_series()

    with pytest.raises(UsageError, match="reads bars after its own: on synthetic bars"):
        features.find(own(CLOSE.map_batches(seldom, return_dtype=pl.Float64), 2))


FIRST = [(CLOSE / CLOSE.drop_nulls().slice(0, 5).mean(), 1), (CLOSE / CLOSE.drop_nulls().slice(0, 50).max(), 40)]


@pytest.mark.parametrize(("expression", "lookback"), FIRST)
def test_mean_of_first_bars_is_refused_on_earlier_bars(expression: pl.Expr, lookback: int) -> None:
    with pytest.raises(UsageError, match="reads bars after its own: on synthetic bars"):
        features.find(own(expression, lookback))
    assert_one_value(bars_of([70, 1, 44, 60]), own(expression, 50))


def test_very_long_window_is_computed_from_the_first_bar() -> None:
    chosen = own(CLOSE.map_batches(lambda s: s.rolling_max(700, min_samples=1), return_dtype=pl.Float64), 5)
    assert features.find(chosen).features[0].recursive
    assert_one_value(bars_of([720, 30]), chosen)


@pytest.mark.parametrize(("expression", "lookback", "message"), REFUSED, ids=lambda value: str(value)[:50])
def test_feature_that_differs_from_its_declaration_is_refused_on_first_use(
    expression: pl.Expr, lookback: int, message: str
) -> None:
    chosen = own(expression, lookback)
    for use in (features.register, features.find, lambda one: features.build(bars_of([3]), one)):
        with pytest.raises(UsageError, match=message):
            use(chosen)


def test_message_contains_both_values() -> None:
    close = synthetic_bars.bars(200).filter(pl.col("instrument_id") == "A")["close"]
    message = f"its value on bar 46 is {close[46]} over the whole history, but None over the first 46 bars"
    with pytest.raises(UsageError, match=message):
        features.find(own(CLOSE.shift(-1), 2))


RECURSIVE = [
    indicators.rsi(CLOSE, 14),
    indicators.ema(CLOSE, 12),
    CLOSE.ewm_mean(alpha=0.97),
    CLOSE.cum_max(),
    CLOSE / CLOSE.first() - 1,
    CLOSE.rolling_mean(5),
    pl.when(pl.col("volume") > 0).then(CLOSE).forward_fill(),
    CLOSE.map_batches(lambda s: s.ewm_mean(span=30), return_dtype=pl.Float64),
    CLOSE.cum_sum().over(pl.col("volume") == 0),
    indicators.stochastic_k(HIGH, LOW, CLOSE, 10, 3),  # its warm-up counts known values from the first bar on
]
WINDOWS = [
    indicators.sma(CLOSE, 14),
    indicators.bollinger_width(CLOSE, 14),
    indicators.stochastic_d(HIGH, LOW, CLOSE, 10, 3),
    CLOSE.pct_change(5),
    CLOSE.rolling_max(10) / CLOSE - 1,
    pl.col("volume").rolling_sum(5) / pl.col("volume"),
    (CLOSE - LOW) / (HIGH - LOW),
    pl.when(CLOSE.shift(3) < CLOSE).then(HIGH).otherwise(LOW).diff(2),
]


@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize("expression", RECURSIVE, ids=lambda value: str(value)[:50])
def test_recursive_feature_is_detected_and_computed_from_the_first_bar(expression: pl.Expr, *, declared: bool) -> None:
    chosen = own(expression, 15, recursive=declared)
    assert features.find(chosen).features[0].recursive
    assert not features.find(chosen).advances
    bars = bars_of([60, 1, 33, 60])
    assert_one_value(bars, chosen)
    by_hand = [
        part.select(x=expression).to_series() for part in bars.partition_by("instrument_id", maintain_order=True)
    ]
    built = features.build(bars, chosen)
    for (_, own_values), values in zip(built.group_by("instrument_id", maintain_order=True), by_hand, strict=True):
        assert own_values["x"][14:].equals(values[14:].cast(pl.Float64))
        assert own_values["x"][:14].is_null().all()


@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize("expression", WINDOWS, ids=lambda value: str(value)[:50])
def test_window_is_detected_and_advances(expression: pl.Expr, *, declared: bool) -> None:
    chosen = own(expression, 15, recursive=declared)
    assert not features.find(chosen).features[0].recursive
    assert features.find(chosen).advances
    assert_one_value(bars_of([60, 1, 33, 60, 15, 14]), chosen)


def test_single_bar_gives_the_same_bits_as_among_others() -> None:
    bars = bars_of([40, 3, 2, 1])
    for expression in (CLOSE / 3, CLOSE / 7.3, CLOSE / CLOSE.first(), (HIGH - LOW) / 0.7):
        assert_one_value(bars, own(expression), nights=40)


def test_own_kernel_gets_one_instrument_from_its_first_bar() -> None:
    def compute(bars: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
        assert bars["instrument_id"].n_unique() == 1
        return bars.select(up=CLOSE.diff(), total=CLOSE.cum_sum()).select(names)

    kernel = Kernel(compute)
    made = tuple(
        Feature(name, "g", 2, pl.Float64(), "", kernel.expression(name, ["instrument_id"], pl.Float64()), kernel=kernel)
        for name in ("up", "total")
    )
    with pytest.raises(UsageError, match="uses"):
        FeatureSet("own_kernel", "kernel1", made)
    made = tuple(replace(each, expression=CLOSE) for each in made)
    chosen = FeatureSet("own_kernel", "kernel1", made)
    assert [each.recursive for each in features.find(chosen).features] == [True, True]
    assert_one_value(bars_of([30, 1, 12]), chosen)


def test_carried_state_must_equal_the_whole_history() -> None:
    def summed(step: pl.Expr) -> FeatureSet:
        total = Carried("total", 1, pl.col("volume").cum_sum(), step, pl.Int64())
        made = Feature("x", "g", 1, pl.Int64(), "", pl.col("volume").cum_sum(), carried=(total,), value=pl.col("total"))
        return FeatureSet("own_x", "x1", (made,))

    sound = summed(pl.col("total") + pl.col("volume"))
    assert features.find(sound).advances
    assert_one_value(bars_of([30, 1, 12]), sound)
    with pytest.raises(UsageError, match=r"x1: x is \d+ over the whole history, but \d+ from its carried values"):
        features.find(summed(pl.col("total") + pl.col("volume") + 1))


def test_shipped_features_in_an_own_set_are_unchanged() -> None:
    ranks = tuple(each for each in features.ALPHA158.features if each.name.startswith("RANK"))
    mixed = FeatureSet(
        "own_mixed", "mixed1", (*features.V1.features, *ranks, *own(indicators.sma(CLOSE, 7), 7).features)
    )
    found = features.find(mixed)
    assert [each.recursive for each in found.features[:-1]] == [each.recursive for each in mixed.features[:-1]]
    bars = bars_of([80, 1, 40])
    built = features.build(bars, mixed)
    assert_frame_equal(built.select(features.V1.columns), features.build(bars).select(features.V1.columns))
    assert_one_value(bars, mixed)


def test_copy_of_a_shipped_feature_with_another_expression_is_an_own_feature() -> None:
    copied = replace(features.V1.features[0], name="peek", kernel=None, expression=CLOSE.shift(-1))
    with pytest.raises(UsageError, match="peek reads bars after its own"):
        features.find(FeatureSet("own_copy", "copy1", (copied,)))


SHIPPED = {name: each for name, each in (REMEMBERING | WINDOWED).items() if name not in {"beta", "correlation"}}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_indicator_is_accepted_with_its_warm_up_as_lookback(name: str) -> None:
    expression, first_row = SHIPPED[name]
    (found,) = features.find(own(expression, first_row + 1)).features
    assert found.recursive or name in WINDOWED
    assert found.recursive is not reach_of(expression).is_window_of(first_row + 1)
