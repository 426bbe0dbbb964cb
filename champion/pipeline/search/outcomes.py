"""What became of each recipe of a search: its version and its look in the trial ledger, or why there is none.

The file `searches/ID.json` has them for the notebook `search`. It only names what the trial ledger and the registry
hold, so a search whose file is lost is repeated at the cost of its simulations under other rules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from champion.base import atomic_files
from champion.base.file_modes import private_folder
from champion.base.strict_json import parse_json
from champion.errors import ChampionError, ModelError, UsageError
from champion.lake import Lake
from champion.pipeline.models import evaluate, looks, portfolio, recipes
from champion.pipeline.search.plan import Plan, Training
from champion.portfolio.construction import Rule
from champion.portfolio.simulator import MarketRules
from champion.settings import Settings
from champion.tracking import registry
from champion.tracking.ledger_storage import storable
from champion.tracking.trials import ledger, series
from champion.tracking.trials.entry import Entry
from champion.tracking.trials.former_runs import LOOK

SOURCE = "search"
"""What looks that a search begins itself are named in the trial ledger."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one recipe.

    `look` is its look in the trial ledger, and `scores` the digest of the scores that were judged. `error` is why it
    failed, empty if it did not; then the other fields may be empty. `seen` is the last session whose figures of other
    recipes proposed it, None if none did.
    """

    number: int
    text: str
    model: str
    horizon: int
    rule: dict[str, Any] = field(default_factory=dict)
    version: int | None = None
    run: str = ""
    look: str = ""
    scores: str = ""
    error: str = ""
    seen: date | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """A search whose recipes were tried: name, id, sessions, folds, and the outcome of each recipe by number."""

    name: str
    id: str
    start: date
    end: date
    folds: int
    recipes: tuple[Tried, ...]

    @property
    def known(self) -> list[Tried]:
        """The recipes that did not fail."""
        return [one for one in self.recipes if not one.error]

    @property
    def failed(self) -> list[Tried]:
        """The recipes that failed."""
        return [one for one in self.recipes if one.error]

    @property
    def seen(self) -> dict[int, date]:
        """The last session whose figures proposed a recipe, by number, for recipes that figures proposed."""
        return {one.number: one.seen for one in self.recipes if one.seen is not None}


def of_training(settings: Settings, plan: Plan, training: Training, version: int, run: str) -> list[Tried]:
    """Return the outcomes of the recipes that use a training's scores, after judging them under each rule.

    The rule that training simulates is judged already. Another rule is simulated and recorded as a trial unless the
    ledger has it. A rule that fails is an outcome with its error.

    Raises:
        ModelError: the trial ledger is damaged, or the version has no look or scores.
    """
    registered = registry.find(settings, version)
    _, scored = evaluate.scores(settings, str(version))
    found, judged = list[Tried](), looks.fingerprint(scored)
    for number in training.recipes:
        outcome = replace(_tried(plan, number), version=version, run=run)
        try:
            look = _judged(settings, registered, scored, judged, Rule(**outcome.rule), plan.end)
        except ChampionError as error:
            found.append(replace(outcome, error=_reason(error)))
        else:
            found.append(replace(outcome, look=look, scores=judged))
    return found


def failed(plan: Plan, training: Training, error: BaseException) -> list[Tried]:
    """Return the outcomes of the recipes of a training that failed."""
    return [replace(_tried(plan, number), error=_reason(error)) for number in training.recipes]


def search_of(plan: Plan, found: Sequence[Tried]) -> Search:
    """Return the outcomes of the recipes of a plan, in the order of their numbers."""
    ordered = tuple(sorted(found, key=lambda one: one.number))
    return Search(plan.space.name, plan.id, plan.start, plan.end, plan.space.folds, ordered)


def write(settings: Settings, plan: Plan, found: Sequence[Tried]) -> Search:
    """Store the outcomes of a search, and return them in the order of their numbers."""
    search = search_of(plan, found)
    path = _path(settings, plan.id)
    private_folder(path.parent)
    atomic_files.write_private(path, json.dumps(asdict(search), default=str, indent=1).encode())
    return search


def read(settings: Settings, search: str) -> Search:
    """Return a search by its id.

    Raises:
        UsageError: there is no such search, or its file is damaged.
    """
    path = _path(settings, search)
    try:
        return parse_json(Search, path.read_bytes())
    except OSError as error:
        held = ", ".join(sorted(each.stem for each in path.parent.glob("*.json"))) or "none"
        raise UsageError(f"there is no search {search!r}; known: {held}: run `champion search SPACE`") from error
    except ValueError as error:
        raise UsageError(f"{path} is damaged ({error}): run `champion search SPACE` again") from error


def digest(search: Search) -> str:
    """Return the SHA-256 of what the notebook `search` reads: the search without the runs and texts of failures."""
    facts = [
        [one.number, one.version, one.look, one.scores, bool(one.error), *([] if one.seen is None else [str(one.seen)])]
        for one in search.recipes
    ]
    return sha256(json.dumps([search.id, search.name, facts]).encode()).hexdigest()


def returns(settings: Settings, search: Search) -> pl.DataFrame:
    """Return trade_date and the daily net active returns of each recipe with a series, in a column named by its number.

    Sessions are sorted; a column is null where its recipe has none.

    Raises:
        ModelError: the trial ledger is damaged.
    """
    results = results_of(ledger.read(settings))
    found = ((one.number, results.get((one.look, one.scores))) for one in search.known)
    return series.side_by_side(
        (str(number), series.get(settings, result.series)) for number, result in found if result and result.series
    )


def results_of(entries: Sequence[Entry]) -> dict[tuple[str, str], Entry]:
    """Return the newest result of each look and digest of scores."""
    return {(one.id, one.scores): one for one in entries if one.kind == "result"}


def _tried(plan: Plan, number: int) -> Tried:
    """Return a recipe of a plan before it is tried."""
    one = plan.recipes[number - 1]
    seen = plan.seen[number - 1] if plan.seen else None
    return Tried(number, one.text, one.model, one.shared["horizon"], dict(one.rule), seen=seen)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _judged(
    settings: Settings, version: registry.Version, scored: pl.DataFrame, judged: str, rule: Rule, end: date
) -> str:
    """Return the look of scores under a rule, after simulating and recording it unless the ledger has its series.

    `judged` is the digest of the scores.
    """
    entries, rules = looks.opened(settings), MarketRules()
    trained = next((one for one in entries if one.kind == "look" and one.id == version.tags.get(LOOK)), None)
    if trained is None:
        raise ModelError(f"version {version.number} has no look in the trial ledger: train it again")
    wanted = recipes.constructed(trained.recipe, rule, rules)
    if storable(wanted) == trained.recipe:
        return trained.id
    known = _result(entries, wanted, judged)
    if known is None or series.get(settings, known.series) is None:
        found = portfolio.simulate(scored, rule, rules, end=end, lake=Lake(settings.lake))
        looks.record_rule(settings, scored, found.active, rule, rules, source=SOURCE, which=str(version.number))
        known = _result(ledger.read(settings), wanted, judged)
    if known is None:
        raise ModelError("its account has no session after the first score: there is no return to record")
    return known.id


def _result(entries: Sequence[Entry], recipe: Mapping[str, Any], scores: str) -> Entry | None:
    """Return the newest result with a series of a recipe's look at scores, None if there is none."""
    stored = storable(recipe)
    of_recipe = {one.id for one in entries if one.kind == "look" and one.recipe == stored}
    found = [one for one in entries if one.kind == "result" and one.series and one.scores == scores]
    return next((one for one in reversed(found) if one.id in of_recipe), None)


def _path(settings: Settings, search: str) -> Path:
    return settings.home / "searches" / f"{search}.json"
