"""Rules: named boolean SQL expressions that run as written in Polars and in ClickHouse.

A rule means 'not false': a null operand neither proves nor refuses a row, because null-ness is the type's business.
"""

from __future__ import annotations

import polars as pl


def rule_expression(text: str) -> pl.Expr:
    """Return `text` as a Boolean expression, null read as true.

    >>> pl.DataFrame({"low": [1, 3, None]}).select(rule_expression("low <= 2"))["low"].to_list()
    [True, False, True]
    """
    return pl.sql_expr(text).fill_null(value=True)


def rule_constraint(name: str, text: str) -> str:
    """Return the same rule as a ClickHouse table constraint.

    >>> rule_constraint("low_le_high", "low <= high")
    'CONSTRAINT low_le_high CHECK ifNull(low <= high, true)'
    """
    return f"CONSTRAINT {name} CHECK ifNull({text}, true)"
