"""Compute the closes of the simulated indices, and write the exchange's report of them.

1. An index is weighted by market capitalisation and chained: in a session it grows by the mean return of its members,
   weighted by their capitalisation at the previous close. A member's return starts from its base price, so corporate
   actions do not move the index, except ordinary dividends, as in every price index.
2. Capitalisation starts at 250 sessions of turnover and grows with the member's return.
3. The members of the three indices are EQ instruments: the 50 largest, the first sector, and all. An index without
   members has no row.
4. The high is halfway between the higher of open and close and the members' mean high, because members reach their
   highs at different times; the low likewise.
5. India VIX is 115% of the exponentially weighted annual volatility of the Nifty 50, in per cent.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np

from champion.simulate.actions import PAYOUTS
from champion.simulate.events import Events
from champion.simulate.market import Floats, Integers, Quotes
from champion.simulate.universe import Instrument
from champion.sources.indices import HEADERS

FIFTY, BANK, BROAD, POINTS, VIX = "Nifty 50", "Nifty Bank", "Nifty 500", "Nifty50 Dividend Points", "India VIX"
LEVELS = {FIFTY: 18_000.0, BANK: 43_000.0, BROAD: 15_500.0}
CROWN = 50  # members of the Nifty 50
SESSIONS_OF_TURNOVER = 250
MONTH_FIRST = frozenset({date(2023, 4, 6), date(2023, 4, 10), date(2023, 4, 11)})
SLASHES_FROM, SLASHES_TO = date(2014, 6, 1), date(2015, 6, 30)
PRICE_TO_EARNINGS, PRICE_TO_BOOK, DIVIDEND_YIELD = 22.0, 3.6, 1.3  # at the first level
EARNINGS_GROWTH = 0.10  # a year
YEAR = 252  # sessions
MEMORY, PREMIUM, CALM = 0.94, 1.15, 0.009  # of the volatility index; a calm session's volatility starts it
PAISE, CRORE = 100, 10_000_000
APRIL = 4
COLUMNS = len(HEADERS[0].split(","))


@dataclass
class _Index:
    """The state of one index after the sessions so far; `members` is 1.0 for its members, else 0."""

    name: str
    members: Floats
    level: float
    volatility: float = CALM  # of a session's return
    dividend_points: float = 0.0  # of the fiscal year, which begins in April
    fiscal: int = 0


def reports(universe: tuple[Instrument, ...], events: Events, days: Iterable[Quotes]) -> Iterator[tuple[Quotes, bytes]]:
    """Yield the quotes of each session with its report of index closes."""
    capitalisation = np.array([one.turnover * SESSIONS_OF_TURNOVER for one in universe])
    first, last = np.array(events.first), np.array(events.last)
    indices = _indices(universe, capitalisation)
    for number, quotes in enumerate(days):
        held = (first < max(number, 1)) & (number <= last)
        lines = [line for index in indices for line in _lines(index, quotes, number, capitalisation * held)]
        capitalisation *= np.where(quotes.traded & held, quotes.close / quotes.base, 1.0)
        yield quotes, "".join([f"{HEADERS[0]}\n", *lines]).encode()


def _indices(universe: tuple[Instrument, ...], capitalisation: Floats) -> list[_Index]:
    listed = [place for place, one in enumerate(universe) if one.series == "EQ"]
    largest = sorted(listed, key=lambda place: -capitalisation[place])[:CROWN]
    banks = [place for place in listed if universe[place].sector == 0]
    chosen = {FIFTY: largest, BANK: banks, BROAD: listed}
    inside = {name: np.isin(np.arange(len(universe)), places).astype(float) for name, places in chosen.items()}
    return [_Index(name, members, LEVELS[name]) for name, members in inside.items() if members.any()]


def _lines(index: _Index, quotes: Quotes, number: int, capitalisation: Floats) -> list[str]:
    """Return an index's row; for the Nifty 50 also the rows of its dividend points and its volatility."""
    weights = index.members * capitalisation
    weights /= weights.sum() or 1.0
    before = index.level
    row = _equity(index, quotes, number, weights)
    if index.name != FIFTY:
        return [row]
    return [row, _dividends(index, quotes, weights * before), _volatility(index, quotes.session, index.level / before)]


