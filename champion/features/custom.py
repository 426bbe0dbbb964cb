"""Own feature sets: import them by module and name, and identify them by a digest of their values."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from hashlib import sha256

from champion.errors import UsageError
from champion.features import compute, synthetic_bars
from champion.features.sets import Feature, FeatureSet

_LONG = 50
_RULES = "2-"
"""Raise it when the rules for own features change; under rules 1, windows could read another instrument's bars."""


def import_set(name: str) -> FeatureSet:
    """Return the feature set `module:NAME`.

    Raises:
        UsageError: there is no such module or name, or it is not a feature set.
    """
    value = _import_object(name)
    if not isinstance(value, FeatureSet):
        raise UsageError(f"feature set {name!r} is a {type(value).__name__}, not a champion.features.FeatureSet")
    return value


def extend(base: FeatureSet, added: Sequence[str]) -> FeatureSet:
    """Return a set with the features of `base` and the added ones; `module:NAME` is a Feature or a FeatureSet.

    Its name and version are `base`'s, followed by the names of the added features: `v1_with_gap`.

    Raises:
        UsageError: there is no such module or name, it is not a feature, or two features have the same name.
    """
    features: list[Feature] = []
    for name in added:
        if ":" not in name:
            raise UsageError(f"{name!r} names no feature; write it as module:FEATURE, such as ideas:GAP")
        value = _import_object(name)
        if not isinstance(value, Feature | FeatureSet):
            raise UsageError(f"{name!r} is a {type(value).__name__}, not a champion.features.Feature or FeatureSet")
        features += value.features if isinstance(value, FeatureSet) else [value]
    names = "_".join(["with", *(each.name for each in features)])
    if len(names) > _LONG:  # file names have a maximum length
        names = f"with_{sha256(names.encode()).hexdigest()[:16]}"
    return FeatureSet(f"{base.name}_{names}", f"{base.version}_{names}", (*base.features, *features))


def _import_object(name: str) -> object:
    module, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(f"feature set {name!r}: {module!r} is not a module name; write module:NAME")
    try:
        value: object = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise UsageError(f"feature set {name!r}: {error}; install it, or put its folder on PYTHONPATH") from error
    except AttributeError as error:
        raise UsageError(f"feature set {name!r}: {error}; write module:NAME") from error
    return value


def digest(feature_set: FeatureSet) -> str:
    """Return a digest of the set's values on synthetic bars, which changes when a formula changes.

    It starts with the version number of the rules for computing own features.
    """
    values = compute.over_histories(synthetic_bars.bars(feature_set.lookback + 200), feature_set)
    return f"{_RULES}{sha256(values.drop('feature_version').write_csv().encode()).hexdigest()[:16]}"


def is_by_current_rules(identity: str) -> bool:
    """Return whether own features recorded under this `champion.features.identity` follow the current rules.

    >>> is_by_current_rules("an identity that version 0.2.0 recorded")
    False
    """
    return identity.partition(" ")[2].startswith(_RULES)
