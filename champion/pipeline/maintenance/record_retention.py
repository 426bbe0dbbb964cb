"""Retention of what runs leave beside their numbers: pages and figures of old runs, and old reports.

What can be made again goes: the HTML page of an executed notebook, its figures (the notebook holds them too) and the
report of a session. What cannot stays for ever: runs with parameters, metrics, tags and digests, executed notebooks,
tables, models, both ledgers, and everything of a run that a version of the registry or a promotion stands on.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from champion.base.progress import Progress, silent
from champion.tracking import registry, runs

if TYPE_CHECKING:
    from champion.settings import Settings

PRUNED = "champion.pruned"
"""The tag of a run whose page and figures are gone: the date on which they went."""
_KEPT_NOTEBOOKS = frozenset({"training", "promotion"})  # what decisions stand on
_NOTEBOOK = "champion.notebook"
_FOLDERS = ("notebook", "result/figures")


@dataclass(frozen=True, slots=True)
class Expired:
    """Something old enough to go: a run's page and figures, or a session's report; `bytes` is the size of it."""

    kind: Literal["run", "report"]
    name: str
    of: date
    files: tuple[str, ...]
    bytes: int


def plan(settings: Settings, today: date) -> list[Expired]:
    """Return what is older than `settings.pages_days` on `today`, oldest first; nothing is touched.

    Raises:
        ServiceError: MLflow's store does not answer.
    """
    if not settings.pages_days:
        return []
    before = today - timedelta(days=settings.pages_days)
    found = [*_reports(settings.home / "reports", before), *_runs(settings, before)]
    return sorted(found, key=lambda expired: (expired.of, expired.name))


def prune(settings: Settings, today: date, progress: Progress = silent) -> list[Expired]:
    """Remove what `plan` returns, and return it. Interrupted anywhere, running it again goes on.

    Raises:
        ServiceError: MLflow's store does not answer.
    """
    expired = plan(settings, today)
    for done, one in enumerate(expired, start=1):
        if one.kind == "report":
            shutil.rmtree(settings.home / "reports" / one.name)
        else:
            runs.remove_files(settings, one.name, one.files)
            runs.log(settings, one.name, tags={PRUNED: today.isoformat()})  # last, as a tagged run is skipped
        progress(done, len(expired), f"removed {one.kind} {one.name}")
    return expired


def _reports(folder: Path, before: date) -> Iterator[Expired]:
    for session in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", session.name) or date.fromisoformat(session.name) >= before:
            continue
        files = [path for path in session.rglob("*") if path.is_file()]
        names = tuple(str(path.relative_to(session)) for path in files)
        yield Expired(
            "report", session.name, date.fromisoformat(session.name), names, sum(path.stat().st_size for path in files)
        )


def _runs(settings: Settings, before: date) -> Iterator[Expired]:
    moment = datetime.combine(before, time(), UTC)
    registered = {version.run_id for version in registry.versions(settings)}
    old = runs.find_runs(settings, between=(datetime.fromtimestamp(0, UTC), moment), limit=None)
    for run in old:
        if run.ended is None or PRUNED in run.tags or run.run_id in registered:
            continue
        if run.tags.get(_NOTEBOOK) in _KEPT_NOTEBOOKS:
            continue
        sizes = runs.artifact_sizes(settings, run.run_id, _FOLDERS)
        gone = {name: size for name, size in sizes.items() if not name.endswith(".ipynb")}
        if gone:
            yield Expired("run", run.run_id, run.ended.date(), tuple(gone), sum(gone.values()))
