"""Where the promotion ledger's lines are kept: in a file of the workspace, or in the registry that several share.

A store in SQLite is of one workspace, and so is the file beside it. A store behind a server, PostgreSQL or MLflow's
own, is of many machines: there each line is a version of a registered model of its own, since that is what MLflow
numbers in one transaction. A line is added under the number its writer had read to be the next; if the store gives it
another, somebody else was first and the line does not count, for any reader.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from champion.base import atomic_files
from champion.base.counting import quantity
from champion.base.file_modes import workspace_folder
from champion.errors import ModelError
from champion.tracking import connectivity, registry, store

if TYPE_CHECKING:
    from champion.settings import Settings

_NAME = f"{registry.MODEL}.promotions"
_MODE = 0o644
_LINE, _NUMBER = "champion.line", "champion.number"
_ABOUT = (
    f"The promotion ledger of {registry.MODEL}: no model, but a line a version. `champion models history` reads it."
)


@dataclass(frozen=True, slots=True)
class StoredLines:
    """The lines of a book, oldest first, and the number the next one gets if nobody else adds one meanwhile."""

    lines: tuple[str, ...]
    following: int


class LedgerStorage(Protocol):
    """An append-only list of lines."""

    def held(self) -> StoredLines:
        """Return what it holds."""

    def add(self, line: str, number: int) -> bool:
        """Return whether the line is in the book: False where `number` was taken meanwhile."""

    def set_aside(self, suffix: str) -> str | None:
        """Keep all lines under another name, which is returned, and have none; None where it has none."""


@dataclass(frozen=True, slots=True)
class FileStorage:
    """Lines of a file; who adds to it holds the ledger's lock. A last line without its end never was acknowledged."""

    path: Path

    def held(self) -> StoredLines:
        """Return the whole lines of the file; none where there is no file."""
        lines = self.path.read_bytes().split(b"\n")[:-1] if self.path.exists() else []
        return StoredLines(tuple(line.decode(errors="replace") for line in lines), len(lines) + 1)

    def add(self, line: str, number: int) -> bool:
        """Return whether the line is on disk; a torn last line, which nobody relied on, is dropped."""
        whole = self.path.read_bytes().split(b"\n")[:-1] if self.path.exists() else []
        if len(whole) + 1 != number:
            return False
        is_new = not self.path.exists()
        workspace_folder(self.path.parent)
        self.path.touch(_MODE)  # nobody else may write it, whatever the umask
        with self.path.open("ab") as stream:
            stream.truncate(sum(len(one) + 1 for one in whole))
            stream.write(line.encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        if is_new:
            atomic_files.flush(self.path.parent)
        return True

    def set_aside(self, suffix: str) -> str | None:
        """Rename the file; its name ends in `suffix`."""
        if not self.path.exists():
            return None
        kept = self.path.with_name(f"{self.path.name}.{suffix}")
        self.path.rename(kept)
        atomic_files.flush(self.path.parent)
        return str(kept)

    def __str__(self) -> str:
        """Return where it is."""
        return str(self.path)


@dataclass(frozen=True, slots=True)
class RegistryStorage:
    """Lines in the registry of a store that machines share."""

    settings: Settings

    def held(self) -> StoredLines:
        """Return the lines that were added under their own number.

        Raises:
            ServiceError: the store does not answer.
            ModelError: a line was deleted.
        """
        connectivity.require(self.settings)
        client, token = store.prepare(self.settings), None
        found: list[Any] = []
        while True:
            part = client.search_model_versions(f"name='{_NAME}'", order_by=["version_number ASC"], page_token=token)
            found += part
            token = part.token
            if not token:
                break
        numbered = [(int(one.version), one.tags) for one in found]
        if [number for number, _ in numbered] != list(range(1, len(found) + 1)):
            raise ModelError(f"{self}: of {quantity(numbered[-1][0], 'version')} some were deleted; restore a backup")
        lines = [tags.get(_LINE, "") for number, tags in numbered if tags.get(_NUMBER, str(number)) == str(number)]
        return StoredLines(tuple(lines), len(found) + 1)

    def add(self, line: str, number: int) -> bool:
        """Return whether the line got its number."""
        client = store.prepare(self.settings)
        registry.make_sure_of(self.settings, _NAME, _ABOUT)
        made = client.create_model_version(
            _NAME, source="champion:/promotions", tags={_LINE: line, _NUMBER: str(number)}, await_creation_for=0
        )
        return int(made.version) == number

    def set_aside(self, suffix: str) -> str | None:
        """Rename the registered model that holds the lines."""
        client, kept = store.prepare(self.settings), f"{_NAME}.{suffix}"
        if not client.search_registered_models(f"name='{_NAME}'"):
            return None
        client.rename_registered_model(_NAME, kept)
        return kept

    def __str__(self) -> str:
        """Return where it is."""
        return f"{_NAME} in {store.without_password(self.settings.tracking)}"


def of(settings: Settings) -> LedgerStorage:
    """Return the book of a workspace's promotions, where all who share its registry find it."""
    return local(settings) if urlsplit(settings.tracking).scheme == "sqlite" else RegistryStorage(settings)


def local(settings: Settings) -> FileStorage:
    """Return the workspace's own file, whatever its store is."""
    return FileStorage(settings.home / "promotions.jsonl")
