"""Training and scoring frames: model inputs and labels of the instruments in the universe at the time."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import get_args

import polars as pl

from champion import contracts, features
from champion.base.counting import quantity
from champion.contracts.datasets import BARS, FACTORS, SYMBOLS
from champion.errors import LakeError, ModelError, UsageError
from champion.lake import Lake
from champion.market.actions import adjustment
from champion.modeling.labels import Returns, forward_return
from champion.modeling.model_inputs import LOOKBACK, model_inputs, needs, scale_free
from champion.modeling.universe import TURNOVER_WINDOW, Universe, members, refused
from champion.pipeline.feature_store.build import stale_sessions
from champion.pipeline.feature_store.builder_code import code_digest
from champion.pipeline.feature_store.contracts import ensure_contracts
from champion.pipeline.feature_store.frame_cache import FrameCache
from champion.pipeline.ingest import quality
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.ingest.bars import equity_bars, with_kinds
from champion.pipeline.ingest.corporate_actions import known_factors, unadjusted_gaps
from champion.pipeline.models.model_columns import model_columns
from champion.pipeline.reference import universe_lists
from champion.pipeline.reference.universe_lists import keep
from champion.settings import Settings
from champion.settings.quality_limits import Limits

_BAR_COLUMNS = ("instrument_id", "symbol", "isin", "trade_date", "series", "close", "volume", "turnover")
_SCALED = ("instrument_id", "trade_date", "close", "volume", "adjustment_factor", "volume_factor")
_KEY = ["instrument_id", "trade_date"]
_BUILT_TOGETHER = 400_000  # bars; with their features about 0.6 GB of memory
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
        quality.require_passed(lake, start, end, limits)
    check_current(lake, start, end, feature_set)
    bars = _bars(lake, start, end)
    chosen = _chosen(lake, bars, start, end, universe, feature_set)
    labels = _labels(lake, bars, start, end, horizon=horizon, lag=lag).with_columns(
        forward_return=pl.col(f"{returns}_return")
    )
    bars = bars.select(_SCALED)
    # Year by year: all years together would need gigabytes more memory.
    parts = []
    for first, last in _years(lake.sessions(features.find(feature_set).contract, start, end)) or [(start, end)]:
        rows = _features(lake, first, last, bars, chosen, feature_set)
        inputs_of_year = _inputs(_with_lookback(bars, first, last), rows, feature_set)
        parts.append(inputs_of_year.join(labels, on=_KEY, how="left", maintain_order="left"))
    whole = pl.concat(parts)
    del bars, labels, chosen, parts
    order = whole.select(pl.arg_sort_by(_KEY)).to_series()
    return pl.DataFrame([whole.drop_in_place(name).gather(order) for name in whole.columns])


def _labels(lake: Lake, bars: pl.DataFrame, start: date, end: date, *, horizon: int, lag: int) -> pl.DataFrame:
    """Return the labels of all bars, as `forward_return` does, with price_return and total_return."""
    factors = known_factors(lake)
    gaps = unadjusted_gaps(lake, start, end, factors)
    labels = forward_return(bars, horizon, lag, gaps)
    total = forward_return(_with_dividends(factors, bars), horizon, lag, gaps)
    return labels.with_columns(price_return="forward_return", total_return=total["forward_return"])


def _with_dividends(factors: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Return the bars, adjusted for prices, with closes whose changes are total returns."""
    dividends = factors.filter(pl.col("kind") == adjustment.DIVIDEND)
    return adjustment.adjust(bars.select(*_KEY, "close"), dividends, total_return=True)


