"""Split rows into those that satisfy a contract and those that do not, with all reasons.

`coerce` casts published strings to the contract's types; `validate` checks nulls, rules and keys. Neither changes
values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from champion.base.counting import quantity
from champion.contracts import Contract, Field, rule_expression
from champion.errors import ContractError

ROW = "row_number"


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """The two parts have the input's columns; `rejected` also has `reasons`, a list of strings."""

    accepted: pl.DataFrame
    rejected: pl.DataFrame


def coerce(rows: pl.DataFrame, contract: Contract) -> ValidationResult:
    """Return `rows` with the contract's types; a value that cannot be cast rejects its row.

    `rows` has strings, null where empty, in some or all columns of the contract, and `row_number`. Rejected rows keep
    their strings.
    """
    fields = [field for field in contract.fields if field.name in rows.columns]
    typed = rows.with_columns(_cast(field) for field in fields)
    failed = [typed[field.name].is_null() & rows[field.name].is_not_null() for field in fields]
    reasons = [
        pl.when(mask).then(pl.format("{}: '{}' is not a " + _kind(field), pl.lit(field.name), pl.col(field.name)))
        for field, mask in zip(fields, failed, strict=True)
        if mask.any()
    ]
    if not reasons:
        return ValidationResult(typed, rows.clear().with_columns(reasons=pl.lit(None, pl.List(pl.String))))
    checked = rows.with_columns(reasons=_list(reasons))
    bad = checked["reasons"].list.len() > 0
    return ValidationResult(typed.filter(~bad), checked.filter(bad))


def validate(frame: pl.DataFrame, contract: Contract) -> ValidationResult:
    """Return the rows that satisfy the contract, and those that do not.

    Reasons: `symbol is null` for a required field, the rule's name for a rule, `duplicate_row` for a repetition
    of key and content, `conflicting_key` for every row of a key with different contents.
    """
    required = [name for name in contract.required if name in frame.columns]
    reasons = [pl.when(pl.col(name).is_null()).then(pl.lit(f"{name} is null")) for name in required]
    reasons += [
        pl.when(~rule_expression(text)).then(pl.lit(name))
        for name, text in contract.rules.items()
        if set(pl.sql_expr(text).meta.root_names()) <= set(frame.columns)
    ]
    checked = frame.with_columns(reasons=_list([*reasons, *_key_reasons(frame, contract)]))
    bad = pl.col("reasons").list.len() > 0
    return ValidationResult(checked.filter(~bad).drop("reasons"), checked.filter(bad))


def require_valid(
    frame: pl.DataFrame, contract: Contract, breaks: tuple[str, str], shown: Sequence[str]
) -> pl.DataFrame:
    """Return `frame` if all its rows satisfy the contract.

    Raises:
        ContractError: some do not. `breaks` is the start of the message for one and for several rows; the columns
            `shown` of the first rows follow.
    """
    checked = validate(frame, contract)
    if checked.rejected.height:
        rows = checked.rejected.select(*shown, "reasons").head(3).rows()
        raise ContractError(f"{quantity(checked.rejected.height, *breaks)} {contract.name}: {rows}")
    return checked.accepted


def _key_reasons(frame: pl.DataFrame, contract: Contract) -> Sequence[pl.Expr]:
    key = [name for name in contract.key if name in frame.columns]
    if not frame.select(key).is_duplicated().any():
        return []
    content = pl.struct(pl.exclude(ROW)).hash()
    conflicting = content.n_unique().over(key) > 1
    repeated = ~pl.struct(key).is_first_distinct()
    return [
        pl.when(conflicting).then(pl.lit("conflicting_key")),
        pl.when(repeated & ~conflicting).then(pl.lit("duplicate_row")),
    ]


def _list(reasons: Sequence[pl.Expr]) -> pl.Expr:
    if not reasons:
        return pl.lit([], pl.List(pl.String))
    return pl.concat_list(reasons).list.drop_nulls()


def _cast(field: Field) -> pl.Expr:
    column, dtype = pl.col(field.name), field.types.polars
    match dtype:
        case pl.Date():
            return column.str.to_date("%Y-%m-%d", strict=False)
        case pl.Float64():
            number = column.cast(pl.Float64, strict=False)
            return pl.when(number.is_finite()).then(number)  # 'nan' and 'inf' are not prices
        case _:
            return column.cast(dtype, strict=False)


def _kind(field: Field) -> str:
    match field.types.polars:
        case pl.Date():
            return "date (YYYY-MM-DD)"
        case pl.Float64():
            return "number"
        case pl.Int64() | pl.Int32():
            return "whole number"
        case other:
            return str(other)
