"""The champion's scores for one session, into the lake."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from champion import clock, contracts, training
from champion.envelope import envelope
from champion.lake import Lake
from champion.pipeline import actions, learn
from champion.pipeline.promote import HORIZON, UNIVERSE
from champion.settings import Settings
from champion.tracking import registry

PREDICTIONS = "predictions_equity_scores"


@dataclass(frozen=True, slots=True)
class Scored:
    """What was scored, and by which version; `scores` keeps contract predictions_equity_scores."""

    version: registry.Version
    scores: pl.DataFrame
    written: bool


def score_session(settings: Settings, session: date) -> Scored:
    """Score a session with the champion and commit it to the lake; the same model and features again change nothing.

    Raises:
        ModelError: there is no champion, or it takes other features than the session has.
        LakeError: the session has no features.
    """
    lake = Lake(settings.lake)
    loaded = registry.load(settings, registry.CHAMPION, features=learn.inputs(), feature_version="v1")
    frame = learn.scoring_frame(lake, session, min_turnover=float(loaded.version.tags[UNIVERSE]))
    scored = training.score(loaded.model, frame, learn.inputs())
    scores = _stamped(scored, loaded.version)
    made_from = {
        "model": f"{registry.MODEL}/{loaded.version.number}",
        "features": lake.digest("features_equity_indicators", session, session),
        "bars": lake.digest("normalized_equity_ohlc", end=session),
        "actions": actions.digest(lake, session),
    }
    # What other versions said of the session stays: it is a fact that outcomes will be held against.
    others = lake.scan(PREDICTIONS, session, session).filter(pl.col("model_version") != loaded.version.number).collect()
    written = lake.write(PREDICTIONS, session, pl.concat([others, scores]), made_from)
    return Scored(loaded.version, scores, written)


def _stamped(scored: pl.DataFrame, version: registry.Version) -> pl.DataFrame:
    contract = contracts.load(PREDICTIONS)
    named = scored.with_columns(
        model_name=pl.lit(registry.MODEL),
        model_version=pl.lit(version.number, pl.Int32),
        model_run_id=pl.lit(version.run_id),
        feature_version=pl.lit(version.feature_version),
        horizon=pl.lit(int(version.tags[HORIZON]), pl.Int32),
        rank=pl.col("rank").cast(pl.Int64),
    )
    stamped = named.with_columns(
        envelope(
            contract,
            source=pl.lit("champion"),
            ingest_time=pl.lit(clock.now()),
            entity_id=pl.col("instrument_id"),
            key=[pl.col(name) for name in contract.key],
        )
    )
    return stamped.select(list(contract.polars_schema))
