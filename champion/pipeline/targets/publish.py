"""Publish the target weights of a scored session, with the reason of each instrument that has none."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from hashlib import sha256

import polars as pl

from champion import contracts
from champion.base import clock
from champion.contracts.datasets import BAN_LIST, BARS, PREDICTIONS, PRICE_BANDS, SECTORS, TARGETS
from champion.errors import LakeError
from champion.lake import Lake
from champion.market.envelope import session_open, stamp
from champion.market.reference.price_limits import SME_SERIES
from champion.modeling.universe import Universe, stored
from champion.pipeline.feature_store.risk_model import constructed
from champion.pipeline.ingest import corporate_actions
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.models import frames, portfolio, recipes
from champion.pipeline.models.evaluate import UNIVERSE
from champion.pipeline.models.paper_account import as_known, in_time
from champion.pipeline.reference import universe_lists
from champion.pipeline.targets import orders, published
from champion.portfolio.construction import Construction, Rule, inputs_of
from champion.settings import Settings
from champion.tracking import promotion, registry

_SAME = 1e-9  # of the equity


@dataclass(frozen=True, slots=True)
class PublishedTargets:
    """The targets of a session (contract predictions_equity_targets), best weight first, and whether they were written.

    `note` says what the rule leaves in cash, that the session was scored late, or that the targets stay because the
    next session has opened.
    """

    targets: pl.DataFrame
    written: bool
    note: str = ""


def publish(settings: Settings, session: date, version: registry.Version, rule: Rule | None = None) -> PublishedTargets:
    """Commit the target weights of a version for the session after `session`, which it has scored.

    The weights are those that `portfolio.simulate` would decide after the close of the session on the version's scores,
    the earlier ones as known when the sessions after them opened: the paper account follows the same. Scores that were
    published after the next session opened decide nothing, unless none was in time. Weights depend on nothing later
    than the lists dated `session` and the ban list of the next session. `rule` is by default the one that the version
    was trained for, by which gate and paper account simulate it. What was published before the next session opened
    stays after its opening, whatever changes in the lake: people may have traded it. Otherwise a repeated call writes
    only what has changed, and the lake keeps the earlier targets as a revision.

    Raises:
        LakeError: the version has not scored the session.
        UsageError: the lists of the version's universe do not cover the session.
    """
    lake, rule = Lake(settings.lake), rule or recipes.tagged(version.tags)[0]
    today = lake.scan(PREDICTIONS, session, session).filter(model_version=version.number).collect()
    if today.is_empty():
        raise LakeError(f"version {version.number} has not scored {session}: run `champion score {session}` first")
    following = orders.next_session(lake, session, settings.closed)
    held = lake.scan(TARGETS, session, session).collect()
    mine = held.filter(model_version=version.number)
    if mine.height and mine["ingest_time"].max() < session_open(following) <= clock.now():  # type: ignore[operator]
        note = f"published before {following} opened: they stay as they were"
        return PublishedTargets(published.ordered(mine), written=False, note=note)
    universe, before = stored(version.text(UNIVERSE)), published.latest(lake, session - timedelta(1))
    scores, late = _followed(settings, session, following, today)
    rows, note = _decided(lake, session, today, scores, before, rule)
    note = "; ".join(filter(None, (late, note)))
    rows = orders.limits(lake, session, following, _excluded(lake, session, universe, rows))
    rows = orders.warned(lake, session, following, rows).with_columns(
        following=pl.lit(following),
        model_name=pl.lit(registry.MODEL),
        model_version=pl.lit(version.number, pl.Int32),
    )
    contract = contracts.load(TARGETS)
    key, now = [pl.col(name) for name in contract.key], clock.now()
    targets = stamp(rows, contract, pl.lit("champion"), pl.lit(now), pl.col("instrument_id"), key)
    others = held.filter(pl.col("model_version") != version.number)
    made_from = {"model": f"{registry.MODEL}/{version.number}", **_inputs(lake, session, following, universe, before)}
    limit = {"risk_limit"} if rule.risk_limit is None else set()  # as stored before there was one
    made_from["rule"] = json.dumps({k: v for k, v in asdict(rule).items() if k not in limit}, sort_keys=True)
    made_from |= {} if limit else {SECTORS: lake.digest(SECTORS, end=session)}
    targets = _first_published(targets, mine)
    written = lake.write(TARGETS, session, pl.concat([others, targets]), made_from, known_at=now)
    return PublishedTargets(published.ordered(targets), written, note)


def _decided(
    lake: Lake, session: date, today: pl.DataFrame, scores: pl.DataFrame, before: pl.DataFrame, rule: Rule
) -> tuple[pl.DataFrame, str]:
    """Return the instruments of the session with bar, score, weights and action, and what the rule leaves in cash."""
    found = _constructed(lake, session, scores, rule)
    decided_on: date = found.uninvested["trade_date"].max() or session  # type: ignore[assignment]
    weights = found.weights.filter(trade_date=decided_on).select("instrument_id", "weight")
    bars = equity_bars(lake, session, session, kinds=None).select("instrument_id", "symbol", "series", "close")
    kept = before.filter(pl.col("weight") > 0).select("instrument_id", previous_weight="weight")
    names = pl.concat([weights, kept], how="diagonal").select("instrument_id").unique()
    recent = equity_bars(lake, decided_on, session, kinds=None).select("instrument_id", "trade_date", "symbol")
    listed = [recent.collect(), before.select("instrument_id", "trade_date", "symbol")]
    symbols = pl.concat(listed).sort("trade_date").group_by("instrument_id").agg(last_symbol=pl.col("symbol").last())
    rows = (
        bars.collect()
        .join(names, on="instrument_id", how="full", coalesce=True)
        .join(symbols, on="instrument_id", how="left")
        .join(today.select("instrument_id", "score", "rank"), on="instrument_id", how="left")
        .join(weights, on="instrument_id", how="left")
        .join(kept, on="instrument_id", how="left")
    )
    change = pl.col("weight") - pl.col("previous_weight")
    action = (
        pl.when(change > _SAME).then(pl.lit("buy")).when(change < -_SAME).then(pl.lit("sell"))
        .when(pl.col("weight") > 0).then(pl.lit("hold")).otherwise(pl.lit("none"))
    )  # fmt: skip
    known = rows.with_columns(
        pl.col("weight", "previous_weight").fill_null(0.0),
        pl.coalesce("symbol", "last_symbol"),
        risk_unknown=pl.col("weight") == 0,
        trade_date=pl.lit(session),
        decided_on=pl.lit(decided_on),
        previous_on=pl.lit(before["trade_date"].max(), pl.Date),
    )
    return known.with_columns(action=action), found.text


def _followed(settings: Settings, session: date, following: date, today: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Return the version's scores up to the session that an account follows, and a note if today's are not among them.

    What can be traded at an open is what was known before it, so scores that were published later decide nothing, as
    in the paper account. A session that is scored late keeps the weights that were decided before. If no score of the
    version was in time, all of them were made in hindsight: no account follows them, and they show what the rule does.
    """
    lake, version = Lake(settings.lake), today["model_version"][0]
    champion = promotion.current_champion(settings)
    promoted = champion and champion.version == version and (champion.effective or champion.at)
    earlier = as_known(lake, version, lake.sessions(PREDICTIONS)[0], session - timedelta(1))
    opened = pl.lit(session_open(following)).cast(earlier.schema["open"])
    scores = pl.concat([earlier, today.with_columns(open=opened).select(earlier.columns)])
    followed = in_time(scores, promoted or None)
    if followed.is_empty():
        return scores, ""
    is_late = followed["trade_date"].max() != session
    late = f"{session} was scored after {following} opened: the weights are those that were decided before"
    return followed, late if is_late else ""


