"""Compare contracts with their released versions (`schemas/released/`), and release them.

A release copies the contracts to this folder, if every change since the last release is allowed and each contract has a
sample.
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
    """One contract version: its released and its current schema version, None if it has none, and the changes."""

    name: str
    released: str | None
    now: str | None
    changes: tuple[Change, ...]

    @property
    def refused(self) -> list[Change]:
        """The changes that are incompatible with the release."""
        return [change for change in self.changes if not change.allowed]

    @property
    def state(self) -> str:
        """Its state: released, new, changed or breaking."""
        if self.refused:
            return "breaking"
        if self.released is None:
            return "new"
        return "changed" if self.changes else "released"


def compare(schemas: Path) -> list[Comparison]:
    """Return the differences of each contract in the folder `schemas` from `schemas/released`.

    Raises:
        ContractError: a file is not a contract.
    """
    old, new = files(schemas / "released"), files(schemas)
    compared = []
    for name, version in sorted({**old, **new}):
        before, after = (_read_valid(folder.get((name, version)), version) for folder in (old, new))
        found = changes(before, after) if before and after else []
        if after is None:
            found = [Change("contract removed", "", "its rows are stored, and must stay readable")]
        released, now = (record["schema_version"] if record else None for record in (before, after))
        compared.append(Comparison(f"{name}_v{version}", released, now, tuple(found)))
    return compared


def refuse_breaking(compared: Sequence[Comparison]) -> None:
    """Raise an error unless every change is allowed.

    Raises:
        ContractError: some are not; the message names each.
    """
    refused = [
        " ".join(part for part in (each.name, change.field, change.what) if part) + f" ({change.why})"
        for each in compared
        for change in each.refused
    ]
    if refused:
        raise ContractError(
            f"{quantity(len(refused), 'incompatible change')} to released contracts: {'; '.join(refused)}. "
            "Undo it, or keep the released version and add a file _v<N+1>.avsc for the new one"
        )


def release(schemas: Path) -> list[str]:
    """Copy new and changed contracts to `schemas/released`, and return their names.

    Raises:
        ContractError: a change is not allowed, or a contract has no readable sample; nothing is copied.
    """
    compared = compare(schemas)
    refuse_breaking(compared)
    for (_, version), file in files(schemas).items():
        contract = parse(read(file), version)
        sample = samples.path(schemas, contract)
        if not sample.exists():
            raise ContractError(
                f"{contract.label} has no schemas/samples/{sample.name}; write one record there, or take one from "
                f"a workspace that has such rows: `champion schema sample {contract.name}`"
            )
        samples.read(sample, contract)
    waiting = [each.name for each in compared if each.state in {"new", "changed"}]
    for name in waiting:
        write_bytes(schemas / "released" / f"{name}.avsc", (schemas / f"{name}.avsc").read_bytes())
    return waiting


def _read_valid(path: Path | None, version: int) -> dict[str, Any] | None:
    record = read(path) if path else None
    if record:
        parse(record, version)
    return record
