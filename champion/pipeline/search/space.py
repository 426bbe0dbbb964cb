"""The space of a search: a TOML file with the values to try for each part of a recipe, read strictly.

A value is a single one or a list of choices. `[recipe]` has the parts that all models share, each `[[model]]` an
estimator with its parameters, each `[[rule]]` a construction rule. A parameter that is a list itself is written as a
list of lists.

>>> space = parse('''
... name = "small"
... [recipe]
... horizon = [5, 10]
... [[model]]
... name = "logistic"
... parameters = {C = [0.01, 0.1]}
... [[rule]]
... top = [20, 50]
... ''')
>>> len(candidates(space)), candidates(space)[0].text
(8, 'logistic C 0.01; top 20')
"""

from __future__ import annotations

import itertools
import json
import math
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from champion.base import package_data
from champion.base.counting import known_names, quantity
from champion.errors import UsageError
from champion.portfolio.construction import Rule
from champion.settings import Settings

MOST = 500
"""Recipes of one search. Each one raises the bar that luck sets for all."""
EXAMPLE = "example"
"""The name of the space that is shipped with Champion."""
_TRIES = 200  # draws of a random search for one that is new
_BOUNDS = {"low", "high", "scale"}


def choices(value: Any) -> list[Any]:
    """Return the values to try: a list as it is, a single value as a list of one."""
    return value if isinstance(value, list) else [value]


_Listed = BeforeValidator(choices)
Texts: TypeAlias = Annotated[list[str], _Listed, Field(min_length=1)]
Numbers: TypeAlias = Annotated[list[int], _Listed, Field(min_length=1)]


def _default_rules() -> list[dict[str, Any]]:
    return [{}]


class _Table(BaseModel):
    """A table of the file: unknown keys and other types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Shared(_Table):
    """The parts of a recipe besides the model, each a list of values; a single value is a list of one."""

    feature_set: Texts = Field(default=["v1"])
    universe: Texts = Field(default=["liquid"])
    target: Texts = Field(default=["above_median"])
    horizon: Numbers = Field(default=[5])
    seed: Numbers = Field(default=[7])


class Model(_Table):
    """An estimator, and for each of its parameters a value, a list of values, or a range as {low, high, scale}."""

    name: str = Field(min_length=1)
    parameters: dict[str, Any] = Field(default_factory=dict)


class Space(_Table):
    """A space of recipes, and the sessions and folds that all of them share."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    method: Literal["grid", "random", "optuna"] = "grid"
    trials: int | None = Field(None, ge=1)
    seed: int = 7
    start: date | None = None
    end: date | None = None
    folds: int = Field(5, ge=2)
    embargo: int = Field(5, ge=0)
    returns: Literal["price", "total"] = "total"
    recipe: Shared = Field(default_factory=Shared)
    model: list[Model] = Field(min_length=1)
    rule: list[dict[str, Any]] = Field(default_factory=_default_rules)


@dataclass(frozen=True)
class Candidate:
    """One recipe of a search: a model, the shared parts, and a construction rule with its changed fields."""

    model: str
    parameters: Mapping[str, Any]
    shared: Mapping[str, Any]
    rule: Mapping[str, Any] = field(default_factory=dict)

    @property
    def training(self) -> dict[str, Any]:
        """The parameters of the notebook `training` that differ between recipes; rules share one training."""
        return {"model": self.model, "model_parameters": dict(self.parameters), **self.shared}

    @property
    def text(self) -> str:
        """The recipe in one line, without the values that are the defaults."""
        usual = Shared().model_dump()
        model = " ".join([self.model, *(f"{name} {_plain(value)}" for name, value in self.parameters.items())])
        rest = [f"{name} {_plain(value)}" for name, value in self.shared.items() if [value] != usual[name]]
        rule = ", ".join(f"{name} {_plain(value)}" for name, value in self.rule.items())
        return ", ".join([model, *rest]) + (f"; {rule}" if rule else "")


def read(settings: Settings, which: str | Path) -> Space:
    """Return the space of a file, of a name in the workspace (`searches/NAME.toml`), or of `example`.

    Raises:
        UsageError: there is no such file, or its content is wrong; the message names each wrong key.
    """
    path = Path(which)
    if path.suffix != ".toml":
        path = settings.home / "searches" / f"{which}.toml"
        if str(which) == EXAMPLE and not path.exists():
            path = package_data.path("notebooks/search.toml")
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError as error:
        own = sorted(each.stem for each in (settings.home / "searches").glob("*.toml"))
        known = known_names(str(which), [*own, EXAMPLE])
        raise UsageError(f"there is no space {str(path)!r}; by name, {known}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as text ({error}): write it as TOML in UTF-8") from error


