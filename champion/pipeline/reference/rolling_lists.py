"""Load lots and index histories: lists that keep one name while their contents change, or that people put in a folder.

Lots are at one address; dated copies of them may lie in `content/fo/snapshots/2024-03-20/fo_mktlots.csv` of the archive
or of the folder of lists (`Settings.lists`). Index histories are downloaded by hand from the index provider
(niftyindices.com, historical data) and put into `indices/history/` of one of the two. Every version stays in staging
with the time of its first reading.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import groupby
from operator import attrgetter

import polars as pl

from champion.base.counting import quantity
from champion.contracts.datasets import INDEX_HISTORY, LOTS
from champion.errors import FormatError
from champion.lake import Lake
from champion.market.identity.symbol_history import SymbolHistory
from champion.market.reference import lots, rolling_lists
from champion.market.reference.rolling_lists import VERSION, ListOrigin
from champion.pipeline.ingest.reference_lists import (
    RefreshResult,
    absent,
    commit,
    fetch_matching,
    kept_lists,
    refusal,
    staging_folders,
)
from champion.pipeline.ingest.symbol_changes import refresh_named, symbol_history
from champion.pipeline.reference import refused_lists
from champion.pipeline.reference.list_files import folder_date
from champion.settings import Settings
from champion.sources.download.archive import Staged, set_aside
from champion.sources.lists import fo_lots, index_history

LOTS_PATH = "content/fo/fo_mktlots.csv"
COPIES = "content/fo/snapshots/*/fo_mktlots.csv"
HISTORIES = "indices/history/*.csv"
_RULES: Mapping[str, str] = {"lots": VERSION}


def refresh_lots(settings: Settings) -> RefreshResult:
    """Fetch the list of lots, and dated copies of it, into staging and lake; unchanged ones change nothing.

    A malformed copy is set aside; the others are loaded.

    Raises:
        ArchiveError: the archive did not answer, or the current list is malformed.
    """
    rows, copies, refused = _refresh_copies(settings)
    try:
        current = refresh_named(settings, LOTS, LOTS_PATH, lambda *_: _RULES, _lots)
    except FormatError as error:
        refused_lists.record(settings, [*refused, refusal(LOTS_PATH, error)])
        raise
    refused_lists.record(settings, refused)
    outcome = "written" if rows else current.outcome
    if current.outcome == "absent" and copies:
        outcome = "written" if rows else "already"
    note = f"{current.note}; {quantity(copies, 'dated copy', 'dated copies')} in the lake" if copies else current.note
    note += f"; {quantity(len(refused), 'file')} refused" if refused else ""
    return RefreshResult(outcome, current.rows + rows, note, tuple(refused))


def _refresh_copies(settings: Settings) -> tuple[int, int, list[str]]:
    """Load the dated copies; return the written rows, the number of copies, and the path and error of each bad one."""
    _, refused = fetch_matching(settings, COPIES)
    lake, latest = Lake(settings.lake), dict[date, Staged]()
    folders = staging_folders(settings)
    served = {staged.session for staged in kept_lists(folders, LOTS_PATH)}  # precede a copy of the same date
    for staged in sorted(kept_lists(folders, COPIES), key=attrgetter("fetched_at")):
        try:
            day = folder_date(_path(staged), staged.session)
            latest |= {} if day in served else {day: staged}  # a later version of a copy replaces the earlier one
        except ValueError as error:
            refused.append(refusal(_path(staged), error))
    history, rows, loaded = symbol_history(lake) if latest else SymbolHistory(), 0, 0
    for day, staged in sorted(latest.items()):
        made_from = {"list": staged.sha256, "lineage": history.digest, **_RULES}
        try:
            found = commit(lake, LOTS, replace(staged, session=day), _path(staged), made_from, _reader(history, day))
        except FormatError as error:
            refused.append(refusal(_path(staged), error))
            continue
        loaded += 1
        rows += found.rows if found.outcome == "written" else 0
    return rows, loaded, refused


def _path(staged: Staged) -> str:
    """Return the path of a copy of lots in the archive."""
    return "/".join(staged.origin.rsplit("/", 5)[1:])


def _reader(history: SymbolHistory, day: date) -> Callable[[Staged], pl.DataFrame]:
    return lambda staged: rolling_lists.lots(
        fo_lots.parse(staged.name, staged.path.read_bytes()),
        history,
        replace(_origin(staged, fo_lots.SOURCE), dated=day),
    )


def refresh_histories(settings: Settings) -> RefreshResult:
    """Load the index histories of the archive and of the folder of lists into the lake.

    A malformed file is set aside and named in `refused`; the others are loaded, and `note` has both numbers.

    Raises:
        ArchiveError: the archive did not answer.
    """
    lake, (names, refused) = Lake(settings.lake), fetch_matching(settings, HISTORIES)
    rows = 0
    kept = kept_lists(staging_folders(settings), HISTORIES)
    for day, group in groupby(sorted(kept, key=attrgetter("session", "fetched_at", "sha256")), attrgetter("session")):
        files = list({staged.sha256: staged for staged in group}.values())
        if lake.is_current(INDEX_HISTORY, day, _inputs(files)):
            continue
        read = dict[Staged, pl.DataFrame]()
        for staged in files:
            try:
                read[staged] = _history(staged)
            except FormatError as error:
                set_aside(staged, [f"indices/history/{staged.name}"])
                refused.append(refusal(f"indices/history/{staged.name}", error))
        if read and lake.write(INDEX_HISTORY, day, pl.concat(read.values()), _inputs(list(read))):
            rows += lake.rows(INDEX_HISTORY, day, day)
    refused_lists.record(settings, refused)
    bad = {each.partition(": ")[0] for each in refused}
    good = quantity(len({*names} - bad), "file")
    rest = f"; {quantity(len(bad), 'file')} refused" if bad else ""
    if rows:
        return RefreshResult("written", rows, f"{quantity(rows, 'row')} of {good}{rest}", (*refused,))
    if not names and not refused:
        return absent(settings, HISTORIES)
    return RefreshResult("already", lake.rows(INDEX_HISTORY), f"{good} in the lake{rest}", (*refused,))


def covered(lake: Lake, sessions: Sequence[date]) -> dict[str, tuple[str, int, date | None, date | None, int | None]]:
    """Return for lots and index histories: dataset, number of versions, first and last covered date, and gaps.

    Gaps are the `sessions` between both dates on which no list of lots counts, or that no history has.
    """
    spans = lots.covered(lake.scan(LOTS).select("list_date", "expiry_month").collect())
    held = {*lake.scan(INDEX_HISTORY).select(pl.col("trade_date").unique()).collect()["trade_date"]}
    counted = {day for day in sessions if any(first <= day <= last for first, last in spans)}
    edges = {
        LOTS: (spans[0][0], spans[-1][1], counted) if spans else None,
        INDEX_HISTORY: (min(held), max(held), held) if held else None,
    }
    found = {}
    for name, dataset in (("F&O lots", LOTS), ("index histories", INDEX_HISTORY)):
        span = edges[dataset]
        gaps = sum(span[0] <= day <= span[1] and day not in span[2] for day in sessions) if span else None
        found[name] = (dataset, len(lake.sessions(dataset)), *(span[:2] if span else (None, None)), gaps)
    return found


def _inputs(files: Sequence[Staged]) -> dict[str, str]:
    return {"list": " ".join(staged.sha256 for staged in files), "index_history": VERSION}


def _lots(staged: Staged, history: SymbolHistory, **_: object) -> pl.DataFrame:
    return rolling_lists.lots(
        fo_lots.parse(staged.name, staged.path.read_bytes()), history, _origin(staged, fo_lots.SOURCE)
    )


def _history(staged: Staged) -> pl.DataFrame:
    parsed = index_history.parse(staged.name, staged.path.read_bytes())
    return rolling_lists.index_history(parsed, _origin(staged, index_history.SOURCE))


def _origin(staged: Staged, source: str) -> ListOrigin:
    return ListOrigin(source, staged.sha256, staged.fetched_at)
