"""Challenger against champion, on the sessions both were judged on out of sample; the gate's word is carried out."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import polars as pl

from champion.errors import DecisionOutdated, ModelError, PromotionRefused
from champion.modeling import metrics
from champion.settings import Settings
from champion.tracking import promotion, recovery, registry, runs
from champion.tracking.promotion import Decision, Rules

OUT_OF_SAMPLE = "result/tables/out_of_sample.parquet"
CANARY = "canary_passed"
HORIZON, LAG, UNIVERSE, TRAIN_END = "champion.horizon", "champion.lag", "champion.universe", "champion.learnt_to"
LABEL_END = "champion.knew_to"  # the last session whose prices a label of the training rows has seen
_COMPARED = {HORIZON: "horizon", LAG: "lag", UNIVERSE: "universe"}
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A version before the gate: `decision` of it against `reigning`, None where there is no champion.

    `evidence` is what goes to the ledger; `sessions` has trade_date and the rank IC of each session as `challenger`
    and, with a champion, `champion` and `difference`, over the sessions that both scored out of sample.
    """

    version: int
    reigning: int | None
    decision: Decision
    evidence: dict[str, Any]
    sessions: pl.DataFrame


def evaluate(settings: Settings, version: int, against: int | None = promotion.ANY_CHAMPION) -> Evaluation:
    """Return what the gate says of a version, by default against the champion; nothing is written.

    Raises:
        ModelError: there is no such version, its run holds no out-of-sample scores, or the two share no session.
    """
    reigning = promotion.in_force(settings) if against == promotion.ANY_CHAMPION else against
    candidate = registry.find(settings, version)
    rival = lost = None
    if reigning is not None and reigning != version:
        rival, lost = _rival(settings, reigning, must_be_there=against != promotion.ANY_CHAMPION)
    horizon = candidate.integer(HORIZON)
    sessions = _sessions(settings, candidate, rival)
    ours = _judged(sessions, "challenger", horizon)
    theirs = None if rival is None else _judged(sessions, "champion", horizon)
    paired = None if rival is None else _judged(sessions, "difference", horizon)
    trained = runs.known(settings, candidate.run_id)
    canary = None if trained is None else trained.metrics.get(CANARY)
    rules = Rules(settings.gate_margin, settings.gate_level)
    heard = None if canary is None else canary > 0
    decision = promotion.gate(ours, theirs, paired=paired, rules=rules, canary=heard)
    unlike = [lost] if lost else [] if rival is None else _differences(candidate, rival)
    if reigning == version:
        decision = Decision(promote=False, reasons=("it is champion already",))
    elif unlike:
        decision = Decision(promote=False, reasons=(*unlike, *(() if decision.promote else decision.reasons)))
    evidence = {
        "challenger": ours,
        "champion": theirs,
        "paired": paired,
        "champion_version": None if rival is None else rival.number,
        "margin": rules.margin,
        "level": rules.level,
        "canary": canary,
    }
    return Evaluation(version, reigning, decision, evidence, sessions)


def evaluate_and_promote(
    settings: Settings,
    version: int,
    *,
    reason: str = "",
    force: bool = False,
    strict: bool = False,
    report: str | None = None,
) -> dict[str, Any]:
    """Let the gate judge a version and promote it if it may; the decision is in the ledger either way.

    Returns version, promoted, reasons, and the metrics it was judged by. With `strict`, a refusal is an error. `report`
    is the run of the decision report, and stays in the ledger with the evidence. Where another process promotes in the
    meantime, the version is judged again, against the new champion.

    Raises:
        PromotionRefused: the gate said no and `strict` was asked.
        UsageError: `force` without a reason.
        ModelError: there is no such version, or its run holds no out-of-sample scores.
    """
    promotion.repair(settings)
    for _ in range(_TRIES):
        weighed = evaluate(settings, version)
        known = {"version": version, "reasons": list(weighed.decision.reasons), **weighed.evidence["challenger"]}
        if weighed.reigning == version:
            recovery.realign(settings)  # the alias may have been moved by hand
            return {**known, "promoted": False}
        try:
            return {**known, "promoted": _decide(settings, weighed, reason, force=force, strict=strict, report=report)}
        except DecisionOutdated:
            continue
    raise ModelError(f"version {version} could not be judged: the champion changed {_TRIES} times meanwhile; try again")


def judged(settings: Settings, version: int) -> bool:
    """Tell whether the ledger holds a decision about a version."""
    return any(entry.version == version for entry in promotion.history(settings))


def out_of_sample(settings: Settings, version: registry.Version) -> pl.DataFrame:
    """Return the scores of a version's walk-forward: instrument_id, symbol, trade_date, fold, score, forward_return...

    Raises:
        ModelError: its run holds none.
    """
    content = runs.read_file(settings, version.run_id, OUT_OF_SAMPLE)
    if content is None:
        run = version.run_id
        raise ModelError(f"version {version.number}: its run {run} holds no {OUT_OF_SAMPLE}; train it again")
    return pl.read_parquet(io.BytesIO(content))


def _decide(
    settings: Settings, weighed: Evaluation, reason: str, *, force: bool, strict: bool, report: str | None
) -> bool:
    why = reason or "; ".join(weighed.decision.reasons)
    try:
        promotion.promote(
            settings,
            weighed.version,
            weighed.decision,
            reason=reason if force else why,
            evidence={**weighed.evidence, "report": report},
            force=force,
            against=weighed.reigning,
        )
    except PromotionRefused:
        if strict:
            raise
    return weighed.decision.promote or force


def _rival(settings: Settings, reigning: int, *, must_be_there: bool) -> tuple[registry.Version | None, str | None]:
    """Return the champion to compare with, or why nothing can be: it was deleted, or its scores are lost.

    Then the gate refuses and a person may decide, unless the comparison itself was asked for.
    """
    try:
        found = registry.find(settings, reigning)
        out_of_sample(settings, found)
    except ModelError as error:
        if must_be_there:
            raise
        return None, f"the champion cannot be compared with: {error}"
    return found, None


def _differences(challenger: registry.Version, champion: registry.Version) -> list[str]:
    """Return why two versions cannot be compared: they foresee other horizons, or speak of other universes."""
    return [
        f"its {name} is {challenger.tags.get(tag)}, the champion's {champion.tags.get(tag)}: not comparable"
        for tag, name in _COMPARED.items()
        if challenger.tags.get(tag) != champion.tags.get(tag)
    ]


def _sessions(settings: Settings, challenger: registry.Version, champion: registry.Version | None) -> pl.DataFrame:
    """Return each session's rank IC of both models, of the sessions that both scored out of sample."""
    ours = metrics.rank_ic(out_of_sample(settings, challenger)).rename({"ic": "challenger"})
    if champion is None:
        return ours
    theirs = metrics.rank_ic(out_of_sample(settings, champion)).rename({"ic": "champion"})
    both = ours.join(theirs, on="trade_date").sort("trade_date")
    if both.is_empty():
        raise ModelError("challenger and champion share no out-of-sample session: train on overlapping ranges")
    return both.with_columns(difference=pl.col("challenger") - pl.col("champion"))


def _judged(sessions: pl.DataFrame, whose: str, horizon: int) -> dict[str, float]:
    summary = metrics.summarise_ic(sessions.select(ic=whose), horizon)
    return {
        promotion.RANK_IC: summary["mean"],
        promotion.T_STAT: summary["t"],
        promotion.SESSIONS: summary["sessions"],
        promotion.HORIZON: float(horizon),
    }
