"""Training and scoring frames: model inputs and labels of the instruments in the universe at the time."""

from collections.abc import Sequence
from datetime import date
from typing import get_args

import polars as pl

from champion import contracts, features
from champion.base.counting import quantity
from champion.contracts.datasets import BARS
from champion.errors import LakeError, UsageError
from champion.lake import Lake
from champion.market.actions import adjustment
from champion.modeling.labels import Returns, forward_return
from champion.modeling.model_inputs import LOOKBACK, model_inputs, scale_free
from champion.modeling.universe import TURNOVER_WINDOW, Universe, members, refused
from champion.pipeline.feature_store.build import stale_sessions
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.ingest.bars import with_kinds
from champion.pipeline.ingest.corporate_actions import known_factors, unadjusted_gaps
from champion.pipeline.ingest.quality import require_passed
from champion.pipeline.models.model_columns import model_columns
from champion.pipeline.reference.universe_lists import keep
from champion.settings.quality_limits import Limits

_BAR_COLUMNS = (
    "instrument_id", "symbol", "isin", "trade_date", "series", "high", "low", "close", "volume", "turnover"
)  # fmt: skip
_KEY = ["instrument_id", "trade_date"]
FEATURE_SET = "v1"
RETURNS: Returns = "total"
"""The returns of a label unless others are asked for: with dividends, because an account is paid them.

By price alone the fall of a price on its ex-date, up to some percent, counts as a loss, and high yields look bad.
"""
LAG = 1
"""Sessions from the close that a score is computed from to the close at which it can be traded."""


def training_frame(  # noqa: PLR0913 - what a label is made of
    lake: Lake,
    start: date,
    end: date,
    *,
    horizon: int,
    universe: Universe,
    lag: int = LAG,
    feature_set: str = FEATURE_SET,
    limits: Limits | None = None,
    returns: Returns = RETURNS,
) -> pl.DataFrame:
    """Return one row per instrument and session in the universe: key, inputs, forward_return and its dates.

    The return runs from the close `lag` sessions later over `horizon` sessions, as in `forward_return`. `price_return`
    is the one of the price, `total_return` has the dividends, and forward_return is the one of `returns`. Labels near
    `end` are null because later prices are not known. Labels across a price gap that is not adjusted for are null too,
    and marked in `across_gap` (see `corporate_actions.unadjusted_gaps`).

    Raises:
        LakeError: features are missing, or older than the bars, corporate actions or rules that they depend on.
        QualityGateError: `limits` are given, and a session fails a quality gate by them.
        UsageError: `returns` is neither price nor total.
    """
    if returns not in get_args(Returns):
        raise UsageError(f"no returns {returns!r} of labels; they are {', '.join(get_args(Returns))}")
    if limits is not None:
        require_passed(lake, start, end, limits)
    check_current(lake, start, end, feature_set)
    bars, rows = _bars_and_features(lake, start, end, universe, feature_set)
    factors = known_factors(lake)
    gaps = unadjusted_gaps(lake, start, end, factors)
    labels = forward_return(bars, horizon, lag, gaps)
    total = forward_return(_with_dividends(factors, bars), horizon, lag, gaps)
    forms = {"price": labels["forward_return"], "total": total["forward_return"]}
    labels = labels.with_columns(
        forms[returns].alias("forward_return"), price_return=forms["price"], total_return=forms["total"]
    )
    return _inputs(bars, rows, feature_set).join(labels, on=_KEY, how="left").filter(pl.col("trade_date") >= start)


