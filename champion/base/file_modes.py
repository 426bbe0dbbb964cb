"""Set who may read Champion's files: only the owner by default, independent of the umask.

Commands and the processes they start remove all rights of group and others from new files (`restrict`). The lake sets
its modes explicitly, for the group (docs/governance.md). Folders with logins, keys and databases are closed explicitly
(`private_folder`), so the modes of files in them do not matter.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from champion.base.atomic_files import make_folder

PRIVATE_FILE = 0o600
"""Mode of a file that only its owner may read and write."""
_OTHERS = 0o077  # bits of a mode for group and others
SECRET_FOLDERS = ("jupyter", "mlflow", "prefect", "services")
"""Folders of a workspace with logins, keys, databases and logs of servers."""
_original_umask: list[int] = []  # set by `restrict`


def restrict() -> None:
    """Give files and folders that this process and its children create to their owner only."""
    before = os.umask(_OTHERS)
    os.umask(before | _OTHERS)
    if not _original_umask:
        _original_umask.append(before)


@contextmanager
def user_umask() -> Iterator[None]:
    """Write files that a user asked for by name with the user's own umask. For single-threaded processes only."""
    before = os.umask(_OTHERS)
    os.umask(_original_umask[0] if _original_umask else before)
    try:
        yield
    finally:
        os.umask(before)


def restore_umask() -> None:
    """Restore the original umask, before this process is replaced by the user's tool."""
    if _original_umask:
        os.umask(_original_umask.pop())


def workspace_folder(home: Path) -> Path:
    """Return a workspace's folder, created if missing: its group may enter, others may not, as for the lake.

    Missing parents get the same mode. An existing folder keeps its mode.
    """
    if not home.is_dir():
        workspace_folder(home.parent)
        make_folder(home)
        home.chmod(0o750)
    return home


def private_folder(folder: Path) -> Path:
    """Return a workspace folder that only its owner can enter. Existing rights of others are removed.

    The folder of another account is not changed: later access fails, unless its owner shares it on purpose.
    """
    workspace_folder(folder.parent)
    make_folder(folder)
    status = folder.stat()
    if status.st_mode & _OTHERS and status.st_uid == os.geteuid():
        folder.chmod(0o700)
    return folder


def writable_by_others(home: Path) -> list[Path]:
    """Return which of a workspace and its top-level folders other accounts may write in."""
    folders = [home, *(path for path in sorted(home.iterdir()) if path.is_dir() and not path.is_symlink())]
    return [folder for folder in folders if folder.stat().st_mode & 0o022]


def readable_secrets(home: Path) -> list[Path]:
    """Return the secret folders of a workspace that other accounts may enter, as earlier versions created them.

    Nothing can be entered below a closed workspace folder.
    """
    if not home.stat().st_mode & _OTHERS:
        return []
    folders = [home / name for name in SECRET_FOLDERS]
    return [folder for folder in folders if folder.is_dir() and folder.stat().st_mode & _OTHERS]
