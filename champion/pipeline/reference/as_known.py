"""Read price bands and the ban list of a session from the lake, as known on a date."""

from datetime import date, datetime

import polars as pl

from champion.contracts.datasets import BAN_LIST, BARS, PRICE_BANDS
from champion.lake import Lake
from champion.market.reference import lots, price_bands as bands


def price_bands(lake: Lake, session: date, known_at: datetime | None = None) -> pl.DataFrame:
    """Return the published price bands that apply in `session`; see `market.reference.price_bands.for_session`.

    Raises:
        UsageError: no list applies to the session, or the lake's bars end too early.
    """
    return bands.for_session(lake.scan(PRICE_BANDS).collect(), lake.sessions(BARS), session, known_at)


def banned(lake: Lake, session: date) -> frozenset[str]:
    """Return the symbols in the F&O ban period in a session.

    Raises:
        UsageError: the lake has no list of the session.
    """
    listed = lake.scan(BAN_LIST, session, session).select("symbol").collect()["symbol"].to_list()
    lists = {day: frozenset(listed if day == session else ()) for day in lake.sessions(BAN_LIST)}
    return lots.banned(lists, lake.sessions(BARS), session)
