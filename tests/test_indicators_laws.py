"""Laws every indicator obeys: bounds, no unit, no look-ahead, nulls in the warm-up only, no neighbour, no history."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings, strategies as st

from champion import indicators as ind

OPEN, HIGH, LOW, CLOSE, VOLUME, MARKET = (pl.col(name) for name in ("open", "high", "low", "close", "volume", "market"))
BAR = (HIGH, LOW, CLOSE)
FLOW = (*BAR, VOLUME)
OHLC = (OPEN, *BAR)

RECURSIVE = {  # name: expression, rows of warm-up
    "dema": (ind.dema(CLOSE, 5), 8),
    "tema": (ind.tema(CLOSE, 5), 12),
    "ppo": (ind.ppo(CLOSE, 4, 9), 8),
    "trix": (ind.trix(CLOSE, 5), 13),
    "stochastic_rsi_k": (ind.stochastic_rsi_k(CLOSE, 7, 5, 3), 13),
    "stochastic_rsi_d": (ind.stochastic_rsi_d(CLOSE, 7, 5, 3), 13),
    "adx": (ind.adx(*BAR, 7), 13),
    "plus_di": (ind.plus_di(*BAR, 7), 7),
    "minus_di": (ind.minus_di(*BAR, 7), 7),
    "natr": (ind.natr(*BAR, 7), 7),
    "keltner_upper": (ind.keltner_upper(*BAR, 10, 5), 9),
    "keltner_lower": (ind.keltner_lower(*BAR, 10, 5), 9),
    "accumulation": (ind.accumulation_distribution(*FLOW), 0),
    "chaikin_oscillator": (ind.chaikin_oscillator(*FLOW), 9),
    "force_index": (ind.force_index(CLOSE, VOLUME, 5), 5),
}
WINDOWED = {
    "wma": (ind.wma(CLOSE, 10), 9),
    "stochastic_fast_k": (ind.stochastic_fast_k(*BAR, 5, 3), 6),
    "stochastic_fast_d": (ind.stochastic_fast_d(*BAR, 5, 3), 6),
    "williams_r": (ind.williams_r(*BAR, 7), 6),
    "cci": (ind.cci(*BAR, 10), 9),
    "mfi": (ind.mfi(*FLOW, 7), 7),
    "aroon_up": (ind.aroon_up(HIGH, 7), 7),
    "aroon_down": (ind.aroon_down(LOW, 7), 7),
    "simple_return": (ind.simple_return(CLOSE), 1),
    "log_return": (ind.log_return(CLOSE, 5), 5),
    "roc": (ind.roc(CLOSE, 5), 5),
    "mom": (ind.mom(CLOSE, 5), 5),
    "true_range": (ind.true_range(*BAR), 1),
    "donchian_upper": (ind.donchian_upper(HIGH, 5), 4),
    "donchian_middle": (ind.donchian_middle(HIGH, LOW, 5), 4),
    "donchian_lower": (ind.donchian_lower(LOW, 5), 4),
    "realised_volatility": (ind.realised_volatility(CLOSE, 10), 10),
    "parkinson": (ind.parkinson(HIGH, LOW, 10), 9),
    "garman_klass": (ind.garman_klass(*OHLC, 10), 9),
    "rogers_satchell": (ind.rogers_satchell(*OHLC, 10), 9),
    "yang_zhang": (ind.yang_zhang(*OHLC, 10), 10),
    "chaikin_money_flow": (ind.chaikin_money_flow(*FLOW, 10), 9),
    "rolling_zscore": (ind.rolling_zscore(CLOSE, 10, unit=ind.PRICE_UNIT), 9),
    "rolling_rank": (ind.rolling_rank(CLOSE, 10), 9),
    "beta": (ind.beta(ind.simple_return(CLOSE), MARKET, 10), 10),
    "correlation": (ind.correlation(ind.simple_return(CLOSE), MARKET, 10), 10),
}
ALL = {name: expression for name, (expression, _) in (RECURSIVE | WINDOWED).items()}
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


def bars(seed: int, length: int, level: float = 100.0, move: float = 0.03) -> pl.DataFrame:
    """Return one instrument's sound bars in whole ticks of 0.04 rupee; every price differs from the one before."""
    rng = np.random.default_rng([seed, length])
    close = (
        np.maximum(np.round(level / 0.04 * np.exp(np.cumsum(rng.normal(0, move, length)))), 4) + np.arange(length) % 2
    )
    first = close + rng.integers(-3, 4, length)
    prices = {"open": first, "high": np.maximum(first, close) + rng.integers(0, 3, length)}
    prices |= {"low": np.minimum(first, close) - rng.integers(0, 2, length), "close": close}
    ticks = {name: np.round(np.maximum(one, 1) * 0.04, 2) for name, one in prices.items()}
    volume = rng.integers(1, 10**6, length)
    return pl.DataFrame(ticks | {"volume": volume, "market": rng.normal(0, 0.01, length)})


