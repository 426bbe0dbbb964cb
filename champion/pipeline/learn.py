"""Bars and features to what a model learns from and scores: inputs, labels, and the universe known at the time."""

from __future__ import annotations

from datetime import date

import polars as pl

from champion import adjust, contracts
from champion.errors import LakeError
from champion.inputs import LOOKBACK, MODEL_INPUTS, model_inputs
from champion.labels import forward_return
from champion.lake import Lake
from champion.pipeline.adjusted import adjusted_bars
from champion.pipeline.build import FEATURES, stale_sessions

_TURNOVER_WINDOW = 20
_BAR_COLUMNS = ("instrument_id", "symbol", "trade_date", "high", "low", "close", "volume", "turnover")
_KEY = ["instrument_id", "trade_date"]


def training_frame(lake: Lake, start: date, end: date, *, horizon: int, min_turnover: float) -> pl.DataFrame:
    """Return one row per instrument and session in the universe: key, inputs, forward_return, label_end.

    Labels near `end` are null: what follows is not known. `min_turnover` is in rupees, see `universe`.

    Raises:
        LakeError: features are missing, or older than the bars, the corporate actions or the rules they come of.
    """
    check_current(lake, start, end)
    bars = _bars(lake, start, end)
    features = _features(lake, bars, start, end).join(universe(bars, min_turnover), on=_KEY, how="semi")
    inputs = model_inputs(bars, features)
    return inputs.join(forward_return(bars, horizon), on=_KEY, how="left").filter(pl.col("trade_date") >= start)


def scoring_frame(lake: Lake, session: date, *, min_turnover: float) -> pl.DataFrame:
    """Return the inputs of one session's universe, made as in training.

    Raises:
        LakeError: the session has no features.
    """
    bars = _bars(lake, session, session)
    features = _features(lake, bars, session, session)
    if features.is_empty():
        raise LakeError(f"no features for session {session}: run `champion daily {session}` first")
    liquid = features.join(universe(bars, min_turnover), on=_KEY, how="semi")
    if liquid.is_empty():
        raise LakeError(f"session {session}: no instrument has traded {min_turnover:,.0f} rupees a day for 20 sessions")
    return model_inputs(bars, liquid)


def universe(bars: pl.DataFrame, min_turnover: float) -> pl.DataFrame:
    """Return the instrument_id and trade_date of every bar whose instrument was liquid then.

    Liquid means a median turnover of at least `min_turnover` rupees over its last 20 bars, this one included: known
    at the close, so that nobody is chosen for what came later.
    """
    median = pl.col("turnover").rolling_median(_TURNOVER_WINDOW).over("instrument_id")
    return bars.sort(_KEY).filter(median >= min_turnover).select(_KEY)


def inputs() -> list[str]:
    """Return the names of the model's inputs, in order."""
    return list(MODEL_INPUTS)


def check_current(lake: Lake, start: date | None, end: date | None) -> None:
    """Do nothing where every session from `start` to `end` has the features that its bars and actions make.

    Raises:
        LakeError: naming the sessions and the command that mends them.
    """
    stale = [s for s in stale_sessions(lake, end or date.max) if start is None or s >= start]
    if stale:
        raise LakeError(
            f"{len(stale)} session(s) from {stale[0]} on have no current features: "
            f"run `champion features {stale[0]} {stale[-1]}`"
        )


def _bars(lake: Lake, start: date, end: date) -> pl.DataFrame:
    """Return adjusted bars from as many sessions before `start` as inputs and universe look back."""
    before = lake.sessions("normalized_equity_ohlc", end=start)[-_lookback() - 1 :]
    first = before[0] if before else start
    return adjusted_bars(lake, first, end, columns=_BAR_COLUMNS)


def _lookback() -> int:
    return 2 * max(LOOKBACK, _TURNOVER_WINDOW)  # instruments that skip sessions need more of the calendar


def _features(lake: Lake, bars: pl.DataFrame, start: date, end: date) -> pl.DataFrame:
    """Return the features in the scale of the bars: each session's were made in its own."""
    units = {field.name: field.unit for field in contracts.load(FEATURES).fields}
    return adjust.rescale(lake.scan(FEATURES, start, end).collect(), bars, units)
