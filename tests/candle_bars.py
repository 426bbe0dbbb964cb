"""Bars on which candlestick patterns occur: random walks, ties, flat runs and gaps, and each rare pattern drawn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

PRICES = ("open", "high", "low", "close")
Ticks = npt.NDArray[np.int64]

# Open, high, low and close of the last candles of patterns that random bars hardly ever show, in ticks from a base.
DRAWN = {
    "2crows": [(0, 62, -2, 60), (75, 77, 68, 70), (73, 74, 28, 30)],
    "3blackcrows": [(0, 82, -2, 80), (78, 79, 60, 60), (70, 71, 40, 40), (55, 56, 20, 20)],
    "3linestrike": [(0, 22, -2, 20), (15, 42, 14, 40), (35, 62, 34, 60), (65, 66, -12, -10)],
    "3starsinsouth": [(100, 102, -40, 40), (80, 82, -10, 30), (25, 25, 22, 22)],
    "abandonedbaby": [(100, 102, -2, 0), (-20, -19, -21, -20), (10, 82, 8, 80)],
    "advanceblock": [(0, 61, -1, 60), (30, 76, 29, 75), (60, 99, 59, 80)],
    "breakaway": [(100, 102, 48, 50), (40, 42, 28, 30), (35, 38, 18, 20), (25, 30, 8, 10), (12, 47, 10, 45)],
    "concealbabyswall": [(100, 100, 60, 60), (80, 80, 40, 40), (30, 50, 10, 12), (55, 56, 5, 6)],
    "counterattack": [(100, 102, 38, 40), (-20, 42, -22, 40)],
    "darkcloudcover": [(0, 62, -2, 60), (70, 72, 18, 20)],
    "eveningdojistar": [(0, 62, -2, 60), (75, 80, 70, 75), (60, 61, 8, 10)],
    "identical3crows": [(100, 101, 80, 80), (80, 81, 60, 60), (60, 61, 40, 40)],
    "kicking": [(100, 100, 40, 40), (110, 170, 110, 170)],
    "ladderbottom": [(100, 102, 78, 80), (90, 92, 68, 70), (80, 82, 58, 60), (65, 80, 50, 55), (70, 92, 68, 90)],
    "mathold": [(0, 82, -2, 80), (92, 93, 86, 88), (88, 89, 76, 78), (80, 81, 68, 70), (72, 112, 70, 110)],
    "morningdojistar": [(100, 102, 38, 40), (25, 30, 20, 25), (30, 92, 28, 90)],
    "risefall3methods": [(0, 82, -2, 80), (70, 72, 62, 65), (65, 67, 57, 60), (60, 62, 52, 55), (58, 122, 56, 120)],
    "stalledpattern": [(0, 41, -1, 40), (20, 70, 19, 70), (69, 76, 68, 74)],
    "sticksandwich": [(60, 62, 38, 40), (45, 72, 43, 70), (65, 67, 38, 40)],
    "tristar": [(0, 10, -10, 0), (30, 40, 20, 30), (0, 10, -10, 0)],
    "unique3river": [(100, 102, 38, 40), (80, 82, 20, 60), (30, 37, 28, 36)],
    "upsidegap2crows": [(0, 62, -2, 60), (78, 80, 68, 70), (85, 86, 62, 65)],
}


def series(seed: int, count: int = 4000) -> Iterator[pl.DataFrame]:
    """Yield bars of each kind in whole ticks: walks, few ticks, jumps, flat runs, gaps, a constant, drawn patterns."""
    rng = np.random.default_rng([seed, count])
    for base, body, shadows in (
        (np.maximum(50 + np.cumsum(rng.integers(-3, 4, count)), 20), rng.integers(-3, 4, count), (0, 0, 1, 2)),
        (rng.integers(5, 12, count), rng.integers(-6, 7, count), (0, 1, 2)),
        (np.maximum(1000 + np.cumsum(rng.integers(-20, 21, count)), 200), rng.integers(-25, 26, count), (0, 2, 5, 9)),
        (np.maximum(40 + np.cumsum(rng.integers(-2, 3, count) * (rng.random(count) < 0.2)), 20),
         rng.integers(-1, 2, count) * (rng.random(count) < 0.3), (0, 0, 0, 0, 1)),
        (np.maximum(200 + np.cumsum(rng.integers(-6, 7, count)), 60),
         rng.choice([0, 1, 2, 8, 12], count) * rng.choice([-1, 1], count), (0, 0, 0, 1, 6)),
        (np.full(count, 7), np.zeros(count, np.int64), (0,)),
    ):  # fmt: skip
        yield _bars(base, np.maximum(base + body, 1), rng.choice(shadows, count), rng.choice(shadows, count))
    yield _drawn(rng, 20)


def _bars(opens: Ticks, closes: Ticks, up: Ticks, down: Ticks) -> pl.DataFrame:
    top, bottom = np.maximum(opens, closes) + up, np.maximum(np.minimum(opens, closes) - down, 1)
    return pl.DataFrame(dict(zip(PRICES, (opens, top, bottom, closes), strict=True)), schema_overrides=_FLOATS)


def _drawn(rng: np.random.Generator, times: int) -> pl.DataFrame:
    """Return each drawn pattern `times`, upright and upside down, after 15 small candles, some a tick off."""
    rows: list[npt.NDArray[np.int64]] = []
    for pattern in DRAWN.values():
        for turn in range(2 * times):
            shape = np.array(pattern) if turn % 2 else 100 - np.array(pattern)[:, [0, 2, 1, 3]]
            off = rng.integers(-1, 2, shape.shape) * (rng.random(shape.shape) < 0.1)
            small = rng.integers(-15, 16, 15)
            before = np.stack([np.zeros(15, np.int64), np.abs(small), -np.abs(small), small], axis=1)
            rows += [before + shape[0, 0], shape + off]
    ticks = np.concatenate(rows) + 1000
    top, bottom = ticks.max(axis=1), ticks.min(axis=1)
    columns = (ticks[:, 0], top, bottom, ticks[:, 3])
    return pl.DataFrame(dict(zip(PRICES, columns, strict=True)), schema_overrides=_FLOATS)


_FLOATS = dict.fromkeys(PRICES, pl.Float64())
