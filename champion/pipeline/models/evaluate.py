"""Evaluate a challenger against the champion, on sessions that both scored out of sample, and promote by the gate."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from champion.base import clock
from champion.contracts.datasets import BARS
from champion.errors import DecisionOutdated, ModelError, PromotionRefused
from champion.lake import Lake
from champion.modeling import gate_rules, metrics
from champion.modeling.labels import Returns
from champion.modeling.universe import stored
from champion.pipeline.models import looks, recipes, styled, trials
from champion.pipeline.models.paper_account import paper_account
from champion.settings import Settings
from champion.tracking import promotion, promotion_ledger, recovery, registry, runs
from champion.tracking.promotion import Decision
from champion.tracking.promotion_ledger import Entry
from champion.tracking.trials import series

if TYPE_CHECKING:
    from champion.runner import Execution

OUT_OF_SAMPLE = "result/tables/out_of_sample.parquet"
SCORES = "result/tables/scores.parquet"  # of the same sessions, with the rows whose forward return is not known
CHECKS = "result/tables/canaries.parquet"
CANARY = "canary_passed"
HORIZON, LAG, UNIVERSE, TRAIN_END = "champion.horizon", "champion.lag", "champion.universe", "champion.learnt_to"
RETURNS_TAG = "champion.returns"  # a version without it was trained on returns of the price
LABEL_END = "champion.knew_to"  # the last session whose prices a label of the training rows depends on
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The gate's decision about a version, and the evidence for it.

    `champion` is the version it was compared with, None without one. `evidence` goes to the promotion ledger: `rules`
    has the figure, threshold, verdict and sentence of each rule of the gate, `beside` figures that decide nothing.
    `sessions` has trade_date and the rank IC of each session that both models scored out of sample, as `challenger`
    and, where both scored the same sessions, `champion` and `difference`.
    """

    version: int
    champion: int | None
    decision: Decision
    evidence: dict[str, Any]
    sessions: pl.DataFrame

    @property
    def values(self) -> dict[str, Any]:
        """The evaluation without its sessions, as JSON values: a metric that is not finite is a text, as 'nan'."""
        evidence = _with_metrics(self.evidence, lambda value: value if math.isfinite(value) else str(value))
        reasons = list(self.decision.reasons)
        return {"version": self.version, "against": self.champion, "reasons": reasons, "evidence": evidence}

    @property
    def rules(self) -> pl.DataFrame:
        """The rules of the gate, as `gate_rules.table` returns them."""
        return pl.DataFrame(self.evidence["rules"], schema=gate_rules.TABLE)


def evaluate(settings: Settings, version: int, against: int | None = promotion.ANY_CHAMPION) -> Evaluation:
    """Return the gate's decision about a version, by default against the champion; the decision is not recorded.

    A version that was registered without a trial gets one, because its figures are seen here.

    Raises:
        ModelError: there is no such version, its run holds no out-of-sample scores, or a ledger is damaged.
    """
    decisions = promotion.history(settings)
    champion = promotion.in_force(settings, decisions) if against == promotion.ANY_CHAMPION else against
    candidate, rival = registry.find(settings, version), None
    if champion is not None and champion != version:
        try:
            rival = registry.find(settings, champion)
        except ModelError:
            if against != promotion.ANY_CHAMPION:
                raise
    own, levels = out_of_sample(settings, candidate), levels_of(settings)
    known = _evidence(settings, candidate, own, rival, decisions)
    if champion not in {None, version}:
        known = _against(settings, known, candidate, champion, rival, decisions)
    found = gate_rules.rules(known, levels)
    refused = tuple(f"{rule.name}: {rule.sentence}" for rule in found if not rule.passed)
    passed = f"each rule passed: {', '.join(rule.name for rule in found)}"
    decision = Decision(promote=not refused, reasons=refused or (passed,))
    if champion == version:
        decision = Decision(promote=False, reasons=("it is champion already",))
    horizon, sessions = candidate.integer(HORIZON), _rank_ics(settings, candidate, own, rival)
    theirs, paired = (
        _summary(sessions, column, horizon) if column in sessions.columns else None
        for column in ("champion", "difference")
    )
    evidence = {
        "rules": gate_rules.table(found).rows(named=True),
        "beside": gate_rules.beside(known, levels.luck),
        "challenger": _summary(sessions, "challenger", horizon),
        "champion": theirs,
        "paired": paired,
        "champion_version": None if rival is None else rival.number,
        "levels": asdict(levels),
        trials.TRIALS: known.independent + known.returns.width - 1,
        trials.LEDGER: known.ledger,
    }
    return Evaluation(version, champion, decision, evidence, sessions)


