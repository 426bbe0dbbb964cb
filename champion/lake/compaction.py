"""Sealing: merge the day partitions of a closed year into one file, sorted so that the rows of a symbol are adjacent.

1. Under the dataset's lock, the sessions of the year with one revision are read; those with several stay unchanged.
2. They are written to one new file, named by its content, and read back: each session must equal its day partition.
3. The year's `_SEALED` manifest is replaced: the commit. It keeps each session's manifest, so no digest changes.
4. The day partitions are retired. `sweep` removes their files later, once no reader can be using them.

After a crash readers see the year as before or as after, and sealing again completes the work.
"""

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
    """The result of sealing; sessions with several revisions or with rows of other dates are `left` as day partitions.

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
    """Seal a closed year of a dataset, group by group; sealing again merges the sessions written since.

    Raises:
        LakeError: the year is not over, or a file differs from its manifest; nothing was changed.

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
    before = after = partitions.sealed_year(lake.root, contract, year, group)
    sealed_now = dict(before.sessions) if before else {}
    single = [partition for partition in found if len(partition.manifest.parts) == 1]
    if {partition.session: partition.manifest for partition in single} != sealed_now:
        days = _days(lake, contract, group, single)
        kept = {partition.session: partition.manifest for partition in single if partition.session in days}
        if kept != sealed_now:
            after = _commit(contract, layout.sealed_folder(lake.root, contract, year, group), kept, days)
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
        changed=after is not before,
    )


def _days(lake: Lake, contract: Contract, group: str | None, found: Sequence[Partition]) -> dict[date, pl.DataFrame]:
    """Return the rows of each session, from files verified against their manifests.

    A session that holds rows of other dates is left out, because a sealed file could not assign them to it.
    """
    inside = [partition for partition in found if partition.sealed_part(partition.manifest.current)]
    for path, digest in {p.sealed.path: p.sealed.sha256 for p in inside if p.sealed}.items():
        _require(path, digest)
    rows = lake.scan_partitions(contract, group, inside).collect()
    by_session = rows.partition_by(contract.session, as_dict=True, maintain_order=True)
    days = {partition.session: by_session.get((partition.session,), rows.clear()) for partition in inside}
    for partition in found:
        if partition.session in days:
            continue
        _require(partition.file(partition.manifest.current), partition.manifest.current.sha256)
        rows = lake.scan_partitions(contract, group, [partition]).collect()
        if rows.select(pl.col(contract.session).eq_missing(partition.session).all()).item():
            days[partition.session] = rows
    return days


def _commit(
    contract: Contract, folder: Path, kept: Mapping[date, Manifest], days: Mapping[date, pl.DataFrame]
) -> SealedYear | None:
    """Write, verify and commit the sealed file; without a session to seal, the year is unsealed."""
    if not kept:
        partitions.retire(folder / layout.SEALED)
        return None
    order = (contract.sort_by[0], contract.session, *contract.sort_by[1:])  # within a session the order is unchanged
    rows = pl.concat([days[session] for session in kept]).sort(order, maintain_order=True)
    # A digest of the sessions is in the file's name: a file is never overwritten by one with other sessions.
    lines = (f"{session} {json.dumps(asdict(manifest), sort_keys=True)}" for session, manifest in kept.items())
    content = hashlib.sha256("\n".join((contract.label, *lines)).encode()).hexdigest()
    path = folder / layout.sealed_name(content[:_NAME_DIGITS])
    height, size, digest = partitions.write_data_file(path, contract, rows, "zstd", _ROW_GROUP)
    sealed = SealedYear(contract.label, path.name, height, size, digest, kept, folder)
    _verify(contract, sealed, days)
    partitions.write_sealed(sealed)
    return sealed


def _verify(contract: Contract, sealed: SealedYear, days: Mapping[date, pl.DataFrame]) -> None:
    """Read the new file back and compare each session, row for row, with the rows of the day files.

    Raises:
        LakeError: they differ; the sealed file is removed and nothing else changes.
    """
    written = pl.read_parquet(str(sealed.path), glob=False)
    found = written.partition_by(contract.session, as_dict=True, maintain_order=True)
    for session, manifest in sealed.sessions.items():
        rows = found.pop((session,), written.clear())
        if rows.height != manifest.current.rows or not rows.equals(days[session]):
            sealed.path.unlink()
            raise LakeError(
                f"sealing {contract.name} {session}: the sealed file returns {quantity(rows.height, 'row')}, unlike "
                f"the {manifest.current.rows} of its day partition; nothing was sealed, run `champion lake verify`"
            )


def _require(path: Path, digest: str) -> None:
    if not path.exists() or sha256(path) != digest:
        raise LakeError(f"{path} differs from its manifest; nothing was sealed, see `champion lake verify`")


def index(lake: Lake, name: str) -> bool:
    """Update a dataset's `_metadata` and `_common_metadata`; return False if they were up to date.

    A sealed year with sessions that were written again is sealed again first, because an index cannot leave out their
    outdated rows.

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
