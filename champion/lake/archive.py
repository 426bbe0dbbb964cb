"""Copying partitions between a lake and its archive, a lake of the same layout, and removing what is archived.

A copy is data first, manifest last, each in one step and proved; a crash leaves the target without the partition or
with it, and copying again goes on. Nothing is removed that the archive does not hold, hash for hash, at that moment.

Lake and archive lie in folders or in object stores, in any combination. An archive belongs to one lake (`ownership`). A
file that another one replaces is kept in the archive's `.superseded`.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from champion import contracts
from champion.contracts import Contract
from champion.errors import LakeError
from champion.files import aside, commit, sha256
from champion.lake import data, layout, manifest as manifests, ownership, partitions
from champion.lake.retention import Unit, files_now, units
from champion.lake.store import Lake
from champion.objects import ObjectPath


def copy(source: Lake, target: Lake, unit: Unit, storage_class: str | None = None) -> None:
    """Copy a partition or a sealed year, as it is now, to the same place in `target`, and prove the copy.

    The plan may be hours old: what was written again since is copied as it is now, what is gone is not copied.
    `storage_class` is that of the data files in an object store; manifests are read often and get the store's default.

    Raises:
        LakeError: a file of `source` is not what its manifest says, or the copy is not what the file is.
    """
    contract = contracts.load(unit.name)
    with layout.locked(target.root, contract):
        if not unit.manifest.exists():
            return
        committed = sha256(unit.manifest)
        for file, digest in files_now(unit.manifest).items():
            to = _place(file, digest, source, target)
            _copy_file(file, to, digest, target, data.mode(contract), storage_class)
        to = target.root / unit.manifest.relative_to(source.root)
        _copy_file(unit.manifest, to, committed, target, data.MANIFEST_MODE)
        if unit.is_sealed:
            _retire_days(source, target, unit)


def require_archived(lake: Lake, archive: Lake, unit: Unit) -> None:
    """Do nothing where the archive holds just what there is now, hash for hash. The caller holds the lake's lock.

    Raises:
        LakeError: it does not.
    """
    wanted = {**files_now(unit.manifest), unit.manifest: sha256(unit.manifest)}
    for file, digest in wanted.items():
        to = _place(file, digest, lake, archive)
        if not _holds(to, file, digest):
            raise LakeError(f"{to} is not the archived copy of {file}; nothing of it was removed, run retain again")


def remove(lake: Lake, found: Sequence[Unit], archive: Lake | None) -> None:
    """Retire partitions, after proving that `archive`, if given, holds them; `sweep` removes their files.

    Raises:
        LakeError: the archive is not of this lake, or does not hold one of them; that one and those after it stay.
    """
    if archive is not None:
        ownership.require_own(lake, archive)
    for unit in found:
        with layout.locked(lake.root, contracts.load(unit.name)):
            if not unit.manifest.exists():
                continue  # somebody else was faster
            if archive is not None:
                require_archived(lake, archive, unit)
            partitions.retire(unit.manifest)


def restore(lake: Lake, archive: Lake, name: str, start: date, end: date) -> list[date]:
    """Bring archived sessions from `start` to `end` back, and return them; what the lake has is left as it is.

    A sealed year comes back as a whole.

    Raises:
        LakeError: the archive is damaged, or not of this lake.
    """
    ownership.require_own(lake, archive)
    back: set[date] = set()
    have = set(_manifests(lake, name))
    for unit in units(archive, name):
        wanted = [session for session in unit.sessions if start <= session <= end]
        if wanted and unit.manifest.relative_to(archive.root) not in have:
            copy(archive, lake, unit)
            back.update(unit.sessions)
    return sorted(back)


def _manifests(lake: Lake, name: str) -> list[Path]:
    return [unit.manifest.relative_to(lake.root) for unit in units(lake, name)]


def _place(file: Path, digest: str, source: Lake, target: Lake) -> Path:
    """Return the place of a file in another lake: in an object store, a part's name also says its content."""
    suffix = f"-{digest[: layout.DIGITS]}"
    plain = file.with_name(f"{file.stem.removesuffix(suffix)}{file.suffix}")
    return layout.part_file(target.root / plain.relative_to(source.root), digest)


def _holds(target: Path, source: Path, digest: str) -> bool:
    """Tell whether `target` is there and is what `source` is.

    A store's tag of an object that came in one request is its MD5. It serves as proof where it is that, because objects
    of some storage classes cannot be read without being restored first.
    """
    if not target.is_file():
        return False
    if isinstance(target, ObjectPath) and target.stat().etag.strip('"') == _md5(source):
        return True
    return sha256(target) == digest


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _copy_file(
    source: Path, target: Path, digest: str, lake: Lake, mode: int, storage_class: str | None = None
) -> None:
    if _holds(target, source, digest):
        return
    with aside(target, shared=True) as temporary:
        with source.open("rb") as origin, temporary.open("wb") as copied:
            shutil.copyfileobj(origin, copied)
        temporary.chmod(mode)
        if (found := sha256(temporary)) != digest:
            raise LakeError(
                f"copying {source}: its SHA-256 is {found[:12]}, not {digest[:12]} as committed; nothing was removed. "
                "It is damaged, or was just written again: run `champion lake verify`, then this once more"
            )
        if target.is_file():
            ownership.set_aside(lake, target)
        if isinstance(target, ObjectPath):
            target.put(temporary, storage_class)
            if not _holds(target, temporary, digest):
                raise LakeError(f"{target}: the object store does not hold what was put there; run it again")
        else:
            commit(temporary, target)


def _retire_days(source: Lake, target: Lake, unit: Unit) -> None:
    """Retire the day partitions of a sealed year that were copied to `target` before the year was sealed.

    They would win over the sealed rows. Those that the source has too stay, as do those with several revisions.
    """
    contract = contracts.load(unit.name)
    sealed = partitions.read_sealed(unit.manifest)
    for session, kept in (sealed.sessions if sealed else {}).items():
        folder = _folder(contract, unit.manifest, session)
        there = target.root / folder / layout.SUCCESS
        if not there.exists() or (source.root / folder / layout.SUCCESS).exists():
            continue
        if not layout.is_append_only(contract) or manifests.read(there) == kept:
            partitions.retire(there)


def _folder(contract: Contract, manifest: Path, session: date) -> Path:
    name = manifest.parent.name
    group = name.partition("=")[2] if name.startswith("feature_group=") else None
    return layout.partition_folder(Path(), contract, session, group)
