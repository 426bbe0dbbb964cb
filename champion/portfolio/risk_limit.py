"""Reduce decisions to a limit of forecast risk: the rest stays in cash."""

from __future__ import annotations

from math import isfinite

import polars as pl

from champion.errors import UsageError
from champion.modeling.metrics import SESSIONS_PER_YEAR
from champion.modeling.risk.model import RiskModel
from champion.portfolio.construction import Construction, dated
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


def limited(found: Construction, model: RiskModel, limit: float) -> Construction:
    """Return decisions within a risk limit, as `within_risk`, with what is left in cash for it.

    Instruments whose risk is not known on the day have the weight 0, and on days without a forecast all of them: so
    holdings are sold, and nothing is bought, while the risk is not known.

    >>> from datetime import date
    >>> import numpy as np
    >>> from champion.modeling.risk import Estimation
    >>> from champion.portfolio.construction import Rule, construct
    >>> scores = pl.DataFrame({"trade_date": [date(2024, 1, 1)], "instrument_id": ["A"], "score": [1.0]})
    >>> model = RiskModel((), (), (), Estimation(), *[np.zeros((0, 1))] * 5, ())
    >>> found = limited(construct(scores, Rule(top=1)), model, 0.15)
    >>> found.weights["weight"].to_list(), found.text.partition(": all")[0]
    ([0.0], 'left in cash on average: unknown risk 98.0% of the equity; no risk is known on 1 of 1 decision, the first \
on 2024-01-01')
    """
    is_known = pl.col("trade_date").is_in(model.forecast_sessions())
    forecast = within_risk(found.weights.filter(is_known), model, limit)
    decided = found.weights.join(forecast.rename({"weight": "kept"}), on=list(KEY), how="left", maintain_order="left")
    kept = decided.select(*KEY, "weight", pl.col("kept").fill_null(0.0))
    unknown = (pl.col("kept") == 0).alias("unknown")
    cut = pl.col("weight") - pl.col("kept")
    left = (
        kept.with_columns(unknown)
        .group_by("trade_date")
        .agg(risk_unknown=cut.filter("unknown").sum(), risk_limit=cut.filter(~pl.col("unknown")).sum())
    )
    uninvested = found.uninvested.drop("risk_unknown", "risk_limit").join(
        left, on="trade_date", how="left", maintain_order="left"
    )
    return Construction(
        kept.select(*KEY, weight="kept"),
        uninvested.with_columns(pl.col("risk_unknown", "risk_limit").fill_null(0.0)).select(found.uninvested.columns),
    )
