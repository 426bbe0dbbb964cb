"""The exchange's archive: a folder, `file://` or `http(s)://`, all under the exchange's own paths.

Whatever is fetched lands in staging under the same path, whole and checked or not at all. What is there is not asked
for again; nor is, behind HTTP, a date that had no file well after the session. `refresh` asks all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from champion.base import clock
from champion.errors import SessionNotPublished, WrongSession
from champion.sources.container import check_signature
from champion.sources.download import transport
from champion.sources.download.negative_cache import NegativeCache
from champion.sources.download.retry_policy import RetryPolicy
from champion.sources.download.staging import Staging, find_staged, set_aside
from champion.sources.download.staging_records import Staged
from champion.sources.publications import BHAVCOPY, Publication

__all__ = ["Archive", "RetryPolicy", "Staged", "find_staged", "set_aside"]

_STALE_DAYS = 14  # the session before a holiday lies at most this far back


class Archive:
    """Reads one archive into one staging folder. Use it as a context manager: it may hold a connection."""

    def __init__(
        self, base: str, staging: Path, *, patience: RetryPolicy | None = None, max_bytes: int = transport.MAX_BYTES
    ) -> None:
        """Take `base` as given in settings; nothing is asked of it before the first fetch.

        Raises:
            UsageError: `base` is neither an existing folder nor a URL of a known kind, or staging holds the files of
                another archive.
        """
        self._transport = transport.connect(base, patience or RetryPolicy(), max_bytes)
        self._staging = Staging(staging, self._transport.base)
        self._root = staging
        self._staging.require_same_archive()

    def __enter__(self) -> Self:
        """Return the archive itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection, if one was opened."""
        self._transport.close()

    def fetch(self, session: date, publication: Publication = BHAVCOPY, *, refresh: bool = False) -> Staged:
        """Return the session's file in staging; asks the archive only if it is not there yet, or on `refresh`.

        Raises:
            SessionNotPublished: the archive has no file for the date.
            ArchiveUnavailable: it did not answer, or refused.
            FormatError: the answer is not what its name says; nothing is kept.
            WrongSession: it is another session's file; nothing is kept.
            UsageError: staging holds the files of another archive.
        """
        self._staging.require_same_archive()
        paths, absent = publication.paths(session), self._absent(publication)
        if not refresh:
            if staged := self._staging.find(paths, session):
                return staged
            if asked_at := absent and absent.asked_at(session, paths):
                raise self._not_published(session, publication, f"asked on {asked_at:%Y-%m-%d}, refresh asks again")
        asked_at = clock.now()
        for path in paths:
            staged = self._bring(path, session, lambda name, content: _is_of(publication, name, content, session))
            if staged is not None:
                if absent:
                    absent.forget(session)
                return staged
        if absent:
            absent.remember(session, paths, asked_at)
        raise self._not_published(session, publication, "no session, or not published yet")

    def names(self, pattern: str) -> list[str]:
        """Return the paths under the archive that match, in order; none where it is a URL, which cannot be listed."""
        return self._transport.names(pattern)

    def fetch_list(self, path: str) -> Staged | None:
        """Return a list as the archive has it now, in staging, or None where it has none.

        Lists change under one name, so it is always asked for; the same bytes again keep their first time of reading,
        and their session is the date of that in India.

        Raises:
            ArchiveUnavailable: the archive did not answer, or refused.
            FormatError: the answer is not what its name says; nothing is kept.
            UsageError: staging holds the files of another archive.
        """
        self._staging.require_same_archive()
        staged = self._bring(path, clock.now().date(), lambda _name, _content: True)
        if staged is None:
            return None
        return replace(staged, session=staged.fetched_at.astimezone(clock.INDIA).date())

    def _bring(self, path: str, session: date, accept: Callable[[str, bytes], bool]) -> Staged | None:
        """Return the file, kept; None where the archive has none, or has one that does not count."""
        with self._staging.receiving() as part:
            if not self._transport.copy(path, part):
                return None
            part.seek(0)
            content = part.read()
            check_signature(path, content)
            if not accept(Path(path).name, content):
                return None
            return self._staging.keep(path, session, part, sha256(content).hexdigest())

    def _absent(self, publication: Publication) -> NegativeCache | None:
        """Return what is remembered of an archive that is slow to ask; a folder is asked, and may still be filled."""
        if not self._transport.remote:
            return None
        return NegativeCache(self._root, self._transport.base, publication.name)

    def _not_published(self, session: date, publication: Publication, why: str) -> SessionNotPublished:
        return SessionNotPublished(f"{self._transport.base} has no {publication.name} for {session:%A %Y-%m-%d}: {why}")


def _is_of(publication: Publication, name: str, content: bytes, session: date) -> bool:
    """Tell whether the file is the session's own, and not the answer to a holiday: the session before, once more.

    Raises:
        FormatError: it is neither.
    """
    try:
        publication.read(name, content, session)
    except WrongSession:
        if _answers_stale(publication, name) and _is_older(publication, name, content, session):
            return False
        raise
    return True


def _answers_stale(publication: Publication, name: str) -> bool:
    return bool(publication.answers_stale) and name.startswith(publication.answers_stale)


def _is_older(publication: Publication, name: str, content: bytes, session: date) -> bool:
    for days in range(1, _STALE_DAYS + 1):
        try:
            publication.read(name, content, session - timedelta(days=days))
        except WrongSession:
            continue
        return True
    return False
