"""Read price bands and the ban list of a session from the lake, as known on a date."""

from datetime import date, datetime

import polars as pl

from champion.contracts.datasets import BAN_LIST, BARS, PRICE_BANDS
from champion.lake import Lake
from champion.market.reference import lots, price_bands as bands
from champion.pipeline.ingest.corporate_actions import known_factors


def price_bands(lake: Lake, session: date, known_at: datetime | None = None) -> pl.DataFrame:
    """Return the published price bands that apply in `session`; see `market.reference.price_bands.for_session`.

    Raises:
        UsageError: no list applies to the session, or the lake's bars end too early.
    """
    return bands.for_session(lake.scan(PRICE_BANDS).collect(), lake.sessions(BARS), session, known_at)


def band_prices(lake: Lake, start: date, end: date, known_at: datetime | None = None) -> pl.DataFrame:
    """Return trade_date, instrument_id, upper_band and lower_band (rupees) of the bars from `start` to `end`.

    Only bars with a published band have a row; see `market.reference.price_bands.limits`. The ex-dates are those of the
    corporate actions in the lake. With `known_at`, only lists read until then count. Empty if no list applies.
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
    """
    listed = lake.scan(BAN_LIST, session, session).select("symbol").collect()["symbol"].to_list()
    lists = {day: frozenset(listed if day == session else ()) for day in lake.sessions(BAN_LIST)}
    return lots.banned(lists, lake.sessions(BARS), session)
