"""Propose the recipes of a search by what earlier ones showed: Optuna's tree-structured Parzen estimator, an extra.

A search with `method = "optuna"` tries its recipes in rounds. The first round is drawn at random. Each later round is
proposed from the Sharpe ratios of daily net active returns that the recipes before showed in the first folds alone, and
the rounds move from the first fold to the last but one. A recipe notes the last session that proposed it, and is chosen
for later folds only (`choice.choose`), so the account that follows the choices stays honest.

Nothing of Optuna is stored: its study is built for each round from the recipes and the series in the trial ledger,
with a seed that depends on the space and the number of recipes. So a search that was killed proposes the same recipes
again, and at most `TOGETHER` recipes run at a time, whatever the number of workers.
Source: Bergstra et al., Algorithms for Hyper-Parameter Optimization (2011).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from hashlib import sha256
from typing import Any

import numpy as np
import polars as pl

from champion.pipeline.search import choice, outcomes, space as spaces
from champion.pipeline.search.outcomes import Tried
from champion.pipeline.search.plan import Plan
from champion.pipeline.search.space import Candidate, Space
from champion.settings import Settings

TOGETHER = 4
"""Recipes of a round, which do not know of each other's figures."""
_ASKS = 20  # proposals of the study for one that is new; then the recipe is drawn at random
Suggest = Callable[[str, Any], Any]


def following(settings: Settings, plan: Plan, found: Sequence[Tried]) -> Plan | None:
    """Return the plan with the recipes of the next round, None if all recipes of the space were tried.

    `found` are the outcomes of all recipes of the plan, in any order. A search by grid or at random has one round.

    Raises:
        ModelError: the trial ledger is damaged.
    """
    wanted = plan.space.trials or 0
    if plan.space.method != "optuna" or len(plan.recipes) >= wanted:
        return None
    shown, seen = _shown(settings, plan, found)
    more = propose(plan.space, plan.recipes, shown, min(TOGETHER, wanted - len(plan.recipes)))
    return plan.extended(more, seen) if more else None


def fold_of(space: Space, tried: int) -> int:
    """Return the fold, from 2, before which figures propose the recipes after the first `tried` ones.

    >>> space = Space(name="x", method="optuna", trials=24, folds=4, model=[spaces.Model(name="ridge")])
    >>> [fold_of(space, tried) for tried in (6, 10, 14, 18, 22)]
    [2, 2, 3, 3, 4]
    """
    first, wanted = spaces.first_round(space), space.trials or 0
    rounds = max(math.ceil((wanted - first) / TOGETHER), 1)
    return 2 + (tried - first) // TOGETHER * (space.folds - 1) // rounds


def propose(space: Space, tried: Sequence[Candidate], shown: Mapping[int, float], count: int) -> list[Candidate]:
    """Return at most `count` recipes that were not tried; fewer if the space has no others.

    `shown` has what the recipes showed, higher is better, by the number of the recipe from 1; a recipe without a figure
    counts as failed. Equal arguments give equal recipes.
    """
    import optuna  # noqa: PLC0415 - an optional extra, and slow to import

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = int.from_bytes(sha256(f"{space.seed} {len(tried)}".encode()).digest()[:4])
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=spaces.first_round(space), constant_liar=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for number, candidate in enumerate(tried, start=1):
        known, (values, distributions) = shown.get(number), encoded(space, candidate)
        state = optuna.trial.TrialState.FAIL if known is None else optuna.trial.TrialState.COMPLETE
        past = optuna.trial.create_trial(state=state, value=known, params=values, distributions=distributions)
        study.add_trial(past)
    rng, seen, found = np.random.default_rng(seed), {spaces.key(one) for one in tried}, list[Candidate]()
    while len(found) < count:
        asked = (_decoded(space, _suggest(study.ask())) for _ in range(_ASKS))
        new = next((one for one in asked if spaces.key(one) not in seen), None) or spaces.unseen(space, seen, rng)
        if new is None:
            break
        seen.add(spaces.key(new))
        found.append(new)
    return found


