"""Which datasets were ever written to a lake, so that one that lost all of its sessions is noticed.

A layer that was deleted leaves no trace in itself. So the lake keeps one empty file for each dataset that was written,
`.datasets/<name>`. A lake of an earlier version gets the files for all datasets that it holds with its next write.
A lake in an object store has none.
"""

from __future__ import annotations

from pathlib import Path

from champion import contracts
from champion.lake import backend, layout, partitions

_COMPLETE = ".complete"  # the datasets that were there before the first mark have theirs


def note(root: Path, name: str) -> None:
    """Keep in mind that a dataset was written to this lake."""
    folder = root / layout.INVENTORY
    if backend.of(root).is_remote or (folder / name).exists():
        return
    if not (folder / _COMPLETE).exists():
        for held in contracts.names():
            if _is_held(root, held):
                _mark(folder, held)
        _mark(folder, _COMPLETE)
    _mark(folder, name)


def emptied(root: Path) -> list[str]:
    """Return the datasets that were written to this lake and have no session any more, in alphabetical order."""
    return [name for name in contracts.names() if is_emptied(root, name)]


def is_emptied(root: Path, name: str) -> bool:
    """Tell whether a dataset was written to this lake and has no session any more."""
    if backend.of(root).is_remote or not (root / layout.INVENTORY / name).exists():
        return False
    return not _is_held(root, name)


def _is_held(root: Path, name: str) -> bool:
    contract = contracts.load(name)
    return any(partitions.sessions(root, contract, group) for group in layout.groups(contract))


def _mark(folder: Path, name: str) -> None:
    backend.write_bytes(folder / name, b"")