def _equity(index: _Index, quotes: Quotes, number: int, weights: Floats) -> str:
    """Return the row of an equity index, and update its level."""
    before, traded = index.level, quotes.traded

    def mean(prices: Integers) -> float:
        return before * (1 + float(weights @ np.where(traded, prices / quotes.base - 1, 0.0)))

    opened, index.level = mean(quotes.open), mean(quotes.close)
    high, low = max(opened, index.level), min(opened, index.level)
    high, low = (high + mean(quotes.high)) / 2, (low + mean(quotes.low)) / 2
    inside = traded & (index.members > 0)
    growth = index.level / LEVELS[index.name] / (1 + EARNINGS_GROWTH) ** (number / YEAR)
    levels = (opened, high, low, index.level, *_points(index.level, before))
    traded_inside = int(quotes.volume[inside].sum()), round(quotes.turnover[inside].sum() / PAISE / CRORE, 2)
    ratios = (PRICE_TO_EARNINGS * growth, PRICE_TO_BOOK * growth, DIVIDEND_YIELD / growth)
    return _row(index.name, quotes.session, *levels, *traded_inside, *ratios)


def _dividends(index: _Index, quotes: Quotes, points: Floats) -> str:
    """Return the row of the dividends since April, in points of the index; it has only a close."""
    places = {action.position: action.amount for action in quotes.settled if action.kind in PAYOUTS}
    paid = sum(points[place] * (amount or 0.0) * PAISE / quotes.previous[place] for place, amount in places.items())
    fiscal = quotes.session.year - (quotes.session.month < APRIL)
    index.dividend_points = float(paid) + (index.dividend_points if fiscal == index.fiscal else 0.0)
    index.fiscal = fiscal
    return _row(POINTS, quotes.session, None, None, None, index.dividend_points, float(paid))


def _volatility(index: _Index, session: date, growth: float) -> str:
    """Return the row of the volatility index, which has neither volumes nor ratios."""
    before, move = index.volatility, abs(np.log(growth))
    index.volatility = float(np.sqrt(MEMORY * before**2 + (1 - MEMORY) * move**2))
    opened, closed = (one * PREMIUM * 100 * YEAR**0.5 for one in (before, index.volatility))
    high, low = max(opened, closed) * (1 + move), min(opened, closed) * (1 - move)
    return _row(VIX, session, opened, high, low, closed, *_points(closed, opened))


def _points(level: float, before: float) -> tuple[float, float]:
    return level - before, 100 * (level / before - 1)


def _row(name: str, session: date, *figures: float | None) -> str:
    """Return a row of the report; the columns after the last figure have none."""
    fields = [name, stamp(session), *map(_figure, figures)]
    return ",".join(fields + ["-"] * (COLUMNS - len(fields))) + "\n"


def stamp(session: date) -> str:
    """Return a date in the spelling of that day's report.

    >>> stamp(date(2023, 4, 6)), stamp(date(2023, 4, 12)), stamp(date(2014, 6, 2))
    ('04-06-2023', '12-04-2023', '02/06/2014')
    """
    if session in MONTH_FIRST:
        return f"{session:%m-%d-%Y}"
    return f"{session:%d/%m/%Y}" if SLASHES_FROM <= session <= SLASHES_TO else f"{session:%d-%m-%Y}"


def _figure(value: float | None) -> str:
    """Return a number as the exchange writes it, without trailing zeros or a zero before the point; `-` for null."""
    if value is None:
        return "-"
    text = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    if text in {"0", "-0"}:
        return "0"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
