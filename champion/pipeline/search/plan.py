"""The plan of a search: its recipes, checked against the workspace, their sessions, and what they will cost."""

from __future__ import annotations

import itertools
import json
import os
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import Timeout

from champion.base import atomic_files
from champion.base.counting import quantity
from champion.base.file_modes import private_folder
from champion.base.strict_json import parse_json
from champion.errors import ChampionError, UsageError
from champion.lake import Lake
from champion.modeling import targets
from champion.modeling.splits import PurgedWalkForward
from champion.modeling.universe import find
from champion.pipeline.feature_store.contracts import ensure_contracts
from champion.pipeline.models import frames, notebook_data
from champion.pipeline.reference import universe_lists
from champion.pipeline.search.space import Candidate, Space, candidates, some_parameters
from champion.portfolio.construction import Rule
from champion.runner import cache_lookup, identity, notebook
from champion.runner.parameters import check, defaults
from champion.settings import Settings
from champion.tracking import experiments, runs
from champion.tracking.trials.entry import digest

TRAINING = "training"
"""The notebook of a trial."""
AT_A_TIME = max((os.cpu_count() or 1) // 2, 1)
"""Trainings at a time by default: each fits on two cores."""
_DIGITS = 16


@dataclass(frozen=True)
class Training:
    """One run of the training notebook, and the numbers of the recipes that use its scores, from 1."""

    parameters: Mapping[str, Any]
    recipes: tuple[int, ...]
    text: str


@dataclass(frozen=True)
class Plan:
    """The recipes of a search on fixed sessions.

    The recipes of a search by Optuna are proposed in rounds: then `recipes` are those so far, of which the first
    `before` belong to earlier rounds, and `seen` has the last session whose figures proposed each one, None for those
    that were drawn at random.
    """

    space: Space
    recipes: tuple[Candidate, ...]
    start: date
    end: date
    before: int = 0
    seen: tuple[date | None, ...] = ()

    def extended(self, more: Sequence[Candidate], seen: date | None) -> Plan:
        """Return the plan of the next round, with recipes that figures up to the session `seen` proposed."""
        known = self.seen or (None,) * len(self.recipes)
        whole = (*self.recipes, *more)
        return replace(self, recipes=whole, before=len(self.recipes), seen=(*known, *(seen for _ in more)))

    @property
    def later(self) -> int:
        """The number of recipes that later rounds propose."""
        return max((self.space.trials or 0) - len(self.recipes), 0) if self.space.method == "optuna" else 0

    @property
    def id(self) -> str:
        """The digest of recipes, sessions and validation: the same search has the same id under any name.

        Of a search by Optuna it is that of the space and the sessions, because the recipes are not known at the start.
        """
        if self.space.method == "optuna":
            space = json.loads(self.space.model_dump_json(exclude={"name", "start", "end"}))
            return digest([space, str(self.start), str(self.end)])[:_DIGITS]
        shared = [self.space.folds, self.space.embargo, self.space.returns]
        return digest([list(map(asdict, self.recipes)), str(self.start), str(self.end), shared])[:_DIGITS]

    @property
    def trainings(self) -> list[Training]:
        """The runs of the training notebook of this round; recipes that differ only in their rule share one.

        It simulates one of their rules itself, the first that says only how many instruments are held, if there is one.
        """
        shared: dict[str, Any] = {
            "n_splits": self.space.folds,
            "embargo": self.space.embargo,
            "returns": self.space.returns,
        }
        shared |= {"start": str(self.start), "as_of": str(self.end)}
        found = dict[str, list[int]]()
        for number, one in enumerate(self.recipes[self.before :], start=self.before + 1):
            found.setdefault(json.dumps(one.training, sort_keys=True, default=str), []).append(number)
        chosen = ([self.recipes[number - 1] for number in numbers] for numbers in found.values())
        return [
            Training({**of[0].training, **shared, "top": _top(of)}, tuple(numbers), of[0].text.partition(";")[0])
            for of, numbers in zip(chosen, found.values(), strict=True)
        ]


@dataclass(frozen=True)
class Cost:
    """What a search will cost: its recipes and trainings, those that have a run already, and the time of the others.

    `later` recipes are proposed during the search, each perhaps with a separate training, which is counted.

    `seconds` is the sum over the trainings that have no run, from the median time of recorded runs of the same model;
    None if there is one without a recorded run, whose models are `unknown`.

    >>> Cost(12, 6, 2, 240.0, parallel=2).text
    '12 recipes by 6 trainings, 2 of them done before; about 2 min, 2 at a time'
    >>> Cost(2, 2, 0, None, ("ridge",)).text
    '2 recipes by 2 trainings; how long they take is unknown, because no training of ridge is recorded'
    """

    recipes: int
    trainings: int
    done: int
    seconds: float | None
    unknown: tuple[str, ...] = ()
    parallel: int = 1
    later: int = 0

    @property
    def text(self) -> str:
        """The cost in one sentence."""
        done = f", {self.done} of them done before" if self.done else ""
        done += f", {self.later} of them proposed by the figures of others" if self.later else ""
        head = f"{quantity(self.recipes, 'recipe')} by {quantity(self.trainings, 'training')}{done}"
        if self.seconds is None:
            named = ", ".join(self.unknown)
            return f"{head}; how long they take is unknown, because no training of {named} is recorded"
        minutes = round(self.seconds / self.parallel / 60)
        about = f"about {minutes} min" if minutes else "less than a minute"
        return f"{head}; {about}, {self.parallel} at a time"


def make(settings: Settings, space: Space) -> Plan:
    """Return the plan of a space on the workspace's sessions, after checking every recipe.

    The last session is that of the space, or the last with features; a search that was begun and not finished keeps
    its sessions, so that it can be resumed on a later day.

    Raises:
        UsageError: a feature set, universe, target, model or parameter is not known, a horizon has too few sessions,
            there are no features, or the method is optuna and Optuna is not installed.
        LakeError: a universe needs lists that the lake lacks.
    """
    if space.method == "optuna" and find_spec("optuna") is None:
        raise UsageError(
            "method optuna needs Optuna: pip install 'champion[optuna]', or set method = \"random\" in the space"
        )
    chosen, lake = tuple(candidates(space)), Lake(settings.lake)
    _require_known(lake, space, chosen)
    start, end = _window(settings, lake, space)
    for name in _sets(space):
        sessions = lake.sessions(ensure_contracts(lake, name).contract, start, end)
        try:
            PurgedWalkForward(space.folds, max(space.recipe.horizon), space.embargo, lag=frames.LAG).windows(sessions)
        except ChampionError as error:
            raise UsageError(f"features {name} from {start} to {end}: {error}") from error
    return Plan(space, chosen, start, end)


@contextmanager
def running(settings: Settings, plan: Plan, note: Callable[[str], None]) -> Iterator[None]:
    """Keep the sessions of a search until it is finished, and let an equal search of another process wait."""
    folder = private_folder(settings.home / "searches")
    lock = atomic_files.Lock(folder / f"{plan.id}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        note(f"an equal search {plan.id} is running: waiting for it to end")
        lock.acquire(timeout=-1)
    try:
        if plan.space.start is None or plan.space.end is None:
            span = json.dumps([str(plan.start), str(plan.end)])
            atomic_files.write_private(_begun(settings, plan.space), span.encode())
        yield
    finally:
        lock.release()


def digests(settings: Settings, plan: Plan) -> dict[str, str]:
    """Return the digests, by name, of the data that the recipes of a search are trained and judged on."""
    lake, found = Lake(settings.lake), dict[str, str]()
    for name, universe in itertools.product(_sets(plan.space), plan.space.recipe.universe):
        found |= notebook_data.of_training(lake, plan.end, name, universe).inputs
    return found


def finish(settings: Settings, plan: Plan) -> None:
    """Forget the sessions of a search: the next one takes all that there are."""
    _begun(settings, plan.space).unlink(missing_ok=True)


def cost(settings: Settings, plan: Plan, parallel: int) -> Cost:
    """Return what a search will cost, from the recorded runs of the training notebook."""
    lake, book = Lake(settings.lake), notebook.find(TRAINING)

    @cache
    def inputs(feature_set: str, universe: str) -> Mapping[str, str]:
        return notebook_data.of_training(lake, plan.end, feature_set, universe).inputs

    tags = {cache_lookup.NOTEBOOK: TRAINING, runs.OUTCOME: "succeeded"}
    recorded = runs.find_runs(settings, [experiments.TRAINING], tags=tags, limit=1000)
    keys, seconds, unknown = {run.tags.get(cache_lookup.KEY) for run in recorded}, list[float](), Counter[str]()
    done = 0
    for training in plan.trainings:
        given = training.parameters
        effective = defaults(book.parameters) | check(book.parameters, given, TRAINING)
        key = identity.identify(book.digest, effective, inputs(given["feature_set"], given["universe"])).key
        if key in keys:
            done += 1
        elif (expected := _median_seconds(recorded, given)) is None:
            unknown[given["model"]] += 1
        else:
            seconds.append(expected)
    total, later = None if unknown else sum(seconds), plan.later
    if total is not None and seconds:
        total += later * statistics.mean(seconds)
    trainings = len(plan.trainings) + later
    return Cost(len(plan.recipes) + later, trainings, done, total, tuple(unknown), parallel, later)


def _median_seconds(recorded: Sequence[runs.Run], given: Mapping[str, Any]) -> float | None:
    """Return the usual time of a training of this model: on these sessions and features if there is one, else on any.

    None if no training of this model is recorded.
    """
    alike = [run for run in recorded if run.parameters.get("model") == given["model"]]
    same = [run for run in alike if all(run.parameters.get(name) == given[name] for name in ("start", "feature_set"))]
    times = [(run.ended - run.started).total_seconds() for run in same or alike if run.ended]
    return statistics.median(times) if times else None


def _require_known(lake: Lake, space: Space, chosen: Sequence[Candidate]) -> None:
    """Raise UsageError unless each part of each recipe is known; the message names the part."""
    from champion.modeling.estimators import Recipe  # noqa: PLC0415 - scikit-learn is slow to import

    for text in space.recipe.target:
        _, shorter = targets.parse(text)
        if wrong := [each for each in space.recipe.horizon if shorter and max(shorter) >= each]:
            raise UsageError(f"target {text!r} has a horizon that is not shorter than horizon {wrong[0]}")
    for name in space.recipe.feature_set:
        frames.inputs(name)
    for universe in space.recipe.universe:
        universe_lists.require_known(lake, find(universe))
    asked = {(one.model, json.dumps(one.parameters, sort_keys=True)) for one in chosen}
    asked |= {(one.name, json.dumps(some_parameters(one), sort_keys=True)) for one in space.model}
    for model, parameters in sorted(asked):
        try:
            Recipe(model, json.loads(parameters)).make()
        except (ChampionError, ValueError, TypeError) as error:
            raise UsageError(f"model {model} with {parameters}: {error}") from error


def _window(settings: Settings, lake: Lake, space: Space) -> tuple[date, date]:
    """Return the sessions of a search: of the space, of its unfinished run, or all that every feature set has."""
    held = [lake.sessions(ensure_contracts(lake, name).contract, space.start, space.end) for name in _sets(space)]
    if empty := [name for name, sessions in zip(_sets(space), held, strict=True) if not sessions]:
        span = f"from {space.start or 'the start'} to {space.end or 'today'}"
        raise UsageError(f"no features of {empty[0]} {span}: run `champion features` first")
    begun = list[date]()
    with suppress(OSError, ValueError):
        begun = parse_json(list[date], _begun(settings, space).read_bytes())
    if len(begun) == 2:  # noqa: PLR2004 - first and last
        return begun[0], begun[1]
    return max(sessions[0] for sessions in held), min(sessions[-1] for sessions in held)


def _top(chosen: Sequence[Candidate]) -> int:
    rules = sorted((Rule(**one.rule) for one in chosen), key=lambda rule: rule != Rule(top=rule.top))
    return rules[0].top


def _sets(space: Space) -> list[str]:
    return list(dict.fromkeys(space.recipe.feature_set))


def _begun(settings: Settings, space: Space) -> Path:
    named = digest(json.loads(space.model_dump_json(exclude={"name"})))[:_DIGITS]
    return settings.home / "searches" / f"{named}.begun"
