"""Removing retired files: those that a seal or a retention hid from readers, and nothing else.

A file is removed only where a retired manifest names it, or where it is a year's earlier sealed file, and no manifest
that is in force names it. A data file that no manifest ever named is left for `verify` to report, but for the
temporary files of writers that were killed. In an object store, where a rewritten partition's new file lies beside the
old one, every revision that no manifest names is one of a killed writer or a replaced one, and goes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from champion import contracts
from champion.base.strict_json import parse_json
from champion.contracts import Contract
from champion.errors import LakeError
from champion.lake import backend, layout, manifest as manifests, partitions
from champion.lake.manifest import Manifest, Part
from champion.lake.partitions import Sealing
from champion.lake.store import Lake

GRACE = timedelta(seconds=20)
_UNFINISHED = ".part"


def sweep(lake: Lake, names: Sequence[str], grace: timedelta = GRACE) -> int:
    """Remove retired files, once readers had `grace` to finish with them; return how many went.

    Where nothing is retired nothing is waited for. What is retired during the wait is left for the next sweep.

    >>> import tempfile
    >>> from datetime import date
    >>> import polars as pl
    >>> from champion.lake import seal
    >>> nothing = pl.DataFrame(schema=contracts.load("quality_findings").polars_schema)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lake = Lake(Path(folder))
    ...     lake.write("quality_findings", date(2023, 1, 16), nothing, {}), len(seal(lake, "quality_findings", 2023))
    ...     sweep(lake, ["quality_findings"], grace=timedelta(0))
    (True, 1)
    1
    """
    before = {name: _seen(lake.root, contracts.load(name)) for name in names}
    if any(path.suffix != _UNFINISHED for seen in before.values() for path in seen):
        time.sleep(grace.total_seconds())
    return sum(_sweep(lake.root, contracts.load(name), seen) for name, seen in before.items() if seen)


def _seen(root: Path, contract: Contract) -> set[Path]:
    with layout.locked(root, contract):
        return set(_doomed(root, contract))


def _sweep(root: Path, contract: Contract, seen: set[Path]) -> int:
    with layout.locked(root, contract):
        doomed = [path for path in _doomed(root, contract) if path in seen]  # not what was written again meanwhile
        for path in doomed:
            path.unlink(missing_ok=True)
        for folder in {path.parent for path in doomed}:
            backend.of(root).remove_empty(folder, layout.dataset_folder(root, contract))
    return sum(path.suffix == ".parquet" for path in doomed)


def _doomed(root: Path, contract: Contract) -> list[Path]:
    """Return the files that no manifest in force names any more, and after them the manifests that did.

    First come unfinished files: writers hold the dataset's lock, so for its holder they are those of killed ones.
    """
    folder = layout.dataset_folder(root, contract)
    found = sorted(layout.present(folder, f"**/.*{_UNFINISHED}"))
    retired = sorted(layout.present(folder, f"**/{layout.RETIRED}"))
    for manifest in retired:
        names = _named(manifest)
        found += [manifest.parent / name for name in sorted(names - _in_force(manifest.parent))]
    if not backend.of(folder).overwrites:
        found += _replaced(folder)
    for path in sorted(layout.present(folder, f"**/{layout.sealed_name('*')}")):
        told = any((path.parent / name).exists() for name in (layout.SEALED, layout.RETIRED))
        if told and path.name not in _in_force(path.parent):
            found.append(path)
    return [*dict.fromkeys(found), *retired]


def _named(retired: Path) -> set[str]:
    """Return the files that a retired manifest names.

    Raises:
        LakeError: it is neither that of a partition nor of a sealed year: nobody knows what may go.
    """
    content = retired.read_bytes()
    with suppress(ValueError):
        return {parse_json(Sealing, content).file}
    try:
        parts = parse_json(Manifest, content).parts
    except ValueError as error:
        raise LakeError(
            f"{retired}: not a manifest ({error}); remove it, and what it hid is listed by `champion lake verify`"
        ) from error
    return _names(retired.parent, parts)


def _in_force(folder: Path) -> set[str]:
    day, year = manifests.read(folder / layout.SUCCESS), partitions.read_sealed(folder / layout.SEALED)
    return _names(folder, day.parts if day else ()) | ({year.path.name} if year else set())


def _names(folder: Path, parts: Iterable[Part]) -> set[str]:
    return {layout.part_file(folder / part.name, part.sha256).name for part in parts}


def _replaced(folder: Path) -> list[Path]:
    """Return the revisions that no manifest in force names; those of a retired one are found by it."""
    by_folder: dict[Path, list[Path]] = {}
    for path in sorted(layout.present(folder, "**/part-*.parquet")):
        by_folder.setdefault(path.parent, []).append(path)
    kept = backend.of(folder).map(_in_force, by_folder)
    return [
        path for found, names in zip(by_folder.values(), kept, strict=True) for path in found if path.name not in names
    ]
