"""Record which datasets were written to a lake, so that the loss of all sessions of a dataset is detected.

Without this record, a deleted layer would leave no trace. So the lake keeps one empty file per dataset that was
written, `.datasets/<name>`. The first write to a lake of an earlier version adds the files of all datasets that it
holds. A lake in an object store has no such files.
"""

from pathlib import Path

from champion import contracts
from champion.lake import backend, layout, partitions

_COMPLETE = ".complete"  # the datasets of an earlier version have their files


def note(root: Path, name: str) -> None:
    """Record that a dataset was written to this lake."""
    folder = root / layout.INVENTORY
    if backend.of(root).is_remote or (folder / name).exists():
        return
    names = [name]
    if not (folder / _COMPLETE).exists():
        names = [*(held for held in contracts.names() if _has_sessions(root, held)), _COMPLETE, name]
    for each in names:
        backend.write_bytes(folder / each, b"")


def emptied(root: Path) -> list[str]:
    """Return the datasets that were written to this lake and have no sessions left, in alphabetical order."""
    return [name for name in contracts.names() if is_emptied(root, name)]


def is_emptied(root: Path, name: str) -> bool:
    """Return whether a dataset was written to this lake and has no sessions left."""
    written = not backend.of(root).is_remote and (root / layout.INVENTORY / name).exists()
    return written and not _has_sessions(root, name)


def _has_sessions(root: Path, name: str) -> bool:
    contract = contracts.load(name)
    return any(partitions.sessions(root, contract, group) for group in layout.groups(contract))
