"""Fetch the published files of a range of dates into staging, where they are kept as received.

The first publication in the list, usually the bhavcopy, decides whether a date is a session. If it is absent, no other
file of the date is requested. The other publications may be absent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path

from champion.base.progress import Progress, silent
from champion.errors import ArchiveError, ArchiveUnavailable, SessionNotPublished, UsageError
from champion.pipeline.ingest.datasets import LISTS, PUBLICATIONS
from champion.settings import Settings
from champion.sources.download.archive import Archive, RetryPolicy, Staged, find_staged
from champion.sources.table import Publication

_MAX_UNANSWERED = 3  # dates in a row


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A staged file and the publication it was fetched for: one full report serves as bhavcopy and as delivery file."""

    publication: Publication
    file: Staged

    @property
    def session(self) -> date:
        """The session it was fetched for."""
        return self.file.session


@dataclass(frozen=True, slots=True)
class FetchResult:
    """The files of a range of dates, the dates without a session, and the date and error of each refused file."""

    staged: Sequence[FetchedFile]
    absent: Sequence[date]
    failed: Sequence[tuple[date, ArchiveError]]

    @property
    def sessions(self) -> list[date]:
        """The sessions that have a file, in order."""
        return sorted({file.session for file in self.staged})


def dates(start: date, end: date) -> list[date]:
    """Return all dates from `start` to `end`, including weekends, on which special sessions fall.

    Raises:
        UsageError: `end` is before `start`.
    """
    require_order(start, end)
    return [start + timedelta(days=offset) for offset in range((end - start).days + 1)]


def require_order(start: date, end: date) -> None:
    """Require that a range of dates has a date.

    Raises:
        UsageError: `end` is before `start`.
    """
    if end < start:
        raise UsageError(f"from {start} to {end}: the end is before the start")


def check(settings: Settings, start: date | None = None, end: date | None = None) -> None:
    """Require valid settings and dates for a fetch, before anything slow starts.

    Raises:
        UsageError: the archive setting is wrong, or the end is before the start.
    """
    if start is not None and end is not None:
        require_order(start, end)
    Archive(settings.archive, settings.staging)


def retry_policy(settings: Settings) -> RetryPolicy:
    """Return the workspace's pauses and time limits for requests to a web archive."""
    return RetryPolicy(apart=settings.archive_pause, silence=settings.archive_silence)


def lists_staging(settings: Settings) -> Path:
    """Return the staging folder of a separate folder of lists."""
    return settings.staging / "lists"


def fetch(
    settings: Settings,
    start: date,
    end: date,
    *,
    refresh: bool = False,
    publications: Sequence[Publication] = PUBLICATIONS,
    lists: Archive | None = None,
    progress: Progress = silent,
) -> FetchResult:
    """Fetch the files of `start` to `end` into staging; without `refresh`, only those that are not there.

    A file that fails does not stop the others. After three dates in a row without an answer, the fetch ends. A list of
    a session that the archive does not have comes from `lists`, the folder of lists.
    """
    wanted = dates(start, end)
    staged, absent, failed = list[FetchedFile](), list[date](), list[tuple[date, ArchiveError]]()
    with Archive(settings.archive, settings.staging, patience=retry_policy(settings)) as archive:
        for done, session in enumerate(wanted, start=1):
            files, errors = _fetch_session(archive, lists, session, publications, refresh=refresh)
            staged += files
            failed += [(session, error) for error in errors]
            if not files and not errors:
                absent.append(session)
            unanswered = {day for day, error in failed if isinstance(error, ArchiveUnavailable)}
            if errors and done >= _MAX_UNANSWERED and unanswered.issuperset(wanted[done - _MAX_UNANSWERED : done]):
                break  # more requests would only add load
            progress(done, len(wanted), f"fetched {session}")
    return FetchResult(staged, absent, failed)


def _fetch_session(
    archive: Archive, lists: Archive | None, session: date, publications: Sequence[Publication], *, refresh: bool
) -> tuple[list[FetchedFile], list[ArchiveError]]:
    files, errors = list[FetchedFile](), list[ArchiveError]()
    for publication in publications:
        try:
            files.append(_fetch_one(archive, lists, session, publication, refresh=refresh))
        except SessionNotPublished:
            if publication is publications[0]:
                break
        except ArchiveError as error:
            errors.append(error)
            if isinstance(error, ArchiveUnavailable):
                break  # the next run asks for the rest of the session
    return files, errors


def _fetch_one(
    archive: Archive, lists: Archive | None, session: date, publication: Publication, *, refresh: bool
) -> FetchedFile:
    try:
        return FetchedFile(publication, archive.fetch(session, publication, refresh=refresh))
    except (SessionNotPublished, ArchiveUnavailable):
        if lists is None or publication not in LISTS:
            raise
        try:
            return FetchedFile(publication, lists.fetch(session, publication, refresh=refresh))
        except SessionNotPublished:
            pass
        raise


def digest(files: Sequence[FetchedFile]) -> str:
    """Return one SHA-256 over all files: equal digests mean equal input."""
    lines = (f"{each.session} {each.publication.name} {each.file.sha256}" for each in files)
    return sha256("\n".join(lines).encode()).hexdigest()


def staged(
    settings: Settings, start: date, end: date, publications: Sequence[Publication] = PUBLICATIONS
) -> list[FetchedFile]:
    """Return the staged files of a range of dates, session by session, without a request to the archive."""
    found = (
        (publication, _find_staged(settings, session, publication))
        for session in dates(start, end)
        for publication in publications
    )
    return [FetchedFile(publication, file) for publication, file in found if file is not None]


def _find_staged(settings: Settings, session: date, publication: Publication) -> Staged | None:
    file = find_staged(settings.staging, session, publication)
    if file is None and publication in LISTS:
        return find_staged(lists_staging(settings), session, publication)
    return file
