"""Three ways to a session's features, one result: from whole histories, from carried state, or touched ones only.

`rebuilt` is the reference: all instruments from their first bar. `advanced` starts from a state of the same history and
takes one session at a time; instruments whose past an action rescales are made from their whole history. `repaired`
makes the instruments whose bars or actions are not those of the state, from their whole history, and takes the others'
rows as they lie in the lake.
"""

from __future__ import annotations

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
from champion.pipeline.feature_store import chunks, state as carried
from champion.pipeline.feature_store.fingerprints import BuildPlan, actions_seen, bars_seen
from champion.pipeline.ingest.bars import equity_bars

_ID = "instrument_id"


@dataclass(frozen=True, slots=True)
class FeatureBatch:
    """The features of some sessions, and the state after the last of them; None where it is not to be kept."""

    sessions: Sequence[date]
    rows: pl.DataFrame
    state: pl.DataFrame | None


def from_histories(build: BuildPlan, stale: Sequence[date], at_once: int = chunks.ROWS) -> Iterator[FeatureBatch]:
    """Yield the features of the stale sessions, from all bars up to the last of them.

    Where there are more than `at_once` bars, those in another scale counted too, they come year by year, made of some
    instruments' histories at a time.
    """
    count = chunks.count(_rows(build, stale[-1]), at_once)
    if count == 1:
        rows, state = _from_histories(build, _bars(build, stale[-1]), stale[0], stale[-1])
        yield FeatureBatch(stale, rows.filter(pl.col("trade_date").is_in(stale)), _kept(build, state))
        return
    with backend.of(build.lake.root).scratch_folder(build.lake.root / layout.BUILDING) as folder:
        _deal_bars(build, stale[-1], folder / "bars", count)
        rows, state = _deal_features(build, stale, folder, count)
        for year, sessions in _years(stale):
            made = chunks.collect_chunks(folder / f"{year}")
            yield FeatureBatch(
                sessions, rows if made is None else made, _kept(build, state) if sessions[-1] == stale[-1] else None
            )


def _rows(build: BuildPlan, until: date) -> int:
    """Return about how many bars the histories up to a session have: an action adds a view of half of them or so."""
    seen = adjustment.effective_factors(build.factors).filter(pl.col("ex_date") <= until).height
    return build.lake.rows(BARS, end=until) + seen * build.sessions.index(until) // 2


def _deal_bars(build: BuildPlan, until: date, folder: Path, count: int) -> None:
    asked = features.required(build.chosen)
    for year, sessions in _years([session for session in build.sessions if session <= until]):
        bars = equity_bars(build.lake, sessions[0], sessions[-1]).select(asked).collect()
        chunks.deal_by_instrument(bars, folder, f"{year}", count)