@law
@given(seed=seeds, length=st.integers(1, 60))
def test_nulls_in_the_warm_up_only(seed: int, length: int) -> None:
    got = bars(seed, length).select(**ALL)
    for name, (_, rows) in (RECURSIVE | WINDOWED).items():
        assert got[name].is_null().to_list() == [row < rows for row in range(length)], name
        assert got[name].drop_nulls().cast(pl.Float64).is_finite().all(), name


def test_a_missing_bar_is_null_and_leaves_the_windows_after_it_alone() -> None:
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
def test_oscillators_have_no_unit(seed: int, power: int) -> None:
    frame = bars(seed, 60)
    scaled = frame.with_columns((pl.col("open", "high", "low", "close") * 2.0**power).round(4))
    chosen = {name: ALL[name] for name in UNIT_FREE}
    ours, theirs = frame.select(**chosen), scaled.select(**chosen)
    assert [name for name in UNIT_FREE if not ours[name].equals(theirs[name])] == []


@law
@given(seed=seeds, length=st.integers(1, 70), cut=st.integers(1, 70))
def test_nothing_looks_ahead(seed: int, length: int, cut: int) -> None:
    frame = bars(seed, length)
    ours, theirs = frame.select(**ALL).head(cut), frame.head(cut).select(**ALL)
    assert [name for name in ALL if not ours[name].equals(theirs[name])] == []


@law
@given(seed=seeds, lengths=st.lists(st.integers(1, 40), min_size=2, max_size=4))
def test_instruments_do_not_leak(seed: int, lengths: list[int]) -> None:
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
def test_a_window_needs_its_own_rows_only(seed: int) -> None:
    """Neither the history before the window nor a neighbour above it in one long column changes a bit."""
    chosen = {name: expression for name, (expression, _) in WINDOWED.items()}
    frame, neighbour = bars(seed, 50), bars(seed, 30, 5e8, 0.01)
    whole = frame.select(**chosen)
    below = pl.concat([neighbour, frame]).select(**chosen).tail(50)
    for name, (expression, rows) in WINDOWED.items():
        assert below[name][rows:].equals(whole[name][rows:]), name
        assert frame.tail(rows + 1).select(expression)[-1, 0] == whole[name][-1], name


@law
@given(seed=seeds, length=st.integers(2, 40))
def test_the_order_of_a_session_changes_no_rank_and_nothing_beyond_rounding(seed: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame({name: rng.normal(0, 1, length) for name in "xyz"})
    x, y, z = (pl.col(name) for name in "xyz")
    cross = ind.cross_section
    chosen = {"rank": cross.rank(x), "winsorised": cross.winsorise(x, 0.1, 0.9), "zscore": cross.zscore(x)}
    chosen |= {"demeaned": cross.demean(x), "neutral": cross.neutralise(x, y, z)}
    order = rng.permutation(length)
    ours, theirs = frame.select(**chosen)[order], frame[order].select(**chosen)
    assert ours.select("rank", "winsorised").equals(theirs.select("rank", "winsorised"))
    for name in ("zscore", "demeaned", "neutral"):
        assert np.allclose(ours[name], theirs[name], rtol=0, atol=1e-12), name
