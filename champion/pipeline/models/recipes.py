"""What a trial is made of: features by content, target, universe, model, validation and construction.

Values that equal their defaults are left out, so that a new option of Champion does not turn every recipe into another.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from champion import features
from champion.base.counting import quantity
from champion.errors import UsageError
from champion.features import custom
from champion.modeling.universe import UNIVERSES, Universe, find
from champion.portfolio.construction import Rule
from champion.portfolio.inputs import is_whole
from champion.portfolio.simulator import MarketRules

if TYPE_CHECKING:
    from champion.modeling.estimators import Recipe
    from champion.modeling.splits import PurgedWalkForward
    from champion.pipeline.models.register import Task

Construction: TypeAlias = tuple[Rule, MarketRules]
"""How scores become orders, and how the orders are filled."""
CONSTRUCTION = "champion.construction"
"""The tag of versions with what their recipe has as construction, as JSON; without it the default one."""
_INSTALLED = ("site-packages", "dist-packages")
_LOOKBACK = 200  # bars of a feature that has no declaration yet


def of_training(
    task: Task, model: Recipe, inputs: Sequence[str], splitter: PurgedWalkForward | None = None
) -> dict[str, Any]:
    """Return the recipe of a trained model.

    The code of an own estimator belongs to it: an edited class is another recipe. `splitter` is None if a person
    registers a model without saying how it was validated.

    >>> from champion.modeling.estimators import Recipe
    >>> from champion.pipeline.models.register import Task
    >>> recipe = of_training(Task(find("liquid"), horizon=5, lag=1), Recipe("logistic", seed=3), ["rsi_14"])
    >>> recipe["model"], recipe["target"]
    ({'model': 'logistic', 'seed': 3}, {'horizon': 5, 'lag': 1})
    """
    target = {"horizon": task.horizon, "lag": task.lag, **_changed(task, "universe", "feature_version")}
    code = {"code": found} if (found := _code(model.model)) else {}
    validation = (
        {} if splitter is None else {"validation": {"n_splits": splitter.n_splits, "embargo": splitter.embargo}}
    )
    return {
        "features": _features(task.feature_version) | {"inputs": list(inputs)},
        "target": target,
        "universe": task.universe.text,
        "model": {"model": model.model, **_changed(model, "model"), **code},
        **validation,
        "construction": {},
    }


def of_factor(feature_set: str, factor: str, *, universe: str | Universe, horizon: int, lag: int) -> dict[str, Any]:
    """Return the recipe of a tear sheet: one input of a feature set, a high value bought.

    >>> of_factor("v1", "return_5", universe="all", horizon=5, lag=1)["features"]
    {'set': 'v1, computation 1', 'inputs': ['return_5']}
    """
    return _of_input(_features(feature_set) | {"inputs": [factor]}, find(universe), horizon, lag)


def of_expression(
    expression: pl.Expr, name: str, *, universe: str | Universe, horizon: int, lag: int
) -> dict[str, Any]:
    """Return the recipe of a feature that is in no set yet; its values on synthetic bars identify it, not its name.

    >>> five, six = (of_expression(pl.col("close").diff(n), "d", universe="all", horizon=5, lag=1) for n in (5, 6))
    >>> five == six
    False
    """
    feature = features.Feature("value", "own", _LOOKBACK, pl.Float64(), "A feature in a notebook.", expression)
    digest = custom.digest(features.FeatureSet("examined", "examined1", (feature,)))
    return _of_input({"set": f"expression {digest}", "inputs": [name]}, find(universe), horizon, lag)


def constructed(recipe: Mapping[str, Any], rule: Rule, rules: MarketRules) -> dict[str, Any]:
    """Return a recipe with another construction: how scores become orders, and how the orders are filled.

    >>> constructed({}, Rule(top=20), MarketRules())
    {'construction': {'top': 20}}
    >>> constructed({}, Rule(top=5), MarketRules()) == constructed({}, Rule(top=5, cap=0.2), MarketRules())
    True
    """
    cap = {} if rule.largest_weight == Rule().largest_weight else {"cap": rule.largest_weight}
    return {**recipe, "construction": {**_changed(rule, "cap"), **cap, **_changed(rules)}}


def construction_of(recipe: Mapping[str, Any]) -> Construction:
    """Return the construction of a recipe as `constructed` stored it; the default one if it has none.

    >>> construction_of(constructed({}, Rule(top=20), MarketRules())) == (Rule(top=20), MarketRules())
    True
    """
    stored = recipe.get("construction", {})
    of_rule, of_market = (
        {one.name: stored[one.name] for one in fields(kind) if one.name in stored} for kind in (Rule, MarketRules)
    )
    return Rule(**of_rule), MarketRules(**of_market)


def changed(construction: Construction, **given: Any) -> Construction:
    """Return a construction with other settings of its rule or its market; None keeps what it has.

    A phase that is not below the given `every` becomes its rest: 3 of a week is 1 of every two weekdays.

    Raises:
        UsageError: a setting is none of a rule or a market, or has an impossible value.

    >>> found = changed((Rule(top=20, phase=3), MarketRules()), every=2, capital=1e6, plan=None)
    >>> found[0].top, found[0].phase, found[1].capital, found[1].plan
    (20, 1, 1000000.0, 'discount')
    """
    rule, rules = construction
    kept = {name: value for name, value in given.items() if value is not None}
    of_rule, of_market = ({one.name for one in fields(each)} for each in (rule, rules))
    if unknown := kept.keys() - of_rule - of_market:
        known = ", ".join(sorted(of_rule | of_market))
        raise UsageError(f"no construction has {', '.join(sorted(unknown))}; it has {known}")
    if "every" in kept and is_whole(kept["every"]) and kept["every"] > 0:
        kept.setdefault("phase", rule.phase % kept["every"])
    return (
        replace(rule, **{name: value for name, value in kept.items() if name in of_rule}),
        replace(rules, **{name: value for name, value in kept.items() if name in of_market}),
    )


def combined(weighting: str, members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the recipe of a combination of the scores of several recipes, in any order.

    Its horizon is the longest one of its members.

    >>> one, two = ({"model": {"model": name}, "target": {"horizon": 5}} for name in ("ridge", "logistic"))
    >>> combined("equal", [one, two]) == combined("equal", [two, one])
    True
    """
    ordered = sorted((dict(each) for each in members), key=lambda each: json.dumps(each, sort_keys=True))
    horizon = max([0, *(int(each.get("target", {}).get("horizon", 0)) for each in members)])
    target = {"target": {"horizon": horizon}} if horizon else {}
    return {"combination": weighting, "members": ordered, **target, "construction": {}}


