"""Random markets, corporate actions and orders for laws of a simulated account."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from champion.portfolio.arrays import MarketArrays, market_arrays
from champion.portfolio.simulator import MarketRules, Simulation, simulate

NAMES = ("A", "B", "C", "D")
RULES = MarketRules(capital=1e6, delisted_after=3)


def sessions(count: int, start: date = date(2023, 1, 16)) -> list[date]:
    days = (start + timedelta(offset) for offset in range(2 * count))
    return [day for day in days if day.weekday() < 5][:count]


def random_bars(seed: int, count: int = 15) -> pl.DataFrame:
    """Return bars with gaps, bars of one price, and volumes down to 0; B is in a series with delivery only."""
    random = np.random.default_rng(seed)
    rows = []
    for name in NAMES:
        close = float(random.uniform(5, 500))
        for number, day in enumerate(sessions(count)):
            previous = close
            close = round(max(previous * float(np.exp(random.normal(0, 0.03))), 0.05), 2)
            if random.random() < 0.1 or (name == "D" and number > 8):  # suspended; D is never traded again
                continue
            is_locked = random.random() < 0.15
            low, high = (
                (close, close)
                if is_locked
                else (round(min(previous, close) * 0.99, 2), round(max(previous, close) * 1.01, 2))
            )
            volume = int(random.choice([0, 50, 5_000, 500_000]))
            average = round(float(random.uniform(low, high)), 4)
            rows.append((day, name, previous, high, low, close, previous, volume, volume * average))
    columns = ["trade_date", "instrument_id", "open", "high", "low", "close", "prev_close", "volume", "turnover"]
    series = pl.when(pl.col("instrument_id") == "B").then(pl.lit("BE")).otherwise(pl.lit("EQ"))
    return pl.DataFrame(rows, schema=columns, orient="row").with_columns(pl.col("volume").cast(pl.Int64), series=series)


def random_factors(seed: int, count: int = 15) -> pl.DataFrame:
    random = np.random.default_rng([seed, 1])
    kinds = {
        "split": (5.0, 5.0),
        "bonus": (1.5, 1.5),
        "consolidation": (0.1, 0.1),
        "dividend": (1.02, 1.0),
        "rights": (1.1, 1.0),
    }
    rows = [
        (str(random.choice(NAMES)), day, kind, *kinds[kind])
        for day in sessions(count)[1:]
        if random.random() < 0.3
        for kind in [str(random.choice(list(kinds)))]
    ]
    schema = ["instrument_id", "ex_date", "kind", "price_factor", "volume_factor"]
    return (
        pl.DataFrame(rows, schema=schema, orient="row")
        if rows
        else pl.DataFrame(schema=dict.fromkeys(schema, pl.String))
    )


def random_weights(market: MarketArrays, seed: int) -> pl.DataFrame:
    random = np.random.default_rng([seed, 2])
    rows = []
    for day in market.sessions:
        if random.random() < 0.5:
            shares = random.dirichlet(np.ones(len(market.instruments) + 1))[:-1]
            rows += [(day, name, float(share)) for name, share in zip(market.instruments, shares, strict=True)]
    return pl.DataFrame(
        rows, schema={"trade_date": pl.Date, "instrument_id": pl.String, "weight": pl.Float64}, orient="row"
    )


def run(seed: int, rules: MarketRules = RULES) -> tuple[MarketArrays, pl.DataFrame, Simulation]:
    random = np.random.default_rng([seed, 3])
    days = [(str(random.choice(NAMES)), day) for day in sessions(15) if random.random() < 0.1]
    undecided = pl.DataFrame(days, schema={"instrument_id": pl.String, "session": pl.Date}, orient="row")
    market = market_arrays(random_bars(seed), random_factors(seed), undecided)
    weights = random_weights(market, seed)
    return market, weights, simulate(market, weights, rules)


def bars_of(closes: list[float], volume: int = 1_000_000, start: date = date(2024, 1, 1)) -> pl.DataFrame:
    days, previous = sessions(len(closes), start), [closes[0], *closes[:-1]]
    return pl.DataFrame(
        {
            "trade_date": days, "instrument_id": "A", "open": previous, "high": [c * 1.01 for c in closes],
            "low": [c * 0.99 for c in closes], "close": closes, "prev_close": previous, "volume": volume,
            "turnover": [c * volume for c in closes],
        }
    )  # fmt: skip


def all_in(
    bars: pl.DataFrame, rules: MarketRules, factors: pl.DataFrame | None = None, weight: float = 0.5
) -> Simulation:
    first = bars["trade_date"].min()
    weights = pl.DataFrame({"trade_date": [first], "instrument_id": ["A"], "weight": [weight]})
    return simulate(market_arrays(bars, factors), weights, rules)
