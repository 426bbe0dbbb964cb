"""All recorded trials of a workspace, and the correction of the best result for their number.

Scores of published sessions whose outcome becomes known are no trials: nothing was chosen after the outcome was seen.

>>> settings = workspace.settings()
>>> count(settings).total == frame(settings)["count"].sum() == trials()["count"].sum()
True
>>> matrix(settings).columns[0]
'trade_date'
>>> Count(total=12, with_series=10).independent
2
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from champion import workspace
from champion.base import clock
from champion.errors import UsageError
from champion.modeling.luck.gate_luck import Evidence
from champion.modeling.luck.overfitting import overfitting_of
from champion.modeling.metrics import SESSIONS_PER_YEAR, deflated_sharpe_ratio, sharpe_ratio
from champion.pipeline.models import looks, recipes
from champion.settings import Settings
from champion.tracking import experiments
from champion.tracking.trials import former_runs, grouping, ledger, series
from champion.tracking.trials.entry import Entry, digest
from champion.tracking.trials.grouping import Trial

if TYPE_CHECKING:
    from champion.tracking.promotion_ledger import Entry as Decided

EXPERIMENT = experiments.TRAINING
BY_HAND, PERIOD_SHARPE = former_runs.BY_HAND, former_runs.PERIOD_SHARPE
TRIAL, COUNTED, ESTIMATOR, LOOK = former_runs.TRIAL, former_runs.COUNTED, former_runs.ESTIMATOR, former_runs.LOOK
TRIALS, LEDGER = "trials", "trials_digest"
"""The evidence of a decision with the number of trials recorded by then, and the digest of these with their series."""
_FIGURES = {
    "id": pl.String, "recorded": pl.Date, "recipe": pl.String, "first": pl.Date, "last": pl.Date, "sessions": pl.Int64,
    "net_active_return": pl.Float64, "sharpe": pl.Float64, "source": pl.String, "run": pl.String, "count": pl.Int64,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Count:
    """The number of trials: `total`, those `with_series`, and those that count as `independent` without one."""

    total: int
    with_series: int

    @property
    def independent(self) -> int:
        """Trials without a known series."""
        return self.total - self.with_series


@dataclass(frozen=True, slots=True)
class Trials:
    """Earlier trials: their `count`, their Sharpe ratios per period, and their daily net active returns.

    `sessions` has trade_date and a column for each trial with a series, null where the trial has no session.
    """

    count: int
    sharpes: tuple[float, ...]
    sessions: pl.DataFrame


def trials() -> pl.DataFrame:
    """Return the trials of this workspace, oldest first: id, recipe in words, figures of the series, source and run.

    `net_active_return` is what the daily returns of the simulated account less its benchmark's compound to in 252
    sessions, a decimal; `sharpe` is the Sharpe ratio a year of the same daily differences. Both are null without a
    series. The account's `active_return` (`champion portfolio`) is another figure: its growth a year less the
    benchmark's. `count` is above 1 for declared trials.

    Raises:
        ModelError: the ledger is damaged.

    >>> trials().columns[:3]
    ['id', 'recorded', 'recipe']
    """
    return frame(workspace.settings())


def frame(settings: Settings) -> pl.DataFrame:
    """Return the trials of a workspace as `trials` does."""
    rows = [_row(settings, trial) for trial in recorded(settings)]
    return pl.DataFrame(rows, schema=_FIGURES, orient="row")


def recorded(settings: Settings) -> list[Trial]:
    """Return the trials of a workspace, oldest first.

    Raises:
        ModelError: the ledger is damaged.
        ServiceError: a store does not answer.
    """
    return grouping.trials(looks.opened(settings))


def count(settings: Settings) -> Count:
    """Return the number of trials. A trial whose series is lost or was changed counts as independent.

    Raises:
        ModelError: the ledger is damaged.
    """
    known = recorded(settings)
    return Count(sum(trial.count for trial in known), matrix(settings, known).width - 1)


def counted(found: pl.DataFrame) -> Count:
    """Return the same number from the frame of `trials`, without reading the series again.

    >>> counted(pl.DataFrame({"count": [1, 12], "sessions": [250, 0]})).independent
    12
    """
    return Count(int(found["count"].sum()), int((found["sessions"] > 0).sum()))


def matrix(settings: Settings, known: list[Trial] | None = None) -> pl.DataFrame:
    """Return trade_date and the daily net active returns of each trial with a series, in a column named by its id.

    Sessions are sorted; a trial's column is null where it has none. If looks of one trial share a session, the newest
    look's return counts.

    Raises:
        ModelError: the ledger is damaged.
    """
    chosen = recorded(settings) if known is None else known
    return series.side_by_side((trial.id, series_of(settings, trial)) for trial in chosen)


def horizon_of(trial: Trial) -> int:
    """Return the sessions over which the returns of a trial may depend on each other.

    It is the horizon of its labels, and at least the days between two decisions of its account.

    >>> from champion.portfolio.construction import Rule
    >>> from champion.portfolio.simulator import MarketRules
    >>> recipe = recipes.of_factor("v1", "return_5", universe="all", horizon=20, lag=1)
    >>> weekly, rare = recipe, recipes.constructed(recipe, Rule(every=63), MarketRules())
    >>> [horizon_of(Trial("t", one, [])) for one in ({}, weekly, rare)]
    [5, 20, 63]
    """
    return max(int(trial.recipe.get("target", {}).get("horizon", 1)), recipes.construction_of(trial.recipe)[0].every)


def evidence_of_luck(
    settings: Settings, trial: Trial, known: list[Trial], decisions: Sequence[Decided], *, wider: float
) -> Evidence:
    """Return what the rule of luck judges a trial by, among the `known` trials: for the gate, and for pages.

    Args:
        settings: the workspace.
        trial: the trial that is judged.
        known: all recorded trials that count.
        decisions: the lines of the promotion ledger.
        wider: the factor `multiplicity.widening` of the trial; NaN if it is not known.

    Raises:
        ModelError: the ledger is damaged.
    """
    returns, seen, horizon = matrix(settings, known), fingerprint(known), horizon_of(trial)
    # All trials of a ledger are judged together, so decisions about the same trials spend the level once.
    before = [int(one.evidence.get(TRIALS, 0)) for one in decisions if one.evidence.get(LEDGER) != seen]
    named = [result.series for result in trial.latest if result.series]
    further = [one for one in dict.fromkeys(named) if one != named[-1]]
    return Evidence(
        trial.id,
        returns,
        horizon=horizon,
        own_horizon=horizon,
        independent=sum(one.count for one in known) - (returns.width - 1),
        horizons={one.id: horizon_of(one) for one in known},
        judged_before=max(before, default=0),
        refits=sum(refits(one) for one in known),
        earlier=series.side_by_side((f"earlier {digest}", series.get(settings, digest)) for digest in further),
        ledger=seen,
        wider=wider,
    )


def has_passed_luck(decisions: Sequence[Decided], version: int) -> bool:
    """Return whether a version became champion because it passed the rule of luck; a forced promotion shows nothing.

    >>> has_passed_luck([], 1)
    False
    """
    promoted = [one for one in decisions if (one.version, one.kind, one.state) == (version, "promote", "done")]
    judged = [rule for one in promoted if not one.forced for rule in one.evidence.get("rules", ())]
    return any(rule["rule"] == "luck" and rule["passed"] for rule in judged)


def refits(trial: Trial) -> int:
    """Return how many further series a trial has, because it was fitted again on more sessions or on other data.

    >>> refits(Trial("t", {}, []))
    0
    """
    return max(len({result.series for result in trial.results.values() if result.series}) - 1, 0)


def fingerprint(known: list[Trial]) -> str:
    """Return the SHA-256 of trials and their series: it changes with each new trial, and each longer series.

    >>> fingerprint([])[:8]
    '4f53cda1'
    """
    return digest([[one.id, one.count, *(each.series for each in one.latest)] for one in known])


def series_of(settings: Settings, trial: Trial) -> pl.DataFrame | None:
    """Return trade_date and active of a trial; None if it has no series, or all of its files are lost."""
    parts, spans = list[pl.DataFrame](), list[tuple[date, date]]()
    for result in reversed(trial.latest):
        first, last = result.start or date.min, result.end or date.max
        is_hidden = any(begin <= first and last <= end for begin, end in spans)  # by a newer series
        if result.series and not is_hidden and (found := series.get(settings, result.series)) is not None:
            parts.append(found)
            spans.append((first, last))
    if not parts:
        return None
    return pl.concat(parts).unique("trade_date", keep="first", maintain_order=True).sort("trade_date")


def lost(settings: Settings, known: list[Trial]) -> list[str]:
    """Return the digests of series that the ledger names, and whose file is missing or was changed."""
    named = {result.series for trial in known for result in trial.results.values() if result.series}
    return sorted(one for one in named if series.get(settings, one) is None)


def declare(settings: Settings, number: int, note: str) -> Entry:
    """Add trials that Champion could not see, and return the entry.

    Raises:
        UsageError: the number is below 1, or there is no note.
    """
    if number < 1 or not note.strip():
        raise UsageError("declare at least one trial, and say in --note what was tried")
    looks.opened(settings)
    at = clock.now()
    named = f"declared-{digest([number, note, at.isoformat()])[:10]}"
    entry = Entry(kind="declare", id=named, at=at, source="declared", count=number, note=note.strip())
    ledger.add(settings, [entry])
    ledger.write_anchor(settings)
    return entry


def known(settings: Settings, look: str | None = None) -> Trials:
    """Return the recorded trials without the one that has the look of this id, which is being judged.

    Raises:
        ModelError: the ledger is damaged.
    """
    others = [trial for trial in recorded(settings) if not any(one.id == look for one in trial.looks)]
    figures = [trial.latest[-1].figures for trial in others if trial.latest]
    sharpes = tuple(found[PERIOD_SHARPE] for found in figures if PERIOD_SHARPE in found)
    return Trials(sum(trial.count for trial in others), sharpes, matrix(settings, others))


def deflated(trials: Trials, net_returns: pl.Series) -> dict[str, float]:
    """Return `trials` (this one included), `sharpe_per_period` and `deflated_sharpe` of a strategy's period returns.

    The deflated Sharpe ratio is the probability that the strategy's Sharpe ratio exceeds the best of as many trials
    without skill. The last two are left out if the returns do not vary.
    """
    from scipy.stats import kurtosis, skew  # noqa: PLC0415 - slow to import

    returns = net_returns.to_numpy()
    if len(returns) < 3 or math.isnan(sharpe := sharpe_ratio(net_returns, 1)):  # noqa: PLR2004 - a skew needs three
        return {"trials": trials.count + 1.0}
    sharpes = np.array([*trials.sharpes, sharpe])
    probability = deflated_sharpe_ratio(
        sharpe,
        trials=trials.count + 1,
        variance=float(sharpes.var(ddof=1)) if len(sharpes) > 1 else 0.0,
        periods=len(returns),
        skew=float(skew(returns)),
        kurtosis=float(kurtosis(returns, fisher=False)),
    )
    return {"trials": trials.count + 1.0, PERIOD_SHARPE: sharpe, "deflated_sharpe": probability}


def overfitting(trials: Trials, active: pl.DataFrame | None) -> dict[str, float]:
    """Return `overfitting_probability` over this trial and earlier ones; empty if there are too few to compare.

    `active` has trade_date and active, this trial's daily net active returns; see `overfitting.overfitting_of`.
    """
    if active is None:
        return {}
    this = active.select("trade_date", _this="active")
    return overfitting_of("_this", trials.sessions.join(this, on="trade_date", how="right"))


def figures(active: pl.Series) -> tuple[float, float | None]:
    """Return what daily net active returns compound to in 252 sessions, and their annualised Sharpe ratio.

    The Sharpe ratio is None if the returns are equal.

    >>> figures(pl.Series([0.0, 0.0]))
    (0.0, None)
    """
    sharpe = sharpe_ratio(active, SESSIONS_PER_YEAR)
    growth = float((1 + active).product()) ** (SESSIONS_PER_YEAR / len(active)) - 1
    return growth, sharpe if math.isfinite(sharpe) else None


def _row(settings: Settings, trial: Trial) -> tuple[object, ...]:
    first = trial.looks[0]
    days = pl.Series([one for look in trial.looks for one in (look.start, look.end)], dtype=pl.Date)
    sessions, growth, sharpe = 0, None, None
    if (held := series_of(settings, trial)) is not None:
        days, sessions = held["trade_date"], held.height
        growth, sharpe = figures(held["active"])
    at = first.at.astimezone(clock.INDIA).date()
    span = (days.min(), days.max(), sessions)
    return (trial.id, at, recipes.words(trial.recipe), *span, growth, sharpe, first.source, first.run, trial.count)
