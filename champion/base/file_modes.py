"""Who may read what Champion writes: its owner alone, unless a file says otherwise, whatever the umask of the moment.

Commands and the processes they start take away all rights of group and others from what they make (`restrict`). The
lake says otherwise: it sets its modes outright, for the group (docs/governance.md). Folders that hold logins, keys and
databases are closed outright as well (`private_folder`), so that no mode of a file in them matters.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from champion.base.atomic_files import make_folder

PRIVATE_FILE = 0o600
"""The mode of a file that nobody but its owner may use."""
_PRIVATE, _HOME = 0o700, 0o750
_OTHERS, _WRITE = 0o077, 0o022  # of a mode: what the group and everybody may
SECRET_FOLDERS = ("jupyter", "mlflow", "prefect", "services")
"""Folders of a workspace that hold logins, keys, databases of servers, or what servers say."""
_persons: list[int] = []  # the umask that the process was started with, once it is restricted


def restrict() -> None:
    """Have this process, and all it starts, make files and folders that nobody but their owner can use."""
    before = os.umask(_OTHERS)
    os.umask(before | _OTHERS)
    if not _persons:
        _persons.append(before)


@contextmanager
def persons_umask() -> Iterator[None]:
    """Write files that a person asked for by name with that person's own umask; for a process with one thread."""
    before = os.umask(_OTHERS)
    os.umask(_persons[0] if _persons else before)
    try:
        yield
    finally:
        os.umask(before)


def restore_umask() -> None:
    """Set the umask that the process was started with: what it becomes is the person's own tool."""
    if _persons:
        os.umask(_persons.pop())


def workspace_folder(home: Path) -> Path:
    """Return the folder of a workspace, made where it is missing: its group may enter and nobody else, as of the lake.

    So it is with those above it that are missing. One that exists keeps its mode.
    """
    if not home.is_dir():
        workspace_folder(home.parent)
        make_folder(home)
        home.chmod(_HOME)
    return home


def private_folder(folder: Path) -> Path:
    """Return a folder of a workspace that its owner alone can enter; one that others could enter is closed to them.

    The folder of another account is left as it is: what follows fails, or its owner shares it on purpose.
    """
    workspace_folder(folder.parent)
    make_folder(folder)
    found = folder.stat()
    if found.st_mode & _OTHERS and found.st_uid == os.geteuid():
        folder.chmod(_PRIVATE)
    return folder


def writable_by_others(home: Path) -> list[Path]:
    """Return which of a workspace and its first folders other accounts may write in."""
    folders = [home, *(path for path in sorted(home.iterdir()) if path.is_dir() and not path.is_symlink())]
    return [folder for folder in folders if folder.stat().st_mode & _WRITE]


def readable_secrets(home: Path) -> list[Path]:
    """Return which secret folders of a workspace other accounts may enter: of an earlier version, until their next use.

    A folder closed by the one above is closed.
    """
    if not home.stat().st_mode & _OTHERS:
        return []
    folders = [home / name for name in SECRET_FOLDERS]
    return [folder for folder in folders if folder.is_dir() and folder.stat().st_mode & _OTHERS]
