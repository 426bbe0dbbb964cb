"""Health checks that run every few minutes: freshness, disk, tracking store and warehouse."""

import shutil
import time
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from itertools import cycle, islice

from champion.contracts.datasets import BARS
from champion.lake import Lake
from champion.market.trading_days import is_trading_day
from champion.pipeline.operations.checks import Check, run_check
from champion.settings import Settings

QUERY_SECONDS = 0.2
"""The limit for a query of one symbol over a year, at the 95th percentile."""
_QUERY = """
    select trade_date, close from champion_market.normalized_equity_ohlc
    where symbol = {symbol:String} and trade_date > {since:Date}
"""


def check(settings: Settings, today: date, query_seconds: float = QUERY_SECONDS) -> list[Check]:
    """Run all checks; one that cannot run fails with the reason. Nothing is changed.

    The data is daily, so nothing of the current session is checked. The previous session must be in the lake, stores
    must answer, the disk must have free space, and the warehouse must match the lake and answer in time.
    """
    return [
        run_check("freshness", lambda: freshness(Lake(settings.lake).sessions(BARS)[-1:], settings.closed, today)),
        run_check("disk", lambda: _disk(settings)),
        run_check("tracking store", lambda: _tracking(settings)),
        run_check("warehouse", lambda: _warehouse(settings, query_seconds)),
    ]


def freshness(last: list[date], holidays: AbstractSet[date], today: date) -> Check:
    """Check that the last session of the lake is the weekday before today that is not a known holiday.

    >>> freshness([date(2024, 12, 27)], {date(2024, 12, 25)}, date(2024, 12, 30)).passed
    True
    >>> freshness([date(2024, 12, 27)], set(), date(2024, 12, 31)).found
    'the last session is 2024-12-27, expected 2024-12-30'
    """
    wanted = today - timedelta(days=1)
    while not is_trading_day(wanted, holidays):
        wanted -= timedelta(days=1)
    if not last:
        return Check("freshness", "failed", "the lake has no session", "`champion backfill START END`")
    if last[-1] >= wanted:
        return Check("freshness", "ok", f"the last session is {last[-1]}")
    remedy = f"`champion daily {wanted}`; or add it to CHAMPION_HOLIDAYS, if it was a holiday"
    return Check("freshness", "failed", f"the last session is {last[-1]}, expected {wanted}", remedy)


def _disk(settings: Settings) -> Check:
    free = shutil.disk_usage(settings.home).free / 1e9
    found = f"{free:.1f} GB free, {settings.disk_free_gb:.1f} wanted"
    if free >= settings.disk_free_gb:
        return Check("disk", "ok", found)
    return Check("disk", "failed", found, "free some space, or remove old sessions with `champion lake retain`")


def _tracking(settings: Settings) -> Check:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - mlflow takes seconds to import

    from champion.tracking import runs  # noqa: PLC0415

    try:
        newest = runs.find_runs(settings, limit=1)
    except MlflowException as error:
        return Check("tracking store", "failed", str(error), "start it, or correct CHAMPION_TRACKING_URI")
    return Check("tracking store", "ok", f"answers; newest run {newest[0].name if newest else 'none'}")


def _warehouse(settings: Settings, query_seconds: float) -> Check:
    """Query the last session, and time queries of one symbol's year; opening the embedded engine is not timed."""
    from champion.warehouse.engine.client import reader  # noqa: PLC0415 - the engine is 500 MB

    held, seconds = Lake(settings.lake).sessions(BARS)[-1:], list[float]()
    with reader(settings) as client:
        last = client.query("select max(trade_date) from champion_market.normalized_equity_ohlc").result_rows[0][0]
        symbols = client.query(
            "select symbol from champion_market.normalized_equity_ohlc where trade_date = {day:Date} limit 20",
            parameters={"day": last},
        ).result_rows
        for (symbol,) in islice(cycle(symbols), 20):
            began = time.perf_counter()
            client.query(_QUERY, parameters={"symbol": symbol, "since": last - timedelta(days=365)})
            seconds.append(time.perf_counter() - began)
    slow = sorted(seconds)[int(len(seconds) * 0.95) - 1] if seconds else 0.0
    found = f"last session {last}, lake {held[0] if held else 'empty'}; a symbol's year in {slow * 1000:.0f} ms (p95)"
    if [last] != held:
        return Check("warehouse", "failed", found, "`champion warehouse load START END` updates it from the lake")
    if slow > query_seconds:
        remedy = f"the limit is {query_seconds * 1000:.0f} ms: check what else runs on this machine"
        return Check("warehouse", "failed", found, remedy)
    return Check("warehouse", "ok", found)
