"""Rules: named boolean SQL expressions that run as written in Polars and in ClickHouse.

A rule means 'not false': a null operand neither proves nor refuses a row, because null-ness is the type's business.
NaN is no value a rule can judge (Polars sorts it above every number, ClickHouse finds it unequal to all), so a row with
NaN in a field that a rule reads breaks that rule.
"""

from __future__ import annotations

import polars as pl
import polars.selectors as cs


def rule_expression(text: str) -> pl.Expr:
    """Return `text` as a Boolean expression: null read as true, NaN as false.

    >>> pl.DataFrame({"low": [1, 3, None]}).select(rule_expression("low <= 2"))["low"].to_list()
    [True, False, True]
    """
    rule = pl.sql_expr(text)
    floats = cs.float() & cs.by_name(rule.meta.root_names(), require_all=False)
    return rule.fill_null(value=True) & pl.all_horizontal(floats.is_not_nan().fill_null(value=True))


def rule_constraint(name: str, text: str) -> str:
    """Return the same rule as a ClickHouse table constraint.

    >>> rule_constraint("low_le_high", "low <= high")
    'CONSTRAINT low_le_high CHECK ifNull(low <= high, true)'
    """
    return f"CONSTRAINT {name} CHECK ifNull({text}, true)"
