"""Compute the features of the next session from carried state, bit-identical to features over whole histories.

The state has one row per instrument: `bars` (its number of bars), each value of `FeatureSet.carried`, and the last
values of each bar column that windows need (`recent_close`, oldest first).

1. A feature that is not recursive is its expression over the last `lookback` bars: the recent ones and the new one.
2. A carried value starts on the instrument's `lookback`-th bar as its expression over the bars so far. From then on it
   is updated by its step. Before, it is null. The values of a `StateKernel` are advanced together, from the first bar.
3. A recursive feature is its `value` of the carried values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from champion.base.counting import quantity
from champion.errors import UsageError
from champion.features import recursion
from champion.features.compute import checked_bars, key_columns, known_feature, over_rows
from champion.features.sets import Carried, Feature, FeatureSet

_ID, _BARS = "instrument_id", "_bars"


def recent(column: str) -> str:
    """Return the name of the state column that holds the last values of a bar column."""
    return f"recent_{column}"


def schema(feature_set: FeatureSet) -> dict[str, pl.DataType]:
    """Return the columns of the state and their types; recent values are Float64, or Int64 for volume and trades."""
    kinds = {name: pl.Int64() if name in {"volume", "trades"} else pl.Float64() for name in feature_set.recent}
    return {
        _ID: pl.String(),
        "bars": pl.Int64(),
        **{each.name: each.dtype for each in feature_set.carried},
        **{recent(name): pl.List(kind) for name, kind in kinds.items()},
    }


def state_after(bars: pl.DataFrame, feature_set: FeatureSet) -> pl.DataFrame:
    """Return the state after whole histories, sorted by instrument_id."""
    _require_state(feature_set)
    ordered = checked_bars(bars, feature_set)
    counts = recursion.lengths(ordered)
    started = recursion.starts(ordered, counts, feature_set.carried)
    values = ordered.select(
        _ID,
        *recursion.carried(ordered, counts, started, feature_set.carried),
        *(pl.col(name).alias(recent(name)) for name in feature_set.recent),
    )
    kept = values.group_by(_ID, maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("bars"),
        *(pl.when(pl.len() >= each.lookback).then(pl.col(each.name).last()) for each in feature_set.carried),
        *(pl.col(recent(name)).tail(count) for name, count in feature_set.recent.items()),
    )
    return kept.select(list(schema(feature_set))).cast(schema(feature_set))  # type: ignore[arg-type]


def advance(state: pl.DataFrame, bars: pl.DataFrame, feature_set: FeatureSet) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the features of one session's bars and the state after it, each sorted by instrument_id.

    Bars are in the price scale of the state. An instrument without state has no earlier bars; one without a bar keeps
    its state.

    Raises:
        ContractError: `check_bars` rejects the bars.
        UsageError: the bars span several sessions, or a recursive feature declares no carried values.
    """
    _require_state(feature_set)
    ordered = checked_bars(bars, feature_set)
    if (count := ordered["trade_date"].n_unique()) > 1:
        raise UsageError(f"state advances one session at a time; the bars are of {quantity(count, 'session')}")
    before = pl.DataFrame(schema=schema(feature_set)) if state.is_empty() else state.select(list(schema(feature_set)))
    joined = ordered.join(before, on=_ID, how="left", maintain_order="left").with_columns(
        pl.col("bars").fill_null(0) + 1, *(pl.col(recent(n)).fill_null([]) for n in feature_set.recent)
    )
    carried = _carried(joined, feature_set)
    values = _windows(joined, [f for f in feature_set.features if not f.recursive], feature_set.recent)
    derived = carried.select(each.value.alias(each.name) for each in feature_set.features if each.value is not None)
    built = joined.select(_ID, "symbol", "trade_date", pl.col("bars").alias(_BARS)).hstack(values).hstack(derived)
    last = {
        recent(name): pl.col(recent(name)).list.concat(pl.col(name)).list.tail(count)
        for name, count in feature_set.recent.items()
    }
    moved = joined.select(_ID, **last).hstack(carried).select(list(schema(feature_set)))
    idle = before.join(moved, on=_ID, how="anti")
    columns = [known_feature(each, pl.col(_BARS) >= each.lookback) for each in feature_set.features]
    return built.select(*key_columns(feature_set), *columns), pl.concat([idle, moved]).sort(_ID)


