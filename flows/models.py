"""Models: train a challenger, let the gate decide, score a session with the champion, watch what becomes of it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, ParamSpec, TypeVar

from prefect import flow, task
from prefect.logging import get_run_logger

from champion import features
from champion.contracts.datasets import BARS, PREDICTIONS
from champion.errors import ModelError
from champion.lake import Lake
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.feature_store.contracts import ensure_contracts
from champion.pipeline.ingest import market_data_lock
from champion.pipeline.models import evaluate, frames, notebook_data, register
from champion.pipeline.models.model_columns import model_columns
from champion.runner import Outcome
from champion.settings import Settings
from champion.settings.quality_limits import Limits
from champion.tracking import connectivity, promotion, registry, standing
from flows import configuration, steps
from flows.notifications import HOOKS
from flows.policy import FLOW_SECONDS
from flows.run_tracking import recorded

P = ParamSpec("P")
R = TypeVar("R")
_YEAR = 365.25

_ON_ACTIONS = ("labels_across_gaps", "corporate_actions")
"""What a training says of corporate actions: the labels it left out, and how far the lists reach."""


def while_market_data_stands(function: Callable[P, R]) -> Callable[P, R]:
    """Return a flow's function that waits for runs that change market data, and has them wait for it."""

    @functools.wraps(function)
    def waiting(*arguments: P.args, **options: P.kwargs) -> R:
        configuration.apply()
        with market_data_lock.reading(Settings(), get_run_logger().info):
            return function(*arguments, **options)

    return waiting


@flow(name="train_model", flow_run_name="train {model}", timeout_seconds=FLOW_SECONDS, **HOOKS)
@while_market_data_stands
def train_model(  # noqa: PLR0913 - what a deployment may set
    start: date | None = None,
    end: date | None = None,
    model: str = "logistic",
    *,
    horizon: int = 5,
    universe: str = "liquid",
    feature_set: str = "v1",
    cost_bps: float = 10.0,
    model_parameters: dict[str, Any] | None = None,
    seed: int = 7,
    force: bool = False,
) -> dict[str, Any]:
    """Train and register a challenger on the sessions between `start` and `end`, then let the gate decide."""
    configuration.apply()
    lake, columns = Lake(Settings().lake), model_columns(feature_set)
    for note in columns.notes:
        get_run_logger().info("%s", note)
    build_extended(lake, None, end, feature_set)
    dataset = ensure_contracts(lake, feature_set).contract
    frames.check_current(lake, None, end, feature_set)
    sessions = lake.sessions(dataset, start, end)
    if not sessions:
        raise ModelError(f"no features from {start or 'the start'} to {end or 'today'}: run `champion backfill` first")
    parameters = {
        "start": sessions[0].isoformat(),
        "as_of": sessions[-1].isoformat(),
        "model": model,
        "model_parameters": model_parameters or {},
        "horizon": horizon,
        "universe": universe,
        "feature_set": feature_set,
        "cost_bps": cost_bps,
        "seed": seed,
    }
    with recorded("train-model", f"train {model} to {sessions[-1]}", parameters) as recording:
        parent = recording.run_id
        inputs = register.digests(lake, sessions[-1], feature_set)
        trained = steps.notebook("training", parameters, parent=parent, inputs=inputs, force=force)
        version = int(trained.values["version"])
        if trained.outcome is Outcome.SKIPPED and evaluate.judged(Settings(), version):
            # What was decided of it stands; a rollback is not undone because somebody trained again.
            decision = {"version": version, "promoted": False, "reasons": ["nothing changed since it was judged"]}
        else:
            decision = consider(version, parent=parent)
        known = {name: trained.values[name] for name in _ON_ACTIONS if name in trained.values}
        notes = {"notes": list(columns.notes)} if columns.notes else {}
        outcome = {"training": trained.outcome.value, "run_id": trained.run_id, **notes, **known}
        return recording.kept({**outcome, **trained.metrics, **decision})


def build_extended(lake: Lake, start: date | None, end: date | None, feature_set: str) -> None:
    """Build what is missing of a set that adds own features to another, as `v1+module:FEATURE`; of others, nothing.

    Such a set is made by its name alone, so that no setting needs to name it. Training asks for all sessions with bars.
    It changes features of that set only, for the run that asks, so it needs no turn among runs that change market data.
    """
    sessions = lake.sessions(BARS, start, end) if "+" in feature_set else []
    if sessions:
        limits = Limits.of(Settings())
        built = build_features(lake, sessions[0], sessions[-1], feature_set=feature_set, limits=limits)
        cost = f"; {built.cost}" if built.cost else ""
        get_run_logger().info("features of %s: %s%s", feature_set, built.totals, cost)


