"""Factor returns by regression within each session, and the forecast of risk from the returns up to a session.

>>> from datetime import timedelta
>>> random, names = np.random.default_rng(1), [f"S{number:02d}" for number in range(20)]
>>> days = [date(2024, 1, 1) + timedelta(number) for number in range(70)]
>>> keys = pl.DataFrame({"trade_date": days}).join(pl.DataFrame({"instrument_id": names}), how="cross")
>>> close = np.cumprod(1 + random.normal(0, 0.02, (70, 20)), axis=0)
>>> styles = {name: np.tile(random.uniform(-0.5, 0.5, 20), 70) for name in FACTORS}
>>> exposures = keys.with_columns(sector=pl.lit("IT"), traded_value=pl.lit(1e7), **styles)
>>> model = fit(keys.with_columns(close=pl.Series(close.ravel())), exposures)
>>> model.factors[:3], model.kinds[:3]
(('market', 'IT', 'style_volatility'), ('market', 'sector', 'style'))
>>> model.factor_returns.height, model.specific_returns.height  # of the sessions after the first
(414, 1380)
>>> model.known_from() == model.forecast_sessions()[0] == days[60], model.row(days[60]), model.exposed(60)[1].shape
(True, 60, (20, 6))
>>> forecast = model.at(days[69])
>>> 0.01 < forecast.volatility({"S00": 1.0}) < 0.04, forecast.places(["S03"])
(True, [3])
>>> forecast.volatilities(np.full((20, 1), 0.05)).shape
(1,)
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from champion.base.counting import quantity
from champion.errors import UsageError
from champion.modeling.risk.covariance import (
    Floats,
    decayed_sums,
    factor_covariance,
    shrunk_variances,
    without_history,
)
from champion.modeling.risk.exposures import FACTORS, MARKET, require_columns
from champion.modeling.styles import SECTOR

Places: TypeAlias = NDArray[np.int64]
_KEY = ["trade_date", "instrument_id"]
_FIFTHS = 5
_LEAST_FREEDOM = 0.1  # of a squared return that the regression could not explain; below, it would divide by nothing


@dataclass(frozen=True, slots=True)
class Estimation:
    """How a forecast weighs the past. Half-lives are in sessions.

    Args:
        half_life: of variances of factors, and of specific variances.
        correlation_half_life: of correlations of factors.
        lags: of the correction of Newey and West; 0 forecasts one session, more a session of a longer holding.
        prior: sessions that the mean of an instrument's group is worth against its own specific variance.
        fewest: sessions of factor returns that a forecast needs.

    >>> Estimation(lags=0).half_life
    84.0
    >>> Estimation(half_life=0)
    Traceback (most recent call last):
    ...
    champion.errors.UsageError: no forecast can have half_life 0: half-lives and prior are above 0, lags is 0 \
