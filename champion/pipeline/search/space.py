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
from collections.abc import Iterator, Mapping, Sequence
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


def _choices(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


_Listed = BeforeValidator(_choices)
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
    method: Literal["grid", "random"] = "grid"
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

    Raises:
        UsageError: the space has more recipes than `MOST`, or fewer than a random search shall draw.
    """
    if space.method == "random":
        return _drawn(space)
    shared_values, rules = space.recipe.model_dump(), _rules(space)
    whole = len(rules) * math.prod(map(len, shared_values.values()))
    whole *= sum(math.prod(len(_choices(value)) for value in model.parameters.values()) for model in space.model)
    if whole > MOST:
        raise UsageError(
            f"the grid {space.name} has {quantity(whole, 'recipe')}; at most {MOST} are searched: try fewer values, or "
            'set method = "random" and trials'
        )
    found = (
        Candidate(model.name, parameters, shared, rule)
        for model in space.model
        for shared in _products(shared_values)
        for parameters in _products(model.parameters)
        for rule in rules
    )
    return list({_key(each): each for each in found}.values())


def _drawn(space: Space) -> list[Candidate]:
    rng, found, tries = np.random.default_rng(space.seed), dict[str, Candidate](), 0
    wanted, shared_values, rules = space.trials or 0, space.recipe.model_dump(), _rules(space)
    if wanted > MOST:
        raise UsageError(f"{space.name} draws {quantity(wanted, 'recipe')}; at most {MOST} are searched: set fewer")
    while len(found) < wanted:
        model = space.model[int(rng.integers(len(space.model)))]
        shared = {name: _one(rng, values) for name, values in shared_values.items()}
        parameters = {name: _draw(rng, value) for name, value in model.parameters.items()}
        candidate = Candidate(model.name, parameters, shared, _one(rng, rules))
        tries = 0 if _key(candidate) not in found else tries + 1
        found.setdefault(_key(candidate), candidate)
        if tries > _TRIES:
            raise UsageError(
                f"{space.name} shall draw {quantity(wanted, 'recipe')}, and after {len(found)} no other was found: set "
                'trials to fewer, try more values, or set method = "grid"'
            )
    return list(found.values())


def _draw(rng: np.random.Generator, value: Any) -> Any:
    """Return a value of a parameter: of a range, of a list, or the only one."""
    if not _is_range(value):
        return _one(rng, _choices(value))
    low, high = value["low"], value["high"]
    logarithmic = value.get("scale") == "log"
    if isinstance(low, int) and isinstance(high, int):
        if not logarithmic:
            return int(rng.integers(low, high, endpoint=True))
        return min(high, max(low, round(math.exp(rng.uniform(math.log(low), math.log(high))))))
    drawn = math.exp(rng.uniform(math.log(low), math.log(high))) if logarithmic else rng.uniform(low, high)
    return float(f"{drawn:.6g}")


def _one(rng: np.random.Generator, values: Sequence[Any]) -> Any:
    return values[int(rng.integers(len(values)))]


def _rules(space: Space) -> list[dict[str, Any]]:
    """Return the rules as the fields that differ from the default rule."""
    usual = asdict(Rule())
    products = (one for rule in space.rule for one in _products(rule))
    changed = ({name: value for name, value in rule.items() if value != usual[name]} for rule in products)
    return list({json.dumps(rule, sort_keys=True): rule for rule in changed}.values())


def _products(values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each combination of the choices, with their names."""
    for chosen in itertools.product(*map(_choices, values.values())):
        yield dict(zip(values, chosen, strict=True))


def _is_range(value: Any) -> bool:
    return isinstance(value, dict) and {"low", "high"} <= value.keys()


def _contradictions(space: Space) -> Iterator[str]:
    """Yield what the types allow and has no meaning."""
    if space.method == "random" and space.trials is None:
        yield "trials: a random search needs the number of recipes to draw"
    if space.method == "grid" and space.trials is not None:
        yield 'trials: a grid tries all recipes; set method = "random", or remove trials'
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
    if not _is_range(value):
        return
    if unknown := value.keys() - _BOUNDS:
        yield f"{min(unknown)}: a range has low, high and scale"
        return
    low, high, scale = value["low"], value["high"], value.get("scale", "linear")
    if space.method == "grid":
        yield 'a grid needs a list of values; a range is for method = "random"'
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


def _key(candidate: Candidate) -> str:
    return json.dumps(asdict(candidate), sort_keys=True, default=str)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