def _constructed(lake: Lake, session: date, scores: pl.DataFrame, rule: Rule) -> Construction:
    """Return the decisions on scores up to the session, without shares in series of small companies."""
    scores = scores.select("trade_date", "instrument_id", "score")
    small = lake.scan(BARS, scores["trade_date"].min(), session).filter(pl.col("series").is_in(SME_SERIES))  # type: ignore[arg-type]
    refused = small.select("trade_date", "instrument_id").collect()
    followed = scores.join(refused, on=["trade_date", "instrument_id"], how="anti")
    if inputs_of(rule):
        followed = portfolio.with_inputs(followed, rule, portfolio.market(lake, scores, after=0, end=session), lake)
    return constructed(lake, followed, rule)


def _excluded(lake: Lake, session: date, universe: Universe, rows: pl.DataFrame) -> pl.DataFrame:
    """Add `excluded_by`, the first reason why an instrument has no weight; null if it has one."""
    refused = frames.outside(lake, session, universe=universe)
    decided = pl.col("decided_on") == session
    reason = (
        pl.when(pl.col("series").is_null()).then(pl.lit("no_bar"))
        .when(pl.col("refused_by").is_not_null()).then("refused_by")
        .when(pl.col("score").is_null()).then(pl.lit("no_features"))
        .when(pl.col("series").is_in(SME_SERIES)).then(pl.lit("sme_series"))
        .when("risk_unknown").then(pl.lit("risk_unknown"))
        .when(decided).then(pl.lit("rank")).otherwise(pl.lit("between_decisions"))
    )  # fmt: skip
    joined = rows.join(refused, on="instrument_id", how="left")
    return joined.with_columns(excluded_by=pl.when(pl.col("weight") == 0).then(reason))


def _inputs(lake: Lake, session: date, following: date, universe: Universe, before: pl.DataFrame) -> dict[str, str]:
    """Return the digests of what targets are made from, by name."""
    previous = before["trade_date"].max()
    return {
        "scores": lake.digest(PREDICTIONS, session, session),
        "earlier_scores": lake.digest(PREDICTIONS, end=session - timedelta(1)),
        "bars": lake.digest(BARS, end=session),
        "actions": corporate_actions.digest(lake, session),
        "ex_dates": sha256(repr(orders.with_ex_date(lake, session, following)).encode()).hexdigest(),
        "previous": lake.digest(TARGETS, previous, previous) if isinstance(previous, date) else "",
        **universe_lists.digests(lake, universe, session),
        PRICE_BANDS: lake.digest(PRICE_BANDS, session, session),
        BAN_LIST: lake.digest(BAN_LIST, following, following),
    }


def _first_published(targets: pl.DataFrame, stored_rows: pl.DataFrame) -> pl.DataFrame:
    """Return the targets with the time of their first publication, if the stored ones say the same."""
    now, then = (each.drop("ingest_time").sort("instrument_id") for each in (targets, stored_rows))
    return stored_rows if now.equals(then) else targets
