"""Target weights as the simulator takes them, and the refusal of weights that no cash account can hold."""

from __future__ import annotations

import numpy as np
import polars as pl

from champion.errors import UsageError
from champion.portfolio.arrays import Floats, MarketArrays
from champion.portfolio.inputs import KEY, require_frame, require_unique

NO_SHORT = (
    "A short position needs stock futures: cash shares cannot be held short over night, and the prices and lots of "
    "futures are in no dataset yet"
)


def decisions(market: MarketArrays, weights: pl.DataFrame) -> dict[int, Floats]:
    """Return the weights of each decision by row of its session, one per instrument of the market.

    Raises:
        UsageError: a weight is negative, not finite or of an instrument without bars, a day's weights sum to more than
            1, or an instrument has two weights in a session.

    >>> from datetime import date
    >>> from champion.portfolio.arrays import market_arrays
    >>> names = ("open", "high", "low", "close", "prev_close")
    >>> bar = {"instrument_id": "A", **dict.fromkeys(names, 100.0), "volume": 1000, "turnover": 100_000.0}
    >>> market = market_arrays(pl.DataFrame([bar | {"trade_date": date(2024, 1, 1)}]))
    >>> weights = pl.DataFrame({"trade_date": [date(2024, 1, 1)], "instrument_id": ["A"], "weight": [0.4]})
    >>> decisions(market, weights)[0].tolist()
    [0.4]
    """
    require_frame("weights", weights, [*KEY, "weight"])
    require_unique("weights", weights)
    wrong = weights.filter((pl.col("weight") < 0) | ~pl.col("weight").is_finite() | pl.col("weight").is_null())
    if not wrong.is_empty():
        first = wrong.row(0, named=True)
        raise UsageError(
            f"the weight of {first['instrument_id']} on {first['trade_date']} is {first['weight']}; weights are shares "
            f"of the equity, 0 or more. {NO_SHORT}"
        )
    sums = weights.group_by("trade_date").agg(pl.col("weight").sum()).filter(pl.col("weight") > 1 + 1e-9)
    if not sums.is_empty():
        day, total = sums.sort("trade_date").row(0)
        raise UsageError(f"the weights of {day} sum to {total:.4f}; a cash account holds at most 1")
    wide = market.wide(weights, "weight")
    days = set(weights["trade_date"])
    return {row: np.nan_to_num(wide[row]) for row, day in enumerate(market.sessions) if day in days}