def _with_dividends(factors: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Return the bars, adjusted for prices, with closes whose changes are total returns."""
    dividends = factors.filter(pl.col("kind") == adjustment.DIVIDEND)
    return adjustment.adjust(bars.select(*_KEY, "close"), dividends, total_return=True)


def scoring_frame(lake: Lake, session: date, *, universe: Universe, feature_set: str = FEATURE_SET) -> pl.DataFrame:
    """Return the inputs of one session's universe, computed as in training.

    Raises:
        LakeError: the session has no current features, or no instrument is in the universe.
    """
    if session not in set(lake.sessions(features.find(feature_set).contract, session, session)):
        raise LakeError(f"no features for session {session}: run `champion daily {session}` first")
    check_current(lake, session, session, feature_set)
    bars, rows = _bars_and_features(lake, session, session, universe, feature_set)
    if rows.is_empty():
        raise LakeError(f"session {session}: no instrument is in the universe {universe.text}")
    return _inputs(bars, rows, feature_set)


def outside(lake: Lake, session: date, *, universe: Universe) -> pl.DataFrame:
    """Return instrument_id and `refused_by` of the session's bars that the universe leaves out.

    `refused_by` is the first filter that a bar fails: those of `universe.refused`, then index, sector or band. The bars
    are those in series of shares, of every kind.

    Raises:
        UsageError: the lists of the universe do not cover the session.
    """
    judged = refused(*_as_traded(lake, _bars(lake, session, session), universe)).filter(trade_date=session)
    inside, failed = judged.filter(pl.col("refused_by").is_null()), [judged.drop_nulls("refused_by")]
    for name, word in (("index", "index"), ("sectors", "sector"), ("bands", "band")):
        kept = keep(inside, lake, Universe(kinds=(), **{name: getattr(universe, name)}))
        failed.append(inside.join(kept, on=_KEY, how="anti").with_columns(refused_by=pl.lit(word)))
        inside = kept
    return pl.concat(failed).select("instrument_id", "refused_by")


def recompute_inputs(
    lake: Lake, sessions: Sequence[date], *, universe: Universe, feature_set: str = FEATURE_SET
) -> pl.DataFrame:
    """Return the inputs of some sessions, each recomputed with its features from the bars up to it alone.

    Stored features may have been computed in one pass over all bars; here no later bar exists. See
    `leakage_checks.lookahead_check`.
    """
    parts, columns = [], list(dict.fromkeys([*_BAR_COLUMNS, *features.required(feature_set)]))
    for session in sessions:
        bars = adjusted_bars(lake, end=session, columns=columns, kinds=None)
        built = features.build(bars, feature_set).filter(pl.col("trade_date") == session)
        rows = keep(built.join(_members(lake, bars, universe), on=_KEY, how="semi"), lake, universe)
        parts.append(_inputs(bars, rows, feature_set))
    return pl.concat(parts)


def values(lake: Lake, start: date, end: date, *, universe: Universe, feature_set: str = FEATURE_SET) -> pl.DataFrame:
    """Return key and inputs of a range of sessions before they are ranked, to measure drift."""
    bars, rows = _bars_and_features(lake, start, end, universe, feature_set)
    columns = model_columns(feature_set)
    return scale_free(bars, rows, columns.ranked, columns.derived).filter(pl.col("trade_date") >= start)


def inputs(feature_set: str = FEATURE_SET) -> list[str]:
    """Return the names of a model's inputs for a feature set, in order.

    Raises:
        UsageError: a custom feature of the set is in rupees: see `model_columns`.
    """
    return model_columns(feature_set).names


def check_current(lake: Lake, start: date | None, end: date | None, feature_set: str = FEATURE_SET) -> None:
    """Require that the features of all sessions from `start` to `end` are up to date with bars and actions.

    Raises:
        LakeError: some are not; it names the sessions and the command that builds them.
    """
    stale = [s for s in stale_sessions(lake, end or date.max, feature_set) if start is None or s >= start]
    if stale:
        option = "" if feature_set == FEATURE_SET else f" --feature-set {feature_set}"
        raise LakeError(
            f"{quantity(len(stale), 'session')} from {stale[0]} on with no current features: "
            f"run `champion features {stale[0]} {stale[-1]}{option}`"
        )


def _bars_and_features(
    lake: Lake, start: date, end: date, universe: Universe, feature_set: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return adjusted bars with their lookback, and the universe's features in the scale of these bars.

    Stored features of a session are in the scale of that session.
    """
    bars = _bars(lake, start, end)
    contract = contracts.load(features.find(feature_set).contract)
    units = {field.name: field.unit for field in contract.fields}
    rescaled = adjustment.rescale(lake.scan(contract.name, start, end).collect(), bars, units)
    rows = rescaled.join(_members(lake, bars, universe), on=_KEY, how="semi")
    return bars, keep(rows, lake, universe)


def _bars(lake: Lake, start: date, end: date) -> pl.DataFrame:
    """Return the adjusted bars from `start` to `end` with those before that inputs and universe need."""
    # Instruments that skip sessions need more of the calendar.
    before = lake.sessions(BARS, end=start)[-2 * max(LOOKBACK, TURNOVER_WINDOW) - 1 :]
    return adjusted_bars(lake, before[0] if before else start, end, columns=_BAR_COLUMNS, kinds=None)


def _members(lake: Lake, bars: pl.DataFrame, universe: Universe) -> pl.DataFrame:
    """Return the universe's instruments by session, from prices as traded and each instrument's first bar."""
    return members(*_as_traded(lake, bars, universe))


def _as_traded(
    lake: Lake, bars: pl.DataFrame, universe: Universe
) -> tuple[pl.DataFrame, Universe, pl.DataFrame | None]:
    """Return what `members` takes: bars with closes as traded, and each instrument's first bar where age counts."""
    first = None
    if universe.min_age > 0:
        scanned = lake.scan(BARS).select("instrument_id", "trade_date")
        first = scanned.group_by("instrument_id").agg(first_bar=pl.col("trade_date").min()).collect()
    as_traded = bars.with_columns(pl.col("close") * pl.col("adjustment_factor"))
    return with_kinds(lake, as_traded) if universe.kinds else as_traded, universe, first


def _inputs(bars: pl.DataFrame, rows: pl.DataFrame, feature_set: str) -> pl.DataFrame:
    columns = model_columns(feature_set)
    return model_inputs(bars, rows, columns.ranked, columns.derived)
