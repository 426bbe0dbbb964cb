"""A contract: the fields, keys, layout and rules of one dataset version."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl
import pyarrow as pa

from champion.base.counting import quantity
from champion.contracts.rules import rule_columns, rule_expression
from champion.contracts.schema_validation import LISTS, TEXTS, schema_errors
from champion.contracts.types import Avro, Names, names as type_names, nullable_clickhouse, split_null
from champion.errors import ContractError

NO_DEFAULT: Any = ...  # marks a field without a default: null is a valid default


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a contract; `default` is in Avro's JSON encoding.

    >>> from champion.contracts import load
    >>> field = load("normalized_equity_ohlc").fields[0]
    >>> isinstance(field, Field), field.name, field.nullable, field.clickhouse
    (True, 'event_id', False, 'UUID')
    """

    name: str
    avro: Avro
    types: Names
    nullable: bool
    low_cardinality: bool
    doc: str
    unit: str | None
    group: str | None
    default: Any

    @property
    def clickhouse(self) -> str:
        """The ClickHouse column type, as `LowCardinality(Nullable(String))`."""
        return nullable_clickhouse(self.types.clickhouse, nullable=self.nullable, low_cardinality=self.low_cardinality)


@dataclass(frozen=True)
class Contract:
    """One dataset version. `session` names the field with the session, `partition_by` the folders.

    >>> from champion.contracts import load
    >>> delivery = load("normalized_equity_delivery")
    >>> isinstance(delivery, Contract), delivery.label, delivery.key
    (True, 'normalized_equity_delivery v1.0.0', ('trade_date', 'instrument_id'))
    >>> delivery.required[:3], delivery.ungrouped == tuple(delivery.polars_schema), delivery.groups
    (('event_id', 'event_time', 'ingest_time'), True, {})
    >>> delivery.clickhouse_columns["symbol"], delivery.arrow_schema.field("trade_date").type
    ('String', DataType(date32[day]))
    >>> delivery.conform(pl.DataFrame(schema=delivery.polars_schema)).shape
    (0, 16)
    >>> delivery.stored_schema["trade_date"]
    Date
    >>> delivery.require_valid(pl.DataFrame({"volume": [10]})).height
    1
    """

    name: str
    layer: str
    dataset: str
    version: int
    schema_version: str
    doc: str
    key: tuple[str, ...]
    session: str
    partition_by: tuple[str, ...]
    sort_by: tuple[str, ...]
    retention: dict[str, int]
    rules: dict[str, str]
    fields: tuple[Field, ...]

    @cached_property
    def polars_schema(self) -> dict[str, pl.DataType]:
        """Column name to Polars type, in order."""
        return {field.name: field.types.polars for field in self.fields}

    @cached_property
    def stored_schema(self) -> dict[str, pl.DataType]:
        """Column name to its Polars type in files: enums as text, maps as maps."""
        return {field.name: field.types.stored for field in self.fields}

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The schema of the contract's Arrow tables and Parquet files, with the contract in its metadata."""
        return pa.schema(
            [pa.field(field.name, field.types.arrow, field.nullable) for field in self.fields],
            metadata={"champion.contract": self.label},
        )

    @cached_property
    def clickhouse_columns(self) -> dict[str, str]:
        """Column name to ClickHouse type, in order."""
        return {field.name: field.clickhouse for field in self.fields}

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Field names by group, for datasets that are stored by groups; empty otherwise."""
        groups = dict.fromkeys(field.group for field in self.fields if field.group)
        return {group: tuple(field.name for field in self.fields if field.group == group) for group in groups}

    @property
    def label(self) -> str:
        """Name and version for display and file metadata, as `raw_equity_ohlc v1.0.0`."""
        return f"{self.name} v{self.schema_version}"

    @property
    def required(self) -> tuple[str, ...]:
        """Fields that may never be null."""
        return tuple(field.name for field in self.fields if not field.nullable)

    @property
    def ungrouped(self) -> tuple[str, ...]:
        """Fields stored with every group."""
        return tuple(field.name for field in self.fields if field.group is None)

    def conform(self, frame: pl.DataFrame, group: str | None = None) -> pl.DataFrame:
        """Return `frame` with exactly the contract's columns, order and types, sorted.

        Raises:
            ContractError: a column is missing, unknown or of another type, or a required one is null.
        """
        wanted = dict(self.polars_schema)
        if group is not None:
            wanted = {name: wanted[name] for name in (*self.ungrouped, *self.groups[group])}
        missing = [name for name in wanted if name not in frame.columns]
        unknown = [name for name in frame.columns if name not in wanted]
        if missing or unknown:
            raise ContractError(f"{self.label}: missing columns {missing}, unknown columns {unknown}")
        found = frame.schema
        wrong = [f"{name} is {found[name]}, not {dtype}" for name, dtype in wanted.items() if found[name] != dtype]
        if wrong:
            raise ContractError(f"{self.label}: {'; '.join(wrong)}")
        nulls = {name: count for name in self.required if name in wanted and (count := frame[name].null_count())}
        if nulls:
            raise ContractError(f"{self.label}: null in fields that may not be null: {nulls}")
        return frame.select(list(wanted)).sort(self.sort_by)

    def require_valid(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return `frame` if its numbers are finite or null and its rows satisfy the rules whose columns it has.

        Raises:
            ContractError: a number is NaN or infinite, or a row breaks a rule; the message counts and shows such rows.
        """
        finite = {name: pl.col(name).is_finite() for name, dtype in frame.schema.items() if dtype.is_float()}
        counts, shown = self._wrong_rows(frame, finite)
        if counts:  # an unknown value is null
            raise ContractError(
                f"{self.label}: NaN or infinity in {counts}, rows {shown}: an unknown value must be null; correct the "
                "computation"
            )
        rules = {
            name: rule_expression(text) for name, text in self.rules.items() if rule_columns(text) <= {*frame.columns}
        }
        counts, shown = self._wrong_rows(frame, rules)
        if counts:
            texts = (f"{name} ({self.rules[name]}) is false in {quantity(n, 'row')}" for name, n in counts.items())
            raise ContractError(f"{self.label}: {'; '.join(texts)}, rows {shown}")
        return frame

    def _wrong_rows(self, frame: pl.DataFrame, right: Mapping[str, pl.Expr]) -> tuple[dict[str, int], str]:
        """Return the number of rows in which each condition is false, and the keys of the first five as text."""
        counted = frame.select((~holds).sum().alias(name) for name, holds in right.items())
        counts = {name: count for name, count in zip(right, *counted.rows(), strict=True) if count}
        if not counts:
            return counts, ""
        wrong = frame.filter(pl.any_horizontal(~right[name] for name in counts))
        rows = wrong.select(name for name in self.key if name in frame.columns).head(5).rows()
        return counts, "; ".join(" ".join(map(str, row)) for row in rows)


