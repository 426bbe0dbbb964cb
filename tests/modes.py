"""Modes of a whole workspace: what a run of everything leaves, whatever the umask it ran under."""

from __future__ import annotations

import stat
from pathlib import Path

SECRET = frozenset({"jupyter", "mlflow", "prefect", "services"})  # as docs/security.md says
_OWN = frozenset({".locks", ".building"})
_GROUP, _OTHERS, _WRITES = 0o070, 0o007, 0o022
_LAKE_FILE = 0o660  # as specified for normalized data and features; their folders are the owner's to write


def too_open(home: Path) -> list[str]:
    """Return each file and folder of a workspace that others may use, or its group where it should not.

    Nobody but owner and group may do anything anywhere. The group may write nothing, and read nothing in the folders
    that hold secrets.
    """
    found = []
    for path in (home, *sorted(home.rglob("*"))):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            continue
        mode, parts = stat.S_IMODE(path.lstat().st_mode), path.relative_to(home).parts
        closed = bool(parts) and parts[0] in SECRET
        in_lake = bool(parts) and parts[0] == "lake" and path.suffix == ".parquet" and mode == _LAKE_FILE
        wrong = mode & _OTHERS or (closed and mode & _GROUP) or (mode & _WRITES and not in_lake)
        if wrong:
            found.append(f"{mode:o} {path.relative_to(home)}")
    return found


def too_closed(home: Path) -> list[str]:
    """Return each file and folder of a workspace's lake that the group may not read, though governance.md says so.

    The lake's locks, and the files that it is about to commit, are the owner's.
    """
    found = []
    for path in (home, *sorted((home / "lake").rglob("*"))):
        folder, mode = path.is_dir(), stat.S_IMODE(path.lstat().st_mode)
        needed = 0o050 if folder else 0o040
        if not _OWN & {*path.relative_to(home).parts} and mode & needed != needed:
            found.append(f"{mode:o} {path.relative_to(home)}")
    return found