or more, and fewest is 2 or more
    """

    half_life: float = 84.0
    correlation_half_life: float = 504.0
    lags: int = 5
    prior: float = 20.0
    fewest: int = 60

    def __post_init__(self) -> None:
        """Refuse values that give no forecast."""
        allowed = {
            "half_life": 0 < self.half_life < math.inf,
            "correlation_half_life": 0 < self.correlation_half_life < math.inf,
            "lags": self.lags >= 0,
            "prior": 0 < self.prior < math.inf,
            "fewest": self.fewest >= 2,  # noqa: PLR2004 - a variance needs two
        }
        if wrong := [f"{name} {getattr(self, name)!r}" for name, holds in allowed.items() if not holds]:
            raise UsageError(
                f"no forecast can have {', '.join(wrong)}: half-lives and prior are above 0, lags is 0 or more, "
                "and fewest is 2 or more"
            )


@dataclass(frozen=True, slots=True)
class Forecast:
    """The risk of the sessions after `day`, per session, from what is known at the close of `day`.

    `exposures` has a row per instrument and a column per factor, `factor_covariance` a row and a column per factor, and
    `specific_variance` a value per instrument. Returns are decimals.

    >>> forecast = Forecast(date(2024, 1, 1), ("A", "B"), np.ones((2, 1)), np.array([[4e-4]]), np.array([5e-4, 0.0]))
    >>> forecast.covariance(["B", "A"]).round(6).tolist()
    [[0.0004, 0.0004], [0.0004, 0.0009]]
    >>> forecast.volatility({"A": 1.0}), forecast.volatility({"A": 0.5, "NEW": 0.5})
    (0.03, nan)
    """

    day: date
    instruments: tuple[str, ...]
    exposures: Floats
    factor_covariance: Floats
    specific_variance: Floats

    def covariance(self, names: Sequence[str]) -> Floats:
        """Return the covariance of the returns of these instruments.

        Raises:
            UsageError: the risk of one of them is not known on the day.
        """
        places = self.places(names)
        chosen = self.exposures[places]
        return np.asarray(
            chosen @ self.factor_covariance @ chosen.T + np.diag(self.specific_variance[places]), np.float64
        )

    def places(self, names: Sequence[str]) -> list[int]:
        """Return the row of each instrument.

        Raises:
            UsageError: the risk of one of them is not known on the day.
        """
        rows = {name: place for place, name in enumerate(self.instruments)}
        if unknown := [name for name in names if name not in rows]:
            raise UsageError(
                f"the risk of {quantity(len(unknown), 'instrument')} is not known on {self.day}, first {unknown[0]}: "
                "the styles need bars up to the session; leave the instrument out"
            )
        return [rows[name] for name in names]

    def weights(self, held: Mapping[str, float]) -> tuple[Floats, float]:
        """Return weights in the order of `instruments`, and the share of them, in absolute terms, whose risk is known.

        >>> forecast = Forecast(date(2024, 1, 1), ("A", "B"), np.ones((2, 0)), np.ones((0, 0)), np.ones(2))
        >>> forecast.weights({"B": 0.75, "NEW": -0.25})
        (array([0.  , 0.75]), 0.75)
        """
        found = np.array([held.get(name, 0.0) for name in self.instruments])
        gross = sum(abs(weight) for weight in held.values())
        return found, float(np.abs(found).sum() / gross) if gross else 1.0

    def volatilities(self, weights: Floats) -> Floats:
        """Return the forecast deviation of a session's return of portfolios: a column of weights for each."""
        carried = self.exposures.T @ weights
        factors = (carried * (self.factor_covariance @ carried)).sum(axis=0)
        return np.asarray(np.sqrt(np.maximum(factors, 0.0) + self.specific_variance @ weights**2), np.float64)

    def volatility(self, held: Mapping[str, float]) -> float:
        """Return the forecast deviation of a session's return of one portfolio; NaN if a risk in it is not known."""
        weights, share = self.weights(held)
        return float(self.volatilities(weights[:, None])[0]) if share > 1 - 1e-9 else math.nan


