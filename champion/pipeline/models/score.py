"""Score one session with the champion, into the lake."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from champion import contracts, features
from champion.base import clock
from champion.base.counting import quantity
from champion.contracts.datasets import BARS, PREDICTIONS
from champion.errors import LakeError, ModelError
from champion.lake import Lake
from champion.market.envelope import stamp
from champion.market.quality_gates import LOOKBACK
from champion.modeling.universe import stored
from champion.pipeline.ingest import corporate_actions
from champion.pipeline.ingest.quality import require_passed
from champion.pipeline.models import frames
from champion.pipeline.models.evaluate import HORIZON, TRAIN_END, UNIVERSE
from champion.settings import Settings
from champion.settings.quality_limits import Limits
from champion.tracking import connectivity, registry, standing


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """The scores (contract predictions_equity_scores), their model version, and whether they were written."""

    version: registry.Version
    scores: pl.DataFrame
    written: bool


def champion_for(settings: Settings, session: date) -> tuple[registry.Version | None, str]:
    """Return the champion if it can score a session, else None and the reason."""
    if (number := registry.alias_of(settings, registry.CHAMPION)) is None:
        return None, "there is no champion: run `champion train`, or `champion models promote`"
    version = registry.find(settings, number)
    train_end = version.day(TRAIN_END)
    if session <= train_end:
        return None, f"version {number} was trained on sessions to {train_end}: scores of these are in sample"
    return version, ""


def require_scorable(settings: Settings, session: date) -> None:
    """Require a champion that can score a session, and the session's features, before anything slow starts.

    Features of a set that extends another are built by the run itself.

    Raises:
        ServiceError: MLflow does not answer.
        ModelError: there is no such champion.
        LakeError: the session has no bars, or no current features.
    """
    lake = Lake(settings.lake)
    if not lake.sessions(BARS, session, session):
        raise LakeError(f"no bars of session {session}: run `champion daily {session}` first")
    connectivity.require(settings)
    standing.require_agreement(settings)
    version, reason = champion_for(settings, session)
    if version is None:
        raise ModelError(f"session {session} was not scored: {reason}")
    if "+" not in version.feature_version:
        frames.require_features(lake, [session], version.feature_version)


def score_session(settings: Settings, session: date) -> ScoreResult:
    """Score a session with the champion and commit the scores to the lake; a repeated call changes nothing.

    The scores are known after the close of `session` and can be traded from the next session on.

    Raises:
        ModelError: there is no champion, or alias and ledger differ; the champion takes other features than the
            session has, or was trained too long ago.
        LakeError: the session has no features, or they are older than the bars and actions they depend on.
        QualityGateError: the session, or one of the 20 before it, fails a quality gate.
    """
    (found,) = score_sessions(settings, [session])
    return found


def score_sessions(settings: Settings, sessions: Sequence[date]) -> Iterator[ScoreResult]:
    """Score sessions with the champion, in order, like `score_session`, and yield each result.

    The quality gates are evaluated over all of them together, and the model is loaded once.

    Raises:
        ModelError: see `score_session`, as for the other errors.
    """
    lake = Lake(settings.lake)
    standing.require_agreement(settings)
    recent = lake.sessions(BARS, end=min(sessions))[-LOOKBACK - 1 :]
    require_passed(lake, min([*sessions, *recent]), max(sessions), Limits.of(settings))
    feature_set = registry.find(settings, registry.CHAMPION).feature_version
    names = frames.inputs(feature_set)
    loaded = registry.load(settings, registry.CHAMPION, features=names, feature_version=feature_set)
    universe, in_order = stored(loaded.version.text(UNIVERSE)), sorted(sessions)
    inputs = frames.scoring_frames(lake, in_order, universe=universe, feature_set=feature_set)
    for session in in_order:
        check_fresh(lake, loaded.version, session, settings.model_sessions)
        yield _score(lake, loaded, session, next(inputs))


def _score(lake: Lake, loaded: registry.LoadedModel, session: date, frame: pl.DataFrame) -> ScoreResult:
    """Score the inputs of one session with a loaded model, and commit the scores to the lake."""
    from champion.modeling import training  # noqa: PLC0415 - scikit-learn is slow to import

    feature_set = loaded.version.feature_version
    names = frames.inputs(feature_set)
    contract, version = contracts.load(PREDICTIONS), loaded.version
    named = training.score(loaded.model, frame, names).with_columns(
        model_name=pl.lit(registry.MODEL),
        model_version=pl.lit(version.number, pl.Int32),
        model_run_id=pl.lit(version.run_id),
        feature_version=pl.lit(version.feature_version),
        horizon=pl.lit(version.integer(HORIZON), pl.Int32),
        rank=pl.col("rank").cast(pl.Int64),
    )
    key, now = [pl.col(name) for name in contract.key], clock.now()
    scores = stamp(named, contract, pl.lit("champion"), pl.lit(now), pl.col("instrument_id"), key)
    made_from = {
        "model": f"{registry.MODEL}/{version.number}",
        "features": lake.digest(features.find(feature_set).contract, session, session),
        "bars": lake.digest(BARS, end=session),
        "actions": corporate_actions.digest(lake, session),
    }
    # Scores of other versions stay: they are compared with the outcomes later. So do scores that these replace, as an
    # earlier revision: the paper account follows what was known when the next session opened.
    others = lake.scan(PREDICTIONS, session, session).filter(pl.col("model_version") != version.number).collect()
    written = lake.write(PREDICTIONS, session, pl.concat([others, scores]), made_from, known_at=now)
    return ScoreResult(version, scores, written)


def check_fresh(lake: Lake, version: registry.Version, session: date, most: int) -> None:
    """Require that a version was trained on one of the last `most` sessions before the session to score.

    Raises:
        ModelError: it was not.
    """
    train_end = version.day(TRAIN_END)
    if (since := len([one for one in lake.sessions(BARS, train_end, session) if one > train_end])) > most:
        raise ModelError(
            f"version {version.number} was trained on sessions to {train_end}, {quantity(since, 'session')} before "
            f"{session}; at most {most} are allowed (CHAMPION_MODEL_SESSIONS): "
            "run `champion train`, and promote the new version"
        )
