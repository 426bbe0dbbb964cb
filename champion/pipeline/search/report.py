"""What the notebook `search` shows: the recipes beside each other, and what luck alone would show of as many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from champion.base.counting import quantity
from champion.contracts.datasets import BARS
from champion.lake import Lake
from champion.modeling import multiplicity
from champion.modeling.luck import gate_luck
from champion.modeling.luck.gate_luck import numbers
from champion.modeling.multiplicity import Luck, Maxima
from champion.pipeline.models import evaluate, notebook_data, styled, trials
from champion.pipeline.search import choice, outcomes
from champion.pipeline.search.outcomes import Search, Tried
from champion.portfolio.construction import Rule
from champion.settings import Settings
from champion.tracking import promotion
from champion.tracking.ledger_storage import storable
from champion.tracking.trials import ledger

DRAWS = 2_000
"""Draws of the bootstrap on the page; the gate draws more."""
_TABLE = {
    "recipe": pl.Int64, "text": pl.String, "version": pl.Int64, "trial": pl.String, "sessions": pl.Int64,
    "net_active_return": pl.Float64, "sharpe": pl.Float64, "rank_ic": pl.Float64, "run": pl.String, "error": pl.String,
}  # fmt: skip
_BAND = (0.05, 0.5, 0.95)  # quantiles of the draws
_NOTHING = pl.DataFrame(
    schema={"place": pl.UInt32, "recipe": pl.Int64, **dict.fromkeys(("score", "low", "middle", "high"), pl.Float64)}
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The recipes of a search against luck.

    `scores` has place (1 is best), recipe, score (the mean daily net active return over its standard error, as a
    standard normal score), and low, middle and high: the 5%, 50% and 95% quantiles of what the recipe in this place
    shows without skill. `best` is the gate's rule of luck for the first recipe, as the gate would judge it now; None if
    no recipe can be judged.
    """

    scores: pl.DataFrame
    best: Luck | None
    recipe: int | None = None

    @property
    def text(self) -> str:
        """The best recipe against luck, in one sentence."""
        if self.best is None:
            return "no recipe has enough sessions to be judged"
        found, verdict = self.best, "is beyond" if self.best.passed else "is not beyond"
        return (
            f"recipe {self.recipe} has a Sharpe ratio of {found.sharpe:.2f} a year; the best of "
            f"{quantity(found.trials, 'trial')} without skill exceeds {found.sharpe_needed:.2f} at a rate of "
            f"{found.level:.2%}, so it {verdict} luck"
        )


def table(settings: Settings, search: Search) -> pl.DataFrame:
    """Return a row per recipe, the highest Sharpe ratio first, failed ones last.

    Columns: recipe (the number), text, version, trial (its id in the trial ledger), sessions of its series,
    net_active_return (growth a year, a decimal), sharpe (of daily net active returns, annualised), rank_ic, run (of the
    training notebook) and error. Figures of a recipe without a series are null.

    Raises:
        ModelError: the trial ledger is damaged.
    """
    held, results = outcomes.returns(settings, search), outcomes.results_of(ledger.read(settings))
    ranks = {
        one.version: found.figures.get("rank_ic")
        for one in search.known
        if (found := results.get((one.look, one.scores))) and "rank_ic" in found.figures
    }
    names, rows = _trial_ids(settings, search), list[tuple[Any, ...]]()
    for one in search.recipes:
        active = held[str(one.number)].drop_nulls() if str(one.number) in held.columns else None
        growth, sharpe = (None, None) if active is None else trials.figures(active)
        figures = (0 if active is None else len(active), growth, sharpe, ranks.get(one.version))
        named = (one.number, one.text, one.version, names.get(one.number))
        rows.append((*named, *figures, one.run or None, one.error or None))
    frame = pl.DataFrame(rows, schema=_TABLE, orient="row")
    return frame.sort("sharpe", "recipe", descending=[True, False], nulls_last=True)


