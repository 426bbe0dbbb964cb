"""Flows of models: train a challenger, search recipes, score a session, and check the champion's health."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from typing import Any

from prefect import flow, task
from prefect.futures import as_completed
from prefect.logging import get_run_logger

from champion import features
from champion.base import progress
from champion.base.counting import quantity
from champion.contracts.datasets import BARS, PREDICTIONS, TARGETS
from champion.errors import ModelError
from champion.lake import Lake
from champion.modeling import targets
from champion.modeling.labels import Returns
from champion.modeling.universe import find, stored
from champion.pipeline.feature_store.build import build_features
from champion.pipeline.ingest import market_data_lock
from champion.pipeline.models import evaluate, frames, notebook_data, recipes, register, score
from champion.pipeline.models.model_columns import model_columns
from champion.pipeline.reference import universe_lists
from champion.pipeline.search import guided, outcomes, plan as plans, report as search_report, space as spaces
from champion.pipeline.search.outcomes import Tried
from champion.pipeline.search.plan import Plan, Training
from champion.portfolio.construction import Rule
from champion.runner import Outcome
from champion.settings import Settings
from champion.settings.quality_limits import Limits
from champion.tracking import connectivity, experiments, promotion, registry, standing
from flows import configuration, notebook_progress, steps
from flows.notifications import HOOKS
from flows.policy import FLOW_SECONDS, LONG_SECONDS
from flows.run_tracking import record_flow


@contextmanager
def stable_market_data() -> Iterator[None]:
    """Keep other runs from changing market data in this context, or while the function that it decorates runs."""
    configuration.apply()
    with market_data_lock.reading(Settings(), get_run_logger().info):
        yield


@flow(name="train_model", flow_run_name="train {model}", timeout_seconds=FLOW_SECONDS, **HOOKS)
@stable_market_data()
def train_model(  # noqa: PLR0913 - the parameters of a deployment
    start: date | None = None,
    end: date | None = None,
    model: str = "logistic",
    *,
    horizon: int = 5,
    universe: str = "liquid",
    feature_set: str = "v1",
    cost_bps: float = 10.0,
    returns: Returns = frames.RETURNS,
    model_parameters: dict[str, Any] | None = None,
    target: str = targets.DEFAULT,
    top: int = Rule().top,
    risk_limit: float | None = None,
    seed: int = 7,
    force: bool = False,
) -> dict[str, Any]:
    """Train and register a challenger on the sessions between `start` and `end`, then submit it to the gate."""
    targets.parse(target)  # refuses a wrong text before anything is built
    Rule(top=top, risk_limit=risk_limit)
    lake, columns = Lake(Settings().lake), model_columns(feature_set)
    universe_lists.require_known(lake, find(universe))
    for note in columns.notes:
        get_run_logger().info("%s", note)
    build_extended(lake, None, end, feature_set)
    sessions = frames.trainable_sessions(lake, start, end, universe=find(universe), feature_set=feature_set)
    parameters = {
        "start": sessions[0].isoformat(),
        "as_of": sessions[-1].isoformat(),
        "model": model,
        "model_parameters": model_parameters or {},
        "target": target,
        "horizon": horizon,
        "universe": universe,
        "feature_set": feature_set,
        "cost_bps": cost_bps,
        "returns": returns,
        "top": top,
        "risk_limit": risk_limit,
        "seed": seed,
    }
    with record_flow("train-model", f"train {model} to {sessions[-1]}", parameters) as recording:
        parent = recording.run_id
        data = notebook_data.of_training(lake, sessions[-1], feature_set, universe)
        trained = steps.notebook("training", parameters, data, parent=parent, force=force)
        version = int(trained.values["version"])
        if trained.outcome is Outcome.SKIPPED and evaluate.has_decision(Settings(), version):
            # The decision about it is kept: a repeated training must not undo a rollback.
            decision = {"version": version, "promoted": False, "reasons": ["nothing changed since it was evaluated"]}
        else:
            decision = consider_promotion(version, parent=parent)
        # The number of labels left out for corporate actions, and the ex-dates that the lists cover.
        counted = ("labels_across_gaps", "corporate_actions")
        on_actions = {name: trained.values[name] for name in counted if name in trained.values}
        notes = {"notes": list(columns.notes)} if columns.notes else {}
        outcome = {"training": trained.outcome.value, "run_id": trained.run_id, **notes, **on_actions}
        return recording.keep_result({**outcome, **trained.metrics, **decision})


def build_extended(lake: Lake, start: date | None, end: date | None, feature_set: str) -> None:
    """Build missing features of a set that extends another with custom features, such as `v1+module:FEATURE`.

    The name defines such a set, so no setting needs to list it; other sets are left alone. Only features of this set
    change, and only this run reads them, so the lock on market data is not needed.
    """
    if "+" in feature_set and (sessions := lake.sessions(BARS, start, end)):
        built = build_features(lake, sessions[0], sessions[-1], feature_set=feature_set, limits=Limits.of(Settings()))
        cost = f"; {built.cost}" if built.cost else ""
        get_run_logger().info("features of %s: %s%s", feature_set, built.totals, cost)


@flow(name="retrain_challenger", flow_run_name="retrain {model}", timeout_seconds=FLOW_SECONDS, **HOOKS)
def retrain_challenger(model: str | None = None, years: int = 5) -> dict[str, Any]:
    """Train a challenger for the champion's task on the last `years` years; the gate decides whether to promote it.

    Estimator, target, horizon, universe, returns, features, number of instruments and risk limit are the champion's.
    Without a champion they are the defaults of `train_model`; another `model` gets its default parameters.
    """
    settings = Settings()
    lake, number = Lake(settings.lake), promotion.in_force(settings)
    champion = None if number is None else registry.find(settings, number)
    tags = {} if champion is None else champion.tags
    feature_set = tags.get(registry.FEATURE_VERSION, frames.FEATURE_SET)
    if not (sessions := lake.sessions(features.find(feature_set).contract)):
        raise ModelError("no features to train on: run `champion backfill` first")
    since = max(sessions[0], sessions[-1] - timedelta(days=round(365.25 * years)))
    recipe, rule = json.loads(tags.get(register.RECIPE, "{}")), recipes.tagged(tags)[0]
    result: dict[str, Any] = train_model(
        since,
        sessions[-1],
        model or recipe.get("model", "logistic"),
        model_parameters={} if model else recipe.get("parameters", {}),
        target=" ".join(map(str, (recipe.get("target", targets.DEFAULT), *recipe.get("horizons", ())))),
        horizon=int(tags.get(evaluate.HORIZON, 5)),
        universe=stored(tags.get(evaluate.UNIVERSE, "liquid")).text,
        feature_set=feature_set,
        returns=frames.RETURNS if champion is None else evaluate.returns_of(champion),
        top=rule.top,
        risk_limit=rule.risk_limit,
    )
    return result


@flow(name="model_health", flow_run_name="model health", timeout_seconds=FLOW_SECONDS, **HOOKS)
def model_health(sessions: int = 60) -> dict[str, Any]:
    """Compare the champion's scores with their outcomes, and its inputs and scores with its training period, weekly."""
    settings = Settings()
    lake, number = Lake(settings.lake), promotion.in_force(settings)
    scored = lake.sessions(PREDICTIONS)
    if number is None or not scored:
        return {"skipped": "there is no champion with scores yet"}
    standing.require_agreement(settings)  # the notebook reads the alias
    champion = registry.find(settings, number)
    parameters = {"as_of": scored[-1].isoformat(), "sessions": sessions}
    digests = register.digests(lake, scored[-1], champion.feature_version)
    # Outcomes of the last scores are known by later bars, so these count too.
    known = {**digests, PREDICTIONS: lake.digest(PREDICTIONS), **notebook_data.of_accounts(lake)}
    inputs = {"model": f"{registry.MODEL}/{number}", **known}
    with record_flow(experiments.MODEL_HEALTH, f"model health {scored[-1]}", parameters) as recording:
        report = steps.notebook("decay", parameters, notebook_data.NotebookData(inputs), parent=recording.run_id)
        return recording.keep_result({"outcome": report.outcome.value, "run_id": report.run_id, **report.metrics})


