"""A simulated market of any size: bars, features and splits that satisfy their contracts."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from champion import contracts
from champion.market.envelope import session_close_expr, stamp

BARS, FEATURES, FACTORS = "normalized_equity_ohlc", "features_equity_indicators", "normalized_adjustment_factors"
_SATURDAY = 5
_SPREAD, _NAMES = 210_011, 26**4  # coprime: every number gets another name
_MADE = pl.lit(datetime(2026, 1, 1, tzinfo=UTC)).cast(pl.Datetime("ms", "UTC"))


def sessions(last: date, count: int) -> list[date]:
    """Return the last `count` weekdays up to `last`, in order.

    >>> sessions(date(2024, 1, 2), 3)
    [datetime.date(2023, 12, 29), datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)]
    """
    found: list[date] = []
    while len(found) < count:
        if last.weekday() < _SATURDAY:
            found.append(last)
        last -= timedelta(days=1)
    return found[::-1]


def symbols(instruments: int) -> list[str]:
    """Return invented symbols, spread over the alphabet like real symbols.

    >>> symbols(3)
    ['AAAA', 'LYRJ', 'XXIS']
    """
    numbers = (number * _SPREAD % _NAMES for number in range(instruments))
    return sorted("".join(chr(65 + number // 26**place % 26) for place in (3, 2, 1, 0)) for number in numbers)


def bars(days: Sequence[date], names: Sequence[str]) -> pl.DataFrame:
    """Return a bar for every instrument and session: a random walk in paise, with log-normal volume."""
    random, shape = np.random.default_rng(days[0].toordinal()), (len(days), len(names))
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, shape), axis=0) + random.normal(1, 1, shape[1]))
    close = np.maximum(np.round(close, 2), 1.0)
    opened = np.maximum(np.round(close * np.exp(random.normal(0, 0.005, shape)), 2), 1.0)
    before = np.vstack([opened[:1], close[:-1]])
    volume = random.lognormal(10, 2, shape).astype(np.int64) + 1
    made = _skeleton(days, names).with_columns(
        exchange=pl.lit("NSE"), isin="IN" + pl.col("symbol") + "01010", instrument_type=pl.lit("STK"),
        series=pl.lit("EQ"), prev_close=before.ravel(), open=opened.ravel(),
        high=np.maximum(opened, close).ravel() + 0.5, low=np.minimum(opened, close).ravel() - 0.5, close=close.ravel(),
        last_price=close.ravel(), settlement_price=close.ravel(), volume=volume.ravel(),
        turnover=(volume * close).ravel(), trades=(volume // 50 + 1).ravel(), adjustment_factor=1.0,
        adjustment_date=None, is_trading_day=True,
    )  # fmt: skip
    key = [pl.col("instrument_id"), pl.col("trade_date").dt.to_string("%Y-%m-%d")]
    return _typed(BARS, _enveloped(BARS, made, key))


def features(days: Sequence[date], names: Sequence[str]) -> pl.DataFrame:
    """Return a row for every instrument and session: random numbers with the size and bounds of the indicators."""
    random, size = np.random.default_rng(2), len(days) * len(names)
    values: dict[str, np.ndarray[Any, Any]] = {
        name: random.lognormal(4, 1, size) for name in contracts.load(FEATURES).polars_schema
    }
    values |= {"rsi_14": random.uniform(0, 100, size), "obv": random.integers(-(10**9), 10**9, size)}
    values["bb_upper"] = values["bb_lower"] + 1.0
    found = _skeleton(days, names)
    made = found.with_columns(feature_timestamp=session_close_expr(pl.col("trade_date")), feature_version=pl.lit("v1"))
    return _typed(FEATURES, made.with_columns(**{n: v for n, v in values.items() if n not in made.columns}))


def splits(days: Sequence[date], names: Sequence[str], share: float = 0.5) -> pl.DataFrame:
    """Return the factors known on the last day: a split of 1:2 on a random day for a share of the instruments."""
    random = np.random.default_rng(3)
    chosen = random.choice(len(names), int(len(names) * share), replace=False)
    dates = [days[i] for i in random.integers(1, len(days), len(chosen))]
    made = pl.DataFrame({"symbol": [names[i] for i in chosen], "ex_date": dates}).with_columns(
        list_date=pl.lit(days[-1]), instrument_id="NSE:" + pl.col("symbol"), kind=pl.lit("split"),
        basis=pl.lit("text"), price_factor=2.0, volume_factor=2.0, prev_close=None, detail=pl.lit("10:5"),
        reason=None, purpose=pl.lit("Face value split"), known_at=_MADE, source_sha256=pl.lit("00"),
    )  # fmt: skip
    key = [pl.col("instrument_id"), pl.col("ex_date").dt.to_string("%Y-%m-%d")]
    return _typed(FACTORS, _enveloped(FACTORS, made, key))


def _skeleton(days: Sequence[date], names: Sequence[str]) -> pl.DataFrame:
    named = pl.DataFrame({"symbol": names}).with_columns(instrument_id="NSE:" + pl.col("symbol"))
    return pl.DataFrame({"trade_date": days}).join(named, how="cross")


def _enveloped(name: str, made: pl.DataFrame, key: list[pl.Expr]) -> pl.DataFrame:
    return stamp(made, contracts.load(name), pl.lit("made_up"), _MADE, pl.col("instrument_id"), key)


def _typed(name: str, made: pl.DataFrame) -> pl.DataFrame:
    schema = contracts.load(name).polars_schema
    return made.select(list(schema)).cast(dict(schema))  # type: ignore[arg-type]
