"""Feature sets of one's own: found by module and name, and told apart by what they compute."""

from __future__ import annotations

import importlib
from hashlib import sha256

import polars as pl

from champion.errors import UsageError
from champion.features import compute
from champion.features.sets import FeatureSet

_INSTRUMENTS = 2


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
    made = compute.over_histories(_bars(chosen.lookback + 200), chosen).drop("feature_version")
    return sha256(made.write_csv().encode()).hexdigest()[:16]


def _bars(count: int) -> pl.DataFrame:
    """Return bars of some instruments by whole-number arithmetic, which is the same everywhere."""
    row = pl.int_range(count * _INSTRUMENTS)
    close = (row * row * 31 + row * 7919) % 1009 + 100
    frame = pl.select(instrument_id=pl.format("{}", row % _INSTRUMENTS), trade_date=(row // _INSTRUMENTS).cast(pl.Date))
    return frame.select(
        "instrument_id",
        "trade_date",
        symbol="instrument_id",
        open=(close + (row * 13) % 7 - 3) / 2.0,
        high=(close + (row * 5) % 11 + 3) / 2.0,
        low=(close - (row * 3) % 11 - 3) / 2.0,
        close=close / 2.0,
        volume=(row * 104729) % 10007,
        turnover=((row * 104729) % 10007) * (close * 0.5),
        trades=(row * 31) % 101,
    )
