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

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from hashlib import sha256
from itertools import groupby
from operator import attrgetter
from typing import TypeAlias

import polars as pl

from champion import contracts, workspace
from champion.base import clock
from champion.base.counting import quantity
from champion.contracts.datasets import (
    BARS,
    CONSTITUENTS,
    CONTRADICTIONS,
    INDEX_CHANGES,
    INDEX_MEMBERS,
    REVISIONS,
    SECTORS,
)
from champion.errors import ArchiveUnavailable, FormatError, UsageError
from champion.lake import Lake
from champion.market.identity.symbol_history import SymbolHistory
from champion.market.reference import company_names
from champion.market.reference.indices.index_lists import (
    LIST_SOURCE,
    REGISTER_SOURCE,
    RELEASES_SOURCE,
    VERSION,
    ListFile,
    confirmations,
    evidence,
    normalize_changes,
    normalize_contradictions,
    normalize_list,
    normalize_members,
    normalize_revision,
    normalize_sectors,
)
from champion.market.reference.indices.membership import VERSION as MEMBERS_VERSION, memberships
from champion.market.reference.indices.sectors import VERSION as SECTORS_VERSION, industry_periods
from champion.market.reference.indices.traded import Traded
from champion.pipeline.ingest.reference_lists import (
    RefreshResult,
    absent,
    kept_lists,
    list_archives,
    refusal,
    staging_folders,
)
from champion.pipeline.ingest.symbol_changes import share_runs, symbol_history
from champion.pipeline.reference import list_files, refused_lists, withdrawals
from champion.pipeline.reference.list_files import FOLDER, Version
from champion.settings import Settings
from champion.sources.download.archive import Archive, Staged, set_aside
from champion.sources.lists.index_changes import parse_changes
from champion.sources.lists.index_list import canonical_index, index_names, parse_index_list
from champion.sources.lists.index_register import parse_register

REGISTER, RELEASES = f"{FOLDER}/IndexInclExcl.xlsx", f"{FOLDER}/index_changes.csv"
_CHANGE_FILES: Mapping[str, tuple[str, Callable[[str, bytes], pl.DataFrame]]] = {
    REGISTER: (REGISTER_SOURCE, parse_register),
    RELEASES: (RELEASES_SOURCE, parse_changes),
}
_DERIVED = {INDEX_MEMBERS: MEMBERS_VERSION, SECTORS: SECTORS_VERSION, CONTRADICTIONS: MEMBERS_VERSION}
"""What is derived from lists and changes, with the version of its rules."""
_SHOWN = 3
_ASKED_LATELY = timedelta(hours=6)
_Read: TypeAlias = Callable[[Staged], pl.DataFrame]


@dataclass(slots=True)
class _Refresh:
    """One refresh: what was written, and the reason of each refused file."""

    lake: Lake
    history: SymbolHistory
    written: int = 0
    refused: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Fetched:
    """The lists that the exchange served, the paths in folders (None without a folder), and failed requests."""

    served: dict[str, Staged] = field(default_factory=dict)
    listed: set[str] | None = None
    unanswered: list[str] = field(default_factory=list)


def refresh(settings: Settings) -> RefreshResult:
    """Load all index lists, register and changes of the archive into the lake, and derive members and sectors.

    They come from the archive and the folder of lists (`Settings.lists`); files that were read before are used too.
    If nothing changed, only the confirmation of today is written.

    Raises:
        ArchiveError: the archive did not answer; the lake is unchanged.
        ContractError: a row breaks its contract.
    """
    lake = Lake(settings.lake)
    one = _Refresh(lake, symbol_history(lake))
    fetched, folders = _fetch(one, settings), staging_folders(settings)
    copies = _copies(settings)
    _commit_lists(one, copies)
    changes = [staged for path in _CHANGE_FILES for staged in kept_lists(folders, path)]
    _commit_changes(one, changes, fetched.served)
    derive(lake)
    refused_lists.record(settings, one.refused)
    parts = [f"{quantity(len(one.refused), 'file')} refused"] if one.refused else []
    parts += [*_vanished(lake, copies, fetched.listed), *fetched.unanswered]
    if not copies:
        note = "; ".join([absent(settings, list_files.PATTERNS[0]).note, *parts])
        return RefreshResult("absent", 0, note, (*one.refused,))
    served = quantity(len(fetched.served), "index list")
    note = "; ".join([f"{served} served, {quantity(len(copies), 'version')} in staging", *parts])
    return RefreshResult("written" if one.written else "already", one.written, note, (*one.refused,))


def withdraw(settings: Settings, index: str, day: date, reason: str, who: str, *, digest: str = "") -> str:
    """Record that a list of an index counts no longer, derive the members without it, and return what was done.

    Members and sectors are then those of a lake that never had the list, for every `known`. Its file stays in staging,
    and a refresh does not load it again. After a crash, the next call or refresh completes what is missing.

    Raises:
        UsageError: there is no such list, several files match, or the reason or the name is empty.
    """
    return _decide(settings, index, day, withdrawals.WITHDRAW, (reason, who, digest))


