"""The exchange's list of shares from the archive to the lake: its path is fixed, so any archive can be asked."""

from __future__ import annotations

from functools import partial

import polars as pl

from champion.contracts.datasets import SYMBOLS
from champion.lake import Lake
from champion.market import symbol_master
from champion.market.identity.symbol_history import SymbolHistory
from champion.market.symbol_master import VERSION, MasterOrigin
from champion.pipeline.ingest.fetch import patience
from champion.pipeline.ingest.reference_lists import RefreshResult, absent, commit
from champion.pipeline.ingest.symbol_changes import lineage
from champion.settings import Settings
from champion.sources import masters as lists
from champion.sources.download.archive import Archive, Staged

EQUITY_LIST = "content/equities/EQUITY_L.csv"


def refresh(settings: Settings) -> RefreshResult:
    """Bring the archive's list of shares into staging and lake; the same list again changes nothing.

    Raises:
        ArchiveError: the archive did not answer, or the list is not what it should be; the lake is as it was.
        ContractError: a row breaks its contract.
    """
    with Archive(settings.archive, settings.staging, patience=patience(settings)) as archive:
        staged = archive.fetch_list(EQUITY_LIST)
    if staged is None:
        return absent(settings.archive, EQUITY_LIST)
    lake = Lake(settings.lake)
    known = lineage(lake)
    made_from = {"list": staged.sha256, "lineage": known.digest, "masters": VERSION}
    return commit(lake, SYMBOLS, staged, EQUITY_LIST, made_from, partial(_read, known=known))


def _read(staged: Staged, known: SymbolHistory) -> pl.DataFrame:
    rows = lists.parse_equity_list(staged.name, staged.path.read_bytes())
    return symbol_master.normalize(rows, known, MasterOrigin(lists.SOURCE, staged.sha256, staged.fetched_at))
