"""Model inputs: features without price scale, ranked among the instruments of the session.

A moving average in rupees is not comparable across instruments; its distance from the close is. Ranks use one session
only, so nothing is fitted and nothing looks ahead.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from champion import indicators
from champion.base.counting import quantity
from champion.errors import ContractError
from champion.indicators.bars import check_bars
from champion.indicators.cross_section import rank

__all__ = ["LOOKBACK", "MODEL_INPUTS", "model_inputs", "needs", "rank", "scale_free"]
__dir__ = __all__.copy

LOOKBACK = 21
"""Bars per instrument, including the session's own, that all inputs need."""

_RETURNS = (1, 5, 20)
_FLOW_WINDOW = 20
_CLOSE = pl.col("close")
_KEY = ("instrument_id", "symbol", "trade_date")


def _ratio(amount: pl.Expr, base: pl.Expr) -> pl.Expr:
    """Return amount / base, null where the base is 0."""
    return pl.when(base != 0).then(amount / base)


_AVERAGES = ("sma_5", "sma_10", "sma_20", "sma_50", "sma_100", "sma_200", "ema_12", "ema_26", "ema_50")
_SCALE_FREE = {
    **{f"close_to_{name}": _ratio(_CLOSE, pl.col(name)) - 1 for name in (*_AVERAGES, "vwap")},
    **{f"{name}_to_close": pl.col(name) / _CLOSE for name in ("macd", "macd_signal", "macd_histogram", "atr_14")},
    **{name: pl.col(name) / 100 for name in ("rsi_14", "stochastic_k", "stochastic_d")},
    "bb_position": _ratio(_CLOSE - pl.col("bb_lower"), pl.col("bb_upper") - pl.col("bb_lower")),
    "bb_width": pl.col("bb_width"),
    "volume_to_ma_20": _ratio(pl.col("volume"), pl.col("volume_ma_20")) - 1,
    f"obv_flow_{_FLOW_WINDOW}": _ratio(pl.col("_flow"), _FLOW_WINDOW * pl.col("volume_ma_20")),
    **{f"return_{n}": pl.col(f"_return_{n}") for n in _RETURNS},
}

_FROM_BARS = {"close", "volume", "_flow", *(f"_return_{n}" for n in _RETURNS)}
MODEL_INPUTS = list(_SCALE_FREE)
"""The names of the inputs, in column order."""


def needs(name: str) -> set[str]:
    """Return the v1 features that one of `MODEL_INPUTS` is computed from; some inputs also use bars.

    >>> needs("close_to_sma_5"), needs("return_5")
    ({'sma_5'}, set())
    """
    return {*_SCALE_FREE[name].meta.root_names()} - _FROM_BARS


def model_inputs(
    bars: pl.DataFrame, features: pl.DataFrame, names: Sequence[str] | None = None, derived: Sequence[str] = ()
) -> pl.DataFrame:
    """Return instrument_id, symbol, trade_date and `MODEL_INPUTS` for each row of v1 features, sorted by instrument.

    With `names`, columns of a feature set without price scale, the inputs are the `derived` ones, a selection of
    `MODEL_INPUTS` for sets that contain features of v1, followed by `names`. Each input is the rank among the
    instruments of the session, from -0.5 to 0.5 (`rank`); null where a feature or a past bar is missing. `bars` are the
    bars that the features were built from, in any row order, with at least the last `LOOKBACK` bars of each instrument
    up to the session. Returns count an instrument's own bars.

    Raises:
        ContractError: a feature column is missing, or a feature row has no bar.

    >>> from datetime import date
    >>> names = {"instrument_id": ["A", "B"], "symbol": ["A", "B"]}
    >>> features = pl.DataFrame({**names, "trade_date": [date(2024, 1, 15)] * 2, "beta_60": [0.8, 1.2]})
    >>> model_inputs(pl.DataFrame(), features, ["beta_60"])["beta_60"].to_list()
    [-0.25, 0.25]
    """
    raw = scale_free(bars, features, names, derived)
    return raw.with_columns(rank(pl.col(name)).over("trade_date").alias(name) for name in raw.columns[len(_KEY) :])


def scale_free(
    bars: pl.DataFrame, features: pl.DataFrame, names: Sequence[str] | None = None, derived: Sequence[str] = ()
) -> pl.DataFrame:
    """Return the values that `model_inputs` ranks: decimals without a unit, and the features `names` unchanged.

    >>> from datetime import date
    >>> from champion.features import build
    >>> bar = {"instrument_id": "NSE:A", "symbol": "A", "trade_date": date(2024, 1, 15), "high": 12.0, "low": 9.0}
    >>> bars = pl.DataFrame([bar | {"close": 12.0, "volume": 100, "turnover": 1_000.0}])
    >>> scale_free(bars, build(bars))["close_to_vwap"].round(4).to_list()
    [0.2]
    """
    ranked, chosen = (names, derived) if names is not None else ((), MODEL_INPUTS)
    sources = sorted({feature for name in chosen for feature in needs(name)})
    needed = [*_KEY, *dict.fromkeys([*sources, *ranked])]
    if missing := [name for name in needed if name not in features.columns]:
        wanted = "feature set v1" if names is None else "the model's feature set"
        raise ContractError(f"features lack {', '.join(missing)}; build them with {wanted}")
    if not chosen:
        return features.select(needed).sort("instrument_id", "trade_date")
    columns = ("instrument_id", "trade_date", "close", "volume")
    check_bars(bars, columns)
    obv = indicators.obv(_CLOSE, pl.col("volume"))
    past = {f"_return_{n}": _CLOSE / _CLOSE.shift(n) - 1 for n in _RETURNS} | {"_flow": obv - obv.shift(_FLOW_WINDOW)}
    each = [expression.over("instrument_id").alias(name) for name, expression in past.items()]
    from_bars = bars.select(columns).sort("instrument_id", "trade_date").with_columns(each)
    joined = features.select(needed).join(from_bars, on=["instrument_id", "trade_date"], how="left")
    if without := joined.filter(_CLOSE.is_null()).height:
        raise ContractError(
            f"{without} of {quantity(joined.height, 'feature row has', 'feature rows have')} no bar; "
            "pass the bars the features were built from"
        )
    inputs = [_SCALE_FREE[name].alias(name) for name in chosen]
    return joined.select(*_KEY, *inputs, *ranked).sort("instrument_id", "trade_date")
