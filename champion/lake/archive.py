"""Copying partitions between a lake and its archive, a lake of the same layout, and removing what is archived.

A copy is data first, manifest last, each in one step and read back; a crash leaves the target without the partition or
with it, and copying again goes on. Nothing is removed that the archive does not hold, hash for hash, at that moment.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from champion import contracts
from champion.contracts import Contract
from champion.errors import LakeError
from champion.files import aside, commit, sha256
from champion.lake import layout, manifest as manifests, partitions
from champion.lake.retention import Unit, units
from champion.lake.store import Lake
from champion.objects import ObjectPath


def copy(source: Lake, target: Lake, unit: Unit) -> None:
    """Copy a partition or a sealed year to the same place in `target`, and prove the copy.

    Raises:
        LakeError: a file of `source` is not what its manifest says, or the copy is not what the file is.
    """
    _require_folders(source, target)
    with layout.locked(target.root, contracts.load(unit.name)):
        for file, digest in unit.files.items():
            _copy_file(file, target.root / file.relative_to(source.root), digest)
        to = target.root / unit.manifest.relative_to(source.root)
        _copy_file(unit.manifest, to, sha256(unit.manifest))
        if unit.is_sealed:
            _retire_days(source, target, unit)


def require_archived(lake: Lake, archive: Lake, unit: Unit) -> None:
    """Do nothing where the archive holds just this, hash for hash.

    Raises:
        LakeError: it does not.
    """
    wanted = {**unit.files, unit.manifest: sha256(unit.manifest)}
    for file, digest in wanted.items():
        to = archive.root / file.relative_to(lake.root)
        if not to.exists() or sha256(to) != digest:
            raise LakeError(f"{to} is not the archived copy of {file}; nothing of it was removed, run retain again")


def remove(lake: Lake, found: Sequence[Unit], archive: Lake | None) -> None:
    """Retire partitions, after proving that `archive`, if given, holds them; `sweep` removes their files.

    Raises:
        LakeError: the archive does not hold one of them; that one and those after it stay.
    """
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
        LakeError: the archive is damaged.
    """
    _require_folders(lake, archive)
    back: set[date] = set()
    have = set(_manifests(lake, name))
    for unit in units(archive, name):
        wanted = [session for session in unit.sessions if start <= session <= end]
        if wanted and unit.manifest.relative_to(archive.root) not in have:
            copy(archive, lake, unit)
            back.update(unit.sessions)
    return sorted(back)


def _require_folders(*lakes: Lake) -> None:
    for lake in lakes:
        if isinstance(lake.root, ObjectPath):
            raise LakeError(
                f"{lake.root}: partitions are archived between folders only; in an object store, have a lifecycle rule "
                "of its own move old objects to cheaper storage, and leave CHAMPION_LAKE_ARCHIVE empty"
            )


def _manifests(lake: Lake, name: str) -> list[Path]:
    return [unit.manifest.relative_to(lake.root) for unit in units(lake, name)]


def _copy_file(source: Path, target: Path, digest: str) -> None:
    if target.exists() and sha256(target) == digest:
        return
    with aside(target, shared=True) as temporary:
        shutil.copyfile(source, temporary)
        shutil.copymode(source, temporary)
        if (found := sha256(temporary)) != digest:
            raise LakeError(
                f"copying {source}: its SHA-256 is {found[:12]}, not {digest[:12]} as committed; nothing was removed, "
                "run `champion lake verify`"
            )
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
