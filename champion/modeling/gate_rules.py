"""The rules of the promotion gate: each has a figure, a threshold, a verdict and a sentence.

1. `data`: the leakage checks were run, and found nothing.
2. `luck`: the net active return beats what the best of all recorded trials would show by luck.
3. `neutral skill`: the scores rank returns after style and sector are removed from both.
4. `champion`: the net active return beats the champion's on the sessions that both have.

A figure that is not known is a refusal. The champion does not block a version once its own net active return, on the
sessions since its promotion, is no longer above zero at the gate's level. A champion whose returns are not known, such
as one of an earlier release whose scores are lost, blocks for as many sessions as this judgement needs. Deflated Sharpe
ratio and probability of overfitting are shown beside; they decide nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from scipy.stats import kurtosis, skew, t as student

from champion.base.counting import quantity
from champion.errors import ModelError
from champion.modeling import multiplicity
from champion.modeling.luck.gate_luck import Evidence, Levels, earlier_series, judged, numbers, spent
from champion.modeling.luck.overfitting import overfitting_of
from champion.modeling.metrics import deflated_sharpe_ratio, summarise_ic
from champion.modeling.multiplicity import Luck

__all__ = ["TABLE", "Evidence", "Levels", "RuleResult", "beside", "judged", "rules", "table"]
__dir__ = __all__.copy

TABLE = {
    "rule": pl.String, "figure": pl.Float64, "threshold": pl.Float64, "passed": pl.Boolean, "sentence": pl.String,
}  # fmt: skip
"""The columns of `table`."""
_UNKNOWN = math.nan
_CHAMPION, _LIVE = "_champion", "_live"  # columns beside those of the trials
_REMEDIES = {
    "shuffled labels": "the score depends on its own label through something else than the inputs: look for state that "
    "the model or its preparation keeps between rows",
    "implausible inputs": "no input ranks returns so well: look for prices of later sessions in its expression, such "
    "as a shift with a negative number or a return that ends after the session",
    "recomputed inputs": "they change when they are computed again without later bars: correct the expression, then "
    "run `champion features` and train again",
    "scores": "correct the model or its inputs, and train it again",
    "score of the next session": "a score made after the close cannot rank the session that follows so well: look for "
    "prices of a later session in its inputs, or for scores joined to the wrong session",
    "score of its own label": "no score ranks its own label so well: look for rows that the model was trained on among "
    "those that it scored, or for prices of later sessions in its inputs",
}
_LISTED = {"implausible inputs", "recomputed inputs"}  # checks whose finding is a list of inputs


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule of the gate: its name, its figure and threshold (NaN if unknown), its verdict, and why.

    >>> RuleResult("luck", 1.9, 1.4, True, "The Sharpe ratio is 1.90; luck reaches 1.40.").passed
    True
    """

    name: str
    figure: float
    threshold: float
    passed: bool
    sentence: str


def rules(evidence: Evidence, levels: Levels | None = None) -> list[RuleResult]:
    """Return the gate's rules about a version, in the order above; the last one only with a champion.

    >>> found = rules(Evidence("t1", pl.DataFrame({"trade_date": []}), horizon=5, own_horizon=5))
    >>> [(rule.name, rule.passed) for rule in found]
    [('data', False), ('luck', False), ('neutral skill', False)]
    """
    levels = levels or Levels()
    found = [_data(evidence.checks), _luck(evidence, levels.luck), _neutral_skill(evidence, levels.neutral)]
    if evidence.champion is not None:
        found.append(_champion(evidence, levels.champion))
    return found


def table(found: Sequence[RuleResult]) -> pl.DataFrame:
    """Return the rules as a frame: rule, figure, threshold, passed, sentence; an unknown number is null.

    >>> table([RuleResult("data", float("nan"), 0.0, False, "Not run.")]).row(0)
    ('data', None, 0.0, False, 'Not run.')
    """
    rows = [(rule.name, rule.figure, rule.threshold, rule.passed, rule.sentence) for rule in found]
    return pl.DataFrame(rows, schema=TABLE, orient="row").with_columns(
        pl.when(pl.col(name).is_finite()).then(name).alias(name) for name in ("figure", "threshold")
    )


def beside(evidence: Evidence, level: float) -> dict[str, float]:
    """Return deflated_sharpe, effective_trials and overfitting_probability of a version, without the unknown.

    The deflated Sharpe ratio counts the effective number of trials, `multiplicity.Luck.effective` at `level`. See
    `overfitting_of` for the probability of overfitting.

    >>> import numpy as np
    >>> daily = pl.DataFrame({"trade_date": range(300), "t1": np.random.default_rng(1).normal(0.001, 0.005, 300)})
    >>> round(beside(Evidence("t1", daily, horizon=5, own_horizon=5), 0.025)["deflated_sharpe"], 2)
    0.97
    """
    if evidence.trial not in evidence.returns.columns:
        return {}
    overfitted = overfitting_of(evidence.trial, evidence.returns)
    values = evidence.returns[evidence.trial].drop_nulls().to_numpy()
    try:
        luck = judged(evidence, level)
    except ModelError:  # too few sessions
        return overfitted
    if math.isnan(luck.score):
        return overfitted
    # Sharpe ratios of trials without skill have the variance 1 / sessions.
    deflated = deflated_sharpe_ratio(
        float(values.mean() / values.std(ddof=1)),
        trials=max(round(luck.effective), 1),
        variance=1 / len(values),
        periods=len(values),
        skew=float(skew(values)),
        kurtosis=float(kurtosis(values, fisher=False)),
    )
    return {"deflated_sharpe": deflated, "effective_trials": luck.effective, **overfitted}


