"""Models: train a challenger, let the gate decide, score a session with the champion."""

from __future__ import annotations

from datetime import date
from typing import Any

from prefect import flow, task
from prefect.logging import get_run_logger

from champion.actions import ACTIONS
from champion.errors import ModelError
from champion.lake import Lake
from champion.pipeline import actions, learn, promote
from champion.runner import Outcome
from champion.settings import Settings
from champion.tracking import registry
from flows import configuration, steps
from flows.notice import HOOKS
from flows.policy import FLOW_SECONDS
from flows.recording import recorded

_READS = ("normalized_equity_ohlc", "features_equity_indicators")


@flow(name="train_model", flow_run_name="train {model}", timeout_seconds=FLOW_SECONDS, **HOOKS)
def train_model(
    start: date | None = None,
    end: date | None = None,
    model: str = "logistic",
    *,
    horizon: int = 5,
    seed: int = 7,
    force: bool = False,
) -> dict[str, Any]:
    """Train and register a challenger on the sessions between `start` and `end`, then let the gate decide."""
    configuration.apply()
    lake = Lake(Settings().lake)
    learn.check_current(lake, None, end)
    sessions = lake.sessions("features_equity_indicators", start, end)
    if not sessions:
        raise ModelError(f"no features from {start or 'the start'} to {end or 'today'}: run `champion backfill` first")
    first, last = sessions[0], sessions[-1]
    parameters = {"start": first.isoformat(), "end": last.isoformat(), "model": model, "horizon": horizon, "seed": seed}
    with recorded("train-model", f"train {model} to {last}", parameters) as recording:
        trained = steps.notebook(
            "training",
            parameters,
            parent=recording.run_id,
            inputs=_digests(lake, last),
            force=force,
        )
        version = int(trained.values["version"])
        if trained.outcome is Outcome.SKIPPED and promote.judged(Settings(), version):
            # What was decided of it stands; a rollback is not undone because somebody trained again.
            decision = {"version": version, "promoted": False, "reasons": ["nothing changed since it was judged"]}
        else:
            decision = consider(version)
        return recording.kept(
            {"training": trained.outcome.value, "run_id": trained.run_id, **trained.metrics, **decision}
        )


@task(name="consider_promotion")
def consider(version: int) -> dict[str, Any]:
    """Let the gate compare a version with the champion; its decision goes to the ledger either way."""
    decision: dict[str, Any] = promote.consider(Settings(), version)
    get_run_logger().info("version %d: %s", version, "; ".join(decision["reasons"]))
    return decision


@flow(name="score_session", flow_run_name="score {session}", timeout_seconds=FLOW_SECONDS, **HOOKS)
def score_session(session: date, *, force: bool = False) -> dict[str, Any]:
    """Score one session with `models:/equity_price_predictor@champion`, into lake and warehouse."""
    with recorded("score-session", f"score {session}", {"session": session}) as recording:
        scored = score_one(session, parent=recording.run_id, force=force)
        if "skipped" in scored:
            raise ModelError(f"session {session} was not scored: {scored['skipped']}")
        return recording.kept(scored)


def score_one(session: date, *, parent: str, force: bool) -> dict[str, Any]:
    """Score a session inside another flow, or return why not, as `skipped`: a day without a champion is no failure."""
    settings = Settings()
    number = registry.alias_of(settings, registry.CHAMPION)
    if number is None:
        return {"skipped": "there is no champion: run `champion train`, or `champion models promote`"}
    learnt_to = registry.find(settings, number).tags[promote.LEARNT_TO]
    if session.isoformat() <= learnt_to:
        return {"skipped": f"version {number} learnt from sessions to {learnt_to}: of those it can only remember"}
    lake = Lake(settings.lake)
    scored = steps.notebook(
        "scoring",
        {"session": session.isoformat()},
        parent=parent,
        inputs={"model": f"{registry.MODEL}/{number}", **_digests(lake, session)},
        writes=("predictions_equity_scores",),
        span=(session, session),
        force=force,
    )
    loaded = steps.load(session, session, ("predictions_equity_scores",))
    return {
        "session": str(session),
        "outcome": scored.outcome.value,
        "version": int(scored.values["version"]),
        **scored.metrics,
        "loaded": loaded,
    }


def _digests(lake: Lake, end: date) -> dict[str, str]:
    return {**{name: lake.digest(name, end=end) for name in _READS}, ACTIONS: actions.digest(lake, end)}
