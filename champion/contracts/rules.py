"""Rules: named boolean SQL expressions that Polars and ClickHouse evaluate unchanged.

A rule means 'not false': a row with a null operand passes, because the type decides whether null is allowed. A row with
NaN in a field of the rule breaks it: Polars sorts NaN above every number, ClickHouse finds it unequal to all.

A table of the warehouse has each rule as the constraint `CHECK ifNull(<rule>, true)`. A rule alone does not exclude NaN
in ClickHouse, where `x is not null or y > 0` is true for it, so a table with decimal numbers also has the constraint
`numbers_are_known`: `ifNull(isFinite(<field>), true)` for each of them.
"""

from __future__ import annotations

from functools import cache

import polars as pl
import polars.selectors as cs


@cache
def rule_columns(text: str) -> frozenset[str]:
    """Return the names of the columns in a rule.

    >>> sorted(rule_columns("low <= high"))
    ['high', 'low']
    """
    return frozenset(pl.sql_expr(text).meta.root_names())


@cache  # each partition is checked by the same rules, often to parse them costs more than to evaluate them
def rule_expression(text: str) -> pl.Expr:
    """Return `text` as a Boolean expression that is true for null and false for NaN.

    >>> pl.DataFrame({"low": [1, 3, None]}).select(rule_expression("low <= 2"))["low"].to_list()
    [True, False, True]
    """
    rule = pl.sql_expr(text)
    floats = cs.float() & cs.by_name(*rule_columns(text), require_all=False)
    return rule.fill_null(value=True) & pl.all_horizontal(floats.is_not_nan().fill_null(value=True))
