"""Split the active return of an account into the market, styles, sectors and what is specific to shares."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from champion.modeling.metrics import SESSIONS_PER_YEAR
from champion.modeling.risk.bias import bias_by_year
from champion.modeling.risk.covariance import Floats
from champion.modeling.risk.exposures import FACTORS
from champion.modeling.risk.model import RiskModel
from champion.portfolio import report
from champion.portfolio.history import Simulation

_WEEK = 5
_FEWEST_KNOWN = 0.95
_ACCOUNT, _ACTIVE = "account", "active"
_PARTS = ("market", "sector", "style", "specific", "other")


def active_parts(found: Simulation, benchmark: Simulation, model: RiskModel) -> pl.DataFrame:
    """Return trade_date, part, name and value: what the return in excess of the benchmark consists of, as decimals.

    The values of a session sum to `report.active`, and so those of a year to the sum of its active returns. `part` is
    market, sector, style, specific or other, and `name` the factor, or empty. A factor's value is the exposure of the
    active weights at the close before, as shares of each equity, times its return; specific is that of the specific
    returns. The market's part is what differs in cash. `other` is what the holdings at the close before do not earn by
    their prices: trades of the session, charges, impact, dividends if the model's returns are of prices alone, and
    holdings whose exposure or return the model does not know.

    Args:
        found: the account.
        benchmark: the account that it is compared with, of the same sessions, such as `Portfolio.benchmark`.
        model: the risk model; a session that it has not, or whose session before differs, is all `other`.

    >>> account = pl.DataFrame({"trade_date": [date(2024, 1, 1), date(2024, 1, 2)], "equity": 100.0, "bought": [0, 50]})
    >>> held = pl.DataFrame(schema={"trade_date": pl.Date, "instrument_id": pl.String, "value": pl.Float64})
    >>> one = Simulation(account, held, held, held, held)
    >>> from champion.modeling.risk import Estimation
    >>> nothing = np.zeros((0, 0))
    >>> active_parts(one, one, RiskModel((), (), (), Estimation(), *[nothing] * 5, ())).rows()
    [(datetime.date(2024, 1, 2), 'other', '', 0.0)]
    """
    active = report.active(found, benchmark)
    days = found.account["trade_date"].to_list()
    before = dict(zip(days[1:], days, strict=False))
    ours, theirs = (_weights(each) for each in (found, benchmark))
    sessions = {day: row for row, day in enumerate(model.sessions)}
    places = {name: place for place, name in enumerate(model.instruments)}
    kinds = [*model.kinds, "specific"]
    names = [*model.factors, ""]
    rows = list[tuple[date, str, str, float]]()
    for day, value in active.iter_rows():
        row, explained = sessions.get(day, 0), np.zeros(len(kinds))
        if row > 0 and model.sessions[row - 1] == before[day] and np.isfinite(model.of_factors[row, 0]):
            weights = np.zeros(len(places))
            for sign, held in ((1, ours), (-1, theirs)):
                for name, weight in held.get(before[day], {}).items():
                    if name in places:
                        weights[places[name]] += sign * weight
            explained = _explained(model, row, weights)
            rows += [(day, *named, float(one)) for *named, one in zip(kinds, names, explained, strict=True)]
        rows.append((day, "other", "", value - float(explained.sum())))
    schema = {"trade_date": pl.Date, "part": pl.String, "name": pl.String, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def parts_by_year(parts: pl.DataFrame) -> pl.DataFrame:
    """Return year, market, sector, style, specific, other and active of `active_parts`; the last row is all years.

    Values are sums of daily values, so the parts of a row sum to `active`. The year of the last row is null.

    >>> rows = [(date(2023, 1, 2), "style", "style_beta", 0.02), (date(2024, 1, 1), "other", "", -0.01)]
    >>> parts = pl.DataFrame(rows, schema=["trade_date", "part", "name", "value"], orient="row")
    >>> parts_by_year(parts).select("year", "style", "other", "active").rows()
    [(2023, 0.02, 0.0, 0.02), (2024, 0.0, -0.01, -0.01), (None, 0.02, -0.01, 0.01)]
    """
    sums = [pl.col("value").filter(part=part).sum().alias(part) for part in _PARTS]
    figures = [*sums, pl.col("value").sum().alias("active")]
    by_year = parts.group_by(pl.col("trade_date").dt.year().alias("year")).agg(figures).sort("year")
    return pl.concat([by_year, parts.select(pl.lit(None, pl.Int32).alias("year"), *figures).select(by_year.columns)])


def risk_periods(found: Simulation, benchmark: Simulation, model: RiskModel) -> pl.DataFrame:
    """Return portfolio, trade_date, until, forecast, realised, value and the exposure to each style.

    `portfolio` is `account`, or `active` for the account less its benchmark. The weights are those at the close of
    trade_date, every fifth session; `forecast` is the deviation of their return up to `until`, five sessions later, and
    `realised` the sum of the daily returns after costs. `value` is realised over forecast. Sessions without a forecast
    are left out, and those on which the risk of more than 5% of the weights is not known. An exposure of 0.1 is that of
    weights that lie a tenth of the ranks of all shares above the middle; cash has none.

    >>> from champion.modeling.risk import Estimation
    >>> account = pl.DataFrame({"trade_date": [date(2024, 1, 1), date(2024, 1, 2)], "equity": 100.0, "bought": [0, 50]})
    >>> held = pl.DataFrame(schema={"trade_date": pl.Date, "instrument_id": pl.String, "value": pl.Float64})
    >>> one = Simulation(account, held, held, held, held)
    >>> risk_periods(one, one, RiskModel((), (), (), Estimation(), *[np.zeros((0, 1))] * 5, ())).height
    0
    """
    days, known = found.account["trade_date"].to_list(), {*model.forecast_sessions()}
    returns = found.account.select("trade_date", value=pl.col("equity").pct_change())
    realised = dict(zip((_ACCOUNT, _ACTIVE), map(_by_day, (returns, report.active(found, benchmark))), strict=True))
    ours, theirs = (_weights(each) for each in (found, benchmark))
    rows = list[tuple[object, ...]]()
    for start in range(0, len(days) - _WEEK, _WEEK):
        day, after = days[start], days[start + 1 : start + 1 + _WEEK]
        if day not in known or not (held := ours.get(day)):
            continue
        against = theirs.get(day, {})
        forecast = model.at(day)
        active = {name: held.get(name, 0.0) - against.get(name, 0.0) for name in {**held, **against}}
        for portfolio, weights in ((_ACCOUNT, held), (_ACTIVE, active)):
            chosen, share = forecast.weights(weights)
            deviation = float(forecast.volatilities(chosen[:, None])[0]) * _WEEK**0.5
            if share < _FEWEST_KNOWN or not deviation > 0:
                continue
            total = sum(realised[portfolio].get(each, 0.0) for each in after)
            styles = (forecast.exposures[:, -len(FACTORS) :].T @ chosen).tolist()
            rows.append((portfolio, day, after[-1], deviation, total, total / deviation, *styles))
    names = ("forecast", "realised", "value", *FACTORS)
    schema = {"portfolio": pl.String, "trade_date": pl.Date, "until": pl.Date, **dict.fromkeys(names, pl.Float64)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def risk_by_year(periods: pl.DataFrame) -> pl.DataFrame:
    """Return portfolio, year, forecast, realised, bias, low, high, periods and the mean exposure to each style.

    `forecast` and `realised` are deviations a year (roots of mean squares); the other figures are those of
    `risk.bias_by_year`. The rows of a null year are all years.

    >>> days = [date(2024, 1, 8), date(2024, 1, 15)]
    >>> exposed = dict.fromkeys(FACTORS, 0.1)
    >>> periods = pl.DataFrame({"portfolio": "account", "until": days, "forecast": 0.02, "realised": [0.03, -0.01]})
    >>> periods = periods.with_columns(value=pl.col("realised") / pl.col("forecast"), **exposed)
    >>> risk_by_year(periods).select("year", pl.col("forecast", "realised", "bias").round(3), "periods").rows()
    [(None, 0.142, 0.159, 1.414, 2), (2024, 0.142, 0.159, 1.414, 2)]
    """
    year = pl.col("until").dt.year().alias("year")
    yearly = (SESSIONS_PER_YEAR / _WEEK) ** 0.5
    means = [pl.col(name).mean() for name in FACTORS]
    figures = [*((pl.col(name) ** 2).mean().sqrt() * yearly for name in ("forecast", "realised")), *means]
    by_year = periods.group_by("portfolio", year).agg(figures)
    whole = periods.group_by("portfolio").agg(figures).with_columns(year=pl.lit(None, pl.Int32))
    measured = pl.concat([by_year, whole.select(by_year.columns)])
    bias = bias_by_year(periods)
    joined = bias.join(measured, on=["portfolio", "year"], how="left", nulls_equal=True, maintain_order="left")
    return joined.select("portfolio", "year", "forecast", "realised", "bias", "low", "high", "periods", *FACTORS)


def _by_day(values: pl.DataFrame) -> dict[date, float]:
    return {day: value for day, value in values.iter_rows() if value is not None}


def _explained(model: RiskModel, row: int, weights: Floats) -> Floats:
    """Return the part of each factor and the specific part of the return of weights at the close before a session."""
    held, exposed = model.exposed(row - 1)
    known = np.isfinite(model.specific[row, held])
    chosen = np.where(known, weights[held], 0.0)
    of_factors = (exposed.T @ chosen) * np.nan_to_num(model.of_factors[row])
    return np.append(of_factors, chosen @ np.nan_to_num(model.specific[row, held]))


def _weights(found: Simulation) -> dict[date, dict[str, float]]:
    """Return the value of each position at each close as a share of the equity."""
    equity = found.account.select("trade_date", "equity")
    held = found.positions.filter(pl.col("value") != 0).join(equity, on="trade_date")
    shares = held.select("trade_date", "instrument_id", weight=pl.col("value") / pl.col("equity"))
    by_day = shares.partition_by("trade_date", as_dict=True)
    return {day: dict(rows.select("instrument_id", "weight").iter_rows()) for (day,), rows in by_day.items()}
