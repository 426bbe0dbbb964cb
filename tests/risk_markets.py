"""A simulated market whose true covariance is known."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from champion.modeling import risk

NAMES = [f"S{number:02d}" for number in range(60)]
SECTORS = ["IT", "Metals", "Unknown"]
SESSIONS = 700
LONG = risk.Estimation(half_life=1e6, correlation_half_life=1e6, lags=0, prior=1e-6)


def weekdays(count: int) -> list[date]:
    days = (date(2020, 1, 1) + timedelta(offset) for offset in range(2 * count))
    return [day for day in days if day.weekday() < 5][:count]


class Market:
    """Returns of factors and shares with constant exposures, drawn from a covariance that is known."""

    def __init__(self, seed: int = 11) -> None:
        random = np.random.default_rng(seed)
        self.days = weekdays(SESSIONS)
        self.styles = np.column_stack([random.permutation(60) / 60 - 0.49 for _ in risk.FACTORS])
        belongs = np.repeat(np.eye(3), 20, axis=0)
        self.exposures = np.column_stack([np.ones(60), belongs, self.styles])
        loads = random.normal(0, 1, (8, 8)) * 0.3 + np.eye(8)
        scale = np.array([0.01, 0.006, 0.006, 0.006, *[0.008] * 4])
        self.factor_covariance = scale[:, None] * (loads @ loads.T) * scale
        self.specific = random.uniform(0.01, 0.03, 60)
        factors = random.multivariate_normal(np.zeros(8), self.factor_covariance, SESSIONS)
        self.returns = factors @ self.exposures.T + random.normal(0, 1, (SESSIONS, 60)) * self.specific
        self.covariance = self.exposures @ self.factor_covariance @ self.exposures.T + np.diag(self.specific**2)
        closes = 100 * np.cumprod(1 + self.returns, axis=0)
        keys = pl.DataFrame({"trade_date": self.days}).join(
            pl.DataFrame({"instrument_id": NAMES, "sector": np.repeat(SECTORS, 20), "place": range(60)}), how="cross"
        )
        self.bars = keys.select("trade_date", "instrument_id", close=pl.Series(closes.ravel()))
        values = {name: self.styles[:, place][keys["place"]] for place, name in enumerate(risk.FACTORS)}
        # The specific variance of the regression is the inverse of its weights, as weighted least squares assumes.
        value = (1 / self.specific**4)[keys["place"]]
        self.known = keys.select("trade_date", "instrument_id", "sector").with_columns(
            traded_value=pl.Series(value), **{name: pl.Series(each) for name, each in values.items()}
        )
