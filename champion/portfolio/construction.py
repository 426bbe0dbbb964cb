"""Turn scores into target weights: which instruments, how much of each, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import polars as pl

from champion.errors import UsageError

Weighting: TypeAlias = Literal["equal", "score", "inverse_volatility"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a long-only portfolio follows scores.

    Args:
        top: number of instruments to hold, the best scores first.
        buffer: an instrument that is held stays while its rank is at most top * (1 + buffer), which saves trades.
        weighting: `equal`; `score`, proportional to the rank among those held; or `inverse_volatility`, which needs a
            column `volatility`.
        cap: largest weight of one instrument.
        invested: share of the equity that is invested; the rest pays for prices that rise before the purchase.
        every: sessions between two decisions, counted among the sessions with scores.

    >>> Rule(top=20, every=21).invested
    0.98
    """

    top: int = 50
    buffer: float = 0.5
    weighting: Weighting = "equal"
    cap: float = 0.1
    invested: float = 0.98
    every: int = 5

    def __post_init__(self) -> None:
        """Refuse values that give no portfolio."""
        allowed = {
            "top": self.top >= 1,
            "buffer": self.buffer >= 0,
            "cap": 0 < self.cap <= 1,
            "invested": 0 < self.invested <= 1,
            "every": self.every >= 1,
            "weighting": self.weighting in {"equal", "score", "inverse_volatility"},
        }
        if wrong := [f"{name} {getattr(self, name)!r}" for name, holds in allowed.items() if not holds]:
            raise UsageError(
                f"no portfolio can have {', '.join(wrong)}: top and every are at least 1, buffer at least 0, cap and "
                "invested above 0 and at most 1, weighting equal, score or inverse_volatility"
            )


def target_weights(scores: pl.DataFrame, rule: Rule) -> pl.DataFrame:
    """Return trade_date, instrument_id and weight of each decision, sorted by both.

    Args:
        scores: trade_date, instrument_id and score, and volatility for that weighting, as known after the close of
            trade_date. Null and NaN scores are left out.
        rule: the rule. With fewer than `top` instruments, or where `cap` binds, the rest stays in cash. Equal scores
            are ordered by instrument_id.

    Raises:
        UsageError: the scores lack a column, or name an instrument twice in a session.

    >>> from datetime import date
    >>> scores = pl.DataFrame({"instrument_id": ["A", "B", "C"], "score": [3.0, 1.0, 2.0]})
    >>> scores = scores.with_columns(trade_date=date(2024, 1, 1))
    >>> target_weights(scores, Rule(top=2, cap=0.5, invested=1.0)).rows()
    [(datetime.date(2024, 1, 1), 'A', 0.5), (datetime.date(2024, 1, 1), 'C', 0.5)]
    """
    needed = [
        "trade_date",
        "instrument_id",
        "score",
        *(["volatility"] if rule.weighting == "inverse_volatility" else []),
    ]
    if missing := [name for name in needed if name not in scores.columns]:
        raise UsageError(f"the scores lack {', '.join(missing)}; they have {', '.join(scores.columns)}")
    known = scores.select(needed).drop_nulls().filter(pl.col("score").is_finite()).sort("trade_date", "instrument_id")
    if known.select("trade_date", "instrument_id").is_duplicated().any():
        raise UsageError("the scores name an instrument twice in one session; give one row per instrument and session")
    ordered = known.with_columns(
        rank=pl.col("score").rank("ordinal", descending=True).over("trade_date"), relative=_relative(rule)
    )
    days = ordered["trade_date"].unique().sort().gather_every(rule.every)
    held: set[str] = set()
    decided = []
    for session in ordered.filter(pl.col("trade_date").is_in(days.implode())).partition_by("trade_date"):
        near = session.filter(pl.col("rank") <= rule.top * (1 + rule.buffer)).sort("rank")
        kept = near.filter(pl.col("instrument_id").is_in(list(held))).head(rule.top)
        new = near.filter(~pl.col("instrument_id").is_in(list(held))).head(rule.top - kept.height)
        chosen = pl.concat([kept, new])
        held = set(chosen["instrument_id"])
        decided.append(chosen.with_columns(weight=_weights(rule, chosen.height)))
    columns = ["trade_date", "instrument_id", "weight"]
    if not decided:
        return known.select("trade_date", "instrument_id", weight=pl.lit(0.0)).clear()
    return pl.concat(decided).select(columns).sort("trade_date", "instrument_id")


def _relative(rule: Rule) -> pl.Expr:
    """Return the size of a position relative to the others."""
    if rule.weighting == "score":
        return pl.col("score").rank().over("trade_date")
    if rule.weighting == "inverse_volatility":
        return 1 / pl.col("volatility")
    return pl.lit(1.0)


def _weights(rule: Rule, count: int) -> pl.Expr:
    share = pl.col("relative") / pl.col("relative").sum()
    return (share * rule.invested * min(1.0, count / rule.top)).clip(upper_bound=rule.cap)