@task(name="consider_promotion")
def consider_promotion(version: int, *, parent: str) -> dict[str, Any]:
    """Run the promotion notebook and carry out its decision; the promotion ledger records both."""
    settings = Settings()
    data = notebook_data.of_promotion(settings, version)
    run = partial(steps.notebook.fn, "promotion", {"version": version}, data, parent=parent)
    decision, _ = evaluate.promote_with_report(settings, version, run)
    get_run_logger().info("version %d: %s", version, "; ".join(decision["reasons"]))
    return decision


@flow(name="score_session", flow_run_name="score {session}", timeout_seconds=FLOW_SECONDS, **HOOKS)
def score_session(session: date, *, force: bool = False) -> dict[str, Any]:
    """Score one session with `models:/equity_price_predictor@champion`, into lake and warehouse."""
    with (
        record_flow("score-session", f"score {session}", {"session": session}) as recording,
        market_data_lock.reading(Settings(), get_run_logger().info),
    ):
        scored = score_one(session, parent=recording.run_id, force=force)
        if "skipped" in scored:
            raise ModelError(f"session {session} was not scored: {scored['skipped']}")
        return recording.keep_result(scored)


def score_one(session: date, *, parent: str, force: bool) -> dict[str, Any]:
    """Score a session within another flow, or return the reason as `skipped`: having no champion is not a failure.

    Raises:
        ServiceError: MLflow does not answer.
        ModelError: the promotion ledger has a champion, and MLflow has none.
    """
    settings = Settings()
    connectivity.require(settings)
    standing.require_agreement(settings)
    version, reason = score.champion_for(settings, session)
    if version is None:
        return {"skipped": reason}
    universe_lists.require_known(Lake(settings.lake), stored(version.text(evaluate.UNIVERSE)), [session])
    build_extended(Lake(settings.lake), session, session, version.feature_version)
    data = notebook_data.of_scoring(settings, version, session)
    scored = steps.notebook("scoring", {"session": session.isoformat()}, data, parent=parent, force=force)
    loaded, number = steps.load(session, session, (PREDICTIONS, TARGETS)), int(scored.values["version"])
    summary = {"session": str(session), "outcome": scored.outcome.value, "version": number}
    return {**summary, **scored.metrics, "loaded": loaded}


