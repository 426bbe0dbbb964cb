"""A backfill as plain calls that says which stage it is in, and what it leaves behind, file by file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import c_int
from datetime import date, timedelta
from multiprocessing.synchronize import Event as Flag
from pathlib import Path

from champion import contracts
from champion.base.atomic_files import sha256
from champion.lake import Lake
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.ingest import corporate_actions, quality, symbol_changes, symbol_master
from champion.pipeline.ingest.datasets import PUBLICATIONS
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.ingest.rename_instruments import rename_instruments
from champion.settings import Settings
from champion.sources.publications import Publication

STAGES = ("fetch", "lists", "ingest", "identify", "actions", "quality", "features", "finished")


def backfill(
    settings: Settings,
    start: date,
    end: date,
    reached: Callable[[int], None] = lambda _: None,
    publications: Sequence[Publication] = PUBLICATIONS,
) -> None:
    """Bring a range of dates from archive to features; `reached` is told the number of each stage as it begins."""
    lake = Lake(settings.lake)
    steps: list[Callable[[], object]] = [
        lambda: fetch(settings, start, end, publications=publications),
        lambda: symbol_changes.refresh(settings),
        lambda: ingest(lake, staged(settings, start, end, publications)).require_complete(),
        lambda: rename_instruments(settings).require_complete(),
        lambda: (symbol_master.refresh(settings), corporate_actions.refresh(settings)),
        lambda: quality.record(lake, start, end, quality.check(lake, start, end)),
        lambda: build_features(lake, start, end),
    ]
    for number, step in enumerate(steps):
        reached(number)
        step()
    reached(len(steps))


def twice(settings: Settings, start: date, end: date, begun: Flag, stage: c_int) -> None:
    """Backfill the later half and then the whole, so that names, factors, findings and features are made anew."""

    def reached(number: int) -> None:
        stage.value = number

    middle = start + timedelta(days=(end - start).days // 2)
    begun.set()
    backfill(settings, middle, end, reached)
    backfill(settings, start, end, reached)


def contents(settings: Settings) -> dict[str, str]:
    """Return the SHA-256 of every file in lake and staging, and the digest of every dataset.

    Locks are left out, and carried state: it is a cache of the builds that happened.
    """
    lake = Lake(settings.lake)
    digests = {name: lake.digest(name) for name in contracts.names() if not name.endswith("_state")}
    files = [path for root in (settings.lake, settings.staging) for path in root.rglob("*") if _counts(path)]
    return digests | {str(path.relative_to(settings.home)): sha256(path) for path in files}


def _counts(path: Path) -> bool:
    return path.is_file() and path.suffix != ".lock" and path.name != ".lock" and "_state/" not in str(path)
