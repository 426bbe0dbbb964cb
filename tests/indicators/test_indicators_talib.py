"""Compare every indicator with TA-Lib on hard series: short, flat, jumping, without volume or range, tiny and huge.

The comparison is that of benchmarks/evidence/talib_equality.py, which takes all bars of a real lake: within 1e-9 of
TA-Lib's value, or else of the exact one.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from benchmarks.evidence import talib_equality
from benchmarks.evidence.talib_pairs import PAIRS
from champion import indicators as ind

LEVELS = {  # price, tick, daily move
    "walk": (100.0, 0.01, 0.02),
    "adjusted": (37.1234, 1e-4, 0.03),
    "leaping": (100.0, 0.05, 0.8),
    "tiny": (0.05, 0.0001, 0.2),
    "huge": (9e8, 0.05, 0.01),
    "flat": (100.05, 0.05, 0.0),
    "then_flat": (100.0, 0.05, 0.02),
    "no_range": (100.0, 0.05, 0.02),
    "no_volume": (100.0, 0.01, 0.02),
}


def series(kind: str, length: int) -> pl.DataFrame:
    """Return one instrument's bars and an index: whole ticks, low <= close <= high <= a billion rupees."""
    level, tick, move = LEVELS[kind]
    rng = np.random.default_rng([list(LEVELS).index(kind), length])
    steps = np.clip(np.cumsum(rng.normal(0, move, length)), -6, 0.1 if kind == "huge" else 6)
    if kind == "then_flat":
        steps[length // 2 :] = steps[length // 2]
    close = level * np.exp(steps)
    wide = np.zeros(length) if kind in {"no_range", "then_flat"} else rng.uniform(0, min(move, 0.5), length)
    prices = {"high": close * (1 + wide), "low": close * (1 - wide * rng.uniform(0, 1, length)), "close": close}
    prices["market"] = 10_000 * np.exp(np.cumsum(rng.normal(0, 0.01, length)))
    ticks = {name: np.round(np.clip(np.round(one / tick), 1, 1e9 / tick) * tick, 4) for name, one in prices.items()}
    volume = np.floor(rng.lognormal(10, 1, length)) * (rng.random(length) > 0.1) * (kind != "no_volume")
    columns = ticks | {"volume": volume.astype(np.int64), "instrument_id": np.repeat(f"{kind}:{length}", length)}
    return pl.DataFrame(columns)


def test_every_indicator_equals_talib() -> None:
    lengths = [(kind, length) for kind in LEVELS for length in (*range(1, 60, 6), 60, 300)]
    lengths += [("walk", length) for length in range(1, 91)]
    bars = pl.concat([series(kind, length) for kind, length in dict.fromkeys(lengths)])
    results = list(talib_equality.compare(bars, PAIRS))
    assert len(results) == len(PAIRS)
    assert [result for result in results if result.warm_up or result.wrong or not result.rows] == []


def test_comparison_detects_differences() -> None:
    ours, theirs = PAIRS["adx_14"]
    bars = series("walk", 60)
    off, late = talib_equality.compare(bars, {"off": (ours * (1 + 2e-9), theirs), "late": (ours.shift(1), theirs)})
    assert off.wrong == off.rows
    assert late.warm_up == 1


def test_cci_of_a_constant_price_is_zero_unlike_talib() -> None:
    bars = series("flat", 60)
    assert bars.select(cci=ind.cci(pl.col("high"), pl.col("low"), pl.col("close")))["cci"][19:].unique().to_list() == [
        0
    ]
