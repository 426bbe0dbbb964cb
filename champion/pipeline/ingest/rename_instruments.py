"""Rename instruments in the lake after a late symbol change."""

from collections.abc import Iterator
from datetime import date

from champion.base.progress import Progress, silent
from champion.lake import Lake
from champion.market.identity.symbol_history import SymbolHistory
from champion.pipeline.ingest.datasets import LISTS, PUBLICATIONS, dataset_spec
from champion.pipeline.ingest.fetch import FetchedFile, staged
from champion.pipeline.ingest.ingest import IngestResult, ingest
from champion.pipeline.ingest.symbol_changes import NO_NAMES, names_by_session, symbol_history
from champion.settings import Settings
from champion.sources.table import Publication


def rename_instruments(settings: Settings, progress: Progress = silent) -> IngestResult:
    """Ingest the sessions again, from their staged files, whose instruments have outdated names.

    A symbol change, from the exchange's list or from the bars of other sessions, renames instruments in later sessions
    only. If no name is outdated, this reads symbols and manifests and writes nothing.

    Returns the counts of the sessions that were ingested again.
    """
    return ingest(Lake(settings.lake), outdated_files(settings), progress)


def outdated_files(settings: Settings) -> list[FetchedFile]:
    """Return the staged files of the sessions with outdated instrument names."""
    lake = Lake(settings.lake)
    outdated = _outdated(lake, symbol_history(lake))
    return [file for publication, session in outdated for file in staged(settings, session, session, (publication,))]


def outdated_sessions(lake: Lake, history: SymbolHistory) -> list[date]:
    """Return the sessions in whose partitions instruments have other names than in the symbol history."""
    return sorted({session for _, session in _outdated(lake, history)})


def _outdated(lake: Lake, history: SymbolHistory) -> Iterator[tuple[Publication, date]]:
    for publication in (*PUBLICATIONS, *LISTS):
        spec = dataset_spec(publication)
        names = names_by_session(lake, spec, history)
        for session in lake.sessions(spec.normalized):
            manifest = lake.manifest(spec.normalized, session)
            if manifest and manifest.current.inputs.get("names") != names.get(session, NO_NAMES):
                yield publication, session
