"""Bias statistic: whether portfolios varied as much afterwards as the model forecast.

A return divided by its forecast deviation has the deviation 1 if the forecasts are right. Above 1 the model forecasts
too little risk, below 1 too much (Menchero, Orr and Wang 2011, section 6; Grinold and Kahn, Active Portfolio
Management, 2000, chapter 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date
from typing import TypeAlias

import numpy as np
import polars as pl

from champion.errors import UsageError
from champion.modeling.risk.covariance import Floats
from champion.modeling.risk.exposures import FACTORS
from champion.modeling.risk.model import Forecast, RiskModel

Portfolios: TypeAlias = Callable[[Forecast], Mapping[str, Floats]]
"""A function of a forecast that returns weights in the order of its instruments, by the name of the portfolio."""
_FIFTH, _DRAWN, _FEWEST_KNOWN = 0.2, 50, 0.95


def equal_weighted(forecast: Forecast) -> dict[str, Floats]:
    """Return the portfolio of all instruments whose risk is known, equally weighted.

    >>> forecast = Forecast(date(2024, 1, 1), ("A", "B"), np.ones((2, 1)), np.array([[4e-4]]), np.array([5e-4, 0.0]))
    >>> equal_weighted(forecast)["equal-weighted"].tolist()
    [0.5, 0.5]
    """
    count = len(forecast.instruments)
    return {"equal-weighted": np.full(count, 1 / count)}


def portfolios_of(model: RiskModel, *, random: int = 10, seed: int = 7) -> Portfolios:
    """Return a function that gives the test portfolios of a forecast, each equally weighted and long only.

    They are all instruments, the best fifth of each style, each sector, and `random` portfolios of 50 instruments,
    drawn again on each session. Those named `active ...` are the same less all instruments: their return is the one in
    excess of the universe.

    >>> from champion.modeling.risk.model import Estimation
    >>> nothing = np.zeros((0, 0))
    >>> model = RiskModel((), ("A", "B"), ("IT",), Estimation(), *[nothing] * 5, ())
    >>> exposed = np.array([[1.0, 1.0, 0.25, 0.0, 0.0, 0.0], [1.0, 0.0, -0.25, 0.0, 0.0, 0.0]])
    >>> forecast = Forecast(date(2024, 1, 1), ("A", "B"), exposed, np.eye(6), np.ones(2))
    >>> weights = portfolios_of(model, random=1)(forecast)
    >>> weights["sector IT"].tolist(), weights["active top style_volatility"].tolist()
    ([1.0, 0.0], [0.5, -0.5])
    """

    def portfolios(forecast: Forecast) -> dict[str, Floats]:
        found, count = equal_weighted(forecast), len(forecast.instruments)
        chosen = {}
        for name, values in zip(FACTORS, forecast.exposures[:, -len(FACTORS) :].T, strict=True):
            chosen[f"top {name}"] = np.argsort(-values, kind="stable")[: max(int(count * _FIFTH), 1)]
        for place, sector in enumerate(model.sectors):
            members = np.flatnonzero(forecast.exposures[:, 1 + place])
            if members.size:
                chosen[f"sector {sector}"] = members
        draws = np.random.default_rng([seed, forecast.day.toordinal()])
        for number in range(random):
            chosen[f"random {number + 1}"] = draws.permutation(count)[:_DRAWN]
        for name, members in chosen.items():
            weights = np.zeros(count)
            weights[members] = 1 / len(members)
            found |= {name: weights, f"active {name}": weights - found["equal-weighted"]}
        return found

    return portfolios


def standardised(model: RiskModel, portfolios: Portfolios | pl.DataFrame, *, horizon: int = 1) -> pl.DataFrame:
    """Return portfolio, trade_date, until, forecast, realised and value: realised over forecast.

    The weights at the close of trade_date are held for `horizon` sessions, up to `until`, and are decided again at its
    close; so the periods of a portfolio do not overlap. `realised` is the sum of the weighted returns, and
    `forecast` the deviation of a session's return times the square root of the horizon. A session without a bar counts
    as no return. Sessions before the model's first forecast are left out.

    Args:
        model: the risk model.
        portfolios: a function of a forecast, as from `portfolios_of`; or a frame of one portfolio: trade_date,
            instrument_id and weight. Of a frame, instruments whose risk is not known are left out, and a session on
            which they have more than 5% of the weights, in absolute terms.
        horizon: sessions of a period.

    Raises:
        UsageError: the horizon is below 1, or the frame lacks a column.

    >>> from champion.modeling.risk.model import Estimation
    >>> model = RiskModel((), (), (), Estimation(), *[np.zeros((0, 1))] * 5, ())
    >>> standardised(model, equal_weighted).columns
    ['portfolio', 'trade_date', 'until', 'forecast', 'realised', 'value']
    """
    if horizon < 1:
        raise UsageError(f"the horizon {horizon} has no return: it is 1 session or more")
    asked = portfolios if callable(portfolios) else _of_frame(portfolios)
    rows = list[tuple[str, date, date, float, float]]()
    first = model.known_from()
    start = len(model.sessions) if first is None else model.row(first)
    returns = np.nan_to_num(model.returns)
    for row in range(start, len(model.sessions) - horizon, horizon):
        places, _ = model.exposed(row)
        day = model.sessions[row]
        if not places.size:
            continue
        forecast = model.at(day)
        if not (weights := asked(forecast)):
            continue
        columns = np.column_stack(list(weights.values()))
        deviations = forecast.volatilities(columns) * math.sqrt(horizon)
        realised = returns[row + 1 : row + 1 + horizon, places].sum(axis=0) @ columns
        until = model.sessions[row + horizon]
        rows += [(name, day, until, *pair) for name, *pair in zip(weights, deviations, realised, strict=True)]
    schema = {"portfolio": pl.String, "trade_date": pl.Date, "until": pl.Date}
    frame = pl.DataFrame(rows, schema=schema | {"forecast": pl.Float64, "realised": pl.Float64}, orient="row")
    risky = pl.when(pl.col("forecast") > 0).then(pl.col("realised") / pl.col("forecast"))
    return frame.with_columns(value=risky).sort("portfolio", "trade_date")


def bias_by_year(values: pl.DataFrame) -> pl.DataFrame:
    """Return portfolio, year, bias, periods, low and high, and a row of each portfolio's whole span with a null year.

    `bias` is the deviation of the standardised returns, null with fewer than two. Right forecasts of normal returns
    have it between `low` and `high`, 1 less and plus the square root of 2 / periods, in 95% of the cases (USE4); fat
    tails widen that, and portfolios that share holdings are not independent.

    >>> days = [date(2023, 1, 2), date(2023, 1, 3), date(2024, 1, 1)]
    >>> values = pl.DataFrame({"portfolio": "all", "until": days, "value": [1.0, -1.0, 0.5]})
    >>> bias_by_year(values).select("year", pl.col("bias").round(2), "periods").rows()
    [(None, 1.04, 3), (2023, 1.41, 2), (2024, None, 1)]
    """
    known = values.drop_nulls("value").with_columns(year=pl.col("until").dt.year())
    width = (2 / pl.len()).sqrt()
    figures = (pl.col("value").std().alias("bias"), pl.len().alias("periods"), (1 - width).alias("low"))
    by_year = known.group_by("portfolio", "year").agg(*figures, (1 + width).alias("high"))
    whole = known.group_by("portfolio").agg(*figures, (1 + width).alias("high"))
    whole = whole.with_columns(year=pl.lit(None, pl.Int32)).select(by_year.columns)
    return pl.concat([whole, by_year]).sort("portfolio", "year", nulls_last=False)


def _of_frame(frame: pl.DataFrame) -> Portfolios:
    """Return a function that gives the portfolio of a frame on a session.

    Raises:
        UsageError: the frame lacks a column.
    """
    columns = ("trade_date", "instrument_id", "weight")
    if missing := [name for name in columns if name not in frame.columns]:
        raise UsageError(f"the portfolio lacks {', '.join(missing)}; it has {', '.join(frame.columns)}")
    days = {day: rows for (day,), rows in frame.select(columns).partition_by("trade_date", as_dict=True).items()}

    def portfolios(forecast: Forecast) -> dict[str, Floats]:
        if (rows := days.get(forecast.day)) is None:
            return {}
        weights, share = forecast.weights(dict(rows.select("instrument_id", "weight").iter_rows()))
        return {"portfolio": weights} if share >= _FEWEST_KNOWN else {}

    return portfolios