def kept_training_frame(  # noqa: PLR0913 - as `training_frame`
    settings: Settings,
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
    """Return `training_frame` of the workspace's lake, from its file if it was built before (`FrameCache`).

    The file is used only while data, feature set and code are those that the frame was built from, so it has the same
    values. Errors are those of `training_frame`: a frame is kept only after the quality gates passed, and not used if
    features are out of date.
    """
    lake, contract = Lake(settings.lake), contracts.load(features.find(feature_set).contract)
    terms = {"horizon": horizon, "lag": lag, "returns": returns, "limits": limits and limits.digest}

    def made_from() -> dict[str, str] | None:
        if _stale(lake, start, end, feature_set):
            return None  # building it raises the error
        gates = {name: lake.digest(name) for name in (quality.CHECKED if limits else ())}
        stored = lake.digest(contract.name, start, end)
        units = repr([(field.name, field.unit) for field in contract.fields])
        about = {"frame": "training", "start": f"{start}", "end": f"{end}", "terms": repr(terms), "units": units}
        return _made_from(lake, universe, feature_set, {**about, **gates, contract.name: stored})

    asked = {"universe": universe, "feature_set": feature_set, "limits": limits}
    return FrameCache.of(settings).get(
        made_from,
        lambda: training_frame(lake, start, end, horizon=horizon, lag=lag, returns=returns, **asked),  # type: ignore[arg-type]
    )


def _made_from(lake: Lake, universe: Universe, feature_set: str, others: Mapping[str, str]) -> dict[str, str] | None:
    """Return digests of what inputs of any session are made from, and the `others`; None if the code is not known."""
    if (code := code_digest(__name__)) is None:
        return None
    # Kinds and ages of instruments come from all bars, also later ones.
    read = (BARS, FACTORS, SYMBOLS, *universe_lists.datasets(universe))
    about = {"code": code, "universe": universe.text, "features": features.identity(features.find(feature_set))}
    return {**{name: lake.digest(name) for name in read}, **about, "inputs": repr(model_columns(feature_set)), **others}


def scoring_frame(lake: Lake, session: date, *, universe: Universe, feature_set: str = FEATURE_SET) -> pl.DataFrame:
    """Return the inputs of one session's universe, computed as in training.

    Raises:
        LakeError: the session has no current features, or no instrument is in the universe.
    """
    return next(scoring_frames(lake, [session], universe=universe, feature_set=feature_set))


def scoring_frames(
    lake: Lake, sessions: Sequence[date], *, universe: Universe, feature_set: str = FEATURE_SET
) -> Iterator[pl.DataFrame]:
    """Yield the `scoring_frame` of each session. That all features are current is found once, at the start.

    Raises:
        LakeError: a session has no current features, or no instrument is in the universe.
    """
    require_features(lake, sessions, feature_set)
    for session in sessions:
        bars = _bars(lake, session, session)
        chosen = _chosen(lake, bars, session, session, universe, feature_set)
        rows = _features(lake, session, session, bars, chosen, feature_set)
        if rows.is_empty():
            raise LakeError(f"session {session}: no instrument is in the universe {universe.text}")
        yield _inputs(bars, rows, feature_set)


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
    parts = [_recomputed(lake, session, universe, feature_set) for session in sessions]
    return pl.concat(parts)


def _recomputed(lake: Lake, session: date, universe: Universe, feature_set: str) -> pl.DataFrame:
    """Return the inputs of a session from whole histories, in groups of instruments, for less memory."""
    columns, of_session = {*_BAR_COLUMNS, *features.required(feature_set)}, pl.col("trade_date") == session
    bars = equity_bars(lake, end=session, kinds=None).select(sorted(columns))
    traded = bars.filter(of_session).select("instrument_id").collect()["instrument_id"]
    whole = bars.filter(pl.col("instrument_id").is_in(traded.implode())).collect()
    group = pl.col("instrument_id").hash(0) % (1 + whole.height // _BUILT_TOGETHER)
    groups = whole.with_columns(_group=group).partition_by("_group", include_key=False) or [whole]
    del whole
    factors, recent, built = known_factors(lake), list[pl.DataFrame](), list[pl.DataFrame]()
    while groups:
        adjusted = adjustment.adjust(groups.pop(), factors).sort(_KEY)
        built.append(features.build(adjusted, feature_set).filter(of_session))
        recent.append(_with_lookback(adjusted, session, session))
    latest = pl.concat(recent)
    chosen = keep(_members(lake, latest, universe).filter(of_session), lake, universe)
    return _inputs(latest, pl.concat(built).join(chosen, on=_KEY, how="semi"), feature_set)


def kept_recomputed_inputs(
    settings: Settings, sessions: Sequence[date], *, universe: Universe, feature_set: str = FEATURE_SET
) -> pl.DataFrame:
    """Return `recompute_inputs` of the workspace's lake, from its file if it was built before (`FrameCache`).

    The inputs of your own feature sets are recomputed each time, because their code may read anything.
    """
    lake = Lake(settings.lake)
    about = {"frame": "recomputed", "sessions": repr([f"{session}" for session in sessions])}
    shipped = features.is_shipped(features.find(feature_set))
    return FrameCache.of(settings).get(
        lambda: _made_from(lake, universe, feature_set, about) if shipped else None,
        lambda: recompute_inputs(lake, sessions, universe=universe, feature_set=feature_set),
    )


def values(lake: Lake, start: date, end: date, *, universe: Universe, feature_set: str = FEATURE_SET) -> pl.DataFrame:
    """Return key and inputs of a range of sessions before they are ranked, to measure drift."""
    bars = _bars(lake, start, end)
    rows = _features(lake, start, end, bars, _chosen(lake, bars, start, end, universe, feature_set), feature_set)
    columns = model_columns(feature_set)
    return scale_free(bars, rows, columns.ranked, columns.derived)


def inputs(feature_set: str = FEATURE_SET) -> list[str]:
    """Return the names of a model's inputs for a feature set, in order.

    Raises:
        UsageError: a custom feature of the set is in rupees: see `model_columns`.
    """
    return model_columns(feature_set).names


def require_features(lake: Lake, sessions: Sequence[date], feature_set: str = FEATURE_SET) -> None:
    """Require that some sessions have features, and that these are up to date.

    Raises:
        LakeError: one has none, or they are older than bars and actions.
    """
    held = {*lake.sessions(features.find(feature_set).contract, min(sessions), max(sessions))}
    for session in sessions:
        if session not in held:
            raise LakeError(f"no features for session {session}: run `champion daily {session}` first")
    _require_none(set(_stale(lake, min(sessions), max(sessions), feature_set)).intersection(sessions), feature_set)


def trainable_sessions(
    lake: Lake, start: date | None, end: date | None, *, universe: Universe, feature_set: str = FEATURE_SET
) -> list[date]:
    """Return the sessions from `start` to `end` with features, if a model can be trained on them.

    Call it before a run: it refuses what the run could not use.

    Raises:
        ModelError: there are none.
        LakeError: the features of some are older than bars and actions, or missing.
        UsageError: the lists of the universe do not cover them.
    """
    sessions = lake.sessions(ensure_contracts(lake, feature_set).contract, start, end)
    universe_lists.require_known(lake, universe, sessions)
    check_current(lake, None, end, feature_set)
    if not sessions:
        raise ModelError(f"no features from {start or 'the start'} to {end or 'today'}: run `champion backfill` first")
    return sessions


def check_current(lake: Lake, start: date | None, end: date | None, feature_set: str = FEATURE_SET) -> None:
    """Require that the features of all sessions from `start` to `end` are up to date with bars and actions.

    Raises:
        LakeError: some are not; it names the sessions and the command that builds them.
    """
    _require_none(_stale(lake, start, end, feature_set), feature_set)


def _require_none(stale: Collection[date], feature_set: str) -> None:
    """Require that no session is stale."""
    if stale:
        option = "" if feature_set == FEATURE_SET else f" --feature-set {feature_set}"
        raise LakeError(
            f"{quantity(len(stale), 'session')} from {min(stale)} on with no current features: "
            f"run `champion features {min(stale)} {max(stale)}{option}`"
        )


def _stale(lake: Lake, start: date | None, end: date | None, feature_set: str) -> list[date]:
    return [s for s in stale_sessions(lake, end or date.max, feature_set) if start is None or s >= start]


def _bars(lake: Lake, start: date, end: date) -> pl.DataFrame:
    """Return adjusted bars of all kinds with their lookback, sorted by instrument and session."""
    # Instruments that skip sessions need more of the calendar.
    before = lake.sessions(BARS, end=start)[-2 * max(LOOKBACK, TURNOVER_WINDOW) - 1 :]
    return adjusted_bars(lake, before[0] if before else start, end, columns=_BAR_COLUMNS, kinds=None).sort(_KEY)


def _with_lookback(bars: pl.DataFrame, start: date, end: date) -> pl.DataFrame:
    """Return the bars from `start` to `end` and the last bars of each instrument before; `bars` are sorted."""
    to_start = (pl.col("trade_date") < start).cum_sum(reverse=True).over("instrument_id")  # 0 from `start` on
    return bars.filter((pl.col("trade_date") <= end) & (to_start <= max(LOOKBACK, TURNOVER_WINDOW)))


def _years(sessions: Sequence[date]) -> list[tuple[date, date]]:
    """Return the first and the last session of each year."""
    years = (list(of_year) for _, of_year in groupby(sessions, key=lambda session: session.year))
    return [(of_year[0], of_year[-1]) for of_year in years]


def _chosen(
    lake: Lake, bars: pl.DataFrame, start: date, end: date, universe: Universe, feature_set: str
) -> pl.DataFrame:
    """Return instrument_id and trade_date of the universe, for the sessions from `start` to `end` with features."""
    held = lake.sessions(features.find(feature_set).contract, start, end)
    return keep(_members(lake, bars, universe).filter(pl.col("trade_date").is_in(held)), lake, universe)


def _features(
    lake: Lake, start: date, end: date, bars: pl.DataFrame, chosen: pl.DataFrame, feature_set: str
) -> pl.DataFrame:
    """Return the features that inputs need, of the chosen instruments and sessions, in the scale of the bars.

    Stored features of a session are in the scale of that session.
    """
    contract, columns = contracts.load(features.find(feature_set).contract), model_columns(feature_set)
    needed = {*_KEY, "symbol", *columns.ranked, *(name for one in columns.derived for name in needs(one))}
    stored = lake.scan(contract.name, start, end).select(name for name in contract.polars_schema if name in needed)
    rows = stored.join(chosen.lazy(), on=_KEY, how="semi").collect()
    return adjustment.rescale(rows, bars, {field.name: field.unit for field in contract.fields})


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
