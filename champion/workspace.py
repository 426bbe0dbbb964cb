"""The workspace of a notebook: its settings, its lake and its warehouse.

A notebook is an entry point. So this module reads the settings from the environment, as the command line does.
"""

from datetime import date
from functools import cache
from typing import Any

import polars as pl

from champion.contracts.datasets import BARS
from champion.errors import LakeError, UsageError
from champion.lake import Lake
from champion.settings import Settings, read

__all__ = ["as_date", "has_warehouse", "lake", "last_session", "latest", "query", "scan", "settings", "sql"]
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
