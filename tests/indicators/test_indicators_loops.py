"""Compare indicators that TA-Lib lacks, and cross-sections, with plain loops of their textbook formulas."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest
import talib

from champion import indicators as ind

N = 10
OPEN, HIGH, LOW, CLOSE, VOLUME = (pl.col(name) for name in ("open", "high", "low", "close", "volume"))
OHLC = (OPEN, HIGH, LOW, CLOSE)
Bar = dict[str, float]


def history(level: float, move: float, length: int = 60) -> pl.DataFrame:
    """Return bars in whole ticks of 0.05; some sessions have no volume, some no range."""
    rng = np.random.default_rng([int(level), length])
    close = np.maximum(np.round(level * np.exp(np.cumsum(rng.normal(0, move, length))) / 0.05), 1)
    wide = rng.integers(0, 2 + int(level * move / 0.05), length) * (rng.random(length) > 0.2)
    first = np.maximum(close + np.where(wide > 0, rng.integers(-2, 3, length), 0), 1)
    ticks = {
        "open": first,
        "high": np.maximum(first, close) + wide,
        "low": np.maximum(np.minimum(first, close) - wide, 1),
    }
    volume = rng.integers(0, 10**7, length) * (rng.random(length) > 0.3)
    return pl.DataFrame(
        {name: np.round(one * 0.05, 2) for name, one in (ticks | {"close": close}).items()}
    ).with_columns(volume=volume)


HISTORIES = {"usual": history(100.0, 0.02), "penny": history(1.0, 0.3), "dear": history(150_000.0, 0.01)}
both = pytest.mark.parametrize("name", HISTORIES)


def log(bar: Bar, price: str, base: str) -> float:
    """Return the log of the ratio of two prices of a bar, accurate if they are close."""
    return math.log1p((round(bar[price] * 100) - round(bar[base] * 100)) / round(bar[base] * 100))


def loops(bars: pl.DataFrame) -> list[Bar]:
    """Return the bars as rows, each with the previous close as `before`."""
    rows: list[Bar] = bars.to_dicts()
    return [{**row, "before": rows[max(at - 1, 0)]["close"]} for at, row in enumerate(rows)]


def rolling(bars: pl.DataFrame, value: Callable[[list[Bar]], float], *, skip: int = 0) -> list[float | None]:
    """Return the value of each full window of N rows after the first `skip` rows."""
    rows = loops(bars)
    return [value(rows[at - N + 1 : at + 1]) if at >= N - 1 + skip else None for at in range(len(rows))]


def annual(variance: float) -> float:
    return math.sqrt(252 * variance)


def rogers_satchell(rows: Sequence[Bar]) -> float:
    products = (
        log(row, "high", "close") * log(row, "high", "open") + log(row, "low", "close") * log(row, "low", "open")
        for row in rows
    )
    return statistics.fmean(products)


def yang_zhang(rows: Sequence[Bar]) -> float:
    share = 0.34 / (1.34 + (N + 1) / (N - 1))
    gaps = statistics.variance(log(row, "open", "before") for row in rows)
    bodies = statistics.variance(log(row, "close", "open") for row in rows)
    return annual(gaps + share * bodies + (1 - share) * rogers_satchell(rows))


def garman_klass(rows: Sequence[Bar]) -> float:
    terms = (
        0.5 * log(row, "high", "low") ** 2 - (2 * math.log(2) - 1) * log(row, "close", "open") ** 2 for row in rows
    )
    return annual(statistics.fmean(terms))


@both
def test_volatilities(name: str) -> None:
    bars = HISTORIES[name]
    expected = {
        "realised": rolling(
            bars, lambda rows: annual(statistics.variance(log(r, "close", "before") for r in rows)), skip=1
        ),
        "parkinson": rolling(
            bars, lambda rows: annual(statistics.fmean(log(r, "high", "low") ** 2 for r in rows) / math.log(16))
        ),
        "garman_klass": rolling(bars, garman_klass),
        "rogers_satchell": rolling(bars, lambda rows: annual(rogers_satchell(rows))),
        "yang_zhang": rolling(bars, yang_zhang, skip=1),
    }
    got = bars.select(
        realised=ind.realised_volatility(CLOSE, N),
        parkinson=ind.parkinson(HIGH, LOW, N),
        garman_klass=ind.garman_klass(*OHLC, N),
        rogers_satchell=ind.rogers_satchell(*OHLC, N),
        yang_zhang=ind.yang_zhang(*OHLC, N),
    )
    for column, values in expected.items():
        for ours, exact in zip(got[column].to_list(), values, strict=True):
            assert ours == (None if exact is None else pytest.approx(exact, rel=1e-12, abs=3e-14)), column


@both
def test_returns_and_ranks(name: str) -> None:
    bars = HISTORIES[name]
    got = bars.select(
        log=ind.log_return(CLOSE, 3), rank=ind.rolling_rank(CLOSE, N), z=ind.rolling_zscore(VOLUME, N, unit=1)
    )
    close = bars["close"].to_list()
    for row in range(bars.height):
        ratio = math.log(close[row] / close[row - 3]) if row >= 3 else None
        assert got["log"][row] == (None if ratio is None else pytest.approx(ratio, rel=1e-9, abs=1e-15))
    ranks = rolling(
        bars,
        lambda rows: (
            (sum((r["close"] < rows[-1]["close"]) + (r["close"] <= rows[-1]["close"]) for r in rows) / 2 + 0.5) / N
        ),
    )
    assert got["rank"].to_list() == ranks
    for ours, exact in zip(got["z"].to_list(), rolling(bars, zscore), strict=True):
        assert ours == (None if exact is None else pytest.approx(exact, rel=1e-12, abs=1e-12))


def zscore(rows: Sequence[Bar]) -> float:
    volumes = [row["volume"] for row in rows]
    return (volumes[-1] - statistics.fmean(volumes)) / statistics.pstdev(volumes)


@both
def test_flows(name: str) -> None:
    bars = HISTORIES[name].with_columns(volume=pl.when(pl.int_range(pl.len()) < 15).then(0).otherwise(VOLUME))
    got = bars.select(cmf=ind.chaikin_money_flow(HIGH, LOW, CLOSE, VOLUME, N), force=ind.force_index(CLOSE, VOLUME, 5))
    for ours, exact in zip(got["cmf"].to_list(), rolling(bars, money_flow), strict=True):
        assert ours == (None if exact is None or math.isnan(exact) else pytest.approx(exact, rel=1e-12, abs=1e-12))
    assert got["cmf"][N:15].is_null().all()
    raw = [(row["close"] - row["before"]) * row["volume"] for row in loops(bars)]
    mean = statistics.fmean(raw[1:6])
    assert got["force"][:5].is_null().all()
    for row in range(5, bars.height):
        mean = mean if row == 5 else mean + (raw[row] - mean) / 3
        assert got["force"][row] == pytest.approx(mean, rel=1e-9, abs=1e-6)


def money_flow(rows: Sequence[Bar]) -> float:
    volume = sum(row["volume"] for row in rows)
    places = (
        (row["volume"] * ((row["close"] - row["low"]) - (row["high"] - row["close"])) / (row["high"] - row["low"]))
        for row in rows
        if row["high"] > row["low"]
    )
    return sum(places) / volume if volume else math.nan


@both
def test_keltner_equals_talib_average_and_range(name: str) -> None:
    bars = HISTORIES[name]
    high, low, close = (bars[column].to_numpy() for column in ("high", "low", "close"))
    middle, ranges = talib.EMA(close, 20), talib.ATR(high, low, close, 10)
    got = bars.select(
        up=ind.keltner_upper(HIGH, LOW, CLOSE), mid=ind.keltner_middle(CLOSE), low=ind.keltner_lower(HIGH, LOW, CLOSE)
    )
    for column, theirs in (("up", middle + 2 * ranges), ("mid", middle), ("low", middle - 2 * ranges)):
        np.testing.assert_allclose(got[column].to_numpy(), theirs, rtol=1e-12, atol=1e-12 * close.max())


def test_undefined_values_are_null_or_zero_as_documented() -> None:
    still = pl.DataFrame({"close": [100.0] * 5, "market": [0.01, -0.01, 0.0, 0.01, 0.02]})
    got = still.select(
        z=ind.rolling_zscore(CLOSE, 3, unit=ind.PRICE_UNIT),
        beta=ind.beta(pl.col("market"), ind.simple_return(CLOSE), 3),
        correlation=ind.correlation(ind.simple_return(CLOSE), pl.col("market"), 3),
        gap=ind.beta(ind.simple_return(CLOSE), pl.when(pl.col("market") != 0).then(pl.col("market")), 3),
        wild=ind.beta(ind.simple_return(CLOSE), pl.col("market") * 10_000_000, 3),
    )
    assert got["z"].is_null().all()
    assert got["beta"].to_list() == got["correlation"].to_list() == [None, None, None, 0.0, 0.0]
    assert got["gap"].is_null().all()
    assert got["wild"].is_null().all()


def test_neutralise_equals_least_squares() -> None:
    rng = np.random.default_rng(6)
    frame = pl.DataFrame(
        {"trade_date": np.repeat([1, 2], 40), **{name: rng.normal(3, 2, 80) for name in ("y", "a", "b")}}
    )
    gaps = frame.with_columns(y=pl.when(pl.int_range(pl.len()) % 7 > 0).then("y"), b=pl.when(pl.col("a") < 6).then("b"))
    y, a, b = pl.col("y"), pl.col("a"), pl.col("b")
    neutral = ind.cross_section.neutralise
    got = gaps.with_columns(one=neutral(y, a).over("trade_date"), two=neutral(y, a, b).over("trade_date"))
    for column, names in (("one", ["a"]), ("two", ["a", "b"])):
        whole = got.drop_nulls(["y", *names])
        assert got[column].count() == whole.height
        for _, part in whole.group_by("trade_date"):
            design = np.column_stack([np.ones(part.height), *(part[name].to_numpy() for name in names)])
            target = part["y"].to_numpy()
            fitted = design @ np.linalg.lstsq(design, target, rcond=None)[0]
            np.testing.assert_allclose(part[column].to_numpy(), target - fitted, rtol=0, atol=1e-12)


def test_redundant_exposure_is_left_out() -> None:
    rng = np.random.default_rng(7)
    frame = pl.DataFrame({"y": rng.normal(0, 1, 30), "a": rng.normal(5, 1, 30)})
    y, a = pl.col("y"), pl.col("a")
    neutral = ind.cross_section.neutralise
    got = frame.select(
        once=neutral(y, a), twice=neutral(y, a, 3 * a - 7), constant=neutral(y, a, 0 * a + 4), alone=neutral(y, 0 * a)
    )
    assert got["twice"].equals(got["once"])
    np.testing.assert_allclose(got["constant"].to_numpy(), got["once"].to_numpy(), rtol=0, atol=1e-14)
    np.testing.assert_allclose(got["alone"].to_numpy(), (frame["y"] - frame["y"].mean()).to_numpy(), rtol=0, atol=1e-15)
