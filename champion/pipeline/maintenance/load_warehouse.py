"""Load the warehouse from the lake, many months at a time. Loads replace months, so repeating one adds no rows."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby

from champion import contracts
from champion.base import clock
from champion.base.clock import month_end
from champion.base.progress import Progress, silent
from champion.contracts import Contract
from champion.contracts.datasets import is_list
from champion.lake import Lake, Month
from champion.pipeline.ingest.quality import require_passed
from champion.settings import Settings
from champion.settings.quality_limits import Limits
from champion.warehouse import adjustment_cache, load_ledger, migrations, parts, retention
from champion.warehouse.engine import client
from champion.warehouse.engine.database import Executor
from champion.warehouse.load import LoadResult, load_months
from champion.warehouse.months import label

DATASETS = migrations.datasets()
"""The datasets of the warehouse. Delivery, indices and lists are there normalized; their raw rows are in the lake."""

MOST_VALUES = 20_000_000
"""The most values (rows times columns) of one load: a year of the exchange's bars, which takes 1.5 GB of memory."""
MOST_SESSIONS = 1_000
"""The most sessions of one load: each is a file that the statement names."""


def load(
    settings: Settings,
    start: date,
    end: date,
    datasets: Sequence[str] = DATASETS,
    progress: Progress = silent,
    *,
    whole: bool = False,
    gated: bool = False,
    most_values: int = MOST_VALUES,
) -> list[LoadResult]:
    """Load all months between `start` and `end` that differ from the lake, and return a result for each month.

    With `whole`, months outside the range are loaded too if the ledger of loads lacks them, because the warehouse was
    lost or a load was interrupted. Lists are loaded for any range, because each covers all sessions.

    With `gated`, the sessions of the range must pass the quality gates, as in all commands and flows.

    Raises:
        WarehouseError: the engine refused, or its rows differ from the lake after a load.
        QualityGateError: with `gated`, a session failed a quality gate; nothing is loaded.
    """
    lake = Lake(settings.lake)
    if gated:
        require_passed(lake, start, end, Limits.of(settings))
    results: list[LoadResult] = []
    with client.writer(settings) as engine:
        migrations.migrate(engine)
        retention.apply_retention(engine, settings)
        # Digests are read before rows, so rows that are written in between are loaded again the next time.
        missing = _missing(lake, engine, datasets) if whole else {}
        work: dict[str, dict[date, Month]] = {}
        for name in datasets:
            days = [start, end, *missing.get(name, ())]
            work[name] = lake.months(name) if is_list(name) else lake.months(name, min(days), max(days))
        for name, found in work.items():
            for some in _load_dataset(lake, engine, contracts.load(name), found, most_values):
                results += some
                first, last = some[0].partition, some[-1].partition
                span = first if first == last else f"{first} to {last}"
                progress(len(results), sum(map(len, work.values())), f"loaded {name} {span}")
            parts.merge(engine, name)
        adjustment_cache.refresh(engine)
    return results


def load_lists(
    settings: Settings, names: Collection[str], start: date | None = None, end: date | None = None
) -> int | None:
    """Load these lists into the warehouse and return the number of loaded months; None if there is no warehouse yet.

    Queries of the warehouse then agree with the lake. `start` and `end` bound the lists of single sessions.

    Raises:
        WarehouseError: as `load`.
    """
    path = client.embedded_path(settings)
    if path is not None and not path.exists():
        return None
    today = clock.today()
    results = load(settings, start or today, end or today, [name for name in DATASETS if name in names])
    return sum(not result.skipped for result in results)


def spans(months: Mapping[date, Month], columns: int, most_values: int = MOST_VALUES) -> list[list[date]]:
    """Return the months in runs that fit into memory; a run ends with a year if possible.

    >>> year = {date(2023, month, 1): Month("", 40_000, 20, frozenset()) for month in range(1, 13)}
    >>> [len(run) for run in spans(year | {date(2024, 1, 1): Month("", 40_000, 20, frozenset())}, 26, 13_000_000)]
    [12, 1]
    >>> [len(run) for run in spans(year, 26, 5_000_000)]
    [4, 4, 4]
    """
    most_rows = most_values // columns
    years = [list(of) for _, of in groupby(sorted(months), lambda month: month.year)]
    blocks = [block for year in years for block in ([year] if _fits(months, year, most_rows) else [[m] for m in year])]
    found: list[list[date]] = []
    for block in blocks:
        if found and _fits(months, [*found[-1], *block], most_rows):
            found[-1] += block
        else:
            found.append(block)
    return found


def _fits(months: Mapping[date, Month], run: Sequence[date], most_rows: int) -> bool:
    return sum(months[m].rows for m in run) <= most_rows and sum(months[m].sessions for m in run) <= MOST_SESSIONS


def _missing(lake: Lake, engine: Executor, datasets: Sequence[str]) -> dict[str, list[date]]:
    """Return the sessions of each dataset that the warehouse should keep and whose months its ledger lacks."""
    known, found = load_ledger.completed_months(engine), {}
    for name in datasets:
        unknown = [session for session in lake.sessions(name) if session.replace(day=1) not in known.get(name, set())]
        oldest = retention.keeps_from(engine, name) if unknown else None
        found[name] = [session for session in unknown if oldest is None or session >= oldest]
    return found


def _load_dataset(
    lake: Lake, engine: Executor, contract: Contract, months: Mapping[date, Month], most_values: int
) -> Iterator[list[LoadResult]]:
    """Yield the results of each run of months; months that equal the lake are skipped."""
    if not months:
        return
    with client.refusals(f"reading the loads of {contract.name}"):
        kept = load_ledger.loaded_rows(engine, contract, {month: found.digest for month, found in months.items()})
    for is_loaded, of in groupby(months, lambda month: month in kept):
        run = {month: months[month] for month in of}
        if is_loaded:
            yield [LoadResult(contract.name, label([month]), kept[month], skipped=True) for month in run]
            continue
        for wanted in spans(run, len(contract.polars_schema), most_values):
            first, last = min(wanted), month_end(max(wanted))
            rows, files = lake.scan(contract.name, first, last).collect(), []
            # In files of an earlier contract version, Polars must fill in the defaults of later fields.
            if frozenset().union(*(months[month].contracts for month in wanted)) == {contract.label}:
                groups = contract.groups or (None,)
                files = [lake.sessions_by_file(contract.name, first, last, group) for group in groups]
            yield load_months(engine, contract, {month: months[month].digest for month in wanted}, rows, files=files)
