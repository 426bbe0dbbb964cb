"""Retention of a workspace: the settings' years and archive, and the lake's plan for a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from champion import contracts
from champion.base.progress import Progress, silent
from champion.errors import UsageError
from champion.lake import Lake, archive as archives, backend, index, ownership, retention, sweep
from champion.lake.retention import Step
from champion.lake.vacuum import GRACE
from champion.settings import Settings

_NONE = "there is no archive; set CHAMPION_LAKE_ARCHIVE to its folder or s3:// place"


def kept_years(settings: Settings) -> dict[str, int | None]:
    """Return how many years of each layer the settings keep; None keeps all."""
    return {
        "raw": settings.raw_years,
        "quarantine": settings.raw_years,
        "normalized": settings.normalized_years,
        "features": settings.features_years,
    }


def plan(settings: Settings, today: date) -> list[Step]:
    """Return what retention would do on `today`; nothing is touched, and nothing is deleted unless the settings ask.

    Raises:
        LakeError: the archive belongs to another lake, or a manifest is damaged.
    """
    lake, archive = Lake(settings.lake), _archive(settings)
    if archive is not None:
        ownership.require_own(lake, archive)
    return retention.plan(lake, today, kept_years(settings), archive)


def retain(settings: Settings, today: date, grace: timedelta = GRACE, progress: Progress = silent) -> list[Step]:
    """Carry out the plan of `today` and return it: archive first, then hide what is archived, then remove its files.

    Interrupted anywhere, running it again goes on.

    Raises:
        LakeError: a file is damaged, here or in the archive; nothing is removed that is not proved to be archived.
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
    names = contracts.names()
    sweep(lake, names, grace)
    if archive is not None and backend.of(archive.root).overwrites:  # there it would remove superseded parts
        sweep(archive, names, timedelta(0))
    for name in {step.name for step in steps if step.action == "delete"}:
        index(lake, name)
    return steps


def restore(settings: Settings, start: date, end: date, names: Sequence[str]) -> dict[str, list[date]]:
    """Bring archived sessions back into the lake; return those that came, by dataset.

    Raises:
        UsageError: the settings name no archive.
        LakeError: the archive is damaged.
    """
    archive = _archive(settings)
    if archive is None:
        raise UsageError(f"restore: {_NONE}")
    back = {name: archives.restore(Lake(settings.lake), archive, name, start, end) for name in names}
    return {name: sessions for name, sessions in back.items() if sessions}


def adopt(settings: Settings) -> str:
    """Make the archive one of this workspace's lake, whichever it was of; return the place of the lake.

    Raises:
        UsageError: the settings name no archive.
    """
    archive = _archive(settings)
    if archive is None:
        raise UsageError(f"adopt: {_NONE}")
    return ownership.adopt(Lake(settings.lake), archive)


def _archive(settings: Settings) -> Lake | None:
    return Lake(settings.lake_archive) if settings.lake_archive else None
