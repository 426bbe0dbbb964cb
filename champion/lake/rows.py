"""Rows of partitions as a lazy frame that stays readable: its files are resolved again for each collect.

Sealing and retention remove the files of a lazy frame some seconds after other files replaced them. So the frame holds
a resolver, which Polars calls before each collect: it scans the same files while all of them exist, otherwise the files
that now hold the same revisions. Filters and columns are pushed into the scan as usual.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
from polars.lazyframe.resolver import LazyFrameResolver, ResolvedLazyFrameProps
from typing_extensions import override

from champion.base.counting import quantity
from champion.contracts import Contract, storage
from champion.errors import LakeError
from champion.lake import backend, partitions
from champion.lake.partitions import Partition, SealedYear

_NEW = 15.0  # seconds; `sweep` removes replaced files later than that, unless its grace is shortened by hand


@dataclass(frozen=True, slots=True)
class Rows(LazyFrameResolver):
    """The rows of partitions of one group, as known at `as_of`."""

    root: Path
    contract: Contract
    group: str | None
    found: Sequence[Partition]
    as_of: datetime | None
    created: float = field(default_factory=time.monotonic)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in the group's files."""
        if self.group is None:
            return tuple(self.contract.polars_schema)
        return (*self.contract.ungrouped, *self.contract.groups[self.group])

    @override
    def schema(self) -> Any:
        return {name: self.contract.polars_schema[name] for name in self.columns}

    @override
    def resolve_lazyframe(
        self, *, existing_resolved_version_key: str | None, **_: Any
    ) -> tuple[pl.LazyFrame | None, ResolvedLazyFrameProps]:
        """Return a scan of the files that hold the rows now; None if the files are the same as in the last call.

        Raises:
            LakeError: some of the rows were removed or replaced since the frame was created.
        """
        place = backend.of(self.root)  # a new frame in an object store saves the request for each file
        is_new = place.is_remote and 0 <= time.monotonic() - self.created < _NEW
        exist = is_new or all(place.map(lambda path: path.is_file(), self._files(self.found)))
        found = self.found if exist else self._find_again()
        version = sha256("\n".join(map(str, self._files(found))).encode()).hexdigest()
        props = ResolvedLazyFrameProps(version_key=version)  # with a key, Polars asks again for each collect
        return (None if version == existing_resolved_version_key else self._scan(found)), props

    def _files(self, found: Sequence[Partition]) -> list[Path]:
        return list(dict.fromkeys(one.path(one.manifest.visible(self.as_of)) for one in found))

    def _find_again(self) -> list[Partition]:
        first, last = self.found[0].session, self.found[-1].session
        now = {one.session: one for one in partitions.find(self.root, self.contract, self.group, first, last)}
        wanted = {one.session: one.manifest.visible(self.as_of).sha256 for one in self.found}
        held = {session: now[session].manifest.visible(self.as_of).sha256 for session in wanted if session in now}
        if lost := [session for session, digest in wanted.items() if held.get(session) != digest]:
            removed = all(session not in now for session in lost)
            what = "removed, as by `champion lake retain`" if removed else "written again or removed"
            raise LakeError(
                f"{self.contract.name}: since this lazy frame was created, "
                f"{quantity(len(lost), 'session was', 'sessions were')} {what}, "
                f"from {min(lost)} to {max(lost)}; scan the dataset again"
            )
        return [now[session] for session in wanted]

    def _scan(self, found: Sequence[Partition]) -> pl.LazyFrame:
        days: list[Path] = []
        sealed: dict[Path, tuple[SealedYear, set[date]]] = {}
        for partition in found:
            part = partition.manifest.visible(self.as_of)
            year = partition.sealed_part(part)
            if year is None:
                days.append(partition.file(part))
            else:
                sealed.setdefault(year.path, (year, set()))[1].add(partition.session)
        scans = {path: storage.scan([path], self.contract, self.columns) for path in sealed}
        frames = [scans[path].filter(*only(self.contract, *sessions)) for path, sessions in sealed.items()]
        if days or not frames:
            frames.append(storage.scan(days, self.contract, self.columns))
        return pl.concat(frames) if len(frames) > 1 else frames[0]

    @override
    def cse_eq(self, other: object) -> bool:
        return self is other


def only(contract: Contract, year: SealedYear, wanted: set[date]) -> Iterator[pl.Expr]:
    """Yield filters that select the wanted sessions of a sealed year; none if all are wanted."""
    first, last, session = min(wanted), max(wanted), pl.col(contract.session)
    if first > min(year.sessions) or last < max(year.sessions):
        yield session.is_between(first, last)
    if others := [s for s in year.sessions if first < s < last and s not in wanted]:
        yield ~session.is_in(others)
