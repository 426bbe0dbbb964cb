"""Compute feature set v1 on contiguous arrays: bit for bit equal to the expressions, several times faster.

Prices and volumes are whole numbers, so the sum of a window is the difference of two running sums. These may overflow
64 bits; the difference is still correct if the sum of the window fits.

Arrays are aligned at their ends: for m values, windows of n give arrays of length m - n + 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from champion import indicators
from champion.features.sets import Kernel
from champion.indicators import PRICE_UNIT
from champion.indicators.stochastic import GRAIN

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Pick = Callable[[Array, Array], Array]

MEANS = (5, 10, 20, 50, 100, 200)
BANDS, RANGE, SLOW = 20, 14, 3
"""Windows of the Bollinger bands, of the stochastic's range, and of its two averages."""

_NARROW = 3e8
"""In price units: within this range the squared deviations of `BANDS` closes fit in 63 bits."""


def _of_close(bars: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    price = _units(bars["close"])
    whole = price.astype(np.int64)
    running = _running(whole)
    columns = {name: _mean(running, n, PRICE_UNIT) for n in MEANS if (name := f"sma_{n}") in names}
    if any(name.startswith("bb_") for name in names):
        middle = _mean(running, BANDS, PRICE_UNIT)
        deviation = _deviation(bars, price, running, _running(whole * whole))
        upper, lower = middle + 2.0 * deviation, middle - 2.0 * deviation
        columns |= {"bb_upper": upper, "bb_middle": middle, "bb_lower": lower, "bb_width": 4.0 * deviation / middle}
    return _frame(bars.height, columns, names)


def _deviation(bars: pl.DataFrame, price: Array, running: Whole, squares: Whole) -> Array:
    """Return the standard deviation of each window of `BANDS` closes in rupees; wide ones use the expression."""
    total = _sums(running, BANDS)
    spread = BANDS * _sums(squares, BANDS) - total * total
    deviation = np.sqrt(spread.astype(np.float64)) / (PRICE_UNIT * BANDS)
    width = _extreme(price, BANDS, np.maximum) - _extreme(price, BANDS, np.minimum)
    wide = np.flatnonzero(width > _NARROW)
    if wide.size:
        windows = bars[(wide[:, None] + np.arange(BANDS)).ravel()]
        exact = windows.select(indicators.standard_deviation(pl.col("close"), BANDS)).to_series()
        deviation[wide] = exact.gather_every(BANDS, BANDS - 1).to_numpy()
    return deviation


def _of_range(bars: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    high, low, last = (_units(bars[name]) for name in ("high", "low", "close"))
    bottom = _extreme(low, RANGE, np.minimum)
    reach = _extreme(high, RANGE, np.maximum) - bottom
    raw = 100 * (last[RANGE - 1 :] - bottom) / reach
    raw[reach == 0] = 0.0
    once = _of_three(np.rint(raw * GRAIN))
    columns = {"stochastic_k": once / (GRAIN * SLOW), "stochastic_d": _of_three(once) / (GRAIN * SLOW * SLOW)}
    return _frame(bars.height, columns, names)


def _of_volume(bars: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    return _frame(bars.height, {"volume_ma_20": _mean(_running(bars["volume"].to_numpy()), 20, 1)}, names)


def _of_moves(bars: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return the `values` of carried values, from each bar and the previous close: see `indicators.numeric.state`."""
    high, low, close, before = (_units(bars[name]) for name in ("high", "low", "close", "last_close"))
    change = close - before
    widest = np.maximum(high - low, np.maximum(np.abs(high - before), np.abs(low - before)))
    columns = {
        "average_gain": np.maximum(change, 0.0),
        "average_loss": np.maximum(before - close, 0.0),
        "atr_14": widest / PRICE_UNIT,
        "obv": np.sign(change).astype(np.int64) * bars["volume"].to_numpy(),
    }
    return pl.DataFrame({name: columns[name] for name in names})


def _units(price: pl.Series) -> Array:
    """Return prices in whole price units."""
    return np.asarray(np.rint(price.to_numpy() * PRICE_UNIT), dtype=np.float64)


def _running(values: Whole) -> Whole:
    """Return the running sums, starting with 0."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])


def _sums(running: Whole, window: int) -> Whole:
    return running[window:] - running[:-window]


def _mean(running: Whole, window: int, unit: int) -> Array:
    return _sums(running, window) / (window * unit)


def _of_three(values: Array) -> Array:
    return values[SLOW - 1 :] + values[1:-1] + values[: 1 - SLOW]


def _extreme(values: Array, window: int, pick: Pick) -> Array:
    """Return the maximum or minimum of each window, built from windows half as long."""
    reach = 1
    while reach < window:
        lag = min(reach, window - reach)
        values = pick(values[lag:], values[:-lag])
        reach += lag
    return values


def _frame(rows: int, columns: dict[str, Array], names: Sequence[str]) -> pl.DataFrame:
    """Return the columns, NaN in rows without a full window."""
    return pl.DataFrame({n: np.concatenate([np.full(rows - columns[n].size, np.nan), columns[n]]) for n in names})


def _quiet(compute: Callable[[pl.DataFrame, Sequence[str]], pl.DataFrame]) -> Kernel:
    """Return the kernel; windows across two instruments hold arbitrary values, so floating-point errors are ignored."""

    def compute_quietly(bars: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
        with np.errstate(all="ignore"):
            return compute(bars, names)

    return Kernel(compute_quietly)


OF_CLOSE, OF_RANGE, OF_VOLUME, OF_MOVES = map(_quiet, (_of_close, _of_range, _of_volume, _of_moves))