def tagged(tags: Mapping[str, str]) -> Construction:
    """Return the construction that a version was trained for, from its tags.

    >>> tagged({CONSTRUCTION: '{"top": 20}'})[0].top
    20
    """
    return construction_of({"construction": json.loads(tags.get(CONSTRUCTION, "{}"))})


def words(recipe: Mapping[str, Any]) -> str:
    """Return a recipe in one line.

    >>> words(of_factor("v1", "return_5", universe="all", horizon=5, lag=1))
    'return_5 of v1, 5 sessions ahead, all'
    """
    if "combination" in recipe:
        return f"{recipe['combination']} combination of {'; of '.join(words(each) for each in recipe['members'])}"
    if "features" not in recipe:
        return "; ".join(f"{name} {_plain(value)}" for name, value in recipe.items())
    inputs, target, model = recipe["features"]["inputs"], recipe["target"], recipe.get("model")
    named = str(recipe["features"]["set"]).partition(",")[0].partition(" ")[0]
    subject = f"{_options(model)} on {named} ({len(inputs)} inputs)" if model else f"{inputs[0]} of {named}"
    universe = next((name for name, one in UNIVERSES.items() if one.text == recipe["universe"]), recipe["universe"])
    extra = {name: value for name, value in target.items() if name not in {"horizon", "lag"} and value}
    construction = f", {_plain(recipe['construction'])}" if recipe.get("construction") else ""
    aimed = "".join(f", {name} {value}" for name, value in extra.items())
    return f"{subject}{aimed}, {quantity(target['horizon'], 'session')} ahead, {universe}{construction}"


def _of_input(used: Mapping[str, Any], universe: Universe, horizon: int, lag: int) -> dict[str, Any]:
    target = {"horizon": horizon, "lag": lag}
    return {"features": dict(used), "target": target, "universe": universe.text, "construction": {}}


def _features(version: str) -> dict[str, Any]:
    """Return the identity of a feature set; that of an own set has a digest of its values."""
    found = features.find(version)
    shipped = f", computation {features.VERSION}" if features.is_shipped(found) else ""
    return {"set": f"{features.identity(found)}{shipped}"}


def _changed(values: Any, *others: str) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their defaults, without those named `others`."""
    changed = {one.name: getattr(values, one.name) for one in fields(values) if one.name not in others}
    defaults = {one.name: _default(one) for one in fields(values)}
    return {name: _storable(value) for name, value in changed.items() if value != defaults[name]}


def _storable(value: Any) -> Any:
    """Return a value of an option as JSON; an object, such as an estimator within another one, as its text."""
    try:
        return json.loads(json.dumps(value))
    except TypeError:
        return repr(value)


def _default(one: Field[Any]) -> Any:
    return one.default_factory() if one.default_factory is not MISSING else one.default


def _code(model: str) -> str:
    """Return the digest of the module of an own estimator; empty for estimators of installed packages."""
    if "." not in model:
        return ""
    try:
        module = importlib.import_module(model.rpartition(".")[0])
        file = inspect.getsourcefile(module)
        source = inspect.getsource(module)
    except (ImportError, OSError, TypeError):  # no source: the digest of the scores still differs for another model
        return ""
    if file is None or any(part in file for part in _INSTALLED):
        return ""
    return sha256(source.encode()).hexdigest()[:16]


def _options(model: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in model.items() if name not in {"model", "code"}}
    return f"{model['model']} ({_plain(rest)})" if rest else str(model["model"])


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    return str(value)
