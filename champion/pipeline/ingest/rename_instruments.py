"""Instruments named anew where a symbol change was learned of late."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from champion.base.progress import Progress, silent
from champion.lake import Lake
from champion.market.identity.symbol_history import SymbolHistory
from champion.pipeline.ingest.datasets import PUBLICATIONS, dataset_spec
from champion.pipeline.ingest.fetch import FetchedFile, staged
from champion.pipeline.ingest.ingest import IngestResult, ingest
from champion.pipeline.ingest.symbol_changes import NO_NAMES, lineage, names_by_session
from champion.settings import Settings
from champion.sources.publications import Publication


def rename_instruments(settings: Settings, progress: Progress = silent) -> IngestResult:
    """Make those sessions anew, from their staged files, whose symbols the lineage now names otherwise.

    A symbol change, whether the exchange's list or the bars of other sessions tell it, changes names in the sessions
    after it, and in those alone. With nothing learned this reads symbols and manifests and writes nothing.

    Returns the account of the sessions made anew.
    """
    return ingest(Lake(settings.lake), outdated_names(settings), progress)


def outdated_names(settings: Settings) -> list[FetchedFile]:
    """Return the staged files whose instruments bear other names in the lake than the lineage gives them."""
    found: list[FetchedFile] = []
    lake = Lake(settings.lake)
    for publication, session in _outdated(lake, lineage(lake)):
        found += staged(settings, session, session, (publication,))
    return found


def outdated(lake: Lake, known: SymbolHistory) -> list[date]:
    """Return the sessions in whose partitions instruments have other names than the lineage gives them."""
    return sorted({session for _, session in _outdated(lake, known)})


def _outdated(lake: Lake, known: SymbolHistory) -> Iterator[tuple[Publication, date]]:
    for publication in PUBLICATIONS:
        fills = dataset_spec(publication)
        names = names_by_session(lake, fills, known)
        for session in lake.sessions(fills.normalized):
            manifest = lake.manifest(fills.normalized, session)
            if manifest and manifest.current.inputs.get("names") != names.get(session, NO_NAMES):
                yield publication, session
