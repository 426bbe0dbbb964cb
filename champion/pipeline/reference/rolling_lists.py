"""Load lots and index histories: lists that keep one name while their contents change, or that people put in a folder.

Lots are at one address. Index histories are downloaded by hand from the index provider (niftyindices.com, historical
data) and put into `indices/history/` of the archive or of the folder of lists (`Settings.lists`). Every version stays
in staging with the time of its first reading.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

import polars as pl

from champion.base.counting import quantity
from champion.contracts.datasets import INDEX_HISTORY, LOTS
from champion.errors import FormatError
from champion.lake import Lake
from champion.market.identity.symbol_history import SymbolHistory
from champion.market.reference import rolling_lists
from champion.market.reference.rolling_lists import VERSION
from champion.pipeline.ingest.reference_lists import RefreshResult, absent, kept_lists
from champion.pipeline.ingest.symbol_changes import refresh_named
from champion.settings import Settings
from champion.sources.download.archive import Archive, Staged, set_aside
from champion.sources.lists import fo_lots, index_history

LOTS_PATH = "content/fo/fo_mktlots.csv"
HISTORIES = "indices/history/*.csv"


def refresh_lots(settings: Settings) -> RefreshResult:
    """Fetch the list of lots into staging and lake; an unchanged list changes nothing.

    Raises:
        ArchiveError: the archive did not answer, or the list is malformed; the lake is unchanged.
    """
    return refresh_named(settings, LOTS, LOTS_PATH, lambda *_: {"lots": VERSION}, _lots)


def refresh_histories(settings: Settings) -> RefreshResult:
    """Load the index histories of the archive or of the folder of lists into the lake.

    A malformed file is set aside; the others are loaded.

    Raises:
        ArchiveError: the archive did not answer.
        FormatError: files are malformed; the message names each of them.
    """
    lake, where = Lake(settings.lake), settings.lists or settings.archive
    with Archive(where, settings.staging / "lists" if settings.lists else settings.staging) as archive:
        names = archive.names(HISTORIES)
        for name in names:
            archive.fetch_list(name)
    rows, refused = 0, list[str]()
    kept = kept_lists([settings.staging, settings.staging / "lists"], HISTORIES)
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
                refused.append(str(error))
        if read and lake.write(INDEX_HISTORY, day, pl.concat(read.values()), _inputs(list(read))):
            rows += lake.rows(INDEX_HISTORY, day, day)
    if refused:
        raise FormatError("; ".join(refused))
    if rows:
        return RefreshResult("written", rows, f"{quantity(rows, 'row')} of {quantity(len(names), 'file')}")
    if not names:
        return absent(where, HISTORIES)
    return RefreshResult("already", lake.rows(INDEX_HISTORY), f"{quantity(len(names), 'file')} in the lake")


def index_values(lake: Lake, index: str) -> pl.DataFrame:
    """Return the history of an index by its id, as NSE:NIFTY 500, from all files in the lake; empty without files."""
    return rolling_lists.merged_history(lake.scan(INDEX_HISTORY).collect(), index)


def _inputs(files: Sequence[Staged]) -> dict[str, str]:
    return {"list": " ".join(staged.sha256 for staged in files), "index_history": VERSION}


def _lots(staged: Staged, history: SymbolHistory, **_: object) -> pl.DataFrame:
    return rolling_lists.lots(
        fo_lots.parse(staged.name, staged.path.read_bytes()), history, _origin(staged, fo_lots.SOURCE)
    )


def _history(staged: Staged) -> pl.DataFrame:
    parsed = index_history.parse(staged.name, staged.path.read_bytes())
    return rolling_lists.index_history(parsed, _origin(staged, index_history.SOURCE))


def _origin(staged: Staged, source: str) -> rolling_lists.ListOrigin:
    return rolling_lists.ListOrigin(source, staged.sha256, staged.fetched_at)
