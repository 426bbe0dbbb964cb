"""Evaluate a challenger against the champion, on sessions that both scored out of sample, and promote by the gate."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from champion.errors import DecisionOutdated, ModelError, PromotionRefused, UsageError
from champion.modeling import metrics
from champion.modeling.labels import Returns
from champion.modeling.universe import stored
from champion.pipeline.models import looks
from champion.settings import Settings
from champion.tracking import promotion, recovery, registry, runs
from champion.tracking.promotion import Decision, Rules

if TYPE_CHECKING:
    from champion.runner import Execution

OUT_OF_SAMPLE = "result/tables/out_of_sample.parquet"
SCORES = "result/tables/scores.parquet"  # of the same sessions, with the rows whose forward return is not known
CANARY = "canary_passed"
HORIZON, LAG, UNIVERSE, TRAIN_END = "champion.horizon", "champion.lag", "champion.universe", "champion.learnt_to"
RETURNS_TAG = "champion.returns"  # a version without it was trained on returns of the price
LABEL_END = "champion.knew_to"  # the last session whose prices a label of the training rows depends on
_TRIES = 5
_SHORT = 8  # characters of a run's id


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The gate's decision about a version, and the evidence for it.

    `champion` is the version it was compared with, None without one. `evidence` goes to the promotion ledger.
    `sessions` has trade_date and the rank IC of each session that both models scored out of sample, as `challenger`
    and, with a champion, `champion` and `difference`.
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


def evaluate(settings: Settings, version: int, against: int | None = promotion.ANY_CHAMPION) -> Evaluation:
    """Return the gate's decision about a version, by default against the champion; the decision is not recorded.

    A version that was registered without a trial gets one, because its figures are seen here.

    Raises:
        ModelError: there is no such version, its run holds no out-of-sample scores, or the two share no session.
    """
    champion = promotion.in_force(settings) if against == promotion.ANY_CHAMPION else against
    candidate = registry.find(settings, version)
    looks.of_version(settings, candidate)
    rival, scores, incomparable = None, None, list[str]()
    if champion is not None and champion != version:
        try:
            rival = registry.find(settings, champion)
            scores = out_of_sample(settings, rival)
            if returns_of(rival) != returns_of(candidate):
                scores = _with_returns_of(scores, out_of_sample(settings, candidate))
        except ModelError as error:
            if against != promotion.ANY_CHAMPION:
                raise
            # The gate refuses, and a person may decide.
            rival, incomparable = None, [f"no comparison with the champion is possible: {error}"]
    horizon = candidate.integer(HORIZON)
    sessions = _rank_ics(out_of_sample(settings, candidate), scores)
    ours = _summary(sessions, "challenger", horizon)
    columns = ("champion", "difference")
    theirs, paired = (None if rival is None else _summary(sessions, column, horizon) for column in columns)
    run, rules = runs.known(settings, candidate.run_id), Rules(settings.gate_margin, settings.gate_level)
    canary = None if run is None else run.metrics.get(CANARY)
    decision = promotion.gate(ours, theirs, paired=paired, rules=rules, canary=None if canary is None else canary > 0)
    if rival is not None:  # they predict other horizons, or other universes
        named = ((HORIZON, "horizon"), (LAG, "lag"), (UNIVERSE, "universe"))
        tasks = [(name, *(_task(one.tags, tag) for one in (candidate, rival))) for tag, name in named]
        incomparable = [
            f"its {name} is {its}, the champion's {other}: not comparable" for name, its, other in tasks if its != other
        ]
    if champion == version:
        decision = Decision(promote=False, reasons=("it is champion already",))
    elif incomparable:
        decision = Decision(promote=False, reasons=(*incomparable, *(() if decision.promote else decision.reasons)))
    compared = {"challenger": ours, "champion": theirs, "paired": paired}
    limits = {"margin": rules.margin, "level": rules.level, "canary": canary}
    evidence = {**compared, "champion_version": None if rival is None else rival.number, **limits}
    return Evaluation(version, champion, decision, evidence, sessions)


def returns_of(version: registry.Version) -> Returns:
    """Return what the forward returns of a version count: `total`, or `price` as in earlier releases."""
    return "total" if version.tags.get(RETURNS_TAG) == "total" else "price"


def _with_returns_of(scores: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return scores with the forward returns of another model, on the shares and sessions that both scored."""
    returns = other.select("instrument_id", "trade_date", "forward_return")
    return scores.drop("forward_return").join(returns, on=["instrument_id", "trade_date"])


def _task(tags: Mapping[str, str], tag: str) -> str | None:
    """Return a tag's value; a universe in the form of today, as earlier versions of Champion stored fewer filters."""
    value = tags.get(tag)
    return stored(value).text if tag == UNIVERSE and value is not None else value


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

    Returns version, promoted, reasons, and the challenger's metrics.

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
        known = {"version": version, "reasons": list(evaluation.decision.reasons), **evaluation.evidence["challenger"]}
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
    run_report: Callable[[Mapping[str, str]], Execution],
    *,
    reason: str = "",
    force: bool = False,
    strict: bool = False,
) -> tuple[dict[str, Any], str]:
    """Run the promotion notebook, which evaluates the version, and carry out the decision that it published.

    `run_report` runs the notebook; its argument has the digests of the data that the notebook reads, by name.

    Returns the result of `evaluate_and_promote`, and the id of the notebook's run.

    Raises:
        NotebookError: the notebook failed. For the others see `evaluate_and_promote`.
    """
    champion, gate = promotion.in_force(settings), f"margin {settings.gate_margin}, level {settings.gate_level}"
    models = {"model": f"{registry.MODEL}/{version}", "champion": f"{registry.MODEL}/{champion}"}
    report = run_report({**models, "gate": gate})
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
    try:
        version = registry.find(settings, int(which) if which.isdigit() else which)
        name, run_id = f"version {version.number}", version.run_id
    except ModelError as error:
        if len(which) < _SHORT:
            raise
        try:
            run_id = runs.find(settings, which).run_id
        except UsageError as no_run:
            raise ModelError(f"{error}; {no_run}") from None
        name = f"run {run_id}"
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


def _rank_ics(challenger: pl.DataFrame, champion: pl.DataFrame | None) -> pl.DataFrame:
    """Return each session's rank IC of both models, over the sessions that both scored out of sample."""
    ours = metrics.rank_ic(challenger).rename({"ic": "challenger"})
    if champion is None:
        return ours
    both = ours.join(metrics.rank_ic(champion).rename({"ic": "champion"}), on="trade_date").sort("trade_date")
    if both.is_empty():
        raise ModelError("challenger and champion share no out-of-sample session: train on overlapping ranges")
    return both.with_columns(difference=pl.col("challenger") - pl.col("champion"))


def _summary(sessions: pl.DataFrame, column: str, horizon: int) -> dict[str, float]:
    summary = metrics.summarise_ic(sessions.select(ic=column), horizon)
    return {
        promotion.RANK_IC: summary["mean"],
        promotion.T_STAT: summary["t"],
        promotion.SESSIONS: summary["sessions"],
        promotion.HORIZON: float(horizon),
    }
