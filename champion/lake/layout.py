"""Where a partition lies: `<layer>/<dataset>/<partition folders>/part-00000.parquet`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from champion.contracts import Contract
from champion.errors import LakeError

SUCCESS = "_SUCCESS"
_PART = re.compile(r"part-(\d{5})\.parquet")


def part_name(revision: int) -> str:
    """Return the file name of a revision, as `part-00000.parquet`."""
    return f"part-{revision:05d}.parquet"


def dataset_folder(root: Path, contract: Contract) -> Path:
    """Return the folder of a dataset."""
    return root / contract.layer / contract.dataset


def session_folder(root: Path, contract: Contract, session: date) -> Path:
    """Return the folder of one session, above any feature groups."""
    folder = dataset_folder(root, contract)
    for key in contract.partition_by:
        match key:
            case "date":
                folder /= f"date={session.isoformat()}"
            case "year":
                folder /= f"year={session.year:04d}"
            case "month":
                folder /= f"month={session.month:02d}"
            case "day":
                folder /= f"day={session.day:02d}"
            case "feature_group":
                pass
            case _:
                raise LakeError(f"{contract.label}: unknown partition key {key!r}")
    return folder


def partition_folder(root: Path, contract: Contract, session: date, group: str | None) -> Path:
    """Return the folder of one session, and of one group where the dataset has groups."""
    if (group is None) == ("feature_group" in contract.partition_by):
        raise LakeError(f"{contract.label}: group is {group!r}; its groups are {sorted(contract.groups) or 'none'}")
    folder = session_folder(root, contract, session)
    return folder if group is None else folder / f"feature_group={group}"


def committed_sessions(root: Path, contract: Contract, group: str | None) -> Iterator[date]:
    """Yield the sessions with a committed partition, in no particular order."""
    tail = SUCCESS if group is None else f"feature_group={group}/{SUCCESS}"
    folder = dataset_folder(root, contract)
    if "date" in contract.partition_by:
        for path in folder.glob(f"date=*/{tail}"):
            yield date.fromisoformat(_value(path.parent.name))
        return
    for path in folder.glob(f"year=*/month=*/day=*/{tail}"):
        year, month, day = path.relative_to(folder).parts[:3]
        yield date(int(_value(year)), int(_value(month)), int(_value(day)))


def _value(folder: str) -> str:
    return folder.partition("=")[2]
