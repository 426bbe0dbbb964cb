"""The exchange's archive: a folder, `file://` or `http(s)://`, with the exchange's paths.

A fetched file is placed in staging under the same path, complete and checked. A file in staging is not requested again;
over HTTP, neither is a date that still had no file some days after the session. `refresh` requests both again.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path

from champion.base import clock
from champion.errors import SessionNotPublished, WrongSession
from champion.sources.container import check_signature
from champion.sources.download import transport
from champion.sources.download.negative_cache import NegativeCache
from champion.sources.download.retry_policy import RetryPolicy
from champion.sources.download.staging import Staging, find_staged, set_aside
from champion.sources.download.staging_records import Staged
from champion.sources.publications import BHAVCOPY
from champion.sources.table import Publication

__all__ = ["Archive", "RetryPolicy", "Staged", "find_staged", "set_aside"]

_STALE_DAYS = 14  # the session before a holiday is at most this far back


class Archive(AbstractContextManager["Archive"]):
    """Fetches from one archive into one staging folder. Use it as a context manager: it may hold a connection."""

    def __init__(
        self,
        base: str,
        staging: Path,
        *,
        patience: RetryPolicy | None = None,
        max_bytes: int = transport.MAX_BYTES,
        setting: str = "CHAMPION_ARCHIVE",
    ) -> None:
        """Check `base`, which `setting` gives, without a request.

        Raises:
            UsageError: `base` is neither an existing folder nor a supported URL, or staging holds files of another
                archive.
        """
        self._transport = transport.connect(base, patience or RetryPolicy(), max_bytes)
        self._staging = Staging(staging, self._transport.base, setting)
        self._root = staging
        self._staging.require_same_archive()

    def __exit__(self, *_: object) -> None:
        """Close the connection, if there is one."""
        self._transport.close()

    def fetch(self, session: date, publication: Publication = BHAVCOPY, *, refresh: bool = False) -> Staged:
        """Return the session's file in staging; request it only if it is not there yet, or on `refresh`.

        Raises:
            SessionNotPublished: the archive has no file for the date.
            ArchiveUnavailable: the archive did not answer, or refused.
            FormatError: the answer does not match its name; nothing is kept.
            WrongSession: the answer is the file of another session; nothing is kept.
            UsageError: staging holds files of another archive.
        """
        self._staging.require_same_archive()
        paths = publication.paths(session)
        # A folder is cheap to read, and may still be filled.
        absent = NegativeCache(self._root, self._transport.base, publication.name) if self._transport.remote else None
        if not refresh:
            if staged := self._staging.find(paths, session):
                return staged
            if asked_at := absent and absent.asked_at(session, paths):
                raise self._not_published(session, publication, f"asked on {asked_at:%Y-%m-%d}, refresh asks again")
        asked_at = clock.now()
        for path in paths:
            staged = self._download(path, session, lambda name, content: _is_of(publication, name, content, session))
            if staged is not None:
                if absent:
                    absent.forget(session)
                return staged
        if absent:
            absent.remember(session, paths, asked_at)
        raise self._not_published(session, publication, "no session, or not published yet")

    @property
    def is_remote(self) -> bool:
        """Whether the archive is behind a URL, so that its files cannot be listed."""
        return self._transport.remote

    def names(self, pattern: str) -> list[str]:
        """Return the paths in the archive that match, in order; none for a URL, which cannot be listed."""
        return self._transport.names(pattern)

    def fetch_list(self, path: str) -> Staged | None:
        """Return the archive's current version of a list, in staging, or None if it has none.

        A list changes under one name, so it is always requested. Unchanged bytes keep the time of their first download,
        and their session is the date of that time in India.

        Raises:
            ArchiveUnavailable: the archive did not answer, or refused.
            FormatError: the answer does not match its name; nothing is kept.
            UsageError: staging holds files of another archive.
        """
        self._staging.require_same_archive()
        staged = self._download(path, clock.now().date(), lambda _name, _content: True)
        if staged is None:
            return None
        return replace(staged, session=staged.fetched_at.astimezone(clock.INDIA).date())

    def _download(self, path: str, session: date, accept: Callable[[str, bytes], bool]) -> Staged | None:
        """Return the file in staging; None if the archive has none, or `accept` rejects it."""
        with self._staging.receiving() as part:
            if not self._transport.copy(path, part):
                return None
            part.seek(0)
            content = part.read()
            check_signature(path, content)
            if not accept(Path(path).name, content):
                return None
            return self._staging.keep(path, session, part, sha256(content).hexdigest())

    def _not_published(self, session: date, publication: Publication, why: str) -> SessionNotPublished:
        return SessionNotPublished(f"{self._transport.base} has no {publication.name} for {session:%A %Y-%m-%d}: {why}")


def _is_of(publication: Publication, name: str, content: bytes, session: date) -> bool:
    """Return whether the file is of the session; False if it is the previous session's file, served for a holiday.

    Raises:
        FormatError: it is neither.
    """
    try:
        publication.read(name, content, session)
    except WrongSession as error:
        before = {(session - timedelta(days=days)).isoformat() for days in range(1, _STALE_DAYS + 1)}
        if publication.answers_stale and name.startswith(publication.answers_stale) and before & {*error.dates}:
            return False
        raise
    return True
