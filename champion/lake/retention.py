"""Retention: which partitions are old enough to be copied to an archive, and which to be removed.

`plan` decides from dates alone and changes nothing. An archive is a lake of the same layout: partitions keep their
relative paths there. A partition is removed only if its contract needs no archive, or if the archive holds it.

Months expire as a whole, as in the warehouse; a sealed year expires as a whole with its last month.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from champion import contracts
from champion.base.counting import quantity
from champion.lake import backend, layout, partitions
from champion.lake.partitions import Unit
from champion.lake.store import Lake

Action = Literal["archive", "delete", "keep"]


@dataclass(frozen=True, slots=True)
class Rule:
    """The ages in years at which data is copied to the archive and removed; None is never.

    With `needs_archive` it is removed only once it is archived.
    """

    keep_years: int | None
    archive_years: int | None
    needs_archive: bool


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
    """Return the rule of a dataset: that of its contract, with the years to keep taken from `years`, by layer.

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
    """Return the steps to take, dataset by dataset, without taking any.

    Raises:
        LakeError: a manifest is damaged.
    """
    steps = (step for name in contracts.names() for step in _steps(lake, name, today, rule(name, years), archive))
    return [step for step in steps if step.units]


def units(lake: Lake, name: str) -> list[Unit]:
    """Return the partitions and sealed years of a dataset, sealed ones first."""
    contract = contracts.load(name)
    return [unit for group in layout.groups(contract) for unit in partitions.units(lake.root, contract, group)]


def _steps(lake: Lake, name: str, today: date, asked: Rule, archive: Lake | None) -> Iterator[Step]:
    found = units(lake, name) if asked.keep_years or (asked.archive_years and archive) else []

    def expired(years: int) -> tuple[tuple[Unit, ...], str]:
        before = first_kept(today, years)
        old = tuple(unit for unit in found if unit.newest < before)
        return old, f"before {before}, older than {quantity(years, 'year')}"

    if asked.archive_years and archive:
        old, why = expired(asked.archive_years)
        done = backend.of(archive.root).map(lambda unit: is_archived(lake, archive, unit), old)
        todo = tuple(unit for unit, archived in zip(old, done, strict=True) if not archived)
        yield Step(name, "archive", todo, why, asked.needs_archive)
    if asked.keep_years:
        old, why = expired(asked.keep_years)
        if asked.needs_archive and archive is None:
            why = f"{why}, but there is no archive: set CHAMPION_LAKE_ARCHIVE"
            yield Step(name, "keep", old, why, asked.needs_archive)
        else:
            why = f"{why}, {'once archived' if asked.needs_archive else 'needs no archive'}"
            yield Step(name, "delete", old, why, asked.needs_archive)


def is_archived(lake: Lake, archive: Lake, unit: Unit) -> bool:
    """Return whether the archive has exactly this manifest, without reading data."""
    copy = archive.root / unit.manifest.relative_to(lake.root)
    return copy.is_file() and copy.read_bytes() == unit.manifest.read_bytes()
