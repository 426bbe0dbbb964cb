"""The doctor's check of the warehouse: it opens, it is migrated, and its loads match the lake."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from champion import contracts
from champion.base import clock
from champion.base.clock import month_end
from champion.base.counting import quantity
from champion.contracts.datasets import BARS
from champion.lake import Lake
from champion.pipeline.operations.checks import Check
from champion.pipeline.operations.consistency import kept, remedy
from champion.settings import Settings

if TYPE_CHECKING:
    from champion.warehouse.engine.database import Executor

_NAME = "warehouse"


def check(settings: Settings) -> Check:
    """Check that the warehouse holds the months of the lake, by the digests of its loads."""
    from champion import warehouse  # noqa: PLC0415 - the engine is 500 MB
    from champion.errors import WarehouseError  # noqa: PLC0415
    from champion.warehouse import migrations  # noqa: PLC0415

    lake = Lake(settings.lake)
    sessions = lake.sessions(BARS)
    span = (sessions[0], sessions[-1]) if sessions else ("START", "END")
    load = f"`champion warehouse load {span[0]} {span[1]}`"
    if settings.warehouse_dsn is None and not settings.warehouse.exists():
        if sessions:
            return Check(_NAME, "warning", f"none, and the lake holds {quantity(len(sessions), 'session')}", load)
        return Check(_NAME, "ok", "not created yet")
    try:
        with warehouse.reader(settings) as client:
            pending = migrations.pending(client)
            behind, lost = ({}, {}) if pending else _different(settings, client, lake)
    except WarehouseError as error:
        away = f"move the warehouse's folder away; {load} creates a new one from the lake"
        return Check(_NAME, "failed", str(error), away)
    if pending:
        return Check(_NAME, "warning", f"{len(pending)} migrations pending", "`champion warehouse migrate`")
    found = [f"{name}: {_months(months)} loaded once, and not in the lake" for name, months in lost.items()]
    found += [f"{name}: {_months(months)} not as in the lake" for name, months in behind.items()]
    remedies = [remedy(settings, name, f"{m[0]} {month_end(m[-1])}") for name, m in lost.items()]
    remedies += [f"{load} updates it from the lake"] if behind else []
    if found:
        return Check(_NAME, "failed" if lost else "warning", "; ".join(found), "; ".join(dict.fromkeys(remedies)))
    return Check(_NAME, "ok", f"{len(migrations.shipped())} migrations, none pending; up to date with the lake")


def _different(settings: Settings, client: Executor, lake: Lake) -> tuple[dict[str, list[date]], dict[str, list[date]]]:
    """Return the months of each dataset that differ from the lake, and those that the lake lost after they were loaded.

    Months that retention removed from the lake or the warehouse are left out.
    """
    from champion.pipeline.maintenance.load_warehouse import DATASETS  # noqa: PLC0415
    from champion.warehouse import load_ledger, retention  # noqa: PLC0415

    known, behind, lost = load_ledger.completed_months(client), dict[str, list[date]](), dict[str, list[date]]()
    for name in DATASETS:
        held, oldest = lake.months(name), retention.keeps_from(client, name)
        wanted = {month: one.digest for month, one in held.items() if oldest is None or month >= oldest.replace(day=1)}
        loaded = load_ledger.loaded_rows(client, contracts.load(name), wanted)
        if differing := sorted(wanted.keys() - loaded.keys()):
            behind[name] = differing
        if gone := kept(settings, name, known.get(name, set()) - held.keys(), clock.today()):
            lost[name] = list(gone)
    return behind, lost


def _months(months: list[date]) -> str:
    span = f"{months[0]:%Y-%m}" if len(months) == 1 else f"{months[0]:%Y-%m} to {months[-1]:%Y-%m}"
    return f"{quantity(len(months), 'month')}, {span},"
