"""Read price bands, the ban list and lots from the lake, as known on a date; `ch.lists` in a notebook."""

from datetime import date, datetime

import polars as pl

from champion import workspace
from champion.contracts.datasets import (
    BAN_LIST,
    BARS,
    CIRCUIT_HITS,
    DELIVERY,
    EXTREMES,
    INDEX_BARS,
    INDEX_HISTORY,
    LOTS,
    MARKET_ACTIVITY,
    PRICE_BANDS,
)
from champion.lake import Lake
from champion.market.reference import lots as lot_lists, price_bands as bands
from champion.pipeline.ingest.corporate_actions import known_factors

__all__ = ["band_prices", "banned", "eligible", "lots", "market_sessions", "price_bands"]
__dir__ = __all__.copy

_BY_SESSION = (BARS, DELIVERY, INDEX_BARS, PRICE_BANDS, CIRCUIT_HITS, EXTREMES, MARKET_ACTIVITY)
"""The datasets with a partition for each session of the market. A ban list is published before its session."""


def price_bands(lake: Lake, session: date | str, known_at: datetime | None = None) -> pl.DataFrame:
    """Return the published price bands that apply in `session`; see `market.reference.price_bands.for_session`.

    Raises:
        UsageError: no list applies to the session, or the lake's bars end too early.

    >>> price_bands(workspace.lake(), date(2024, 1, 16)).select("symbol", "band_percent", "list_date").row(0)
    ('YAMUNABANK', 5, datetime.date(2024, 1, 15))
    """
    return bands.for_session(lake.scan(PRICE_BANDS), market_sessions(lake), workspace.required_date(session), known_at)


def market_sessions(lake: Lake) -> list[date]:
    """Return every date on which the market was open by some file in the lake, in order.

    A session whose bars are missing is in other files, and its list of price bands, not the one before, applies to the
    next session.

    >>> [str(session) for session in market_sessions(workspace.lake())]
    ['2024-01-15', '2024-01-16']
    """
    found = {session for name in _BY_SESSION for session in lake.sessions(name)}
    found |= {*lake.scan(INDEX_HISTORY).select(pl.col("trade_date").unique()).collect()["trade_date"]}
    return sorted(found)


def band_prices(lake: Lake, start: date | str, end: date | str, known_at: datetime | None = None) -> pl.DataFrame:
    """Return trade_date, instrument_id, upper_band and lower_band (rupees) of the bars from `start` to `end`.

    Only bars with a published band have a row; see `market.reference.price_bands.limits`. The ex-dates are those of the
    corporate actions in the lake. With `known_at`, only lists read until then count. Empty if no list applies.

    >>> band_prices(workspace.lake(), date(2024, 1, 15), date(2024, 1, 16)).columns
    ['trade_date', 'instrument_id', 'upper_band', 'lower_band']
    """
    first, last = workspace.required_date(start), workspace.required_date(end)
    sessions = [session for session in market_sessions(lake) if session <= last]
    applies = bands.list_dates_by_session(lake.sessions(PRICE_BANDS, end=last), sessions)
    inside = [day for day in applies if day >= first]
    if not inside:
        return pl.DataFrame(schema=bands.LIMITS)
    lists = lake.scan(PRICE_BANDS, applies[inside[0]], applies[inside[-1]])
    known = lists if known_at is None else lists.filter(pl.col("ingest_time") <= known_at)
    bars = lake.scan(BARS, inside[0], inside[-1]).filter(pl.col("trade_date").is_in(inside))
    columns = ["trade_date", "instrument_id", "series", "prev_close", "high", "low"]
    moving = known_factors(lake).filter(pl.col("kind") != "dividend").select("instrument_id", "ex_date")
    return bands.limits(bars.select(columns).collect(), known.collect(), sessions, moving)


def banned(lake: Lake, session: date | str) -> frozenset[str]:
    """Return the symbols in the F&O ban period in a session.

    Raises:
        UsageError: the lake has no list of the session.

    >>> sorted(banned(workspace.lake(), date(2024, 1, 15)))
    ['YAMUNABANK']
    """
    asked = workspace.required_date(session)
    listed = lake.scan(BAN_LIST, asked, asked).select("symbol").collect()["symbol"].to_list()
    lists = {day: frozenset(listed if day == asked else ()) for day in lake.sessions(BAN_LIST)}
    return lot_lists.banned(lists, lake.sessions(BARS), asked)


def lots(lake: Lake, on: date | str) -> pl.DataFrame:
    """Return the lots that count on a date, by symbol and expiry month; see `market.reference.lots.for_date`.

    Raises:
        UsageError: no list counts on the date; the message has the covered ranges.

    >>> lots(workspace.lake(), date(2024, 1, 16)).select("symbol", "expiry_month", "lot_size").row(0)
    ('YAMUNABANK', datetime.date(2024, 5, 1), 1500)
    """
    return lot_lists.for_date(lake.scan(LOTS).collect(), workspace.required_date(on))


def eligible(lake: Lake, on: date | str) -> list[str]:
    """Return the symbols of the securities with derivatives on a date, sorted.

    Raises:
        UsageError: no list counts on the date; the message has the covered ranges.

    >>> eligible(workspace.lake(), date(2024, 1, 16))
    ['YAMUNABANK']
    """
    return lot_lists.eligible(lake.scan(LOTS).collect(), workspace.required_date(on))
