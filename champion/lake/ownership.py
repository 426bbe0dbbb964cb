"""Which lake an archive belongs to: an archive takes the partitions of one lake only.

A lake gets an id when it first archives, and the archive keeps that id, with the place of the lake. Another lake, also
a copy that stands beside the original, is refused: two lakes have different files of the same name.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from champion import objects
from champion.errors import LakeError
from champion.files import aside, flush, replacing, sha256, write_bytes
from champion.lake import data, layout, manifest as manifests
from champion.lake.manifest import Manifest
from champion.lake.retention import Unit
from champion.lake.store import Lake
from champion.objects import ObjectPath
from champion.parsed import parsed


@dataclass(frozen=True, slots=True)
class Owner:
    """The id and the place of the lake that an archive is of."""

    lake: str
    place: str


def owner(archive: Lake) -> Owner | None:
    """Return which lake an archive is of; None where no lake has claimed it.

    Raises:
        LakeError: the file that says so is damaged.
    """
    path = archive.root / layout.OWNER
    try:
        return parsed(Owner, path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LakeError(
            f"{path}: it does not say which lake this archive is of ({error}); `champion lake adopt` replaces it, "
            "once you have checked that the archive is of this lake"
        ) from error


def require_own(lake: Lake, archive: Lake) -> Owner | None:
    """Return the owner of an archive that is of this lake, None where it is of none yet.

    Raises:
        LakeError: it is of another lake, or of the lake that this one was copied from.
    """
    found = owner(archive)
    if found is None:
        return None
    advice = (
        "Name another folder in CHAMPION_LAKE_ARCHIVE; or, if that lake is lost and this one takes its place, run "
        "`champion lake adopt`"
    )
    if found.lake != _identity(lake):
        raise LakeError(f"the archive {archive.root} is of another lake, {found.place}. {advice}")
    if found.place != str(lake.root) and _is_there(found):
        raise LakeError(
            f"the archive {archive.root} is of the lake {found.place}, of which {lake.root} is a copy. {advice}"
        )
    return found


def claim(lake: Lake, archive: Lake, units: Iterable[Unit]) -> None:
    """Write down that the archive is of this lake, which is about to archive `units`.

    Raises:
        LakeError: as `require_own`; or the archive was never claimed and holds other data in the place of a unit.
    """
    found = require_own(lake, archive)
    if found is None:
        for unit in units:
            _require_successor(lake, archive, unit)
        if not _create(archive.root / layout.OWNER, _content(lake)):  # another lake was faster
            require_own(lake, archive)
    elif found.place != str(lake.root):
        adopt(lake, archive)


def adopt(lake: Lake, archive: Lake) -> str:
    """Make the archive one of this lake, whichever it was of, and return the lake's place. No data is touched."""
    write_bytes(archive.root / layout.OWNER, _content(lake), shared=True)
    return str(lake.root)


def _content(lake: Lake) -> bytes:
    """Return what an archive of this lake says of its owner; a lake without an id gets one."""
    if _identity(lake) is None:
        _create(lake.root / layout.IDENTITY, uuid.uuid4().hex.encode())
    return json.dumps(asdict(Owner(lake=str(_identity(lake)), place=str(lake.root)))).encode()


def _create(path: Path, content: bytes) -> bool:
    """Write a file where there is none yet, whole; return False where there is one."""
    if isinstance(path, ObjectPath):
        return path.create(content) is not None
    with aside(path.with_name(f"{path.name}.{uuid.uuid4().hex}"), shared=True) as temporary:  # threads claim too
        temporary.write_bytes(content)
        temporary.chmod(data.MANIFEST_MODE)
        flush(temporary)
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            return False
        flush(path.parent)
    return True


def _identity(lake: Lake) -> str | None:
    try:
        return (lake.root / layout.IDENTITY).read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return None


def _is_there(found: Owner) -> bool:
    """Tell whether the lake that the archive names still lies in its place, as far as this machine sees."""
    root = objects.path(found.place) if found.place.startswith("s3://") else Path(found.place)
    try:
        return _identity(Lake(root)) == found.lake
    except LakeError:  # a store that is out of reach
        return False


def _require_successor(lake: Lake, archive: Lake, unit: Unit) -> None:
    """Refuse a unit in whose place an archive without an owner holds what did not come from this lake."""
    there = archive.root / unit.manifest.relative_to(lake.root)
    if not there.is_file() or there.read_bytes() == unit.manifest.read_bytes():
        return
    old, new = (manifests.read(path) if not unit.is_sealed else None for path in (there, unit.manifest))
    if old and new and _continues(old, new):
        return
    raise LakeError(
        f"{there.parent} holds other data than {unit.manifest.parent}: the archive may be of another lake. Nothing was "
        "archived. Name another folder in CHAMPION_LAKE_ARCHIVE; or, once you have checked that it is of this lake and "
        "outdated, run `champion lake adopt`"
    )


def _continues(old: Manifest, new: Manifest) -> bool:
    """Tell whether `new` only adds revisions, as raw partitions do."""
    return [part.sha256 for part in new.parts[: len(old.parts)]] == [part.sha256 for part in old.parts]


def set_aside(archive: Lake, file: Path) -> None:
    """Keep a file of an archive whose place another one is about to take; nothing that was archived is lost."""
    digest = sha256(file)
    kept = archive.root / layout.SUPERSEDED / file.relative_to(archive.root).parent / f"{digest[:16]}-{file.name}"
    if kept.is_file():
        return
    if isinstance(file, ObjectPath):  # a manifest: data files say their content in their names
        kept.write_bytes(file.read_bytes())
        return
    with replacing(kept, shared=True) as temporary:
        shutil.copyfile(file, temporary)