def encoded(space: Space, candidate: Candidate) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the values of a recipe as Optuna knows them, and their distributions, by name.

    Choices are places in the lists of the space. Of two equal tables `[[model]]` the first one counts.
    """
    place = next(place for place, model in enumerate(space.model) if _is_of(model, candidate))
    values, distributions = dict[str, Any](), dict[str, Any]()

    def suggest(name: str, distribution: Any) -> Any:
        values[name], distributions[name] = _value(space, candidate, place, name, distribution), distribution
        return values[name]

    _decoded(space, suggest)
    return values, distributions


def _decoded(space: Space, suggest: Suggest) -> Candidate:
    """Return the recipe of the values that `suggest` gives for names and distributions."""
    import optuna  # noqa: PLC0415

    def one(name: str, choices: Sequence[Any]) -> Any:
        single = len(choices) == 1
        return choices[
            0 if single else suggest(name, optuna.distributions.CategoricalDistribution(range(len(choices))))
        ]

    def parameter(name: str, value: Any) -> Any:
        if not spaces.is_range(value):
            return one(name, spaces.choices(value))
        low, high, logarithmic = value["low"], value["high"], value.get("scale") == "log"
        if isinstance(low, int) and isinstance(high, int):
            return int(suggest(name, optuna.distributions.IntDistribution(low, high, log=logarithmic)))
        return spaces.rounded(suggest(name, optuna.distributions.FloatDistribution(low, high, log=logarithmic)))

    place = one("model", range(len(space.model)))
    model = space.model[place]
    shared = {name: one(f"recipe.{name}", values) for name, values in space.recipe.model_dump().items()}
    parameters = {name: parameter(f"model.{place}.{name}", value) for name, value in model.parameters.items()}
    return Candidate(model.name, parameters, shared, one("rule", spaces.rules(space)))


def _suggest(trial: Any) -> Suggest:
    """Return a function that asks a trial of Optuna for the value of a name."""
    import optuna  # noqa: PLC0415

    def suggest(name: str, distribution: Any) -> Any:
        if isinstance(distribution, optuna.distributions.CategoricalDistribution):
            return trial.suggest_categorical(name, distribution.choices)
        ask = (
            trial.suggest_int if isinstance(distribution, optuna.distributions.IntDistribution) else trial.suggest_float
        )
        return ask(name, distribution.low, distribution.high, log=distribution.log)

    return suggest


def _value(space: Space, candidate: Candidate, place: int, name: str, distribution: Any) -> Any:
    """Return the value of a recipe under a name of `_decoded`."""
    part, _, rest = name.partition(".")
    if name == "model":
        return place
    if name == "rule":
        return spaces.rules(space).index(dict(candidate.rule))
    if part == "recipe":
        return space.recipe.model_dump()[rest].index(candidate.shared[rest])
    parameter = rest.partition(".")[2]
    given = space.model[place].parameters[parameter]
    if spaces.is_range(given):  # a rounded value may lie a little outside
        return min(max(candidate.parameters[parameter], distribution.low), distribution.high)
    return spaces.choices(given).index(candidate.parameters[parameter])


def _is_of(model: spaces.Model, candidate: Candidate) -> bool:
    """Return whether a table `[[model]]` of the space has a recipe."""
    if model.name != candidate.model or model.parameters.keys() != candidate.parameters.keys():
        return False
    pairs = ((value, candidate.parameters[name]) for name, value in model.parameters.items())
    return all(
        spaces.rounded(value["low"]) <= chosen <= spaces.rounded(value["high"])
        if spaces.is_range(value)
        else chosen in spaces.choices(value)
        for value, chosen in pairs
    )


def _shown(settings: Settings, plan: Plan, found: Sequence[Tried]) -> tuple[dict[int, float], date | None]:
    """Return what proposes the next round, as `figures_before` does; nothing if all recipes failed."""
    search = outcomes.search_of(plan, found)
    if not search.known:
        return {}, None
    starts, fold = choice.fold_starts(settings, search), fold_of(plan.space, len(plan.recipes))
    return figures_before(outcomes.returns(settings, search), starts, fold)


def figures_before(returns: pl.DataFrame, starts: Sequence[date], fold: int) -> tuple[dict[int, float], date | None]:
    """Return the Sharpe ratios before a fold, by number of the recipe, and the last session that they use.

    `returns` and `starts` are those of `choice.choose`, and folds count from 1. A recipe with too few sessions is left
    out; the session is None if there is none.

    >>> days = [date(2024, 1, day) for day in range(1, 31)]
    >>> returns = pl.DataFrame({"trade_date": days, "1": [0.01, 0.03] * 15})
    >>> ratios, last = figures_before(returns, [days[0], days[24]], 2)
    >>> round(ratios[1], 1), str(last)
    (31.1, '2024-01-24')
    """
    before = returns.filter(pl.col("trade_date").is_between(starts[0], starts[fold - 1], closed="left"))
    last: date | None = before["trade_date"].max() if before.height else None  # type: ignore[assignment]
    return choice.sharpes(before, [name for name in before.columns if name != "trade_date"]), last