def parse(record: dict[str, Any], version: int = 1) -> Contract:
    """Return the contract that an Avro record with Champion's attributes describes.

    Raises:
        ContractError: an attribute is missing or malformed, names an unknown field, or contradicts another one.
    """
    if wrong := list(schema_errors(record)):
        raise ContractError(f"contract {record.get('name', '?')!r}: {'; '.join(wrong)}")
    try:
        contract = Contract(
            **{name: record[name] for name in TEXTS} | {name: tuple(record[name]) for name in LISTS},
            version=version,
            retention=dict(record.get("retention", {})),
            rules=dict(record["rules"]),
            fields=tuple(_field(item) for item in record["fields"]),
        )
    except KeyError as error:
        raise ContractError(f"contract {record.get('name', '?')!r} lacks the attribute {error}") from error
    except RecursionError as error:
        raise ContractError(f"contract {record['name']!r} has types nested too deeply") from error
    if wrong := list(_contradictions(contract)):
        raise ContractError(f"{contract.label}: {'; '.join(wrong)}")
    return contract


def _contradictions(contract: Contract) -> Iterator[str]:
    known = set(contract.polars_schema)
    if unknown := [name for name in (*contract.key, *contract.sort_by, contract.session) if name not in known]:
        yield f"key, session or sort_by name fields it does not have: {unknown}"
    if not re.fullmatch(rf"{contract.version}\.[0-9]{{1,6}}\.[0-9]{{1,6}}", contract.schema_version):
        yield f"schema_version of version {contract.version} must be {contract.version}.minor.patch"
    empty = pl.LazyFrame(schema=contract.polars_schema)
    for name, text in contract.rules.items():
        try:
            if unknown := sorted(rule_columns(text) - known):
                yield f"rule {name} reads fields it does not have: {unknown}"
            elif empty.select(rule_expression(text)).collect_schema().dtypes() != [pl.Boolean()]:
                yield f"rule {name} is not true or false for each row: {text}"
        except (pl.exceptions.PolarsError, ValueError) as error:
            yield f"rule {name} is not a valid expression: {error}"
    for field in contract.fields:
        # Otherwise a stored null could not be distinguished from a field added later.
        if field.nullable and field.default not in (None, NO_DEFAULT):
            yield f"{field.name} may be null, so its default must be null, not {field.default!r}"


def _field(item: dict[str, Any]) -> Field:
    avro, nullable = split_null(item["type"])
    return Field(
        name=item["name"],
        avro=avro,
        types=type_names(avro),
        nullable=nullable,
        low_cardinality=bool(item.get("low_cardinality", False)),
        doc=item["doc"],
        unit=item.get("unit"),
        group=item.get("group"),
        default=item.get("default", NO_DEFAULT),
    )
