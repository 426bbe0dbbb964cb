"""The published price band of each security in a session, and the sessions that the lists cover.

The list dated D is published after the close of D and applies to the next session of the market, whatever its date.
No list is carried further: for a session without one, the band is unknown.
"""

from collections.abc import Sequence
from datetime import date, datetime
from itertools import pairwise

import polars as pl

from champion.errors import UsageError
from champion.market.reference.covered import ranges

PUBLISHED = "published"
FIXED, DYNAMIC = "fixed", "dynamic"
"""`band_kind`: a fixed percentage, or `No Band` of securities with derivatives."""
_LONGEST_CLOSURE = 6  # days from one session to the next
_COLUMNS = ("instrument_id", "symbol", "series", "band_kind", "band_percent", "surveillance", "list_date", "known_at")


def for_session(
    lists: pl.DataFrame, sessions: Sequence[date], session: date, known_at: datetime | None = None
) -> pl.DataFrame:
    """Return the bands that apply in `session`, with `list_date`, `known_at` and `basis` (`published`).

    `lists` are rows of contract normalized_price_bands; their list is known since `ingest_time`. `sessions` are all
    sessions of the market up to `session` or the one before it. With `known_at`, only lists read until then count.

    Raises:
        UsageError: no list applies to the session, and the message has the sessions that lists cover; or the sessions
            end too early to know the session before.
    """
    known = lists if known_at is None else lists.filter(pl.col("ingest_time") <= known_at)
    before = max((each for each in sessions if each < session), default=None)
    if before and session not in sessions and (session - before).days > _LONGEST_CLOSURE:
        raise UsageError(
            f"The known sessions end on {before}: ingest those until {session}, or ask for an earlier one."
        )
    found = known.filter(pl.col("trade_date") == before) if before else known.clear()
    if not found.height:
        have = ranges(covered(known["trade_date"].unique().to_list(), sessions), sessions)
        raise UsageError(
            f"No list of price bands applies to {session}: it would be dated {before or 'before the first session'}. "
            f"Lists cover the sessions {have}. Elsewhere, infer bands from bars (basis 'inferred')."
        )
    return found.rename({"trade_date": "list_date", "ingest_time": "known_at"}).select(
        *_COLUMNS, basis=pl.lit(PUBLISHED)
    )


def covered(list_dates: Sequence[date], sessions: Sequence[date]) -> list[date]:
    """Return the sessions to which a list applies: those after a session that has a list.

    >>> days = [date(2025, 2, day) for day in (21, 24, 25, 27)]
    >>> [str(day) for day in covered([date(2025, 2, 24), date(2025, 2, 25)], days)]
    ['2025-02-25', '2025-02-27']
    """
    listed = set(list_dates)
    ordered = sorted(sessions)
    return [after for before, after in pairwise(ordered) if before in listed]
