"""Indicators by name, with the rows each needs first, and the bars that tests compute them from."""

from __future__ import annotations

import numpy as np
import polars as pl

from champion import indicators as ind

OPEN, HIGH, LOW, CLOSE, VOLUME, MARKET = (pl.col(name) for name in ("open", "high", "low", "close", "volume", "market"))
BAR = (HIGH, LOW, CLOSE)
FLOW = (*BAR, VOLUME)
OHLC = (OPEN, *BAR)

RECURSIVE = {  # name: expression, rows of warm-up
    "dema": (ind.dema(CLOSE, 5), 8),
    "tema": (ind.tema(CLOSE, 5), 12),
    "ppo": (ind.ppo(CLOSE, 4, 9), 8),
    "trix": (ind.trix(CLOSE, 5), 13),
    "stochastic_rsi_k": (ind.stochastic_rsi_k(CLOSE, 7, 5, 3), 13),
    "stochastic_rsi_d": (ind.stochastic_rsi_d(CLOSE, 7, 5, 3), 13),
    "adx": (ind.adx(*BAR, 7), 13),
    "plus_di": (ind.plus_di(*BAR, 7), 7),
    "minus_di": (ind.minus_di(*BAR, 7), 7),
    "natr": (ind.natr(*BAR, 7), 7),
    "keltner_upper": (ind.keltner_upper(*BAR, 10, 5), 9),
    "keltner_lower": (ind.keltner_lower(*BAR, 10, 5), 9),
    "accumulation": (ind.accumulation_distribution(*FLOW), 0),
    "chaikin_oscillator": (ind.chaikin_oscillator(*FLOW), 9),
    "force_index": (ind.force_index(CLOSE, VOLUME, 5), 5),
}
WINDOWED = {
    "wma": (ind.wma(CLOSE, 10), 9),
    "stochastic_fast_k": (ind.stochastic_fast_k(*BAR, 5, 3), 6),
    "stochastic_fast_d": (ind.stochastic_fast_d(*BAR, 5, 3), 6),
    "williams_r": (ind.williams_r(*BAR, 7), 6),
    "cci": (ind.cci(*BAR, 10), 9),
    "mfi": (ind.mfi(*FLOW, 7), 7),
    "aroon_up": (ind.aroon_up(HIGH, 7), 7),
    "aroon_down": (ind.aroon_down(LOW, 7), 7),
    "simple_return": (ind.simple_return(CLOSE), 1),
    "log_return": (ind.log_return(CLOSE, 5), 5),
    "roc": (ind.roc(CLOSE, 5), 5),
    "mom": (ind.mom(CLOSE, 5), 5),
    "true_range": (ind.true_range(*BAR), 1),
    "donchian_upper": (ind.donchian_upper(HIGH, 5), 4),
    "donchian_middle": (ind.donchian_middle(HIGH, LOW, 5), 4),
    "donchian_lower": (ind.donchian_lower(LOW, 5), 4),
    "realised_volatility": (ind.realised_volatility(CLOSE, 10), 10),
    "parkinson": (ind.parkinson(HIGH, LOW, 10), 9),
    "garman_klass": (ind.garman_klass(*OHLC, 10), 9),
    "rogers_satchell": (ind.rogers_satchell(*OHLC, 10), 9),
    "yang_zhang": (ind.yang_zhang(*OHLC, 10), 10),
    "chaikin_money_flow": (ind.chaikin_money_flow(*FLOW, 10), 9),
    "rolling_zscore": (ind.rolling_zscore(CLOSE, 10, unit=ind.PRICE_UNIT), 9),
    "rolling_rank": (ind.rolling_rank(CLOSE, 10), 9),
    "beta": (ind.beta(ind.simple_return(CLOSE), MARKET, 10), 10),
    "correlation": (ind.correlation(ind.simple_return(CLOSE), MARKET, 10), 10),
}
ALL = {name: expression for name, (expression, _) in (RECURSIVE | WINDOWED).items()}


def bars(seed: int, length: int, level: float = 100.0, move: float = 0.03) -> pl.DataFrame:
    """Return one instrument's sound bars in whole ticks of 0.04 rupee; every price differs from the one before."""
    rng = np.random.default_rng([seed, length])
    close = (
        np.maximum(np.round(level / 0.04 * np.exp(np.cumsum(rng.normal(0, move, length)))), 4) + np.arange(length) % 2
    )
    first = close + rng.integers(-3, 4, length)
    prices = {"open": first, "high": np.maximum(first, close) + rng.integers(0, 3, length)}
    prices |= {"low": np.minimum(first, close) - rng.integers(0, 2, length), "close": close}
    ticks = {name: np.round(np.maximum(one, 1) * 0.04, 2) for name, one in prices.items()}
    volume = rng.integers(1, 10**6, length)
    return pl.DataFrame(ticks | {"volume": volume, "market": rng.normal(0, 0.01, length)})
