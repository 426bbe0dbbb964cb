"""Markets, scores and portfolios on arrays, for the error rate and the power of the gate.

Returns have a row per session and a column per instrument; scores have a row per trial, decision and instrument. A
portfolio holds the best `TOP` instruments, equally weighted, from the session after each decision to the next one. Its
active return is that of the portfolio less the mean of all instruments in the universe. Charges are off: they must not
do the work of the gate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from champion.lake import Lake
from champion.modeling import multiplicity
from champion.pipeline.ingest.adjusted_bars import adjusted_bars

Floats: TypeAlias = NDArray[np.float64]
Singles: TypeAlias = NDArray[np.float32]
Generator: TypeAlias = np.random.Generator

TRIALS, INSTRUMENTS, TOP, EVERY = 200, 200, 20, 5
SECTORS, LATE = 12, 0.2  # sectors of the simulated market; share of instruments, and of trials, that start late
_LOW = 1.2  # a t-statistic below which no trial passes at any level that is used
_LETTERS = "AABBCDEFGGHHIIJJKKLMMNOPPRRSSSTTUVWZ"
_MARKET, _SECTOR, _OWN = 0.009, 0.006, (0.012, 0.035)
_DEGREES = 4  # of freedom of Student's t: daily returns of shares have about as heavy tails


@dataclass(frozen=True, slots=True)
class Market:
    """Returns (NaN outside the universe), the sector and the symbol of each instrument, and inputs of a model.

    `inputs` has a plane per input, a row per decision and a column per instrument; it uses returns up to the decision.
    """

    returns: Floats
    sectors: NDArray[np.int64]
    symbols: tuple[str, ...]
    inputs: Singles

    @property
    def decisions(self) -> NDArray[np.int64]:
        """The sessions after whose close scores are computed."""
        return decisions_of(len(self.returns))


def decisions_of(sessions: int) -> NDArray[np.int64]:
    """Return the sessions of the decisions, after enough sessions for the inputs."""
    return np.arange(LONGEST, sessions - EVERY, EVERY)


def martingales(rng: Generator, sessions: int, signal: float = 0.0) -> Market:
    """Return a market whose prices are arithmetic martingales, with heavy tails and clusters of volatility.

    With a signal, the expected own return of a session is -signal times the mean of the last five own returns.
    """
    sectors = rng.integers(0, SECTORS, INSTRUMENTS)
    calm = _volatility(rng, sessions, 1) * rng.normal(size=(sessions, 1)) * _MARKET
    ours = _volatility(rng, sessions, SECTORS) * rng.normal(size=(sessions, SECTORS)) * _SECTOR
    shocks = rng.standard_t(_DEGREES, (sessions, INSTRUMENTS)) / np.sqrt(_DEGREES / (_DEGREES - 2))
    own = shocks * _volatility(rng, sessions, INSTRUMENTS) * rng.uniform(*_OWN, INSTRUMENTS)
    for day in range(5, sessions) if signal else ():
        own[day] -= signal * own[day - 5 : day].mean(axis=0)
    returns = np.maximum(rng.uniform(0.4, 1.6, INSTRUMENTS) * calm + ours[:, sectors] + own, -0.9)
    first = np.where(rng.random(INSTRUMENTS) < LATE, rng.integers(0, sessions // 2, INSTRUMENTS), 0)
    returns[np.arange(sessions)[:, None] < first] = np.nan
    names = tuple(str(letter) for letter in rng.choice(list(_LETTERS), INSTRUMENTS))
    return Market(returns, sectors, names, inputs_of(returns))


def permuted(rng: Generator, real: Market, sessions: int) -> Market:
    """Return real returns of a random stretch, whose instruments are permuted against all that scores depend on."""
    first = int(rng.integers(0, len(real.returns) - sessions + 1))
    chosen = rng.choice(len(real.symbols), INSTRUMENTS, replace=False)
    returns = real.returns[first : first + sessions, chosen]
    names = tuple(real.symbols[place] for place in chosen)
    return Market(returns[:, rng.permutation(INSTRUMENTS)], real.sectors[chosen], names, inputs_of(returns))


def read_real(home: Path, file: Path, instruments: int = 600) -> Market:
    """Return adjusted daily returns of the most traded company shares of a workspace, kept in `file`.

    A share without a trade keeps its price, so its return is 0; before its first bar it is outside the universe. Its
    sector is a group of instruments whose returns move together, because the lists of sectors do not cover all years.
    """
    if not file.exists():
        bars = adjusted_bars(
            Lake(home / "lake"), columns=("instrument_id", "symbol", "trade_date", "close", "turnover")
        )
        by_name = bars.group_by("instrument_id").agg(pl.col("turnover").sum(), pl.len(), pl.col("symbol").last())
        long = by_name.filter(pl.col("len") > bars["trade_date"].n_unique() // 3)
        names = long.sort("turnover", descending=True).head(instruments).sort("instrument_id")
        wide = bars.filter(pl.col("instrument_id").is_in(names["instrument_id"].implode())).pivot(
            "instrument_id", index="trade_date", values="close"
        )
        close = wide.sort("trade_date").select(names["instrument_id"].to_list()).fill_null(strategy="forward")
        prices = close.cast(pl.Float64).fill_null(np.nan).to_numpy()
        np.savez_compressed(file, returns=prices[1:] / prices[:-1] - 1, symbols=np.array(names["symbol"].to_list()))
    kept = np.load(file)
    returns = kept["returns"]
    return Market(returns, _clusters(returns), tuple(kept["symbols"].tolist()), inputs_of(returns[:LONGEST]))


def _clusters(returns: Floats) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans  # noqa: PLC0415 - slow to import

    active = np.nan_to_num(returns - np.nanmean(returns, axis=1, keepdims=True))
    size = np.sqrt((active**2).mean(axis=0))
    directions = np.linalg.svd(active / size, full_matrices=False)[2][:SECTORS]
    groups: NDArray[np.int64] = KMeans(SECTORS, n_init=4, random_state=1).fit_predict(directions.T).astype(np.int64)
    return groups


def _volatility(rng: Generator, sessions: int, columns: int) -> Floats:
    """Return a factor of mean about 1 per session and column, which keeps 97% of its logarithm from day to day."""
    shocks = rng.normal(size=(sessions, columns)) * 0.35 * np.sqrt(1 - _PERSISTENCE**2)
    logarithm = np.zeros_like(shocks)
    for day in range(1, sessions):
        logarithm[day] = _PERSISTENCE * logarithm[day - 1] + shocks[day]
    return np.asarray(np.exp(logarithm))


_PERSISTENCE = 0.97
_WINDOWS = (5, 20, 60)
LONGEST = max(_WINDOWS)


def inputs_of(returns: Floats) -> Singles:
    """Return inputs as ranks of the session: past returns, volatility, the largest and the last return."""
    ends = decisions_of(len(returns)) + 1
    filled = np.nan_to_num(returns)
    total = np.cumsum(np.vstack([np.zeros((1, filled.shape[1])), filled]), axis=0)
    squares = np.cumsum(np.vstack([np.zeros((1, filled.shape[1])), filled**2]), axis=0)
    past = [total[ends] - total[ends - window] for window in _WINDOWS]
    spread = [squares[ends] - squares[ends - window] for window in (20, 60)]
    planes = np.stack([*past, *spread, filled[ends - 1], squares[ends] - squares[ends - 5]]) if len(ends) else None
    if planes is None:
        return np.zeros((7, 0, filled.shape[1]), dtype=np.float32)
    places: Singles = planes.argsort(axis=2).argsort(axis=2).astype(np.float32)
    return np.asarray(places / np.float32(filled.shape[1]) - np.float32(0.5), dtype=np.float32)


def _autoregressive(rng: Generator, market: Market) -> Singles:
    keep = rng.uniform(0.5, 0.99, (TRIALS, 1)).astype(np.float32)
    scores = rng.standard_normal((TRIALS, len(market.decisions), len(market.symbols)), dtype=np.float32)
    for step in range(1, scores.shape[1]):
        scores[:, step] = keep * scores[:, step - 1] + np.sqrt(1 - keep**2) * scores[:, step]
    return scores


def _sector(rng: Generator, market: Market) -> Singles:
    keep, scores = 0.95, rng.standard_normal((TRIALS, len(market.decisions), SECTORS), dtype=np.float32)
    for step in range(1, scores.shape[1]):
        scores[:, step] = keep * scores[:, step - 1] + np.sqrt(1 - keep**2) * scores[:, step]
    return scores[:, :, market.sectors]


def _letter(rng: Generator, market: Market) -> Singles:
    letters = np.array([ord(name[0]) for name in market.symbols])
    scores = rng.standard_normal((TRIALS, 1, 128), dtype=np.float32)
    return _lasting(scores[:, :, letters], market)


def _constant(rng: Generator, market: Market) -> Singles:
    return _lasting(rng.standard_normal((TRIALS, 1, len(market.symbols)), dtype=np.float32), market)


def _combination(rng: Generator, market: Market) -> Singles:
    weights = rng.standard_normal((TRIALS, len(market.inputs)), dtype=np.float32)
    return np.tensordot(weights, market.inputs, axes=1)


def _lasting(scores: Singles, market: Market) -> Singles:
    return np.broadcast_to(scores, (TRIALS, len(market.decisions), len(market.symbols)))


FAMILIES: dict[str, Callable[[Generator, Market], Singles]] = {
    "AR(1)": _autoregressive,
    "sector": _sector,
    "letter": _letter,
    "constant": _constant,
    "combination": _combination,
}
"""Scores without skill, by name: functions of the random generator and the market."""


def active_returns(rng: Generator, market: Market, scores: Singles) -> tuple[Floats, Floats]:
    """Return daily active returns, a row per session and a column per trial, and the factor `widening` of each trial.

    Sessions begin after the first decision. A fifth of the trials starts late, as a search does not record all trials
    over the same sessions. Equal scores are held in the order of the instruments. A decision takes instruments of the
    universe on its session. The factor, at least 1, is computed for trials that might pass, and NaN for the others.
    """
    starts, count, instruments = market.decisions, len(scores), scores.shape[2]
    first = np.where(rng.random(count) < LATE, rng.integers(0, len(starts) // 2, count), 0)
    daily = np.empty((len(starts) * EVERY, count))
    best, active = np.empty((len(starts), count, TOP), dtype=np.int64), np.zeros((len(starts), instruments))
    everything = np.zeros_like(active)
    order = (np.arange(instruments) * np.float32(-1e-6)).astype(np.float32)
    lasts, before, top = scores.strides[1] == 0, np.empty(0, dtype=np.intp), np.empty((0, 0), dtype=np.intp)
    for step, start in enumerate(starts):
        member = np.flatnonzero(~np.isnan(market.returns[start]))
        ahead = market.returns[start + 1 : start + 1 + EVERY][:, member]
        relative = ahead - ahead.mean(axis=1, keepdims=True)
        if not (lasts and np.array_equal(member, before)):
            top = np.argpartition(scores[:, step, member] + order[member], -TOP, axis=1)[:, -TOP:]
        before = member
        days = relative[:, top].mean(axis=2)
        days[:, first > step] = np.nan
        daily[step * EVERY : (step + 1) * EVERY] = days
        best[step] = member[top]
        active[step, member], everything[step, member] = relative.sum(axis=0), 1 / member.size
    wider = np.full(count, np.nan)
    known = np.maximum((~np.isnan(daily)).sum(axis=0), 2)
    for trial in np.flatnonzero(np.nanmean(daily, axis=0) * np.sqrt(known) > _LOW * np.nanstd(daily, axis=0)):
        weights = np.zeros((len(starts), instruments))
        np.put_along_axis(weights, best[:, trial], 1 / TOP, axis=1)
        wider[trial] = multiplicity.widening(*(part[first[trial] :] for part in (weights, everything, active)))
    return daily, wider
