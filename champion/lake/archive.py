"""Copy partitions between a lake and its archive, a lake of the same layout, and remove archived partitions.

A copy writes the data files first and the manifest last, each in one step and verified; after a crash the target has
the whole partition or none of it, and copying again continues. A partition is removed only if the archive holds it at
that moment with the same hashes.

Lake and archive are in folders or object stores, in any combination. An archive belongs to one lake (`ownership`). It
keeps replaced files in its folder `.superseded`.
"""

import hashlib
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from champion import contracts
from champion.base.atomic_files import sha256
from champion.errors import LakeError
from champion.lake import backend, layout, manifest as manifests, ownership, partitions
from champion.lake.partitions import Unit
from champion.lake.retention import units
from champion.lake.store import Lake


def copy(source: Lake, target: Lake, unit: Unit, storage_class: str | None = None) -> None:
    """Copy a partition or a sealed year, as it is now, to the same place in `target`, and verify the copy.

    A plan may be hours old: a partition that was written since is copied as it is now; one that was removed is skipped.
    `storage_class` applies to data files in an object store. Manifests are read often and get the store's default.

    Raises:
        LakeError: a file of `source` differs from its manifest, or the copy from the file.
    """
    contract = contracts.load(unit.name)
    with layout.locked(target.root, contract):
        if not unit.manifest.exists():
            return
        committed = sha256(unit.manifest)
        for file, digest in partitions.files_of(unit.manifest).items():
            to = _place(file, digest, source, target)
            _copy_file(file, to, digest, target, partitions.file_mode(contract), storage_class)
        to = target.root / unit.manifest.relative_to(source.root)
        _copy_file(unit.manifest, to, committed, target, backend.MANIFEST_MODE)
        if unit.is_sealed:
            _retire_days(source, target, unit)


def remove(lake: Lake, found: Sequence[Unit], archive: Lake | None) -> None:
    """Retire partitions once `archive`, if given, is verified to hold them; `sweep` removes their files.

    Raises:
        LakeError: the archive belongs to another lake, or lacks a partition; this partition and the following ones
            stay.
    """
    if archive is not None:
        ownership.require_own(lake, archive)
    for unit in found:
        with layout.locked(lake.root, contracts.load(unit.name)):
            if not unit.manifest.exists():
                continue  # another process has retired it
            if archive is not None:
                _require_archived(lake, archive, unit)
            partitions.retire(unit.manifest)


def restore(lake: Lake, archive: Lake, name: str, start: date, end: date) -> list[date]:
    """Copy archived sessions from `start` to `end` back and return them; partitions in the lake stay unchanged.

    A sealed year is restored as a whole.

    Raises:
        LakeError: the archive is damaged, or belongs to another lake.
    """
    ownership.require_own(lake, archive)
    restored: set[date] = set()
    present = {unit.manifest.relative_to(lake.root) for unit in units(lake, name)}
    for unit in units(archive, name):
        wanted = any(start <= session <= end for session in unit.sessions)
        if wanted and unit.manifest.relative_to(archive.root) not in present:
            copy(archive, lake, unit)
            restored.update(unit.sessions)
    return sorted(restored)


def _require_archived(lake: Lake, archive: Lake, unit: Unit) -> None:
    for file, digest in {**partitions.files_of(unit.manifest), unit.manifest: sha256(unit.manifest)}.items():
        copied = _place(file, digest, lake, archive)
        if not _holds(copied, file, digest):
            raise LakeError(f"{copied} is not the archived copy of {file}; nothing of it was removed, run retain again")


def _place(file: Path, digest: str, source: Lake, target: Lake) -> Path:
    """Return the path of a file in another lake: in an object store, a part's name contains its digest."""
    suffix = f"-{digest[: layout.DIGITS]}"
    plain = file.with_name(f"{file.stem.removesuffix(suffix)}{file.suffix}")
    return layout.part_file(target.root / plain.relative_to(source.root), digest)


def _holds(target: Path, source: Path, digest: str) -> bool:
    """Return whether `target` exists and equals `source`.

    The MD5 that a store keeps is sufficient, because objects of some storage classes cannot be read until restored.
    """
    if not target.is_file():
        return False
    if (stored := backend.of(target).md5(target)) is not None:
        with source.open("rb") as stream:
            if stored == hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest():
                return True
    return sha256(target) == digest


def _copy_file(
    source: Path, target: Path, digest: str, lake: Lake, mode: int, storage_class: str | None = None
) -> None:
    if _holds(target, source, digest):
        return
    place = backend.of(target)
    with place.temporary_file(target) as temporary:
        with source.open("rb") as original, temporary.open("wb") as copied:
            shutil.copyfileobj(original, copied)
        temporary.chmod(mode)
        if (found := sha256(temporary)) != digest:
            raise LakeError(
                f"copying {source}: its SHA-256 is {found[:12]}, not {digest[:12]} as committed; nothing was removed. "
                "It is damaged or was just rewritten: run `champion lake verify`, then repeat this command"
            )
        if target.is_file():
            ownership.keep_superseded(lake, target)
        place.commit(temporary, target, storage_class)
        if place.is_remote and not _holds(target, temporary, digest):
            raise LakeError(f"{target}: the object differs from the file that was uploaded; run it again")


def _retire_days(source: Lake, target: Lake, unit: Unit) -> None:
    """Retire the day partitions of a sealed year that were copied to `target` before the year was sealed.

    They would replace the sealed rows. Those that the source also has stay, and those with several revisions.
    """
    contract = contracts.load(unit.name)
    sealed = partitions.read_sealed(unit.manifest)
    _, _, group = unit.manifest.parent.name.partition("feature_group=")
    for session, kept in (sealed.sessions if sealed else {}).items():
        day = layout.partition_folder(Path(), contract, session, group or None) / layout.SUCCESS
        copied = target.root / day
        if not copied.exists() or (source.root / day).exists():
            continue
        if not layout.is_append_only(contract) or manifests.read(copied) == kept:
            partitions.retire(copied)
