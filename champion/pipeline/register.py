"""A trained model to the registry, as challenger, with what scoring and the gate will need to know of it."""

from __future__ import annotations

import polars as pl

from champion.metrics import SESSIONS_PER_YEAR, max_drawdown, sharpe_ratio
from champion.pipeline.promote import CANARY, HORIZON, LEARNT_TO, UNIVERSE
from champion.settings import Settings
from champion.tracking import registry, runs
from champion.training import Canary, TrainingResult

KIND = "champion.model"


def register_challenger(
    settings: Settings,
    result: TrainingResult,
    example: pl.DataFrame,
    *,
    run_id: str | None,
    horizon: int,
    min_turnover: float,
    feature_version: str = "v1",
) -> registry.Version:
    """Return the new version of the model; `example` is some rows of its inputs, which become its signature.

    `run_id` is the run that trained it. Without one, as when a person works through the notebook by hand, a run is
    made for it, so that no version is without origin.
    """
    if run_id is None:
        run_id = runs.open_run(
            settings, "equity-price-prediction", "training by hand", parameters={"model": result.model}
        )
        runs.close_run(settings, run_id, "succeeded", metrics=result.metrics)
    return registry.register(
        settings,
        result.estimator,
        example.select(result.inputs),
        run_id=run_id,
        feature_version=feature_version,
        tags={
            KIND: result.model,
            HORIZON: str(horizon),
            UNIVERSE: str(min_turnover),
            LEARNT_TO: str(result.out_of_sample["trade_date"].max()),
        },
    )


def metrics_of(result: TrainingResult, equity: pl.DataFrame, found: Canary, *, horizon: int) -> dict[str, float]:
    """Return everything a training run is judged by, as finite numbers: what is not known is left out."""
    returns = equity["net_return"]
    metrics = {
        **result.metrics,
        "sharpe": sharpe_ratio(returns, SESSIONS_PER_YEAR / horizon),
        "max_drawdown": max_drawdown(equity["equity"]),
        "mean_turnover": float(equity["turnover"].mean() or 0.0),  # type: ignore[arg-type]
        "canary_auc": found.auc,
        CANARY: float(found.passed),
    }
    return {name: value for name, value in metrics.items() if pl.Series([value]).is_finite().all()}