def parse(text: str, where: str = "the space") -> Space:
    """Return the space of a text in TOML.

    Raises:
        UsageError: the text is not TOML, or has an unknown key, a value of another type, or a combination that has no
            meaning.

    >>> parse("name =")
    Traceback (most recent call last):
    ...
    champion.errors.UsageError: the space is not TOML (Invalid value (at end of document)): correct this line
    """
    try:
        space = Space.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{where} is not TOML ({error}): correct this line") from error
    except ValidationError as error:
        wrong = "; ".join(_problem(each["type"], each["loc"], each["msg"]) for each in error.errors())
        raise UsageError(f"{where}: {wrong}") from error
    if problems := list(_contradictions(space)):
        raise UsageError(f"{where}: {'; '.join(problems)}")
    return space


def candidates(space: Space) -> list[Candidate]:
    """Return the recipes of a space, in a fixed order, without duplicates.

    A random search draws each part on its own. More trials of the same space and seed add recipes, and keep the first.
    Of a search by Optuna these are the recipes of the first round, drawn in the same way; `guided` proposes the others.

    Raises:
        UsageError: the space has more recipes than `MOST`, or fewer than a random search shall draw.
    """
    if space.method != "grid":
        return _drawn(space, first_round(space))
    shared_values, of_rules = space.recipe.model_dump(), rules(space)
    if (whole := _count(space)) > MOST:
        raise UsageError(
            f"the grid {space.name} has {quantity(whole, 'recipe')}; at most {MOST} are searched: try fewer values, or "
            'set method = "random" and trials'
        )
    found = (
        Candidate(model.name, parameters, shared, rule)
        for model in space.model
        for shared in _products(shared_values)
        for parameters in _products(model.parameters)
        for rule in of_rules
    )
    return list({key(each): each for each in found}.values())


def _count(space: Space) -> int:
    """Return the number of combinations of a grid."""
    whole = len(rules(space)) * math.prod(map(len, space.recipe.model_dump().values()))
    return whole * sum(math.prod(len(choices(value)) for value in model.parameters.values()) for model in space.model)


