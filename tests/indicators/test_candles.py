"""The candlestick patterns equal TA-Lib's 61: names, first rows and every mark."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import talib
from candle_bars import DRAWN, PRICES, series
from talib import abstract

from champion.errors import UsageError
from champion.indicators import PRICE_UNIT, candles

OHLC = tuple(pl.col(name) for name in PRICES)


def talib_marks(name: str, bars: pl.DataFrame) -> npt.NDArray[np.int32]:
    """Return TA-Lib's marks for whole numbers, whose sums are exact in a double."""
    found: npt.NDArray[np.int32] = getattr(talib, f"CDL{name.upper()}")(*(bars[price].to_numpy() for price in PRICES))
    return found


def test_names_and_first_rows_are_talibs() -> None:
    assert [f"CDL{name.upper()}" for name in candles.PATTERNS] == sorted(
        talib.get_function_groups()["Pattern Recognition"]  # type: ignore[no-untyped-call]
    )
    function = abstract.Function  # type: ignore[attr-defined]  # missing in its stub
    first = {name: function(f"CDL{name.upper()}").lookback for name in candles.PATTERNS}
    assert {name: pattern.before for name, pattern in candles.PATTERNS.items()} == first


@pytest.mark.parametrize("seed", range(2))
def test_every_mark_equals_talib(seed: int) -> None:
    found = Counter[str]()
    for units in series(seed):
        ours = candles.marks(units / PRICE_UNIT, list(candles.PATTERNS))
        for name, pattern in candles.PATTERNS.items():
            theirs = talib_marks(name, units)[pattern.before :]
            found[name] += int(np.count_nonzero(theirs))
            assert np.array_equal(ours[name].to_numpy()[pattern.before :], theirs), name
    assert {name for name in candles.PATTERNS if found[name] < 5} == set(), found


def test_drawn_patterns_occur_in_both_directions() -> None:
    *_, drawn = series(0)
    both = {"abandonedbaby", "breakaway", "kicking", "risefall3methods", "tristar", "3linestrike"}
    for name in DRAWN:
        marks = {*candles.marks(drawn / PRICE_UNIT, [name])[name]}
        assert marks >= ({-100, 100} if name in both else {0}), name
        assert marks & {-100, 100}, name


def test_marks_do_not_depend_on_block_boundaries() -> None:
    bars = pl.concat([next(series(seed)) for seed in range(3)]) / PRICE_UNIT
    whole = candles.marks(bars, list(candles.PATTERNS))
    assert bars.height > 8192
    for start in (8000, 8180):
        part = candles.marks(bars.slice(start, 300), list(candles.PATTERNS))
        assert part.slice(15).equals(whole.slice(start + 15, 285))


def test_a_pattern_is_null_before_its_first_row_and_around_a_null() -> None:
    bars = next(series(5)).head(60) / PRICE_UNIT
    holed = bars.with_columns(pl.when(pl.int_range(pl.len()) != 30).then(pl.col("high")))
    for name in ("engulfing", "doji", "breakaway"):
        before = candles.PATTERNS[name].before
        marks = holed.select(candles.candle(name, *OHLC)).to_series()
        unknown = [row for row, mark in enumerate(marks) if mark is None]
        assert unknown == [*range(before), *range(30, 31 + before)]
        whole = bars.select(candles.candle(name, *OHLC)).to_series()
        assert marks.drop_nulls().equals(whole.filter(marks.is_not_null()))


def test_unknown_pattern_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no candlestick pattern 'Doji'; there are 2crows"):
        candles.candle("Doji", *OHLC)


def test_ties_are_exact_where_sums_of_rupees_are_not() -> None:
    """Ten bodies of 0.05 rupee and one more: it is not longer than their average, which TA-Lib decides by rounding."""
    prices = np.round(100 + 0.05 * np.arange(60), 2)
    rows = {"open": prices, "high": prices + 0.05, "low": prices, "close": np.round(prices + 0.05, 2)}
    bars = pl.DataFrame(rows).with_columns(pl.all().round(2))
    assert candles.marks(bars, ["marubozu"])["marubozu"][11:].unique().to_list() == [0]
    theirs = talib.CDLMARUBOZU(*(bars[price].to_numpy() for price in PRICES))
    assert set(theirs[11:].tolist()) == {0, 100}
