"""Find and commit partitions. The rows of a partition are in its own file, or in the file of its sealed year.

A reader lists the day partitions first and the sealed years second. Sealing commits the sealed file before it retires a
day partition. So a session that is no longer found by day is found sealed.

A day partition beside a sealed year is newer and takes precedence. A revision is read from the sealed file if that
holds exactly this revision, otherwise from its own file; while both exist they are equal.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Literal

import polars as pl

from champion.base.atomic_files import sha256
from champion.base.strict_json import parse_json
from champion.contracts import Contract, storage
from champion.errors import LakeError
from champion.lake import backend, layout, manifest as manifests
from champion.lake.manifest import Manifest, Part

_ROW_GROUP = 64 * 1024  # a day is one group; a sealed year has its own, smaller ones
_READ_ONLY, _GROUP_WRITES = 0o440, 0o660  # set explicitly, so that the umask does not decide who reads the lake
_SEALED_FILE = re.compile(r"sealed-[0-9a-f]+\.parquet")


@dataclass(frozen=True, slots=True)
class SealedYear:
    """The content of a `_SEALED` file: the file of a sealed year, and the manifest of each session in it.

    `folder` is the folder of the two files. It is not stored.
    """

    contract: str
    file: str
    rows: int
    bytes: int
    sha256: str
    sessions: Mapping[date, Manifest]
    folder: Path = Path()

    @property
    def path(self) -> Path:
        """The path of its file."""
        return self.folder / self.file

    def __post_init__(self) -> None:
        """Reject a name that leads out of the year, and a year without sessions."""
        if not _SEALED_FILE.fullmatch(self.file):
            raise ValueError(f"{self.file!r} is not the name of a sealed file")
        if not self.sessions:
            raise ValueError("it lists no sessions")


@dataclass(frozen=True, slots=True)
class Partition:
    """One session: its folder, which need not exist, its revisions, and its sealed year if any."""

    session: date
    folder: Path
    manifest: Manifest
    sealed: SealedYear | None

    def sealed_part(self, part: Part) -> SealedYear | None:
        """Return the sealed year that holds this revision; None if it has its own file."""
        kept = self.sealed.sessions.get(self.session) if self.sealed else None
        return self.sealed if kept is not None and kept.current == part else None

    def path(self, part: Part) -> Path:
        """Return the file from which the rows of this revision are read."""
        sealed = self.sealed_part(part)
        return sealed.path if sealed else self.file(part)

    def file(self, part: Part) -> Path:
        """Return the revision's own file, which sealing removes."""
        return layout.part_file(self.folder / part.name, part.sha256)

    def is_whole(self, inputs: Mapping[str, str]) -> bool:
        """Return whether the current revision has exactly these inputs and its file exists with the right size."""
        if not self.manifest.made_from(inputs):
            return False
        part = self.manifest.current
        try:
            return self.path(part).stat().st_size == (self.sealed_part(part) or part).bytes
        except FileNotFoundError:
            return False


@dataclass(frozen=True, slots=True)
class Unit:
    """A partition or a sealed year, archived and removed in one step; `files` with their SHA-256 as first listed."""

    name: str
    manifest: Path
    files: Mapping[Path, str]
    sessions: tuple[date, ...]
    newest: date
    bytes: int

    @property
    def is_sealed(self) -> bool:
        """Whether it is a sealed year."""
        return self.manifest.name == layout.SEALED


def find(
    root: Path, contract: Contract, group: str | None, start: date | None = None, end: date | None = None
) -> list[Partition]:
    """Return the committed partitions from `start` to `end`, both included, in order.

    Raises:
        LakeError: a manifest is damaged.
    """
    committed = layout.committed_sessions(root, contract, group, start, end)
    folders = {session: layout.partition_folder(root, contract, session, group) for session in committed}
    days = _manifests(root, folders)  # before the sealed years: see the module
    years = sealed_years(root, contract, group, start, end)
    found = {s: kept for year in years.values() for s, kept in year.sessions.items() if _between(s, start, end)}
    found |= {session: kept for session, kept in days.items() if kept is not None}
    for session in found.keys() - folders.keys():
        folders[session] = layout.partition_folder(root, contract, session, group)
    return [Partition(session, folders[session], found[session], years.get(session.year)) for session in sorted(found)]


def among(root: Path, contract: Contract, group: str | None, sessions: Sequence[date]) -> dict[date, Partition]:
    """Return the committed partitions of these sessions, without listing folders.

    Raises:
        LakeError: a manifest is damaged.
    """
    folders = {session: layout.partition_folder(root, contract, session, group) for session in sessions}
    days = _manifests(root, folders)
    years = {year: sealed_year(root, contract, year, group) for year in {session.year for session in sessions}}
    found: dict[date, Partition] = {}
    for session, folder in folders.items():
        sealed = years[session.year]
        manifest = days[session] or (sealed.sessions.get(session) if sealed else None)
        if manifest is not None:
            found[session] = Partition(session, folder, manifest, sealed)
    return found


def find_one(root: Path, contract: Contract, session: date, group: str | None) -> Partition | None:
    """Return one partition, or None if it was never committed.

    Raises:
        LakeError: its manifest is damaged.
    """
    return among(root, contract, group, [session]).get(session)


def sessions(
    root: Path, contract: Contract, group: str | None, start: date | None = None, end: date | None = None
) -> list[date]:
    """Return the committed sessions from `start` to `end`, both included, in order, without reading day manifests."""
    found = set(layout.committed_sessions(root, contract, group, start, end))
    for year in sealed_years(root, contract, group, start, end).values():
        found.update(session for session in year.sessions if _between(session, start, end))
    return sorted(found)