def levels_of(settings: Settings) -> gate_rules.Levels:
    """Return the levels of the gate's rules that are set."""
    return gate_rules.Levels(settings.gate_luck, settings.gate_neutral, settings.gate_champion)


def _evidence(
    settings: Settings,
    candidate: registry.Version,
    own: pl.DataFrame,
    rival: registry.Version | None,
    decisions: Sequence[Entry],
) -> gate_rules.Evidence:
    """Return what the rules of the gate judge a version by, from the trial ledger, its run and the lake.

    Styles, clusters by instrument and the checks of scores are computed here from the version's out-of-sample scores
    `own`, so a version of an own notebook is judged like any other. `decisions` are the lines of the promotion ledger.
    """
    lake, horizon = Lake(settings.lake), candidate.integer(HORIZON)
    (trial, *others), recorded = looks.of_versions(settings, candidate, *([] if rival is None else [rival]))
    _, scored = scores(settings, str(candidate.number))
    found = styled.judged_scores(lake, scored, own, recipes.construction_of(trial.recipe)[0], horizon)
    known = trials.evidence_of_luck(settings, trial, recorded, decisions, wider=found.wider)
    returns, count = known.returns, known.independent + known.returns.width
    returns = returns if looks.has_own_series(trial, candidate) else returns.drop(trial.id, strict=False)
    if others and others[0].id not in returns.columns:
        returns = _with_series(settings, returns, others[0].id, rival)
    checks = _checks(settings, candidate)
    return replace(
        known,
        returns=returns,
        horizon=max(horizon, known.horizon),
        own_horizon=horizon,
        checks=None if checks is None else pl.concat([checks, found.checks]),
        neutral_ic=found.neutral_ic,
        independent=count - returns.width,
        champion=others[0].id if others else None,
        proven=rival is not None and trials.has_passed_luck(decisions, rival.number),
    )


def _with_series(
    settings: Settings, returns: pl.DataFrame, name: str, version: registry.Version | None
) -> pl.DataFrame:
    """Return the matrix of returns with the series of a champion of an earlier release, from its out-of-sample scores.

    The trial ledger has none. Without the scores, or without bars of their sessions, the matrix stays as it is.
    """
    if version is None:
        return returns
    with suppress(ModelError):
        active = looks.simulated(settings, scores(settings, str(version.number))[1], recipes.tagged(version.tags))
        if active is not None and not (known := series.known(active)).is_empty():
            return returns.join(known.rename({"active": name}), on="trade_date", how="full", coalesce=True)
    return returns


def _against(
    settings: Settings,
    known: gate_rules.Evidence,
    candidate: registry.Version,
    champion: int | None,
    rival: registry.Version | None,
    decisions: Sequence[Entry],
) -> gate_rules.Evidence:
    """Return the evidence with what the champion did since its promotion; `rival` is None if the registry lost it."""
    known = replace(known, champion=known.champion or f"version {champion}")
    if rival is not None and (its := _universe(rival)) != (own := _universe(candidate)):
        apart = (
            f"Its universe is {own}, the champion's {its}: net returns less those of other benchmarks do not compare"
        )
        known = replace(known, apart=apart)
    promoted = next(iter(promotion_ledger.champions(decisions)[-1:]), None)
    if promoted is None or promoted.version != champion:
        return known  # another version was asked for, or the alias was set by hand
    lake, since = Lake(settings.lake), (promoted.effective or promoted.at).astimezone(clock.INDIA).date()
    sessions = [day for day in lake.sessions(BARS, since) if day > since]
    live = None
    if sessions and rival is not None:
        live = paper_account(lake, promoted, sessions[-1], recipes.tagged(rival.tags)).account.active
    return replace(known, promoted_on=since, live=live, sessions_since=len(sessions))