def reinstate(settings: Settings, index: str, day: date, reason: str, who: str, *, digest: str = "") -> str:
    """Record that a withdrawn list counts again, derive the members with it, and return what was done.

    Raises:
        UsageError: there is no such withdrawn list, or staging has lost its file.
    """
    done = _decide(settings, index, day, withdrawals.REINSTATE, (reason, who, digest))
    lists = (Lake(settings.lake).scan(name, day, day).select("index_name") for name in (CONSTITUENTS, REVISIONS))
    if pl.concat(lists).filter(index_name=canonical_index(index)).collect().is_empty():
        raise UsageError(f"{done}, but staging has no file of it: put the file into {list_files.COPIES}/{day}/ again")
    return done


def _decide(settings: Settings, index: str, day: date, decision: str, why: tuple[str, str, str]) -> str:
    lake = Lake(settings.lake)
    done = withdrawals.decide(lake, canonical_index(index), day, decision, *why)
    _commit_lists(_Refresh(lake, symbol_history(lake)), _copies(settings))
    derive(lake)
    return done


def _copies(settings: Settings) -> list[Staged]:
    """Return every version of every list in staging."""
    return [staged for pattern in list_files.PATTERNS for staged in kept_lists(staging_folders(settings), pattern)]


def _vanished(lake: Lake, copies: Sequence[Staged], listed: Collection[str] | None) -> list[str]:
    """Return a sentence about the lists that count although their files are no longer in the folder; none for a URL."""
    if listed is None:
        return []
    counted = [
        each
        for of_day in list_files.versions(copies, withdrawals.withdrawn(lake)).values()
        for each in of_day
        if each.replaced_at is None and not list_files.is_served(each.staged)
    ]
    gone = [each for each in counted if list_files.path_of(each.staged) not in listed]
    if not gone:
        return []
    names = [f"{list_files.index_of(each.staged)} {each.list_date}" for each in gone]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    note = (
        f"{quantity(len(gone), 'list')} no longer in the folder, but still used: {', '.join(names[:_SHOWN])}{more}; "
        "put the files back, or run `champion lists withdraw INDEX DATE --reason TEXT`"
    )
    return [note]


def derive(lake: Lake) -> None:
    """Commit members, sectors and contradictions from all lists and changes in the lake, unless they are up to date."""
    lists, changes = evidence(lake.scan(CONSTITUENTS).collect(), lake.scan(INDEX_CHANGES).collect())
    last = lists.select(pl.col("list_date").max()).item()
    _empty_after(lake, last)
    if last is None:
        return
    bars, names = traded(lake), workspace.instrument_names(lake, lists, changes)
    inputs = {"lists": lake.digest(CONSTITUENTS), "changes": lake.digest(INDEX_CHANGES)}
    found_names = company_names.resolved(changes, lists, names, bars)
    inputs["traded"] = bars.digest(lists, [instrument for _, instrument in found_names])
    if found_names:
        inputs["names"] = sha256(repr(found_names).encode()).hexdigest()
    if all(lake.is_current(name, last, inputs | {"rules": version}) for name, version in _DERIVED.items()):
        return
    found, read_at, today = memberships(lists, changes, traded=bars, names=names), clock.now(), clock.today()
    # A change is announced weeks before its date. Until then another one may follow, so no later date is covered.
    covered = {index: (start, max(start, min(end, today))) for index, (start, end) in found.covered.items()}
    found = replace(found, covered=covered)
    frames = {
        INDEX_MEMBERS: normalize_members(found, last, read_at),
        SECTORS: normalize_sectors(industry_periods(lists, found.set_aside, traded=bars), last, read_at),
        CONTRADICTIONS: normalize_contradictions(found, last, read_at),
    }
    for name, frame in frames.items():
        lake.write(name, last, frame, inputs | {"rules": _DERIVED[name]})


def _empty_after(lake: Lake, last: date | None) -> None:
    """Empty what was derived under dates after the last list, because that list was withdrawn or had a wrong date."""
    for name in _DERIVED:
        later = [day for day in lake.sessions(name) if last is None or day > last]
        for day in [day for day in later if lake.rows(name, day, day)]:
            lake.write(name, day, pl.DataFrame(schema=contracts.load(name).polars_schema), {"lists": "none"})


def traded(lake: Lake) -> Traded:
    """Return what the bars in the lake say about the securities of lists."""
    sessions = lake.sessions(BARS)
    return Traded(share_runs(lake, symbol_history(lake)), sessions) if sessions else Traded.nothing()


def _fetch(one: _Refresh, settings: Settings) -> _Fetched:
    """Fetch all files into staging; a list in a folder without a date that can be right is refused.

    If the archive does not answer and there is a folder of lists, the lists of the folder are loaded nevertheless.
    """
    found = _Fetched()
    with list_archives(settings) as archives:
        for archive in archives:
            try:
                _fetch_from(archive, one, found)
            except ArchiveUnavailable as error:
                if len(archives) == 1:
                    raise
                found.unanswered.append(str(error))
    return found


