"""The contents of a workspace: files of lake and staging, tables of the warehouse, runs of the ledger."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import polars as pl

from champion import warehouse
from champion.base.atomic_files import sha256
from champion.errors import WarehouseError
from champion.lake import Lake
from champion.settings import Settings
from champion.tracking import promotion

_NOT_DATA = frozenset({".lock", ".locks", ".incoming"})
_INDEX = ("_metadata", "_common_metadata")  # for other readers: a backfill writes it, `daily` does not
_KEPT_APART = (".damaged-", ".refused-")  # evidence that a fault left, beside what replaced it
_TIMES = ("ingest_time", "known_at")  # when something was done
_BY_SESSION = (
    *("raw_equity_ohlc", "normalized_equity_ohlc", "normalized_equity_delivery", "normalized_index_ohlc"),
    *("features_equity_indicators", "predictions_equity_scores", "predictions_equity_targets", "quality_findings"),
)
SHOWN = 3


@dataclass(frozen=True)
class Look:
    """The contents of a workspace while no command runs.

    `files` are SHA-256 by path in lake and staging; `tables` the count and the sum of hashes of the rows that readers
    see; `succeeded` counts notebooks and flows by experiment, name and identity; `other` all other runs by outcome.
    """

    files: Mapping[str, str]
    tables: Mapping[str, tuple[int, str]]
    succeeded: Mapping[str, int]
    other: Mapping[str, int]
    waiting: int
    champion: str
    faults: list[str] = field(default_factory=list)

    def written(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Look:
        """Return what `written` wrote."""
        found = json.loads(text)
        return cls(**{**found, "tables": {name: tuple(value) for name, value in found["tables"].items()}})


def look(settings: Settings, *, timeless: bool = False) -> Look:
    """Return the contents of the workspace; `timeless` leaves out times and lists."""
    faults: list[str] = []
    succeeded, other = _ledger(settings, faults, timeless=timeless)
    files = {str(path.relative_to(settings.home)): sha256(path) for path in data_files(settings)}
    waiting = sum(1 for _ in settings.runs.glob("*-*/begun.json"))
    tables, champion = _tables(settings, faults, timeless=timeless), str(promotion.history(settings)[-1:])
    return Look(_rows(settings) if timeless else files, tables, succeeded, other, waiting, champion, faults)


def data_files(settings: Settings) -> Iterator[Path]:
    """Yield the data files: no locks, unfinished downloads, carried state, index, or damaged bytes set aside."""
    for root in (settings.lake, settings.staging):
        for path in sorted(root.rglob("*")):
            names = {path.name, path.suffix, *path.relative_to(root).parts}
            aside = any(mark in path.name for mark in _KEPT_APART) or any(name.endswith("_state") for name in names)
            if path.is_file() and not names & _NOT_DATA and not aside and not path.name.startswith(_INDEX):
                yield path


def differences(found: Look, wanted: Look, *, more: bool = False) -> dict[str, list[str]]:
    """Return the differences from the undisturbed workspace by place: lake, staging, warehouse, ledger.

    `more` allows additional runs in the ledger.
    """
    files, tables = _unequal(found.files, wanted.files), _unequal(found.tables, wanted.tables)
    ledger = [f"{n}: {found.succeeded.get(n, 0)} times, not {count}" for n, count in wanted.succeeded.items()
              if not _as_often(n, found.succeeded.get(n, 0), count)]  # fmt: skip
    extra = {} if more else {n: count for n, count in found.succeeded.items() if n not in wanted.succeeded}
    ledger += [f"{name}: {count} times, not at all" for name, count in extra.items()]
    ledger += [name for name in found.other if name.startswith("RUNNING")]
    ledger += [f"{found.waiting} runs wait beside the lake"] if found.waiting else []
    ledger += ["another champion"] if found.champion != wanted.champion else []
    by_place = {
        "lake": [n for n in files if n.startswith("lake/")],
        "staging": [n for n in files if n.startswith("staging/")],
        "warehouse": tables,
        "ledger": ledger + found.faults,
    }
    return {place: names for place, names in by_place.items() if names}


def _unequal(found: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    return sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))


def _as_often(name: str, found: int, wanted: int) -> bool:
    """Return whether a run succeeded as often as it should; a flow that is killed after its end succeeds twice."""
    return found == wanted if " key " in name else found >= wanted


def halves(found: Look, before: Look, after: Look) -> list[str]:
    """Return files and tables that have neither the state before the disturbed command nor the expected one."""
    pairs = ((found.files, before.files, after.files), (found.tables, before.tables, after.tables))
    files, tables = (
        [name for name in old if name != "loads" and now.get(name) not in {old[name], new.get(name)}]
        for now, old, new in pairs
    )
    return [*files, *(f"table {name}" for name in tables), *found.faults]


def _tables(settings: Settings, faults: list[str], *, timeless: bool) -> dict[str, tuple[int, str]]:
    if not settings.warehouse.is_dir():
        return {}
    try:
        with warehouse.reader(settings) as client:
            names = client.query(
                "select name, if(engine like '%Replacing%', 'final', '') from system.tables "
                "where database = 'champion_market' and engine like '%MergeTree' order by name"
            ).result_rows
            found: dict[str, tuple[int, str]] = {}
            columns = f"* except ({', '.join(_TIMES)})" if timeless else "*"
            for name, final in names:
                if timeless and name not in _BY_SESSION:
                    continue
                text = f"select count(), toString(sum(cityHash64({columns}))) from champion_market.{name} {final}"  # noqa: S608 - own names
                count, total = client.query(text).result_rows[0]
                found[str(name)] = int(count), str(total)
            return found
    except WarehouseError as error:
        faults.append(f"the warehouse cannot be read: {error}")
        return {}
    finally:
        warehouse.close()


def _rows(settings: Settings) -> dict[str, str]:
    """Return the count and the sum of hashes of the rows of every dataset with sessions."""
    found, lake = {}, Lake(settings.lake)
    for name in _BY_SESSION:
        rows = lake.scan(name).drop(_TIMES, strict=False).collect()
        found[f"lake/{name}"] = f"{rows.height} rows, {rows.hash_rows().cast(pl.Int128).sum()}"
    return found


def _ledger(settings: Settings, faults: list[str], *, timeless: bool) -> tuple[dict[str, int], dict[str, int]]:
    """Return the numbers of succeeded and of other runs, from MLflow's tables."""
    succeeded, other = Counter[str](), Counter[str]()
    file = settings.mlflow_database
    if not file.exists():
        return {}, {}
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as books:
        damage = books.execute("pragma quick_check").fetchone()[0]
        if damage != "ok":
            faults.append(f"mlflow.db: {damage}")
        rows = books.execute(
            "select r.run_uuid, e.name, r.name, r.status, "
            "max(case when t.key = 'champion.outcome' then t.value end), "
            "max(case when t.key = 'champion.execution_key' then t.value end) "
            "from runs r join experiments e using (experiment_id) left join tags t using (run_uuid) "
            "where r.lifecycle_stage = 'active' group by r.run_uuid"
        ).fetchall()
    for _, experiment, name, status, outcome, key in rows:
        if status == "FINISHED":
            succeeded[f"{experiment}/{name}" + (f" key {'' if timeless else key[:12]}" if key else "")] += 1
        else:
            other[f"{status} {outcome} {experiment}/{name}"] += 1
    return dict(succeeded), dict(other)
