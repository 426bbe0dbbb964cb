"""Choose among the recipes of a search without looking ahead, and simulate the account that follows the choices.

At the first session of each fold but the first, the recipe with the highest Sharpe ratio of daily net active returns on
all earlier out-of-sample sessions is chosen. A daily return is known at the close of its session, so the choice uses
nothing later, and no inner refit is needed. A recipe that figures of other recipes proposed (`guided`) can be chosen
only for folds that begin after the last session of these figures. From the first session of the fold to its end the
account follows the scores of the chosen recipe under its rule. The account is one account: a change of the recipe is
paid for.

The series of this account is what the search itself would have earned. It is a separate trial, whose recipe is the
list of recipes, because a search is a look at forward returns too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from champion.errors import ModelError
from champion.lake import Lake
from champion.modeling.metrics import SESSIONS_PER_YEAR, sharpe_ratio
from champion.pipeline.models import evaluate, portfolio
from champion.pipeline.search.outcomes import Search, Tried
from champion.portfolio import report, simulator
from champion.portfolio.construction import Rule
from champion.portfolio.inputs import checked_scores
from champion.portfolio.simulator import MarketRules
from champion.settings import Settings
from champion.tracking import registry
from champion.tracking.trials.entry import Entry, digest

FEWEST = 20
"""Sessions with a return that a recipe needs before a fold to be chosen for it."""
_CHOICE = "highest Sharpe ratio of daily net active returns in earlier folds"
_CHOICES = {
    "fold": pl.Int64, "start": pl.Date, "end": pl.Date, "chosen": pl.Int64, "sharpe_before": pl.Float64,
    "sharpe": pl.Float64, "best": pl.Int64, "best_sharpe": pl.Float64,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Followed:
    """The account that follows the choices: growth and daily net active returns, and the scores that it followed."""

    scores: pl.DataFrame
    active: pl.DataFrame
    growth: pl.DataFrame
    summary: dict[str, float]


def choose(returns: pl.DataFrame, starts: Sequence[date], seen: Mapping[int, date] | None = None) -> pl.DataFrame:
    """Return the recipe that is chosen for each fold but the first, from earlier folds alone.

    Args:
        returns: trade_date and the daily net active returns of each recipe, in a column named by its number; null where
            it has no session.
        starts: the first session of each fold.
        seen: the last session whose figures proposed a recipe, by its number, for recipes that figures proposed.

    Returns fold (from 2), start, end, chosen (the number, null if no recipe can be judged before the fold),
    sharpe_before (of the chosen recipe, before the fold), sharpe (of the chosen recipe, in the fold), best and
    best_sharpe (the best recipe in the fold, in hindsight). Sharpe ratios are annualised. Equal ones are ordered by
    number.

    >>> from datetime import timedelta
    >>> days = [date(2024, 1, 1) + timedelta(n) for n in range(60)]
    >>> good_then_bad = [0.01, 0.02] * 15 + [-0.01, -0.02] * 15
    >>> returns = pl.DataFrame({"trade_date": days, "1": [0.001, -0.001] * 30, "2": good_then_bad})
    >>> choose(returns, [days[0], days[30]]).select("fold", "chosen", "best").rows()
    [(2, 2, 1)]
    """
    names = [name for name in returns.columns if name != "trade_date"]
    rows = list[tuple[object, ...]]()
    ordered = returns.sort("trade_date")
    for fold, start in enumerate(starts[1:], start=2):
        until = starts[fold] if fold < len(starts) else date.max
        before = ordered.filter((pl.col("trade_date") >= starts[0]) & (pl.col("trade_date") < start))
        after = ordered.filter((pl.col("trade_date") >= start) & (pl.col("trade_date") < until))
        known = [name for name in names if (seen or {}).get(int(name), date.min) < start]
        earlier, later = sharpes(before, known), sharpes(after, names, 2)
        chosen, best = _highest(earlier), _highest(later)
        of_chosen = () if chosen is None else (chosen, earlier[chosen], later.get(chosen))
        of_best = () if best is None else (best, later[best])
        figures = (*(of_chosen or (None,) * 3), *(of_best or (None,) * 2))
        rows.append((fold, start, after["trade_date"].max(), *figures))
    return pl.DataFrame(rows, schema=_CHOICES, orient="row")


def fold_starts(settings: Settings, search: Search) -> list[date]:
    """Return the first test session of each fold, of the recipe with the longest horizon, whose folds start last.

    Raises:
        ModelError: every recipe failed.
    """
    if not search.known:
        raise ModelError(f"all {len(search.recipes)} recipes failed, the first with {search.recipes[0].error}")
    longest = max(search.known, key=lambda one: (one.horizon, -one.number))
    tested = evaluate.out_of_sample(settings, registry.find(settings, longest.version or 0))
    return tested.group_by("fold").agg(pl.col("trade_date").min()).sort("fold")["trade_date"].to_list()


def follow(settings: Settings, search: Search, choices: pl.DataFrame) -> Followed:
    """Return the account that follows the choices from the first chosen fold on.

    Raises:
        ModelError: no recipe was chosen for any fold.
        UsageError: the lake cannot simulate an account of these scores.
    """
    chosen, lake = choices.drop_nulls("chosen"), Lake(settings.lake)
    if chosen.is_empty():
        raise ModelError(
            f"no recipe has {FEWEST} sessions of net active returns before the second fold: search more sessions"
        )
    by_number = {one.number: one for one in search.known}
    held = {number: _scores(settings, by_number[number]) for number in chosen["chosen"].unique()}
    parts = list[tuple[int, pl.DataFrame]]()
    for number, start, end in chosen.select("chosen", "start", "end").iter_rows():
        inside = held[number].filter(pl.col("trade_date").is_between(start, end))
        if parts and parts[-1][0] == number:  # the portfolio is kept
            parts[-1] = (number, pl.concat([parts[-1][1], inside]))
        else:
            parts.append((number, inside))
    scores = pl.concat([part for _, part in parts])
    rules = [Rule(**by_number[number].rule) for number, _ in parts]
    market = portfolio.market(lake, scores, after=max(rule.every for rule in rules), end=search.end)
    if len(set(rules)) == 1:
        whole = portfolio.simulate(scores, rules[0], arrays=market, lake=lake)
        return Followed(scores, whole.active, whole.growth, whole.summary)
    # Rules differ: each part, and its benchmark, is decided by the part's own rule. One account carries out all
    # decisions, and another one those of the benchmarks, so each recipe is compared with what its own rule allows.
    usual = MarketRules()
    decided = [
        portfolio.decided(checked_scores(part), rule, usual, market, lake)[:2]
        for (_, part), rule in zip(parts, rules, strict=True)
    ]
    account = simulator.simulate(market, pl.concat([found.weights for found, _ in decided]), usual)
    benchmark = portfolio.benchmark_account(market, pl.concat([weights for _, weights in decided]), usual)
    active, growth = report.active(account, benchmark), report.growth(account, benchmark)
    return Followed(scores, active, growth, report.summary(account, benchmark))


def recipe(search: Search, entries: Sequence[Entry]) -> dict[str, Any]:
    """Return the recipe of the search as a trial: how it chooses, among which recipes of the trial ledger."""
    looks = {one.id: one.recipe for one in entries if one.kind == "look"}
    listed = [looks.get(one.look) or {"failed": one.text} for one in search.recipes]
    proposed = {"proposals": digest([str(one.seen) for one in search.recipes])[:10]} if search.seen else {}
    return {"search": _CHOICE, "folds": search.folds, "recipes": len(listed), "list": digest(listed)[:10], **proposed}


def data(search: Search, entries: Sequence[Entry]) -> dict[str, str]:
    """Return the digests of the data that the recipes were trained on, by name."""
    wanted = {one.look for one in search.known}
    found = (one.data for one in entries if one.kind == "look" and one.id in wanted)
    merged: dict[str, str] = {}
    for each in found:
        merged |= each
    return merged


def _scores(settings: Settings, one: Tried) -> pl.DataFrame:
    return evaluate.scores(settings, str(one.version))[1].select("trade_date", "instrument_id", "score")


def sharpes(returns: pl.DataFrame, names: Sequence[str], fewest: int = FEWEST) -> dict[int, float]:
    """Return the annualised Sharpe ratios by number of the recipe, of those that are finite.

    `returns` is that of `choose`; a recipe with fewer sessions than `fewest` is left out.
    """
    found = dict[int, float]()
    for name in names:
        known = returns[name].drop_nulls()
        if len(known) >= fewest and math.isfinite(sharpe := sharpe_ratio(known, SESSIONS_PER_YEAR)):
            found[int(name)] = sharpe
    return found


def _highest(ratios: Mapping[int, float]) -> int | None:
    return min(ratios, key=lambda number: (-ratios[number], number), default=None)