def against_luck(settings: Settings, search: Search, look: str | None = None) -> Comparison:
    """Return the recipes of a search against luck, among all recorded trials, as the gate judges them.

    The best recipe is judged by the gate's own function: its error is widened if it keeps its instruments, and the
    level is what is left of the setting `gate_luck` after the trials, refits and decisions so far. `look` is that of
    the search's own choice, which does not count yet.

    Raises:
        ModelError: a ledger is damaged.
    """
    known = [one for one in trials.recorded(settings) if not any(each.id == look for each in one.looks)]
    returns = trials.matrix(settings, known)
    columns, ids = returns.columns[1:], _trial_ids(settings, search)
    places = {columns.index(name): number for number, name in ids.items() if name in columns}
    block = multiplicity.block_length(returns.height, max(one.horizon for one in search.recipes))
    if not places or block > returns.height:
        return Comparison(_NOTHING, None)
    by_number = {one.number: one for one in search.known}
    factors = _widened(settings, [by_number[number] for number in places.values()])
    wider = np.full(len(columns), math.nan)
    wider[list(places)] = [factors[number] for number in places.values()]
    found = multiplicity.bootstrap(numbers(returns.select(columns)), block, DRAWS, wider)
    judged = [place for place in places if found.judged[place] and not math.isnan(wider[place])]
    order = sorted(judged, key=lambda place: -found.scores[place])
    if not order:
        return Comparison(_NOTHING, None)
    first = next(one for one in known if one.id == columns[order[0]])
    decisions = promotion.history(settings)
    evidence = trials.evidence_of_luck(settings, first, known, decisions, wider=float(wider[order[0]]))
    best = gate_luck.judged(evidence, gate_luck.spent(evidence, settings.gate_luck))
    return Comparison(_scores(found, order, places), best, places[order[0]])


def inputs(settings: Settings, search: Search) -> dict[str, str]:
    """Return digests of what the notebook `search` reads, by name: the same digests give the same page.

    Trials count without the search's own choice, which the notebook records itself.

    Raises:
        ModelError: a ledger is damaged.
    """
    own = storable(choice.recipe(search, ledger.read(settings)))
    known = [one for one in trials.recorded(settings) if one.recipe != own]
    return {
        "search": outcomes.digest(search),
        "gate": str(settings.gate_luck),
        "trials": trials.fingerprint(known),
        "decisions": str(max([entry.decision for entry in promotion.history(settings)], default=0)),
        **notebook_data.of_accounts(Lake(settings.lake)),
    }


def _widened(settings: Settings, recipes: Sequence[Tried]) -> dict[int, float]:
    """Return the factor `multiplicity.widening` of each recipe, by number; bars are read once for each rule's days."""
    lake, found, ahead = Lake(settings.lake), dict[int, float](), dict[int, pl.DataFrame]()
    first = next(iter(lake.sessions(BARS)))
    for one in recipes:
        rule = Rule(**one.rule)
        if rule.every not in ahead:
            ahead[rule.every] = styled.returns_between(lake, first, rule.every)
        _, scored = evaluate.scores(settings, str(one.version))
        found[one.number] = styled.clustered(lake, scored, rule, ahead[rule.every])
    return found


def sentences(search: Search, result: Mapping[str, Any]) -> list[str]:
    """Return what became of a search in sentences, from the values that its notebook published.

    >>> from datetime import date
    >>> search = Search("x", "1f", date(2024, 1, 1), date(2024, 6, 3), 5, ())
    >>> sentences(search, {"luck": "recipe 2 is not beyond luck", "version": 7, "report": "x.html"})[-1]
    'Page of the search: x.html; of a recipe: `champion notebook show RUN`.'
    """
    reasons = dict[str, list[int]]()
    for one in search.failed:
        reasons.setdefault(one.error, []).append(one.number)
    failures = [f"Failed: recipe {', '.join(map(str, numbers))}: {error}" for error, numbers in reasons.items()]
    growth, sharpe = (result.get(name) for name in ("net_active_return_of_choice", "sharpe_of_choice"))
    earned = ""
    if growth is not None and sharpe is not None:
        earned = (
            f"Choosing by earlier folds alone, the search would have earned {growth:.1%} a year more than its "
            f"benchmark, with a Sharpe ratio of {sharpe:.2f}."
        )
    luck = f"{str(result['luck'])[:1].upper()}{str(result['luck'])[1:]}."
    asked = (
        f"Nothing was promoted; `champion models promote {result['version']}` asks the gate about its model "
        "under the rule that its training simulated. For another number of instruments train it with that `--top`."
    )
    pages = f"Page of the search: {result['report']}; of a recipe: `champion notebook show RUN`."
    note = str(result.get("note", ""))
    return [each for each in (*failures, luck, earned, asked, note, pages) if each]


def _trial_ids(settings: Settings, search: Search) -> dict[int, str]:
    """Return the id in the trial ledger of each recipe that has one, by number."""
    named = {
        (result.id, result.scores): trial.id for trial in trials.recorded(settings) for result in trial.results.values()
    }
    found = ((one.number, named.get((one.look, one.scores))) for one in search.known)
    return {number: name for number, name in found if name is not None}


def _scores(found: Maxima, order: list[int], places: dict[int, int]) -> pl.DataFrame:
    drawn = -np.sort(-found.drawn[:, order], axis=1)
    low, middle, high = np.quantile(drawn, _BAND, axis=0)
    columns = {"recipe": [places[place] for place in order], "score": found.scores[order]}
    return pl.DataFrame(columns | {"low": low, "middle": middle, "high": high}).with_row_index("place", 1)
