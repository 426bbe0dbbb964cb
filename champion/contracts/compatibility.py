"""The released contracts (`schemas/released/`): what readers and stored rows were promised, and how it may change.

A release copies the contracts there once every change since the last release is allowed and each has its sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from champion.base.atomic_files import write_bytes
from champion.base.counting import quantity
from champion.contracts import samples
from champion.contracts.catalog import files, read
from champion.contracts.contract import parse
from champion.contracts.evolution import Change, changes
from champion.errors import ContractError


@dataclass(frozen=True, slots=True)
class Comparison:
    """One contract version: its schema version as released and now (None where there is none), and the changes."""

    name: str
    released: str | None
    now: str | None
    changes: tuple[Change, ...]

    @property
    def refused(self) -> list[Change]:
        """The changes that break what was released."""
        return [change for change in self.changes if not change.allowed]

    @property
    def state(self) -> str:
        """Where it stands: released, new, changed or breaking."""
        if self.refused:
            return "breaking"
        if self.released is None:
            return "new"
        return "changed" if self.changes else "released"


def compare(schemas: Path) -> list[Comparison]:
    """Return how each contract in the folder `schemas` stands against `schemas/released`.

    Raises:
        ContractError: a file is not a contract.
    """
    old, new = files(schemas / "released"), files(schemas)
    return [_compared(old.get(key), new.get(key)) for key in sorted({**old, **new})]


def refuse_breaking(compared: Sequence[Comparison]) -> None:
    """Do nothing where every change is allowed.

    Raises:
        ContractError: naming each change that is not.
    """
    refused = [f"{each.name} {_told(change)}" for each in compared for change in each.refused]
    if refused:
        raise ContractError(
            f"{quantity(len(refused), 'incompatible change')} to released contracts: {'; '.join(refused)}. "
            "Take it back, or leave the "
            "released version as it is and describe the new one in its own _v<N+1>.avsc beside it"
        )


def release(schemas: Path) -> list[str]:
    """Copy what is new or changed to `schemas/released`; return the files' names.

    Raises:
        ContractError: a change breaks what was released, or a contract has no readable sample. Nothing is copied then.
    """
    compared = compare(schemas)
    refuse_breaking(compared)
    for (_, version), file in files(schemas).items():
        contract = parse(read(file), version)
        sample = samples.path(schemas, contract)
        if not sample.exists():
            raise ContractError(
                f"{contract.label} has no schemas/samples/{sample.name}; write one record there, or take one from a "
                f"workspace that has some with `champion schema sample {contract.name}`"
            )
        samples.read(sample, contract)
    waiting = [each.name for each in compared if each.state in {"new", "changed"}]
    for name in waiting:
        write_bytes(schemas / "released" / f"{name}.avsc", (schemas / f"{name}.avsc").read_bytes())
    return waiting


def _compared(old: Path | None, new: Path | None) -> Comparison:
    before, after = _checked(old), _checked(new)
    stem = next(path.stem for path in (new, old) if path is not None)
    found: list[Change] = []
    if before is not None and after is not None:
        found = changes(before, after)
    elif before is not None:
        why = "rows of it are stored, and readers of today read all versions"
        found = [Change("contract removed", "", allowed=False, why=why)]
    released, now = (record["schema_version"] if record else None for record in (before, after))
    return Comparison(stem, released, now, tuple(found))


def _checked(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    record = read(path)
    parse(record, int(path.stem.rpartition("_v")[2]))
    return record


def _told(change: Change) -> str:
    return " ".join(part for part in (change.field, change.what) if part) + f" ({change.why})"
