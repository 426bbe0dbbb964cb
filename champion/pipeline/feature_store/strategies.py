"""Three strategies that build the same features: from whole histories, from carried state, or from changed instruments.

- `from_histories` is the reference: all instruments from their first bar.
- `from_state` starts from a state of the same history and advances one session at a time. Instruments whose past an
  action rescales are built from their whole history.
- `from_touched` builds the instruments whose bars or actions changed since the state was saved, from their whole
  history, and takes the rows of all other instruments from the lake.

Whole histories of many instruments are built in chunks, through files, so that memory does not grow with the years:

1. Bars are read one year at a time and split into chunks by the hash of the instrument's name.
2. The rows that are computed from a chunk's bars of all years are split by year.
3. The rows of a year are collected from all chunks.
"""

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path

import polars as pl

from champion import features
from champion.contracts.datasets import BARS
from champion.features import FeatureSet
from champion.lake import backend, layout
from champion.market.actions import adjustment
from champion.pipeline.feature_store.fingerprints import BuildPlan, actions_seen, bars_seen
from champion.pipeline.feature_store.state import keeps_state, read_state, state_history
from champion.pipeline.ingest.bars import equity_bars

_ID = "instrument_id"
_CHUNK = 700_000  # bars of a chunk; with the features computed from them, about 1 GB of memory
FeaturesAndState = tuple[pl.DataFrame, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class FeatureBatch:
    """The features of some sessions, and the state after the last of them; None if it is not kept."""

    sessions: Sequence[date]
    rows: pl.DataFrame
    state: pl.DataFrame | None


def from_histories(build: BuildPlan, stale: Sequence[date], at_once: int = _CHUNK) -> Iterator[FeatureBatch]:
    """Yield the features of the stale sessions, from all bars up to the last of them.

    With more than `at_once` bars, including bars in other scales, features are returned year by year, built from one
    chunk of instruments at a time.
    """
    # Each action adds a view of about half a history.
    actions = adjustment.effective_factors(build.factors).filter(pl.col("ex_date") <= stale[-1]).height
    views = actions * build.sessions.index(stale[-1]) // 2
    count = math.ceil((build.lake.rows(BARS, end=stale[-1]) + views) / at_once)
    if count <= 1:
        rows, state = _from_histories(build, _bars(build, stale[-1]), stale[0], stale[-1])
        made = rows.filter(pl.col("trade_date").is_in(stale))
        yield FeatureBatch(stale, made, state if keeps_state(build.chosen) else None)
        return
    with backend.of(build.lake.root).scratch_folder(build.lake.root / layout.BUILDING) as folder:
        for year, sessions in _years([session for session in build.sessions if session <= stale[-1]]):
            bars = equity_bars(build.lake, sessions[0], sessions[-1]).select(features.required(build.chosen)).collect()
            _split(bars, pl.col(_ID).hash(0) % count, folder / "bars", f"{year}")
        empty, state = _split_features(build, stale, folder, count)
        for year, sessions in _years(stale):
            found = _collect(folder / f"{year}")
            is_last = sessions[-1] == stale[-1] and keeps_state(build.chosen)
            yield FeatureBatch(sessions, empty if found is None else found, state if is_last else None)


def _split_features(build: BuildPlan, stale: Sequence[date], folder: Path, count: int) -> FeaturesAndState:
    """Write the features of the stale sessions by year, chunk by chunk; return an empty frame of them, and the state.

    A chunk has whole histories, so its features are the same as if all instruments were built together.
    """
    states, empty = [], pl.DataFrame()
    for number in range(count):
        if (bars := _collect(folder / "bars" / f"{number}")) is None:
            continue
        rows, state = _from_histories(build, bars, stale[0], stale[-1])
        wanted = rows.filter(pl.col("trade_date").is_in(stale))
        _split(wanted, pl.col("trade_date").dt.year(), folder, f"{number:05d}")
        empty = rows.clear()
        states.append(state)
    return empty, pl.concat(states).sort(_ID)


def _split(rows: pl.DataFrame, part: pl.Expr, folder: Path, name: str) -> None:
    """Write the rows of each part, as a year, into a subfolder with the part's name, under `name`."""
    parts = rows.with_columns(_part=part).partition_by("_part", as_dict=True, include_key=False)
    for (value,), chunk in parts.items():
        (folder / f"{value}").mkdir(parents=True, exist_ok=True)
        chunk.write_ipc(folder / f"{value}" / f"{name}.arrow", compression="lz4")


def _collect(folder: Path) -> pl.DataFrame | None:
    """Return all rows of a subfolder and remove it; None if it does not exist."""
    if not folder.is_dir():
        return None
    rows = pl.concat([pl.read_ipc(path) for path in sorted(folder.iterdir())])
    shutil.rmtree(folder)
    return rows


def _years(sessions: Sequence[date]) -> Iterator[tuple[int, list[date]]]:
    return ((year, list(of_year)) for year, of_year in groupby(sessions, key=lambda session: session.year))


def from_state(build: BuildPlan, since: date, stale: Sequence[date]) -> Iterator[FeatureBatch]:
    """Yield the features of the stale sessions one by one, from the state after `since`."""
    state, before = read_state(build, since), since
    for session in build.sessions:
        if since < session <= stale[-1]:
            rows, state = _advance(build, state, before, session)
            before = session
            if session in stale:
                yield FeatureBatch([session], rows, state if session == stale[-1] else None)


def from_touched(build: BuildPlan, stale: Sequence[date], until: date) -> FeatureBatch | None:
    """Return the features of the stale sessions up to `until`, the last session with a state; None if this cannot work.

    It works if the partitions from the first stale session on, and the state, were built from the same past.
    """
    sessions = build.sessions
    span = sessions[sessions.index(stale[0]) : sessions.index(until) + 1]
    history = build.common_history(span)
    if list(stale) != span or history is None or history != state_history(build, until):
        return None
    bars, state = _bars(build, until), read_state(build, until)
    touched = pl.col(_ID).is_in(_touched(build, state, bars, until))
    rows, after = _from_histories(build, bars.filter(touched), span[0], until)
    others = build.lake.scan(build.chosen.contract, span[0], until).select(rows.columns).filter(~touched).collect()
    made = pl.concat([others, rows]).filter(pl.col("trade_date").is_in(stale))
    return FeatureBatch(stale, made, pl.concat([state.select(after.columns).filter(~touched), after]))


def _advance(build: BuildPlan, state: pl.DataFrame, before: date, session: date) -> FeaturesAndState:
    """Return the features of one session and the state after it.

    Instruments whose past an action after `before` rescales are built from their whole history.
    """
    bars = equity_bars(build.lake, session, session).select(features.required(build.chosen)).collect()
    since_state = pl.col("ex_date").is_between(before, session, closed="right")
    new = adjustment.effective_factors(build.factors).filter(since_state)
    rescaled = new.join(state, on=_ID, how="semi")[_ID].unique().sort().to_list()
    mine = pl.col(_ID).is_in(rescaled)
    rows, after = features.advance(state.filter(~mine), bars.filter(~mine), build.chosen)
    if rescaled:
        history = equity_bars(build.lake, end=session).filter(mine).select(bars.columns).collect()
        rebuilt, rebuilt_state = _from_histories(build, history, session, session)
        rows, after = pl.concat([rows, rebuilt]), pl.concat([after, rebuilt_state.select(after.columns)])
    seen = pl.concat([state.select(_ID, "bars_seen"), bars_seen(bars)]).group_by(_ID)
    return rows, after.join(seen.agg(pl.col("bars_seen").bitwise_xor()), on=_ID, how="left")


def _touched(build: BuildPlan, state: pl.DataFrame, bars: pl.DataFrame, until: date) -> list[str]:
    """Return the instruments, present or gone, whose bars or factors differ from the state."""
    now = bars_seen(bars).join(actions_seen(build.factors, until), on=_ID, how="left")
    now = now.with_columns(pl.col("actions_seen").fill_null(0))
    both = now.join(state.select(now.columns), on=_ID, how="full", coalesce=True, suffix="_then")
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name}_then")) for name in now.columns[1:])
    return both.filter(~same)[_ID].sort().to_list()


