"""Sealing: the day partitions of a closed year become one file, sorted so that one symbol lies together.

1. Under the dataset's lock, the sessions of the year with one revision are read; those with several stay as they are.
2. They are written as one new file, named by its content, and read back: every session must equal its day partition.
3. The year's `_SEALED` manifest is replaced: the commit. It keeps each session's manifest, so no digest changes.
4. The day partitions are retired. `sweep` removes their files later, once no reader can be in the middle of them.

Killed anywhere, the year reads as before or as after, and sealing again finishes the work.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import polars as pl

from champion import contracts
from champion.base import clock
from champion.base.atomic_files import sha256
from champion.base.counting import quantity
from champion.contracts import Contract
from champion.errors import LakeError
from champion.lake import layout, metadata, partitions
from champion.lake.manifest import Manifest
from champion.lake.partitions import Partition, SealedYear
from champion.lake.store import Lake

_ROW_GROUP = 16 * 1024
_NAME_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Sealed:
    """What sealing did: `left` are sessions that stay as day partitions, having several revisions or foreign dates.

    >>> Sealed("quality_findings", None, 2023, 246, 900, 40_000, 410_000, left=[], changed=True).bytes
    40000
    """

    dataset: str
    group: str | None
    year: int
    sessions: int
    rows: int
    bytes: int
    bytes_before: int
    left: Sequence[date]
    changed: bool


def seal(lake: Lake, name: str, year: int) -> list[Sealed]:
    """Seal a closed year of a dataset, group by group; sealing again folds in what was written since.

    Raises:
        LakeError: the year is not over, or a file is not what its manifest says; then nothing was changed.

    >>> import tempfile
    >>> from pathlib import Path
    >>> nothing = pl.DataFrame(schema=contracts.load("quality_findings").polars_schema)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lake = Lake(Path(folder))
    ...     lake.write("quality_findings", date(2023, 1, 16), nothing, {})
    ...     [(sealed.year, sealed.sessions, sealed.rows) for sealed in seal(lake, "quality_findings", 2023)]
    True
    [(2023, 1, 0)]
    """
    this_year = clock.now().year
    if not date.min.year <= year < this_year:
        raise LakeError(f"sealing {year}: the year is not over; closed years are those up to {this_year - 1}")
    contract = contracts.load(name)
    with layout.locked(lake.root, contract):
        return [seal_locked(lake, contract, group, year) for group in layout.groups(contract)]


def seal_locked(lake: Lake, contract: Contract, group: str | None, year: int) -> Sealed:
    """Seal one group of a year; the caller holds the dataset's lock."""
    found = partitions.find(lake.root, contract, group, date(year, 1, 1), date(year, 12, 31))
    before = partitions.sealed_year(lake.root, contract, year, group)
    single = [partition for partition in found if len(partition.manifest.parts) == 1]
    after, changed = before, False
    if _manifests(single) != (dict(before.sessions) if before else {}):
        days = _days(lake, contract, group, single)
        kept = [partition for partition in single if partition.session in days]
        changed = _manifests(kept) != (dict(before.sessions) if before else {})
        after = _commit(lake, contract, group, year, kept, days) if changed else before
    inside = after.sessions if after else {}
    for partition in found:
        if partition.session in inside and (partition.folder / layout.SUCCESS).exists():
            partitions.retire(partition.folder / layout.SUCCESS)
    return Sealed(
        dataset=contract.name,
        group=group,
        year=year,
        sessions=len(inside),
        rows=after.rows if after else 0,
        bytes=after.bytes if after else 0,
        bytes_before=sum(manifest.current.bytes for manifest in inside.values()),
        left=[partition.session for partition in found if partition.session not in inside],
        changed=changed,
    )


def _manifests(found: Sequence[Partition]) -> dict[date, Manifest]:
    return {partition.session: partition.manifest for partition in found}


def _days(lake: Lake, contract: Contract, group: str | None, found: Sequence[Partition]) -> dict[date, pl.DataFrame]:
    """Return the rows of each session, from files proved to be what their manifests say.

    A session with rows of other dates is not among them: from a sealed file it could not be told apart.
    """
    session = pl.col(contract.session)
    inside = [partition for partition in found if partition.sealed_part(partition.manifest.current)]
    for path, digest in {p.sealed.path: p.sealed.sha256 for p in inside if p.sealed}.items():
        _require(path, digest)
    rows = lake.scan_partitions(contract, group, inside).collect() if inside else _none(contract)
    by_session = rows.partition_by(contract.session, as_dict=True, maintain_order=True)
    days = {partition.session: by_session.get((partition.session,), rows.clear()) for partition in inside}
    for partition in found:
        if partition.session in days:
            continue
        _require(partition.file(partition.manifest.current), partition.manifest.current.sha256)
        rows = lake.scan_partitions(contract, group, [partition]).collect()
        if rows.select(session.eq_missing(partition.session).all()).item():
            days[partition.session] = rows
    return days