@flow(name="search_recipes", flow_run_name="search {space}", timeout_seconds=LONG_SECONDS, **HOOKS)
def search_recipes(space: str, *, parallel: int | None = None) -> dict[str, Any]:
    """Train all recipes of a space, count each as a trial, and judge them beside each other; nothing is promoted.

    `space` is a name or a path: see `champion.pipeline.search.space.read`. At most `parallel` trainings run at a time,
    by default one for two cores; on Dask, all that its workers take. A recipe that fails is reported and ends nothing.
    A repeated search skips what is done, so a search that was killed is resumed.
    """
    configuration.apply()
    settings, log = Settings(), get_run_logger().info
    chosen = spaces.read(settings, space)
    with market_data_lock.reading(settings, log):
        for name in chosen.recipe.feature_set:
            build_extended(Lake(settings.lake), chosen.start, chosen.end, name)
        planned = plans.make(settings, chosen)
        for name in chosen.recipe.feature_set:
            frames.check_current(Lake(settings.lake), planned.start, planned.end, name)
        read = plans.digests(settings, planned)
    parameters = {"space": chosen.name, "id": planned.id, "start": planned.start, "end": planned.end}
    with (
        plans.running(settings, planned, log),
        record_flow(experiments.SEARCH, f"search {chosen.name}", parameters) as recording,
    ):
        found = outcomes.write(settings, planned, try_all(planned, parent=recording.run_id, parallel=parallel))
        data = notebook_data.NotebookData(search_report.inputs(settings, found))
        report = steps.notebook("search", {"search": planned.id}, data, parent=recording.run_id)
        counted = {"recipes": len(found.recipes), "failed": len(found.failed)}
        result = {"search": planned.id, **counted, **report.values, **report.metrics, "report": report.html}
        if plans.digests(settings, planned) == read:
            plans.finish(settings, planned)
        else:
            result["note"] = (
                "market data changed during the search: repeat it, and the recipes on older data are trained"
            )
        return recording.keep_result(result)


def try_all(planned: Plan, *, parent: str, parallel: int | None) -> list[Tried]:
    """Run the rounds of a search, and return the outcome of each recipe; all methods but optuna have one round."""
    found, following = list[Tried](), planned
    while True:
        found += try_round(following, parent=parent, parallel=parallel)
        more = guided.following(Settings(), following, found)
        if more is None:
            return found
        get_run_logger().info("%d recipes proposed by the figures of %d", len(more.recipes) - more.before, more.before)
        following = more


def try_round(planned: Plan, *, parent: str, parallel: int | None) -> list[Tried]:
    """Run the trainings of a round, some at a time, and return the outcome of each recipe."""
    shown, trainings = notebook_progress.current(), planned.trainings
    most = len(trainings) if Settings().task_runner != "threads" else plans.AT_A_TIME
    waiting, running, found = list(reversed(trainings)), dict[Any, Training](), list[Tried]()
    with notebook_progress.report_to(progress.silent):  # the trainings run side by side
        while waiting or running:
            while waiting and len(running) < (parallel or most):
                training = waiting.pop()
                running[try_one.submit(planned, training, parent=parent)] = training
            done = next(as_completed(list(running)))
            training, result = running.pop(done), done.result(raise_on_failure=False)
            if isinstance(result, BaseException):
                get_run_logger().warning("%s failed: %s", training.text, result)
                result = outcomes.failed(planned, training, result)
            found += result
            count = len(trainings) - len(waiting) - len(running)
            shown(count, len(trainings), f"{count} of {quantity(len(trainings), 'training')}: {training.text}")
    return found


@task(name="search_trial", task_run_name="trial {training.text}")
def try_one(planned: Plan, training: Training, *, parent: str) -> list[Tried]:
    """Train one model in this worker, and judge its scores under each rule of its recipes."""
    settings, given = Settings(), training.parameters
    with market_data_lock.reading(settings, get_run_logger().info):
        lake = Lake(settings.lake)
        data = notebook_data.of_training(lake, planned.end, given["feature_set"], given["universe"])
        run = steps.notebook(plans.TRAINING, given, data, parent=parent)
        return outcomes.of_training(settings, planned, training, int(run.values["version"]), run.run_id)
