"""Store and seal the lines of the ledgers, in a file of the workspace or in a registry that several share.

There is a ledger of promotions and one of trials. A line is JSON with a SHA-256 over itself and the seal of the line
before, so that a changed or removed line is detected.

A SQLite store belongs to one workspace, as does the file beside it. A store behind PostgreSQL or MLflow's server is
shared by machines: there each line is a version of a separate registered model, because MLflow numbers versions in one
transaction. A writer adds a line under the next number after the last line that it read. If the store assigns another
number, another writer was first and all readers ignore the line.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from champion.base import atomic_files
from champion.base.counting import quantity
from champion.base.file_modes import PRIVATE_FILE, workspace_folder
from champion.errors import ModelError
from champion.tracking import connectivity, registry, store

if TYPE_CHECKING:
    from champion.settings import Settings

PROMOTIONS, TRIALS = "promotions", "trials"
"""The ledgers, by the names of their files."""
_LINE, _NUMBER = "champion.line", "champion.number"
_ABOUT = "The {name} ledger of {model}: each version is a line. `champion {command}` reads it."
_COMMANDS = {PROMOTIONS: "models history", TRIALS: "trials"}
_MODES = {PROMOTIONS: 0o644, TRIALS: PRIVATE_FILE}  # only the owner may write a ledger, whatever the umask
Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class StoredLines:
    """The lines of a ledger, oldest first, and the number of the next line if no other is added meanwhile."""

    lines: tuple[str, ...]
    following: int


@dataclass(frozen=True, slots=True)
class FileStorage:
    """Lines of a file. Writers hold the ledger's lock. An unterminated last line is ignored."""

    path: Path
    mode: int = _MODES[PROMOTIONS]

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
        self.path.touch(self.mode)
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
    ledger: str = PROMOTIONS

    @property
    def name(self) -> str:
        """The registered model whose versions are the lines."""
        return f"{registry.MODEL}.{self.ledger}"

    def held(self) -> StoredLines:
        """Return the lines whose stored number is the number under which they were added.

        Raises:
            ServiceError: the store does not answer.
            ModelError: a line was deleted.
        """
        connectivity.require(self.settings)
        client = store.prepare(self.settings)
        search = partial(client.search_model_versions, f"name='{self.name}'", order_by=["version_number ASC"])
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
        about = _ABOUT.format(name=self.ledger.rstrip("s"), model=registry.MODEL, command=_COMMANDS[self.ledger])
        registry.ensure_model(self.settings, self.name, about)
        added = client.create_model_version(
            self.name, source=f"champion:/{self.ledger}", tags={_LINE: line, _NUMBER: str(number)}, await_creation_for=0
        )
        return int(added.version) == number

    def set_aside(self, suffix: str) -> str | None:
        """Rename the registered model that holds the lines."""
        client, kept = store.prepare(self.settings), f"{self.name}.{suffix}"
        if not client.search_registered_models(f"name='{self.name}'"):
            return None
        client.rename_registered_model(self.name, kept)
        return kept

    def __str__(self) -> str:
        """Return its location."""
        return f"{self.name} in {store.without_password(self.settings.tracking)}"


LedgerStorage: TypeAlias = FileStorage | RegistryStorage
"""An append-only list of lines. `add` returns False if the number was used meanwhile; `set_aside` moves all lines to
another name and returns it, None if there are no lines."""


def of(settings: Settings, ledger: str = PROMOTIONS) -> LedgerStorage:
    """Return the storage of a workspace's ledger, the same for all workspaces that share its registry."""
    return local(settings, ledger) if store.is_sqlite(settings.tracking) else RegistryStorage(settings, ledger)


def local(settings: Settings, ledger: str = PROMOTIONS) -> FileStorage:
    """Return the workspace's ledger file, independent of its store."""
    return FileStorage(settings.home / f"{ledger}.jsonl", _MODES[ledger])


def seal(before: str, content: Mapping[str, Any]) -> str:
    """Return the SHA-256 over a line's content and the seal of the line before it."""
    return hashlib.sha256((before + json.dumps(content, sort_keys=True)).encode()).hexdigest()


def seals(held: StoredLines) -> list[str]:
    """Return the seal of each line."""
    return [str(json.loads(line)["seal"]) for line in held.lines]


def add_sealed(storage: LedgerStorage, held: StoredLines, content: Mapping[str, Any]) -> bool:
    """Add a line with this content and its seal after the lines `held`. Return False if another one was added."""
    before = json.loads(held.lines[-1])["seal"] if held.lines else ""
    line = json.dumps({**content, "seal": seal(before, content)}, sort_keys=True, allow_nan=False)
    return storage.add(line, held.following)


def parse_lines(storage: LedgerStorage, held: StoredLines, parse: Callable[[dict[str, Any]], Parsed]) -> list[Parsed]:
    """Return the parsed content of each line, oldest first, after comparing it with its seal.

    Raises:
        ModelError: a line is damaged, or was changed after it was written.
    """
    found, before = list[Parsed](), ""
    for number, line in enumerate(held.lines, start=1):
        try:
            content = json.loads(line)
            sealed, before = content.pop("seal"), seal(before, content)
            found.append(parse(content))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError(f"{storage} line {number} is not a ledger entry ({error}): restore a backup") from error
        if sealed != before:
            raise ModelError(
                f"{storage} line {number} does not match its seal: the ledger was edited; restore a backup"
            )
    return found


def storable(value: Any) -> Any:
    """Return a field as JSON; a number that is not finite, which may be why a model was refused, becomes text."""
    if isinstance(value, Mapping):
        return {str(name): storable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [storable(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value.isoformat() if isinstance(value, date) else value
