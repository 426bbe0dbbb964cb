"""Simulate prices and volumes: a pure function of universe, events, sessions, seed and signal.

1. The log return of instrument i over session t is  beta_i * M_t + S_sector(i),t + e_i,t:  a market, a
   sector and its own part, all normal. Own part:  e_i,t = sigma_i * z_i,t - k * signal * (e_i,t-1 + ... + e_i,t-5).
2. So with `signal` 0 every log price is a martingale with independent returns, and no past value predicts the rank of
   the next return. (If the price itself were a martingale, shares of low volatility would beat the median by half the
   difference of the variances, and a ranking model could use that.) With a higher signal, an instrument whose own part
   rose over five sessions is expected to fall over the next ones. With k = 0.09 the rank correlation of minus the past
   and the next 5-session return is about 0.1 at signal 0.5, about 0.18 at signal 1, and about 0.26 at signal 2.
3. A quarter of a session's variance is overnight. High and low are drawn from the law of a Brownian bridge's maximum
   between open and close. All four are rounded to ticks.
4. A split, bonus, consolidation, rights issue or demerger divides the traded price by its factor from the ex-date on; a
   dividend reduces it by its amount. So prices adjusted for all of them are martingales too, where those as traded are.
5. With `martingale` "price", half the variance is subtracted from each log return. Then without a signal no share earns
   anything on average, whatever its volatility, so every trading profit is luck; but the rank of the next return is
   predictable by volatility (point 2). With "log", volatile shares drift up by half their variance.
6. Turnover is lognormal and larger on days of large moves; volume is turnover over the session's average price; the
   delivered share of the volume varies about the instrument's mean.

The random numbers of a session depend on the seed and its date alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date
from itertools import groupby
from types import SimpleNamespace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from champion.simulate import calendar
from champion.simulate.actions import PAYOUTS, Action, settle
from champion.simulate.events import Events
from champion.simulate.universe import SECTORS, Instrument

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Martingale: TypeAlias = Literal["log", "price"]
MARTINGALES = ("log", "price")
"""What has no drift without a signal: log prices, for tests of ranks, or prices, for tests of profits."""

MARKET_VOLATILITY = 0.008
SECTOR_VOLATILITY = 0.005
REVERSAL = 0.09  # per unit of signal and of the own return of the last MEMORY sessions
MEMORY = 5
STRONGEST = 2  # signal
OVERNIGHT = 0.25
SPECIAL_VOLATILITY = 0.5  # of a normal session's, on thin sessions
MISSING_LAST = 0.004
DELIVERY_SPREAD = 0.08
PAISE = 100
COARSE_TICK, FINE_TICK, FINE_BELOW = 5, 1, 10_000  # paise: the real tick is finer below Rs 250 since June 2024


@dataclass(frozen=True)
class Quotes:
    """One session's figures, one element per instrument; prices and turnover in paise; `traded` selects the rows.

    `base` is the previous close after the session's actions except ordinary dividends: an index compares with it.
    `settled` are the session's actions, with their amounts.
    """

    session: date
    traded: NDArray[np.bool_]
    open: Integers
    high: Integers
    low: Integers
    close: Integers
    last: Integers
    has_last: NDArray[np.bool_]
    previous: Integers
    base: Floats
    noise: Integers  # of the settlement price
    volume: Integers
    turnover: Integers
    trades: Integers
    delivered: Integers
    settled: tuple[Action, ...]
    chance: Floats


def walk(
    universe: tuple[Instrument, ...],
    events: Events,
    sessions: tuple[date, ...],
    *,
    seed: int,
    signal: float,
    martingale: Martingale = "log",
) -> Iterator[Quotes]:
    """Yield the quotes of each session in order.

    `signal` (0 to `STRONGEST`) is the strength of the planted reversal, `martingale` is one of `MARTINGALES`.
    """
    # The attributes of the universe as columns.
    columns = {field.name: np.array([getattr(one, field.name) for one in universe]) for field in fields(Instrument)}
    traits, equity = SimpleNamespace(**columns), np.array([float(one.is_equity) for one in universe])
    # The variance of each instrument's log return in a normal session, given the past.
    variance = (traits.beta * MARKET_VOLATILITY) ** 2 + equity * SECTOR_VOLATILITY**2 + traits.volatility**2
    first, last = np.array(events.first), np.array(events.last)
    by_date = {ex_date: list(actions) for ex_date, actions in groupby(events.actions, lambda one: one.ex_date)}
    price = np.array([one.level for one in universe])
    for action in events.actions:
        price[action.position] *= action.price_factor  # start high, so that prices are normal after the split
    value = np.log(price)
    own = np.zeros((MEMORY, len(universe)))
    last_close = to_tick(price)
    for index, session in enumerate(sessions):
        base, done = _go_ex(value, by_date.get(session, []), last_close)
        rng = np.random.default_rng((seed, 3, session.toordinal()))
        shocks, draws = rng.standard_normal((6, len(universe))), rng.random((6, len(universe)))
        scale = SPECIAL_VOLATILITY if calendar.activity(session) < 1.0 else 1.0
        factors = rng.standard_normal(1 + len(SECTORS)) * scale
        reversal = REVERSAL * signal * equity * own.sum(axis=0)
        own[index % MEMORY] = scale * traits.volatility * shocks[0] - reversal
        of_sector = equity * SECTOR_VOLATILITY * factors[1:][traits.sector]
        drift = -0.5 * variance * scale**2 if martingale == "price" else 0.0
        change = traits.beta * MARKET_VOLATILITY * factors[0] + of_sector + own[index % MEMORY] + drift
        spread = scale * np.sqrt(variance)
        traded = (first <= index) & (index <= last) & (draws[0] < traits.liquidity)
        noise = np.random.default_rng((seed, 6, session.toordinal())).standard_normal(len(universe))
        figures = _figures(calendar.activity(session), traits, value, change, spread, shocks, draws)
        share = np.clip(traits.delivery + DELIVERY_SPREAD * noise, 0.02, 1.0)
        delivered = (np.rint(figures["volume"] * share / traits.lot) * traits.lot).astype(np.int64)
        known = {"traded": traded, "previous": last_close, "base": base, "settled": done, "delivered": delivered}
        yield Quotes(session=session, **known, **figures)
        value += change
        last_close = np.where(traded | (index < first), to_tick(np.exp(value)), last_close)


def to_tick(price: Floats) -> Integers:
    """Return rupees as paise on the tick grid: five paise from Rs 100 on, one paisa below; at least one tick.

    >>> to_tick(np.array([123.4567, 99.987])).tolist()
    [12345, 9999]
    """
    paise = price * PAISE
    tick = np.where(paise < FINE_BELOW, FINE_TICK, COARSE_TICK)
    return np.asarray(np.maximum(np.rint(paise / tick) * tick, tick), dtype=np.int64)


def _go_ex(value: Floats, actions: list[Action], last_close: Integers) -> tuple[Floats, tuple[Action, ...]]:
    """Apply the session's actions to the log prices in place; return base prices and actions with their amounts."""
    base, done = last_close.astype(np.float64), []
    for planned in actions:
        place, close = planned.position, int(last_close[planned.position])
        action = settle(planned, close)
        if action.kind in PAYOUTS and action.amount:
            paid = round(action.amount * PAISE)
            value[place] += np.log1p(-paid / max(close, 2 * paid))
            base[place] -= paid if action.kind == "special dividend" else 0
        value[place] -= np.log(action.price_factor)
        base[place] /= action.price_factor
        done.append(action)
    return base, tuple(done)


