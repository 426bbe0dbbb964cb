"""The workspace of a notebook: its settings, its lake and its warehouse.

A notebook is an entry point. So this module reads the settings from the environment, as the command line does.
"""

import warnings
from datetime import date, datetime
from functools import cache
from typing import Any

import polars as pl

from champion.base.clock import INDIA
from champion.contracts.datasets import (
    BARS,
    CONSTITUENTS,
    CONTRADICTIONS,
    INDEX_CHANGES,
    INDEX_MEMBERS,
    REVISIONS,
    SECTORS,
)
from champion.errors import LakeError, UsageError
from champion.lake import Lake
from champion.market.equity_bars import EQUITY_SERIES
from champion.market.identity.isin import OF_TYPE
from champion.market.identity.symbol_runs import listings
from champion.market.reference import company_names
from champion.market.reference.indices.index_lists import as_known, evidence, last_seen
from champion.market.reference.indices.membership import memberships, require_known_then, stored
from champion.market.reference.indices.sectors import industry_periods, require_sectors_covered, sectors_on
from champion.market.reference.indices.sizes import company, sizes
from champion.market.reference.indices.traded import Traded
from champion.market.reference.life import QUIET
from champion.settings import Settings, read
from champion.sources.lists.index_list import canonical_index

__all__ = [
    "as_date", "has_warehouse", "instrument_names", "lake", "last_derived", "last_session", "latest", "latest_list",
    "members", "query", "required_date", "scan", "sectors", "sectors_as_known",
    "sectors_covered", "settings", "sql",
]  # fmt: skip
__dir__ = __all__.copy


@cache
def settings() -> Settings:
    """Return this workspace's settings, read once from `CHAMPION_*` and `champion.toml`.

    >>> settings().lake.name
    'lake'
    """
    return read()


def lake() -> Lake:
    """Return this workspace's lake.

    >>> [str(session) for session in lake().sessions("normalized_equity_ohlc")]
    ['2024-01-15', '2024-01-16']
    """
    return Lake(settings().lake)


def scan(name: str, start: date | str | None = None, end: date | str | None = None) -> pl.LazyFrame:
    """Return the rows of a dataset lazily, in the order of sessions; `start` and `end` are included.

    Raises:
        ContractError: there is no such dataset; the message lists the datasets.

    >>> scan("normalized_equity_ohlc", "2024-01-16").select("symbol", "close").sort("symbol").first().collect().row(0)
    ('ACME', 116.25)
    """
    return lake().scan(name, as_date(start), as_date(end), in_order=True)


def members(index: str, day: date | str, known: date | str | None = None) -> pl.DataFrame:
    """Return the members of an index on a date, by symbol, with the evidence for the start and end of each membership.

    `known` answers as one could on that date: lists, corrections, changes and bars that became known later are left
    out, and the last list counts until that date. `symbol` is
    the one in the bars of the date, else in the nearest list. `from_after` is null for an exact start; otherwise the
    security joined after this date and not after `member_from` (champion.market.reference.indices.membership).
    `from_index` names another index whose lists or changes date the start, such as NIFTY 50 for NIFTY NEXT 50.
    `last_bar` is its last session with a bar until the date; null if the last 40 sessions have none. A member that
    stops trading is one for 40 more sessions, until the end of its membership is certain (`until_basis`: no bar).
    `surplus`, the same in all rows, is the number of companies that the index has too many on the date, compared
    with its lists; it is negative if some are missing, and null if the lake has no list. A warning says so too.

    Raises:
        UsageError: no list of the index covers the date; the message names the covered dates, or the known indices.

    >>> members("NIFTY 50", "2024-01-15").select("symbol", "member_from", "from_basis").row(0)
    ('ACME', datetime.date(2024, 1, 15), 'list')
    """
    asked, until, name = required_date(day), as_date(known), canonical_index(index)
    derived = latest_list(lake(), INDEX_MEMBERS)
    if until is None:
        read = derived["list_date"][0]
        found = stored(derived, lake().scan(CONTRADICTIONS, read, read).collect())
        lists = lake().scan(CONSTITUENTS).filter(index_name=name).collect()
    else:
        lists, changes, bars, names = _evidence(until, lake())
        covered = stored(derived).covered
        if name in covered and lists.filter(index_name=name).is_empty():
            raise UsageError(_not_known_yet(name, until))
        found = memberships(lists, changes, known=until, traded=bars, covered_now=covered, names=names)
        require_known_then(found, covered, name, asked, until)
    rows = found.on(name, asked)
    size, count = sizes(lists, found.set_aside).get(name), rows.select(company()).n_unique()
    if surplus := size and size.surplus(count):
        text = f"{name} on {asked} has {count} companies instead of {size}: members are wrong or missing,"
        warnings.warn(f"{text} because a change is not known or not applied (`champion lists ls`)", stacklevel=2)
    columns = ["index_name", "instrument_id", "symbol", "isin", "company", "member_from", "member_until"]
    edges = [f"{edge}_{what}" for edge in ("from", "until") for what in ("basis", "after", "index")]
    return _with_symbols(rows, asked).select(*columns, *edges, "last_bar", surplus=pl.lit(surplus, pl.Int64))