def _commit(
    lake: Lake,
    contract: Contract,
    group: str | None,
    year: int,
    kept: Sequence[Partition],
    days: Mapping[date, pl.DataFrame],
) -> SealedYear | None:
    """Write, prove and commit the sealed file; a year without a session that can be sealed is unsealed."""
    folder = layout.sealed_folder(lake.root, contract, year, group)
    if not kept:
        partitions.retire(folder / layout.SEALED)
        return None
    order = (contract.sort_by[0], contract.session, *contract.sort_by[1:])  # within a session: the order it had
    rows = pl.concat([days[partition.session] for partition in kept]).sort(order, maintain_order=True)
    path = folder / layout.sealed_name(_content(contract, kept))
    height, size, digest = partitions.write_data_file(path, contract, rows, "zstd", _ROW_GROUP)
    sealed = SealedYear(path, contract.label, height, size, digest, _manifests(kept))
    _prove(contract, sealed, days)
    partitions.write_sealed(sealed)
    return sealed


def _prove(contract: Contract, sealed: SealedYear, days: Mapping[date, pl.DataFrame]) -> None:
    """Read the new file back and compare it session by session, row for row, with what the day files hold.

    Raises:
        LakeError: they differ; the sealed file is removed and nothing is changed.
    """
    written = pl.read_parquet(str(sealed.path), glob=False)
    found = written.partition_by(contract.session, as_dict=True, maintain_order=True)
    for session, manifest in sealed.sessions.items():
        rows = found.pop((session,), written.clear())
        if rows.height != manifest.current.rows or not rows.equals(days[session]):
            sealed.path.unlink()
            raise LakeError(
                f"sealing {contract.name} {session}: the sealed file gives back {quantity(rows.height, 'row')} unlike "
                f"the {manifest.current.rows} of its day partition; nothing was sealed, run `champion lake verify`"
            )


def _require(path: Path, digest: str) -> None:
    if not path.exists() or sha256(path) != digest:
        raise LakeError(f"{path} is not what its manifest says; `champion lake verify` says more, nothing was sealed")


def _content(contract: Contract, kept: Sequence[Partition]) -> str:
    """Name the file by what is in it: the same sessions give the same name, other ones never overwrite a file."""
    lines = (f"{partition.session} {json.dumps(asdict(partition.manifest), sort_keys=True)}" for partition in kept)
    return hashlib.sha256("\n".join((contract.label, *lines)).encode()).hexdigest()[:_NAME_DIGITS]


def _none(contract: Contract) -> pl.DataFrame:
    return pl.DataFrame(schema=contract.polars_schema)


def index(lake: Lake, name: str) -> bool:
    """Bring a dataset's `_metadata` and `_common_metadata` up to date; return False where they were.

    A sealed year with sessions that were written again is sealed again first: rows that no longer count cannot be
    left out of an index.

    Raises:
        LakeError: the files have several schemas, which one `_metadata` cannot hold.

    >>> import tempfile
    >>> from datetime import date
    >>> from pathlib import Path
    >>> import polars as pl
    >>> nothing = pl.DataFrame(schema=contracts.load("quality_findings").polars_schema)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lake = Lake(Path(folder))
    ...     lake.write("quality_findings", date(2023, 1, 16), nothing, {})
    ...     index(lake, "quality_findings"), index(lake, "quality_findings")
    True
    (True, False)
    """
    contract = contracts.load(name)
    if not layout.dataset_folder(lake.root, contract).exists():
        return False
    with layout.locked(lake.root, contract):
        written = [_index_group(lake, contract, group) for group in layout.groups(contract)]
    return any(written)


def _index_group(lake: Lake, contract: Contract, group: str | None) -> bool:
    before = metadata.is_fresh(lake.root, contract, group)
    if before or (before is None and not partitions.sessions(lake.root, contract, group)):
        return False
    for year, sealed in partitions.sealed_years(lake.root, contract, group).items():
        inside = partitions.find(lake.root, contract, group, min(sealed.sessions), max(sealed.sessions))
        if {p.session for p in inside if p.sealed_part(p.manifest.current)} != set(sealed.sessions):
            seal_locked(lake, contract, group, year)
    metadata.write(lake.root, contract, group)
    return True