def sealed_years(
    root: Path, contract: Contract, group: str | None, start: date | None = None, end: date | None = None
) -> dict[int, SealedYear]:
    """Return the sealed years that can hold sessions from `start` to `end`."""
    first, last = start.year if start else date.min.year, end.year if end else date.max.year
    years = [year for year in layout.sealed_years(root, contract, group) if first <= year <= last]
    found = {year: sealed_year(root, contract, year, group) for year in years}
    return {year: sealed for year, sealed in found.items() if sealed is not None}


def sealed_year(root: Path, contract: Contract, year: int, group: str | None) -> SealedYear | None:
    """Return a sealed year, or None if the year is not sealed.

    Raises:
        LakeError: its manifest is damaged.
    """
    return read_sealed(layout.sealed_folder(root, contract, year, group) / layout.SEALED)


def read_sealed(path: Path) -> SealedYear | None:
    """Return the sealed year whose manifest is at `path`, or None if there is none."""
    try:
        state = path.stat()
        return _parse_sealed(path, state.st_ino, state.st_mtime_ns, state.st_size)
    except FileNotFoundError:
        return None


@lru_cache(maxsize=256)
def _parse_sealed(path: Path, _inode: int, _changed: int, _size: int) -> SealedYear:
    """Parse a year's manifest once: it is read for each session, and replaced, never edited."""
    try:
        return replace(parse_json(SealedYear, path.read_bytes()), folder=path.parent)
    except ValueError as error:
        raise LakeError(f"{path}: not a sealed year ({error}); `champion lake verify` lists what is damaged") from error


def files_of(manifest: Path) -> dict[Path, str]:
    """Return the files of a partition or a sealed year, with their SHA-256, as its manifest lists them now.

    Raises:
        LakeError: the manifest is damaged.
    """
    if manifest.name == layout.SEALED:
        sealed = read_sealed(manifest)
        return {sealed.path: sealed.sha256} if sealed else {}
    found = manifests.read(manifest)
    return _part_files(manifest.parent, found) if found else {}


def _part_files(folder: Path, manifest: Manifest) -> dict[Path, str]:
    return {layout.part_file(folder / part.name, part.sha256): part.sha256 for part in manifest.parts}


def units(root: Path, contract: Contract, group: str | None) -> Iterator[Unit]:
    """Yield the sealed years of one group, then its day partitions.

    A day partition beside the sealed year that holds its session has the age of the year: if it were removed first,
    the older sealed rows would be visible again.
    """
    years = sealed_years(root, contract, group)
    for sealed in years.values():
        sessions = tuple(sorted(sealed.sessions))
        manifest = sealed.folder / layout.SEALED
        yield Unit(contract.name, manifest, {sealed.path: sealed.sha256}, sessions, sessions[-1], sealed.bytes)
    for session in sorted(layout.committed_sessions(root, contract, group)):
        folder = layout.partition_folder(root, contract, session, group)
        found = manifests.read(folder / layout.SUCCESS)
        if found is None:
            continue
        year = years.get(session.year)
        newest = max(year.sessions) if year is not None and session in year.sessions else session
        files, size = _part_files(folder, found), sum(part.bytes for part in found.parts)
        yield Unit(contract.name, folder / layout.SUCCESS, files, (session,), newest, size)


def write_data_file(
    path: Path,
    contract: Contract,
    conformed: pl.DataFrame,
    compression: Literal["snappy", "zstd"] = "snappy",
    row_group: int = _ROW_GROUP,
) -> tuple[int, int, str]:
    """Write `conformed` in one step; return its rows, the bytes of the file and its SHA-256.

    The caller holds the dataset's lock, so unfinished files in the folder come from killed writers and are removed.
    """
    for unfinished in layout.present(path.parent, ".*.part"):
        unfinished.unlink()
    place = backend.of(path)
    with place.temporary_file(path) as temporary:
        storage.write(conformed, contract, temporary, compression=compression, row_group_size=row_group)
        temporary.chmod(file_mode(contract))
        digest, size = sha256(temporary), temporary.stat().st_size
        place.commit(temporary, layout.part_file(path, digest))
    return conformed.height, size, digest


def file_mode(contract: Contract) -> int:
    """Return the permissions of a contract's data files."""
    return _READ_ONLY if layout.is_append_only(contract) else _GROUP_WRITES


def write_sealed(sealed: SealedYear) -> None:
    """Commit a sealed year in one step: from now on readers see its file."""
    content = asdict(sealed)
    del content["folder"]
    content["sessions"] = {session.isoformat(): kept for session, kept in content["sessions"].items()}
    backend.write_bytes(sealed.folder / layout.SEALED, json.dumps(content, indent=1, sort_keys=True).encode())


def retire(manifest: Path) -> None:
    """Hide the files of `manifest` from readers; `sweep` removes them once no reader can be using them."""
    backend.of(manifest).rename(manifest, manifest.with_name(layout.RETIRED))


def _manifests(root: Path, folders: Mapping[date, Path]) -> dict[date, Manifest | None]:
    found = backend.of(root).map(lambda folder: manifests.read(folder / layout.SUCCESS), folders.values())
    return dict(zip(folders, found, strict=True))


def _between(session: date, start: date | None, end: date | None) -> bool:
    return (start or date.min) <= session <= (end or date.max)
