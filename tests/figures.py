"""Small frames for figures, which several test files draw."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl

FIRST = date(2024, 1, 1)


def days(count: int) -> list[date]:
    """`count` weekdays."""
    weekdays = (FIRST + timedelta(day) for day in range(2 * count + 3))
    return [day for day in weekdays if day.weekday() < 5][:count]


def candles(sessions: int) -> pl.DataFrame:
    """One share that rises and falls by turns; from the third session on it trades after a split of 2 for 1."""
    rises = [number % 2 == 0 for number in range(sessions)]
    return pl.DataFrame(
        {
            "instrument_id": "NSE:A",
            "symbol": "A",
            "trade_date": days(sessions),
            "open": [10.0 if up else 11.0 for up in rises],
            "high": 12.0,
            "low": 9.0,
            "close": [11.0 if up else 10.0 for up in rises],
            "volume": 200_000,
            "delivered_volume": 50_000,
            "delivered_share": 0.25,
            "adjustment_factor": [2.0 if number < 2 else 1.0 for number in range(sessions)],
        }
    )


# Two weeks around a holiday on Wednesday 10 January, with a session on Saturday 13.
CALENDAR = pl.DataFrame({"session": [*days(7), *days(15)[8:], date(2024, 1, 13)], "rows": [*range(14), 3]})
INDICES = pl.DataFrame(
    {
        "index_name": ["Nifty 50"] * 7 + ["Nifty Bank"] * 2 + ["Nifty Old"] * 2,
        "trade_date": [*days(7), *days(7)[-2:], *days(2)],
        "close": [100.0, 100.0, 90.0, 100.0, 100.0, 100.0, 102.0, 50.0, 49.0, 10.0, 11.0],
    }
)
RUNS = pl.DataFrame(
    {
        "started": ["09:00", "09:01", "09:02", "09:03"],
        "name": ["ingest", "quality", "features", "training"],
        "outcome": ["succeeded", "failed", "skipped", None],
        "seconds": [40.0, 3.5, 0.1, None],
    }
)
DECISIONS = pl.DataFrame(
    {
        "at": [datetime(2024, 1, 1, 9, tzinfo=UTC) + timedelta(days=day) for day in (0, 0, 3, 9)],
        "version": [1, 1, 2, 3],
        "state": ["pending", "done", "refused", "done"],
    }
)
