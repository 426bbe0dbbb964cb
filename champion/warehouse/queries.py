"""Named queries: the files of `sql/queries/`. The first comment describes the result and the parameters.

::

    -- The instruments of one session with the highest volume.
    -- Parameters:
    --   session Date = (select max(trade_date) from champion_market.normalized_equity_ohlc): the session
    --   rows UInt32 = 20: the number of instruments, at most 100

The SQL expression after `=` is the default, evaluated when the parameter is not given. A query that must not answer
everything has a second statement before its own, which ends with a semicolon. It returns one text: why the parameters
are refused, or an empty one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from champion.base import package_data
from champion.base.counting import known_names
from champion.errors import WarehouseError
from champion.settings import Settings
from champion.sources.lists.index_list import canonical_index
from champion.warehouse.engine.client import reader
from champion.warehouse.engine.query import frame

_INDEX = "index"  # the parameter that names an index, in any query
_HEAD = re.compile(r"\A((?:-- [^\n]*\n)+?)-- Parameters:\n((?:--   [^\n]*\n)+)")
_PARAMETER = re.compile(r"--   (\w+) (\S+?)(?: = (.+?))?: (.+)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A `{name:type}` of a query; `default` is an SQL expression, or None if a value is required."""

    name: str
    type: str
    default: str | None
    meaning: str


@dataclass(frozen=True, slots=True)
class Query:
    """A named query: a description of its result, its parameters, its text, and the statement that may refuse it."""

    name: str
    answers: str
    parameters: tuple[Parameter, ...]
    text: str
    refusal: str = ""


def names() -> list[str]:
    """Return the names of the queries.

    >>> "movers" in names()
    True
    """
    return sorted(path.stem for path in (package_data.folder("sql") / "queries").glob("*.sql"))


def load(name: str) -> Query:
    """Return the query of that name.

    Raises:
        WarehouseError: no query has this name, or its first comment has another form than above.

    >>> [parameter.name for parameter in load("movers").parameters]
    ['session', 'rows', 'min_turnover', 'kinds']
    """
    if name not in names():
        raise WarehouseError(f"no query is named {name!r}; {known_names(name, names(), 'there are:')}")
    return parse(name, (package_data.folder("sql") / "queries" / f"{name}.sql").read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Query:
    """Return the query in the text of a file.

    Raises:
        WarehouseError: its first comment has another form than above.
    """
    head = _HEAD.match(text)
    found = [_PARAMETER.fullmatch(line) for line in head[2].splitlines()] if head else [None]
    if head is None or None in found:
        raise WarehouseError(f"sql/queries/{name}.sql: its first comment does not state its answer and its parameters")
    answers = " ".join(line.removeprefix("-- ") for line in head[1].splitlines())
    refusal, semicolon, rest = text.partition(";\n")
    both = (rest, refusal) if semicolon and rest.strip() else (text, "")
    return Query(name, answers, tuple(Parameter(*match.groups()) for match in found if match), *both)


def run(settings: Settings, name: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
    """Run a named query on the last committed data; parameters that are not given have their defaults.

    A parameter `index` takes the spellings of an index's name that `index_list.canonical_index` takes.

    Raises:
        WarehouseError: there is no such query or parameter, a value is missing or of another type, or the query refuses
            the values, such as a date that no list covers.
    """
    query, given = load(name), dict(parameters or {})
    known = {parameter.name: parameter for parameter in query.parameters}
    unknown = [name for name in given if name not in known]
    missing = [p.name for p in query.parameters if p.default is None and p.name not in given]
    wanted = {name: f"cast({p.default}, '{p.type}')" for name, p in known.items() if name not in given}
    if isinstance(index := given.get(_INDEX), str):
        given[_INDEX] = canonical_index(index)
    with reader(settings) as client:
        if unknown or missing:
            kinds = {p.name: p.type if p.default is None else f"{p.type}, has a default" for p in query.parameters}
            takes = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
            wrong = f"has no parameters {unknown}" if unknown else f"needs {', '.join(missing)}"
            raise WarehouseError(f"the query {query.name} {wrong}; it takes {takes}")
        if wanted:
            expressions = ", ".join(f"{expression} as `{name}`" for name, expression in wanted.items())
            given |= dict(zip(wanted, client.query(f"select {expressions}").result_rows[0], strict=True))
        if query.refusal and (reason := frame(client, query.refusal, given).item()):
            raise WarehouseError(f"the query {query.name}: {reason}")
        return frame(client, query.text, given)
