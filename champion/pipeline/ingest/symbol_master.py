"""Load the exchange's list of shares, and derive the register of all instruments from it and the bars."""

from collections.abc import Collection
from datetime import date
from hashlib import sha256

import polars as pl

from champion import workspace
from champion.contracts.datasets import BARS, CONSTITUENTS, SECTORS, SYMBOLS
from champion.errors import UsageError
from champion.lake import Lake
from champion.market import symbol_master
from champion.market.equity_bars import EQUITY_SERIES
from champion.market.identity import continuation
from champion.market.identity.symbol_history import SymbolHistory
from champion.market.reference import company_names, instrument_kind, life
from champion.market.reference.indices.sectors import UNKNOWN, sectors_on
from champion.pipeline.ingest.reference_lists import RefreshResult
from champion.pipeline.ingest.symbol_changes import refresh_named
from champion.settings import Settings
from champion.sources import masters as lists
from champion.sources.download.archive import Staged

EQUITY_LIST = "content/equities/EQUITY_L.csv"
_ID = "instrument_id"
_LISTED = ("company", "face_value")


def refresh(settings: Settings) -> RefreshResult:
    """Fetch the archive's list of shares into staging and lake; an unchanged list changes nothing.

    Raises:
        ArchiveError: the archive did not answer, or the list is malformed; the lake is unchanged.
        ContractError: a row breaks its contract.
    """
    return refresh_named(settings, SYMBOLS, EQUITY_LIST, _version, _read)


def _version(lake: Lake, staged: Staged) -> dict[str, str]:
    known = company_sectors(lake, staged.session)
    used = {"sectors": sha256(repr(known.rows()).encode()).hexdigest()} if known.height else {}
    return {"masters": symbol_master.VERSION, **used}


def _read(staged: Staged, lake: Lake, history: SymbolHistory) -> pl.DataFrame:
    rows = lists.parse_equity_list(staged.name, staged.path.read_bytes())
    known = company_sectors(lake, staged.session)
    return symbol_master.normalize(rows, history, lists.SOURCE, staged.sha256, staged.fetched_at, known)


def company_sectors(lake: Lake, day: date | None = None) -> pl.DataFrame:
    """Return instrument_id, sector and industry of each company on a date, from the index lists until then, by id.

    Without a date, from all lists. A company that no list has named by then has no row; a sector or industry that the
    lists do not give is null.
    """
    read = workspace.last_derived(lake, SECTORS)
    periods = lake.scan(SECTORS, read, read).collect()  # without a date, no partition has rows
    return _by_instrument(periods.filter(pl.col("sector_until").is_null()) if day is None else sectors_on(periods, day))


def _by_instrument(found: pl.DataFrame) -> pl.DataFrame:
    latest = found.sort("sector_from", "isin").unique(_ID, keep="last", maintain_order=True)
    known = pl.when(pl.col("sector") != UNKNOWN).then("sector").alias("sector")
    return latest.select(_ID, known, "industry").sort(_ID)


def _sectors_known_then(lake: Lake, as_of: date) -> pl.DataFrame:
    try:
        return _by_instrument(sectors_on(workspace.sectors_as_known(lake, as_of), as_of))
    except UsageError:  # no index list was known then, so no sector was
        return pl.DataFrame(schema=dict.fromkeys((_ID, "sector", "industry"), pl.String))