def _from_histories(build: BuildPlan, bars: pl.DataFrame, since: date, until: date) -> FeaturesAndState:
    """Return the features of the sessions from `since` on, each in the scale of its session, and the state at the end.

    The bars are those up to `until`; the state is in the scale of `until`.
    """
    adjusted, views = adjustment.views(bars, build.factors, since, until)
    built = features.build(_lookback_bars(adjusted, build.chosen, since), build.chosen)
    by_view = built.rename({_ID: "view"}).join(views, on="view")
    valid = pl.col("trade_date").is_between("view_from", "view_to", closed="left") & (pl.col("trade_date") >= since)
    rows = by_view.filter(valid).select(built.columns)
    if not keeps_state(build.chosen):
        return rows, bars.select(_ID).clear()
    # Other views have other names.
    state = features.state_after(adjusted.join(bars.select(_ID).unique(), on=_ID, how="semi"), build.chosen)
    return rows, state.join(bars_seen(bars), on=_ID, how="left", maintain_order="left")


def _lookback_bars(bars: pl.DataFrame, chosen: FeatureSet, since: date) -> pl.DataFrame:
    """Return the bars that the features from `since` on depend on: all of them, if a feature is recursive."""
    if any(feature.recursive for feature in chosen.features):
        return bars
    past = bars.filter(pl.col("trade_date") < since).sort("trade_date")
    kept = past.group_by(_ID, maintain_order=True).tail(chosen.lookback - 1)
    return pl.concat([kept.select(bars.columns), bars.filter(pl.col("trade_date") >= since)])


def _bars(build: BuildPlan, end: date) -> pl.DataFrame:
    return equity_bars(build.lake, end=end).select(features.required(build.chosen)).collect()