def _deal_features(
    build: BuildPlan, stale: Sequence[date], folder: Path, count: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lay out the features of the stale sessions by year, portion after portion; return no rows of them, and the state.

    A portion is of whole histories, so that what is made of it is what is made of all at once.
    """
    states, none = [], pl.DataFrame()
    for number in range(count):
        bars = chunks.collect_chunks(folder / "bars" / f"{number}")
        if bars is None:
            continue
        rows, state = _from_histories(build, bars, stale[0], stale[-1])
        chunks.deal_by_year(rows.filter(pl.col("trade_date").is_in(stale)), folder, f"{number:05d}")
        none = rows.clear()
        states.append(state)
    return none, pl.concat(states).sort(_ID)


def _kept(build: BuildPlan, state: pl.DataFrame) -> pl.DataFrame | None:
    return state if carried.is_kept(build.chosen) else None


def _years(sessions: Sequence[date]) -> Iterator[tuple[int, list[date]]]:
    return ((year, list(of_year)) for year, of_year in groupby(sessions, key=lambda session: session.year))


def from_state(build: BuildPlan, since: date, stale: Sequence[date]) -> Iterator[FeatureBatch]:
    """Yield the features of the stale sessions one by one, from the state after `since`."""
    state, before = carried.read(build, since), since
    for session in build.sessions:
        if since < session <= stale[-1]:
            rows, state = _next(build, state, before, session)
            before = session
            if session in stale:
                yield FeatureBatch([session], rows, state if session == stale[-1] else None)


def from_touched(build: BuildPlan, stale: Sequence[date], until: date) -> FeatureBatch | None:
    """Return the features of the stale sessions up to `until`, the last with a state; None where it cannot be told.

    It can where the partitions from the first stale session on, and the state, were made from one and the same past.
    """
    sessions = build.sessions
    span = sessions[sessions.index(stale[0]) : sessions.index(until) + 1]
    was = build.one_past(span)
    if list(stale) != span or was is None or was != carried.history(build, until):
        return None
    bars, state = _bars(build, until), carried.read(build, until)
    mine = pl.col(_ID).is_in(_touched(build, state, bars, until))
    rows, after = _from_histories(build, bars.filter(mine), span[0], until)
    others = build.lake.scan(build.chosen.contract, span[0], until).select(rows.columns).filter(~mine).collect()
    made = pl.concat([others, rows]).filter(pl.col("trade_date").is_in(stale))
    return FeatureBatch(stale, made, pl.concat([state.select(after.columns).filter(~mine), after]))


def _next(build: BuildPlan, state: pl.DataFrame, before: date, session: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the features of one session and the state after it."""
    bars = equity_bars(build.lake, session, session).select(features.required(build.chosen)).collect()
    moved = _rescaled(build, state, before, session)
    mine = pl.col(_ID).is_in(moved)
    rows, after = features.advance(state.filter(~mine), bars.filter(~mine), build.chosen)
    if moved:
        history = equity_bars(build.lake, end=session).filter(mine).select(bars.columns).collect()
        again, state_again = _from_histories(build, history, session, session)
        rows, after = pl.concat([rows, again]), pl.concat([after, state_again.select(after.columns)])
    seen = pl.concat([state.select(_ID, "bars_seen"), bars_seen(bars)]).group_by(_ID)
    return rows, after.join(seen.agg(pl.col("bars_seen").bitwise_xor()), on=_ID, how="left")


def _rescaled(build: BuildPlan, state: pl.DataFrame, before: date, session: date) -> list[str]:
    """Return the instruments with a past that an action after `before` brings to another scale."""
    new = adjustment.effective_factors(build.factors).filter(
        pl.col("ex_date").is_between(before, session, closed="right")
    )
    return new.join(state, on=_ID, how="semi")[_ID].unique().sort().to_list()


def _touched(build: BuildPlan, state: pl.DataFrame, bars: pl.DataFrame, until: date) -> list[str]:
    """Return the instruments whose bars or factors are not those that the state saw, gone ones among them."""
    now = bars_seen(bars).join(actions_seen(build.factors, until), on=_ID, how="left")
    now = now.with_columns(pl.col("actions_seen").fill_null(0))
    both = now.join(state.select(now.columns), on=_ID, how="full", coalesce=True, suffix="_then")
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name}_then")) for name in now.columns[1:])
    return both.filter(~same)[_ID].sort().to_list()


def _from_histories(
    build: BuildPlan, bars: pl.DataFrame, since: date, until: date
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the features of the sessions from `since` on, each from the bars as it saw them, and the state then.

    The bars are those up to `until`; the state is in its scale.
    """
    seen, views = adjustment.views(bars, build.factors, since, until)
    built = features.build(_needed(seen, build.chosen, since), build.chosen)
    whose = built.rename({_ID: "view"}).join(views, on="view")
    mine = pl.col("trade_date").is_between("view_from", "view_to", closed="left") & (pl.col("trade_date") >= since)
    rows = whose.filter(mine).select(built.columns)
    if not carried.is_kept(build.chosen):
        return rows, bars.select(_ID).clear()
    current = seen.join(bars.select(_ID).unique(), on=_ID, how="semi")  # other views have names of their own
    state = features.state_after(current, build.chosen)
    return rows, state.join(bars_seen(bars), on=_ID, how="left", maintain_order="left")


def _needed(bars: pl.DataFrame, chosen: FeatureSet, since: date) -> pl.DataFrame:
    """Return the bars that the features from `since` on look back to: all of them, if one of these is recursive."""
    if any(feature.recursive for feature in chosen.features):
        return bars
    past = bars.filter(pl.col("trade_date") < since).sort("trade_date")
    kept = past.group_by(_ID, maintain_order=True).tail(chosen.lookback - 1)
    return pl.concat([kept.select(bars.columns), bars.filter(pl.col("trade_date") >= since)])


def _bars(build: BuildPlan, end: date) -> pl.DataFrame:
    return equity_bars(build.lake, end=end).select(features.required(build.chosen)).collect()
