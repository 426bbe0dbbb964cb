"""The exchange's list of symbol changes to the lake, and the lineage of instruments that it and the bars make."""

from __future__ import annotations

from datetime import date

import polars as pl

from champion import contracts
from champion.envelope import stamp_list
from champion.identity import Lineage, digest, listings, successions
from champion.lake import Lake
from champion.normalize import EQUITY_SERIES
from champion.pipeline.datasets import Filling
from champion.pipeline.fetch import patience
from champion.pipeline.lists import Refreshed, absent, commit
from champion.settings import Settings
from champion.sources import actions as lists
from champion.sources.archive import Archive, Staged

CHANGES, RAW = "normalized_symbol_changes", "raw_equity_ohlc"
NO_NAMES = digest({})
PATH = "content/equities/symbolchange.csv"
SOURCE = "nse_symbol_changes"
BORNE = {"symbol": pl.col("TckrSymb"), "series": pl.col("SctySrs"), "isin": pl.col("ISIN"), "session": pl.col("TradDt")}


def refresh(settings: Settings) -> Refreshed:
    """Bring the archive's list of symbol changes into staging and lake; the same list again changes nothing.

    Raises:
        ArchiveError: the archive did not answer, or the list is not what it should be; the lake is as it was.
    """
    with Archive(settings.archive, settings.staging, patience=patience(settings)) as archive:
        staged = archive.fetch_list(PATH)
    if staged is None:
        return absent(settings.archive, PATH)
    return commit(Lake(settings.lake), CHANGES, staged, PATH, {"list": staged.sha256}, _read)


def lineage(lake: Lake, arriving: pl.DataFrame | None = None) -> Lineage:
    """Return the lineage that the latest list tells, mended by what the raw rows of company shares show.

    `arriving` are rows on their way into the lake: symbol, series, isin, session.
    """
    lists_read = lake.sessions(CHANGES)
    latest = lake.scan(CHANGES, lists_read[-1]).collect() if lists_read else None
    known = Lineage() if latest is None else Lineage.of(latest)
    raw = lake.scan(RAW).select(**BORNE)
    rows = raw if arriving is None else pl.concat([raw, arriving.lazy().select(list(BORNE))])
    return known.learning_from(successions(listings(rows.filter(pl.col("series").is_in(EQUITY_SERIES)))))


def names_by_session(lake: Lake, fills: Filling, known: Lineage) -> dict[date, str]:
    """Return the digest of the names that the lineage gives to the raw symbols of each session; see `identity.digest`.

    Sessions whose symbols were never renamed are left out: theirs is `NO_NAMES`.
    """
    if fills.symbol is None:
        return {}
    session = contracts.load(fills.raw).session
    touched = lake.scan(fills.raw).filter(pl.col(fills.symbol).is_in(known.touched))
    by_session = touched.group_by(session).agg(fills.symbol).collect()
    return {day: digest(known.names(borne, day)) for day, borne in by_session.rows()}


def _read(staged: Staged) -> pl.DataFrame:
    changes = lists.parse_symbol_changes(staged.name, staged.path.read_bytes()).unique(maintain_order=True)
    dated = changes.with_columns(list_date=pl.lit(staged.session), source_sha256=pl.lit(staged.sha256))
    contract, read_at = contracts.load(CHANGES), pl.lit(staged.fetched_at)
    return stamp_list(dated, contract, source=pl.lit(SOURCE), read_at=read_at, entity="after")
