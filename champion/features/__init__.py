"""Feature sets: build versioned features from bars, over whole histories or one session at a time.

A feature set is data. A feature that is not `recursive` depends only on the last `lookback` bars of its instrument. A
recursive feature depends on every bar since the instrument's first bar; it may declare the state that it carries
between sessions.

An own set takes a few lines; `register` makes it known by its version:

>>> import polars as pl
>>> from champion import features, indicators
>>> gap = features.Feature(
...     "close_to_sma_20", "trend", 20, pl.Float64(), "The close over its mean of 20 bars, less 1.",
...     pl.col("close") / indicators.sma(pl.col("close"), 20) - 1,
... )
>>> features.FeatureSet("own_ideas", "ideas1", (gap,)).lookback
20
"""

from __future__ import annotations

import polars as pl

from champion.base.counting import known_names
from champion.errors import UsageError
from champion.features import carry, compute, custom
from champion.features.alpha158 import ALPHA158
from champion.features.custom import is_by_current_rules
from champion.features.examination import examine
from champion.features.record import record, state_record
from champion.features.scale import levels
from champion.features.sets import Carried, Feature, FeatureSet, Kernel
from champion.features.technical import TECHNICAL
from champion.features.v1 import V1

__all__ = [
    "ALPHA158", "FEATURE_SETS", "TECHNICAL", "V1", "VERSION", "Carried", "Feature", "FeatureSet", "Kernel", "advance",
    "build", "carried_schema", "find", "groups", "identity", "is_by_current_rules", "is_shipped", "levels", "record",
    "register", "required", "state_after", "state_record",
]  # fmt: skip
__dir__ = __all__.copy

VERSION = "1"
"""Version of the computation: raise it when `build` returns different values for the same bars and feature set."""

FEATURE_SETS = {each.version: each for each in (V1, ALPHA158, TECHNICAL)}
"""The feature sets known in this process, by version: those that Champion ships and the registered ones."""

_SHIPPED = tuple(FEATURE_SETS)


def register(feature_set: FeatureSet) -> FeatureSet:
    """Register a feature set under its version in this process and return it; repeated calls have no effect.

    Its features are checked first: see `champion.features.examination`.

    Raises:
        UsageError: another set has the version or the name; or a feature reads later bars, or more bars than it
            declares.

    >>> momentum = Feature("mom_1", "momentum", 2, pl.Float64(), "Rupees since the bar before.", pl.col("close").diff())
    >>> register(FeatureSet("doc_register", "doc_register1", (momentum,))).columns
    ['mom_1']
    >>> find("doc_register1").contract
    'features_doc_register'
    >>> FEATURE_SETS.pop("doc_register1").version  # unregister it
    'doc_register1'
    """
    checked = examine(feature_set)
    for other in tuple(FEATURE_SETS.values()):  # another thread may register one
        if other != feature_set and (other.version == feature_set.version or other.name == feature_set.name):
            known = f"feature set {other.name} {other.version} is already registered"
            raise UsageError(f"{known}; give the new one its own name and version")
    FEATURE_SETS[feature_set.version] = checked
    return checked


def find(version: str | FeatureSet) -> FeatureSet:
    """Return the feature set of a version, or the given set; `module:NAME` is imported and registered.

    `v1+module:FEATURE` is set v1 with the feature added; any number of features and sets may follow.

    Raises:
        UsageError: there is no such set; another set has its version or name; or, on first use, its features differ
            from their declarations (`champion.features.examination`).

    >>> find("v1").lookback
    200
    """
    if isinstance(version, FeatureSet):
        return examine(version)
    if "+" in version:
        base, *added = version.split("+")
        return register(custom.extend(find(base), added))
    if ":" in version:
        return register(custom.import_set(version))
    if version not in FEATURE_SETS:
        known = known_names(version, FEATURE_SETS, "known are")
        raise UsageError(f"feature set {version!r} is not known; {known}, and your own as module:NAME")
    return FEATURE_SETS[version]


