"""Remove the files that a seal or a retention retired, and no others.

A file is removed only if a retired manifest lists it, or if it is an earlier file of a sealed year, and no current
manifest lists it. A data file that no manifest ever listed is reported by `verify`, except the temporary files of
killed writers. In an object store the file of a new revision is beside the old one; there every file without a current
manifest is a replaced file or comes from a killed writer, and is removed.
"""

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
from champion.lake.partitions import SealedYear
from champion.lake.store import Lake

GRACE = timedelta(seconds=20)
_UNFINISHED = ".part"


def sweep(lake: Lake, names: Sequence[str], grace: timedelta = GRACE) -> int:
    """Remove retired files after readers had `grace` to finish with them; return the number of data files removed.

    Without retired files there is no wait. Files retired during the wait are left for the next sweep.

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
    before: dict[str, set[Path]] = {}
    for name in names:
        contract = contracts.load(name)
        with layout.locked(lake.root, contract):
            before[name] = set(_removable(lake.root, contract))
    if any(path.suffix != _UNFINISHED for found in before.values() for path in found):
        time.sleep(grace.total_seconds())
    return sum(_sweep(lake.root, contracts.load(name), found) for name, found in before.items() if found)


def _sweep(root: Path, contract: Contract, before: set[Path]) -> int:
    with layout.locked(root, contract):
        removable = [path for path in _removable(root, contract) if path in before]  # not those written meanwhile
        for path in removable:
            path.unlink(missing_ok=True)
        for folder in {path.parent for path in removable}:
            backend.of(root).remove_empty(folder, layout.dataset_folder(root, contract))
    return sum(path.suffix == ".parquet" for path in removable)


def _removable(root: Path, contract: Contract) -> list[Path]:
    """Return the files that no current manifest lists, and after them the retired manifests.

    The files are unfinished: the caller holds the dataset's lock, so they come from killed writers.
    """
    folder = layout.dataset_folder(root, contract)
    found = sorted(layout.present(folder, f"**/.*{_UNFINISHED}"))
    retired = sorted(layout.present(folder, f"**/{layout.RETIRED}"))
    for manifest in retired:
        found += [manifest.parent / name for name in sorted(_retired_files(manifest) - _current_files(manifest.parent))]
    if not backend.of(folder).overwrites:  # replaced revisions
        parts = sorted(layout.present(folder, "**/part-*.parquet"))
        folders = list(dict.fromkeys(path.parent for path in parts))
        current = dict(zip(folders, backend.of(folder).map(_current_files, folders), strict=True))
        found += [path for path in parts if path.name not in current[path.parent]]
    for path in sorted(layout.present(folder, f"**/{layout.sealed_name('*')}")):
        has_manifest = any((path.parent / name).exists() for name in (layout.SEALED, layout.RETIRED))
        if has_manifest and path.name not in _current_files(path.parent):
            found.append(path)
    return [*dict.fromkeys(found), *retired]


def _retired_files(retired: Path) -> set[str]:
    """Return the files that a retired manifest lists.

    Raises:
        LakeError: the file is neither a partition's manifest nor a sealed year's.
    """
    content = retired.read_bytes()
    with suppress(ValueError):
        return {parse_json(SealedYear, content).file}
    try:
        return _file_names(retired.parent, parse_json(Manifest, content).parts)
    except ValueError as error:
        raise LakeError(
            f"{retired}: not a manifest ({error}); remove it, then `champion lake verify` lists the files it hid"
        ) from error


def _current_files(folder: Path) -> set[str]:
    day, year = manifests.read(folder / layout.SUCCESS), partitions.read_sealed(folder / layout.SEALED)
    return _file_names(folder, day.parts if day else ()) | ({year.path.name} if year else set())


def _file_names(folder: Path, parts: Iterable[Part]) -> set[str]:
    return {layout.part_file(folder / part.name, part.sha256).name for part in parts}
