"""Feature sets of one's own: found by module and name, and told apart by what they compute."""

from __future__ import annotations

import importlib
from hashlib import sha256

from champion.errors import UsageError
from champion.features import compute, made_up
from champion.features.sets import FeatureSet

_RULES = "2"
"""Raise it when own features are computed by other rules; 1 let windows and recursive features cross instruments."""


def imported(name: str) -> FeatureSet:
    """Return the feature set `module:NAME`.

    Raises:
        UsageError: there is no such module or name, or it is no feature set.
    """
    module, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(f"feature set {name!r}: {module!r} is no module's name; name it as module:NAME")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise UsageError(f"feature set {name!r}: {error}; install it, or put its folder on PYTHONPATH") from error
    except AttributeError as error:
        raise UsageError(f"feature set {name!r}: {error}; name it as module:NAME") from error
    if not isinstance(found, FeatureSet):
        raise UsageError(f"feature set {name!r} is a {type(found).__name__}, not a champion.features.FeatureSet")
    return found


def meaning(chosen: FeatureSet) -> str:
    """Return a digest of what the set computes from some made-up bars: a formula that is edited makes another."""
    made = compute.over_histories(made_up.bars(chosen.lookback + 200), chosen).drop("feature_version")
    return sha256(f"{_RULES} {made.write_csv()}".encode()).hexdigest()[:16]
