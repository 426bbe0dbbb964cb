"""Load index lists and changes of indices into the lake, and derive members and sectors.

1. Files are fetched into staging, which keeps every version: the lists under their one address, dated copies of them
   (`content/indices/snapshots/2024-03-20/ind_nifty500list.csv`), the register and the table of press-release changes.
2. A partition of constituents holds the lists of one date, and one of changes the files first read on one date.
3. A list is requested again after six hours. One that the exchange serves unchanged leaves a confirmation, so that its
   members are covered until today. A file in a folder proves nothing about today.
4. Members and sectors are derived from all of them, under the date of the last list.

A file that is malformed is set aside and named in the note; the others are loaded. A missing list stops nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from itertools import groupby
from operator import attrgetter
from typing import TypeAlias

import polars as pl

from champion import contracts
from champion.base import clock
from champion.base.counting import quantity
from champion.contracts.datasets import BARS, CONSTITUENTS, INDEX_CHANGES, INDEX_MEMBERS, SECTORS
from champion.errors import FormatError
from champion.lake import Lake
from champion.market.identity.symbol_history import SymbolHistory
from champion.market.reference.indices.index_lists import (
    LIST_SOURCE,
    REGISTER_SOURCE,
    RELEASES_SOURCE,
    VERSION,
    ListFile,
    confirmations,
    evidence,
    normalize_changes,
    normalize_list,
    normalize_members,
    normalize_sectors,
)
from champion.market.reference.indices.membership import VERSION as MEMBERS_VERSION, memberships
from champion.market.reference.indices.sectors import VERSION as SECTORS_VERSION, industry_periods
from champion.market.reference.indices.traded import Traded
from champion.pipeline.ingest.reference_lists import RefreshResult, kept_lists, lists_archive, refusal, staging_folders
from champion.pipeline.ingest.symbol_changes import share_runs, symbol_history
from champion.settings import Settings
from champion.sources.download.archive import Staged, set_aside
from champion.sources.lists.index_changes import parse_changes
from champion.sources.lists.index_list import index_names, parse_index_list
from champion.sources.lists.index_register import parse_register

FOLDER = "content/indices"
LISTS, COPIES = f"{FOLDER}/ind_*list.csv", f"{FOLDER}/snapshots/*/ind_*list.csv"
REGISTER, RELEASES = f"{FOLDER}/IndexInclExcl.xlsx", f"{FOLDER}/index_changes.csv"
_CHANGE_FILES: Mapping[str, tuple[str, Callable[[str, bytes], pl.DataFrame]]] = {
    REGISTER: (REGISTER_SOURCE, parse_register),
    RELEASES: (RELEASES_SOURCE, parse_changes),
}
_ASKED_LATELY = timedelta(hours=6)
_Read: TypeAlias = Callable[[Staged], pl.DataFrame]


@dataclass(slots=True)
class _Refresh:
    """One refresh: what was written, and the reason of each refused file."""

    lake: Lake
    history: SymbolHistory
    written: int = 0
    refused: list[str] = field(default_factory=list)


def refresh(settings: Settings) -> RefreshResult:
    """Load all index lists, register and changes of the archive into the lake, and derive members and sectors.

    They come from the archive or from the folder of lists (`Settings.lists`); files that were read before are used too.
    If nothing changed, only the confirmation of today is written.

    Raises:
        ArchiveError: the archive did not answer; the lake is unchanged.
        ContractError: a row breaks its contract.
    """
    where, lake = settings.lists or settings.archive, Lake(settings.lake)
    one = _Refresh(lake, symbol_history(lake))
    served = _fetch(one, settings)
    folders = staging_folders(settings)
    copies = [*kept_lists(folders, LISTS), *kept_lists(folders, COPIES)]
    _commit_lists(one, copies)
    _commit_changes(one, [staged for path in _CHANGE_FILES for staged in kept_lists(folders, path)], served)
    derive(lake)
    refused = f"; {quantity(len(one.refused), 'file')} refused" if one.refused else ""
    if not copies:
        return RefreshResult("absent", 0, f"{where} has no {LISTS}: the lake is unchanged{refused}", (*one.refused,))
    note = f"{quantity(len(served), 'index list')} served, {quantity(len(copies), 'version')} in the lake{refused}"
    return RefreshResult("written" if one.written else "already", one.written, note, (*one.refused,))


def refused_files(settings: Settings) -> list[str]:
    """Return the paths of index lists and changes that were refused, and have no readable version since."""
    found = set[str]()
    for folder in staging_folders(settings):
        for path in folder.glob(f"{FOLDER}/**/*.refused-*"):
            accepted = path.with_name(path.name.rpartition(".refused-")[0])
            if not accepted.exists():
                found.add(accepted.relative_to(folder).as_posix())
    return sorted(found)


def derive(lake: Lake) -> None:
    """Commit members and sectors from all lists and changes in the lake, unless they are up to date."""
    if not (read := lake.sessions(CONSTITUENTS)):
        return
    last = read[-1]
    lists, changes = evidence(lake.scan(CONSTITUENTS).collect(), lake.scan(INDEX_CHANGES).collect())
    bars = traded(lake)
    inputs = {"lists": lake.digest(CONSTITUENTS), "changes": lake.digest(INDEX_CHANGES), "traded": bars.digest(lists)}
    versions = {INDEX_MEMBERS: MEMBERS_VERSION, SECTORS: SECTORS_VERSION}
    if all(lake.is_current(name, last, inputs | {"rules": version}) for name, version in versions.items()):
        return
    found, read_at = memberships(lists, changes, traded=bars), clock.now()
    frames = {
        INDEX_MEMBERS: normalize_members(found, last, read_at),
        SECTORS: normalize_sectors(industry_periods(lists, found.set_aside, traded=bars), last, read_at),
    }
    for name, frame in frames.items():
        lake.write(name, last, frame, inputs | {"rules": versions[name]})


def traded(lake: Lake) -> Traded:
    """Return what the bars in the lake say about the securities of lists."""
    sessions = lake.sessions(BARS)
    return Traded(share_runs(lake, symbol_history(lake)), sessions) if sessions else Traded.nothing()


def _fetch(one: _Refresh, settings: Settings) -> dict[str, Staged]:
    """Fetch all files into staging; return the current lists that the exchange, not a folder, served, by path."""
    served = {}
    with lists_archive(settings) as archive:
        patterns = (LISTS, COPIES, *_CHANGE_FILES)
        listed = [path for pattern in patterns for path in archive.names(pattern)]
        # An archive behind a URL cannot be listed: ask for the lists that it is known to have.
        for path in listed or _due(one.lake):
            try:
                staged = archive.fetch_list(path)
            except FormatError as error:
                one.refused.append(refusal(path, error))
                continue
            if staged and _is_served(staged) and path.count("/") == FOLDER.count("/") + 1 and path not in _CHANGE_FILES:
                served[path] = staged
    return served


def _due(lake: Lake) -> list[str]:
    """Return the paths of the lists to request: those that the exchange has not served within the last hours.

    A run that fails and starts again must not request 35 lists again.
    """
    since, today = clock.now() - _ASKED_LATELY, clock.today()
    late = pl.col("known_at") >= since
    constituents = lake.scan(CONSTITUENTS, today - timedelta(1)).filter(late & pl.col("as_of_from").is_not_null())
    confirmed = lake.scan(INDEX_CHANGES, today - timedelta(1)).filter(late & (pl.col("source") == LIST_SOURCE))
    names = pl.concat([rows.select("index_name") for rows in (constituents, confirmed)])
    served = {*names.unique().collect()["index_name"]}
    return [f"{FOLDER}/{known.file}" for known in index_names() if known.index_name not in served]


def _file(staged: Staged) -> ListFile:
    folder = staged.origin.rsplit("/", 2)[-2]
    dated = None
    with suppress(ValueError):  # the folder of a current list is no date
        dated = date.fromisoformat(folder)
    return ListFile(staged.name, staged.sha256, staged.fetched_at, dated, dated is None and _is_served(staged))


def _is_served(staged: Staged) -> bool:
    return staged.origin.startswith(("http://", "https://"))


def _path(staged: Staged) -> str:
    """Return the path of a list in the archive."""
    return staged.origin[staged.origin.index(FOLDER) :]


def _commit_lists(one: _Refresh, copies: Sequence[Staged]) -> None:
    dated = sorted(((_file(staged).list_date, staged.name, staged.fetched_at, staged) for staged in copies), key=_order)
    for day, group in groupby(dated, key=lambda each: each[0]):
        latest = {name: staged for _, name, _, staged in group}  # a list replaces an earlier one of the same date

        def read(staged: Staged) -> pl.DataFrame:
            rows = parse_index_list(staged.name, staged.path.read_bytes())
            return normalize_list(rows, one.history, _file(staged))

        inputs = {"lineage": one.history.digest, "rules": VERSION}
        _commit(one, CONSTITUENTS, day, list(latest.values()), inputs, read)


def _order(each: tuple[date, str, datetime, Staged]) -> tuple[date, str, datetime]:
    return each[:3]


def _commit(
    one: _Refresh, name: str, day: date, files: Iterable[Staged], inputs: Mapping[str, str], read: _Read,
    kept: pl.DataFrame | None = None,
) -> None:  # fmt: skip
    """Commit the rows of files, and `kept`, as the partition of a date; set malformed files aside."""
    whole = list(files)
    while True:
        made_from = {"list": " ".join(staged.sha256 for staged in whole), **inputs}
        if one.lake.is_current(name, day, made_from):
            return
        frames, bad = [] if kept is None else [kept], []
        for staged in whole:
            try:
                frames.append(read(staged))
            except FormatError as error:
                set_aside(staged, [_path(staged)])
                one.refused.append(refusal(_path(staged), error))
                bad.append(staged)
        if not bad:
            break
        whole = [staged for staged in whole if staged not in bad]
    if not whole and (kept is None or kept.is_empty()) and not one.lake.sessions(name, day, day):
        return  # every file of the date was refused, and nothing was there before
    contract = contracts.load(name)
    rows = pl.concat(frames).unique(list(contract.key), keep="last", maintain_order=True) if frames else None
    if rows is not None:
        one.lake.write(name, day, contract.conform(rows), made_from)
        one.written += rows.height


def _commit_changes(one: _Refresh, files: Sequence[Staged], served: Mapping[str, Staged]) -> None:
    """Commit the changes of each file under the date of its first reading, and today's confirmations."""

    def read(staged: Staged) -> pl.DataFrame:
        source, parse = _CHANGE_FILES[_path(staged)]
        return normalize_changes(parse(staged.name, staged.path.read_bytes()), one.history, source, _file(staged))

    latest = {staged.name: staged for staged in sorted(files, key=attrgetter("fetched_at"))}  # the last one holds all
    by_day = {day: list(of_day) for day, of_day in groupby(
        sorted(latest.values(), key=attrgetter("session", "name")), key=attrgetter("session"))}  # fmt: skip
    now = clock.now()
    today = now.astimezone(clock.INDIA).date()
    unchanged = _confirmed(one.lake, served)
    for day in sorted({*by_day, *([today] if unchanged else [])}):
        held = one.lake.scan(INDEX_CHANGES, day, day).filter(pl.col("source") == LIST_SOURCE).collect()
        if day == today and unchanged:
            new = confirmations(unchanged, now).join(held, on=["index_name", "subject"], how="anti")
            held = pl.concat([held, new])
        seen = sha256(repr(held.select("index_name", "subject").sort("index_name", "subject").rows()).encode())
        inputs = {"lineage": one.history.digest, "rules": VERSION, "seen": seen.hexdigest()}
        _commit(one, INDEX_CHANGES, day, by_day.get(day, []), inputs, read, held)


def _confirmed(lake: Lake, served: Mapping[str, Staged]) -> dict[str, str]:
    """Return the digest of each list that was served today and is in the lake, by index."""
    digests = {staged.sha256 for staged in served.values()}
    rows = lake.scan(CONSTITUENTS).filter(pl.col("source_sha256").is_in(sorted(digests)))
    return dict(rows.select("index_name", "source_sha256").unique().sort("index_name").collect().iter_rows())