def register(lake: Lake, as_of: date | None = None) -> pl.DataFrame:
    """Return every instrument with bars up to `as_of`, by default up to the last session; one row each, sorted by id.

    Columns: instrument_id, symbol, series and isin (the latest), instrument_kind with its evidence, window_of (the
    instrument in which a trading window trades), company (from the latest list of shares that has it, else from the
    source in company_source: see `champion.market.reference.company_names`), face_value (rupees; from the list of
    shares), sector and industry (of the date as the index lists gave them then, or of the latest list), first_session,
    last_session, listed_on, status, status_since and is_active: see `champion.market.reference.life`. What no list
    gives is null. Bars after `as_of`, and lists first read after it, are not used.
    """
    sessions = lake.sessions(BARS, end=as_of)
    bars = lake.scan(BARS, end=as_of).group_by(_ID, "symbol", "isin", "series")
    spans = bars.agg(first_session=pl.col("trade_date").min(), trade_date=pl.col("trade_date").max()).collect()
    read = [day for day in lake.sessions(SYMBOLS) if as_of is None or day <= as_of]
    lists = lake.scan(SYMBOLS, read[0], read[-1]).collect() if read else None
    newest = None if lists is None else lists.filter(pl.col("list_date") == read[-1])
    classified = instrument_kind.with_windows(instrument_kind.classify(spans, newest))
    lifespans = spans.group_by(_ID).agg(pl.col("first_session").min(), last_session=pl.col("trade_date").max())
    # A lake may hold the sectors without the lists that they were derived from.
    derived = as_of is None or not lake.rows(CONSTITUENTS)
    of_companies = company_sectors(lake, as_of) if derived else _sectors_known_then(lake, as_of)  # type: ignore[arg-type]
    named = classified.join(_named(lake, classified, lists, as_of), on=_ID, how="left")
    named = named.join(of_companies, on=_ID, how="left").join(lifespans, on=_ID, how="left")
    return life.life(named, sessions, lists, _continued(lake, spans, classified, as_of)).sort(_ID)


def _continued(lake: Lake, spans: pl.DataFrame, classified: pl.DataFrame, as_of: date | None) -> pl.DataFrame:
    """Return the shares that went on as another instrument by a date; see `continuation.continuations`."""
    shares = classified.filter(pl.col(instrument_kind.COLUMN) == "equity").select(_ID)
    runs = spans.filter(pl.col("series").is_in(EQUITY_SERIES)).join(shares, on=_ID, how="semi")
    runs = runs.rename({"first_session": "first", "trade_date": "last"})
    each = continuation.candidates(runs)
    bars = lake.scan(BARS, end=as_of).filter(pl.col(_ID).is_in(each[_ID].unique().to_list()))
    ends = bars.sort("trade_date").group_by(_ID).agg(pl.col("prev_close").first(), pl.col("close").last()).collect()
    return continuation.continuations(runs.join(ends, on=_ID, how="left"))


def instruments(as_of: date | str | None = None, *, kinds: Collection[str] | None = None) -> pl.DataFrame:
    """Return this workspace's instruments as of a date: what each one is, and whether it trades; see `register`.

    `kinds` names the wanted ones, as `instruments("2024-01-16", kinds=("equity",))`; None means all.

    Raises:
        UsageError: one of `kinds` is not a kind.

    >>> instruments("2024-01-15").select("symbol", "first_session", "status").row(0)
    ('ACME', datetime.date(2024, 1, 15), 'active')
    """
    wanted = None if kinds is None else instrument_kind.require_kinds(kinds)
    found = register(workspace.lake(), workspace.as_date(as_of))
    return found if wanted is None else found.filter(pl.col(instrument_kind.COLUMN).is_in(wanted))


def _named(lake: Lake, instruments: pl.DataFrame, lists: pl.DataFrame | None, as_of: date | None) -> pl.DataFrame:
    """Return company, company_source and face_value by instrument: from the list of shares, else the name elsewhere."""
    listed = _latest(lists).with_columns(company_source=pl.lit(company_names.LIST_OF_SHARES))
    others = instruments.join(listed, on=_ID, how="anti")[_ID]
    sources = {name: lake.scan(name) for name in company_names.SOURCES}
    return pl.concat([listed, company_names.latest(sources, others, as_of)], how="diagonal")


def _latest(lists: pl.DataFrame | None) -> pl.DataFrame:
    """Return company and face value by instrument, from the newest list that has it."""
    if lists is None:
        return pl.DataFrame(schema={_ID: pl.String(), "company": pl.String(), "face_value": pl.Float64()})
    return lists.sort("list_date").group_by(_ID, maintain_order=True).last().select(_ID, *_LISTED)
