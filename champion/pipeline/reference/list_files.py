"""Sort the files of index lists: the date of each, its versions, and which files have no date that can be right.

A list has no date inside. The date is that of the copy's folder, or that of the download if the exchange served the
list. A file of today's name in a folder may be of any day, so it is not used.

Files of one index and date are versions of one list. The last one counts. Each earlier one counts until the next one
was read, and a correction is known from the time of its reading, not before.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from operator import attrgetter
from pathlib import PurePosixPath

from champion.base.clock import INDIA
from champion.market.reference.indices.index_lists import ListFile
from champion.sources.download.archive import Staged
from champion.sources.lists.index_list import index_names

FOLDER = "content/indices"
COPIES = f"{FOLDER}/snapshots"
PATTERNS = f"{FOLDER}/ind_*list.csv", f"{COPIES}/*/ind_*list.csv"
"""Of the paths of lists: under the exchange's address, and of dated copies."""
LOOKED_AT = PATTERNS[0], f"{COPIES}/*/[!.]*"
"""Of the paths in a folder that are lists or must be named as refused: an unknown name is never passed over."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d")  # `date.fromisoformat` reads weeks and other forms too
Withdrawn = Collection[tuple[str, date, str]]
"""Index, date and digest of each list that a user withdrew."""


@dataclass(frozen=True, slots=True)
class Version:
    """One file of a list: its date, whether it corrects an earlier file, and when a later file corrected it."""

    staged: Staged
    list_date: date
    is_correction: bool
    replaced_at: datetime | None

    @property
    def file(self) -> ListFile:
        """The file, as normalization needs it."""
        served = is_served(self.staged)
        dated = None if served else self.list_date
        staged = self.staged
        return ListFile(staged.name, staged.sha256, staged.fetched_at, dated, served, self.is_correction)

    @property
    def label(self) -> str:
        """What distinguishes this version from others of its list."""
        return f"{self.staged.sha256} {self.is_correction} {self.replaced_at}"


def is_served(staged: Staged) -> bool:
    """Return whether the exchange served the file; otherwise it is from a folder."""
    return staged.origin.startswith(("http://", "https://"))


def path_of(staged: Staged) -> str:
    """Return the path of a file in the archive."""
    return staged.origin[staged.origin.index(FOLDER) :]


def index_of(staged: Staged) -> str:
    """Return the index of a list by the name of its file; empty if no list has this name."""
    name = staged.name.lower()
    return next((known.index_name for known in index_names() if known.file.lower() == name), "")


def copy_date(path: str, read_on: date) -> date:
    """Return the date of a list in a folder, by its path; `read_on` is the date in India on which it is read.

    >>> copy_date("content/indices/snapshots/2024-03-20/ind_nifty50list.csv", date(2024, 4, 1))
    datetime.date(2024, 3, 20)
    >>> copy_date("content/indices/snapshots/2024-03-20/IND_NIFTY50LIST.CSV", date(2024, 4, 1))
    Traceback (most recent call last):
    ValueError: its name is of no index list. Name it as the exchange does: ind_nifty50list.csv

    Raises:
        ValueError: the path gives no date that can be right; the message says what to do.
    """
    if not path.startswith(f"{COPIES}/"):
        raise ValueError(
            "a file in a folder does not say of which day it is, so it is not used. Put it into "
            f"{COPIES}/YYYY-MM-DD/, under the day on which it was downloaded"
        )
    if not PurePosixPath(path).match(PATTERNS[1]):
        name = path.rpartition("/")[2]
        letters = re.sub(r"[\s_-]|\(\d+\)", "", name.lower())
        near = [known.file for known in index_names() if known.file.lower().replace("_", "") == letters]
        raise ValueError(f"its name is of no index list. Name it as the exchange does{_named(near)}")
    return folder_date(path, read_on)


def _named(near: list[str]) -> str:
    return f": {near[0]}" if near else f", such as {index_names()[0].file}"


def folder_date(path: str, read_on: date) -> date:
    """Return the date of a copy of a list, by the name of its folder; `read_on` is the date in India of its reading.

    >>> folder_date("content/fo/snapshots/2024-03-20/fo_mktlots.csv", date(2024, 4, 1))
    datetime.date(2024, 3, 20)

    Raises:
        ValueError: the folder's name is no date such as 2024-03-20, or is later than `read_on`.
    """
    folder = path.rsplit("/", 2)[-2]
    day = None
    with suppress(ValueError):
        day = date.fromisoformat(folder) if _DATE.fullmatch(folder) else None
    if day is None:
        raise ValueError(f"its folder {folder!r} is no date such as 2024-03-20; name it after the day of the download")
    if day > read_on:
        raise ValueError(f"its folder is dated {day}, after the day on which it was read ({read_on}); correct the date")
    return day


def list_date(staged: Staged) -> date:
    """Return the date of a list in staging.

    Raises:
        ValueError: it has none that can be right; see `copy_date`.
    """
    read_on = staged.fetched_at.astimezone(INDIA).date()
    return read_on if is_served(staged) else copy_date(path_of(staged), read_on)


def versions(copies: Iterable[Staged], withdrawn: Withdrawn = ()) -> Mapping[date, list[Version]]:
    """Return the versions of all lists by date, in order, those of one list in the order of reading.

    Withdrawn files, and files without a date that can be right, are left out. Their dates are there, perhaps without a
    version: an earlier version of Champion may have used the files under these dates.
    """
    found: dict[date, dict[str, list[Staged]]] = {}
    for staged in sorted(copies, key=attrgetter("fetched_at", "sha256")):
        try:
            day = list_date(staged)
        except ValueError:
            found.setdefault(_former_date(staged), {})
            continue
        files = found.setdefault(day, {}).setdefault(staged.name.lower(), [])
        is_repeated = bool(files) and files[-1].sha256 == staged.sha256
        if not is_repeated and (index_of(staged), day, staged.sha256) not in withdrawn:
            files.append(staged)
    return {day: [one for files in found[day].values() for one in _in_turn(day, files)] for day in sorted(found)}


def _in_turn(day: date, files: list[Staged]) -> Iterable[Version]:
    for place, staged in enumerate(files):
        later = files[place + 1 : place + 2]
        yield Version(staged, day, place > 0, later[0].fetched_at if later else None)


def _former_date(staged: Staged) -> date:
    """Return the date under which an earlier version of Champion used a file whose date cannot be right."""
    try:
        return date.fromisoformat(path_of(staged).rsplit("/", 2)[-2])
    except ValueError:
        return staged.fetched_at.astimezone(INDIA).date()
