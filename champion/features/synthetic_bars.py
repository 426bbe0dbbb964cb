"""Synthetic bars for checking expressions: from integer arithmetic, so they are the same on every machine."""

from __future__ import annotations

from datetime import date

import polars as pl

_LEVELS = (30, 4_000, 900_000, 3_000)  # in ticks: very different prices; the first is volatile
_JUMPING = 3  # the number of the instrument whose price and volume jump
_JUMPS = (1, 40, 3, 200, 2, 30)  # successive multiples of its price level
BETWEEN_JUMPS = 19
"""Number of bars between jumps."""
_TICK = 0.05
_FIRST = date(2001, 1, 1)


def bars(count: int) -> pl.DataFrame:
    """Return `count` bars of each of four instruments, in session order by instrument, numbered from 0 in `bar`.

    Some bars have no range, no volume, or the close of the previous bar. The price and the volume of the last
    instrument jump to a multiple or a fraction within a session, so functions that react to rare moves are tested too.

    >>> bars(2).select("instrument_id", "bar").rows()[:3]
    [('A', 0), ('A', 1), ('B', 0)]
    """
    return pl.concat(_instrument(number, level, count) for number, level in enumerate(_LEVELS))


def _instrument(number: int, level: int, count: int) -> pl.DataFrame:
    row = pl.int_range(count)
    noise = [((row + 13 * number) * (row + 5 * salt) * 31 + row * salt) % 1009 for salt in (7919, 104729, 1299709)]
    step = (noise[0] * 17 + noise[1] * 5) % 201 - 100
    still = noise[1] % 11 == 0
    ticks = level + level * pl.when(still).then(step.shift(1).fill_null(0)).otherwise(step) // 250
    flat = noise[2] % 13 == 0
    up = pl.when(flat).then(0).otherwise(noise[1] % (1 + level // 20))
    down = pl.when(flat).then(0).otherwise(noise[2] % (1 + level // 20))
    volume = pl.when(noise[2] % 17 == 0).then(0).otherwise(noise[0] * 977 + noise[1] + 1)
    if number == _JUMPING:
        place = (row // BETWEEN_JUMPS) % len(_JUMPS)
        ticks = ticks * place.replace_strict(dict(enumerate(_JUMPS)), return_dtype=pl.Int64)
        volume = volume * pl.when(row % 23 == 0).then(5_000).otherwise(1)
    columns = pl.select(bar=row, ticks=ticks, up=up, down=down, volume=volume)
    price = {
        "open": pl.col("ticks") + pl.col("up") // 2 - pl.col("down") // 2,
        "high": pl.col("ticks") + pl.col("up"),
        "low": pl.col("ticks") - pl.col("down"),
        "close": pl.col("ticks"),
    }
    priced = columns.with_columns(
        instrument_id=pl.lit("ABCD"[number]),
        symbol=pl.lit("ABCD"[number]),
        trade_date=pl.lit(_FIRST) + pl.duration(days="bar"),
        trades=pl.col("volume") // 50,
        **{name: (ticks.clip(1) * _TICK).round(2) for name, ticks in price.items()},
    )
    return priced.with_columns(turnover=pl.col("close") * pl.col("volume"))
