"""Quarantine of lists that are refused whole: index lists, changes of indices, lots and index histories.

A part of such a file is no list: an index list without one line says that a company left, and a table of changes
without one line gives a wrong member for years. So one wrong line refuses the file, and its last readable version
counts. Files are kept in staging; the reason is a row of the quarantine, which a repeated refusal does not repeat.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path

import polars as pl

from champion import contracts
from champion.base import clock
from champion.contracts.datasets import REFUSED_LISTS
from champion.errors import UsageError
from champion.lake import Lake
from champion.pipeline.ingest.reference_lists import list_archives, staging_folders
from champion.pipeline.reference import list_files
from champion.settings import Settings
from champion.sources.download import staging_records

_PLACES = (list_files.FOLDER, "content/fo", "indices/history")
_REFUSED = re.compile(r"(\.r\d+)?\.refused-\w+$")  # a later version of a file has a number
_KEY = ["path", "source_sha256", "reason"]


def record(settings: Settings, refused: Iterable[str]) -> int:
    """Add files to the quarantine, each as `path: reason`, and return the number of new rows."""
    split = [each.partition(": ") for each in refused]
    if not split:
        return 0
    folders = staging_folders(settings)
    found = pl.DataFrame(
        [(path, _digest(folders, path), reason) for path, _, reason in split],
        dict.fromkeys(_KEY, pl.String),
        orient="row",
    )
    lake, now = Lake(settings.lake), clock.now()
    new = found.unique(maintain_order=True).join(lake.scan(REFUSED_LISTS).collect(), on=_KEY, how="anti")
    if new.height:
        today = now.astimezone(clock.INDIA).date()
        dated = new.with_columns(list_date=pl.lit(today), ingest_time=pl.lit(now).cast(pl.Datetime("ms", "UTC")))
        lake.append(REFUSED_LISTS, today, contracts.load(REFUSED_LISTS).conform(dated), once_by=_KEY)
    return new.height


def files(settings: Settings) -> dict[str, tuple[date | None, str]]:
    """Return by path the refused files that no readable version has replaced: when and why each was refused.

    They are those of staging and those in the folders of index lists. A readable version that was read before the
    refused one does not replace it. The date is None for a file that no refresh has refused yet.
    """
    folders, known = staging_folders(settings), _last_refusals(Lake(settings.lake))
    found, undated = {path for folder in folders for path in _refused_in(folder)}, set[str]()
    with suppress(UsageError), list_archives(settings) as archives:  # a folder that has moved is named by a refresh
        listed = [path for pattern in list_files.LOOKED_AT for archive in archives for path in archive.names(pattern)]
        found.update(path for path in listed if path in known)
        undated.update(path for path in listed if _has_no_date(path))
    unread = {path for path in found if not _is_replaced(folders, path, known)}
    why = (None, "run `champion lists refresh` to see why")
    return {path: known[path][1:] if path in known else why for path in sorted(unread | undated)}


def _is_replaced(folders: Iterable[Path], path: str, known: Mapping[str, tuple[datetime, date, str]]) -> bool:
    """Return whether a readable version of a path was read after its last refusal.

    Each reading writes the file again, so its time is that of the last reading.
    """
    readable = [folder / path for folder in folders]
    kept = [file.with_name(one.file) for file in readable for one in staging_records.read(file)[-1:]]
    read_at = max((file.stat().st_mtime for file in kept if file.exists()), default=None)
    if read_at is None:
        return False
    without_file = known[path][0].timestamp() if path in known else 0  # what is no such file at all is not kept
    refused_at = max((file.stat().st_mtime for file in _refused_files(folders, path)), default=without_file)
    return read_at > refused_at


def _refused_in(folder: Path) -> Iterator[str]:
    """Yield the path in the archive of each refused file in a folder of staging."""
    for place in _PLACES:
        for kept in folder.glob(f"{place}/**/*.refused-*"):
            yield kept.with_name(_REFUSED.sub("", kept.name)).relative_to(folder).as_posix()


def _has_no_date(path: str) -> bool:
    try:
        list_files.copy_date(path, clock.today())
    except ValueError:
        return True
    return False


def reasons(lake: Lake) -> dict[str, tuple[date, str]]:
    """Return the date and the reason of the last refusal of each path."""
    return {path: (day, reason) for path, (_, day, reason) in _last_refusals(lake).items()}


def _last_refusals(lake: Lake) -> dict[str, tuple[datetime, date, str]]:
    rows = lake.scan(REFUSED_LISTS).sort("ingest_time").select("path", "ingest_time", "list_date", "reason").collect()
    return {path: (at, day, reason) for path, at, day, reason in rows.iter_rows()}


def _refused_files(folders: Iterable[Path], path: str) -> list[Path]:
    return [file for folder in folders for file in (folder / path).parent.glob(f"{Path(path).name}*.refused-*")]


def _digest(folders: Iterable[Path], path: str) -> str:
    """Return the digest of the file that was refused last under a path; empty if staging has none."""
    last = max(_refused_files(folders, path), key=lambda file: file.stat().st_mtime_ns, default=None)
    return "" if last is None else sha256(last.read_bytes()).hexdigest()
