"""Record which lake an archive belongs to: an archive accepts the partitions of one lake only.

A lake gets an id when it first archives. The archive stores that id and the lake's path or URI. Another lake is
refused, also a copy while the original exists: two lakes have different files under the same name.
"""

import json
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from champion.base import object_path
from champion.base.atomic_files import sha256
from champion.base.strict_json import parse_json
from champion.errors import LakeError
from champion.lake import backend, layout, manifest as manifests
from champion.lake.partitions import Unit
from champion.lake.store import Lake


@dataclass(frozen=True, slots=True)
class Owner:
    """The id and the path or URI of the lake that owns an archive."""

    lake: str
    place: str


def owner(archive: Lake) -> Owner | None:
    """Return the lake that owns an archive; None if no lake has claimed it.

    Raises:
        LakeError: the owner file is damaged.
    """
    path = archive.root / layout.OWNER
    try:
        return parse_json(Owner, path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LakeError(
            f"{path}: the owner of the archive cannot be read ({error}); check that the archive belongs to this lake, "
            "then run `champion lake adopt` to replace the file"
        ) from error


def require_own(lake: Lake, archive: Lake) -> Owner | None:
    """Return the owner if it is this lake, or None if the archive has no owner yet.

    Raises:
        LakeError: the owner is another lake, or the lake that this one was copied from.
    """
    found = owner(archive)
    if found is None:
        return None
    other_folder = "Name another folder in CHAMPION_LAKE_ARCHIVE"
    advice = f"{other_folder}; or, if that lake is lost and this one takes its place, run `champion lake adopt`"
    if found.lake != _identity(lake):
        raise LakeError(f"the archive {archive.root} belongs to another lake, {found.place}. {advice}")
    if found.place != str(lake.root) and _is_present(found):
        raise LakeError(
            f"the archive {archive.root} belongs to the lake {found.place}, of which {lake.root} is a copy. {advice}"
        )
    return found


def claim(lake: Lake, archive: Lake, units: Iterable[Unit]) -> None:
    """Record that the archive belongs to this lake, which is about to archive `units`.

    Raises:
        LakeError: as `require_own`; or the archive has no owner and holds other data in the place of a unit.
    """
    found = require_own(lake, archive)
    if found is None:
        for unit in units:
            _require_successor(lake, archive, unit)
        if not backend.of(archive.root).create(archive.root / layout.OWNER, _content(lake)):
            require_own(lake, archive)  # another lake was faster
    elif found.place != str(lake.root):
        adopt(lake, archive)


def adopt(lake: Lake, archive: Lake) -> str:
    """Make this lake the owner of the archive, even if another was, and return the lake's path. No data changes."""
    backend.write_bytes(archive.root / layout.OWNER, _content(lake))
    return str(lake.root)


def keep_superseded(archive: Lake, file: Path) -> None:
    """Copy a file of an archive to `.superseded` before it is replaced; no archived data is lost."""
    relative = file.relative_to(archive.root)
    kept = archive.root / layout.SUPERSEDED / relative.with_name(f"{sha256(file)[:16]}-{file.name}")
    if kept.is_file():
        return
    with file.open("rb") as original, backend.replacing(kept) as temporary, temporary.open("wb") as copied:
        shutil.copyfileobj(original, copied)


def _content(lake: Lake) -> bytes:
    """Return the owner file of an archive of this lake; a lake without an id gets one."""
    if _identity(lake) is None:
        backend.of(lake.root).create(lake.root / layout.IDENTITY, uuid.uuid4().hex.encode())
    return json.dumps(asdict(Owner(lake=str(_identity(lake)), place=str(lake.root)))).encode()


def _identity(lake: Lake) -> str | None:
    try:
        return (lake.root / layout.IDENTITY).read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return None


def _is_present(found: Owner) -> bool:
    """Whether the lake that the archive names is still in its place; False if that place cannot be reached."""
    is_stored = found.place.startswith("s3://")
    root = cast("Path", object_path.path(found.place)) if is_stored else Path(found.place)
    try:
        return _identity(Lake(root)) == found.lake
    except LakeError:
        return False


def _require_successor(lake: Lake, archive: Lake, unit: Unit) -> None:
    """Raise LakeError if an archive without an owner holds, in place of the unit, data that is not from this lake."""
    archived = archive.root / unit.manifest.relative_to(lake.root)
    if not archived.is_file() or archived.read_bytes() == unit.manifest.read_bytes():
        return
    if not unit.is_sealed:  # a raw partition only gains revisions
        old, new = manifests.read(archived), manifests.read(unit.manifest)
        if old and new and [p.sha256 for p in new.parts[: len(old.parts)]] == [p.sha256 for p in old.parts]:
            return
    raise LakeError(
        f"{archived.parent} holds other data than {unit.manifest.parent}: the archive may belong to another lake. "
        "Nothing was archived. Name another folder in CHAMPION_LAKE_ARCHIVE; or, once you have checked that it belongs "
        "to this lake and is outdated, run `champion lake adopt`"
    )