def _require_state(feature_set: FeatureSet) -> None:
    if not feature_set.advances:
        lacking = [f.name for f in feature_set.features if f.recursive and not f.carried]
        raise UsageError(
            f"feature set {feature_set.version} carries no state: {', '.join(lacking)} must declare carried values"
        )


def _windows(joined: pl.DataFrame, features: Sequence[Feature], kept: Mapping[str, int]) -> pl.DataFrame:
    """Return each feature over the last bars, in the order of `joined`; null with fewer than `lookback` bars.

    Features of similar lookbacks are computed together over the longest of them, where an instrument has as many bars:
    the earlier bars do not change a value. `kept` has the number of recent values of each bar column.
    """
    columns = joined.select(_ID)
    for lookbacks in _similar(features, kept):
        longest = lookbacks[0]
        together = [feature for feature in features if feature.lookback in lookbacks]
        full = _ends(joined.filter(pl.col("bars") >= longest), longest, together)
        for lookback in lookbacks:
            wanted = [feature for feature in together if feature.lookback == lookback]
            young = joined.filter(pl.col("bars").is_between(lookback, longest, closed="left"))
            known = full.select(_ID, *(feature.name for feature in wanted))
            ends = known if young.is_empty() else pl.concat([known, _ends(young, lookback, wanted)])
            columns = columns.join(ends, on=_ID, how="left", maintain_order="left")
    return columns.select(feature.name for feature in features)


def _similar(features: Sequence[Feature], kept: Mapping[str, int]) -> list[list[int]]:
    """Return the lookbacks in groups, longest first, each at most twice its shortest and within the values `kept`."""
    groups: list[list[int]] = []
    for lookback in sorted({feature.lookback for feature in features}, reverse=True):
        used = {n for each in features if each.lookback == lookback for n in each.expression.meta.root_names()}
        longest = groups[-1][0] if groups else 0
        if lookback < longest <= min(2 * lookback, *(kept.get(name, 0) + 1 for name in used)):
            groups[-1].append(lookback)
        else:
            groups.append([lookback])
    return groups


def _ends(joined: pl.DataFrame, lookback: int, wanted: Sequence[Feature]) -> pl.DataFrame:
    """Return the instruments, which have at least `lookback` bars, and the features on their last bar."""
    last = _last_bars(joined, lookback, wanted)
    counts = np.full(last.height // lookback, lookback, dtype=np.int64)
    return over_rows(last, counts, wanted).insert_column(0, last[_ID]).gather_every(lookback, lookback - 1)


def _carried(joined: pl.DataFrame, feature_set: FeatureSet) -> pl.DataFrame:
    """Return the number of bars and the carried values after the new bars."""
    alone = [each for each in feature_set.carried if each.together is None]
    state = joined.select("bars", *(each.step.alias(each.name) for each in alone))
    for kernel in feature_set.state_kernels:
        bars = joined.select(kernel.bar_columns).hstack(_windows(joined, kernel.inputs, feature_set.recent))
        state = state.hstack(recursion.after_bar(joined, bars, joined["bars"], kernel))
    for lookback in sorted({each.lookback for each in alone}):
        starting = [each for each in alone if each.lookback == lookback]
        first = joined.filter(pl.col("bars") == lookback)
        if first.is_empty():
            continue
        values = _last_bars(first, lookback, starting).with_columns(
            each.expression.over(_ID).alias(f"_start_{each.name}") for each in starting
        )
        ends = values.gather_every(lookback, lookback - 1).select(_ID, *(f"_start_{each.name}" for each in starting))
        started = joined.select(_ID).join(ends, on=_ID, how="left", maintain_order="left")
        state = state.with_columns(
            pl.coalesce(started[f"_start_{each.name}"], pl.col(each.name)).alias(each.name) for each in starting
        )
    return state


def _last_bars(joined: pl.DataFrame, lookback: int, wanted: Sequence[Feature | Carried]) -> pl.DataFrame:
    """Return the last `lookback` bars of each instrument in session order; each has at least as many."""
    used = sorted({name for each in wanted for name in each.expression.meta.root_names()})
    if lookback == 1:
        return joined.select(_ID, *used)
    series = [pl.col(recent(name)).list.tail(lookback - 1).list.concat(pl.col(name)).alias(name) for name in used]
    return joined.select(_ID, *series).explode(used)
