"""Run one reading statement and return a Polars frame."""

from collections.abc import Mapping
from typing import Any

import polars as pl
import pyarrow as pa

from champion.errors import WarehouseError
from champion.settings import Settings
from champion.warehouse.engine import answers, binding
from champion.warehouse.engine.client import reader
from champion.warehouse.engine.database import Executor, refusals
from champion.warehouse.engine.statements import mask, split

_READING = ("Select", "Show", "Describe", "Exists", "Explain")  # first words of the syntax tree
_MOST_KINDS = 500
_kinds: dict[str, str] = {}  # of known reading statements: `explain ast` takes a fifth of the time of a short query


def sql(settings: Settings, text: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
    """Return the result of one reading statement on the last committed data.

    `{name:Type}` in the text is bound to `parameters[name]` after a check against its type (`binding`); values are
    never inserted into the text. `answers` lists the types of columns. The default database is `champion_market`.

    Raises:
        WarehouseError: the statement would write, is wrong, or its parameters do not fit.
    """
    statement = _single_statement(text)
    with reader(settings) as client:
        return frame(client, statement, parameters)


def frame(client: Executor, text: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
    """Return the result of one reading statement through an open client, as `sql` does."""
    statement = binding.compact(_single_statement(text))
    bound = binding.check(statement, parameters or {})
    unused = sorted(bound.keys() - binding.names(statement))
    if unused:
        raise WarehouseError(f"the query has no parameters {unused}; it names them as {{name:Type}}")
    with refusals("the query was refused"):
        if "outfile" in statement.lower():  # also within `explain`; the engine's own parser finds it
            spelled = client.query("select formatQuerySingleLine({text:String})", parameters={"text": statement})
            if "INTO OUTFILE" in mask(str(spelled.result_rows[0][0])).upper():
                raise WarehouseError(
                    "the query was refused: `into outfile` writes a file; remove it, and save the answer"
                )
        kind = _reading_kind(client, statement, bound)
        table = _arrow_answer(client, statement, bound, kind)
        try:
            _ = table.column_names
        except UnicodeDecodeError as error:  # the name of an expression over bytes is its text
            raise WarehouseError("the name of a column is not UTF-8; give each column a name with `as`") from error
        types = {} if answers.is_plain(table) else _types(client, statement, bound, kind)
        has_times = any("DateTime" in text for text in types.values())
        zone = str(client.command("select timezone()")) if has_times else "UTC"  # of columns without a zone
    return answers.frame(table, types, zone)


def _single_statement(text: str) -> str:
    found = split(text)
    if len(found) != 1:
        raise WarehouseError(f"a query is one statement; this text holds {len(found)}")
    return found[0]


def _reading_kind(client: Executor, statement: str, bound: Mapping[str, Any]) -> str:
    if (known := _kinds.get(statement)) is not None:
        return known
    # The syntax tree, not the first word, because `with ... insert` starts like a query. As text, because the driver
    # would add another format to the explained statement.
    kind = _as_text(client, f"explain ast {statement}", bound).split()[0]
    if not kind.startswith(_READING):
        raise WarehouseError(
            f"this statement is a {kind}; only reading statements are allowed: "
            "select, with, show, describe, explain, exists"
        )
    if len(_kinds) >= _MOST_KINDS:
        _kinds.clear()
    _kinds[statement] = kind
    return kind


def _types(client: Executor, statement: str, bound: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Return the ClickHouse type of each column."""
    if kind.startswith("Select"):
        rows = client.query(f"describe ({statement}\n)", parameters=dict(bound) or None).result_rows
        return {str(name): str(dtype) for name, dtype, *_ in rows}
    answer = client.query(statement, parameters=dict(bound) or None)
    return {name: dtype.name for name, dtype in zip(answer.column_names, answer.column_types, strict=True)}


def _as_text(client: Executor, statement: str, bound: Mapping[str, Any]) -> str:
    """Return a result as text; invalid UTF-8, as in a statement that binds bytes, becomes U+FFFD."""
    return client.raw_query(statement, parameters=dict(bound) or None).decode("utf-8", "replace")


def _arrow_answer(client: Executor, statement: str, bound: Mapping[str, Any], kind: str) -> pa.Table:
    from clickhouse_connect.driver.exceptions import ClickHouseError  # noqa: PLC0415

    try:
        return client.query_arrow(statement, parameters=dict(bound) or None)
    except ClickHouseError as error:
        if "(NOT_IMPLEMENTED)" in str(error) or "(UNKNOWN_TYPE)" in str(error):  # Arrow lacks a type; find the column
            answers.require_supported(_types(client, statement, bound, kind))
        if "to Arrow time" in str(error):
            answers.require_times_of_day(_types(client, statement, bound, kind), "outside one day")
        raise
    except pa.ArrowInvalid:  # the answer of `explain ast` is text in every format
        return pa.table({"explain": _as_text(client, statement, bound).splitlines()})
