"""Reduce decisions to a limit of forecast risk: the rest stays in cash."""

from __future__ import annotations

from math import isfinite

import polars as pl

from champion.errors import UsageError
from champion.modeling.metrics import SESSIONS_PER_YEAR
from champion.modeling.risk.model import RiskModel
from champion.portfolio.construction import dated
from champion.portfolio.inputs import KEY, is_number, require_frame, require_kind, require_unique


def within_risk(weights: pl.DataFrame, model: RiskModel, volatility: float) -> pl.DataFrame:
    """Return decisions whose forecast risk is at most `volatility`: trade_date, instrument_id and weight, sorted.

    All weights of a decision above the limit are multiplied by limit / forecast, which is exact, because risk is
    proportional to the weights and cash has none. An instrument whose risk is not known on the day is not held: its
    weight stays in cash. A decision of which no instrument has a known risk sells all: its instruments have the weight
    0. The forecast of a decision uses returns up to its day only.

    Args:
        weights: trade_date, instrument_id and weight, as from `target_weights`.
        model: the risk model, with a forecast for each day of decision.
        volatility: largest deviation of the return a year, such as 0.15.

    Raises:
        UsageError: the limit is no finite number above 0, `model` no risk model, the weights lack a column, or the
            model has no forecast on a day.

    >>> within_risk(pl.DataFrame(), None, 0.0)
    Traceback (most recent call last):
    ...
    champion.errors.UsageError: a risk limit of 0.0 is not possible; give a deviation a year above 0, such as 0.15
    """
    if not is_number(volatility) or volatility <= 0:
        raise UsageError(
            f"a risk limit of {volatility!r} is not possible; give a deviation a year above 0, such as 0.15"
        )
    require_kind("model", model, RiskModel)
    require_frame("weights", weights, [*KEY, "weight"])
    require_unique("weights", weights)
    decided = [weights.select(*KEY, pl.col("weight").cast(pl.Float64)).clear()]
    for session in weights.sort(KEY).partition_by("trade_date"):
        day = session["trade_date"][0]
        forecast = model.at(day)
        known = session.filter(pl.col("instrument_id").is_in(list(forecast.instruments)))
        held = dict(known.select("instrument_id", pl.col("weight").cast(pl.Float64)).iter_rows())
        deviation = forecast.volatility(held) * SESSIONS_PER_YEAR**0.5
        # An unknown deviation, as without any history of specific returns, is not within a limit.
        share = 0.0 if not isfinite(deviation) else min(1.0, volatility / deviation) if deviation > 0 else 1.0
        scaled = {name: weight * share for name, weight in held.items()}
        decided.append(dated(day, scaled or dict.fromkeys(session["instrument_id"], 0.0)).select(decided[0].columns))
    return pl.concat(decided).sort(KEY)
