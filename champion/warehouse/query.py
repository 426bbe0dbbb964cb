"""Questions to the warehouse: one reading statement in, a Polars frame out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from champion.errors import WarehouseError
from champion.warehouse.client import reader
from champion.warehouse.engine import refusals
from champion.warehouse.statements import masked, split

if TYPE_CHECKING:
    import pyarrow as pa
    from clickhouse_connect.driver.client import Client

    from champion.settings import Settings

_READING = ("Select", "Show", "Describe", "Exists", "Explain")  # first words of the syntax tree
_MOST_KINDS = 500
_kinds: dict[str, str] = {}  # of statements found to be reading ones: asking again is a fifth of a short question
_HEX_CUTS = ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))


def sql(settings: Settings, text: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
    """Return what one reading statement answers, on the data as last committed.

    `{name:Type}` in the text is bound to `parameters[name]`, never pasted in. UUID and Enum columns come as strings.
    Unqualified tables are those of `champion_market`.

    Raises:
        WarehouseError: the statement is not a reading one, is wrong, or its parameters do not fit.
    """
    statement = _single(text)
    with reader(settings) as client:
        return frame(client, statement, parameters)


def frame(client: Client, text: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
    """Return the same through an open client."""
    statement = _single(text)
    bound = dict(parameters or {})
    unused = [name for name in bound if f"{{{name}:" not in statement.replace(" ", "")]
    if unused:
        raise WarehouseError(f"the query has no parameters {unused}; it names them as {{name:Type}}")
    with refusals("the query was refused"):
        _require_answer(client, statement)
        kind = _reading_kind(client, statement, bound)
        table = client.query_arrow(statement, parameters=bound or None)
        if kind.startswith("Select") and (enums := _enums(client, statement, bound, table)):
            named = ", ".join(f"toString(`{name}`) as `{name}`" for name in enums)
            wrapped = f"select * replace ({named}) from ({statement}\n)"  # noqa: S608 - the caller's own statement
            table = client.query_arrow(wrapped, parameters=bound or None)
    return _with_uuid_text(table)


def _single(text: str) -> str:
    found = split(text)
    if len(found) != 1:
        raise WarehouseError(f"a query is one statement; this text holds {len(found)}")
    return found[0]


def _require_answer(client: Client, statement: str) -> None:
    """Refuse `into outfile`, by which a question writes files, also as part of `explain`; the engine tells it apart."""
    if "outfile" not in statement.lower():
        return
    spelled = client.query("select formatQuerySingleLine({text:String})", parameters={"text": statement}).result_rows
    if "INTO OUTFILE" in masked(str(spelled[0][0])).upper():
        raise WarehouseError("the query was refused: `into outfile` writes a file; ask without it, and keep the answer")


def _reading_kind(client: Client, statement: str, bound: Mapping[str, Any]) -> str:
    if (known := _kinds.get(statement)) is not None:
        return known
    # The syntax tree, not the first word: `with ... insert` begins like a question. A command, because a query would
    # add its output format to the statement that is explained.
    kind = str(client.command(f"explain ast {statement}", parameters=dict(bound) or None)).split()[0]
    if not kind.startswith(_READING):
        raise WarehouseError(
            f"this statement is a {kind}; only reading ones are allowed here: "
            "select, with, show, describe, explain, exists"
        )
    if len(_kinds) >= _MOST_KINDS:
        _kinds.clear()
    _kinds[statement] = kind
    return kind


def _enums(client: Client, statement: str, bound: Mapping[str, Any], table: pa.Table) -> list[str]:
    """Return the columns that are Enums: Arrow carries those as small integers, so only then is it worth asking."""
    import pyarrow as pa  # noqa: PLC0415 - loaded with the first query

    if not any(field.type in {pa.int8(), pa.int16()} for field in table.schema):
        return []
    described = client.query(f"describe ({statement}\n)", parameters=dict(bound) or None).result_rows
    return [name for name, dtype, *_ in described if dtype.removeprefix("Nullable(").startswith("Enum")]


def _with_uuid_text(table: pa.Table) -> pl.DataFrame:
    """Return the table in Polars, UUIDs as text: Arrow brings them as an extension type over 16 bytes."""
    uuids = [field.name for field in table.schema if getattr(field.type, "extension_name", "") == "arrow.uuid"]
    for name in uuids:
        plain = table[name].combine_chunks().storage
        table = table.set_column(table.schema.get_field_index(name), name, plain)
    answer = pl.DataFrame(table)
    return answer.with_columns(_uuid_text(name) for name in uuids)


def _uuid_text(name: str) -> pl.Expr:
    digits = pl.col(name).bin.encode("hex")
    return pl.concat_str([digits.str.slice(start, length) for start, length in _HEX_CUTS], separator="-").alias(name)