def _figures(
    activity: float, traits: Any, value: Floats, change: Floats, spread: Floats, shocks: Floats, draws: Floats
) -> dict[str, Any]:
    """Return a session's prices and volumes, from log prices before it, returns in it, and random numbers."""
    gap = OVERNIGHT * change + np.sqrt(OVERNIGHT * (1 - OVERNIGHT)) * spread * shocks[1]
    start, end = value + gap, value + change
    # P(maximum of the bridge > m) = exp(-2 (m - start)(m - end) / variance), solved for m; the minimum mirrors it.
    drawn = -2 * (1 - OVERNIGHT) * spread**2 * np.log1p(-draws[1:3])
    up, down = np.sqrt((end - start) ** 2 + drawn)
    opened, closed = to_tick(np.exp(start)), to_tick(np.exp(end))
    high, low = to_tick(np.exp((start + end + up) / 2)), to_tick(np.exp((start + end - down) / 2))
    average = np.clip((opened + high + low + closed) / 4 + 0.2 * (draws[3] - 0.5) * (high - low), low, high)
    busy = activity * traits.turnover * np.exp(0.5 * shocks[2] + 0.25 * np.abs(change) / spread)
    volume = (np.maximum(np.rint(busy * PAISE / average / traits.lot), 1) * traits.lot).astype(np.int64)
    turnover = np.clip(np.rint(volume * average).astype(np.int64), volume * low, volume * high)
    trades = np.clip(np.rint(turnover / PAISE / 12_000 * np.exp(0.3 * shocks[3])), 1, volume).astype(np.int64)
    last = np.clip(to_tick(np.exp(end + 0.001 * shocks[4])), low, high)
    prices = {"open": opened, "high": high, "low": low, "close": closed, "last": last}
    noise = np.rint(closed * 0.0005 * shocks[5]).astype(np.int64)
    rest = {"has_last": draws[4] >= MISSING_LAST, "noise": noise, "chance": draws[5]}
    return prices | rest | {"volume": volume, "turnover": turnover, "trades": trades}
