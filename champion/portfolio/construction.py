"""Turn scores into target weights: which instruments, how much of each, and how often."""

from __future__ import annotations

from collections.abc import Mapping, Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

import polars as pl

from champion.base.counting import quantity
from champion.errors import UsageError
from champion.portfolio.inputs import KEY, checked_scores, is_number, is_whole, require_sectors

_IN_PART = 2  # positions beyond `top` under a turnover budget: one sold and one bought in part
_NEGLIGIBLE = 1e-6  # of the equity: ten rupees of ten million
_USUAL_CAP = 0.1
_MONDAY, _WEEK, _WEEKDAYS = 4, 7, 5  # 1970-01-05 is 4 days after the first day of Polars
_WORTH_SAYING = 0.001  # of the equity
_LEFT = ("few", "cap", "sector_cap", "risk_unknown", "risk_limit")
_UNINVESTED = {"trade_date": pl.Date, **dict.fromkeys(_LEFT, pl.Float64)}
Weighting: TypeAlias = Literal["equal", "score", "inverse_volatility"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a long-only portfolio follows scores.

    Args:
        top: number of instruments to hold, the best scores first.
        buffer: an instrument that is held stays while its rank is at most top * (1 + buffer), which saves trades.
        weighting: `equal`; `score`, proportional to the rank among those held, 1 for the worst of them; or
            `inverse_volatility`, which needs a column `volatility`.
        cap: largest weight of one instrument; by default 10%, or more where `top` equal or ranked weights need more to
            be fully invested: see `largest_weight`.
        sector_cap: largest weight of one sector, as of the date of the decision; below 1 it needs a column `sector`.
            All instruments of unknown sector (null) count as one sector.
        turnover: largest part of the equity that one decision moves: half the sum of the changes of the target weights.
            A larger change is made in part, for all instruments alike. The first decision is not limited.
        invested: share of the equity that is invested; the rest pays for prices that rise before the purchase.
        every: weekdays from one decision to the next, 5 for one a week; 1 decides in each session. See `decision_days`.
        phase: weekdays by which the days of decision are later, below `every`: with 5, 2 decides on Wednesdays.
        risk_limit: largest deviation of the return a year that the factor risk model forecasts for the weights on the
            day of a decision, such as 0.15. What is above stays in cash, and so does a share of unknown risk. As a cap,
            it is kept even where this moves more than the budget. Between decisions the risk can rise above it.

    >>> Rule(top=20, every=21).invested
    0.98
    >>> Rule(top=20).largest_weight, Rule(top=5).largest_weight, Rule(top=5, cap=0.1).largest_weight
    (0.1, 0.2, 0.1)
    """

    top: int = 50
    buffer: float = 0.5
    weighting: Weighting = "equal"
    cap: float | None = None
    sector_cap: float = 1.0
    turnover: float = 1.0
    invested: float = 0.98
    every: int = 5
    phase: int = 0
    risk_limit: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that give no portfolio."""
        allowed = {
            "top": is_whole(self.top) and self.top >= 1,
            "buffer": is_number(self.buffer) and self.buffer >= 0,
            "cap": self.cap is None or (is_number(self.cap) and 0 < self.cap <= 1),
            "sector_cap": is_number(self.sector_cap) and 0 < self.sector_cap <= 1,
            "turnover": is_number(self.turnover) and 0 < self.turnover <= 1,
            "invested": is_number(self.invested) and 0 < self.invested <= 1,
            "every": is_whole(self.every) and self.every >= 1,
            "phase": is_whole(self.phase) and is_whole(self.every) and 0 <= self.phase < max(self.every, 1),
            "risk_limit": self.risk_limit is None or (is_number(self.risk_limit) and self.risk_limit > 0),
            "weighting": isinstance(self.weighting, str) and self.weighting in ("equal", "score", "inverse_volatility"),
        }
        if wrong := [f"{name} {getattr(self, name)!r}" for name, holds in allowed.items() if not holds]:
            raise UsageError(
                f"no portfolio can have {', '.join(wrong)}: top and every are whole numbers of at least 1, phase is "
                "one from 0 to every - 1, buffer is finite and at least 0, cap, sector_cap, turnover and invested are "
                "above 0 and at most 1, risk_limit is above 0, weighting is equal, score or inverse_volatility"
            )

    @property
    def largest_weight(self) -> float:
        """The cap; without one 10%, or the largest weight that `top` instruments of this weighting have if it is more.

        The size of weights by inverse volatility is not known before: their cap is that of equal weights.
        """
        if self.cap is not None:
            return self.cap
        return max(_USUAL_CAP, 2 / (self.top + 1) if self.weighting == "score" else 1 / self.top)


def target_weights(scores: pl.DataFrame, rule: Rule) -> pl.DataFrame:
    """Return trade_date, instrument_id and weight of each decision, sorted by both.

    Args:
        scores: trade_date, instrument_id and score, and volatility for that weighting, and sector for `sector_cap`, as
            known after the close of trade_date. Null and NaN scores are left out.
        rule: the rule. With fewer than `top` instruments, or where a cap binds, the rest stays in cash. Equal scores
            are ordered by instrument_id. Under a turnover budget whole positions are exchanged, and what is left of
            the budget is one position in part: of the instruments that leave the smallest are sold first, and those
            that come are bought in the order of their scores. So some that leave are held longer, in place of others.
            A cap is kept even where this moves more than the budget.

    Raises:
        UsageError: the scores lack a column, have one of another type, an infinite score or a volatility of 0, name an
            instrument twice in a session, no sector is known for `sector_cap`, or the rule has a `risk_limit`.

    >>> from datetime import date
    >>> scores = pl.DataFrame({"instrument_id": ["A", "B", "C"], "score": [3.0, 1.0, 2.0]})
    >>> scores = scores.with_columns(trade_date=date(2024, 1, 1))
    >>> target_weights(scores, Rule(top=2, cap=0.5, invested=1.0)).rows()
    [(datetime.date(2024, 1, 1), 'A', 0.5), (datetime.date(2024, 1, 1), 'C', 0.5)]
    """
    return construct(scores, rule).weights


@dataclass(frozen=True, slots=True)
class Construction:
    """Decisions, and what they leave in cash against the rule.

    `weights` are those of `target_weights`. `uninvested` has a row per decision, in shares of the equity: trade_date,
    and what fewer instruments than `top` (few), the cap of an instrument (cap) and that of a sector (sector_cap) leave
    in cash, before a turnover budget; then what is not held because its risk is unknown (risk_unknown), and what the
    risk limit leaves (risk_limit). Instruments of unknown risk have the weight 0.

    >>> Construction(pl.DataFrame(schema={"trade_date": pl.Date}), pl.DataFrame(schema=_UNINVESTED)).text
    ''
    """

    weights: pl.DataFrame
    uninvested: pl.DataFrame

    @property
    def text(self) -> str:
        """What the limits leave in cash on average over the decisions; empty below 0.1% of the equity."""
        words = {
            "few": "fewer instruments than top", "cap": "the cap", "sector_cap": "the sector cap",
            "risk_unknown": "unknown risk", "risk_limit": "the risk limit",
        }  # fmt: skip
        means = {name: self.uninvested[name].mean() or 0.0 for name in words}
        parts = [f"{words[name]} {mean:.1%}" for name, mean in means.items() if mean >= _WORTH_SAYING]  # type: ignore[operator,str-bytes-safe]
        left = f"left in cash on average: {', '.join(parts)} of the equity" if parts else ""
        return "; ".join(filter(None, (left, self._without_risk)))

    @property
    def _without_risk(self) -> str:
        """A sentence on the decisions on which no risk is known; empty if there are none."""
        unknown = self.uninvested.filter(pl.col("risk_unknown") > 0)
        held = self.weights.filter(pl.col("weight") > 0).select("trade_date") if unknown.height else unknown
        without = unknown.join(held, on="trade_date", how="anti")
        if without.is_empty():
            return ""
        of = quantity(self.uninvested.height, "decision")
        return (
            f"no risk is known on {without.height} of {of}, the first on {without['trade_date'][0]}: all is held in "
            "cash there. A forecast needs bars of a share, and 60 sessions of factor returns before"
        )


def construct(scores: pl.DataFrame, rule: Rule) -> Construction:
    """Return the decisions of `target_weights` with what its limits leave in cash; it takes and refuses the same.

    >>> scores = pl.DataFrame({"trade_date": [date(2024, 1, 1)], "instrument_id": ["A"], "score": [1.0]})
    >>> construct(scores, Rule(top=2, cap=0.3, invested=1.0)).text
    'left in cash on average: fewer instruments than top 50.0%, the cap 20.0% of the equity'
    """
    needed = [*KEY, "score", *(["volatility"] if rule.weighting == "inverse_volatility" else [])]
    groups = ["sector"] if rule.sector_cap < 1 else []
    if rule.risk_limit is not None:
        raise UsageError(
            f"a risk limit of {rule.risk_limit:g} needs a risk model: give the rule to `simulate`, which makes one, or "
            f"decide without risk_limit and give the weights to `within_risk(weights, model, {rule.risk_limit:g})`"
        )
    known = checked_scores(scores, [*needed[3:], *groups]).drop_nulls(needed)
    if groups:
        require_sectors(known)
    days = decision_days(known["trade_date"], rule)
    known = known.filter(pl.col("trade_date").is_in(days.implode())).sort(KEY)  # ranks of other days are not needed
    ordered = known.with_columns(rank=pl.col("score").rank("ordinal", descending=True).over("trade_date"))
    held, before, sectors, decided = set[str](), dict[str, float](), dict[str, str | None](), list[pl.DataFrame]()
    left = list[tuple[date, float, float, float, float, float]]()
    for session in ordered.partition_by("trade_date"):
        day, chosen = session["trade_date"][0], _chosen(session, rule, held)
        held, weights = set(chosen["instrument_id"]), dict(chosen.select("instrument_id", "weight").iter_rows())
        sectors |= dict(session.select("instrument_id", *groups).iter_rows()) if groups else {}
        whole, weights = sum(weights.values()), capped(weights, sectors, rule.sector_cap)
        present = rule.invested * min(1.0, chosen.height / rule.top)
        left.append((day, rule.invested - present, present - whole, whole - sum(weights.values()), 0.0, 0.0))
        if before and rule.turnover < 1:
            weights = capped(_in_part(before, weights, rule, sectors), sectors, rule.sector_cap)
        before = weights
        decided.append(dated(day, weights))
    nothing = known.select("trade_date", "instrument_id", weight=pl.lit(0.0)).clear()
    uninvested = pl.DataFrame(left, schema=_UNINVESTED, orient="row")
    return Construction(pl.concat([nothing, *decided]).sort(KEY), uninvested)


def decision_days(days: pl.Series, rule: Rule) -> pl.Series:
    """Return the days on which a rule decides, of days with scores, in order.

    They are the first of each `every` weekdays, counted from Monday, 5 January 1970, plus `phase`. The calendar is
    fixed: whatever the first day, and whether an earlier day gets scores or loses them, later decisions are made on the
    same days. So only the first decision can come in the middle of a week, because an account buys on its first day.

    >>> days = pl.date_range(date(2024, 1, 4), date(2024, 1, 16), eager=True)
    >>> [day.strftime("%a %d") for day in decision_days(days.filter(days != date(2024, 1, 15)), Rule(every=5))]
    ['Thu 04', 'Mon 08', 'Tue 16']
    """
    ordered = days.drop_nulls().unique().sort()
    if rule.every == 1:  # a session on a Saturday decides too
        return ordered
    since = pl.col("day").cast(pl.Int64) - _MONDAY
    place = since // _WEEK * _WEEKDAYS + (since % _WEEK).clip(upper_bound=_WEEKDAYS - 1)
    block = (place - rule.phase) // rule.every
    return ordered.to_frame("day").filter((block != block.shift(1)).fill_null(value=True))["day"]


def dated(day: date, weights: Mapping[str, float]) -> pl.DataFrame:
    """Return trade_date, instrument_id and weight of one decision.

    >>> dated(date(2024, 1, 1), {"A": 0.5}).rows()
    [(datetime.date(2024, 1, 1), 'A', 0.5)]
    """
    columns = {"instrument_id": list(weights), "weight": list(weights.values())}
    return pl.DataFrame(columns).select(pl.lit(day).alias("trade_date"), "instrument_id", "weight")


def _chosen(session: pl.DataFrame, rule: Rule, held: AbstractSet[str]) -> pl.DataFrame:
    """Return the instruments to hold with their weights, the held ones first."""
    near = session.filter(pl.col("rank") <= rule.top * (1 + rule.buffer)).sort("rank")
    is_held = pl.col("instrument_id").is_in(sorted(held))
    kept = near.filter(is_held).head(rule.top)
    chosen = pl.concat([kept, near.filter(~is_held).head(rule.top - kept.height)])
    return chosen.with_columns(relative=_relative(rule)).with_columns(weight=_weights(rule, chosen.height))


def capped(weights: dict[str, float], sectors: Mapping[str, str | None], cap: float) -> dict[str, float]:
    """Return the weights with those of each sector above the cap reduced in proportion.

    >>> capped({"A": 0.3, "B": 0.3, "C": 0.4}, {"A": "IT", "B": "IT"}, 0.4)
    {'A': 0.2, 'B': 0.2, 'C': 0.4}
    """
    if cap >= 1:
        return weights
    sums = dict[str | None, float]()
    for name, weight in weights.items():
        sums[sectors.get(name)] = sums.get(sectors.get(name), 0.0) + weight
    return {name: weight * min(1.0, cap / sums[sectors.get(name)]) for name, weight in weights.items()}


def _in_part(
    before: Mapping[str, float], after: Mapping[str, float], rule: Rule, sectors: Mapping[str, str | None]
) -> dict[str, float]:
    """Return weights on the way from `before` to `after` that move at most the budget of the rule.

    Sales and purchases are each cut to their part of the budget and made one after the other, whole. In proportion,
    every position would shrink without ever ending, and hundreds of remains would be held. A new position is opened
    only while fewer than `top` + 2 are held: one large position that leaves could else become many small ones, time and
    again. What is not spent then stays in cash until a position has left.
    """
    moves = {name: after.get(name, 0.0) - before.get(name, 0.0) for name in (*before, *after)}
    moved = sum(abs(move) for move in moves.values()) / 2
    step = min(1.0, rule.turnover / moved) if moved else 1.0
    weights = dict(before)
    leaving = sorted(before.keys() - after.keys(), key=lambda name: (before[name], name))
    reduced = [name for name in reversed(list(after)) if moves[name] < 0]
    left = -step * sum(move for move in moves.values() if move < 0)
    for name in (*leaving, *reduced):
        part = min(-moves[name], left)
        weights[name], left = before[name] - part, left - part
    sums = dict[str | None, float]()
    for name, weight in weights.items():
        sums[sectors.get(name)] = sums.get(sectors.get(name), 0.0) + weight
    left = step * sum(move for move in moves.values() if move > 0)
    count = sum(weight > _NEGLIGIBLE for weight in weights.values())
    for name in (name for name in after if moves[name] > 0):
        opened = weights.get(name, 0.0) <= _NEGLIGIBLE
        if opened and count >= rule.top + _IN_PART:
            continue
        sector = sectors.get(name)
        room = max(rule.sector_cap - sums.get(sector, 0.0), 0.0) if rule.sector_cap < 1 else 1.0
        part = min(moves[name], left, room)
        weights[name], left = before.get(name, 0.0) + part, left - part
        sums[sector] = sums.get(sector, 0.0) + part
        count += opened and weights[name] > _NEGLIGIBLE
    return {name: weight for name, weight in weights.items() if weight > _NEGLIGIBLE}


def _relative(rule: Rule) -> pl.Expr:
    """Return the size of a position relative to the others that are held."""
    if rule.weighting == "score":
        return pl.col("score").rank()
    if rule.weighting == "inverse_volatility":
        return 1 / pl.col("volatility")
    return pl.lit(1.0)


def _weights(rule: Rule, count: int) -> pl.Expr:
    share = pl.col("relative") / pl.col("relative").sum()
    return (share * rule.invested * min(1.0, count / rule.top)).clip(upper_bound=rule.largest_weight)


def inputs_of(rule: Rule) -> list[str]:
    """Return the columns besides the score that a rule needs.

    >>> inputs_of(Rule()), inputs_of(Rule(sector_cap=0.3))
    ([], ['sector'])
    """
    named = {"volatility": rule.weighting == "inverse_volatility", "sector": rule.sector_cap < 1}
    return [name for name, needed in named.items() if needed]
