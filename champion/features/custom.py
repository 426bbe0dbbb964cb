"""Feature sets of one's own: found by module and name, and told apart by what they compute."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from hashlib import sha256

from champion.errors import UsageError
from champion.features import compute, made_up
from champion.features.sets import Feature, FeatureSet

_LONG = 50
_RULES = "2-"
"""Raise it when own features are computed by other rules; 1 let windows and recursive features cross instruments."""


def imported(name: str) -> FeatureSet:
    """Return the feature set `module:NAME`.

    Raises:
        UsageError: there is no such module or name, or it is no feature set.
    """
    found = _imported(name)
    if not isinstance(found, FeatureSet):
        raise UsageError(f"feature set {name!r} is a {type(found).__name__}, not a champion.features.FeatureSet")
    return found


def extended(base: FeatureSet, added: Sequence[str]) -> FeatureSet:
    """Return a set with the features `module:NAME` added to those of another, each a Feature or a set of them.

    Its name and version are those of the first with the names of the others: `v1_with_gap`.

    Raises:
        UsageError: there is no such module or name, it is no feature, or two features have the same name.
    """
    features: list[Feature] = []
    for name in added:
        if ":" not in name:
            raise UsageError(f"{name!r} names no feature; name it as module:FEATURE, such as ideas:GAP")
        found = _imported(name)
        if not isinstance(found, Feature | FeatureSet):
            raise UsageError(
                f"{name!r} is a {type(found).__name__}, not a champion.features.Feature or FeatureSet; add features"
            )
        features += found.features if isinstance(found, FeatureSet) else [found]
    names = "_".join(["with", *(each.name for each in features)])
    if len(names) > _LONG:  # file names end somewhere
        names = f"with_{sha256(names.encode()).hexdigest()[:16]}"
    return FeatureSet(f"{base.name}_{names}", f"{base.version}_{names}", (*base.features, *features))


def _imported(name: str) -> object:
    module, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(f"feature set {name!r}: {module!r} is no module's name; name it as module:NAME")
    try:
        found: object = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise UsageError(f"feature set {name!r}: {error}; install it, or put its folder on PYTHONPATH") from error
    except AttributeError as error:
        raise UsageError(f"feature set {name!r}: {error}; name it as module:NAME") from error
    return found


def meaning(chosen: FeatureSet) -> str:
    """Return a digest of what the set computes from some made-up bars: a formula that is edited makes another.

    It begins with the number of the rules by which own features are computed.
    """
    made = compute.over_histories(made_up.bars(chosen.lookback + 200), chosen).drop("feature_version")
    return f"{_RULES}{sha256(made.write_csv().encode()).hexdigest()[:16]}"


def is_by_current_rules(identity: str) -> bool:
    """Tell whether own features recorded under this `champion.features.identity` were computed by today's rules.

    >>> is_by_current_rules("an identity that version 0.2.0 recorded")
    False
    """
    return identity.partition(" ")[2].startswith(_RULES)
