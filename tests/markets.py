"""Bars that tests make up: several instruments of very different prices, each with a first session of its own."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

FIRST = date(2024, 1, 1)


def market(lengths: list[int], seed: int = 1) -> pl.DataFrame:
    """Return bars of one instrument per length, of very different prices, each starting on its own session."""
    rng = np.random.default_rng(seed)
    frames = []
    for number, length in enumerate(lengths):
        level = (0.5, 100.0, 90_000.0)[number % 3]
        ticks = np.maximum(np.round(level * np.exp(np.cumsum(rng.normal(0, 0.03, length))) / 0.05), 2)
        up, down = rng.integers(0, 1 + ticks // 20), rng.integers(0, 1 + ticks // 20)
        volume = rng.integers(0, 10**6, length) * (rng.random(length) > 0.1)
        frame = pl.DataFrame(
            {
                "instrument_id": [f"I{number}"] * length,
                "symbol": [f"S{number}"] * length,
                "trade_date": [FIRST + timedelta(days=7 * number + row) for row in range(length)],
                "high": np.round((ticks + up) * 0.05, 2),
                "low": np.round(np.maximum(ticks - down, 1) * 0.05, 2),
                "close": np.round(ticks * 0.05, 2),
                "volume": volume,
            }
        )
        frames.append(frame.with_columns(turnover=pl.col("close") * pl.col("volume")))
    return pl.concat(frames)