def _data(checks: pl.DataFrame | None) -> RuleResult:
    if checks is None or checks.is_empty():
        return RuleResult(
            "data", _UNKNOWN, 0.0, passed=False, sentence="The leakage checks were not run: train it again."
        )
    failed = checks.filter(~pl.col("passed").fill_null(value=False))
    if failed.is_empty():
        ran = quantity(checks.height, "leakage check")
        return RuleResult("data", 0.0, 0.0, passed=True, sentence=f"{ran} found nothing.")
    parts = []
    for check, found in failed.select("canary", "found").iter_rows():
        if found == "not run":
            parts.append(f"The check of {check} was not run: train it again.")
            continue
        what = f"inputs {found}" if check in _LISTED else str(found)
        parts.append(f"The check of {check} found {what}; {_REMEDIES.get(check, 'see the training notebook')}.")
    return RuleResult("data", float(failed.height), 0.0, passed=False, sentence=" ".join(parts))


def _luck(evidence: Evidence, level: float) -> RuleResult:
    if evidence.trial not in evidence.returns.columns:
        sentence = "Its trial has no series of daily net active returns: train it again, with the simulated portfolio."
        return RuleResult("luck", _UNKNOWN, _UNKNOWN, passed=False, sentence=sentence)
    if math.isnan(evidence.wider):
        sentence = "Whether a few instruments earned it is not known: its scores have no decision with known returns."
        return RuleResult("luck", _UNKNOWN, _UNKNOWN, passed=False, sentence=sentence)
    rate = spent(evidence, level)
    try:
        luck = judged(evidence, rate)
    except ModelError as error:
        return RuleResult("luck", _UNKNOWN, _UNKNOWN, passed=False, sentence=f"Its series cannot be judged: {error}.")
    if math.isnan(luck.score):
        few = f"{quantity(luck.sessions, 'session')} in blocks of {luck.block}"
        needed = quantity(multiplicity.FEWEST_BLOCKS * luck.block, "session")
        sentence = f"Its series has {few} or does not vary; it needs at least {needed}: train on more."
        return RuleResult("luck", _UNKNOWN, _UNKNOWN, passed=False, sentence=sentence)
    refits = 0 if evidence.is_exempt else earlier_series(evidence).width
    trials = f"{quantity(luck.trials - refits, 'recorded trial')}"
    also = f", and of {quantity(refits, 'earlier series', 'earlier series')} of this one," if refits else ""
    sentence = (
        f"The Sharpe ratio of its daily net active returns is {luck.sharpe:.2f} a year over "
        f"{quantity(luck.sessions, 'session')}; the best of {trials}{also} without skill "
        f"exceeds {luck.sharpe_needed:.2f} at a rate of {rate:.2%} (p-value {luck.p_value:.4f})."
    )
    if not luck.passed:
        sentence += " More sessions lower what is needed, and each further trial or refit raises it."
    return RuleResult("luck", luck.sharpe, luck.sharpe_needed, passed=luck.passed, sentence=sentence)


def _neutral_skill(evidence: Evidence, level: float) -> RuleResult:
    name = "neutral skill"
    if evidence.neutral_ic is None:
        sentence = "Its skill after style and sector was not measured: train it again."
        return RuleResult(name, _UNKNOWN, _UNKNOWN, passed=False, sentence=sentence)
    summary = summarise_ic(evidence.neutral_ic, evidence.own_horizon)
    freedom = summary["sessions"] / evidence.own_horizon - 1
    needed = float(student.ppf(1 - level, freedom)) if freedom > 0 else math.inf
    sentence = (
        f"After volatility, beta, liquidity and sector are removed, its mean rank IC is {summary['mean']:.4f} over "
        f"{quantity(round(summary['sessions']), 'session')}, with a t-statistic of {summary['t']:.2f}; chance exceeds "
        f"{needed:.2f} at a rate of {level:.1%}."
    )
    return RuleResult(name, summary["t"], needed, passed=bool(summary["t"] >= needed), sentence=sentence)


