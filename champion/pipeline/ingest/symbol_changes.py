"""The exchange's list of symbol changes to the lake, and the lineage of instruments that it and the bars make.

Other lists can explain why a symbol returns after a long gap with another ISIN and another price: the list of shares,
where it names a date of listing before the gap, and a corporate action in the gap that changes the face value or the
capital.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from champion import contracts
from champion.contracts.datasets import ACTIONS, CHANGES, RAW_BARS, SYMBOLS
from champion.lake import Lake
from champion.market.envelope import stamp_list
from champion.market.equity_bars import EQUITY_SERIES
from champion.market.identity.succession import Contradiction, Explains, Run
from champion.market.identity.symbol_history import SymbolHistory, digest, listings, securities
from champion.pipeline.ingest.datasets import DatasetSpec
from champion.pipeline.ingest.fetch import patience
from champion.pipeline.ingest.reference_lists import RefreshResult, absent, commit
from champion.settings import Settings
from champion.sources import actions as lists
from champion.sources.download.archive import Archive, Staged

NO_NAMES = digest({})
PATH = "content/equities/symbolchange.csv"
SOURCE = "nse_symbol_changes"
BORNE = {
    "symbol": pl.col("TckrSymb"),
    "series": pl.col("SctySrs"),
    "isin": pl.col("ISIN"),
    "session": pl.col("TradDt"),
    "prev_close": pl.col("PrvsClsgPric").cast(pl.Float64),
    "close": pl.col("ClsPric").cast(pl.Float64),
}
_RECAST = ("split", "consolidation", "capital_reduction", "scheme", "demerger", "bonus")
"""Kinds of corporate action after which a share may have another ISIN and another price."""


def refresh(settings: Settings) -> RefreshResult:
    """Bring the archive's list of symbol changes into staging and lake; the same list again changes nothing.

    Raises:
        ArchiveError: the archive did not answer, or the list is not what it should be; the lake is as it was.
    """
    with Archive(settings.archive, settings.staging, patience=patience(settings)) as archive:
        staged = archive.fetch_list(PATH)
    if staged is None:
        return absent(settings.archive, PATH)
    return commit(Lake(settings.lake), CHANGES, staged, PATH, {"list": staged.sha256}, _read)


def lineage(lake: Lake, arriving: pl.DataFrame | None = None) -> SymbolHistory:
    """Return the lineage of the latest list and of the raw rows of company shares; where they disagree, of the rows.

    `arriving` are rows on their way into the lake: the columns of `BORNE`.
    """
    return reviewed(lake, arriving)[0]


def reviewed(lake: Lake, arriving: pl.DataFrame | None = None) -> tuple[SymbolHistory, tuple[Contradiction, ...]]:
    """Return the lineage, and all evidence that it does not follow: wrong rows of the list, mistyped ISINs."""
    lists_read = lake.sessions(CHANGES)
    listed = SymbolHistory() if not lists_read else SymbolHistory.of(lake.scan(CHANGES, lists_read[-1]).collect())
    raw = lake.scan(RAW_BARS).select(**BORNE)
    rows = raw if arriving is None else pl.concat([raw, arriving.lazy().select(list(BORNE))])
    shares = rows.filter(pl.col("series").is_in(EQUITY_SERIES))
    return listed.review(securities(listings(shares), _explains(lake)))


def _explains(lake: Lake) -> Explains:
    """Return whether a list in the lake says that a symbol which returns is the same security."""
    listed_on: dict[str, date] = {}
    if days := lake.sessions(SYMBOLS):
        shares = lake.scan(SYMBOLS, days[-1]).select("symbol", "isin", "listed_on").drop_nulls().collect()
        listed_on = {f"{symbol} {isin}": day for symbol, isin, day in shares.iter_rows()}
    recast: dict[str, set[date]] = {}
    if lake.sessions(ACTIONS):
        some = lake.scan(ACTIONS).filter(pl.col("kind").is_in(_RECAST))
        for names in some.select("symbol", "listed_symbol", "ex_date").unique().collect().iter_rows():
            for symbol in names[:2]:
                recast.setdefault(symbol, set()).add(names[2])

    def explains(before: Run, after: Run) -> bool:
        listed = listed_on.get(f"{after.symbol} {after.isin}", date.max)
        return listed <= before.last or any(before.last < day <= after.first for day in recast.get(after.symbol, ()))

    return explains


def names_by_session(lake: Lake, fills: DatasetSpec, known: SymbolHistory) -> dict[date, str]:
    """Return the digest of the names that the lineage gives to the raw symbols of each session; see `identity.digest`.

    Sessions whose symbols were never renamed are left out: theirs is `NO_NAMES`.
    """
    if fills.symbol is None:
        return {}
    session = contracts.load(fills.raw).session
    touched = lake.scan(fills.raw).filter(pl.col(fills.symbol).is_in(known.changed_symbols))
    by_session = touched.group_by(session).agg(fills.symbol).collect()
    return {day: digest(known.names(borne, day)) for day, borne in by_session.rows()}


def _read(staged: Staged) -> pl.DataFrame:
    changes = lists.parse_symbol_changes(staged.name, staged.path.read_bytes()).unique(maintain_order=True)
    dated = changes.with_columns(list_date=pl.lit(staged.session), source_sha256=pl.lit(staged.sha256))
    contract, read_at = contracts.load(CHANGES), pl.lit(staged.fetched_at)
    return stamp_list(dated, contract, source=pl.lit(SOURCE), read_at=read_at, entity="after")
