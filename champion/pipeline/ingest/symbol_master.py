"""Load the exchange's list of shares, which every archive has under one path."""

from functools import partial

import polars as pl

from champion.contracts.datasets import SYMBOLS
from champion.lake import Lake
from champion.market import symbol_master
from champion.market.identity.symbol_history import SymbolHistory
from champion.pipeline.ingest.fetch import retry_policy
from champion.pipeline.ingest.reference_lists import RefreshResult, absent, commit
from champion.pipeline.ingest.symbol_changes import symbol_history
from champion.settings import Settings
from champion.sources import masters as lists
from champion.sources.download.archive import Archive, Staged

EQUITY_LIST = "content/equities/EQUITY_L.csv"


def refresh(settings: Settings) -> RefreshResult:
    """Fetch the archive's list of shares into staging and lake; an unchanged list changes nothing.

    Raises:
        ArchiveError: the archive did not answer, or the list is malformed; the lake is unchanged.
        ContractError: a row breaks its contract.
    """
    with Archive(settings.archive, settings.staging, patience=retry_policy(settings)) as archive:
        staged = archive.fetch_list(EQUITY_LIST)
    if staged is None:
        return absent(settings.archive, EQUITY_LIST)
    lake = Lake(settings.lake)
    history = symbol_history(lake)
    made_from = {"list": staged.sha256, "lineage": history.digest, "masters": symbol_master.VERSION}
    return commit(lake, SYMBOLS, staged, EQUITY_LIST, made_from, partial(_read, history=history))


def _read(staged: Staged, history: SymbolHistory) -> pl.DataFrame:
    rows = lists.parse_equity_list(staged.name, staged.path.read_bytes())
    return symbol_master.normalize(rows, history, lists.SOURCE, staged.sha256, staged.fetched_at)
