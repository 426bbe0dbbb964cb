"""Swings, levels, pivots, channels, Supertrend and Ichimoku equal plain loops, TA-Lib, NumPy or hand calculations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
import talib
from candle_bars import series

from champion.indicators import atr, charts
from champion.indicators.charts.levels import REMEMBERED

HIGH, LOW, CLOSE = BAR = (pl.col("high"), pl.col("low"), pl.col("close"))
KINDS = range(6)


def bars_of(kind: int, count: int = 400, seed: int = 1) -> pl.DataFrame:
    """Return bars with many ties, in rupees: see `candle_bars.series`."""
    return (list(series(seed, count))[kind] * 0.05).select(pl.all().round(2))


def column(bars: pl.DataFrame, expression: pl.Expr) -> list[float | None]:
    return bars.select(expression).to_series().to_list()


def swings_by_loop(values: Sequence[float], side: int, sign: int) -> list[float | None]:
    """Return the swing that each bar confirms, from the definition."""
    found: list[float | None] = []
    for now in range(len(values)):
        at = now - side
        window = [sign * value for value in values[max(at - side, 0) : now + 1]]
        middle = sign * values[at] if at >= side else None
        swings = (
            middle is not None
            and all(middle > v for v in window[:side])
            and all(middle >= v for v in window[side + 1 :])
        )
        found.append(values[at] if swings else None)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [1, 2, 5])
def test_swings_equal_their_definition(kind: int, side: int) -> None:
    bars = bars_of(kind)
    for name, sign, swing in (("high", 1, charts.swing_high), ("low", -1, charts.swing_low)):
        expected = swings_by_loop(bars[name].to_list(), side, sign)
        assert column(bars, swing(pl.col(name), side)) == expected
        last: float | None = None
        since: int | None = None
        age: list[int | None] = []
        for row, value in enumerate(expected):
            last, since = (last, since) if value is None else (value, row - side)
            age.append(None if since is None else row - since)
        latest = charts.last_swing_high if sign > 0 else charts.last_swing_low
        assert column(bars, latest(pl.col(name), side))[-1] == last
        assert column(bars, charts.swing_age(swing(pl.col(name), side), side)) == age
    if kind == 5:  # a flat price never swings
        assert set(expected) == {None}


def levels_by_loop(bars: pl.DataFrame) -> list[tuple[object, ...]]:
    """Return resistance and support with touches and age of each bar, in a plain loop over whole ticks of a paisa."""
    paise = {name: [round(value * 100) for value in bars[name]] for name in ("high", "low", "close")}
    swings = [swings_by_loop(paise[name], 5, sign) for name, sign in (("high", 1), ("low", -1))]
    known: list[list[int]] = []  # price, bar, touches; newest first
    rows: list[tuple[object, ...]] = []
    for now, close in enumerate(paise["close"]):
        for of_side in swings:
            if (price := of_side[now]) is not None:
                touches = 1
                for swing in known:
                    if abs(swing[0] - price) * 100 <= price:
                        swing[2] += 1
                        touches += 1
                known = [[int(price), now - 5, touches], *known][:REMEMBERED]
        held = [(price, -bar, touches) for price, bar, touches in known if touches >= 2]
        above = min((each for each in held if each[0] > close), default=None)
        below = max(((price, -age, touches) for price, age, touches in held if price <= close), default=None)
        resistance = (above[0] / 100, above[2], now + above[1]) if above else (None,) * 3
        support = (below[0] / 100, below[2], now - below[1]) if below else (None,) * 3
        rows.append((*resistance, *support))
    return rows


@pytest.mark.parametrize("kind", KINDS)
def test_levels_equal_a_plain_loop(kind: int) -> None:
    bars = bars_of(kind, 500)
    sides = {"resistance": charts.resistance, "support": charts.support}
    columns = [
        column(bars, each)
        for side, level in sides.items()
        for each in (level(*BAR), charts.level_touches(side, *BAR), charts.level_age(side, *BAR))
    ]
    expected = levels_by_loop(bars)
    assert list(zip(*columns, strict=True)) == expected
    assert (kind == 5) == all(row == (None,) * 6 for row in expected)


def supertrend_by_loop(bars: pl.DataFrame, window: int, ranges: float) -> list[tuple[float, int] | None]:
    """Return stop and direction by the rules of TradingView's `ta.supertrend`, with TA-Lib's average true range."""
    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    mean = talib.ATR(high, low, close, window)
    found: list[tuple[float, int] | None] = []
    upper = lower = stop = math.nan
    for now in range(bars.height):
        if math.isnan(mean[now]):
            found.append(None)
            continue
        middle = (high[now] + low[now]) / 2
        new_upper, new_lower = middle + ranges * mean[now], middle - ranges * mean[now]
        if not math.isnan(upper):
            new_lower = new_lower if new_lower > lower or close[now - 1] < lower else lower
            new_upper = new_upper if new_upper < upper or close[now - 1] > upper else upper
        if math.isnan(upper):
            up = False
        elif found[-1] is not None and found[-1][1] < 0:
            up = bool(close[now] > new_upper)
        else:
            up = not close[now] < new_lower
        upper, lower = new_upper, new_lower
        stop = lower if up else upper
        found.append((stop, 1 if up else -1))
    return found


@pytest.mark.parametrize("kind", [0, 2, 4])
@pytest.mark.parametrize(("window", "ranges"), [(10, 3.0), (3, 0.7)])
def test_supertrend_equals_a_plain_loop(kind: int, window: int, ranges: float) -> None:
    bars = bars_of(kind)
    expected = supertrend_by_loop(bars, window, ranges)
    stops = column(bars, charts.supertrend(*BAR, window, ranges))
    ways = column(bars, charts.supertrend_direction(*BAR, window, ranges))
    assert ways == [None if each is None else each[1] for each in expected]
    assert {-1, 1} <= {*ways}
    theirs = np.array([math.nan if each is None else each[0] for each in expected])
    np.testing.assert_allclose(np.array(stops, dtype=np.float64), theirs, rtol=1e-12)


def test_supertrend_of_a_flat_price_stays_and_uses_the_same_average_as_atr() -> None:
    flat = bars_of(5)
    assert set(column(flat, charts.supertrend_direction(*BAR))) == {None, -1}
    bars = bars_of(2).head(12)
    middle, mean = (bars["high"][10] + bars["low"][10]) / 2, bars.select(atr(*BAR, 10)).to_series()[10]
    assert column(bars, charts.supertrend(*BAR))[10] == pytest.approx(middle + 3 * mean, rel=1e-15)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("window", [5, 20, 60])
def test_regression_channel_equals_talib_and_numpy(kind: int, window: int) -> None:
    bars = bars_of(kind, 200)
    close = bars["close"].to_numpy()
    channel = bars.select(charts.regression_channel(CLOSE, window)).unnest("channel")
    known = channel[window - 1 :]
    assert channel.head(window - 1).null_count().row(0) == (window - 1,) * 4
    np.testing.assert_allclose(known["middle"], talib.LINEARREG(close, window)[window - 1 :], rtol=1e-9)
    np.testing.assert_allclose(known["slope"], talib.LINEARREG_SLOPE(close, window)[window - 1 :], atol=1e-9)
    for end in (window, 150, 200):
        own = close[end - window : end]
        line = np.polyval(np.polyfit(np.arange(window), own, 1), np.arange(window))
        spread = math.sqrt(float(np.mean((own - line) ** 2)))
        row = channel.row(end - 1, named=True)
        assert row["width"] == pytest.approx(4 * spread, rel=1e-6, abs=1e-9)
        if row["width"] > 1e-6:
            assert row["position"] == pytest.approx((own[-1] - line[-1] + 2 * spread) / (4 * spread), rel=1e-6)


def test_closes_on_a_line_have_a_channel_without_width() -> None:
    line = pl.DataFrame({"close": [100.05 + 0.35 * row for row in range(30)]}).select(pl.col("close").round(2))
    last = line.select(charts.regression_channel(CLOSE, 20)).unnest("channel").row(-1, named=True)
    assert last == {"slope": 0.35, "middle": line["close"][-1], "width": 0.0, "position": None}
    wide = pl.DataFrame({"close": [1e9, 0.05] * 40}).select(charts.regression_channel(CLOSE, 60)).unnest("channel")
    assert wide.row(-1, named=True)["width"] == pytest.approx(4 * 5e8, rel=0.01)


def test_pivots_equal_their_textbook_formulas() -> None:
    bars = bars_of(2)
    (high, low, close) = (bars[name].shift(1) for name in ("high", "low", "close"))
    pivot, reach = (high + low + close) / 3, high - low
    classic = bars.select(charts.classic_pivots(*BAR)).unnest("pivots")
    expected = {
        "pivot": pivot, "r1": 2 * pivot - low, "r2": pivot + reach, "r3": high + 2 * (pivot - low),
        "s1": 2 * pivot - high, "s2": pivot - reach, "s3": low - 2 * (high - pivot),
    }  # fmt: skip
    fibonacci = {f"r{n}": pivot + share * reach for n, share in ((1, 0.382), (2, 0.618), (3, 1.0))}
    camarilla = {f"s{n}": close - 1.1 * reach / by for n, by in ((1, 12), (2, 6), (3, 4), (4, 2))}
    for pivots, wanted in (
        (classic, expected),
        (bars.select(charts.fibonacci_pivots(*BAR)).unnest("pivots"), fibonacci),
        (bars.select(charts.camarilla_pivots(*BAR)).unnest("pivots"), camarilla),
    ):
        assert pivots.row(0) == (None,) * pivots.width
        for name, values in wanted.items():
            np.testing.assert_allclose(pivots[name][1:], values[1:], rtol=1e-12, err_msg=name)


def test_ichimoku_equals_talibs_middles_and_never_reads_later_bars() -> None:
    bars = bars_of(2)
    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    tenkan, kijun, leading = (talib.MIDPRICE(high, low, n) for n in (9, 26, 52))
    shifted = {
        "a": np.concatenate([np.full(26, np.nan), (tenkan + kijun)[:-26] / 2]),
        "b": np.concatenate([np.full(26, np.nan), leading[:-26]]),
        "chikou": np.concatenate([np.full(26, np.nan), close[26:] / close[:-26] - 1]),
    }
    lines = bars.select(
        tenkan=charts.ichimoku_tenkan(HIGH, LOW), kijun=charts.ichimoku_kijun(HIGH, LOW),
        a=charts.ichimoku_span_a(HIGH, LOW), b=charts.ichimoku_span_b(HIGH, LOW), chikou=charts.ichimoku_chikou(CLOSE),
    )  # fmt: skip
    for name, values in {"tenkan": tenkan, "kijun": kijun, **shifted}.items():
        np.testing.assert_allclose(lines[name].to_numpy(), values, rtol=1e-12, atol=1e-15, err_msg=name)


EXPRESSIONS = {
    "swing_high": charts.swing_high(HIGH), "swing_low": charts.swing_low(LOW), "resistance": charts.resistance(*BAR),
    "support": charts.support(*BAR), "age": charts.level_age("support", *BAR), "stop": charts.supertrend(*BAR),
    "way": charts.supertrend_direction(*BAR), "last_high": charts.last_swing_high(HIGH),
    "b": charts.ichimoku_span_b(HIGH, LOW),
    "channel": charts.regression_channel(CLOSE).struct.field("position"), "chikou": charts.ichimoku_chikou(CLOSE),
    "pivot": charts.classic_pivots(*BAR).struct.field("r3"),
}  # fmt: skip


@pytest.mark.parametrize("kind", [3, 4])
def test_values_of_a_prefix_are_a_prefix_of_the_values(kind: int) -> None:
    bars = bars_of(kind, 300)
    whole = bars.select(each.alias(name) for name, each in EXPRESSIONS.items())
    for count in (1, 90, 211):
        assert bars.head(count).select(each.alias(n) for n, each in EXPRESSIONS.items()).equals(whole.head(count))
    assert bars.clear().select(each.alias(n) for n, each in EXPRESSIONS.items()).height == 0


def test_bars_with_a_null_are_null_and_skipped() -> None:
    bars = bars_of(2, 300)
    at = pl.int_range(pl.len()) == 100
    holed = pl.concat([bars.head(100), bars.slice(100, 1), bars.slice(100)]).with_columns(
        pl.when(~at).then(pl.col("close")).alias("close")
    )
    stops = column(holed, charts.supertrend(*BAR))
    assert stops[100] is None
    assert stops[:100] + stops[101:] == column(bars, charts.supertrend(*BAR))
