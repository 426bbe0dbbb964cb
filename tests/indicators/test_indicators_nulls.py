"""Nulls in the input of an indicator: a warm-up counts known values and skips missing ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
import talib
from hypothesis import given, settings, strategies as st
from indicator_cases import ALL, BAR, CLOSE, FLOW, HIGH, LOW, VOLUME, bars

from champion import indicators as ind

Numbers = Iterable[float | None]

OTHERS = {
    "atr": ind.atr(*BAR, 7),
    "aroon_oscillator": ind.aroon_oscillator(HIGH, LOW, 7),
    "bollinger": ind.bollinger(CLOSE, 10),
    "bollinger_lower": ind.bollinger_lower(CLOSE, 10),
    "bollinger_middle": ind.bollinger_middle(CLOSE, 10),
    "bollinger_upper": ind.bollinger_upper(CLOSE, 10),
    "bollinger_width": ind.bollinger_width(CLOSE, 10),
    "cmo": ind.cmo(CLOSE, 7),
    "ema": ind.ema(CLOSE, 5),
    "kama": ind.kama(CLOSE, 5),
    "keltner_middle": ind.keltner_middle(CLOSE, 10),
    "macd": ind.macd(CLOSE, 4, 9, 5),
    "macd_histogram": ind.macd_histogram(CLOSE, 4, 9, 5),
    "macd_signal": ind.macd_signal(CLOSE, 4, 9, 5),
    "obv": ind.obv(CLOSE, VOLUME),
    "parabolic_sar": ind.parabolic_sar(HIGH, LOW),
    "rsi": ind.rsi(CLOSE, 7),
    "slow_stochastic": ind.slow_stochastic(*BAR, 5, 3, 3),
    "sma": ind.sma(CLOSE, 5),
    "standard_deviation": ind.standard_deviation(CLOSE, 10),
    "stochastic_d": ind.stochastic_d(*BAR, 5, 3, 3),
    "stochastic_k": ind.stochastic_k(*BAR, 5, 3, 3),
    "ultimate_oscillator": ind.ultimate_oscillator(*BAR, 3, 5, 9),
    "volume_ma": ind.volume_ma(VOLUME, 5),
    "vwap": ind.vwap(pl.col("close") * VOLUME, VOLUME),
}
EVERY = ALL | OTHERS
TWO_WINDOWS = ("keltner", "stochastic", "slow_stochastic", "williams")  # their columns may be known on different bars
NAMES = {"accumulation": "accumulation_distribution"}

law = settings(max_examples=12)
seeds = st.integers(0, 2**20)


def unknown_first(frame: pl.DataFrame, rows: int) -> pl.DataFrame:
    return pl.concat([frame.clear(rows), frame])


def known(values: Numbers) -> np.ndarray:
    return np.array([value for value in values if value is not None], dtype=np.float64)


def put_back(values: Numbers, found: np.ndarray) -> list[float | None]:
    """Return the values computed from the known rows, on these rows; null elsewhere and where NaN."""
    rest = iter(found)
    row = (None if value is None else float(next(rest)) for value in values)
    return [None if value is None or np.isnan(value) else value for value in row]


def alike(ours: pl.Series, theirs: list[float | None], tolerance: float = 1e-9) -> None:
    assert ours.is_null().to_list() == [value is None for value in theirs]
    assert np.allclose(ours.drop_nulls(), known(theirs), rtol=tolerance, atol=tolerance)


def test_every_indicator_is_tested() -> None:
    public = {name for name in ind.__all__ if callable(getattr(ind, name))}
    assert {NAMES.get(name, name) for name in EVERY} == public


@law
@given(seed=seeds, rows=st.integers(1, 40), length=st.integers(1, 60))
def test_leading_nulls_shift_every_indicator_bit_for_bit(seed: int, rows: int, length: int) -> None:
    frame = bars(seed, length)
    whole, late = frame.select(**EVERY), unknown_first(frame, rows).select(**EVERY)
    assert [name for name in EVERY if not late[name].slice(rows).equals(whole[name])] == []
    first = late.head(rows).unnest("bollinger", "slow_stochastic", separator=".")
    assert first.null_count().row(0) == (rows,) * first.width


@pytest.mark.parametrize("late", ["high", "low", "close", "volume"])
@pytest.mark.parametrize("rows", [1, 13])
def test_warm_up_waits_for_the_latest_column(late: str, rows: int) -> None:
    """A true range needs only the previous close, so it may be known on the bar where the late column starts."""
    frame = bars(rows, 60)
    part = frame.with_columns(pl.when(pl.int_range(pl.len()) >= rows).then(late).alias(late))
    using = {name: each for name, each in EVERY.items() if late in each.meta.root_names()}
    using = {name: each for name, each in using.items() if not name.startswith(TWO_WINDOWS)}
    alone, found = (each.select(**using).unnest(cs.struct(), separator=".") for each in (frame.slice(rows), part))
    ours, theirs = (
        {name: each[name].is_not_null().to_list().index(True) for name in each.columns} for each in (found, alone)
    )
    late_by = {name: ours[name] - theirs[name] for name in ours}
    assert {name: by for name, by in late_by.items() if by not in {rows, rows - 1}} == {}


def first_known(values: pl.Series) -> int:
    return values.is_not_null().to_list().index(True)


EXPONENTIAL: Any = 1  # matype of TA-Lib
OUTER: dict[str, tuple[Callable[[pl.Expr], pl.Expr], Callable[[np.ndarray], np.ndarray], float]] = {
    "ema": (lambda x: ind.ema(x, 9), lambda x: talib.EMA(x, 9), 1e-9),
    "dema": (lambda x: ind.dema(x, 5), lambda x: talib.DEMA(x, 5), 1e-9),
    "tema": (lambda x: ind.tema(x, 5), lambda x: talib.TEMA(x, 5), 1e-9),
    "trix": (lambda x: ind.trix(x, 5), lambda x: talib.TRIX(x, 5), 1e-9),
    "macd": (lambda x: ind.macd(x, 4, 9, 5), lambda x: talib.MACD(x, 4, 9, 5)[0], 1e-9),
    "macd_signal": (lambda x: ind.macd_signal(x, 4, 9, 5), lambda x: talib.MACD(x, 4, 9, 5)[1], 1e-9),
    "macd_histogram": (lambda x: ind.macd_histogram(x, 4, 9, 5), lambda x: talib.MACD(x, 4, 9, 5)[2], 1e-9),
    "ppo": (lambda x: ind.ppo(x, 4, 9), lambda x: talib.PPO(x, 4, 9, EXPONENTIAL), 1e-9),
    "rsi": (lambda x: ind.rsi(x, 9), lambda x: talib.RSI(x, 9), 0.02),  # rounds its input to 1/10,000
    "cmo": (lambda x: ind.cmo(x, 9), lambda x: talib.CMO(x, 9), 0.02),
    "sma": (lambda x: ind.sma(x, 9), lambda x: talib.SMA(x, 9), 1e-4),
    "wma": (lambda x: ind.wma(x, 9), lambda x: talib.WMA(x, 9), 1e-4),
    "mom": (lambda x: ind.mom(x, 9), lambda x: talib.MOM(x, 9), 1e-4),
    "kama": (lambda x: ind.kama(x, 9), lambda x: talib.KAMA(x, 9), 1e-3),
    "standard_deviation": (lambda x: ind.standard_deviation(x, 9), lambda x: talib.STDDEV(x, 9), 1e-4),
}
INNER: dict[str, pl.Expr] = {"rsi": ind.rsi(CLOSE, 14), "atr": 1 + ind.atr(*BAR, 14), "mfi": 1 + ind.mfi(*FLOW, 9)}


@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("inner", INNER)
def test_chained_indicators_agree_with_chained_talib(outer: str, inner: str) -> None:
    ours, theirs, tolerance = OUTER[outer]
    frame = bars(11, 90)
    found = frame.select(inner=INNER[inner], outer=ours(INNER[inner]))
    values = found["inner"].to_list()
    alike(found["outer"], put_back(values, theirs(known(values))), tolerance)


def test_ema_of_rsi_starts_on_row_22_with_the_mean_of_nine() -> None:
    frame = bars(2, 80)
    found = frame.select(index=ind.rsi(CLOSE, 14), mean=ind.ema(ind.rsi(CLOSE, 14), 9))
    assert found["mean"].is_not_null().arg_max() == 22
    assert found["mean"][22] == pytest.approx(found["index"][14:23].mean(), rel=1e-14)


def test_ema_of_small_values_is_not_rounded_to_price_units() -> None:
    frame = bars(4, 60).select(change=ind.simple_return(CLOSE))
    values = frame["change"].to_list()
    alike(frame.select(ind.ema(pl.col("change"), 9)).to_series(), put_back(values, talib.EMA(known(values), 9)), 1e-12)


SKIPPING = {name: OUTER[name][:2] for name in ("ema", "dema", "tema", "macd", "macd_signal", "macd_histogram", "ppo")}


@law
@given(seed=seeds, gaps=st.sets(st.integers(0, 59), max_size=25))
def test_averages_skip_missing_values_in_the_warm_up(seed: int, gaps: set[int]) -> None:
    frame = bars(seed, 60).with_row_index().with_columns(close=pl.when(~pl.col("index").is_in(gaps)).then("close"))
    values = frame["close"].to_list()
    for ours, theirs in SKIPPING.values():
        alike(frame.select(ours(CLOSE)).to_series(), put_back(values, theirs(known(values))), 1e-9)


@law
@given(seed=seeds, gaps=st.sets(st.integers(0, 59), max_size=25))
def test_changes_need_both_closes_and_skip_the_others(seed: int, gaps: set[int]) -> None:
    frame = bars(seed, 60).with_row_index().with_columns(close=pl.when(~pl.col("index").is_in(gaps)).then("close"))
    closes = [None if value is None else round(value, 2) for value in frame["close"].to_list()]
    changes = [None] + [None if now is None or then is None else now - then for then, now in itertools.pairwise(closes)]
    alike(frame.select(ind.rsi(CLOSE, 5)).to_series(), wilder_index(changes, 5), 1e-9)


def wilder_index(changes: list[float | None], window: int) -> list[float | None]:
    """Return Wilder's index of the known changes by a plain loop."""
    seen: list[float] = []
    gain = loss = 0.0
    found: list[float | None] = []
    for change in changes:
        if change is None:
            found.append(None)
            continue
        seen.append(change)
        if len(seen) == window:
            gain, loss = sum(max(one, 0) for one in seen) / window, sum(max(-one, 0) for one in seen) / window
        if len(seen) > window:
            gain, loss = (
                (mean * (window - 1) + one) / window for mean, one in ((gain, max(change, 0)), (loss, max(-change, 0)))
            )
        found.append(None if len(seen) < window else 100 * gain / (gain + loss) if gain + loss else 0.0)
    return found


def test_unknown_high_gives_null_and_adds_no_money_flow() -> None:
    frame = bars(8, 30).with_row_index().with_columns(high=pl.when(pl.col("index") != 12).then("high"))
    assert frame.select(ind.accumulation_distribution(*FLOW)).to_series()[12] is None
    late = frame.with_columns(volume=pl.when(pl.col("index") > 4).then("volume"))
    assert late.select(ind.obv(CLOSE, VOLUME)).to_series()[5] == late["volume"][5]


def test_result_keeps_the_name_of_its_input() -> None:
    late = pl.DataFrame({"trades": [None] * 40 + list(range(100, 140))}, schema={"trades": pl.Int64})
    means = late.select(ind.ema(pl.col("trades").cast(pl.Float64), 14))["trades"]
    assert means.is_not_null().arg_max() == 53
    assert means[53] == pytest.approx(106.5)