def identity(feature_set: FeatureSet) -> str:
    """Return the identity recorded with built features: the version, and for own sets a digest of their values.

    Sets that Champion ships change only with `VERSION`. The digest detects a changed formula of an own set.

    >>> identity(find("v1"))
    'v1'
    """
    return feature_set.version if is_shipped(feature_set) else f"{feature_set.version} {custom.digest(feature_set)}"


def is_shipped(feature_set: FeatureSet) -> bool:
    """Return whether Champion ships the set, with its contracts and its table in the warehouse.

    >>> is_shipped(V1)
    True
    """
    return feature_set.version in _SHIPPED


def groups(version: str | FeatureSet = "v1") -> dict[str, list[str]]:
    """Return the feature names of each group, in column order.

    >>> groups("v1")["volume"]
    ['vwap', 'obv', 'volume_ma_20']
    """
    features = find(version).features
    return {group: [f.name for f in features if f.group == group] for group in dict.fromkeys(f.group for f in features)}


def required(version: str | FeatureSet = "v1") -> list[str]:
    """Return the columns of bars that a feature set needs.

    >>> required("v1")
    ['instrument_id', 'symbol', 'trade_date', 'high', 'low', 'close', 'volume', 'turnover']
    """
    return compute.required(find(version))


def build(bars: pl.DataFrame, feature_set: str | FeatureSet = "v1") -> pl.DataFrame:
    """Return the features of every bar, sorted by instrument_id and trade_date.

    Takes normalized or adjusted bars in any row order, with the whole history of each instrument. A feature is null
    while its window warms up; a short history gives nulls, never an error.

    Raises:
        ContractError: `check_bars` rejects the bars.
        UsageError: the feature set is not known.

    >>> from datetime import date
    >>> momentum = Feature("mom_1", "momentum", 2, pl.Float64(), "Rupees since the bar before.", pl.col("close").diff())
    >>> bars = pl.DataFrame({"trade_date": [date(2024, 1, 15), date(2024, 1, 16)], "close": [10.0, 12.0]})
    >>> bars = bars.with_columns(instrument_id=pl.lit("NSE:A"), symbol=pl.lit("A"))
    >>> build(bars, FeatureSet("own", "own1", (momentum,)))["mom_1"].to_list()
    [None, 2.0]
    """
    return compute.over_histories(bars, find(feature_set))


def carried_schema(feature_set: str | FeatureSet = "v1") -> dict[str, pl.DataType]:
    """Return the columns of a feature set's state and their types.

    >>> list(carried_schema("v1"))[:4]
    ['instrument_id', 'bars', 'ema_12', 'ema_26']
    """
    return carry.schema(find(feature_set))


def state_after(bars: pl.DataFrame, feature_set: str | FeatureSet = "v1") -> pl.DataFrame:
    """Return the carried state after these bars, one row per instrument: see `champion.features.carry`.

    >>> from datetime import date
    >>> bar = {"instrument_id": "NSE:A", "symbol": "A", "trade_date": date(2024, 1, 15), "high": 11.0, "low": 9.0}
    >>> bars = pl.DataFrame([bar | {"close": 10.5, "volume": 100, "turnover": 1040.0}])
    >>> state_after(bars).select("bars", "obv", "recent_close").row(0)
    (1, 100, [10.5])
    """
    return carry.state_after(bars, find(feature_set))


def advance(
    state: pl.DataFrame, bars: pl.DataFrame, feature_set: str | FeatureSet = "v1"
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the features of the next session's bars, bit-identical to `build`, and the state after this session.

    Bars are in the price scale of the state; an instrument without state has no earlier bars. See
    `champion.features.carry`.

    >>> from datetime import date
    >>> bar = {"instrument_id": "NSE:A", "symbol": "A", "high": 11.0, "low": 9.0, "close": 10.5}
    >>> bar |= {"volume": 100, "turnover": 1040.0}
    >>> first, second = (pl.DataFrame([bar | {"trade_date": date(2024, 1, day)}]) for day in (15, 16))
    >>> built, state = advance(state_after(first), second)
    >>> built.equals(build(pl.concat([first, second])).tail(1)), state["bars"].to_list()
    (True, [2])
    """
    return carry.advance(state, bars, find(feature_set))
