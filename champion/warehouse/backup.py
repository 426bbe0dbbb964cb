"""Backup and restore: of the embedded engine a copy of a snapshot, of a server its own BACKUP and RESTORE.

A copy is a folder: `warehouse/`, the engine's files as of the last commit, and `BACKUP.json`, each file's size and
SHA-256, written last. A restore proves every file first, and replaces the warehouse in one step: killed in between, the
warehouse is what it was.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from champion.base import clock
from champion.base.atomic_files import sha256, write_bytes
from champion.base.counting import quantity
from champion.base.strict_json import parse_json
from champion.errors import WarehouseError
from champion.warehouse.engine import embedded, snapshot
from champion.warehouse.engine.client import DATABASE, WAIT, embedded_path, refusals, writer

if TYPE_CHECKING:
    from champion.settings import Settings

_MANIFEST, _DATA = "BACKUP.json", "warehouse"
_DESTINATION = re.compile(r"(Disk|File|S3|AzureBlobStorage)\(\s*'[^'\\]*'(\s*,\s*'[^'\\]*')*\s*\)")


@dataclass(frozen=True, slots=True)
class Backup:
    """Where a backup lies, and how much it holds; a server does not tell of files."""

    place: str
    files: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    """What BACKUP.json says: of each file its size and SHA-256."""

    made_at: str
    files: dict[str, tuple[int, str]]


def backup(settings: Settings, place: str) -> Backup:
    """Back the warehouse up as last committed, while readers read and writers write; return what was made.

    `place` is a folder that does not exist yet; for a server what its BACKUP takes, as `Disk('backups', 'monday')`.

    Raises:
        WarehouseError: there is nothing to back up, the folder exists, or the server refused.
    """
    path = embedded_path(settings)
    if path is None:
        return _on_server(settings, "backup", "to", place)
    target = Path(place).absolute()
    if target.exists():
        raise WarehouseError(f"backing up to {target}: it exists already; name a new folder")
    with snapshot.private(path, WAIT) as copy:
        if not (copy.folder / "metadata" / f"{DATABASE}.sql").exists():
            raise WarehouseError(f"the warehouse {path} holds nothing yet; there is nothing to back up")
        shutil.copytree(copy.folder, target / _DATA, symlinks=True)
    files = _files(target / _DATA)
    manifest = {"made_at": clock.now().isoformat(), "files": files}
    write_bytes(target / _MANIFEST, json.dumps(manifest, indent=1).encode())
    return Backup(str(target), len(files), sum(size for size, _ in files.values()))


def restore(settings: Settings, place: str) -> Backup:
    """Replace the warehouse by a backup and return what came back.

    Raises:
        WarehouseError: there is no whole backup at `place`, somebody else writes the warehouse, or the server refused:
            it restores into tables that are empty or do not exist.
    """
    path = embedded_path(settings)
    if path is None:
        return _on_server(settings, "restore", "from", place)
    source = Path(place).absolute()
    files = _proved(source)
    with embedded.emptied(path, WAIT):
        shutil.copytree(source / _DATA, path, symlinks=True)
    return Backup(str(source), len(files), sum(size for size, _ in files.values()))


def _proved(source: Path) -> dict[str, tuple[int, str]]:
    try:
        wanted = parse_json(_Held, (source / _MANIFEST).read_bytes()).files
    except (OSError, ValueError) as error:
        raise WarehouseError(f"{source} is no whole backup: {_MANIFEST} is missing or damaged ({error})") from error
    found = _files(source / _DATA)
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        raise WarehouseError(
            f"the backup {source} is damaged: {quantity(len(wrong), 'file is', 'files are')} missing or "
            f"changed, as {wrong[0]}; nothing was restored, take another backup"
        )
    return wanted


def _files(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_size, sha256(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def _on_server(settings: Settings, verb: str, preposition: str, place: str) -> Backup:
    if not _DESTINATION.fullmatch(place):
        raise WarehouseError(
            f"{verb} {preposition} {place!r}: a server takes Disk(...), File(...), S3(...) or AzureBlobStorage(...), "
            "as Disk('backups', 'monday'); its configuration says which are allowed"
        )
    with writer(settings) as client, refusals(f"{verb} {preposition} {place}"):
        client.command(f"{verb} database {DATABASE} {preposition} {place}")
    return Backup(place)
