"""Archive to staging: every published session of a range of dates, kept as received."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256

from champion.errors import ArchiveError, ArchiveUnavailable, SessionNotPublished, UsageError
from champion.pipeline.progress import Progress, silent
from champion.settings import Settings
from champion.sources.archive import Archive, Staged, find_staged

_PATIENCE = 3  # dates in a row without an answer


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the archive gave for a range of dates.

    `staged` are the files, one a session; `absent` the dates it has none for; `failed` the dates whose file was
    refused, with the error.
    """

    staged: Sequence[Staged]
    absent: Sequence[date]
    failed: Sequence[tuple[date, ArchiveError]]


def dates(start: date, end: date) -> list[date]:
    """Return all dates from `start` to `end`, weekends too: special sessions fall on them.

    Raises:
        UsageError: `end` is before `start`.
    """
    if end < start:
        raise UsageError(f"from {start} to {end}: the end is before the start")
    return [start + timedelta(days=offset) for offset in range((end - start).days + 1)]


def check(settings: Settings, start: date | None = None, end: date | None = None) -> None:
    """Do nothing where a fetch can begin, before anything slow is started for it.

    Raises:
        UsageError: the archive setting is wrong, or the end is before the start.
    """
    if start is not None and end is not None:
        dates(start, end)
    Archive(settings.archive, settings.staging)


def fetch(settings: Settings, start: date, end: date, *, refresh: bool = False, progress: Progress = silent) -> Fetched:
    """Bring every session published between `start` and `end` into staging; what is there is not asked for again.

    A date that fails does not stop the others.
    """
    asked = dates(start, end)
    staged: list[Staged] = []
    absent: list[date] = []
    failed: list[tuple[date, ArchiveError]] = []
    with Archive(settings.archive, settings.staging) as archive:
        for done, session in enumerate(asked, start=1):
            try:
                staged.append(archive.fetch(session, refresh=refresh))
            except SessionNotPublished:
                absent.append(session)
            except ArchiveError as error:
                failed.append((session, error))
                if _gave_up(failed, asked[done - _PATIENCE : done]):
                    break
            progress(done, len(asked), f"fetched {session}")
    return Fetched(staged, absent, failed)


def _gave_up(failed: Sequence[tuple[date, ArchiveError]], latest: Sequence[date]) -> bool:
    """Tell whether the archive refused all of the latest dates: to go on asking would make it angrier."""
    unanswered = [session for session, error in failed if isinstance(error, ArchiveUnavailable)]
    return len(latest) == _PATIENCE and unanswered[-_PATIENCE:] == list(latest)


def digest(files: Sequence[Staged]) -> str:
    """Return one SHA-256 over all files: equal digests mean equal input."""
    return sha256("\n".join(f"{file.session} {file.sha256}" for file in files).encode()).hexdigest()


def staged(settings: Settings, start: date, end: date) -> list[Staged]:
    """Return what staging holds for a range of dates, without asking the archive."""
    found = (find_staged(settings.staging, session) for session in dates(start, end))
    return [file for file in found if file is not None]
