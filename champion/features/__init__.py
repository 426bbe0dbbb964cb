"""Feature sets: which features are built from bars, under which version, at once or from carried state.

A feature set is data. A feature that is not `recursive` depends on the last `lookback` bars of its instrument and on
nothing else; a recursive one remembers every bar since the instrument's first, and can say what it carries of them.

A quant's own set in a line or two; `register` makes it known by its version:

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

from champion.errors import UsageError
from champion.features import carry, compute, own
from champion.features.alpha158 import ALPHA158
from champion.features.examination import examined
from champion.features.own import is_by_current_rules
from champion.features.record import record, state_record
from champion.features.scale import levels
from champion.features.sets import Carried, Feature, FeatureSet, Kernel
from champion.features.v1 import V1

__all__ = [
    "ALPHA158",
    "FEATURE_SETS",
    "V1",
    "VERSION",
    "Carried",
    "Feature",
    "FeatureSet",
    "Kernel",
    "advance",
    "build",
    "carried_schema",
    "find",
    "groups",
    "identity",
    "is_by_current_rules",
    "is_shipped",
    "levels",
    "record",
    "register",
    "required",
    "state_after",
    "state_record",
]

VERSION = "1"
"""Version of the computation: raise it when `build` gives other values for the same bars and the same feature set."""

FEATURE_SETS = {each.version: each for each in (V1, ALPHA158)}
"""The feature sets known in this process, by version: those Champion ships, and one's own once they are registered."""

_SHIPPED = tuple(FEATURE_SETS)


def register(feature_set: FeatureSet) -> FeatureSet:
    """Make a feature set known by its version in this process, and return it; the same again changes nothing.

    Its features are examined first: see `champion.features.examination`.

    Raises:
        UsageError: the version, or the name of its datasets, is another set's; or a feature of it reads later bars, or
            more bars than it declares.

    >>> momentum = Feature("mom_1", "momentum", 2, pl.Float64(), "Rupees since the bar before.", pl.col("close").diff())
    >>> register(FeatureSet("doc_register", "doc_register1", (momentum,))).columns
    ['mom_1']
    >>> find("doc_register1").contract
    'features_doc_register'
    >>> FEATURE_SETS.pop("doc_register1").version  # and out again
    'doc_register1'
    """
    found = examined(feature_set)
    for other in tuple(FEATURE_SETS.values()):  # another thread may register one
        if other != feature_set and (other.version == feature_set.version or other.name == feature_set.name):
            raise UsageError(
                f"feature set {other.name} {other.version} is there already; give the new one its own name and version"
            )
    FEATURE_SETS[feature_set.version] = found
    return found


def find(version: str | FeatureSet) -> FeatureSet:
    """Return the feature set of a version, or the set that is given; `module:NAME` is imported and registered.

    `v1+module:FEATURE`, with as many more, is the first set with features added: its own or another set's.

    Raises:
        UsageError: there is no such set, or another has its version or name; or the set is used for the first time,
            and its features are not what they declare (`champion.features.examination`).

    >>> find("v1").lookback
    200
    """
    if isinstance(version, FeatureSet):
        return examined(version)
    if "+" in version:
        base, *added = version.split("+")
        return register(own.extended(find(base), added))
    if ":" in version:
        return register(own.imported(version))
    if version not in FEATURE_SETS:
        raise UsageError(f"feature set {version!r} is not known; known are {', '.join(FEATURE_SETS)}, and module:NAME")
    return FEATURE_SETS[version]


def identity(chosen: FeatureSet) -> str:
    """Return what features are recorded as made by: the version, and of one's own set a digest of what it computes.

    Champion's own sets change their meaning with `VERSION` only; who edits a formula of one's own need not remember.

    >>> identity(find("v1"))
    'v1'
    """
    return chosen.version if is_shipped(chosen) else f"{chosen.version} {own.meaning(chosen)}"


def is_shipped(chosen: FeatureSet) -> bool:
    """Tell whether Champion ships the set, with its contracts and its table in the warehouse.

    >>> is_shipped(V1)
    True
    """
    return chosen.version in _SHIPPED


def groups(version: str | FeatureSet = "v1") -> dict[str, list[str]]:
    """Return the feature names of each group, in column order.

    >>> groups("v1")["volume"]
    ['vwap', 'obv', 'volume_ma_20']
    """
    result: dict[str, list[str]] = {}
    for feature in find(version).features:
        result.setdefault(feature.group, []).append(feature.name)
    return result


def required(version: str | FeatureSet = "v1") -> list[str]:
    """Return the columns of bars that a feature set is built from.

    >>> required("v1")
    ['instrument_id', 'symbol', 'trade_date', 'high', 'low', 'close', 'volume', 'turnover']
    """
    return compute.required(find(version))


def build(bars: pl.DataFrame, feature_set: str | FeatureSet = "v1") -> pl.DataFrame:
    """Return the features of every bar, sorted by instrument_id and trade_date.

    Takes normalized or adjusted bars in any row order, with the whole history of each instrument. A feature is null
    while its window warms up; a short history gives nulls, never an error. Bars that `check_bars` refuses raise
    ContractError, an unknown feature set UsageError.

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
    """Return what the features carry on after these bars, one row an instrument: see `champion.features.carry`.

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
    """Return the features of one more session's bars, and the state after it: to the last bit those of `build`.

    Bars are in the scale of the state; an instrument without state has no bars before. See `champion.features.carry`.

    >>> from datetime import date
    >>> bar = {"instrument_id": "NSE:A", "symbol": "A", "high": 11.0, "low": 9.0, "close": 10.5}
    >>> bar |= {"volume": 100, "turnover": 1040.0}
    >>> first, second = (pl.DataFrame([bar | {"trade_date": date(2024, 1, day)}]) for day in (15, 16))
    >>> built, state = advance(state_after(first), second)
    >>> built.equals(build(pl.concat([first, second])).tail(1)), state["bars"].to_list()
    (True, [2])
    """
    return carry.advance(state, bars, find(feature_set))