@dataclass(frozen=True)
class RiskModel:
    """Factor returns and specific returns of each session, and forecasts from them.

    `factors` names the factors: the market, sectors and `FACTORS`. `factor_returns` has trade_date, factor and value,
    without rows of factors that have no member in the session. The returns of the sectors sum to 0, weighted as the
    regression, so that the market's is that of a share of the middle styles. `specific_returns` has trade_date,
    instrument_id and value. A return is explained by the exposures at the close of the session before. `squares` are
    the squared specific returns over 1 less their leverage, and `noise` the covariance of the errors of the factor
    returns that follows from them (HC2: MacKinnon and White, Journal of Econometrics 29, 1985).

    >>> nothing = np.zeros((0, 0))
    >>> RiskModel((), (), (), Estimation(), *[nothing] * 5, ()).factor_returns.rows()
    []
    """

    sessions: tuple[date, ...]
    instruments: tuple[str, ...]
    sectors: tuple[str, ...]
    estimation: Estimation
    of_factors: Floats
    specific: Floats
    squares: Floats
    noise: Floats
    returns: Floats
    rows: tuple[_Session, ...]

    @property
    def factors(self) -> tuple[str, ...]:
        """The names of the factors, in the order of the columns."""
        return (MARKET, *self.sectors, *FACTORS)

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each factor is: market, sector or style."""
        return (MARKET, *["sector"] * len(self.sectors), *["style"] * len(FACTORS))

    @property
    def factor_returns(self) -> pl.DataFrame:
        """trade_date, factor and value, sorted by session."""
        return self._long(self.of_factors, self.factors, "factor")

    @property
    def specific_returns(self) -> pl.DataFrame:
        """trade_date, instrument_id and value, sorted by session."""
        return self._long(self.specific, self.instruments, "instrument_id")

    def row(self, day: date) -> int:
        """Return the place of a session.

        Raises:
            UsageError: the model has no such session.
        """
        row = bisect_left(self.sessions, day)
        if row == len(self.sessions) or self.sessions[row] != day:
            span = f"from {self.sessions[0]} to {self.sessions[-1]}" if self.sessions else "none"
            raise UsageError(f"the risk model has no session {day}; its sessions are {span}")
        return row

    def exposed(self, row: int) -> tuple[Places, Floats]:
        """Return the places of the instruments with known exposures at a close, and their exposures to each factor."""
        session = self.rows[row]
        return session.places, session.exposures(len(self.sectors))

    def known_from(self) -> date | None:
        """Return the first session with a forecast; None if there is none."""
        row = int(np.searchsorted(np.cumsum(np.isfinite(self.of_factors[:, 0])), self.estimation.fewest))
        return self.sessions[row] if row < len(self.sessions) else None

    def forecast_sessions(self) -> list[date]:
        """Return the sessions with a forecast."""
        return [] if (since := self.known_from()) is None else list(self.sessions[self.row(since) :])

    def at(self, day: date) -> Forecast:
        """Return the forecast for the sessions after `day`; returns after `day` are not used.

        A sector with fewer than `fewest` returns has the mean variance of the other sectors, and no correlation.

        Raises:
            UsageError: the model has no such session, or too few sessions before it.
        """
        row, estimation = self.row(day), self.estimation
        past = self.of_factors[: row + 1]
        history = np.isfinite(past).sum(axis=0)
        if history[0] < estimation.fewest:
            raise UsageError(
                f"{quantity(int(history[0]), 'session')} of factor returns up to {day}: a forecast needs "
                f"{estimation.fewest}. Give earlier bars, or ask for a later session (`known_from`)"
            )
        lives = (estimation.half_life, estimation.correlation_half_life)
        seen = np.flatnonzero(history)  # without sectors that have members later only, which would change last bits
        square = np.ix_(seen, seen)
        covariance = np.zeros((len(history), len(history)))
        noise = self.noise[: row + 1][:, square[0], square[1]]
        covariance[square] = factor_covariance(past[:, seen], lives, estimation.lags, noise)
        covariance = without_history(covariance, history >= estimation.fewest, len(FACTORS))
        places, exposures = self.exposed(row)
        sums, counts = self._history
        liquidity = self.rows[row].liquidity
        variances = shrunk_variances(sums[row, places], counts[row, places], liquidity, estimation.prior)
        names = tuple(self.instruments[place] for place in places)
        return Forecast(day, names, exposures, covariance, variances)

    @cached_property
    def _history(self) -> tuple[Floats, Floats]:
        """The weighted sums of squared specific returns, and of sessions with one, up to each session."""
        known = np.where(np.isfinite(self.specific), 1.0, np.nan)
        return decayed_sums(self.squares, self.estimation.half_life), decayed_sums(known, self.estimation.half_life)

    def _long(self, values: Floats, names: Sequence[str], column: str) -> pl.DataFrame:
        rows, columns = np.nonzero(np.isfinite(values))
        days = pl.Series(list(self.sessions), dtype=pl.Date).gather(rows)
        named = pl.Series(list(names), dtype=pl.String).gather(columns)
        return pl.DataFrame({"trade_date": days, column: named, "value": values[rows, columns]})


@dataclass(frozen=True, slots=True)
class _Session:
    """The instruments with known exposures at a close: places, sectors, regression weights, styles, liquidity fifth."""

    places: Places
    sectors: Places
    weights: Floats
    styles: Floats
    liquidity: Places

    def exposures(self, sectors: int) -> Floats:
        """Return market, sectors and styles as columns."""
        belongs = (self.sectors[:, None] == np.arange(sectors)).astype(np.float64)
        return np.column_stack([np.ones(len(self.places)), belongs, self.styles])


def fit(bars: pl.DataFrame, exposures: pl.DataFrame, estimation: Estimation | None = None) -> RiskModel:
    """Return the risk model of all sessions of the bars.

    Args:
        bars: adjusted: instrument_id, trade_date and close, of every session of the exchange. A return counts if the
            instrument had a bar in the session before, too.
        exposures: rows of `risk.exposures`. Leave out those of instruments that are not in the universe: the regression
            uses all rows, weighted by the square root of traded_value, because the specific variance falls with size
            (USE4 takes the square root of the capitalisation, of which there is no history).
        estimation: by default `Estimation()`.

    Raises:
        UsageError: the exposures lack a column, or have a row of another session or instrument than the bars.

    >>> fit(pl.DataFrame({"trade_date": []}), pl.DataFrame({"trade_date": []}))
    Traceback (most recent call last):
    ...
    champion.errors.UsageError: the bars lack instrument_id, close; they have trade_date
    """
    require_columns("bars", bars, [*_KEY, "close"])
    require_columns("exposures", exposures, [*_KEY, SECTOR, "traded_value", *FACTORS])
    sessions, instruments = (tuple(bars[name].unique().sort()) for name in _KEY)
    close = np.full((len(sessions), len(instruments)), np.nan)
    close[_places(bars["trade_date"], sessions), _places(bars["instrument_id"], instruments)] = bars["close"]
    returns = np.full_like(close, np.nan)
    returns[1:] = close[1:] / close[:-1] - 1
    sectors = tuple(exposures[SECTOR].unique().sort())
    rows = _sessions(exposures, sessions, instruments, sectors)
    count = 1 + len(sectors) + len(FACTORS)
    of_factors, noise = np.full((len(sessions), count), np.nan), np.zeros((len(sessions), count, count))
    specific, squares = np.full_like(close, np.nan), np.full_like(close, np.nan)
    for row in range(1, len(sessions)):
        before = rows[row - 1]
        found = np.isfinite(returns[row, before.places])
        explained = _regressed(before, returns[row, before.places], found, len(sectors))
        if explained is not None:
            of_factors[row], noise[row], specific[row, before.places], squares[row, before.places] = explained
    estimated = (of_factors, specific, squares, noise, returns)
    return RiskModel(sessions, instruments, sectors, estimation or Estimation(), *estimated, rows)


def _regressed(
    session: _Session, returns: Floats, found: NDArray[np.bool_], sectors: int
) -> tuple[Floats, Floats, Floats, Floats] | None:
    """Return the returns of the factors, the covariance of their errors, the specific returns and their squares.

    None if there are too few instruments. Regressed on all sectors and the styles, without a constant. The market is
    then the weighted mean of the sectors, and each sector the rest: the solution under the constraint that the sectors
    sum to 0 (USE4, equation 2.4).
    """
    weights = np.where(found, session.weights, 0.0)
    members = np.bincount(session.sectors[found], weights[found], minlength=sectors)
    used = np.concatenate([members > 0, np.ones(len(FACTORS), bool)])
    if found.sum() <= used.sum():
        return None
    design, outcome = np.ascontiguousarray(session.exposures(sectors)[:, 1:][:, used]), np.where(found, returns, 0.0)
    inverse = np.linalg.pinv(design.T @ (design * weights[:, None]), rcond=1e-10, hermitian=True)
    solver = inverse @ (design * weights[:, None]).T
    solved = solver @ outcome
    specific = np.where(found, outcome - design @ solved, np.nan)
    leverage = (design * solver.T).sum(axis=1)
    squares = specific**2 / np.maximum(1 - leverage, _LEAST_FREEDOM)
    # Market and sectors from the slopes of the sectors. Factors without a member are left out of all products: how many
    # there are depends on later sessions, and the order of a sum on the size of the matrix.
    centred, shares = np.eye(len(used)), members / members[members > 0].sum()
    centred[:sectors, :sectors] -= shares
    named = np.vstack([np.concatenate([shares, np.zeros(len(FACTORS))]), centred])
    present = np.flatnonzero(np.concatenate([[True], used]))
    chosen = np.ascontiguousarray(named[present][:, used])
    carried = chosen @ solver
    values, noise = np.full(len(named), np.nan), np.zeros((len(named), len(named)))
    values[present] = chosen @ solved
    noise[np.ix_(present, present)] = (carried * np.nan_to_num(squares)) @ carried.T
    return values, noise, specific, squares


def _sessions(
    exposures: pl.DataFrame, sessions: Sequence[date], instruments: Sequence[str], sectors: Sequence[str]
) -> tuple[_Session, ...]:
    ordered = exposures.sort(_KEY)
    days = _places(ordered["trade_date"], sessions)
    liquid = pl.col("traded_value").rank("ordinal").over("trade_date")
    fifths = ordered.select(((liquid - 1) * _FIFTHS // pl.len().over("trade_date")).cast(pl.Int64)).to_series()
    places, belongs = _places(ordered["instrument_id"], instruments), _places(ordered[SECTOR], sectors)
    weights, styles = np.sqrt(ordered["traded_value"].to_numpy()), ordered.select(FACTORS).to_numpy()
    liquidity = fifths.to_numpy()
    parts = (slice(*ends) for ends in pairwise(np.searchsorted(days, np.arange(len(sessions) + 1))))
    return tuple(_Session(places[part], belongs[part], weights[part], styles[part], liquidity[part]) for part in parts)


def _places(names: pl.Series, known: Sequence[date] | Sequence[str]) -> Places:
    """Return the place of each name.

    Raises:
        UsageError: a name is not known.
    """
    numbers = {name: place for place, name in enumerate(known)}
    places = names.replace_strict(numbers, default=None, return_dtype=pl.Int64)
    if places.null_count():
        raise UsageError(f"the exposures have {names.filter(places.is_null())[0]}, of which the bars have no row")
    return places.to_numpy()
