"""Retention of a workspace's lake, with the years and the archive of the settings."""

from collections.abc import Sequence
from datetime import date, timedelta

from champion import contracts
from champion.base.progress import Progress, silent
from champion.contracts.datasets import kept_years
from champion.errors import UsageError
from champion.lake import Lake, archive as archives, backend, index, ownership, retention, sweep
from champion.lake.retention import Step
from champion.lake.vacuum import GRACE
from champion.settings import Settings


def plan(settings: Settings, today: date) -> list[Step]:
    """Return the steps of retention on `today` without carrying them out; the settings determine what is deleted.

    Raises:
        LakeError: the archive belongs to another lake, or a manifest is damaged.
    """
    lake, archive = Lake(settings.lake), _archive(settings)
    if archive is not None:
        ownership.require_own(lake, archive)
    return retention.plan(lake, today, kept_years(settings), archive)


def retain(settings: Settings, today: date, grace: timedelta = GRACE, progress: Progress = silent) -> list[Step]:
    """Carry out the plan of `today` and return it: archive partitions, hide the archived ones, then remove their files.

    After an interruption, another call continues.

    Raises:
        LakeError: a file is damaged, here or in the archive; only partitions verified in the archive are removed.
    """
    lake, archive, steps = Lake(settings.lake), _archive(settings), plan(settings, today)
    todo = [unit for step in steps if step.action == "archive" for unit in step.units]
    if archive is not None and todo:
        ownership.claim(lake, archive, todo)
    for done, unit in enumerate(todo, start=1):
        if archive is not None:
            archives.copy(lake, archive, unit, settings.lake_archive_class)
        progress(done, len(todo), f"archived {unit.name} {unit.sessions[-1]}")
    for step in steps:
        if step.action == "delete":
            archives.remove(lake, step.units, archive if step.needs_archive else None)
    sweep(lake, contracts.names(), grace)
    if archive is not None and backend.of(archive.root).overwrites:  # there it would remove superseded parts
        sweep(archive, contracts.names(), timedelta(0))
    for name in {step.name for step in steps if step.action == "delete"}:
        index(lake, name)
    return steps


def restore(settings: Settings, start: date, end: date, names: Sequence[str]) -> dict[str, list[date]]:
    """Restore archived sessions to the lake and return them by dataset.

    Raises:
        UsageError: the settings name no archive.
        LakeError: the archive is damaged.
    """
    lake, archive = Lake(settings.lake), _require_archive(settings, "restore")
    restored = {name: archives.restore(lake, archive, name, start, end) for name in names}
    return {name: sessions for name, sessions in restored.items() if sessions}


def adopt(settings: Settings) -> str:
    """Assign the archive to this workspace's lake, even if it belonged to another; return the place of the lake.

    Raises:
        UsageError: the settings name no archive.
    """
    return ownership.adopt(Lake(settings.lake), _require_archive(settings, "adopt"))


def _archive(settings: Settings) -> Lake | None:
    return Lake(settings.lake_archive) if settings.lake_archive else None


def _require_archive(settings: Settings, action: str) -> Lake:
    if (archive := _archive(settings)) is None:
        raise UsageError(f"{action}: there is no archive; set CHAMPION_LAKE_ARCHIVE to its folder or s3:// place")
    return archive
