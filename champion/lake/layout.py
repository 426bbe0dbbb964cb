"""Where things lie: `<layer>/<dataset>/<partition folders>/part-00000.parquet`, a sealed year in `year=2024/`.

Beside the data: `_SUCCESS` (a partition's manifest), `_SEALED` (a sealed year's), `_RETIRED` (either, once readers no
longer look there and its files are about to go), `_metadata` and `_common_metadata` (an index for other readers).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from datetime import date
from pathlib import Path

from champion.contracts import Contract
from champion.errors import LakeError
from champion.lake import backend
from champion.lake.manifest import PART

SUCCESS = "_SUCCESS"
SEALED = "_SEALED"
RETIRED = "_RETIRED"
INDEX = "_metadata"
CONTRACTS = ".contracts"  # folder with the contracts of its owner's feature sets
BUILDING = ".building"  # folder of what builds lay aside
IDENTITY = ".lake_id"  # file with the lake's own id
OWNER = ".archive_owner"  # file of an archive with the id of the lake that it is of
INVENTORY = ".datasets"  # folder with a file for each dataset that was ever written
SUPERSEDED = ".superseded"  # folder of an archive with files whose place newer ones took
OWN = (CONTRACTS, BUILDING, IDENTITY, OWNER, SUPERSEDED, INVENTORY)  # names below the root that are no dataset's
COMMON_INDEX = "_common_metadata"
DIGITS = 16  # of a digest in an object's name
_MONTHS = 4  # so many are looked for one by one; of more, years are


def part_name(revision: int) -> str:
    """Return the file name of a revision, as `part-00000.parquet`."""
    return f"part-{revision:05d}.parquet"


def part_file(path: Path, digest: str) -> Path:
    """Return the file of a revision that its manifest calls `path`.

    In a folder it is just that, replaced in one step. In an object store its name says its content as well: the
    manifest, which is put last, then never names rows that came after it.
    """
    if backend.of(path).overwrites or not PART.fullmatch(path.name):
        return path
    return path.with_name(f"{path.stem}-{digest[:DIGITS]}{path.suffix}")


def dataset_folder(root: Path, contract: Contract) -> Path:
    """Return the folder of a dataset."""
    return root / contract.layer / contract.dataset


def partition_folder(root: Path, contract: Contract, session: date, group: str | None) -> Path:
    """Return the folder of one session, and of one group where the dataset has groups."""
    if (group is None) == ("feature_group" in contract.partition_by):
        raise LakeError(f"{contract.label}: group is {group!r}; its groups are {sorted(contract.groups) or 'none'}")
    below = () if group is None else (f"feature_group={group}",)
    return root.joinpath(contract.layer, contract.dataset, *_of_session(contract, session), *below)


def _of_session(contract: Contract, session: date) -> Iterator[str]:
    """Yield the names of a session's folders; whole histories are asked for, so paths are joined once."""
    for key in contract.partition_by:
        match key:
            case "date":
                yield f"date={session.isoformat()}"
            case "year":
                yield f"year={session.year:04d}"
            case "month":
                yield f"month={session.month:02d}"
            case "day":
                yield f"day={session.day:02d}"
            case "feature_group":
                pass
            case _:
                raise LakeError(f"{contract.label}: unknown partition key {key!r}")


def committed_sessions(
    root: Path, contract: Contract, group: str | None, start: date | None = None, end: date | None = None
) -> Iterator[date]:
    """Yield the sessions with a committed partition from `start` to `end`, both included, in no particular order.

    Folders of no date are passed over. Only the months or years of the range are looked into: a month of a long
    history costs what a month costs.
    """
    tail = SUCCESS if group is None else f"feature_group={group}/{SUCCESS}"
    folder = dataset_folder(root, contract)
    for days in _days("date" in contract.partition_by, start, end):
        for path in backend.of(folder).find(folder, f"{days}/{tail}"):
            parts = Path(path).parts[: days.count("/") + 1]
            with suppress(ValueError):
                session = date.fromisoformat("-".join(_value(part) for part in parts))
                if (start is None or session >= start) and (end is None or session <= end):
                    yield session


def _days(dated: bool, start: date | None, end: date | None) -> Iterator[str]:
    """Yield patterns of the folders of days that hold every session of a range."""
    if start is None or end is None:
        yield "date=*" if dated else "year=*/month=*/day=*"
        return
    first, last = start.year * 12 + start.month - 1, end.year * 12 + end.month - 1
    if last - first < _MONTHS:
        for year, month in (divmod(number, 12) for number in range(first, last + 1)):
            yield f"date={year:04d}-{month + 1:02d}-*" if dated else f"year={year:04d}/month={month + 1:02d}/day=*"
    else:
        for year in range(start.year, end.year + 1):
            yield f"date={year:04d}-*" if dated else f"year={year:04d}/month=*/day=*"


def present(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield the files and folders there are under `folder`; `**` stands for any depth, hidden names match too.

    A folder that a sweep removes meanwhile is passed over; `Path.glob` would stop there with an error. `**` follows no
    symbolic link: what it finds may be removed, so it must lie here.
    """
    return (folder / path for path in backend.of(folder).find(folder, pattern))


def sealed_folder(root: Path, contract: Contract, year: int, group: str | None) -> Path:
    """Return the folder of a sealed year, and of one group where the dataset has groups."""
    below = () if group is None else (f"feature_group={group}",)
    return root.joinpath(contract.layer, contract.dataset, f"year={year:04d}", *below)


def sealed_name(content: str) -> str:
    """Return the file name of a sealed year with this content."""
    return f"sealed-{content}.parquet"


def sealed_years(root: Path, contract: Contract, group: str | None) -> list[int]:
    """Return the sealed years in order."""
    tail = SEALED if group is None else f"feature_group={group}/{SEALED}"
    folder = dataset_folder(root, contract)
    found = (_value(path.relative_to(folder).parts[0]) for path in present(folder, f"year=*/{tail}"))
    return sorted(int(year) for year in found if year.isdecimal())


def index_name(kind: str, group: str | None) -> str:
    """Return the file name of an index, as `_metadata`, or `_metadata_momentum` for a group.

    >>> index_name(INDEX, "momentum")
    '_metadata_momentum'
    """
    return kind if group is None else f"{kind}_{group}"


def is_append_only(contract: Contract) -> bool:
    """Tell whether a dataset keeps every revision of a session."""
    return contract.layer == "raw"


def groups(contract: Contract) -> tuple[str | None, ...]:
    """Return the groups a dataset is stored by, or one None where it has none."""
    return tuple(contract.groups) or (None,)


def locked(root: Path, contract: Contract) -> AbstractContextManager[None]:
    """Hold the dataset's lock: one writer at a time, also among processes. A new lake is closed to strangers."""
    return backend.of(root).locked(root, contract.name)


def _value(folder: str) -> str:
    return folder.partition("=")[2]