@flow(name="retrain_challenger", flow_run_name="retrain {model}", timeout_seconds=FLOW_SECONDS, **HOOKS)
def retrain_challenger(model: str | None = None, years: int = 5) -> dict[str, Any]:
    """Train a challenger on the last `years` of sessions, asked what the champion was asked, and let the gate decide.

    On a schedule: the same estimator, horizon, universe and features as the champion's, newer sessions. Without a
    champion, or with another `model`, those of `train_model`'s defaults.
    """
    settings = Settings()
    lake, number = Lake(settings.lake), promotion.in_force(settings)
    tags = registry.find(settings, number).tags if number is not None else {}
    feature_set = tags.get(registry.FEATURE_VERSION, frames.FEATURE_SET)
    sessions = lake.sessions(features.find(feature_set).contract)
    if not sessions:
        raise ModelError("no features to learn from: run `champion backfill` first")
    since = max(sessions[0], sessions[-1] - timedelta(days=round(_YEAR * years)))
    recipe = json.loads(tags.get(register.RECIPE, "{}"))
    chosen: dict[str, Any] = train_model(
        since,
        sessions[-1],
        model or recipe.get("model", "logistic"),
        model_parameters={} if model else recipe.get("parameters", {}),
        horizon=int(tags.get(evaluate.HORIZON, 5)),
        universe=tags.get(evaluate.UNIVERSE, "liquid"),
        feature_set=feature_set,
    )
    return chosen


@flow(name="model_health", flow_run_name="model health", timeout_seconds=FLOW_SECONDS, **HOOKS)
def model_health(sessions: int = 60) -> dict[str, Any]:
    """Hold the champion's scores against what came, and its inputs and scores against those it learnt from: weekly."""
    settings = Settings()
    lake, number = Lake(settings.lake), promotion.in_force(settings)
    scored = lake.sessions(PREDICTIONS)
    if number is None or not scored:
        return {"skipped": "there is no champion with scores yet"}
    standing.require_agreement(settings)  # the notebook reads the alias
    champion = registry.find(settings, number)
    parameters = {"as_of": scored[-1].isoformat(), "sessions": sessions}
    inputs = {
        "model": f"{registry.MODEL}/{number}",
        PREDICTIONS: lake.digest(PREDICTIONS),
        **register.digests(lake, scored[-1], champion.feature_version),
    }
    with recorded("model-health", f"model health {scored[-1]}", parameters) as recording:
        report = steps.notebook("decay", parameters, parent=recording.run_id, inputs=inputs)
        return recording.kept({"outcome": report.outcome.value, "run_id": report.run_id, **report.metrics})


@task(name="consider_promotion")
def consider(version: int, *, parent: str) -> dict[str, Any]:
    """Write the decision report, and let the gate decide; its decision goes to the ledger either way."""
    settings = Settings()
    rival = promotion.in_force(settings)
    names = {"model": f"{registry.MODEL}/{version}", "champion": f"{registry.MODEL}/{rival}"}
    report = steps.notebook.fn("promotion", {"version": version}, parent=parent, inputs=names)
    decision: dict[str, Any] = evaluate.evaluate_and_promote(settings, version, report=report.run_id)
    get_run_logger().info("version %d: %s", version, "; ".join(decision["reasons"]))
    return decision


@flow(name="score_session", flow_run_name="score {session}", timeout_seconds=FLOW_SECONDS, **HOOKS)
def score_session(session: date, *, force: bool = False) -> dict[str, Any]:
    """Score one session with `models:/equity_price_predictor@champion`, into lake and warehouse."""
    with (
        recorded("score-session", f"score {session}", {"session": session}) as recording,
        market_data_lock.reading(Settings(), get_run_logger().info),
    ):
        scored = score_one(session, parent=recording.run_id, force=force)
        if "skipped" in scored:
            raise ModelError(f"session {session} was not scored: {scored['skipped']}")
        return recording.kept(scored)


def score_one(session: date, *, parent: str, force: bool) -> dict[str, Any]:
    """Score a session inside another flow, or return why not, as `skipped`: a day without a champion is no failure.

    Raises:
        ServiceError: MLflow, which knows the champion, does not answer.
        ModelError: the promotion ledger knows a champion, and MLflow none.
    """
    settings = Settings()
    connectivity.require(settings)
    standing.require_agreement(settings)
    number = registry.alias_of(settings, registry.CHAMPION)
    if number is None:
        return {"skipped": "there is no champion: run `champion train`, or `champion models promote`"}
    version = registry.find(settings, number)
    learnt_to = version.day(evaluate.TRAIN_END)
    if session <= learnt_to:
        return {"skipped": f"version {number} learnt from sessions to {learnt_to}: of those it can only remember"}
    lake = Lake(settings.lake)
    build_extended(lake, session, session, version.feature_version)
    data = notebook_data.of_scoring(settings, version, session)
    scored = steps.notebook(
        "scoring",
        {"session": session.isoformat()},
        parent=parent,
        inputs=data.inputs,
        writes=data.writes,
        span=data.span,
        force=force,
    )
    loaded = steps.load(session, session, (PREDICTIONS,))
    return {
        "session": str(session),
        "outcome": scored.outcome.value,
        "version": int(scored.values["version"]),
        **scored.metrics,
        "loaded": loaded,
    }
