"""Lake to warehouse, a month of one dataset at a time: each load replaces its month, so replays never double."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from champion import contracts
from champion.lake import Lake
from champion.pipeline.progress import Progress, silent
from champion.settings import Settings
from champion.warehouse import adjustments, client, load as warehouse_load, migrations, parts, retention

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

DATASETS = (
    "raw_equity_ohlc",
    "normalized_equity_ohlc",
    "features_equity_indicators",
    "features_equity_alpha158",
    "predictions_equity_scores",
    "quarantine_equity_ohlc",
    "normalized_equity_delivery",
    "normalized_index_ohlc",
    "normalized_corporate_actions",
    "normalized_symbol_master",
    "normalized_symbol_changes",
    "normalized_adjustment_factors",
    "quality_findings",
)
"""What the warehouse has tables for: of delivery, indices and lists the canonical rows, what was published is in the
lake alone."""


def months(sessions: Sequence[date]) -> list[date]:
    """Return the first day of each month that has a session, in order.

    >>> months([date(2024, 1, 15), date(2024, 1, 16), date(2024, 3, 1)])
    [datetime.date(2024, 1, 1), datetime.date(2024, 3, 1)]
    """
    return sorted({session.replace(day=1) for session in sessions})


def load(
    settings: Settings,
    start: date,
    end: date,
    datasets: Sequence[str] = DATASETS,
    progress: Progress = silent,
) -> list[warehouse_load.LoadResult]:
    """Bring the warehouse in step with the lake for every month between `start` and `end`; months alike are skipped.

    Lists, whose session is the date they were read on, are loaded whatever the range: they tell of all of it.

    Raises:
        WarehouseError: the engine refused, or after a load holds other rows than the lake.
    """
    lake = Lake(settings.lake)
    work = [(name, month) for name in datasets for month in months(_sessions(lake, name, start, end))]
    results = []
    with client.writer(settings) as engine:
        migrations.migrate(engine)
        retention.apply_retention(engine, settings)
        for done, (name, month) in enumerate(work, start=1):
            results.append(_load_month(lake, engine, name, month))
            progress(done, len(work), f"loaded {name} {month:%Y-%m}")
        for name in datasets:
            parts.merge(engine, name)
        adjustments.refresh(engine)
    return results


def _sessions(lake: Lake, name: str, start: date, end: date) -> list[date]:
    is_list = contracts.load(name).session == "list_date"
    return lake.sessions(name) if is_list else lake.sessions(name, start, end)


def _load_month(lake: Lake, engine: Client, name: str, month: date) -> warehouse_load.LoadResult:
    last = (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    digest = lake.digest(name, month, last)  # before the rows: what is written in between is loaded the next time
    contract, rows = contracts.load(name), lake.scan(name, month, last).collect()
    files = [lake.sessions_by_file(name, month, last, group) for group in contract.groups or (None,)]
    return warehouse_load.load_month(engine, contract, month, rows, digest, files=files)
