"""Records of staging: for each file name of the archive, the files kept under it, oldest first."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from itertools import count
from pathlib import Path

from filelock import Timeout

from champion.base.atomic_files import Lock, make_folder, sha256, write_bytes
from champion.base.file_modes import workspace_folder
from champion.base.strict_json import moment, parse_json
from champion.errors import ArchiveError

_LONGEST_NAME = 255  # bytes, on every file system
_LOCK_TIMEOUT = 60.0  # held for milliseconds, by a process that is not suspended


@dataclass(frozen=True, slots=True)
class Staged:
    """One downloaded file: its path, digest, time and origin."""

    path: Path
    session: date
    sha256: str
    fetched_at: datetime
    origin: str

    @property
    def name(self) -> str:
        """The exchange's name for the file."""
        return self.origin.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Kept:
    """One entry of a record."""

    file: str
    sha256: str
    bytes: int
    fetched_at: str
    origin: str

    def __post_init__(self) -> None:
        """Refuse a name that leads to another folder, and an invalid time."""
        if self.file in {"", ".", ".."} or {"/", "\0"} & {*self.file} or len(self.file.encode()) > _LONGEST_NAME:
            raise ValueError(f"{self.file!r} is no file's name")
        moment(self.fetched_at)

    def staged(self, file: Path, session: date) -> Staged:
        """Return the entry as a staged file; `file` is its path in staging, derived from its path in the archive."""
        fetched_at = datetime.fromisoformat(self.fetched_at)
        return Staged(file.with_name(self.file), session, self.sha256, fetched_at, self.origin)

    def is_intact(self, file: Path) -> bool:
        """Whether `file` has exactly the bytes that were kept."""
        try:
            return file.stat().st_size == self.bytes and sha256(file) == self.sha256
        except FileNotFoundError:
            return False


def read(file: Path) -> list[Kept]:
    """Return the files kept under the name of `file`, oldest first; none without a record.

    Raises:
        ArchiveError: the record is damaged.
    """
    record = file.with_suffix(".json")
    try:
        return parse_json(dict[str, list[Kept]], record.read_bytes())["files"]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError) as error:
        raise ArchiveError(f"{record}: not a record of staging ({error}); remove it and fetch again") from error


def write(file: Path, files: Sequence[Kept]) -> None:
    """Replace the record of `file` atomically; remove the record if `files` is empty."""
    record = file.with_suffix(".json")
    if files:
        write_bytes(record, json.dumps({"files": [asdict(one) for one in files]}, indent=1).encode())
    else:
        record.unlink(missing_ok=True)


def everything(root: Path) -> Iterator[Staged]:
    """Yield every file recorded in the staging folder `root`, with the date of its download as session."""
    for record in sorted(root.rglob("*.json")):
        if record.name == "archive.json" and record.parent in {root, root / "lists"}:
            continue
        for kept in read(record):
            yield kept.staged(record, datetime.fromisoformat(kept.fetched_at).date())


def is_whole(staged: Staged) -> bool:
    """Return whether a file is unchanged since its download."""
    return staged.path.exists() and sha256(staged.path) == staged.sha256


def latest(file: Path) -> Kept | None:
    """Return the last entry; None if there is none or its file is lost."""
    files = read(file)
    return files[-1] if files and file.with_name(files[-1].file).exists() else None


def next_name(file: Path, files: Sequence[Kept]) -> str:
    """Return the name for the next file: the exchange's file name, then with .r1, .r2, ... for revisions."""
    taken = {one.file for one in files}
    names = (file.name + (f".r{revision}" if revision else "") for revision in count(len(files)))
    return next(name for name in names if name not in taken)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Lock the staging folder `root` for one change; other processes wait.

    Raises:
        ArchiveError: another process does not release the lock.
    """
    workspace_folder(root.parent)
    make_folder(root)
    try:
        with Lock(root / ".lock", timeout=_LOCK_TIMEOUT):
            yield
    except Timeout as error:
        raise ArchiveError(f"{root}: another process holds {error.lock_file}; is it suspended? Try again") from error
