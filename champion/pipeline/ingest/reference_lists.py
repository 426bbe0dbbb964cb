"""Reference lists that the exchange updates under one name; each version is a partition by date of first reading."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Literal

import polars as pl

from champion.base.clock import INDIA
from champion.base.counting import quantity
from champion.errors import FormatError
from champion.lake import Lake
from champion.pipeline.ingest.fetch import lists_staging, retry_policy
from champion.settings import Settings
from champion.sources.download import staging_records
from champion.sources.download.archive import Archive, Staged, set_aside
from champion.sources.download.transport import canonical

Reader = Callable[[Staged], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """The outcome for a list: 'written', 'already' in the lake, or 'absent' from the archive; `note` is a sentence.

    `refused` has the path and error of each malformed file.
    """

    outcome: Literal["written", "already", "absent"]
    rows: int
    note: str
    refused: tuple[str, ...] = ()


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

    `pattern` is a pattern of paths in the archive, as `corporates/CF-CA-equities-*.csv`. The same file in several
    folders counts once, from its first reading in any of them.
    """
    found = dict[tuple[Path, str], list[Staged]]()
    for folder in folders:
        here = dict[tuple[Path, str], list[Staged]]()
        for record in sorted(folder.glob(Path(pattern).with_suffix(".json").as_posix())):
            for kept in staging_records.read(record):
                staged = kept.staged(record, date.min)
                if kept.is_intact(staged.path):
                    here.setdefault((record.relative_to(folder), kept.sha256), []).append(staged)
        for key, versions in here.items():
            if key not in found or versions[0].fetched_at < found[key][0].fetched_at:
                found[key] = versions
    for staged in (version for versions in found.values() for version in versions):
        yield replace(staged, session=staged.fetched_at.astimezone(INDIA).date())


@contextmanager
def list_archives(settings: Settings) -> Iterator[list[Archive]]:
    """Yield the places that may have lists: the archive, then the folder of lists (`Settings.lists`), if any."""
    with ExitStack() as opened:
        archive = Archive(settings.archive, settings.staging, patience=retry_policy(settings))
        folder = folder_of_lists(settings)
        yield [opened.enter_context(place) for place in (archive, folder) if place is not None]


def folder_of_lists(settings: Settings) -> Archive | None:
    """Return the folder of lists (`Settings.lists`), which has its own staging; None if it is not set or the archive.

    Raises:
        UsageError: there is no such folder.
    """
    if settings.lists is None or canonical(settings.lists) == canonical(settings.archive):
        return None
    return Archive(settings.lists, lists_staging(settings), patience=retry_policy(settings), setting="CHAMPION_LISTS")


def fetch_matching(settings: Settings, pattern: str) -> tuple[list[str], list[str]]:
    """Fetch all matching lists of archive and folder of lists; return the paths, and each refused one with its error.

    An archive behind a URL cannot be listed, so none of its lists matches.

    Raises:
        ArchiveUnavailable: a place did not answer.
    """
    found, refused = dict[str, None](), list[str]()
    with list_archives(settings) as archives:
        for archive in archives:
            for name in archive.names(pattern):
                found[name] = None
                try:
                    archive.fetch_list(name)
                except FormatError as error:
                    refused.append(refusal(name, error))
    return list(found), refused


def refusal(path: str, error: Exception) -> str:
    """Return path and error of a refused list; an error that begins with the file's name loses it."""
    reason = str(error).removeprefix(f"{path}: ").removeprefix(f"{path.rpartition('/')[2]}: ")
    return f"{path}: {reason}"


def staging_folders(settings: Settings) -> list[Path]:
    """Return the folders that may hold lists: that of the archive and that of a separate folder of lists."""
    return [settings.staging, lists_staging(settings)]


def absent(settings: Settings, path: str) -> RefreshResult:
    """Return the result for a list that neither the archive nor the folder of lists has."""
    places = dict.fromkeys([settings.archive, settings.lists or settings.archive])
    without = f"neither {' nor '.join(places)} has" if len(places) > 1 else f"{settings.archive} has no"
    return RefreshResult("absent", 0, f"{without} {path}: the lake is unchanged")