def _champion(evidence: Evidence, level: float) -> RuleResult:
    name, returns = "champion", _with_champion(evidence)
    whose, standing = _standing(evidence, returns, level)
    if standing is not None and not standing.passed:
        sentence = (
            f"The champion does not block: since its promotion on {evidence.promoted_on} the Sharpe ratio of the daily "
            f"net active returns of {whose} is {standing.sharpe:.2f} a year over "
            f"{quantity(standing.sessions, 'session')}, below {standing.sharpe_needed:.2f}, which chance exceeds at a "
            f"rate of {level:.1%}."
        )
        return RuleResult(name, _UNKNOWN, _UNKNOWN, passed=True, sentence=sentence)
    if evidence.trial == evidence.champion:
        sentence = "It is a refit of the champion's recipe, whose series it continues: there is nothing to compare."
        return RuleResult(name, _UNKNOWN, _UNKNOWN, passed=True, sentence=sentence)
    difference = None
    if evidence.trial in evidence.returns.columns and not evidence.apart:
        horizon = max(evidence.horizon, _champions_horizon(evidence))
        difference = _alone(returns, pl.col(evidence.trial) - pl.col(_CHAMPION), horizon, level)
    if difference is None:
        return _not_compared(evidence, returns, is_standing=standing is not None)
    sentence = (
        f"The Sharpe ratio of its daily net active returns less the champion's is {difference.sharpe:.2f} a year over "
        f"{quantity(difference.sessions, 'common session')}; chance exceeds {difference.sharpe_needed:.2f} at a rate "
        f"of {level:.1%}."
    )
    return RuleResult(name, difference.sharpe, difference.sharpe_needed, passed=difference.passed, sentence=sentence)


def _not_compared(evidence: Evidence, returns: pl.DataFrame, *, is_standing: bool) -> RuleResult:
    """Return the rule about a champion whose returns cannot be compared with those of the version.

    `is_standing` is whether the champion earned something since its promotion.
    """
    longest = multiplicity.dependence(max(evidence.horizon, _champions_horizon(evidence)))
    name, needed = "champion", multiplicity.FEWEST_BLOCKS * longest
    known, since = returns[_CHAMPION].count(), evidence.sessions_since
    if known >= needed and not evidence.apart:
        common = 0
        if evidence.trial in returns.columns:
            common = returns.drop_nulls([evidence.trial, _CHAMPION]).height
        shared = quantity(common, "session")
        sentence = (
            f"It shares {shared} with the champion and {needed} are needed: train on the champion's sessions too."
        )
        if common >= needed:
            sentence = f"On {shared} it earns exactly what the champion earns: nothing shows that it is better."
        return RuleResult(name, _UNKNOWN, _UNKNOWN, passed=False, sentence=sentence)
    if since >= needed and not is_standing:
        sentence = (
            f"The champion does not block: {quantity(since, 'session')} after its promotion, no scores that it "
            f"published show what it earned over {quantity(needed, 'session')}."
        )
        return RuleResult(name, _UNKNOWN, _UNKNOWN, passed=True, sentence=sentence)
    few = f"The champion's daily net active returns are known for {quantity(known, 'session')}, and {needed} are needed"
    so_far = f"until {quantity(needed, 'session')} since its promotion are known, {since} so far"
    until = "while it earns more than chance" if is_standing else so_far
    sentence = f"{evidence.apart or few}. It blocks {until}; a person may promote with force and a reason."
    return RuleResult(name, _UNKNOWN, _UNKNOWN, passed=False, sentence=sentence)


def _with_champion(evidence: Evidence) -> pl.DataFrame:
    """Return the returns with the champion's series, completed by its live returns, in a separate column."""
    own = pl.col(str(evidence.champion)) if evidence.champion in evidence.returns.columns else pl.lit(None, pl.Float64)
    live = evidence.returns.select("trade_date", pl.lit(None, pl.Float64).alias("active")).clear()
    live = (live if evidence.live is None else evidence.live).select("trade_date", pl.col("active").alias(_LIVE))
    both = evidence.returns.join(live, on="trade_date", how="full", coalesce=True)
    return both.with_columns(pl.coalesce(own, _LIVE).alias(_CHAMPION))


def _standing(evidence: Evidence, returns: pl.DataFrame, level: float) -> tuple[str, Luck | None]:
    """Return whether the champion earned anything since its promotion, and the series that shows it in words.

    Its published scores show it. If there are too few of them, refits of its recipe on these sessions do: the champion
    itself has no out-of-sample scores there. None if too few sessions are known.
    """
    if evidence.promoted_on is None:
        return "", None
    since = returns.filter(pl.col("trade_date") > evidence.promoted_on)
    series = {_LIVE: "the scores that it published in time", _CHAMPION: "refits of its recipe and its published scores"}
    for column, whose in series.items():
        if (found := _alone(since, pl.col(column), _champions_horizon(evidence), level)) is not None:
            return whose, found
    return "", None


def _champions_horizon(evidence: Evidence) -> int:
    return evidence.horizons.get(str(evidence.champion), evidence.horizon)


def _alone(returns: pl.DataFrame, series: pl.Expr, horizon: int, level: float) -> Luck | None:
    """Return whether the mean of one series is above 0 at a level; None if it is too short or does not vary."""
    values = numbers(returns.sort("trade_date").select(series.alias("series")).drop_nulls())
    if len(values) < multiplicity.FEWEST_BLOCKS * multiplicity.dependence(horizon):
        return None
    luck = multiplicity.beyond_luck(values, 0, horizon=horizon, level=level)
    return None if math.isnan(luck.score) else luck
