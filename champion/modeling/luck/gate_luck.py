"""What the gate knows about a version, and its judgement of luck at the level of one decision.

The gate and the page of a search judge luck by `judged`, at the level `spent`, so all decisions of a workspace together
keep one level:

1. A chance is a series of net active returns that may look good by luck: that of a new trial, or that of a refit, which
   is a trial's series fitted again with more sessions.
2. Each decision has a part of the level, and the parts of all chances, however many, sum to less than the level (alpha
   spending, Lan and DeMets 1983, with a sum over chances as in alpha investing, Foster and Stine 2008). So the rate at
   which a recipe without skill is ever promoted, over any number of refits, is bounded by the level.
3. A refit is a chance when it is recorded, whether a decision was asked for or not: its figures are seen, and asking
   only if they are good is asking each time.
4. A refit is nearly the series before it. The earlier series of a candidate are judged beside its last one, by draws
   that keep their dependence (`multiplicity.bootstrap`), so many nearly equal series hardly raise the critical value;
   their number lowers the level, though slowly. The 52nd series of a single trial has 4.0% of the level: of 2.5% that
   is a score of 3.09, instead of 1.96 for a single decision and 4.12 if the 52 series were independent.
5. The bound rests on the largest of equally distributed scores being the newest one with equal chance. It holds for
   series that depend on each other equally, and the more so for independent ones. For one longer series it is a
   boundary that grows faster than the law of the iterated logarithm; `benchmarks/evidence/gate_refits.py` measures it.

Sources: K. Lan and D. DeMets, Discrete Sequential Boundaries for Clinical Trials, Biometrika 70 (1983); D. Foster and
R. Stine, Alpha-investing, Journal of the Royal Statistical Society B 70 (2008).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl

from champion.modeling import multiplicity
from champion.modeling.multiplicity import Floats, Luck

__all__ = ["Evidence", "Levels", "earlier_series", "judged", "numbers", "spent", "spent_level"]
__dir__ = __all__.copy

_UNKNOWN = math.nan


@dataclass(frozen=True, slots=True)
class Levels:
    """The gate's levels: the rates at which each rule may pass a version without skill.

    Args:
        luck: of all decisions of the trial ledger together, for net active return; see `spent_level`.
        neutral: for skill after neutralisation.
        champion: for the difference to the champion, and for the champion's own return since its promotion.

    >>> Levels().luck
    0.025
    """

    luck: float = 0.025
    neutral: float = 0.025
    champion: float = 0.025


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the gate knows about a version.

    Args:
        trial: the version's column in `returns`.
        returns: trade_date and the daily net active returns of each recorded trial with a series, null where it has no
            session.
        horizon: sessions over which the version's returns may depend on each other: the horizon of its labels, and at
            least the days between two decisions of its account.
        own_horizon: the horizon of the version's labels.
        checks: the table of `leakage_checks.LeakageChecks`; None if they were not run.
        neutral_ic: trade_date and ic from `styles.neutral_ic`; None if it was not measured.
        independent: number of recorded trials without a series.
        horizons: the horizon of each other trial in `returns`, by its column; one that is not named has `horizon`.
        judged_before: number of recorded trials at the time of the gate's last decision about other trials or series.
        refits: further series of all recorded trials, because they were fitted again with more sessions.
        earlier: trade_date and the earlier series of the version's trial, which are judged beside its last one.
        ledger: a digest of the recorded trials and their series.
        wider: the factor `multiplicity.widening` of the version; NaN, unknown, is a refusal.
        proven: whether the champion was promoted by the rule of luck and not by force. A refit of its recipe is then no
            new chance.
        champion: the champion's column in `returns`, which lacks it if the champion has no series; None without a
            champion.
        promoted_on: the date of the champion's promotion.
        live: trade_date and active, the champion's daily net active returns by the scores it published since then.
        sessions_since: sessions of the market since the champion's promotion.
        apart: why the returns of both cannot be compared, as a sentence without full stop; empty if they can.

    >>> daily = pl.DataFrame({"trade_date": [date(2024, 1, 1)], "t1": [0.001]})
    >>> Evidence("t1", daily, horizon=5, own_horizon=5).champion is None
    True
    >>> [Evidence("t1", daily, 5, 5, champion="t1", proven=proven).is_exempt for proven in (True, False)]
    [True, False]
    """

    trial: str
    returns: pl.DataFrame
    horizon: int
    own_horizon: int
    checks: pl.DataFrame | None = None
    neutral_ic: pl.DataFrame | None = None
    independent: int = 0
    horizons: Mapping[str, int] = field(default_factory=dict)
    judged_before: int = 0
    refits: int = 0
    earlier: pl.DataFrame | None = None
    ledger: str = ""
    wider: float = _UNKNOWN
    proven: bool = False
    champion: str | None = None
    promoted_on: date | None = None
    live: pl.DataFrame | None = None
    sessions_since: int = 0
    apart: str = ""

    @property
    def is_exempt(self) -> bool:
        """Whether the version is a refit of a champion that passed the rule of luck, so nothing new is tried."""
        return self.proven and self.trial == self.champion


