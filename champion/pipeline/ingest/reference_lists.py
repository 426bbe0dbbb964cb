"""Reference lists that the exchange updates under one name; each version is a partition by date of first reading."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Literal

import polars as pl

from champion.base.clock import INDIA
from champion.base.counting import quantity
from champion.errors import FormatError
from champion.lake import Lake
from champion.sources.download import staging_records
from champion.sources.download.archive import Staged, set_aside

Reader = Callable[[Staged], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """The outcome for a list: 'written', 'already' in the lake, or 'absent' from the archive; `note` is a sentence."""

    outcome: Literal["written", "already", "absent"]
    rows: int
    note: str


def commit(
    lake: Lake, name: str, staged: Staged, path: str, made_from: Mapping[str, str], read: Reader
) -> RefreshResult:
    """Commit the frame that `read` makes of a list, unless the lake has it from the same inputs.

    `path` is the list's path in the archive. The partition is the date in India on which the list was first read. A
    second list on the same date replaces the first in the lake; staging keeps both.

    Raises:
        FormatError: `read` refuses the list. It is kept as evidence, and the previous list counts again.
    """
    if lake.is_current(name, staged.session, made_from):
        rows = lake.rows(name, staged.session, staged.session)
        return RefreshResult("already", rows, f"{staged.name} is in the lake")
    try:
        frame = read(staged)
    except FormatError:
        set_aside(staged, [path])
        raise
    lake.write(name, staged.session, frame, made_from)
    return RefreshResult("written", frame.height, f"{staged.name}: {quantity(frame.height, 'row')}")


def kept_lists(folders: Sequence[Path], pattern: str) -> Iterator[Staged]:
    """Yield every intact version of every list in staging, with the date of first reading in India as session.

    `pattern` is a pattern of paths in the archive, as `corporates/CF-CA-equities-*.csv`.
    """
    for folder in folders:
        for record in sorted(folder.glob(f"{pattern.removesuffix('.csv')}.json")):
            for kept in staging_records.read(record):
                staged = kept.staged(record, date.min)
                if kept.is_intact(staged.path):
                    yield replace(staged, session=staged.fetched_at.astimezone(INDIA).date())


def absent(archive: str, path: str) -> RefreshResult:
    """Return the result for a list that the archive does not have."""
    return RefreshResult("absent", 0, f"{archive} has no {path}: the lake is unchanged")
