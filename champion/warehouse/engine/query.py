"""Questions to the warehouse: one reading statement in, a Polars frame out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from champion.errors import WarehouseError
from champion.warehouse.engine import answers, binding
from champion.warehouse.engine.client import reader
from champion.warehouse.engine.database import Executor, refusals
from champion.warehouse.engine.statements import masked, split

if TYPE_CHECKING:
    import pyarrow as pa

    from champion.settings import Settings

_READING = ("Select", "Show", "Describe", "Exists", "Explain")  # first words of the syntax tree
_MOST_KINDS = 500
_kinds: dict[str, str] = {}  # of statements found to be reading ones: asking again is a fifth of a short question


def sql(settings: Settings, text: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
    """Return what one reading statement answers, on the data as last committed.

    `{name:Type}` in the text is bound to `parameters[name]`, never pasted in, after a check against its type
    (`binding`). Columns come in the types that `answers` lists. Unqualified tables are those of `champion_market`.

    Raises:
        WarehouseError: the statement is not a reading one, is wrong, or its parameters do not fit.
    """
    statement = _single(text)
    with reader(settings) as client:
        return frame(client, statement, parameters)


def frame(client: Executor, text: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
    """Return the same through an open client."""
    statement = binding.compact(_single(text))
    bound = binding.checked(statement, parameters or {})
    unused = sorted(bound.keys() - binding.names(statement))
    if unused:
        raise WarehouseError(f"the query has no parameters {unused}; it names them as {{name:Type}}")
    with refusals("the query was refused"):
        _require_answer(client, statement)
        kind = _reading_kind(client, statement, bound)
        table = _asked(client, statement, bound, kind)
        _require_names(table)
        types = {} if answers.is_plain(table) else _types(client, statement, bound, kind)
        zone = _zone(client, types)
    return answers.frame(table, types, zone)


def _single(text: str) -> str:
    found = split(text)
    if len(found) != 1:
        raise WarehouseError(f"a query is one statement; this text holds {len(found)}")
    return found[0]


def _require_answer(client: Executor, statement: str) -> None:
    """Refuse `into outfile`, by which a question writes files, also as part of `explain`; the engine tells it apart."""
    if "outfile" not in statement.lower():
        return
    spelled = client.query("select formatQuerySingleLine({text:String})", parameters={"text": statement}).result_rows
    if "INTO OUTFILE" in masked(str(spelled[0][0])).upper():
        raise WarehouseError("the query was refused: `into outfile` writes a file; ask without it, and keep the answer")


def _reading_kind(client: Executor, statement: str, bound: Mapping[str, Any]) -> str:
    if (known := _kinds.get(statement)) is not None:
        return known
    # The syntax tree, not the first word: `with ... insert` begins like a question. As text, because another output
    # format would be added to the statement that is explained.
    kind = _as_text(client, f"explain ast {statement}", bound).split()[0]
    if not kind.startswith(_READING):
        raise WarehouseError(
            f"this statement is a {kind}; only reading ones are allowed here: "
            "select, with, show, describe, explain, exists"
        )
    if len(_kinds) >= _MOST_KINDS:
        _kinds.clear()
    _kinds[statement] = kind
    return kind


def _types(client: Executor, statement: str, bound: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Return the names of the columns' types in ClickHouse."""
    if kind.startswith("Select"):
        rows = client.query(f"describe ({statement}\n)", parameters=dict(bound) or None).result_rows
        return {str(name): str(dtype) for name, dtype, *_ in rows}
    answer = client.query(statement, parameters=dict(bound) or None)
    return {name: dtype.name for name, dtype in zip(answer.column_names, answer.column_types, strict=True)}


def _require_names(table: pa.Table) -> None:
    try:
        _ = table.column_names
    except UnicodeDecodeError as error:  # of an expression over bytes, whose text is its name
        raise WarehouseError("the name of a column is not UTF-8; give each column a name with `as`") from error


def _as_text(client: Executor, statement: str, bound: Mapping[str, Any]) -> str:
    """Return an answer as text; what is not UTF-8, as a statement may be that binds bytes, becomes U+FFFD."""
    return client.raw_query(statement, parameters=dict(bound) or None).decode("utf-8", "replace")


def _asked(client: Executor, statement: str, bound: Mapping[str, Any], kind: str) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415
    from clickhouse_connect.driver.exceptions import ClickHouseError  # noqa: PLC0415

    try:
        return client.query_arrow(statement, parameters=dict(bound) or None)
    except ClickHouseError as error:
        if "(NOT_IMPLEMENTED)" in str(error) or "(UNKNOWN_TYPE)" in str(error):  # Arrow has no such type: which column?
            answers.require_supported(_types(client, statement, bound, kind))
        if "to Arrow time" in str(error):
            answers.require_times_of_day(_types(client, statement, bound, kind), "outside one day")
        raise
    except pa.ArrowInvalid:  # `explain ast` answers text in every format
        return pa.table({"explain": _as_text(client, statement, bound).splitlines()})


def _zone(client: Executor, types: Mapping[str, str]) -> str:
    """Return the time zone of columns that name none."""
    return str(client.command("select timezone()")) if any("DateTime" in text for text in types.values()) else "UTC"
