"""Split rows into those that satisfy a contract and those that do not, with all reasons.

`coerce` casts published strings to the contract's types; `validate` checks nulls, rules and keys. Neither changes
values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import polars as pl

from champion.base.counting import quantity
from champion.contracts import Contract, Field, rule_columns, rule_expression
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
    typed = rows.with_columns(_cast(field)[0] for field in fields)
    reasons = [
        pl.when(typed[field.name].is_null() & pl.col(field.name).is_not_null()).then(
            pl.format("{}: '{}' is not a " + _cast(field)[1], pl.lit(field.name), pl.col(field.name))
        )
        for field in fields
        if typed[field.name].null_count() > rows[field.name].null_count()
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
    columns = set(frame.columns)
    required = tuple(name for name in contract.required if name in columns)
    rules = tuple((name, text) for name, text in contract.rules.items() if rule_columns(text) <= columns)
    reasons = _reasons(required, rules)
    key = [name for name in contract.key if name in frame.columns]
    if frame.select(key).is_duplicated().any():
        conflicting = pl.struct(pl.exclude(ROW)).hash().n_unique().over(key) > 1
        repeated = ~pl.struct(key).is_first_distinct()
        reasons += (pl.when(conflicting).then(pl.lit("conflicting_key")),)
        reasons += (pl.when(repeated & ~conflicting).then(pl.lit("duplicate_row")),)
    checked = frame.with_columns(reasons=_list(reasons))
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


@cache  # each file of a publication is checked by the same conditions
def _reasons(required: tuple[str, ...], rules: tuple[tuple[str, str], ...]) -> tuple[pl.Expr, ...]:
    """Return for each condition of a contract the reason to reject a row, null where the row satisfies it."""
    nulls = (pl.when(pl.col(name).is_null()).then(pl.lit(f"{name} is null")) for name in required)
    return (*nulls, *(pl.when(~rule_expression(text)).then(pl.lit(name)) for name, text in rules))


def _list(reasons: Sequence[pl.Expr]) -> pl.Expr:
    return pl.concat_list(reasons).list.drop_nulls() if reasons else pl.lit([], pl.List(pl.String))


def _cast(field: Field) -> tuple[pl.Expr, str]:
    """Return the text of a field in its type, null where it is not one, and the name of that type."""
    dtype = field.types.polars
    number = pl.col(field.name).cast(dtype, strict=False)
    match dtype:
        case pl.Date():
            return pl.col(field.name).str.to_date("%Y-%m-%d", strict=False), "date (YYYY-MM-DD)"
        case pl.Float64():
            return pl.when(number.is_finite()).then(number), "number"  # 'nan' and 'inf' are not prices
        case pl.Int64() | pl.Int32():
            return number, "whole number"
        case _:
            return number, str(dtype)
