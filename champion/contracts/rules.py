"""Rules: named boolean SQL expressions that Polars and ClickHouse evaluate unchanged.

A rule means 'not false': a row with a null operand passes, because the type decides whether null is allowed. A row with
NaN in a field of the rule breaks it: Polars sorts NaN above every number, ClickHouse finds it unequal to all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import polars.selectors as cs

if TYPE_CHECKING:
    from champion.contracts.contract import Contract


def rule_expression(text: str) -> pl.Expr:
    """Return `text` as a Boolean expression that is true for null and false for NaN.

    >>> pl.DataFrame({"low": [1, 3, None]}).select(rule_expression("low <= 2"))["low"].to_list()
    [True, False, True]
    """
    rule = pl.sql_expr(text)
    floats = cs.float() & cs.by_name(rule.meta.root_names(), require_all=False)
    return rule.fill_null(value=True) & pl.all_horizontal(floats.is_not_nan().fill_null(value=True))


KNOWN = "numbers_are_known"
"""The name of the constraint of every table with decimal numbers."""


def known_constraint(contract: Contract) -> str | None:
    """Return the ClickHouse constraint that no float of a row is NaN or infinite; None without floats.

    A rule alone does not exclude NaN in ClickHouse: `x is not null or y > 0` is true for it.

    >>> from champion.contracts import load
    >>> known_constraint(load("predictions_equity_scores"))
    'CONSTRAINT numbers_are_known CHECK ifNull(isFinite(score), true)'
    """
    names = [field.name for field in contract.fields if field.types.polars.is_float()]
    return f"CONSTRAINT {KNOWN} CHECK {' AND '.join(f'ifNull(isFinite({n}), true)' for n in names)}" if names else None


def rule_constraint(name: str, text: str) -> str:
    """Return a rule as a ClickHouse table constraint.

    >>> rule_constraint("low_le_high", "low <= high")
    'CONSTRAINT low_le_high CHECK ifNull(low <= high, true)'
    """
    return f"CONSTRAINT {name} CHECK ifNull({text}, true)"
