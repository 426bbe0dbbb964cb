"""Paths in a lake: `<layer>/<dataset>/<partition folders>/part-00000.parquet`, and `year=2024/` for a sealed year.

Beside the data files are `_SUCCESS`, the manifest of a partition; `_SEALED`, that of a sealed year; `_RETIRED`, either
manifest once readers ignore it and its files wait for removal; `_metadata` and `_common_metadata`, an index for other
readers.
"""

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
CONTRACTS = ".contracts"  # folder with the contracts of custom feature sets
BUILDING = ".building"  # folder with temporary files of builds
IDENTITY = ".lake_id"  # file with the lake's own id
OWNER = ".archive_owner"  # file of an archive with the id of the lake that owns it
INVENTORY = ".datasets"  # folder with a file for each dataset that was ever written
SUPERSEDED = ".superseded"  # folder of an archive with replaced files
OWN = (CONTRACTS, BUILDING, IDENTITY, OWNER, SUPERSEDED, INVENTORY)  # names below the root that are not datasets
COMMON_INDEX = "_common_metadata"
DIGITS = 16  # of a digest in an object's name
_FOLDERS = {"date": "date={0}", "year": "year={0.year:04d}", "month": "month={0.month:02d}", "day": "day={0.day:02d}"}
_MONTHS = 4  # up to this many months are searched one by one, longer ranges by year


def part_name(revision: int) -> str:
    """Return the file name of a revision, as `part-00000.parquet`."""
    return f"part-{revision:05d}.parquet"


def part_file(path: Path, digest: str) -> Path:
    """Return the file of a revision that its manifest calls `path`.

    In a folder it is `path`, replaced in one step. In an object store the file's name also contains its digest, so a
    manifest, which is written last, never refers to the rows of a later revision.
    """
    if backend.of(path).overwrites or not PART.fullmatch(path.name):
        return path
    return path.with_name(f"{path.stem}-{digest[:DIGITS]}{path.suffix}")


def dataset_folder(root: Path, contract: Contract) -> Path:
    """Return the folder of a dataset."""
    return root / contract.layer / contract.dataset


def partition_folder(root: Path, contract: Contract, session: date, group: str | None) -> Path:
    """Return the folder of one session, and of one group if the dataset has groups."""
    if (group is None) == ("feature_group" in contract.partition_by):
        raise LakeError(f"{contract.label}: group is {group!r}; its groups are {sorted(contract.groups) or 'none'}")
    below = () if group is None else (f"feature_group={group}",)
    keys = [key for key in contract.partition_by if key != "feature_group"]
    if unknown := [key for key in keys if key not in _FOLDERS]:
        raise LakeError(f"{contract.label}: unknown partition key {unknown[0]!r}")
    # One `joinpath` per session keeps whole histories fast.
    return root.joinpath(contract.layer, contract.dataset, *(_FOLDERS[key].format(session) for key in keys), *below)


def committed_sessions(
    root: Path, contract: Contract, group: str | None, start: date | None = None, end: date | None = None
) -> Iterator[date]:
    """Yield the sessions with a committed partition from `start` to `end`, both included, in no particular order.

    Folders without a valid date are ignored. Only the months or years of the range are searched, so the cost grows with
    the range, not with the history.
    """
    tail = SUCCESS if group is None else f"feature_group={group}/{SUCCESS}"
    folder = dataset_folder(root, contract)
    for days in _day_patterns("date" in contract.partition_by, start, end):
        for path in backend.of(folder).find(folder, f"{days}/{tail}"):
            parts = Path(path).parts[: days.count("/") + 1]
            with suppress(ValueError):
                session = date.fromisoformat("-".join(_value(part) for part in parts))
                if (start or date.min) <= session <= (end or date.max):
                    yield session


def _day_patterns(dated: bool, start: date | None, end: date | None) -> list[str]:
    """Return patterns of day folders that cover every session of a range."""
    pattern = "date={}-{}-*" if dated else "year={}/month={}/day=*"
    if start is None or end is None:
        return [pattern.format("*", "*")]
    first, last = start.year * 12 + start.month - 1, end.year * 12 + end.month - 1
    if last - first < _MONTHS:
        return [pattern.format(f"{month // 12:04d}", f"{month % 12 + 1:02d}") for month in range(first, last + 1)]
    return [pattern.format(f"{year:04d}", "*") for year in range(start.year, end.year + 1)]


def present(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield the files and folders below `folder` that match, also hidden ones; `**` stands for any depth.

    A folder that a sweep removes meanwhile is skipped, where `Path.glob` would raise. `**` does not follow symbolic
    links, because the files found may be removed.
    """
    return (folder / path for path in backend.of(folder).find(folder, pattern))


def sealed_folder(root: Path, contract: Contract, year: int, group: str | None) -> Path:
    """Return the folder of a sealed year, and of one group if the dataset has groups."""
    below = () if group is None else (f"feature_group={group}",)
    return root.joinpath(contract.layer, contract.dataset, f"year={year:04d}", *below)


def sealed_name(content: str) -> str:
    """Return the file name of a sealed year with this digest of its content."""
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
    """Return whether a dataset keeps every revision of a session: published files, and scores that were acted on."""
    return contract.layer in {"raw", "predictions"}


def groups(contract: Contract) -> tuple[str | None, ...]:
    """Return the groups that a dataset is stored by, or one None if it has none."""
    return tuple(contract.groups) or (None,)


def locked(root: Path, contract: Contract) -> AbstractContextManager[None]:
    """Hold the dataset's lock: one writer at a time, also across processes. Other users cannot read a new lake."""
    return backend.of(root).locked(root, contract.name)


def _value(folder: str) -> str:
    return folder.partition("=")[2]