def _fetch_from(archive: Archive, one: _Refresh, found: _Fetched) -> None:
    paths = [path for pattern in (*list_files.LOOKED_AT, *_CHANGE_FILES) for path in archive.names(pattern)]
    if archive.is_remote:  # it cannot be listed: ask for the lists that it is known to have
        paths = _due(one.lake)
    else:
        found.listed = (found.listed or set()).union(paths)
    for path in paths:
        try:
            if not archive.is_remote and path not in _CHANGE_FILES:
                list_files.copy_date(path, clock.today())
            staged = archive.fetch_list(path)
        except (FormatError, ValueError) as error:
            one.refused.append(refusal(path, error))
            continue
        if staged and list_files.is_served(staged):
            found.served[path] = staged


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


def _commit_lists(one: _Refresh, copies: Sequence[Staged]) -> None:
    """Commit the lists of each date and what they replaced; after a malformed file, the one before it counts."""
    withdrawn = withdrawals.withdrawn(one.lake)
    while True:
        bad = list[Staged]()
        for day, found in list_files.versions(copies, withdrawn).items():
            for name in (REVISIONS, CONSTITUENTS):  # the present version last: until then, the earlier one counts
                bad += _commit_versions(
                    one, name, day, [each for each in found if (each.replaced_at is None) == (name == CONSTITUENTS)]
                )
        if not bad:
            break
        copies = [staged for staged in copies if staged not in bad]

    for index, day, digest in withdrawn:
        for name in (REVISIONS, CONSTITUENTS):  # of a file that staging has lost
            rows = one.lake.scan(name, day, day).collect()
            kept = rows.filter((pl.col("index_name") != index) | (pl.col("source_sha256") != digest))
            if kept.height < rows.height:
                made_from = {"list": " ".join(kept["source_sha256"].unique().sort()), "without": digest}
                one.lake.write(name, day, kept, made_from)


def _commit_versions(one: _Refresh, name: str, day: date, found: Sequence[Version]) -> list[Staged]:
    """Commit files of a date as a partition; return the malformed ones, for which nothing is committed."""
    contract = contracts.load(name)
    made_from = {"list": " ".join(each.staged.sha256 for each in found), "lineage": one.history.digest}
    made_from["rules"] = VERSION
    if any(each.is_correction or each.replaced_at for each in found):
        made_from["versions"] = sha256(repr([each.label for each in found]).encode()).hexdigest()
    if one.lake.is_current(name, day, made_from) or not (found or one.lake.rows(name, day, day)):
        return []
    frames, bad = _read_all(one, ((each.staged, partial(_lines, one.history, each)) for each in found))
    if not bad:
        rows = pl.concat([pl.DataFrame(schema=contract.polars_schema), *map(contract.conform, frames)])
        one.lake.write(name, day, rows.unique(list(contract.key), keep="last", maintain_order=True), made_from)
        one.written += max(1, rows.height)
    return bad


def _read_all(
    one: _Refresh, files: Iterable[tuple[Staged, Callable[[], pl.DataFrame]]]
) -> tuple[list[pl.DataFrame], list[Staged]]:
    """Return the rows of files, and the malformed files, which are set aside."""
    frames, bad = list[pl.DataFrame](), list[Staged]()
    for staged, read in files:
        try:
            frames.append(read())
        except FormatError as error:
            set_aside(staged, [list_files.path_of(staged)])
            one.refused.append(refusal(list_files.path_of(staged), error))
            bad.append(staged)
    return frames, bad


def _lines(history: SymbolHistory, version: Version) -> pl.DataFrame:
    rows = parse_index_list(version.staged.name, version.staged.path.read_bytes())
    if version.replaced_at is None:
        return normalize_list(rows, history, version.file)
    return normalize_revision(rows, history, version.file, version.replaced_at)


def _commit(
    one: _Refresh, name: str, day: date, files: Iterable[Staged], inputs: Mapping[str, str], read: _Read,
    kept: pl.DataFrame,
) -> None:  # fmt: skip
    """Commit the rows of files, and `kept`, as the partition of a date; set malformed files aside."""
    whole = list(files)
    while True:
        made_from = {"list": " ".join(staged.sha256 for staged in whole), **inputs}
        if one.lake.is_current(name, day, made_from):
            return
        frames, bad = _read_all(one, ((staged, partial(read, staged)) for staged in whole))
        if not bad:
            break
        whole = [staged for staged in whole if staged not in bad]
    if not whole and kept.is_empty() and not one.lake.sessions(name, day, day):
        return  # every file of the date was refused, and nothing was there before
    contract = contracts.load(name)
    rows = pl.concat([kept, *frames]).unique(list(contract.key), keep="last", maintain_order=True)
    one.lake.write(name, day, contract.conform(rows), made_from)
    one.written += rows.height


def _commit_changes(one: _Refresh, files: Sequence[Staged], served: Mapping[str, Staged]) -> None:
    """Commit the changes of each file under the date of its first reading, and today's confirmations."""

    def read(staged: Staged) -> pl.DataFrame:
        source, parse = _CHANGE_FILES[list_files.path_of(staged)]
        file = ListFile(staged.name, staged.sha256, staged.fetched_at)
        return normalize_changes(parse(staged.name, staged.path.read_bytes()), one.history, source, file)

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
