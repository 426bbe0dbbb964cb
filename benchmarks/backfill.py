"""A backfill as plain calls, stage by stage, and the files and datasets that it leaves."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

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
from champion.sources.table import Publication

STAGES = ("fetch", "lists", "ingest", "identify", "actions", "quality", "features", "finished")


def steps(
    settings: Settings, start: date, end: date, publications: Sequence[Publication] = PUBLICATIONS
) -> dict[str, Callable[[], Any]]:
    """Return the calls that process a range of dates from archive to features, by stage and in order."""
    lake = Lake(settings.lake)
    return {
        "fetch": lambda: fetch(settings, start, end, publications=publications),
        "lists": lambda: symbol_changes.refresh(settings),
        "ingest": lambda: ingest(lake, staged(settings, start, end, publications)).require_complete(),
        "identify": lambda: rename_instruments(settings).require_complete(),
        "actions": lambda: (symbol_master.refresh(settings), corporate_actions.refresh(settings)),
        "quality": lambda: quality.record(lake, start, end, quality.check(lake, start, end)),
        "features": lambda: build_features(lake, start, end),
    }


def backfill(
    settings: Settings,
    start: date,
    end: date,
    reached: Callable[[int], None] = lambda _: None,
    publications: Sequence[Publication] = PUBLICATIONS,
) -> None:
    """Process a range of dates from archive to features; `reached` gets the number of each stage as it begins."""
    for number, step in enumerate(steps(settings, start, end, publications).values()):
        reached(number)
        step()
    reached(STAGES.index("finished"))


def contents(settings: Settings) -> dict[str, str]:
    """Return the SHA-256 of every file in lake and staging, and the digest of every dataset.

    Locks and carried state are left out: the state is a cache that depends on earlier builds.
    """
    lake = Lake(settings.lake)
    digests = {name: lake.digest(name) for name in contracts.names() if not name.endswith("_state")}
    files = [path for root in (settings.lake, settings.staging) for path in root.rglob("*") if path.is_file()]
    kept = [path for path in files if not path.name.endswith(".lock") and "_state/" not in str(path)]
    return digests | {str(path.relative_to(settings.home)): sha256(path) for path in kept}
