"""Is the workspace fit for work? What can honestly be checked between two sessions, each check with its evidence."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Set as AbstractSet
from datetime import date, timedelta
from typing import TYPE_CHECKING

from champion.contracts.datasets import BARS
from champion.lake import Lake
from champion.pipeline.operations.checks import Check, run_check
from champion.settings import Settings

if TYPE_CHECKING:
    from champion.warehouse.engine.database import Executor

QUERY_SECONDS = 0.2
"""What a question for one symbol over a year may take at the 95th percentile."""
_QUESTIONS = 20
_SATURDAY = 5
_QUESTION = """
    select trade_date, close from champion_market.normalized_equity_ohlc
    where symbol = {symbol:String} and trade_date > {since:Date}
"""


def check(settings: Settings, today: date, query_seconds: float = QUERY_SECONDS) -> list[Check]:
    """Return all checks; one that cannot be made is not well, and says why. Nothing is changed.

    On daily data there is nothing to see of the market itself while it is open: yesterday's session must be there,
    stores must answer, the disk must have room, and the warehouse must hold what the lake holds and answer in time.
    """
    looks: dict[str, Callable[[], Check]] = {
        "freshness": lambda: freshness(Lake(settings.lake).sessions(BARS)[-1:], settings.closed, today),
        "disk": lambda: _disk(settings),
        "tracking store": lambda: _tracking(settings),
        "warehouse": lambda: _warehouse(settings, query_seconds),
    }
    return [run_check(name, look) for name, look in looks.items()]


def freshness(last: list[date], holidays: AbstractSet[date], today: date) -> Check:
    """Return whether the last session of the lake is the one before today, as far as weekends and holidays tell.

    >>> freshness([date(2024, 12, 27)], {date(2024, 12, 25)}, date(2024, 12, 30)).well
    True
    >>> freshness([date(2024, 12, 27)], set(), date(2024, 12, 31)).found
    'the last session is 2024-12-27, expected 2024-12-30'
    """
    wanted = today - timedelta(days=1)
    while wanted.weekday() >= _SATURDAY or wanted in holidays:
        wanted -= timedelta(days=1)
    if not last:
        return Check("freshness", "failed", "the lake has no session", "`champion backfill START END`")
    if last[-1] >= wanted:
        return Check("freshness", "ok", f"the last session is {last[-1]}")
    remedy = f"`champion daily {wanted}`; or name it in CHAMPION_HOLIDAYS, if it was one"
    return Check("freshness", "failed", f"the last session is {last[-1]}, expected {wanted}", remedy)


def _disk(settings: Settings) -> Check:
    free = shutil.disk_usage(settings.home).free / 1e9
    found = f"{free:.1f} GB free, {settings.disk_free_gb:.1f} wanted"
    if free >= settings.disk_free_gb:
        return Check("disk", "ok", found)
    return Check("disk", "failed", found, "free some space, or `champion lake retain` what the settings call old")


def _tracking(settings: Settings) -> Check:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - mlflow takes seconds to import

    from champion.tracking import runs  # noqa: PLC0415

    try:
        newest = runs.find_runs(settings, limit=1)
    except MlflowException as error:
        return Check("tracking store", "failed", str(error), "start it, or mend CHAMPION_TRACKING_URI")
    return Check("tracking store", "ok", f"answers; newest run {newest[0].name if newest else 'none'}")


def _warehouse(settings: Settings, query_seconds: float) -> Check:
    """Ask for the last session and, so many times, for one symbol's year: opening the embedded engine is not timed."""
    from champion.warehouse.engine.client import reader  # noqa: PLC0415 - the engine is 500 MB

    held = Lake(settings.lake).sessions(BARS)[-1:]
    with reader(settings) as client:
        last = client.query("select max(trade_date) from champion_market.normalized_equity_ohlc").result_rows[0][0]
        symbols = client.query(
            "select symbol from champion_market.normalized_equity_ohlc where trade_date = {day:Date} limit 20",
            parameters={"day": last},
        ).result_rows
        taken = sorted(_asked(client, symbols[i % len(symbols)][0], last) for i in range(_QUESTIONS if symbols else 0))
    slow = taken[int(len(taken) * 0.95) - 1] if taken else 0.0
    found = f"last session {last}, lake {held[0] if held else 'empty'}; a symbol's year in {slow * 1000:.0f} ms (p95)"
    if [last] != held:
        return Check(
            "warehouse", "failed", found, "`champion warehouse load START END` brings it in step with the lake"
        )
    if slow > query_seconds:
        return Check("warehouse", "failed", found, f"{query_seconds * 1000:.0f} ms are promised: see what else runs")
    return Check("warehouse", "ok", found)


def _asked(client: Executor, symbol: str, last: date) -> float:
    began = time.perf_counter()
    client.query(_QUESTION, parameters={"symbol": symbol, "since": last - timedelta(days=365)})
    return time.perf_counter() - began
