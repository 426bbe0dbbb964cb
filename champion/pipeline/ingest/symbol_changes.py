"""Load the exchange's list of symbol changes, and derive the symbol history from it and the bars.

A symbol may return after a long gap with another ISIN and another price. It is the same security if the list of shares
gives a listing date before the gap, or if a corporate action in the gap changes the face value or the capital.
"""

from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache, partial

import polars as pl

from champion import contracts
from champion.contracts.datasets import ACTIONS, CHANGES, RAW_BARS, SYMBOLS
from champion.lake import Lake
from champion.market.envelope import stamp_list
from champion.market.equity_bars import EQUITY_SERIES
from champion.market.identity.succession import Contradiction, Explains, Run
from champion.market.identity.symbol_history import JOINED_LATER, SymbolHistory, digest, listings, securities
from champion.pipeline.ingest.datasets import DatasetSpec
from champion.pipeline.ingest.reference_lists import RefreshResult, absent, commit, list_archives
from champion.settings import Settings
from champion.sources import actions as lists
from champion.sources.download.archive import Staged

NO_NAMES = digest({})
PATH = "content/equities/symbolchange.csv"
SOURCE = "nse_symbol_changes"
SYMBOL_ROWS = {
    "symbol": pl.col("TckrSymb"),
    "series": pl.col("SctySrs"),
    "isin": pl.col("ISIN"),
    "session": pl.col("TradDt"),
    "prev_close": pl.col("PrvsClsgPric").cast(pl.Float64, strict=False),
    "close": pl.col("ClsPric").cast(pl.Float64, strict=False),
}
"""Symbol, series, ISIN, session and prices from the columns of a bhavcopy, as published or typed."""
_RECAST = ("split", "consolidation", "capital_reduction", "scheme", "demerger", "bonus")
"""Kinds of corporate action after which a share may have another ISIN and another price."""


def refresh(settings: Settings) -> RefreshResult:
    """Fetch the archive's list of symbol changes into staging and lake; an unchanged list changes nothing.

    Raises:
        ArchiveError: the archive did not answer, or the list is malformed; the lake is unchanged.
    """
    if (staged := _fetch_list(settings, PATH)) is None:
        return absent(settings, PATH)
    return commit(Lake(settings.lake), CHANGES, staged, PATH, {"list": staged.sha256}, _read)


def refresh_named(
    settings: Settings,
    name: str,
    path: str,
    version: Callable[[Lake, Staged], Mapping[str, str]],
    read: Callable[..., pl.DataFrame],
) -> RefreshResult:
    """Fetch a list whose rows name symbols into staging and lake; an unchanged list changes nothing.

    `read(staged, lake=..., history=...)` returns its rows, with the instruments that the symbol history names.
    `version` names the rules of `read` and what else in the lake it uses.

    Raises:
        ArchiveError: the archive did not answer, or the list is malformed; the lake is unchanged.
    """
    if (staged := _fetch_list(settings, path)) is None:
        return absent(settings, path)
    lake = Lake(settings.lake)
    history = symbol_history(lake)
    made_from = {"list": staged.sha256, "lineage": history.digest, **version(lake, staged)}
    return commit(lake, name, staged, path, made_from, partial(read, lake=lake, history=history))


def _fetch_list(settings: Settings, path: str) -> Staged | None:
    """Return the list of the archive, or else that of the folder of lists; None if neither has one."""
    with list_archives(settings) as archives:
        return next((staged for archive in archives if (staged := archive.fetch_list(path))), None)


def symbol_history(lake: Lake, new_rows: pl.DataFrame | None = None) -> SymbolHistory:
    """Return the symbol history from the latest list and the raw rows of company shares; rows have precedence.

    `new_rows` are rows that are about to be ingested: symbol, series, isin, session, prev_close and close.
    """
    return review_history(lake, new_rows)[0]


def share_runs(lake: Lake, history: SymbolHistory) -> pl.DataFrame:
    """Return the runs of all company shares, as `symbol_runs.listings` does, with instrument_id by the history."""
    runs = _stored_runs(lake, lake.digest(RAW_BARS))
    spans = runs.select("symbol", "first").rows()
    return runs.with_columns(pl.Series("instrument_id", [history.instrument(*span) for span in spans], pl.String))


