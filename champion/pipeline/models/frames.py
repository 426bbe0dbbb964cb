"""Bars and features to what a model learns from and scores: inputs, labels, and the universe known at the time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from champion import contracts, features
from champion.base.counting import quantity
from champion.contracts.datasets import BARS
from champion.errors import LakeError
from champion.lake import Lake
from champion.market.actions import adjustment
from champion.modeling.labels import forward_return
from champion.modeling.model_inputs import LOOKBACK, model_inputs, scale_free
from champion.modeling.universe import TURNOVER_WINDOW, Universe, members
from champion.pipeline.feature_store.build import stale_sessions
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.ingest.corporate_actions import unadjusted_gaps
from champion.pipeline.ingest.quality import require_passed
from champion.pipeline.models.model_columns import model_columns
from champion.settings.quality_limits import Limits

_BAR_COLUMNS = ("instrument_id", "symbol", "trade_date", "series", "high", "low", "close", "volume", "turnover")
_KEY = ["instrument_id", "trade_date"]
FEATURE_SET = "v1"
LAG = 1
"""Sessions from the close that is known to the close at which somebody can trade on it."""


def training_frame(
    lake: Lake,
    start: date,
    end: date,
    *,
    horizon: int,
    universe: Universe,
    lag: int = LAG,
    feature_set: str = FEATURE_SET,
    limits: Limits | None = None,
) -> pl.DataFrame:
    """Return one row per instrument and session in the universe: key, inputs, forward_return and its dates.

    The return is earned from the close `lag` sessions later, `horizon` sessions long, as `forward_return` counts it.
    Labels near `end` are null: what follows is not known. So are labels that reach across a gap which prices
    are not adjusted for (see `action_questions.unadjusted_gaps`); `across_gap` tells which.

    Raises:
        LakeError: features are missing, or older than the bars, the corporate actions or the rules they come of.
        QualityGateError: `limits` are given, and a session failed a quality gate by them.
    """
    if limits is not None:
        require_passed(lake, start, end, limits)
    check_current(lake, start, end, feature_set)
    bars = _bars(lake, start, end)
    chosen = _features(lake, bars, start, end, feature_set).join(_members(lake, bars, universe), on=_KEY, how="semi")
    made = _inputs(bars, chosen, feature_set)
    labels = forward_return(bars, horizon, lag, unadjusted_gaps(lake, start, end))
    return made.join(labels, on=_KEY, how="left").filter(pl.col("trade_date") >= start)


def scoring_frame(lake: Lake, session: date, *, universe: Universe, feature_set: str = FEATURE_SET) -> pl.DataFrame:
    """Return the inputs of one session's universe, made as in training.

    Raises:
        LakeError: the session has no features, or they are older than what they come of.
    """
    if session not in set(lake.sessions(features.find(feature_set).contract, session, session)):
        raise LakeError(f"no features for session {session}: run `champion daily {session}` first")
    check_current(lake, session, session, feature_set)
    bars = _bars(lake, session, session)
    chosen = _features(lake, bars, session, session, feature_set).join(
        _members(lake, bars, universe), on=_KEY, how="semi"
    )
    if chosen.is_empty():
        raise LakeError(f"session {session}: no instrument is in the universe {universe.text}")
    return _inputs(bars, chosen, feature_set)


def recompute_inputs(
    lake: Lake, sessions: Sequence[date], *, universe: Universe, feature_set: str = FEATURE_SET
) -> pl.DataFrame:
    """Return the inputs of some sessions, each made from nothing but the bars up to it: features too are computed anew.

    What is stored may have been made in one go over all of history; here nothing later exists. See `canaries.ahead`.
    """
    found, columns = [], list(dict.fromkeys([*_BAR_COLUMNS, *features.required(feature_set)]))
    for session in sessions:
        bars = adjusted_bars(lake, end=session, columns=columns)
        made = features.build(bars, feature_set).filter(pl.col("trade_date") == session)
        chosen = made.join(_members(lake, bars, universe), on=_KEY, how="semi")
        found.append(_inputs(bars, chosen, feature_set))
    return pl.concat(found)


def values(lake: Lake, start: date, end: date, *, universe: Universe, feature_set: str = FEATURE_SET) -> pl.DataFrame:
    """Return what the inputs rank, before ranking: key and inputs of a range of sessions, to see how markets change."""
    bars = _bars(lake, start, end)
    chosen = _features(lake, bars, start, end, feature_set).join(_members(lake, bars, universe), on=_KEY, how="semi")
    columns = model_columns(feature_set)
    made = scale_free(bars, chosen, columns.ranked, columns.derived)
    return made.filter(pl.col("trade_date") >= start)


def inputs(feature_set: str = FEATURE_SET) -> list[str]:
    """Return the names of the inputs that a model of a feature set takes, in order.

    Raises:
        UsageError: an own feature of the set is in rupees: see `model_columns`.
    """
    return model_columns(feature_set).names


def check_current(lake: Lake, start: date | None, end: date | None, feature_set: str = FEATURE_SET) -> None:
    """Do nothing where every session from `start` to `end` has the features that its bars and actions make.

    Raises:
        LakeError: naming the sessions and the command that mends them.
    """
    stale = [s for s in stale_sessions(lake, end or date.max, feature_set) if start is None or s >= start]
    other = f" --feature-set {feature_set}"
    if stale:
        raise LakeError(
            f"{quantity(len(stale), 'session')} from {stale[0]} on with no current features: "
            f"run `champion features {stale[0]} {stale[-1]}{'' if feature_set == FEATURE_SET else other}`"
        )


def _members(lake: Lake, bars: pl.DataFrame, universe: Universe) -> pl.DataFrame:
    """Return who is in the universe, by prices as they were traded and by the lake's first bar of each instrument."""
    first = None
    if universe.min_age > 0:
        scanned = lake.scan(BARS).select("instrument_id", "trade_date")
        first = scanned.group_by("instrument_id").agg(first_bar=pl.col("trade_date").min()).collect()
    return members(bars.with_columns(pl.col("close") * pl.col("adjustment_factor")), universe, first)


def _bars(lake: Lake, start: date, end: date) -> pl.DataFrame:
    """Return adjusted bars from as many sessions before `start` as inputs and universe look back."""
    before = lake.sessions(BARS, end=start)[-_lookback() - 1 :]
    first = before[0] if before else start
    return adjusted_bars(lake, first, end, columns=_BAR_COLUMNS)


def _lookback() -> int:
    return 2 * max(LOOKBACK, TURNOVER_WINDOW)  # instruments that skip sessions need more of the calendar


def _features(lake: Lake, bars: pl.DataFrame, start: date, end: date, feature_set: str) -> pl.DataFrame:
    """Return the features in the scale of the bars: each session's were made in its own."""
    contract = contracts.load(features.find(feature_set).contract)
    units = {field.name: field.unit for field in contract.fields}
    return adjustment.rescale(lake.scan(contract.name, start, end).collect(), bars, units)


def _inputs(bars: pl.DataFrame, rows: pl.DataFrame, feature_set: str) -> pl.DataFrame:
    columns = model_columns(feature_set)
    return model_inputs(bars, rows, columns.ranked, columns.derived)