def sectors(day: date | str, known: date | str | None = None, *, fill_backward: bool = False) -> pl.DataFrame:
    """Return industry and sector of each company on a date, by symbol, and the `basis`: `list`.

    A company without a row was in no index list by then: its sector is unknown. With `fill_backward`, companies that a
    later list names first have its industry, with basis `later list`: only where knowing the future does no harm.

    Raises:
        UsageError: no list covers the date; the message names the covered dates.

    >>> sectors("2024-01-15").select("symbol", "industry", "sector").row(0)
    ('ACME', 'Fast Moving Consumer Goods', 'Consumer Goods')
    """
    asked, until = required_date(day), as_date(known)
    if until is None:
        periods = latest_list(lake(), SECTORS).with_columns(member=pl.col("instrument_id"))
    else:
        periods = sectors_as_known(lake(), until)
    require_sectors_covered(sectors_covered(lake(), periods, until), asked, asked)
    columns = ["instrument_id", "symbol", "isin", "company", "industry", "scheme", "sector", "sector_from", "basis"]
    return _with_symbols(sectors_on(periods, asked, fill_backward=fill_backward), asked).select(columns)


def sectors_as_known(workspace_lake: Lake, known: date) -> pl.DataFrame:
    """Return the sectors by period, as the lists and bars known on a date give them.

    Raises:
        UsageError: no index list was known on the date.

    >>> sectors_as_known(lake(), date(2024, 1, 15))
    Traceback (most recent call last):
    champion.errors.UsageError: no index list is known on 2024-01-15: load lists with `champion lists`
    """
    lists, changes, bars, names = _evidence(known, workspace_lake)
    aside = memberships(lists, changes, known=known, traded=bars, names=names).set_aside
    return industry_periods(lists, aside, known=known, traded=bars)


def sectors_covered(workspace_lake: Lake, periods: pl.DataFrame, known: date | None = None) -> tuple[date, date]:
    """Return the first and last date on which sectors are known: from the first list until the last one was seen.

    `periods` are sectors by period. With `known`, the last list known then counts until that date.

    >>> [str(day) for day in sectors_covered(lake(), latest_list(lake(), "normalized_sectors"))]
    ['2024-01-15', '2024-01-15']
    """
    last = last_seen(workspace_lake.scan(CONSTITUENTS), workspace_lake.scan(INDEX_CHANGES))
    if last is None:  # the lake holds what was derived from lists, but no list
        last = periods.select(pl.col("list_date").max()).item()
    return periods.select(pl.col("sector_from").min()).item(), last if known is None else min(last, known)


def last_derived(workspace_lake: Lake, name: str) -> date | None:
    """Return the date of the last rows that were derived from index lists; None without any.

    A date whose only list was withdrawn has a partition without rows, which is skipped.

    >>> str(last_derived(lake(), "normalized_sectors"))
    '2024-01-15'
    """
    return next((day for day in reversed(workspace_lake.sessions(name)) if workspace_lake.rows(name, day, day)), None)


