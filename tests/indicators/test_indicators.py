"""Compare indicators with TA-Lib, exact arithmetic or a plain loop, on short, long, flat, tiny and huge series."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
import talib
from hypothesis import given, settings, strategies as st

from champion import indicators as ind

LENGTHS = (1, 2, *range(13, 36), 60, 600)
CLOSE, HIGH, LOW, VOLUME, TURNOVER = (pl.col(name) for name in ("close", "high", "low", "volume", "turnover"))
SIMPLE = talib.MA_Type.SMA  # type: ignore[attr-defined]  # missing in its stub
Oracle = dict[str, np.ndarray]


def series(kind: str, length: int, seed: int = 7) -> pl.DataFrame:
    """Return one instrument's bars on a 0.01 grid, or on the 1e-4 grid of adjusted prices."""
    rng = np.random.default_rng([seed, length])
    level, tick, move = {
        "walk": (100.0, 0.01, 0.02),
        "adjusted": (37.1234, 1e-4, 0.03),
        "tiny": (0.35, 0.01, 0.2),
        "huge": (900_000.0, 0.05, 0.05),
        "flat": (100.0, 0.01, 0.0),
        "then_flat": (100.0, 0.01, 0.02),
        "no_volume": (100.0, 0.01, 0.02),
    }[kind]
    close = level * np.exp(np.cumsum(rng.normal(0, move, length)))
    if kind == "then_flat":
        close[length // 2 :] = close[length // 2]
    spread = rng.uniform(0, move, length) if kind != "then_flat" else np.zeros(length)
    grid = [np.maximum(np.round(prices / tick), 1) for prices in (close, close * (1 + spread), close * (1 - spread))]
    volume = np.zeros(length) if kind == "no_volume" else np.floor(rng.lognormal(10, 1, length))
    volume[rng.random(length) < 0.05] = 0
    closes, highs, lows = (np.round(prices * tick, 4) for prices in grid)
    columns = {"high": highs, "low": lows, "close": closes, "volume": volume.astype(np.int64)}
    return pl.DataFrame(columns).with_columns(turnover=CLOSE * VOLUME)


def by_champion(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.select(
        **{f"sma_{n}": ind.sma(CLOSE, n) for n in (1, 5, 20, 200)},
        **{f"ema_{n}": ind.ema(CLOSE, n) for n in (7, 12, 26, 50)},
        rsi_14=ind.rsi(CLOSE),
        rsi_5=ind.rsi(CLOSE, 5),
        macd=ind.macd(CLOSE),
        macd_signal=ind.macd_signal(CLOSE),
        macd_histogram=ind.macd_histogram(CLOSE),
        other_macd=ind.macd(CLOSE, 5, 11, 4),
        other_signal=ind.macd_signal(CLOSE, 5, 11, 4),
        stochastic_k=ind.stochastic_k(HIGH, LOW, CLOSE),
        stochastic_d=ind.stochastic_d(HIGH, LOW, CLOSE),
        other_stochastic_k=ind.stochastic_k(HIGH, LOW, CLOSE, 5, 2, 4),
        other_stochastic_d=ind.stochastic_d(HIGH, LOW, CLOSE, 5, 2, 4),
        bb_upper=ind.bollinger_upper(CLOSE),
        bb_middle=ind.bollinger_middle(CLOSE),
        bb_lower=ind.bollinger_lower(CLOSE),
        narrow_upper=ind.bollinger_upper(CLOSE, 10, 1.5),
        narrow_lower=ind.bollinger_lower(CLOSE, 10, 1.5),
        atr_14=ind.atr(HIGH, LOW, CLOSE),
        atr_7=ind.atr(HIGH, LOW, CLOSE, 7),
        obv=ind.obv(CLOSE, VOLUME),
    )


def by_talib(bars: pl.DataFrame) -> Oracle:
    close, high, low = (bars[name].to_numpy() for name in ("close", "high", "low"))
    macd, other_macd = talib.MACD(close, 12, 26, 9), talib.MACD(close, 5, 11, 4)
    stochastic, other_stochastic = (
        talib.STOCH(high, low, close, 14, 3, SIMPLE, 3, SIMPLE),
        talib.STOCH(high, low, close, 5, 2, SIMPLE, 4, SIMPLE),
    )
    bands, narrow = talib.BBANDS(close, 20, 2, 2, SIMPLE), talib.BBANDS(close, 10, 1.5, 1.5, SIMPLE)
    return {
        **{f"sma_{n}": talib.SMA(close, n) if n > 1 else close for n in (1, 5, 20, 200)},
        **{f"ema_{n}": talib.EMA(close, n) for n in (7, 12, 26, 50)},
        "rsi_14": talib.RSI(close, 14),
        "rsi_5": talib.RSI(close, 5),
        **dict(zip(("macd", "macd_signal", "macd_histogram"), macd, strict=True)),
        **dict(zip(("other_macd", "other_signal"), other_macd[:2], strict=True)),
        **dict(zip(("stochastic_k", "stochastic_d"), stochastic, strict=True)),
        **dict(zip(("other_stochastic_k", "other_stochastic_d"), other_stochastic, strict=True)),
        **dict(zip(("bb_upper", "bb_middle", "bb_lower"), bands, strict=True)),
        "narrow_upper": narrow[0],
        "narrow_lower": narrow[2],
        "atr_14": talib.ATR(high, low, close, 14),
        "atr_7": talib.ATR(high, low, close, 7),
        "obv": talib.OBV(close, bars["volume"].cast(pl.Float64).to_numpy()),
    }


def _absolute(name: str, price: float) -> float:
    """Return the absolute tolerance: TA-Lib's running sums leave a residue in the stochastic, MACD cancels."""
    if "stochastic" in name:
        return 1e-9
    return 4 * float(np.spacing(price)) if "macd" in name or "signal" in name else 0.0


@pytest.mark.parametrize("kind", ["walk", "adjusted", "tiny", "huge", "flat", "then_flat", "no_volume"])
@pytest.mark.parametrize("length", LENGTHS)
def test_equals_talib(kind: str, length: int) -> None:
    bars = series(kind, length)
    ours, expected = by_champion(bars), by_talib(bars)
    assert set(ours.columns) == set(expected)
    for name, theirs in expected.items():
        got = ours[name].cast(pl.Float64).to_numpy()
        assert (ours[name].is_null().to_numpy() == np.isnan(theirs)).all(), f"{name}: warm-up rows differ"
        atol = _absolute(name, float(bars["close"].max()))  # type: ignore[arg-type]
        np.testing.assert_allclose(got, theirs, rtol=1e-9, atol=atol, err_msg=name)


@pytest.mark.parametrize("kind", ["walk", "adjusted", "huge", "no_volume"])
def test_volume_indicators_equal_a_plain_loop(kind: str) -> None:
    bars = series(kind, 60)
    got = bars.select(vwap=ind.vwap(TURNOVER, VOLUME), ma=ind.volume_ma(VOLUME, 20), obv=ind.obv(CLOSE, VOLUME))
    turnover, volume, close = (bars[name].to_list() for name in ("turnover", "volume", "close"))
    balance = volume[0]
    for row in range(bars.height):
        if row:
            balance += volume[row] * ((close[row] > close[row - 1]) - (close[row] < close[row - 1]))
        assert got["vwap"][row] == (turnover[row] / volume[row] if volume[row] else None)
        assert got["ma"][row] == (sum(volume[row - 19 : row + 1]) / 20 if row >= 19 else None)
        assert got["obv"][row] == balance
    assert got.schema["obv"] == pl.Int64


@pytest.mark.parametrize("kind", ["walk", "tiny", "huge", "flat", "adjusted"])
def test_bands_equal_exact_arithmetic(kind: str) -> None:
    bars = series(kind, 60)
    got = bars.select(sd=ind.standard_deviation(CLOSE, 20), mean=ind.sma(CLOSE, 20), width=ind.bollinger_width(CLOSE))
    exact = [Fraction(str(close)) for close in bars["close"].to_list()]
    for row in range(19, bars.height):
        window = exact[row - 19 : row + 1]
        mean = sum(window) / 20
        deviation = math.sqrt(sum((price - mean) ** 2 for price in window) / 20)
        assert got["mean"][row] == float(mean)
        assert got["sd"][row] == pytest.approx(deviation, rel=1e-14, abs=0)
        assert got["width"][row] == pytest.approx(4 * deviation / float(mean), rel=1e-14, abs=0)


def test_squares_of_the_largest_prices_do_not_overflow() -> None:
    bars = pl.DataFrame({"close": [1e9, 1.0] * 10})
    assert bars.select(sd=ind.standard_deviation(CLOSE, 20))["sd"][-1] == pytest.approx((1e9 - 1) / 2, rel=1e-15)


@settings(max_examples=8)
@given(
    seed=st.integers(0, 2**20), length=st.integers(1, 80), kind=st.sampled_from(["walk", "tiny", "huge", "then_flat"])
)
def test_bounds(seed: int, length: int, kind: str) -> None:
    got = by_champion(series(kind, length, seed))
    for name in ("rsi_14", "rsi_5", "stochastic_k", "stochastic_d", "other_stochastic_k"):
        assert got[name].is_between(0, 100).all(), name
    assert (got["bb_lower"] <= got["bb_middle"]).all()
    assert (got["bb_middle"] <= got["bb_upper"]).all()
    assert (got["atr_14"] >= 0).all()


@settings(max_examples=8)
@given(seed=st.integers(0, 2**20), power=st.integers(-2, 4))
def test_oscillators_do_not_depend_on_the_price_unit(seed: int, power: int) -> None:
    bars = series("walk", 60, seed)
    factor = 2.0**power
    scaled = bars.with_columns((pl.col("high", "low", "close") * factor).round(4))
    names = ["rsi_14", "rsi_5", "stochastic_k", "stochastic_d"]
    assert by_champion(bars).select(names).equals(by_champion(scaled).select(names))


def test_rsi_of_rising_and_falling_prices() -> None:
    steps = np.random.default_rng(3).integers(1, 10**6, 2000)
    rising = pl.DataFrame({"close": np.round(np.cumsum(steps) / 100, 2)})
    assert rising.select(rsi=ind.rsi(CLOSE))["rsi"][14:].unique().to_list() == [100.0]
    assert rising.reverse().select(rsi=ind.rsi(CLOSE))["rsi"][14:].unique().to_list() == [0.0]
