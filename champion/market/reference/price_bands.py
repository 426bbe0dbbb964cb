"""The published price band of each security in a session, and the sessions that the lists cover.

The list dated D is published after the close of D and applies to the next session of the market, whatever its date.
No list is carried further: for a session without one, the band is unknown.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise

import polars as pl

from champion.errors import UsageError
from champion.market.reference.covered import ranges
from champion.market.reference.price_limits import lower, paise, tick, upper

PUBLISHED = "published"
FIXED, DYNAMIC = "fixed", "dynamic"
"""`band_kind`: a fixed percentage, or `No Band` of securities with derivatives."""
_LONGEST_CLOSURE = timedelta(6)  # from one session to the next; a longer gap is one of the lake, not of the market
_PAISE = 100
NO_UPPER, NO_LOWER = float("inf"), 0.0
"""The limits in rupees of a security without a fixed band: no price reaches them."""
LIMITS = {"trade_date": pl.Date, "instrument_id": pl.String, "upper_band": pl.Float64, "lower_band": pl.Float64}
"""The columns of `limits`."""
_COLUMNS = ("instrument_id", "symbol", "series", "band_kind", "band_percent", "surveillance", "list_date", "known_at")


def for_session(
    lists: pl.DataFrame | pl.LazyFrame, sessions: Sequence[date], session: date, known_at: datetime | None = None
) -> pl.DataFrame:
    """Return the bands that apply in `session`, with `list_date`, `known_at` and `basis` (`published`).

    `lists` are rows of contract normalized_price_bands; their list is known since `ingest_time`. `sessions` are all
    sessions of the market up to `session` or the one before it. With `known_at`, only lists read until then count.

    Raises:
        UsageError: no list applies to the session, and the message has the sessions that lists cover; or the sessions
            end too early to show which session is the previous one.
    """
    known = lists.lazy() if known_at is None else lists.lazy().filter(pl.col("ingest_time") <= known_at)
    before = max((each for each in sessions if each < session), default=None)
    if before and session - before > _LONGEST_CLOSURE:
        raise UsageError(
            f"The known sessions before {session} end on {before}: ingest those between, or ask for another session."
        )
    found = (known.filter(pl.col("trade_date") == before) if before else known.clear()).collect()
    if not found.height:
        dates = known.select(pl.col("trade_date").unique()).collect()["trade_date"].to_list()
        have = ranges(covered(dates, sessions), sessions)
        raise UsageError(
            f"No list of price bands applies to {session}: it would be dated {before or 'before the first session'}. "
            f"Lists cover {'no session' if have == 'none' else f'the sessions {have}'}: `champion lists fetch` loads "
            "more. Elsewhere, infer bands from bars (basis 'inferred')."
        )
    return found.rename({"trade_date": "list_date", "ingest_time": "known_at"}).select(
        *_COLUMNS, basis=pl.lit(PUBLISHED)
    )


def covered(list_dates: Sequence[date], sessions: Sequence[date]) -> list[date]:
    """Return the sessions to which a list applies: those after a session that has a list, without a gap between.

    >>> days = [date(2025, 2, day) for day in (21, 24, 25, 27)]
    >>> [str(day) for day in covered([date(2025, 2, 24), date(2025, 2, 25)], days)]
    ['2025-02-25', '2025-02-27']
    """
    return list(list_dates_by_session(list_dates, sessions))


def list_dates_by_session(list_dates: Sequence[date], sessions: Sequence[date]) -> dict[date, date]:
    """Return each session to which a list applies, with the date of this list."""
    listed = set(list_dates)
    return {after: before for before, after in _successive(sessions) if before in listed}


def _successive(sessions: Sequence[date]) -> list[tuple[date, date]]:
    """Return each session with the one before it, where no session of the market can lie between."""
    return [(before, after) for before, after in pairwise(sorted(sessions)) if after - before <= _LONGEST_CLOSURE]


def limits(
    bars: pl.DataFrame, lists: pl.DataFrame, sessions: Sequence[date], ex_dates: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return the prices between which each bar could trade: trade_date, instrument_id, upper_band, lower_band (rupees).

    A band counts from the previous close. A security without a fixed band has no limit: infinity and 0. A bar has no
    row where its limits are not known: without a list of the session before, or without its line in that list; on the
    first session from an ex-date on that moves the price, because the exchange takes another base price then; and if
    the bar itself traded outside the limits.

    Args:
        bars: trade_date, instrument_id, series, prev_close, high and low (rupees, as traded), one per instrument and
            session.
        lists: rows of contract normalized_price_bands. A line with the bar's series precedes one of another series.
        sessions: all sessions of the market from the first list to the last bar.
        ex_dates: instrument_id and ex_date of corporate actions other than ordinary dividends.

    >>> days = [date(2024, 1, 1), date(2024, 1, 2)]
    >>> prices = {"prev_close": 100.0, "high": 105.0, "low": 101.0}
    >>> bars = pl.DataFrame([{"trade_date": days[1], "instrument_id": "NSE:A", "series": "EQ", **prices}])
    >>> line = {"instrument_id": "NSE:A", "series": "EQ", "band_kind": "fixed", "band_percent": 5}
    >>> limits(bars, pl.DataFrame([{"trade_date": days[0], **line}]), days).row(0)[1:]
    ('NSE:A', 105.0, 95.0)
    """
    before = pl.DataFrame(_successive(sessions), {"list_date": pl.Date, "trade_date": pl.Date}, orient="row")
    lines = lists.select("instrument_id", "band_kind", "band_percent", list_date="trade_date", listed_series="series")
    joined = bars.join(before, on="trade_date").join(lines, on=["list_date", "instrument_id"])
    bar = ["trade_date", "instrument_id"]
    best = preferred(joined, bar)
    if ex_dates is not None and not ex_dates.is_empty():
        best = best.join(_ex_sessions(ex_dates, sessions), on=bar, how="anti")
    close, band = paise(pl.col("prev_close")), pl.col("band_percent")
    step = tick(pl.col("trade_date"), pl.col("series"), close)
    is_free = pl.col("band_kind") == DYNAMIC
    priced = best.with_columns(
        upper_band=pl.when(is_free).then(NO_UPPER).otherwise(upper(close, band, step) / _PAISE),
        lower_band=pl.when(is_free).then(NO_LOWER).otherwise(lower(close, band, step) / _PAISE),
    )
    inside = pl.col("high").le(pl.col("upper_band")) & pl.col("low").ge(pl.col("lower_band"))
    return priced.filter(inside).select(*bar, "upper_band", "lower_band").sort(bar)


def preferred(joined: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Return one line per key of bars (series) that are joined with lines of a list (listed_series).

    A line with the bar's series precedes one of another series.

    >>> both = pl.DataFrame({"instrument_id": ["A", "A"], "series": ["EQ", "EQ"], "listed_series": ["BL", "EQ"]})
    >>> preferred(both, ["instrument_id"])["listed_series"].to_list()
    ['EQ']
    """
    is_own = (pl.col("series") == pl.col("listed_series")).fill_null(value=False)
    return joined.sort(is_own, descending=True).unique(key, keep="first", maintain_order=True)


def _ex_sessions(ex_dates: pl.DataFrame, sessions: Sequence[date]) -> pl.DataFrame:
    """Return instrument_id and the first session from each ex-date on."""
    calendar = pl.DataFrame({"trade_date": sorted(sessions)}, {"trade_date": pl.Date})
    dated = ex_dates.select("instrument_id", "ex_date").sort("ex_date")
    return dated.join_asof(calendar, left_on="ex_date", right_on="trade_date", strategy="forward", coalesce=False)