def spent_level(level: float, trials: int, before: int = 0, refits: int = 0, own: int = 0) -> float:
    """Return the level of one decision: all decisions of a ledger together pass luck at most at the rate `level`.

    Args:
        level: the rate at which any decision may ever pass a trial without skill.
        trials: trials recorded now.
        before: trials recorded at the time of the last decision, 0 before the first.
        refits: further series of all recorded trials, which are fitted again as sessions are added.
        own: those of the candidate, which are judged beside its last one.

    A chance is a trial, or a further series of one. The first passage of one of n new chances among K that are judged
    together is the largest of the K scores, so it has the rate n / K of the decision's level. After C chances
    1 / (1 + ln(1 + C)) of the level is left for all that follow, so the rates of all decisions sum to less than the
    level, however many there are. One decision after a search of 200 trials has 84% of the level, the decision about
    the first trial 41%, and about the 200th, if each was judged when it was recorded, 2.5%. A decision without a new
    trial counts as one about a single new chance.

    >>> [round(spent_level(0.025, *trials), 4) for trials in ((200, 0), (1, 0), (200, 199))]
    [0.021, 0.0102, 0.0006]
    >>> [round(spent_level(0.025, 1, 1, refits, refits), 5) for refits in (0, 1, 51)]
    [0.01023, 0.00571, 0.00101]
    """
    new = min(max(trials - before, 1), trials)
    count = trials + refits
    left = [1 / (1 + math.log1p(chances)) for chances in (count - new, count)]
    return level * (left[0] - left[1]) * (trials + own) / new


def spent(evidence: Evidence, level: float) -> float:
    """Return the level of this decision about luck, of the level of all: see `spent_level`.

    >>> found = Evidence("t1", pl.DataFrame({"trade_date": [], "t1": []}), 5, 5, refits=1)
    >>> round(spent(found, 0.025), 4), round(spent(Evidence("t1", found.returns, 5, 5), 0.025), 4)
    (0.0029, 0.0102)
    """
    if evidence.is_exempt:
        return level
    count, own = evidence.returns.width - 1 + evidence.independent, earlier_series(evidence).width
    return spent_level(level, count, evidence.judged_before, max(evidence.refits, own), own)


def judged(evidence: Evidence, level: float) -> Luck:
    """Return the version's net active return against the best of all recorded trials by luck at a level.

    The blocks follow the horizon of the version. Trials with a longer one always count against it.

    Raises:
        ModelError: there are too few sessions for a block.

    >>> daily = np.random.default_rng(1).normal(0.001, 0.005, 300)
    >>> found = judged(Evidence("t1", pl.DataFrame({"trade_date": range(300), "t1": daily}), 5, 5), level=0.025)
    >>> found.trials, found.passed
    (1, True)
    """
    columns = [name for name in evidence.returns.columns if name != "trade_date"]
    place, returns = columns.index(evidence.trial), evidence.returns.sort("trade_date")
    values = numbers(returns.select(columns))
    if not evidence.is_exempt and (earlier := earlier_series(evidence)).width:
        values = np.c_[values, numbers(earlier)]
    wider = np.full(values.shape[1], _UNKNOWN)
    wider[place] = evidence.wider
    block = multiplicity.block_length(len(values), evidence.horizon)
    horizons = [multiplicity.dependence(evidence.horizons.get(name, evidence.horizon)) for name in columns]
    return multiplicity.beyond_luck(
        values,
        place,
        horizon=evidence.horizon,
        level=level,
        independent=evidence.independent,
        wider=wider,
        lasting=[number for number, horizon in enumerate(horizons) if horizon > block],
    )


def earlier_series(evidence: Evidence) -> pl.DataFrame:
    """Return the earlier series of the version's trial on the sessions of `returns`, sorted; no column without any.

    >>> earlier_series(Evidence("t1", pl.DataFrame({"trade_date": [1, 2], "t1": [0.1, 0.2]}), 5, 5)).width
    0
    """
    if evidence.earlier is None or evidence.earlier.width < 2:  # noqa: PLR2004 - the date alone
        return pl.DataFrame()
    days = evidence.returns.sort("trade_date").select("trade_date")
    return days.join(evidence.earlier, on="trade_date", how="left", maintain_order="left").drop("trade_date")


def numbers(frame: pl.DataFrame) -> Floats:
    """Return the columns of a frame as numbers; null is NaN.

    >>> numbers(pl.DataFrame({"t1": [1, None]})).tolist()
    [[1.0], [nan]]
    """
    return frame.select(pl.all().cast(pl.Float64).fill_null(_UNKNOWN)).to_numpy()