def latest_list(workspace_lake: Lake, name: str) -> pl.DataFrame:
    """Return the rows of a dataset that were derived from index lists last.

    Raises:
        UsageError: the lake has no index list.

    >>> latest_list(lake(), "normalized_sectors")["sector"].to_list()
    ['Consumer Goods']
    """
    if (read := last_derived(workspace_lake, name)) is None:
        raise UsageError(
            "the lake has no index list: put lists into the archive, or into the folder that CHAMPION_LISTS names, and "
            "run `champion lists refresh`"
        )
    return workspace_lake.scan(name, read, read).collect()


def instrument_names(workspace_lake: Lake, lists: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    """Return the names of companies that only the register of index changes has, with instruments, from other lists.

    `lists` and `changes` are those of indices, as `index_lists.evidence` returns them. The lists of every session are
    read only for a company that the small lists do not name, and that may be a member on a date with bars
    (`champion.market.reference.company_names`).

    >>> instrument_names(lake(), *_evidence(date(2024, 1, 16), lake())[:2]).rows()
    []
    """
    wanted = company_names.unlisted(lists, changes)
    if not wanted:
        return pl.DataFrame(schema=company_names.PUBLISHED)
    found = company_names.published({name: workspace_lake.scan(name) for name in company_names.WHOLE}, wanted)
    sessions = workspace_lake.sessions(BARS)
    last = company_names.unlisted(lists, changes.filter(pl.col("effective") >= sessions[0])) if sessions else ()
    if rest := company_names.unnamed(last, found):
        rolling = {name: workspace_lake.scan(name) for name in company_names.ROLLING}
        found = pl.concat([found, company_names.published(rolling, rest)]).unique()
    return found.sort("company", "instrument_id")


def _not_known_yet(index: str, known: date) -> str:
    """Return why members of an index, which has lists, are not known on a date: its first list came later."""
    lines = pl.concat(lake().scan(name).select("index_name", "known_at") for name in (CONSTITUENTS, REVISIONS))
    first: datetime = lines.filter(index_name=index).select(pl.col("known_at").min()).collect().item()
    return (
        f"the members of {index} were not known by {known}: its first list is known since "
        f"{first.astimezone(INDIA).date()}. Ask with `known` from this date on, or without it"
    )


def _evidence(known: date, workspace_lake: Lake) -> tuple[pl.DataFrame, pl.DataFrame, Traded, pl.DataFrame]:
    """Return the lists and changes known on a date, the bars until then, and names of instruments."""
    stored = [workspace_lake.scan(name).collect() for name in (CONSTITUENTS, REVISIONS, INDEX_CHANGES)]
    lists, changes = evidence(as_known(stored[0], stored[1], known), stored[2])
    names = instrument_names(workspace_lake, lists, changes)
    return lists, changes, _traded(known, workspace_lake, lists, changes, names), names


def _traded(
    until: date, workspace_lake: Lake, lists: pl.DataFrame, changes: pl.DataFrame, names: pl.DataFrame
) -> Traded:
    """Return what the bars until a date say about the securities of lists and changes; other bars are not read.

    `names` lead to more instruments. A share may go on under another symbol and another ISIN of its issuer, so its
    issuer's bars are read.
    """
    sessions = workspace_lake.sessions(BARS, end=until)
    if not sessions:
        return Traded.nothing()
    issuer = pl.col("isin").str.head(OF_TYPE)
    wanted = {
        name: pl.concat([lists[name], changes[name]]).drop_nulls().unique().to_list()
        for name in ("symbol", "instrument_id")
    }
    wanted["instrument_id"] += names["instrument_id"].to_list()
    is_listed = pl.any_horizontal(pl.col(name).is_in(values) for name, values in wanted.items())
    is_issued = issuer.is_in(lists.select(issuer).to_series().unique().to_list()).fill_null(value=False)
    all_shares = workspace_lake.scan(BARS, end=until).filter(
        pl.col("series").is_in(EQUITY_SERIES) & (is_listed | is_issued)
    )
    columns = ["symbol", "isin", "instrument_id", "prev_close", "close"]
    shares = all_shares.select(*columns, session="trade_date").collect().lazy()  # the bars are read once
    runs = listings(shares)
    known: list[str] = []
    if changes["symbol"].drop_nulls().len():  # typed symbols are compared with all, as without `known`
        every = workspace_lake.scan(BARS, end=until).filter(pl.col("series").is_in(EQUITY_SERIES))
        known = every.select(pl.col("symbol").unique()).collect()["symbol"].to_list()
    few = shares.join(runs.select("symbol", session="first").unique().lazy(), on=["symbol", "session"], how="semi")
    ids = few.select("symbol", "instrument_id", first="session").unique(["symbol", "first"]).collect()
    return Traded(runs.join(ids, on=["symbol", "first"], how="left", maintain_order="left"), sessions, known)


def _with_symbols(rows: pl.DataFrame, day: date) -> pl.DataFrame:
    """Return the rows with `last_bar`, and with the symbols in the bars until `day`, sorted by them."""
    near = lake().sessions(BARS, end=day)[-QUIET:] or [day]
    bars = lake().scan(BARS, near[0], near[-1]).filter(pl.col("instrument_id").is_in(rows["instrument_id"].to_list()))
    latest = bars.select("instrument_id", last_bar="trade_date", traded="symbol").collect().sort("last_bar")
    found = rows.join(latest.unique("instrument_id", keep="last"), on="instrument_id", how="left")
    return found.with_columns(symbol=pl.coalesce("traded", "symbol")).drop("traded").sort("symbol", "company")


def required_date(value: date | str | None) -> date:
    """Return a date, also from its text.

    Raises:
        UsageError: there is none, or the text is no date.

    >>> required_date("2024-01-15")
    datetime.date(2024, 1, 15)
    """
    if (day := as_date(value)) is None:
        raise UsageError("which date? Write it as 2024-01-15")
    return day


def sql(text: str, **parameters: Any) -> pl.DataFrame:
    """Run a query in the warehouse, with `{name:Type}` parameters bound.

    Raises:
        WarehouseError: the statement is wrong, or would write.

    >>> statement = "select close from champion_market.equity_ohlc where symbol = {symbol:String} order by trade_date"
    >>> sql(statement, symbol="ACME")["close"].to_list()
    [115.25, 116.25]
    """
    from champion.warehouse.engine import query  # noqa: PLC0415 - the engine is 500 MB, and most notebooks do not use it

    return query.sql(settings(), text, parameters)


def query(name: str, **parameters: Any) -> pl.DataFrame:
    """Run a named query of `sql/queries/`; parameters that are not given have their defaults.

    Raises:
        WarehouseError: there is no such query or parameter; the message lists them.

    >>> query("movers", session="2024-01-16", rows=1).columns
    ['trade_date', 'symbol', 'series', 'prev_close', 'close', 'simple_return', 'volume', 'turnover']
    """
    from champion.warehouse import queries  # noqa: PLC0415

    return queries.run(settings(), name, parameters)


def last_session(end: date | str | None = None) -> date:
    """Return the last session with bars in this workspace's lake, not after `end`.

    Raises:
        LakeError: there is none; the message names the commands that load sessions.

    >>> str(last_session()), str(last_session("2024-01-15"))
    ('2024-01-16', '2024-01-15')
    """
    sessions = lake().sessions(BARS, None, as_date(end))
    if not sessions:
        none = f"no session up to {end}" if end else "no session yet"
        raise LakeError(f"{settings().home} has {none}: run `champion demo`, or `champion backfill START END`")
    return sessions[-1]


def latest(end: date | str | None = None) -> date | None:
    """Return the last session like `last_session`; if there is none, print the error and return None.

    For notebooks that must also run in an empty workspace; None selects no rows.

    >>> str(latest())
    '2024-01-16'
    """
    try:
        return last_session(end)
    except LakeError as error:
        print(error)  # noqa: T201 - for the reader of the notebook
        return None


def has_warehouse() -> bool:
    """Return whether this workspace's warehouse exists; True for a server, without a request to it.

    >>> has_warehouse()
    True
    """
    from champion.warehouse.engine import client  # noqa: PLC0415

    path = client.embedded_path(settings())
    return path is None or (path / "metadata" / f"{client.DATABASE}.sql").exists()


def as_date(value: date | str | None) -> date | None:
    """Return an ISO text as a date; None and dates are returned unchanged.

    >>> as_date("2024-01-15")
    datetime.date(2024, 1, 15)

    Raises:
        UsageError: the text is not a date.
    """
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise UsageError(f"{value!r} is not a date; write it as 2024-01-15") from error
