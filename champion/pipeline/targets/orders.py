"""What is known at the close about orders in the next session: its date, price bands, bans, locked bars, ex-dates."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import date, timedelta

import polars as pl

from champion.contracts.datasets import BAN_LIST, PRICE_BANDS
from champion.lake import Lake
from champion.market.reference.price_bands import preferred
from champion.market.trading_days import LONGEST_CLOSURE, is_trading_day
from champion.pipeline.ingest.corporate_actions import known_factors
from champion.pipeline.models import portfolio
from champion.pipeline.reference.as_known import banned, market_sessions

UNKNOWN = "unknown"


def next_session(lake: Lake, session: date, closed: AbstractSet[date] = frozenset()) -> date:
    """Return the next session of the market; while the lake does not know it, the next weekday that is not `closed`.

    >>> from pathlib import Path
    >>> str(next_session(Lake(Path("lake")), date(2024, 12, 24), {date(2024, 12, 25)}))
    '2024-12-26'
    """
    later = [day for day in market_sessions(lake) if session < day <= session + LONGEST_CLOSURE]
    if later:
        return later[0]
    day = session + timedelta(1)
    while not is_trading_day(day, closed):
        day += timedelta(1)
    return day


def limits(lake: Lake, session: date, following: date, rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows (instrument_id, symbol, series) with band_kind, band_percent and fo_ban of the following session.

    The list of bands dated `session` applies to the following session. Without the list, or without a line in it, the
    band is `unknown`; without the ban list of the following session, fo_ban is.
    """
    lines = lake.scan(PRICE_BANDS, session, session).select(
        "instrument_id", "band_kind", "band_percent", listed_series="series"
    )
    joined = preferred(rows.join(lines.collect(), on="instrument_id", how="left"), ["instrument_id"])
    listed = following in lake.sessions(BAN_LIST, following, following)
    named = pl.col("symbol").is_in(sorted(banned(lake, following) if listed else ()))
    ban = pl.when(named).then(pl.lit("yes")).otherwise(pl.lit("no")) if listed else pl.lit(UNKNOWN)
    return joined.drop("listed_series").with_columns(pl.col("band_kind").fill_null(UNKNOWN), fo_ban=ban)


def warned(lake: Lake, session: date, following: date, rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of targets (with action, series, band_kind, fo_ban) with `warnings`.

    A bar that closed at its limit against the order is `locked_band`, by the rule of the simulator; series whose shares
    are sold only after their delivery are `delivery`. `ex_date` is that of any corporate action in the lake.
    """
    ordered = rows.filter(pl.col("action").is_in(["buy", "sell"]))
    if ordered.is_empty():
        return rows.with_columns(warnings=pl.lit(None, pl.String))
    flags = _flags(lake, session, ordered.filter(pl.col("series").is_not_null()).select("trade_date", "instrument_id"))
    buys = pl.col("action") == "buy"
    found = {
        "no_bar": pl.col("series").is_null(),
        "locked_band": pl.when(buys).then("locked_up").otherwise("locked_down"),
        "band_unknown": pl.col("band_kind") == UNKNOWN,
        "fo_ban": pl.col("fo_ban") == "yes",
        "fo_ban_unknown": pl.col("fo_ban") == UNKNOWN,
        "delivery": buys & pl.col("delivery_only"),
        "ex_date": pl.col("instrument_id").is_in(with_ex_date(lake, session, following)),
    }
    words = [pl.when(holds).then(pl.lit(name)) for name, holds in found.items()]
    named = ordered.join(flags, on="instrument_id", how="left").select(
        "instrument_id", warnings=pl.concat_str(words, separator=" ", ignore_nulls=True).replace("", None)
    )
    return rows.join(named, on="instrument_id", how="left", maintain_order="left")


def with_ex_date(lake: Lake, session: date, following: date) -> list[str]:
    """Return the instruments with an ex-date after `session`, up to `following`, of any corporate action in the lake.

    >>> from pathlib import Path
    >>> with_ex_date(Lake(Path("lake")), date(2024, 1, 15), date(2024, 1, 16))
    []
    """
    moving = known_factors(lake).filter(pl.col("ex_date").is_between(session, following, closed="right"))
    return sorted(moving["instrument_id"].unique())


def _flags(lake: Lake, session: date, keys: pl.DataFrame) -> pl.DataFrame:
    """Return instrument_id with locked_up, locked_down and delivery_only of the session's bars, as in the simulator."""
    names = ("locked_up", "locked_down", "delivery_only")
    if keys.is_empty():
        return pl.DataFrame(schema={"instrument_id": pl.String, **dict.fromkeys(names, pl.Boolean)})
    market = portfolio.market(lake, keys, after=0, end=session)
    return keys.select(
        "instrument_id", **{name: market.long(keys, getattr(market, name).astype(float)) > 0 for name in names}
    )
