"""Backup and restore of the warehouse: a copy of a snapshot, or the BACKUP and RESTORE of a server.

A copy is a folder with `warehouse/`, the engine's files as of the last commit, and `BACKUP.json`, the size and SHA-256
of each file, written last. A restore checks every file first and then replaces the warehouse in one step. If it is
killed, the warehouse is unchanged.
"""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from champion.base import clock
from champion.base.atomic_files import sha256, write_bytes
from champion.base.counting import quantity
from champion.base.strict_json import parse_json
from champion.errors import WarehouseError
from champion.settings import Settings
from champion.warehouse.engine import embedded, snapshot
from champion.warehouse.engine.client import DATABASE, WAIT, embedded_path, refusals, writer

_MANIFEST, _DATA = "BACKUP.json", "warehouse"
_DESTINATION = re.compile(r"(Disk|File|S3|AzureBlobStorage)\(\s*'[^'\\]*'(\s*,\s*'[^'\\]*')*\s*\)")


@dataclass(frozen=True, slots=True)
class Backup:
    """The place of a backup and the number and size of its files, which a server does not report."""

    place: str
    files: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class _Manifest:
    """The content of BACKUP.json: the size and SHA-256 of each file."""

    made_at: str
    files: dict[str, tuple[int, str]]


def backup(settings: Settings, place: str) -> Backup:
    """Back up the last committed state of the warehouse; readers and writers are not interrupted.

    `place` is a folder that does not exist yet, or the destination of a server's BACKUP, such as
    `Disk('backups', 'monday')`.

    Raises:
        WarehouseError: the warehouse is empty, the folder exists, or the server refused.
    """
    path = embedded_path(settings)
    if path is None:
        return _on_server(settings, "backup", "to", place)
    target = Path(place).absolute()
    if target.exists():
        raise WarehouseError(f"backing up to {target}: it exists already; name a new folder")
    with snapshot.copy_for_reader(path, WAIT) as copy:
        if not (copy.folder / "metadata" / f"{DATABASE}.sql").exists():
            raise WarehouseError(f"the warehouse {path} is empty; there is nothing to back up")
        shutil.copytree(copy.folder, target / _DATA, symlinks=True)
    files = _files(target / _DATA)
    manifest = {"made_at": clock.now().isoformat(), "files": files}
    write_bytes(target / _MANIFEST, json.dumps(manifest, indent=1).encode())
    return Backup(str(target), len(files), sum(size for size, _ in files.values()))


def restore(settings: Settings, place: str) -> Backup:
    """Replace the warehouse by a backup and return its size.

    Raises:
        WarehouseError: `place` holds no complete backup, another process writes the warehouse, or the server refused:
            a server restores only into tables that are empty or do not exist.
    """
    path = embedded_path(settings)
    if path is None:
        return _on_server(settings, "restore", "from", place)
    source = Path(place).absolute()
    files = _verified_files(source)
    with embedded.replace_folder(path, WAIT):
        shutil.copytree(source / _DATA, path, symlinks=True)
    return Backup(str(source), len(files), sum(size for size, _ in files.values()))


def _verified_files(source: Path) -> dict[str, tuple[int, str]]:
    try:
        wanted = parse_json(_Manifest, (source / _MANIFEST).read_bytes()).files
    except (OSError, ValueError) as error:
        raise WarehouseError(
            f"{source} is not a complete backup: {_MANIFEST} is missing or damaged ({error})"
        ) from error
    found = _files(source / _DATA)
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        raise WarehouseError(
            f"the backup {source} is damaged: {quantity(len(wrong), 'file is', 'files are')} missing or "
            f"changed, such as {wrong[0]}; nothing was restored, use another backup"
        )
    return wanted


def _files(folder: Path) -> dict[str, tuple[int, str]]:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    return {str(path.relative_to(folder)): (path.stat().st_size, sha256(path)) for path in paths}


def _on_server(settings: Settings, verb: str, preposition: str, place: str) -> Backup:
    if not _DESTINATION.fullmatch(place):
        raise WarehouseError(
            f"{verb} {preposition} {place!r}: a server takes Disk(...), File(...), S3(...) or AzureBlobStorage(...), "
            "as Disk('backups', 'monday'); its configuration lists the allowed ones"
        )
    with writer(settings) as client, refusals(f"{verb} {preposition} {place}"):
        client.command(f"{verb} database {DATABASE} {preposition} {place}")
    return Backup(place)
