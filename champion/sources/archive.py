"""The exchange's archive: a folder, `file://` or `http(s)://`, all under the exchange's own paths.

Whatever is fetched lands in staging under the same path, whole or not at all, with a small record beside it: digest,
time, origin. The record is written last; a file without one is fetched again. If the exchange publishes other bytes
under the same name, the new file is kept beside the old one.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import httpx

from champion import clock
from champion.errors import ArchiveUnavailable, SessionNotPublished, UsageError
from champion.files import write_bytes
from champion.sources.container import check_signature
from champion.sources.publications import BHAVCOPY, Publication

_HEADERS = {  # the exchange answers browsers only
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36",
    "Referer": "https://www.nseindia.com/all-reports",
    "Accept": "*/*",
}
_SECONDS_BETWEEN_REQUESTS = 0.34  # about three a second is what the archive bears
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)


@dataclass(frozen=True, slots=True)
class Staged:
    """One downloaded file: where it is kept and what it was when it came."""

    path: Path
    session: date
    sha256: str
    fetched_at: datetime
    origin: str

    @property
    def name(self) -> str:
        """The exchange's name for the file."""
        return self.origin.rpartition("/")[2]


def find_staged(staging: Path, session: date, publication: Publication = BHAVCOPY) -> Staged | None:
    """Return the session's latest file in staging, or None; the archive is not asked."""
    for path in publication.paths(session):
        record = (staging / path).with_suffix(".json")
        if record.exists():
            latest = _Kept(**json.loads(record.read_bytes())["files"][-1])
            if (record.parent / latest.file).exists():
                return latest.staged(record.parent, session)
    return None


def set_aside(file: Staged, publication: Publication = BHAVCOPY) -> None:
    """Take a file that turned out not to be what it should out of staging, under another name, to be fetched again."""
    for path in publication.paths(file.session):
        record = (file.path.parent / Path(path).name).with_suffix(".json")
        if file.path.name.startswith(Path(path).name) and record.exists():
            files = json.loads(record.read_bytes())["files"][:-1]
            file.path.replace(file.path.with_name(f"{file.path.name}.refused-{file.sha256[:8]}"))
            if files:
                write_bytes(record, json.dumps({"files": files}, indent=1).encode())
            else:
                record.unlink()


class Archive:
    """Reads one archive into one staging folder. Use it as a context manager: it may hold a connection."""

    def __init__(self, base: str, staging: Path) -> None:
        """Take `base` as given in settings; nothing is opened before the first fetch.

        Raises:
            UsageError: `base` is neither an existing folder nor a URL of a known kind.
        """
        self._staging = staging
        self._base = base.rstrip("/")
        self._client: httpx.Client | None = None
        self._last_request = 0.0
        parts = urlsplit(base)
        if parts.scheme not in {"", "file", "http", "https"}:
            raise UsageError(f"archive {base!r}: expected a folder, file://, http:// or https://")
        if parts.username or parts.password:
            raise UsageError(
                "archive: the URL holds credentials; they would be kept in records and logs. Leave them out"
            )
        local = parts.scheme in {"", "file"}
        self._folder = Path(unquote(parts.path) if parts.scheme else base) if local else None
        if self._folder is not None and not self._folder.is_dir():
            raise UsageError(f"archive {base!r}: no such folder; set CHAMPION_ARCHIVE or run `champion simulate`")

    def __enter__(self) -> Self:
        """Return the archive itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection, if one was opened."""
        if self._client is not None:
            self._client.close()

    def fetch(self, session: date, publication: Publication = BHAVCOPY, *, refresh: bool = False) -> Staged:
        """Return the session's file in staging; asks the archive only if it is not there yet, or on `refresh`.

        Raises:
            SessionNotPublished: the archive has no file for the date.
            ArchiveUnavailable: it did not answer, or refused.
            FormatError: the answer is not what its name says; nothing is kept.
        """
        if not refresh and (staged := find_staged(self._staging, session, publication)):
            return staged
        for path in publication.paths(session):
            content = self._read(path)
            if content is not None:
                check_signature(path, content)
                return self._stage(path, session, content)
        raise SessionNotPublished(
            f"{self._base} has no {publication.name} for {session:%A %Y-%m-%d}: no session, or not published yet"
        )

    def names(self, pattern: str) -> list[str]:
        """Return the paths under the archive that match, in order; none where it is a URL, which cannot be listed."""
        if self._folder is None:
            return []
        return sorted(path.relative_to(self._folder).as_posix() for path in self._folder.glob(pattern))

    def fetch_list(self, path: str) -> Staged | None:
        """Return a list as the archive has it now, in staging, or None where it has none.

        Lists change under one name, so it is always asked for; the same bytes again keep their first time of reading,
        and their session is the date of that in India.

        Raises:
            ArchiveUnavailable: the archive did not answer, or refused.
            FormatError: the answer is not what its name says; nothing is kept.
        """
        content = self._read(path)
        if content is None:
            return None
        check_signature(path, content)
        staged = self._stage(path, clock.now().date(), content)
        return replace(staged, session=staged.fetched_at.astimezone(ZoneInfo("Asia/Kolkata")).date())

    def _stage(self, path: str, session: date, content: bytes) -> Staged:
        record = (self._staging / path).with_suffix(".json")
        files = json.loads(record.read_bytes())["files"] if record.exists() else []
        digest = sha256(content).hexdigest()
        if not files or files[-1]["sha256"] != digest:
            name = Path(path).name + (f".r{len(files)}" if files else "")
            files.append(asdict(_Kept(name, digest, len(content), clock.now().isoformat(), f"{self._base}/{path}")))
        latest = _Kept(**files[-1])
        write_bytes(record.parent / latest.file, content)
        write_bytes(record, json.dumps({"files": files}, indent=1).encode())
        return latest.staged(record.parent, session)

    def _read(self, path: str) -> bytes | None:
        if self._folder is None:
            return self._download(f"{self._base}/{path}")
        file = self._folder / path
        return file.read_bytes() if file.is_file() else None

    def _download(self, url: str) -> bytes | None:
        self._client = self._client or httpx.Client(headers=_HEADERS, timeout=_TIMEOUT, follow_redirects=True)
        time.sleep(max(0.0, self._last_request + _SECONDS_BETWEEN_REQUESTS - time.monotonic()))
        self._last_request = time.monotonic()
        try:
            response = self._client.get(url)
        except httpx.HTTPError as error:
            raise ArchiveUnavailable(f"{url}: {type(error).__name__} {error}; try again later") from error
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        if response.status_code != httpx.codes.OK:
            raise ArchiveUnavailable(
                f"{url}: answered {response.status_code}; 403 and 429 mean slow down, 5xx try later"
            )
        return response.content


@dataclass(frozen=True, slots=True)
class _Kept:
    """One entry of a staging record."""

    file: str
    sha256: str
    bytes: int
    fetched_at: str
    origin: str

    def staged(self, folder: Path, session: date) -> Staged:
        return Staged(folder / self.file, session, self.sha256, datetime.fromisoformat(self.fetched_at), self.origin)
