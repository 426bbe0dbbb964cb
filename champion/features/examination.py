"""Check own features on synthetic bars when their set is first used: do they read only the bars that they declare?

The value of a feature on a bar must depend only on that bar and earlier bars of its instrument. Then it is the same
over the whole history, over the history up to the bar, and in a nightly build.

1. The values over the history up to a bar must equal the values over the whole history; otherwise the feature looks
   ahead. If the expression does not prove this, the later bars are also replaced, and longer histories with rare moves
   are tried.
2. A feature whose expression provably reads at most `lookback` bars, bit for bit (`reach`), is a window: a nightly
   build computes it from that many bars.
3. Every other feature is recursive: every build computes it from the instrument's first bar. It needs no declaration.
4. A window longer than the declared `lookback` is an error: from `lookback` bars it would have a different value.
5. A feature with carried values is advanced bar by bar and must give the values of the whole history.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from champion.base.counting import quantity
from champion.errors import UsageError
from champion.features import carry, compute, synthetic_bars
from champion.features.alpha158 import ALPHA158
from champion.features.per_instrument import FEWEST, per_instrument
from champion.features.reach import Reach, reach_of
from champion.features.sets import Feature, FeatureSet
from champion.features.technical import TECHNICAL
from champion.features.v1 import V1

_SHIPPED = {
    id(each): each for each in (*V1.features, *ALPHA158.features, *TECHNICAL.features)
}  # tested against plain loops and TA-Lib
_MORE = 90  # bars beyond the longest lookback
_ENDS = 12  # bars at which a window is compared
_CLOSE_ENOUGH = 1e-9  # relative; the residue of a running sum of decimals is smaller
_LONGEST = 600  # longest window that is searched for
_ALTERED = (100.0, 0.01)  # factors on later prices and volumes, which must not change earlier values
_AMOUNTS = ("open", "high", "low", "close", "turnover")
_MOST_FIRST = 60  # bars on which a function of an instrument's first bars is tried
_YEARS = 2_000  # bars of the long history that opaque functions are tried on
_STEPS = 40  # sessions that carried state is advanced
_REMEDY = (
    "Use the bar itself and earlier ones: shift by a positive number, and use rolling_* or cum_* functions instead of "
    "aggregates of the whole history"
)
_Value: TypeAlias = Any

_known: dict[int, tuple[FeatureSet, FeatureSet]] = {}  # by id(); the set is kept, so its id is not reused


def examine(feature_set: FeatureSet) -> FeatureSet:
    """Check the features of a set and return it with `recursive` as found; each set is checked once per process.

    Raises:
        UsageError: a feature reads later bars or more bars than it declares, its expression fails, or its carried
            values do not give its values.
    """
    if id(feature_set) not in _known:
        checked = feature_set if all(id(each) in _SHIPPED for each in feature_set.features) else _examine(feature_set)
        _known[id(feature_set)] = (feature_set, checked)
        _known[id(checked)] = (checked, checked)
    return _known[id(feature_set)][1]


def _examine(feature_set: FeatureSet) -> FeatureSet:
    own = [each for each in feature_set.features if id(each) not in _SHIPPED]
    reaches, checked = {}, {}
    for each in own:
        reach = reach_of(each.expression) if each.kernel is None else Reach(None, opaque=True)
        recursive = bool(each.carried) or not reach.is_window_of(each.lookback)
        reaches[each.name] = reach
        checked[each.name] = replace(each, spans_instruments=False, recursive=recursive)
    result = replace(feature_set, features=tuple(checked.get(each.name, each) for each in feature_set.features))
    alone = replace(feature_set, features=tuple(checked.values()))
    longest = max(each.lookback for each in alone.features)
    bars = synthetic_bars.bars(longest + _MORE)
    whole = compute.over_histories(bars, alone)
    for feature in alone.features:
        _require_past(alone, feature, reaches[feature.name], bars, whole)
    if opaque := tuple(each for each in alone.features if reaches[each.name].opaque):
        _require_past_of_years(replace(feature_set, features=opaque))
    for feature in alone.features:
        if feature.recursive and not feature.carried:
            _require_lookback(alone, feature, reaches[feature.name])
    if alone.carried and alone.advances:
        _require_carried(alone, bars, whole)
    return result


def _require_past(
    feature_set: FeatureSet, feature: Feature, reach: Reach, bars: pl.DataFrame, whole: pl.DataFrame
) -> None:
    """Raise UsageError if values over the bars up to a bar differ from values over the whole history."""
    one = replace(feature_set, features=(feature,))
    length = feature.lookback + _MORE
    read = f" ({', '.join(reach.later)})" if reach.later else ""
    counts = {1, 2, 3, feature.lookback, feature.lookback + 1, length // 2, length - 7, length - 1}
    few_last = sorted(counts, key=lambda each: (each < FEWEST, each))  # few bars are padded with copies
    for count in few_last:
        _require_same(one, bars, whole, count, read)
    if reach.later:
        raise UsageError(f"{_title(feature_set, feature)} reads bars after its own{read}. {_REMEDY}")
    first = min(reach.first, _MOST_FIRST)
    seeded = range(feature.lookback, feature.lookback + first + 1) if first else ()
    for count in seeded or ((feature.lookback, length // 2) if reach.opaque else ()):
        for times in _ALTERED:
            _require_same(one, bars, compute.over_histories(_altered(bars, count, times), one), count)


def _altered(bars: pl.DataFrame, count: int, times: float) -> pl.DataFrame:
    """Return the bars with prices and volumes multiplied by `times` from bar `count` on."""
    later = pl.col("bar") >= count
    changed = {name: pl.col(name) * times for name in _AMOUNTS}
    changed |= {name: (pl.col(name) * times).cast(pl.Int64) for name in ("volume", "trades")}
    return bars.with_columns(pl.when(later).then(value).otherwise(n).alias(n) for n, value in changed.items())


def _require_past_of_years(feature_set: FeatureSet) -> None:
    """Raise UsageError if values of a long history depend on later bars.

    A Python function may behave differently on a long history, or after rare moves.
    """
    bars = synthetic_bars.bars(_YEARS)
    whole = compute.over_histories(bars, feature_set)
    first = _YEARS // 4 // synthetic_bars.BETWEEN_JUMPS * synthetic_bars.BETWEEN_JUMPS
    before_jumps = (first, first + synthetic_bars.BETWEEN_JUMPS)  # up, and down
    for count in (*before_jumps, _YEARS // 2, _YEARS - 1):
        _require_same(feature_set, bars, whole, count)


def _require_same(feature_set: FeatureSet, bars: pl.DataFrame, whole: pl.DataFrame, count: int, read: str = "") -> None:
    """Raise UsageError if the values over the first `count` bars differ from the values over the whole history."""
    known = bars["bar"] < count
    then, now = compute.over_histories(bars.filter(known), feature_set), whole.filter(known)
    for feature in feature_set.features:
        for at, few, late in _differing(then[feature.name], now[feature.name]):
            bar = bars.filter(known)["bar"][at] + 1
            raise UsageError(
                f"{_title(feature_set, feature)} reads bars after its own{read}: on synthetic bars its value on bar "
                f"{bar} is {late} over the whole history, but {few} over the first {quantity(count, 'bar')}. {_REMEDY}"
            )


def _require_lookback(feature_set: FeatureSet, feature: Feature, reach: Reach) -> None:
    """Raise UsageError if the feature reads a longer window than it declares."""
    if reach.bars is None and not reach.opaque:
        return  # it depends on every bar and is computed from all of them
    if reach.bars is not None and reach.bars <= feature.lookback:
        return  # only its last bits depend on the first bar
    most = max(_LONGEST, feature.lookback + 1) if reach.bars is None else reach.bars
    trial = _Trial(feature, most, most if reach.bars is None else 0)
    shortest = trial.worst(feature.lookback)
    if shortest is None:
        return
    needed = reach.bars or trial.window()
    if needed is None:
        return  # its memory decays gradually: recursive
    whole, few = shortest
    raise UsageError(
        f"{_title(feature_set, feature)} declares lookback={feature.lookback}, but reads {quantity(needed, 'bar')}: on "
        f"synthetic bars its value is {whole} over the whole history, but {few} from the last "
        f"{quantity(feature.lookback, 'bar')}. Declare lookback={needed}"
    )


class _Trial:
    """Compare one feature over a limited number of bars with its values over the whole history."""

    def __init__(self, feature: Feature, most: int, before: int) -> None:
        """Compare values over up to `most` bars with values over a history with `before` more bars."""
        self._feature, self._most = feature, most
        bars = synthetic_bars.bars(most + max(_ENDS, before))
        self._bars = bars.partition_by("instrument_id", maintain_order=True)
        self._whole = [self._values(own)[-_ENDS:] for own in self._bars]

    def worst(self, count: int) -> tuple[_Value, _Value] | None:
        """Return the most different pair of values, over the whole history and over `count` bars; None if all agree."""
        worst = max(self._pairs(count), key=lambda pair: _distance(*pair))
        return worst if _distance(*worst) > _CLOSE_ENOUGH else None

    def window(self) -> int | None:
        """Return the fewest bars that give the values of the whole history; None if the memory decays gradually."""
        low, high = self._feature.lookback, self._most
        if self.worst(high) is not None:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.worst(middle) is None else (middle, high)
        sudden = max(_distance(*pair) for pair in self._pairs(high - 1)) > _CLOSE_ENOUGH**0.5
        return high if sudden else None

    def _pairs(self, count: int) -> Iterator[tuple[_Value, _Value]]:
        for own, whole in zip(self._bars, self._whole, strict=True):
            for place, value in enumerate(whole):
                end = own.height - len(whole) + place + 1
                yield value, self._values(own[end - count : end])[-1]

    def _values(self, own: pl.DataFrame) -> list[_Value]:
        counts = np.array([own.height], dtype=np.int64)
        known = compute.known_feature(self._feature, pl.lit(value=True))
        return per_instrument(own, counts, [self._feature]).select(known).to_series().to_list()


def _require_carried(feature_set: FeatureSet, bars: pl.DataFrame, whole: pl.DataFrame) -> None:
    """Raise UsageError if carried state gives different values than the whole history."""
    first = int(bars["bar"].max()) - _STEPS  # type: ignore[arg-type]
    state = carry.state_after(bars.filter(pl.col("bar") < first), feature_set)
    for bar in range(first, first + _STEPS):
        rows, state = carry.advance(state, bars.filter(pl.col("bar") == bar), feature_set)
        then = whole.filter(pl.Series(bars["bar"] == bar))
        for feature in feature_set.features:
            for _, stepped, computed in _differing(rows[feature.name], then[feature.name]):
                carried = ", ".join(each.name for each in feature.carried) or "the set"
                raise UsageError(
                    f"{_title(feature_set, feature)} is {computed} over the whole history, but {stepped} from its "
                    f"carried values: correct the steps of {carried}, or declare no carried values"
                )


def _title(feature_set: FeatureSet, feature: Feature) -> str:
    return f"feature set {feature_set.name} {feature_set.version}: {feature.name}"


def _differing(left: pl.Series, right: pl.Series) -> Iterator[tuple[int, _Value, _Value]]:
    """Yield the first row where two columns differ in any bit, and both values; nothing if they are equal."""
    same = left.eq_missing(right)
    if not same.all():
        place = int(same.arg_min() or 0)
        yield place, left[place], right[place]


def _distance(one: _Value, other: _Value) -> float:
    """Return the relative distance of two values; infinity if only one is null."""
    if one is None or other is None:
        return 0.0 if one is other else float("inf")
    left, right = float(one), float(other)
    return abs(left - right) / max(abs(left), abs(right), 1e-300)
