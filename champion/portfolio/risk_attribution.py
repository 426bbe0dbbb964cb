"""Split the active return of an account into the market, styles, sectors and what is specific to shares."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from champion.modeling.risk.covariance import Floats
from champion.modeling.risk.model import RiskModel
from champion.portfolio import report
from champion.portfolio.history import Simulation


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
