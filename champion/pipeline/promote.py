"""Challenger against champion, on the sessions both were judged on out of sample; the gate's word is carried out."""

from __future__ import annotations

import io
from typing import Any

import polars as pl

from champion import metrics
from champion.errors import ModelError, PromotionRefused
from champion.settings import Settings
from champion.tracking import promotion, registry, runs

OUT_OF_SAMPLE = "result/tables/out_of_sample.parquet"
CANARY = "canary_passed"
HORIZON, UNIVERSE, LEARNT_TO = "champion.horizon", "champion.min_turnover", "champion.learnt_to"
MARGIN = 0.002  # of mean rank IC: less is within what luck gives between two models


def consider(
    settings: Settings, version: int, *, reason: str = "", force: bool = False, strict: bool = False
) -> dict[str, Any]:
    """Let the gate judge a version and promote it if it may; the decision is in the ledger either way.

    Returns version, promoted, reasons, and the metrics it was judged by. With `strict`, a refusal is an error.

    Raises:
        PromotionRefused: the gate said no and `strict` was asked.
        ModelError: there is no such version, or its run holds no out-of-sample scores.
    """
    promotion.repair(settings)
    reigning = registry.alias_of(settings, registry.CHAMPION)
    candidate = registry.find(settings, version)
    horizon, challenger = int(candidate.tags[HORIZON]), _scores(settings, candidate)
    if reigning == version:
        known = {"version": version, "promoted": False, "reasons": ["it is champion already"]}
        return {**known, **_judged(challenger, horizon)}
    champion = None if reigning is None else _scores(settings, registry.find(settings, reigning))
    ours, theirs = _comparable(challenger, champion, horizon)
    canary = runs.get(settings, candidate.run_id).metrics.get(CANARY)
    decision = promotion.gate(ours, theirs, margin=MARGIN, canary=None if canary is None else canary > 0)
    if reigning is not None and (unlike := _differences(candidate, registry.find(settings, reigning))):
        decision = promotion.Decision(promote=False, reasons=(*unlike, *decision.reasons))
    evidence = {
        "challenger": ours,
        "champion": theirs,
        "champion_version": reigning,
        "margin": MARGIN,
        "canary": canary,
    }
    why = reason or "; ".join(decision.reasons)
    try:
        promotion.promote(settings, version, decision, reason=why, evidence=evidence, force=force)
    except PromotionRefused:
        if strict:
            raise
    promoted = decision.promote or force
    return {"version": version, "promoted": promoted, "reasons": list(decision.reasons), **ours}


def judged(settings: Settings, version: int) -> bool:
    """Tell whether the ledger holds a decision about a version."""
    return any(entry.version == version for entry in promotion.history(settings))


def _differences(challenger: registry.Version, champion: registry.Version) -> list[str]:
    """Return why two versions cannot be compared: they foresee other horizons, or speak of other universes."""
    names = {HORIZON: "horizon", UNIVERSE: "least turnover"}
    return [
        f"its {name} is {challenger.tags.get(tag)}, the champion's {champion.tags.get(tag)}: not comparable"
        for tag, name in names.items()
        if challenger.tags.get(tag) != champion.tags.get(tag)
    ]


def _scores(settings: Settings, version: registry.Version) -> pl.DataFrame:
    content = runs.read_file(settings, version.run_id, OUT_OF_SAMPLE)
    if content is None:
        run = version.run_id
        raise ModelError(f"version {version.number}: its run {run} holds no {OUT_OF_SAMPLE}; train it again")
    return pl.read_parquet(io.BytesIO(content))


def _comparable(
    challenger: pl.DataFrame, champion: pl.DataFrame | None, horizon: int
) -> tuple[dict[str, float], dict[str, float] | None]:
    """Return both models' metrics over the sessions that both scored out of sample."""
    if champion is None:
        return _judged(challenger, horizon), None
    common = challenger.select("trade_date").unique().join(champion.select("trade_date").unique(), on="trade_date")
    if common.is_empty():
        raise ModelError("challenger and champion share no out-of-sample session: train on overlapping ranges")
    ours, theirs = (scores.join(common, on="trade_date", how="semi") for scores in (challenger, champion))
    return _judged(ours, horizon), _judged(theirs, horizon)


def _judged(scores: pl.DataFrame, horizon: int) -> dict[str, float]:
    summary = metrics.summarise_ic(metrics.rank_ic(scores), horizon)
    return {
        promotion.RANK_IC: summary["mean"],
        promotion.T_STAT: summary["t"],
        promotion.SESSIONS: summary["sessions"],
    }
