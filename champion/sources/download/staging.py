"""The staging folder: files as received, under the exchange's paths, each with a record beside it.

1. Bytes are downloaded to `.incoming/*.part`, under a lock that ends with the process. Unlocked parts are deleted.
2. A complete and checked part is renamed atomically; the record (digest, size, time, origin) is written last.
   A file is fetched again if it has no record, is lost, or does not match its record.
3. Different bytes under the same name are kept beside the first ones, as a revision.
4. `archive.json` names the archives whose files may be here: two archives are two histories.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from champion.base import clock, workspace_homes
from champion.base.atomic_files import flush, make_folder, with_path, write_bytes
from champion.base.strict_json import parse_json
from champion.errors import ArchiveError, UsageError
from champion.sources.download import staging_records
from champion.sources.download.staging_records import Kept, Staged, locked
from champion.sources.download.transport import canonical
from champion.sources.publications import BHAVCOPY
from champion.sources.table import Publication


def find_staged(staging: Path, session: date, publication: Publication = BHAVCOPY) -> Staged | None:
    """Return the session's latest file in staging, or None, without a request to the archive.

    The bytes are compared with their record each time: 0.2 ms for a bhavcopy, against 10 ms to parse it.

    Raises:
        ArchiveError: the file does not match its record; the next fetch of the session replaces it.
    """
    for path in publication.paths(session):
        kept = staging_records.latest(staging / path)
        if kept is not None:
            staged = kept.staged(staging / path, session)
            if not kept.is_intact(staged.path):
                raise ArchiveError(f"{staged.path}: not the file that was fetched; fetch {session} again to replace it")
            return staged
    return None


def set_aside(file: Staged, paths: Sequence[str]) -> None:
    """Rename an invalid file in staging, so that the next fetch requests it again.

    `paths` are the possible paths of its publication. The revision before it becomes the latest one.
    """
    for path in paths:
        name, depth = Path(path).name, len(Path(path).parts)
        if file.path.name == name or file.path.name.startswith(f"{name}.r"):
            with locked(file.path.parents[depth - 1]):
                kept = [one for one in staging_records.read(file.path.with_name(name)) if one.file != file.path.name]
                if file.path.exists():  # another process may have refused it first
                    file.path.replace(file.path.with_name(f"{file.path.name}.refused-{file.sha256[:8]}"))
                staging_records.write(file.path.with_name(name), kept)


class Staging:
    """The staging folder of one archive; several processes may share it. `base` is the archive's address."""

    def __init__(self, root: Path, base: str, setting: str = "CHAMPION_ARCHIVE") -> None:
        """Keep the folder, the archive's address, and the name of the setting that has the address."""
        self._root = root
        self._base = base
        self._setting = setting
        self._incoming = root / ".incoming"
        self._swept = False

    def find(self, paths: Sequence[str], session: date) -> Staged | None:
        """Return the latest file under the first of `paths` that has one, or None; rename a damaged file.

        Raises:
            UsageError: it came from another archive.
        """
        for path in paths:
            kept = staging_records.latest(self._root / path)
            if kept is None:
                continue
            staged = kept.staged(self._root / path, session)
            if kept.is_intact(staged.path):
                self.require_same_archive(canonical(kept.origin.removesuffix(f"/{path}")))
                return staged
            with locked(self._root):
                if staged.path.exists() and not kept.is_intact(staged.path):  # another process may have replaced it
                    staged.path.replace(staged.path.with_name(f"{staged.path.name}.damaged-{token_hex(4)}"))
            return None  # the record stays: the same bytes are the same file, with its first time of fetching
        return None

    def require_same_archive(self, *others: str) -> None:
        """Do nothing if staging is empty or holds files of this archive; `others` are the addresses of files in it.

        Raises:
            UsageError: it holds files of another archive.
        """
        known = self.known() or [self._base]
        strange = [base for base in others if base not in known] or ([] if self._base in known else known)
        if strange:
            raise UsageError(
                f"archive {self._base}: staging holds files of {', '.join(strange)}, and a workspace cannot mix two "
                f"archives. Set CHAMPION_HOME to another folder, or set {self._setting} back; if both are the same "
                f"archive (moved, or a mirror), run: champion archive add {self._base}"
            )

    def accept(self) -> list[str]:
        """Add this archive to the accepted addresses, and return them all."""
        with locked(self._root):
            known = list(dict.fromkeys([*self.known(), self._base]))
            write_bytes(self._root / "archive.json", json.dumps(known).encode())
        return known

    @contextmanager
    def receiving(self) -> Iterator[BinaryIO]:
        """Yield an empty file to download into; it is deleted afterwards unless it was kept."""
        with locked(self._root):
            self._incoming.mkdir(exist_ok=True)
            self._sweep()
            stream = (self._incoming / f"{token_hex(8)}.part").open("x+b")
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                stream.close()
                raise with_path(error, Path(stream.name)) from error
        with stream:
            try:
                yield stream
            finally:
                Path(stream.name).unlink(missing_ok=True)

    def keep(self, path: str, session: date, part: BinaryIO, digest: str) -> Staged:
        """Rename a received file, write its record, and return it; unchanged bytes keep their first time.

        Raises:
            UsageError: staging holds files of another archive.
        """
        part.flush()
        os.fsync(part.fileno())
        file = self._root / path
        with locked(self._root):
            self.require_same_archive()
            if not self.known():
                workspace_homes.remember(self._root.parent)
                write_bytes(self._root / "archive.json", json.dumps([self._base]).encode())
            files = staging_records.read(file)
            known = bool(files) and files[-1].sha256 == digest
            if not known:
                size = os.fstat(part.fileno()).st_size
                name, fetched_at = staging_records.next_name(file, files), clock.now().isoformat()
                files.append(Kept(name, digest, size, fetched_at, f"{self._base}/{path}"))
            make_folder(file.parent)
            Path(part.name).replace(file.with_name(files[-1].file))
            flush(file.parent)
            if not known:
                staging_records.write(file, files)
        return files[-1].staged(file, session)

    def known(self) -> list[str]:
        """Return the accepted addresses; none before the first fetch.

        Raises:
            UsageError: their list is damaged.
        """
        file = self._root / "archive.json"
        if not file.exists():
            return []
        try:
            found = [canonical(base) for base in parse_json(list[str], file.read_bytes())]
        except (ValueError, UsageError) as error:
            raise UsageError(
                f'{file}: expected a list of addresses, ["..."], found something else ({error})'
            ) from error
        home = self._root.parent  # an archive in the workspace moves with it
        moved = [workspace_homes.moved(base, workspace_homes.former(home), home) for base in found]
        return list(dict.fromkeys(one for both in zip(moved, found, strict=True) for one in both))

    def _sweep(self) -> None:
        if self._swept:
            return
        self._swept = True
        for part in self._root.rglob(".*.json.*.part"):  # of a dead process: records are written under the lock
            part.unlink()
        for part in self._incoming.glob("*.part"):
            # Locked or gone: another process downloads into it, or has finished.
            with suppress(BlockingIOError, FileNotFoundError), part.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink()
