"""Bringing the index of a dataset in step with its files, for flows to do once at their end."""

from __future__ import annotations

from champion import contracts
from champion.contracts import Contract
from champion.lake import layout, metadata, partitions
from champion.lake.sealed import seal_locked
from champion.lake.store import Lake


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
