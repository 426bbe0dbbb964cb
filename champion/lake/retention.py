"""Retention: which partitions are old enough to be copied to an archive, and which to go.

`plan` decides from dates alone and touches nothing. An archive is a lake of the same layout: partitions are copied
there under the same relative paths, data first and the manifest last, and are read back. `execute` removes a partition
only where its contract asks for no archive, or where the archive holds it with the same hashes at that moment.

Whole months expire together, as in the warehouse; a sealed year goes as one, when its last month does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from champion import contracts, objects
from champion.contracts import Contract
from champion.lake import layout, manifest as manifests, partitions
from champion.lake.store import Lake

Action = Literal["archive", "delete", "keep"]
_MEANWHILE = {True: "once archived", False: "needs no archive"}


@dataclass(frozen=True, slots=True)
class Rule:
    """How old data may become, in years: copied from `archive_years` on, gone from `keep_years` on; None is never.

    `needs_archive` says that it may only go once it is archived.
    """

    keep_years: int | None
    archive_years: int | None
    needs_archive: bool


@dataclass(frozen=True, slots=True)
class Unit:
    """What is archived and removed in one step: a partition, or a sealed year."""

    name: str
    manifest: Path
    sessions: tuple[date, ...]
    newest: date
    bytes: int

    @property
    def is_sealed(self) -> bool:
        """Whether it is a sealed year."""
        return self.manifest.name == layout.SEALED


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the plan."""

    name: str
    action: Action
    units: tuple[Unit, ...]
    why: str
    needs_archive: bool

    @property
    def sessions(self) -> list[date]:
        """Its sessions in order."""
        return sorted({session for unit in self.units for session in unit.sessions})

    @property
    def bytes(self) -> int:
        """The size of its files."""
        return sum(unit.bytes for unit in self.units)


def rule(name: str, years: Mapping[str, int | None]) -> Rule:
    """Return the rule of a dataset: its contract's, with `years` to keep by layer in place of the contract's number.

    A layer whose years are None or not given is kept for ever, and so is a dataset whose contract has no `keep_years`.

    >>> rule("raw_equity_ohlc", {"raw": 7})
    Rule(keep_years=7, archive_years=2, needs_archive=True)
    >>> rule("features_equity_indicators", {"raw": 7})
    Rule(keep_years=None, archive_years=None, needs_archive=False)
    """
    contract = contracts.load(name)
    keep = years.get(contract.layer) if contract.retention.get("keep_years") else None
    archive = contract.retention.get("archive_years")
    return Rule(keep, archive if keep is None or archive is None else min(archive, keep), archive is not None)


def first_kept(today: date, years: int) -> date:
    """Return the first day of the oldest month that is kept.

    >>> first_kept(date(2026, 11, 22), 3)
    datetime.date(2023, 11, 1)
    """
    return date(today.year - years, today.month, 1)


def plan(lake: Lake, today: date, years: Mapping[str, int | None], archive: Lake | None) -> list[Step]:
    """Return what is to be done, dataset by dataset, without doing any of it.

    Raises:
        LakeError: a manifest is damaged.
    """
    return [step for name in contracts.names() for step in _steps(lake, name, today, rule(name, years), archive)]


def units(lake: Lake, name: str) -> list[Unit]:
    """Return the partitions and sealed years of a dataset, sealed ones first.

    A day partition beside the sealed year that holds its session counts by the year: if it went first, the older
    sealed rows would be seen again.
    """
    contract = contracts.load(name)
    return [unit for group in layout.groups(contract) for unit in _units(lake.root, contract, group)]


def files_now(manifest: Path) -> dict[Path, str]:
    """Return the files, with their SHA-256, of what a manifest commits now: somebody may have written it again.

    Raises:
        LakeError: the manifest is damaged.
    """
    if manifest.name == layout.SEALED:
        sealed = partitions.read_sealed(manifest)
        return {sealed.path: sealed.sha256} if sealed else {}
    found = manifests.read(manifest)
    parts = found.parts if found else ()
    return {layout.part_file(manifest.parent / part.name, part.sha256): part.sha256 for part in parts}


def _steps(lake: Lake, name: str, today: date, asked: Rule, archive: Lake | None) -> Iterator[Step]:
    found = units(lake, name) if asked.keep_years or (asked.archive_years and archive) else []
    if asked.archive_years and archive:
        before = first_kept(today, asked.archive_years)
        aged = [unit for unit in found if unit.newest < before]
        done = objects.each(archive.root, lambda unit: is_archived(lake, archive, unit), aged)
        old = [unit for unit, archived in zip(aged, done, strict=True) if not archived]
        yield from _step(name, "archive", old, f"before {before}, {_years(asked.archive_years)}", asked)
    if asked.keep_years:
        before = first_kept(today, asked.keep_years)
        old = [unit for unit in found if unit.newest < before]
        why = f"before {before}, {_years(asked.keep_years)}"
        if asked.needs_archive and archive is None:
            yield from _step(name, "keep", old, f"{why}, but there is no archive: set CHAMPION_LAKE_ARCHIVE", asked)
        else:
            yield from _step(name, "delete", old, f"{why}, {_MEANWHILE[asked.needs_archive]}", asked)


def _step(name: str, action: Action, found: Sequence[Unit], why: str, asked: Rule) -> Iterator[Step]:
    if found:
        yield Step(name, action, tuple(found), why, asked.needs_archive)


def _years(count: int) -> str:
    return f"older than {count} year{'s' if count > 1 else ''}"


def _units(root: Path, contract: Contract, group: str | None) -> Iterator[Unit]:
    years = partitions.sealed_years(root, contract, group)
    for sealed in years.values():
        sessions = tuple(sorted(sealed.sessions))
        manifest = sealed.path.parent / layout.SEALED
        yield Unit(contract.name, manifest, sessions, sessions[-1], sealed.bytes)
    for session in sorted(layout.committed_sessions(root, contract, group)):
        folder = layout.partition_folder(root, contract, session, group)
        found = manifests.read(folder / layout.SUCCESS)
        if found is None:
            continue
        sealed_year = years.get(session.year)
        beside = sealed_year is not None and session in sealed_year.sessions
        last = max(sealed_year.sessions) if sealed_year is not None and beside else session
        size = sum(part.bytes for part in found.parts)
        yield Unit(contract.name, folder / layout.SUCCESS, (session,), last, size)


def is_archived(lake: Lake, archive: Lake, unit: Unit) -> bool:
    """Tell, without reading data, whether the archive has just this manifest."""
    copy = archive.root / unit.manifest.relative_to(lake.root)
    return copy.is_file() and copy.read_bytes() == unit.manifest.read_bytes()
