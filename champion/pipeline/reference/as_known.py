"""Read price bands, the ban list and lots from the lake, as known on a date; `ch.lists` in a notebook."""

from datetime import date, datetime

import polars as pl

from champion.contracts.datasets import BAN_LIST, BARS, LOTS, PRICE_BANDS
from champion.lake import Lake
from champion.market.reference import lots as lot_lists, price_bands as bands
from champion.pipeline.ingest.corporate_actions import known_factors

__all__ = ["band_prices", "banned", "eligible", "lots", "price_bands"]
__dir__ = __all__.copy


def price_bands(lake: Lake, session: date, known_at: datetime | None = None) -> pl.DataFrame:
    """Return the published price bands that apply in `session`; see `market.reference.price_bands.for_session`.

    Raises:
        UsageError: no list applies to the session, or the lake's bars end too early.

    >>> from champion import workspace
    >>> price_bands(workspace.lake(), date(2024, 1, 16)).select("symbol", "band_percent", "list_date").row(0)
    ('YAMUNABANK', 5, datetime.date(2024, 1, 15))
    """
    return bands.for_session(lake.scan(PRICE_BANDS).collect(), lake.sessions(BARS), session, known_at)


def band_prices(lake: Lake, start: date, end: date, known_at: datetime | None = None) -> pl.DataFrame:
    """Return trade_date, instrument_id, upper_band and lower_band (rupees) of the bars from `start` to `end`.

    Only bars with a published band have a row; see `market.reference.price_bands.limits`. The ex-dates are those of the
    corporate actions in the lake. With `known_at`, only lists read until then count. Empty if no list applies.

    >>> from champion import workspace
    >>> band_prices(workspace.lake(), date(2024, 1, 15), date(2024, 1, 16)).columns
    ['trade_date', 'instrument_id', 'upper_band', 'lower_band']
    """
    sessions = lake.sessions(BARS, end=end)
    applies = bands.list_dates_by_session(lake.sessions(PRICE_BANDS, end=end), sessions)
    inside = [day for day in applies if day >= start]
    if not inside:
        return pl.DataFrame(schema=bands.LIMITS)
    lists = lake.scan(PRICE_BANDS, applies[inside[0]], applies[inside[-1]])
    known = lists if known_at is None else lists.filter(pl.col("ingest_time") <= known_at)
    bars = lake.scan(BARS, inside[0], inside[-1]).filter(pl.col("trade_date").is_in(inside))
    columns = ["trade_date", "instrument_id", "series", "prev_close", "high", "low"]
    moving = known_factors(lake).filter(pl.col("kind") != "dividend").select("instrument_id", "ex_date")
    return bands.limits(bars.select(columns).collect(), known.collect(), sessions, moving)


def banned(lake: Lake, session: date) -> frozenset[str]:
    """Return the symbols in the F&O ban period in a session.

    Raises:
        UsageError: the lake has no list of the session.

    >>> from champion import workspace
    >>> sorted(banned(workspace.lake(), date(2024, 1, 15)))
    ['YAMUNABANK']
    """
    listed = lake.scan(BAN_LIST, session, session).select("symbol").collect()["symbol"].to_list()
    lists = {day: frozenset(listed if day == session else ()) for day in lake.sessions(BAN_LIST)}
    return lot_lists.banned(lists, lake.sessions(BARS), session)


def lots(lake: Lake, on: date) -> pl.DataFrame:
    """Return the lots that count on a date, by symbol and expiry month; see `market.reference.lots.for_date`.

    Raises:
        UsageError: no list counts on the date; the message has the covered ranges.

    >>> from champion import workspace
    >>> lots(workspace.lake(), date(2024, 1, 16)).select("symbol", "expiry_month", "lot_size").row(0)
    ('YAMUNABANK', datetime.date(2024, 5, 1), 1500)
    """
    return lot_lists.for_date(lake.scan(LOTS).collect(), on)


def eligible(lake: Lake, on: date) -> list[str]:
    """Return the symbols of the securities with derivatives on a date, sorted.

    Raises:
        UsageError: no list counts on the date; the message has the covered ranges.

    >>> from champion import workspace
    >>> eligible(workspace.lake(), date(2024, 1, 16))
    ['YAMUNABANK']
    """
    return lot_lists.eligible(lake.scan(LOTS).collect(), on)
