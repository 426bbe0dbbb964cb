"""Store the lines of the promotion ledger, in a file of the workspace or in a registry that several share.

A SQLite store belongs to one workspace, as does the file beside it. A store behind PostgreSQL or MLflow's server is
shared by machines: there each line is a version of a separate registered model, because MLflow numbers versions in one
transaction. A writer adds a line under the next number after the last line that it read. If the store assigns another
number, another writer was first and all readers ignore the line.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from champion.base import atomic_files
from champion.base.counting import quantity
from champion.base.file_modes import workspace_folder
from champion.errors import ModelError
from champion.tracking import connectivity, registry, store

if TYPE_CHECKING:
    from champion.settings import Settings

_NAME = f"{registry.MODEL}.promotions"
_LINE, _NUMBER = "champion.line", "champion.number"
_ABOUT = f"The promotion ledger of {registry.MODEL}: each version is a line. `champion models history` reads it."


@dataclass(frozen=True, slots=True)
class StoredLines:
    """The lines of a ledger, oldest first, and the number of the next line if no other is added meanwhile."""

    lines: tuple[str, ...]
    following: int


@dataclass(frozen=True, slots=True)
class FileStorage:
    """Lines of a file. Writers hold the ledger's lock. An unterminated last line is ignored."""

    path: Path

    def held(self) -> StoredLines:
        """Return the terminated lines of the file; empty if there is no file."""
        lines = self.path.read_bytes().split(b"\n")[:-1] if self.path.exists() else []
        return StoredLines(tuple(line.decode(errors="replace") for line in lines), len(lines) + 1)

    def add(self, line: str, number: int) -> bool:
        """Add a line and flush it to disk; an unterminated last line is removed. Return False for a used number."""
        complete = self.path.read_bytes().split(b"\n")[:-1] if self.path.exists() else []
        if len(complete) + 1 != number:
            return False
        is_new = not self.path.exists()
        workspace_folder(self.path.parent)
        self.path.touch(0o644)  # only the owner may write it, whatever the umask
        with self.path.open("ab") as stream:
            stream.truncate(sum(len(one) + 1 for one in complete))
            stream.write(line.encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        if is_new:
            atomic_files.flush(self.path.parent)
        return True

    def set_aside(self, suffix: str) -> str | None:
        """Rename the file to a name that ends in `suffix`."""
        if not self.path.exists():
            return None
        kept = self.path.with_name(f"{self.path.name}.{suffix}")
        self.path.rename(kept)
        atomic_files.flush(self.path.parent)
        return str(kept)

    def __str__(self) -> str:
        """Return its location."""
        return str(self.path)


@dataclass(frozen=True, slots=True)
class RegistryStorage:
    """Lines in the registry of a store that machines share."""

    settings: Settings

    def held(self) -> StoredLines:
        """Return the lines whose stored number is the number under which they were added.

        Raises:
            ServiceError: the store does not answer.
            ModelError: a line was deleted.
        """
        connectivity.require(self.settings)
        client = store.prepare(self.settings)
        search = partial(client.search_model_versions, f"name='{_NAME}'", order_by=["version_number ASC"])
        versions = list(part := search())
        while part.token:
            versions += (part := search(page_token=part.token))
        numbered = [(int(one.version), one.tags) for one in versions]
        if [number for number, _ in numbered] != list(range(1, len(versions) + 1)):
            raise ModelError(f"{self}: of {quantity(numbered[-1][0], 'version')} some were deleted; restore a backup")
        lines = [tags.get(_LINE, "") for number, tags in numbered if tags.get(_NUMBER, str(number)) == str(number)]
        return StoredLines(tuple(lines), len(versions) + 1)

    def add(self, line: str, number: int) -> bool:
        """Add a line. Return whether it received the number."""
        client = store.prepare(self.settings)
        registry.ensure_model(self.settings, _NAME, _ABOUT)
        added = client.create_model_version(
            _NAME, source="champion:/promotions", tags={_LINE: line, _NUMBER: str(number)}, await_creation_for=0
        )
        return int(added.version) == number

    def set_aside(self, suffix: str) -> str | None:
        """Rename the registered model that holds the lines."""
        client, kept = store.prepare(self.settings), f"{_NAME}.{suffix}"
        if not client.search_registered_models(f"name='{_NAME}'"):
            return None
        client.rename_registered_model(_NAME, kept)
        return kept

    def __str__(self) -> str:
        """Return its location."""
        return f"{_NAME} in {store.without_password(self.settings.tracking)}"


LedgerStorage: TypeAlias = FileStorage | RegistryStorage
"""An append-only list of lines. `add` returns False if the number was used meanwhile; `set_aside` moves all lines to
another name and returns it, None if there are no lines."""


def of(settings: Settings) -> LedgerStorage:
    """Return the storage of a workspace's ledger, the same for all workspaces that share its registry."""
    return local(settings) if store.is_sqlite(settings.tracking) else RegistryStorage(settings)


def local(settings: Settings) -> FileStorage:
    """Return the workspace's ledger file, independent of its store."""
    return FileStorage(settings.home / "promotions.jsonl")