def _universe(version: registry.Version) -> str:
    """Return a version's universe in the form of today, as earlier versions of Champion stored fewer filters."""
    return stored(version.tags.get(UNIVERSE, "all")).text


def _checks(settings: Settings, version: registry.Version) -> pl.DataFrame | None:
    """Return the table of a version's leakage checks; a run of an own notebook may hold their result alone."""
    if (content := runs.read_file(settings, version.run_id, CHECKS)) is not None:
        return pl.read_parquet(io.BytesIO(content)).select("canary", "passed", "found")
    run = runs.known(settings, version.run_id)
    if run is None or (passed := run.metrics.get(CANARY)) is None:
        return None
    found = "skill where there can be none, and its run keeps no table of it"
    return pl.DataFrame({"canary": ["leakage"], "passed": [passed > 0], "found": [found]})


def returns_of(version: registry.Version) -> Returns:
    """Return what the forward returns of a version count: `total`, or `price` as in earlier releases."""
    return "total" if version.tags.get(RETURNS_TAG) == "total" else "price"


def _with_returns_of(scores: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return scores with the forward returns of another model, on the shares and sessions that both scored."""
    returns = other.select("instrument_id", "trade_date", "forward_return")
    return scores.drop("forward_return").join(returns, on=["instrument_id", "trade_date"])


def evaluate_and_promote(
    settings: Settings,
    version: int,
    *,
    reason: str = "",
    force: bool = False,
    strict: bool = False,
    report: str | None = None,
    evaluation: Evaluation | None = None,
) -> dict[str, Any]:
    """Evaluate a version and promote it if it passes the gate; the ledger records the decision either way.

    `evaluation` is used if it was made against the champion in force. If another process promotes in the meantime, the
    version is evaluated against the new champion. `report` is the run of the promotion notebook, kept in the ledger
    with the evidence. With `strict`, a refusal is an error.

    Returns version, promoted, reasons, rules, and the challenger's metrics.

    Raises:
        PromotionRefused: the gate refuses, and `strict` is set.
        UsageError: `force` without a reason.
        ModelError: there is no such version, or its run holds no out-of-sample scores.
    """
    promotion.repair(settings)
    if evaluation is not None and evaluation.champion != promotion.in_force(settings):
        evaluation = None
    for _ in range(_TRIES):
        evaluation = evaluation or evaluate(settings, version)
        judged, reasons = evaluation.evidence, list(evaluation.decision.reasons)
        known = {"version": version, "reasons": reasons, "rules": judged["rules"], **judged["challenger"]}
        if evaluation.champion == version:
            recovery.realign(settings)  # the alias may have been moved by hand
            return {**known, "promoted": False}
        try:
            promotion.promote(
                settings,
                version,
                evaluation.decision,
                reason=reason if force else reason or "; ".join(evaluation.decision.reasons),
                evidence={**evaluation.evidence, "report": report},
                force=force,
                against=evaluation.champion,
            )
        except DecisionOutdated:
            evaluation = None
        except PromotionRefused:
            if strict:
                raise
            return {**known, "promoted": False}
        else:
            return {**known, "promoted": True}
    raise ModelError(f"version {version} was not evaluated: the champion changed {_TRIES} times meanwhile; try again")


def promote_with_report(
    settings: Settings,
    version: int,
    run_report: Callable[[], Execution],
    *,
    reason: str = "",
    force: bool = False,
    strict: bool = False,
) -> tuple[dict[str, Any], str]:
    """Run the promotion notebook, which evaluates the version, and carry out the decision that it published.

    `run_report` runs the notebook, again unless nothing of `notebook_data.of_promotion` has changed.

    Returns the result of `evaluate_and_promote`, and the id of the notebook's run.

    Raises:
        NotebookError: the notebook failed. For the others see `evaluate_and_promote`.
    """
    report = run_report()
    evaluation, values = None, report.values
    if {"against", "reasons", "evidence"} <= values.keys() and values.get("version") == version:
        decision = Decision(promote=report.metrics.get("promote") == 1, reasons=tuple(values["reasons"]))
        evidence = _with_metrics(values["evidence"], float)
        # The report keeps the sessions as a table.
        evaluation = Evaluation(version, values["against"], decision, evidence, pl.DataFrame())
    decided = evaluate_and_promote(
        settings, version, reason=reason, force=force, strict=strict, report=report.run_id, evaluation=evaluation
    )
    return decided, report.run_id


def has_decision(settings: Settings, version: int) -> bool:
    """Whether the ledger holds a decision about a version."""
    return any(entry.version == version for entry in promotion.history(settings))


def out_of_sample(settings: Settings, version: registry.Version) -> pl.DataFrame:
    """Return a model version's out-of-sample scores: instrument_id, symbol, trade_date, fold, score, forward_return...

    Raises:
        ModelError: its run holds none.
    """
    if (content := runs.read_file(settings, version.run_id, OUT_OF_SAMPLE)) is None:
        raise ModelError(f"version {version.number}: its run {version.run_id} holds no {OUT_OF_SAMPLE}; train it again")
    return pl.read_parquet(io.BytesIO(content))


def scores(settings: Settings, which: str) -> tuple[str, pl.DataFrame]:
    """Return a name and the out-of-sample scores (instrument_id, trade_date, score) of a model version or training run.

    `which` is the number or an alias of a version, or a run's id or at least its first 8 characters. The scores are all
    those of the test sessions; runs of earlier releases kept only the ones whose forward return became known, and the
    name says so.

    Raises:
        ModelError: there is neither such a version nor such a run, or it holds no scores.
    """
    name, run_id, _ = looks.named(settings, which)
    for artifact, rest in ((SCORES, ""), (OUT_OF_SAMPLE, ", only scores whose return became known")):
        if (content := runs.read_file(settings, run_id, artifact)) is not None:
            return name + rest, pl.read_parquet(io.BytesIO(content)).select("instrument_id", "trade_date", "score")
    raise ModelError(
        f"{name} holds no out-of-sample scores ({OUT_OF_SAMPLE}); name a model version (`champion models list`) or a "
        "run of the notebook training (`champion status`)"
    )


def _with_metrics(evidence: Mapping[str, Any], convert: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the evidence with each metric of its parts converted."""
    return {
        name: {key: convert(value) for key, value in part.items()} if isinstance(part, dict) else part
        for name, part in evidence.items()
    }


def _rank_ics(
    settings: Settings, candidate: registry.Version, own: pl.DataFrame, rival: registry.Version | None
) -> pl.DataFrame:
    """Return each session's rank IC of both models, over the sessions that both scored out of sample.

    It decides nothing, so without such sessions, or scores of the champion, the candidate's own sessions are returned.
    """
    ours = metrics.rank_ic(own).rename({"ic": "challenger"})
    if rival is None:
        return ours
    try:
        theirs = out_of_sample(settings, rival)
    except ModelError:
        return ours
    if returns_of(rival) != returns_of(candidate):
        theirs = _with_returns_of(theirs, own)
    both = ours.join(metrics.rank_ic(theirs).rename({"ic": "champion"}), on="trade_date").sort("trade_date")
    return ours if both.is_empty() else both.with_columns(difference=pl.col("challenger") - pl.col("champion"))


def _summary(sessions: pl.DataFrame, column: str, horizon: int) -> dict[str, float]:
    summary = metrics.summarise_ic(sessions.select(ic=column), horizon)
    return {
        "rank_ic": summary["mean"],
        "rank_ic_t": summary["t"],
        "sessions": summary["sessions"],
        "horizon": float(horizon),
    }