def review_history(lake: Lake, new_rows: pl.DataFrame | None = None) -> tuple[SymbolHistory, tuple[Contradiction, ...]]:
    """Return the symbol history, and the evidence against it: wrong rows of the list, mistyped ISINs."""
    if new_rows is None:
        return _review(lake, tuple(lake.digest(name) for name in (RAW_BARS, CHANGES, SYMBOLS, ACTIONS)))
    new = new_rows.lazy().select(list(SYMBOL_ROWS))
    return _against(lake, _runs(pl.concat([lake.scan(RAW_BARS).select(**SYMBOL_ROWS), new])))


@lru_cache(1)
def _review(lake: Lake, digests: tuple[str, ...]) -> tuple[SymbolHistory, tuple[Contradiction, ...]]:
    """Return history and contradictions; a night asks for them once for each list, and the lake's bars are the same."""
    return _against(lake, _stored_runs(lake, digests[0]))


@lru_cache(1)
def _stored_runs(lake: Lake, _digest: str) -> pl.DataFrame:
    """Return the runs of the raw bars: 80% of the time of a review. New lists leave them as they are."""
    return _runs(lake.scan(RAW_BARS).select(**SYMBOL_ROWS))


def _runs(rows: pl.LazyFrame) -> pl.DataFrame:
    return listings(rows.filter(pl.col("series").is_in(EQUITY_SERIES)))


def _against(lake: Lake, runs: pl.DataFrame) -> tuple[SymbolHistory, tuple[Contradiction, ...]]:
    lists_read = lake.sessions(CHANGES)
    listed = SymbolHistory() if not lists_read else SymbolHistory.of(lake.scan(CHANGES, lists_read[-1]).collect())
    return listed.review(securities(runs, _explains(lake)))


def _explains(lake: Lake) -> Explains:
    """Return a function that decides from the lists whether a symbol that returns is the same security."""
    listed_on: dict[str, date] = {}
    if days := lake.sessions(SYMBOLS):
        shares = lake.scan(SYMBOLS, days[-1]).select("symbol", "isin", "listed_on").drop_nulls().collect()
        listed_on = {f"{symbol} {isin}": day for symbol, isin, day in shares.iter_rows()}
    recast: dict[str, set[date]] = {}
    if lake.sessions(ACTIONS):
        actions = lake.scan(ACTIONS).filter(pl.col("kind").is_in(_RECAST))
        for *symbols, ex_date in actions.select("symbol", "listed_symbol", "ex_date").unique().collect().iter_rows():
            for symbol in symbols:
                recast.setdefault(symbol, set()).add(ex_date)

    def explains(before: Run, after: Run) -> bool:
        listed = listed_on.get(f"{after.symbol} {after.isin}", date.max)
        return listed <= before.last or any(before.last < day <= after.first for day in recast.get(after.symbol, ()))

    return explains


def names_by_session(
    lake: Lake, spec: DatasetSpec, history: SymbolHistory, start: date | None = None, end: date | None = None
) -> dict[date, str]:
    """Return the digest of the instrument names of each session's symbols; see `symbol_history.digest`.

    Sessions whose symbols were never renamed, and are in no series that joined the series of shares later, are left
    out; their digest is `NO_NAMES`. `start` and `end` are included.
    """
    if spec.symbol is None:
        return {}
    session, symbol = contracts.load(spec.raw).session, pl.col(spec.symbol)
    series = pl.lit(None, pl.String) if spec.series is None else pl.col(spec.series)
    concerned = symbol.is_in(history.changed_symbols) | series.is_in(JOINED_LATER)
    rows = lake.scan(spec.raw, start, end).filter(concerned).group_by(session)
    by_session = rows.agg(symbol, series.unique().alias("_series")).collect()
    return {day: digest(history.names(symbols, day), found) for day, symbols, found in by_session.rows()}


def _read(staged: Staged) -> pl.DataFrame:
    changes = lists.parse_symbol_changes(staged.name, staged.path.read_bytes()).unique(maintain_order=True)
    return stamp_list(
        changes,
        contracts.load(CHANGES),
        source=pl.lit(SOURCE),
        read_at=pl.lit(staged.fetched_at),
        entity="after",
        list_date=staged.session,
        sha256=staged.sha256,
    )