def first_round(space: Space) -> int:
    """Return the number of recipes that are drawn at random: of a search by Optuna a quarter, and at least 4.

    >>> first_round(Space(name="x", method="optuna", trials=40, model=[Model(name="ridge")]))
    10
    """
    wanted = space.trials or 0
    return min(wanted, max(wanted // 4, 4)) if space.method == "optuna" else wanted


def some_parameters(model: Model) -> dict[str, Any]:
    """Return one value for each parameter of a model: the first of a list, the lower end of a range."""
    return {name: value["low"] if is_range(value) else choices(value)[0] for name, value in model.parameters.items()}


def unseen(space: Space, seen: Collection[str], rng: np.random.Generator) -> Candidate | None:
    """Return a random recipe of a space whose `key` is not in `seen`; None if none is found."""
    drawn = (_draw_one(space, rng) for _ in range(_TRIES))
    if new := next((one for one in drawn if key(one) not in seen), None):
        return new
    lists = [{name: _values(value) for name, value in model.parameters.items()} for model in space.model]
    if any(values is None for parameters in lists for values in parameters.values()):
        return None
    models = (Model(name=one.name, parameters=values) for one, values in zip(space.model, lists, strict=True))
    grid = space.model_copy(update={"method": "grid", "trials": None, "model": list(models)})
    left = [one for one in (candidates(grid) if _count(grid) <= MOST else []) if key(one) not in seen]
    return _one(rng, left) if left else None


def _drawn(space: Space, wanted: int) -> list[Candidate]:
    rng, found, tries = np.random.default_rng(space.seed), dict[str, Candidate](), 0
    if (space.trials or 0) > MOST:
        many = quantity(space.trials or 0, "recipe")
        raise UsageError(f"{space.name} draws {many}; at most {MOST} are searched: set fewer")
    while len(found) < wanted:
        candidate = _draw_one(space, rng)
        tries = 0 if key(candidate) not in found else tries + 1
        found.setdefault(key(candidate), candidate)
        if tries > _TRIES:
            raise UsageError(
                f"{space.name} shall draw {quantity(wanted, 'recipe')}, and after {len(found)} no other was found: set "
                'trials to fewer, try more values, or set method = "grid"'
            )
    return list(found.values())


def _draw_one(space: Space, rng: np.random.Generator) -> Candidate:
    model = space.model[int(rng.integers(len(space.model)))]
    shared = {name: _one(rng, values) for name, values in space.recipe.model_dump().items()}
    parameters = {name: _draw(rng, value) for name, value in model.parameters.items()}
    return Candidate(model.name, parameters, shared, _one(rng, rules(space)))


def _values(value: Any) -> list[Any] | None:
    """Return all values of a parameter; None for a range of numbers, or of very many whole ones."""
    if not is_range(value):
        return choices(value)
    whole = isinstance(value["low"], int) and isinstance(value["high"], int)
    return list(range(value["low"], value["high"] + 1)) if whole and value["high"] - value["low"] < MOST else None


def _draw(rng: np.random.Generator, value: Any) -> Any:
    """Return a value of a parameter: of a range, of a list, or the only one."""
    if not is_range(value):
        return _one(rng, choices(value))
    low, high = value["low"], value["high"]
    logarithmic = value.get("scale") == "log"
    if isinstance(low, int) and isinstance(high, int):
        if not logarithmic:
            return int(rng.integers(low, high, endpoint=True))
        return min(high, max(low, round(math.exp(rng.uniform(math.log(low), math.log(high))))))
    drawn = math.exp(rng.uniform(math.log(low), math.log(high))) if logarithmic else rng.uniform(low, high)
    return rounded(drawn)


def rounded(value: float) -> float:
    """Return a drawn number with six significant digits, so that it is written as it is read.

    >>> rounded(0.123456789)
    0.123457
    """
    return float(f"{value:.6g}")


def _one(rng: np.random.Generator, values: Sequence[Any]) -> Any:
    return values[int(rng.integers(len(values)))]


def rules(space: Space) -> list[dict[str, Any]]:
    """Return the rules as the fields that differ from the default rule."""
    usual = asdict(Rule())
    products = (one for rule in space.rule for one in _products(rule))
    changed = ({name: value for name, value in rule.items() if value != usual[name]} for rule in products)
    return list({json.dumps(rule, sort_keys=True): rule for rule in changed}.values())


def _products(values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each combination of the choices, with their names."""
    for chosen in itertools.product(*map(choices, values.values())):
        yield dict(zip(values, chosen, strict=True))


def is_range(value: Any) -> bool:
    """Return whether the values of a parameter are a range, {low, high, scale}."""
    return isinstance(value, dict) and {"low", "high"} <= value.keys()


def _contradictions(space: Space) -> Iterator[str]:
    """Yield what the types allow and has no meaning."""
    if space.method != "grid" and space.trials is None:
        yield f"trials: a search by method {space.method} needs the number of recipes to draw"
    if space.method == "grid" and space.trials is not None:
        yield 'trials: a grid tries all recipes; set method = "random" or "optuna", or remove trials'
    if space.start and space.end and space.start >= space.end:
        yield f"end: {space.end} is not after start, {space.start}"
    if low := [one for one in space.recipe.horizon if one < 1]:
        yield f"recipe.horizon: {low[0]} is no horizon; it is at least 1 session"
    for place, model in enumerate(space.model):
        for name, value in model.parameters.items():
            yield from (f"model.{place}.parameters.{name}: {each}" for each in _wrong_values(space, value))
    if not space.rule:
        yield "rule: an empty list has nothing to try; leave it out for the default rule"
    for place, rule in enumerate(space.rule):
        yield from (f"rule.{place}.{each}" for each in _wrong_rule(rule))


def _wrong_values(space: Space, value: Any) -> Iterator[str]:
    if value == []:
        yield "an empty list has nothing to try"
    if not is_range(value):
        return
    if unknown := value.keys() - _BOUNDS:
        yield f"{min(unknown)}: a range has low, high and scale"
        return
    low, high, scale = value["low"], value["high"], value.get("scale", "linear")
    if space.method == "grid":
        yield 'a grid needs a list of values; a range is for method = "random" or "optuna"'
    elif not all(isinstance(each, int | float) and not isinstance(each, bool) for each in (low, high)):
        yield "low and high are numbers"
    elif not (math.isfinite(low) and math.isfinite(high) and low < high):
        yield f"low {low} is not below high {high}"
    elif scale not in {"linear", "log"}:
        yield f"scale {scale!r}: it is linear or log"
    elif scale == "log" and low <= 0:
        yield f"low {low} has no logarithm; it is above 0"


def _wrong_rule(rule: Mapping[str, Any]) -> Iterator[str]:
    names = [each.name for each in fields(Rule)]
    unknown = [name for name in rule if name not in names]
    yield from (f"{name}: {known_names(name, names, 'the keys are')}" for name in unknown)
    if unknown:
        return
    for chosen in _products(rule):
        try:
            Rule(**chosen)
        except UsageError as error:
            yield f"{', '.join(chosen)}: {error}"
            return


def _problem(kind: str, place: tuple[int | str, ...], message: str) -> str:
    """Return a validation error as a sentence; that of an unknown key has the near and the known names."""
    tables: Mapping[str, type[_Table]] = {"recipe": Shared, "model": Model}
    at = ".".join(map(str, place))
    if kind != "extra_forbidden":
        return f"{at or 'the file'}: {message[0].lower()}{message[1:]}"
    table = tables.get(str(place[0]), Space) if len(place) > 1 else Space
    return f"{at}: {known_names(str(place[-1]), table.model_fields, 'the keys are')}"


def key(candidate: Candidate) -> str:
    """Return a text that is equal for equal recipes."""
    return json.dumps(asdict(candidate), sort_keys=True, default=str)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
