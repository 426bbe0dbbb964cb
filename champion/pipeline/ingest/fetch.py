"""Archive to staging: what was published in every session of a range of dates, kept as received.

The first publication asked for, as a rule the bhavcopy, decides whether a date is a session: where it is absent nothing
else is asked for, and where another is absent the session merely has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256

from champion.base.progress import Progress, silent
from champion.errors import ArchiveError, ArchiveUnavailable, SessionNotPublished, UsageError
from champion.pipeline.ingest.datasets import PUBLICATIONS
from champion.settings import Settings
from champion.sources.download.archive import Archive, RetryPolicy, Staged, find_staged
from champion.sources.publications import Publication

_PATIENCE = 3  # dates in a row without an answer


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A staged file, and what it was asked for as: the full report may stand for the bhavcopy and for the delivery."""

    publication: Publication
    file: Staged

    @property
    def session(self) -> date:
        """The session it was asked for."""
        return self.file.session


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What the archive gave for a range of dates.

    `staged` are the files; `absent` the dates without a session; `failed` the dates of which a file was refused, with
    the error, one for each file.
    """

    staged: Sequence[FetchedFile]
    absent: Sequence[date]
    failed: Sequence[tuple[date, ArchiveError]]

    @property
    def sessions(self) -> list[date]:
        """The sessions that have a file, in order."""
        return sorted({received.session for received in self.staged})


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


def patience(settings: Settings) -> RetryPolicy:
    """Return how a web archive is asked in this workspace."""
    return RetryPolicy(apart=settings.archive_pause, silence=settings.archive_silence)


def fetch(
    settings: Settings,
    start: date,
    end: date,
    *,
    refresh: bool = False,
    publications: Sequence[Publication] = PUBLICATIONS,
    progress: Progress = silent,
) -> FetchResult:
    """Bring what was published between `start` and `end` into staging; what is there is not asked for again.

    A file that fails does not stop the others.
    """
    asked = dates(start, end)
    staged: list[FetchedFile] = []
    absent: list[date] = []
    failed: list[tuple[date, ArchiveError]] = []
    with Archive(settings.archive, settings.staging, patience=patience(settings)) as archive:
        for done, session in enumerate(asked, start=1):
            received, errors = _fetch_session(archive, session, publications, refresh=refresh)
            staged += received
            failed += [(session, error) for error in errors]
            if not received and not errors:
                absent.append(session)
            if errors and _gave_up(failed, asked[max(done - _PATIENCE, 0) : done]):
                break
            progress(done, len(asked), f"fetched {session}")
    return FetchResult(staged, absent, failed)


def _fetch_session(
    archive: Archive, session: date, publications: Sequence[Publication], *, refresh: bool
) -> tuple[list[FetchedFile], list[ArchiveError]]:
    received: list[FetchedFile] = []
    errors: list[ArchiveError] = []
    for publication in publications:
        try:
            received.append(FetchedFile(publication, archive.fetch(session, publication, refresh=refresh)))
        except SessionNotPublished:
            if publication is publications[0]:
                break
        except ArchiveUnavailable as error:
            errors.append(error)
            break  # the archive is asked for the rest of the session another time
        except ArchiveError as error:
            errors.append(error)
    return received, errors


def _gave_up(failed: Sequence[tuple[date, ArchiveError]], latest: Sequence[date]) -> bool:
    """Tell whether the archive refused all of the latest dates: to go on asking would make it angrier."""
    unanswered = {session for session, error in failed if isinstance(error, ArchiveUnavailable)}
    return len(latest) == _PATIENCE and unanswered.issuperset(latest)


def digest(files: Sequence[FetchedFile]) -> str:
    """Return one SHA-256 over all files: equal digests mean equal input."""
    lines = (f"{received.session} {received.publication.name} {received.file.sha256}" for received in files)
    return sha256("\n".join(lines).encode()).hexdigest()


def staged(
    settings: Settings, start: date, end: date, publications: Sequence[Publication] = PUBLICATIONS
) -> list[FetchedFile]:
    """Return what staging holds for a range of dates, session by session, without asking the archive."""
    asked = ((session, publication) for session in dates(start, end) for publication in publications)
    found = ((publication, find_staged(settings.staging, session, publication)) for session, publication in asked)
    return [FetchedFile(publication, file) for publication, file in found if file is not None]
