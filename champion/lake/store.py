"""Reading and committing partitions.

A commit is: the data file under a temporary name, flushed, renamed, then the manifest likewise. A reader never sees
half a file; a partition without a manifest is not there; a crash at any instant leaves the old partition or the new,
and writing the same again repairs whatever lies between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
from filelock import FileLock

from champion import contracts
from champion.contracts import Contract, storage
from champion.errors import LakeError
from champion.files import replacing, sha256
from champion.lake import layout, manifest as manifests
from champion.lake.manifest import Manifest, Part

_ROW_GROUP = 64 * 1024  # small enough that a symbol is found by its row-group statistics


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that is not what its manifest says."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Lake:
    """The Parquet files under one root. Datasets are named by their contract, as `normalized_equity_ohlc`."""

    root: Path

    def write(
        self, name: str, session: date, frame: pl.DataFrame, inputs: Mapping[str, str], group: str | None = None
    ) -> bool:
        """Commit one partition made from `inputs`; return False where exactly that was already there.

        Raw partitions are append-only: other inputs add a revision beside the old one, and files are read-only.

        Raises:
            ContractError: the frame breaks the contract.
        """
        contract = contracts.load(name)
        folder = layout.partition_folder(self.root, contract, session, group)
        with self._locked(contract):
            before = manifests.read(folder / layout.SUCCESS)
            if self.is_current(name, session, inputs, group):
                return False
            kept = before.parts if before is not None and contract.layer == "raw" else ()
            part = _write_part(folder / layout.part_name(len(kept)), contract, frame, inputs, group)
            manifests.write(folder / layout.SUCCESS, Manifest(contract.label, (*kept, part)))
        return True

    def is_current(self, name: str, session: date, inputs: Mapping[str, str], group: str | None = None) -> bool:
        """Tell whether the partition was made from just these inputs and its file is there, whole by its size."""
        folder = layout.partition_folder(self.root, contracts.load(name), session, group)
        found = manifests.read(folder / layout.SUCCESS)
        if found is None or not found.made_from(inputs):
            return False
        file = folder / found.current.name
        return file.exists() and file.stat().st_size == found.current.bytes

    def manifest(self, name: str, session: date, group: str | None = None) -> Manifest | None:
        """Return the manifest of one partition, or None where it was never committed."""
        folder = layout.partition_folder(self.root, contracts.load(name), session, group)
        return manifests.read(folder / layout.SUCCESS)

    def sessions(self, name: str, start: date | None = None, end: date | None = None) -> list[date]:
        """Return the committed sessions between `start` and `end`, both included, in order."""
        contract = contracts.load(name)
        groups = tuple(contract.groups) or (None,)
        found = set(layout.committed_sessions(self.root, contract, groups[-1]))
        return sorted(s for s in found if (start is None or s >= start) and (end is None or s <= end))

    def parts(
        self, name: str, start: date | None = None, end: date | None = None, group: str | None = None
    ) -> Iterator[tuple[Path, Part]]:
        """Yield the current file of each session in order, with its entry in the manifest."""
        contract = contracts.load(name)
        for session in self.sessions(name, start, end):
            folder = layout.partition_folder(self.root, contract, session, group)
            found = manifests.read(folder / layout.SUCCESS)
            if found is not None:
                yield folder / found.current.name, found.current

    def files(
        self, name: str, start: date | None = None, end: date | None = None, group: str | None = None
    ) -> list[Path]:
        """Return the current file of each session, in order."""
        return [path for path, _ in self.parts(name, start, end, group)]

    def rows(self, name: str, start: date | None = None, end: date | None = None) -> int:
        """Return how many rows the sessions hold, from the manifests."""
        group = next(iter(contracts.load(name).groups), None)
        return sum(part.rows for _, part in self.parts(name, start, end, group))

    def digest(self, name: str, start: date | None = None, end: date | None = None) -> str:
        """Return one SHA-256 over the files of a range of sessions: equal digests mean equal data."""
        content = hashlib.sha256()
        for group in tuple(contracts.load(name).groups) or (None,):
            for path, part in self.parts(name, start, end, group):
                content.update(f"{path.relative_to(self.root)} {part.sha256}\n".encode())
        return content.hexdigest()

    def scan(
        self,
        name: str,
        start: date | None = None,
        end: date | None = None,
        groups: Sequence[str] | None = None,
    ) -> pl.LazyFrame:
        """Return the rows of the sessions from `start` to `end`, lazily; empty, not an error, where there are none.

        Datasets stored by feature group are joined: a row appears once every group asked for holds it.
        """
        contract = contracts.load(name)
        if not contract.groups:
            return self._scan_files(contract, self.files(name, start, end), tuple(contract.polars_schema))
        frames = []
        for group in self._known_groups(contract, groups):
            columns = (*contract.ungrouped, *contract.groups[group])
            frames.append(self._scan_files(contract, self.files(name, start, end, group), columns))
        joined, *others = frames
        for frame in others:
            repeated = [column for column in contract.ungrouped if column not in contract.key]
            joined = joined.join(frame.drop(repeated), on=list(contract.key), how="inner", maintain_order="left")
        return joined

    def verify(self, name: str) -> list[Damage]:
        """Return every file that is missing, changed, or holds other rows than its manifest says."""
        contract = contracts.load(name)
        groups = tuple(contract.groups) or (None,)
        sessions = {session for group in groups for session in layout.committed_sessions(self.root, contract, group)}
        checked = (self._damage(contract, session, group) for group in groups for session in sorted(sessions))
        return [damage for found in checked for damage in found]

    def _damage(self, contract: Contract, session: date, group: str | None) -> Iterator[Damage]:
        folder = layout.partition_folder(self.root, contract, session, group)
        try:
            found = manifests.read(folder / layout.SUCCESS)
        except LakeError as error:
            yield Damage(folder / layout.SUCCESS, str(error))
            return
        if found is None:
            yield Damage(folder, "the partition has no manifest, though other groups of its session have one")
            return
        for part in found.parts:
            if reason := _damage(folder / part.name, part):
                yield Damage(folder / part.name, reason)

    def _locked(self, contract: Contract) -> FileLock:
        folder = self.root / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{contract.name}.lock")

    @staticmethod
    def _known_groups(contract: Contract, groups: Sequence[str] | None) -> Sequence[str]:
        strangers = [group for group in groups or () if group not in contract.groups]
        if strangers:
            raise LakeError(f"{contract.label} has no groups {strangers}; it has {sorted(contract.groups)}")
        return groups or tuple(contract.groups)

    @staticmethod
    def _scan_files(contract: Contract, files: list[Path], columns: tuple[str, ...]) -> pl.LazyFrame:
        return storage.scan(files, contract, columns)


def _write_part(
    path: Path, contract: Contract, frame: pl.DataFrame, inputs: Mapping[str, str], group: str | None
) -> Part:
    conformed = contract.conform(frame, group)
    for leftover in path.parent.glob(".*.part"):  # of a writer that was killed: the dataset's lock is ours now
        leftover.unlink()
    with replacing(path) as temporary:
        storage.write(conformed, contract, temporary, compression="snappy", row_group_size=_ROW_GROUP)
        if contract.layer == "raw":
            temporary.chmod(0o440)
        digest, size = sha256(temporary), temporary.stat().st_size
    return Part(path.name, conformed.height, size, digest, dict(inputs))


def _damage(path: Path, part: Part) -> str | None:
    if not path.exists():
        return "the file is missing"
    if (found := sha256(path)) != part.sha256:
        return f"its SHA-256 is {found[:12]}, the manifest says {part.sha256[:12]}"
    rows = pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()
    return None if rows == part.rows else f"it holds {rows} rows, the manifest says {part.rows}"
