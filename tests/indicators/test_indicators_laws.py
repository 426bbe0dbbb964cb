"""Properties of every indicator: bounds, no unit, no look-ahead, nulls only in the warm-up, no other instruments."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings, strategies as st
from indicator_cases import ALL, BAR, CLOSE, HIGH, LOW, RECURSIVE, VOLUME, WINDOWED, bars

from champion import indicators as ind

PERCENT = [
    *("stochastic_rsi_k", "stochastic_rsi_d", "adx", "plus_di", "minus_di", "stochastic_fast_k", "stochastic_fast_d"),
    *("mfi", "aroon_up", "aroon_down"),
]
UNIT_FREE = [
    *PERCENT,
    *("ppo", "trix", "natr", "accumulation", "chaikin_oscillator", "williams_r", "cci", "simple_return", "log_return"),
    *("roc", "realised_volatility", "parkinson", "garman_klass", "rogers_satchell", "yang_zhang"),
    *("chaikin_money_flow", "rolling_zscore", "rolling_rank", "beta", "correlation"),
]

law = settings(max_examples=12)
seeds = st.integers(0, 2**20)


@law
@given(seed=seeds, length=st.integers(1, 60))
def test_nulls_are_in_the_warm_up_only(seed: int, length: int) -> None:
    got = bars(seed, length).select(**ALL)
    for name, (_, rows) in (RECURSIVE | WINDOWED).items():
        assert got[name].is_null().to_list() == [row < rows for row in range(length)], name
        assert got[name].drop_nulls().cast(pl.Float64).is_finite().all(), name


def test_missing_bar_affects_only_its_windows() -> None:
    row, after = pl.int_range(pl.len()), 45
    followed = {"ema": ind.ema(CLOSE, 5), "rsi": ind.rsi(CLOSE, 5), "atr": ind.atr(*BAR, 5), "kama": ind.kama(CLOSE, 5)}
    followed |= {"obv": ind.obv(CLOSE, VOLUME), "sar": ind.parabolic_sar(HIGH, LOW)}
    wanted = ALL | followed
    whole = bars(3, 60)
    missing = whole.with_columns(pl.when(row != 30).then(name).alias(name) for name in whole.columns)
    found, expected = (frame.select(**wanted) for frame in (missing, whole))
    assert found.row(30) == (None,) * found.width
    assert found[:30].equals(expected[:30])
    assert found[after:].null_count().sum_horizontal().item() == 0
    assert found[after:].select(list(WINDOWED)).equals(expected[after:].select(list(WINDOWED)))


@law
@given(seed=seeds, length=st.integers(1, 60))
def test_bounds(seed: int, length: int) -> None:
    frame = bars(seed, length)
    got = frame.select(**ALL, close=CLOSE)
    for name in PERCENT:
        assert got[name].is_between(0, 100).all(), name
    assert got["williams_r"].is_between(-100, 0).all()
    assert got["rolling_rank"].is_between(0.1, 1).all()
    assert got["rolling_zscore"].is_between(-3.0000001, 3.0000001).all()
    for name in ("chaikin_money_flow", "correlation"):
        assert got[name].is_between(-1, 1).all(), name
    for name in ("realised_volatility", "parkinson", "garman_klass", "rogers_satchell", "yang_zhang", "natr"):
        assert (got[name] >= 0).all(), name
    assert (got["donchian_lower"] <= got["close"]).all()
    assert (got["close"] <= got["donchian_upper"]).all()
    assert (got["keltner_lower"] < got["keltner_upper"]).all()


@law
@given(seed=seeds, power=st.integers(-2, 5))
def test_oscillators_do_not_depend_on_the_price_unit(seed: int, power: int) -> None:
    frame = bars(seed, 60)
    scaled = frame.with_columns((pl.col("open", "high", "low", "close") * 2.0**power).round(4))
    chosen = {name: ALL[name] for name in UNIT_FREE}
    ours, theirs = frame.select(**chosen), scaled.select(**chosen)
    assert [name for name in UNIT_FREE if not ours[name].equals(theirs[name])] == []


@law
@given(seed=seeds, length=st.integers(1, 70), cut=st.integers(1, 70))
def test_no_indicator_looks_ahead(seed: int, length: int, cut: int) -> None:
    frame = bars(seed, length)
    ours, theirs = frame.select(**ALL).head(cut), frame.head(cut).select(**ALL)
    assert [name for name in ALL if not ours[name].equals(theirs[name])] == []


@law
@given(seed=seeds, lengths=st.lists(st.integers(1, 40), min_size=2, max_size=4))
def test_values_do_not_depend_on_other_instruments(seed: int, lengths: list[int]) -> None:
    levels = (0.3, 9e6, 100.0, 4000.0)
    each = [bars(seed + at, length, levels[at], 0.3 / (1 + at)) for at, length in enumerate(lengths)]
    named = [frame.with_columns(instrument_id=pl.lit(at), row=pl.int_range(pl.len())) for at, frame in enumerate(each)]
    mixed = pl.concat(named).sort("row", maintain_order=True)
    got = mixed.with_columns(pl.col("instrument_id"), **{n: e.over("instrument_id") for n, e in ALL.items()})
    for at, frame in enumerate(each):
        ours, alone = got.filter(pl.col("instrument_id") == at), frame.select(**ALL)
        assert [name for name in ALL if not ours[name].equals(alone[name])] == []


@law
@given(seed=seeds)
def test_windows_depend_on_their_own_rows_only(seed: int) -> None:
    """Neither earlier history nor another instrument above it in one column changes a bit."""
    chosen = {name: expression for name, (expression, _) in WINDOWED.items()}
    frame, neighbour = bars(seed, 50), bars(seed, 30, 5e8, 0.01)
    whole = frame.select(**chosen)
    below = pl.concat([neighbour, frame]).select(**chosen).tail(50)
    for name, (expression, rows) in WINDOWED.items():
        assert below[name][rows:].equals(whole[name][rows:]), name
        assert frame.tail(rows + 1).select(expression)[-1, 0] == whole[name][-1], name


@law
@given(seed=seeds, length=st.integers(2, 40))
def test_row_order_changes_no_rank_and_only_last_bits_of_means(seed: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame({name: rng.normal(0, 1, length) for name in "xyz"})
    x, y, z = (pl.col(name) for name in "xyz")
    cross = ind.cross_section
    chosen = {"rank": cross.rank(x), "demeaned": cross.demean(x), "neutral": cross.neutralise(x, y, z)}
    order = rng.permutation(length)
    ours, theirs = frame.select(**chosen)[order], frame[order].select(**chosen)
    assert ours["rank"].equals(theirs["rank"])
    for name in ("demeaned", "neutral"):
        assert np.allclose(ours[name], theirs[name], rtol=0, atol=1e-12), name
