"""Retention of the pages and figures of old runs, of old session reports, and of kept training frames.

These can be created again: the HTML page of an executed notebook, its figures (the notebook holds them too), the report
of a session, and a frame that no training has used since. Everything else is kept without limit: runs with parameters,
metrics, tags and digests, executed notebooks, tables, models, both ledgers, and all files of runs behind a registered
model version or a promotion.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from champion.base.progress import Progress, silent
from champion.pipeline.feature_store.frame_cache import FrameCache
from champion.settings import Settings
from champion.tracking import registry, runs

PRUNED = "champion.pruned"
"""The tag of a run whose page and figures were removed: the date."""
Kind: TypeAlias = Literal["run", "report", "frame"]


@dataclass(frozen=True, slots=True)
class Expired:
    """Page and figures of a run, the report of a session, or a kept frame, to be removed; `bytes` is their size."""

    kind: Kind
    name: str
    of: date
    files: tuple[str, ...]
    bytes: int


def plan(settings: Settings, today: date) -> list[Expired]:
    """Return pages, reports and frames older than `settings.pages_days` on `today`, oldest first; nothing is removed.

    The age of a frame counts from its last use.

    Raises:
        ServiceError: MLflow's store does not answer.
    """
    if not settings.pages_days:
        return []
    before = today - timedelta(days=settings.pages_days)
    found = [*_reports(settings.home / "reports", before), *_runs(settings, before), *_frames(settings, before)]
    return sorted(found, key=lambda expired: (expired.of, expired.name))


def prune(settings: Settings, today: date, progress: Progress = silent) -> list[Expired]:
    """Remove the files that `plan` returns, and return the plan. After an interruption, another call continues.

    Raises:
        ServiceError: MLflow's store does not answer.
    """
    expired = plan(settings, today)
    for done, item in enumerate(expired, start=1):
        if item.kind == "report":
            shutil.rmtree(settings.home / "reports" / item.name)
        elif item.kind == "frame":
            (FrameCache.of(settings).folder / item.name).unlink(missing_ok=True)
        else:
            runs.remove_files(settings, item.name, item.files)
            runs.log(settings, item.name, tags={PRUNED: today.isoformat()})  # last, because a tagged run is skipped
        progress(done, len(expired), f"removed {item.kind} {item.name}")
    return expired


def counts(expired: Sequence[Expired]) -> dict[str, int]:
    """Return the number of runs, reports and frames.

    >>> counts([Expired("frame", "a.parquet", date(2024, 1, 15), ("a.parquet",), 100)])
    {'runs': 0, 'reports': 0, 'frames': 1}
    """
    return {f"{kind}s": sum(one.kind == kind for one in expired) for kind in get_args(Kind)}


def _reports(folder: Path, before: date) -> Iterator[Expired]:
    for session in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", session.name) or date.fromisoformat(session.name) >= before:
            continue
        files = [path for path in session.rglob("*") if path.is_file()]
        names = tuple(str(path.relative_to(session)) for path in files)
        size = sum(path.stat().st_size for path in files)
        yield Expired("report", session.name, date.fromisoformat(session.name), names, size)


def _frames(settings: Settings, before: date) -> Iterator[Expired]:
    for path in FrameCache.of(settings).files():
        with suppress(FileNotFoundError):  # removed meanwhile
            status = path.stat()
            if (used := datetime.fromtimestamp(status.st_mtime, UTC).date()) < before:
                yield Expired("frame", path.name, used, (path.name,), status.st_size)


def _runs(settings: Settings, before: date) -> Iterator[Expired]:
    registered = {version.run_id for version in registry.versions(settings)}
    span = datetime.fromtimestamp(0, UTC), datetime.combine(before, time(), UTC)
    for run in runs.find_runs(settings, between=span, limit=None):
        # Registered versions, trainings and promotions are the evidence of decisions.
        is_evidence = run.run_id in registered or run.tags.get("champion.notebook") in {"training", "promotion"}
        if run.ended is None or PRUNED in run.tags or is_evidence:
            continue
        sizes = runs.artifact_sizes(settings, run.run_id, ("notebook", "result/figures"))
        if removable := {name: size for name, size in sizes.items() if not name.endswith(".ipynb")}:
            yield Expired("run", run.run_id, run.ended.date(), tuple(removable), sum(removable.values()))
