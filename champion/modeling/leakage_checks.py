"""Leakage canaries: three ways to hear that a score knows what it could not have known.

1. `shuffled`: the same training on labels shuffled within each session must find nothing; what it finds came another
   way than through the inputs. 2. `implausible`: an input that ranks the future better than daily equities allow has
   seen it. 3. `ahead`: an input made anew from nothing later than its session must be the one that was learnt from; the
   slow average that was lagged the wrong way looks harmless to the second and cannot pass the third.

>>> from datetime import date, timedelta
>>> days = [date(2024, 1, 1) + timedelta(n) for n in range(60)]
>>> frame = pl.DataFrame({
...     "instrument_id": ["A", "B", "C", "D"] * 60,
...     "symbol": ["A", "B", "C", "D"] * 60,
...     "trade_date": [day for day in days for _ in range(4)],
...     "size": [0.5, 0.2, -0.2, -0.5] * 60,
...     "forward_return": [0.02, 0.01, -0.01, -0.02] * 60,
...     "label_end": [day + timedelta(2) for day in days for _ in range(4)],
... })
>>> splitter = PurgedWalkForward(n_splits=2, horizon=2, embargo=0, min_train=20)
>>> luck = shuffled_label_check(frame, Recipe("logistic"), ["size"], splitter)
>>> luck.passed
True
>>> shuffle(training.labelled(frame), seed=7)["label"].sum()
120
>>> input_ic(frame, ["size"], horizon=2).rows()
[('size', 1.0, 30)]
>>> implausible_inputs(frame, ["size"], horizon=2)
('size',)
>>> inputs = implausible_inputs(frame, ["size"], horizon=2), lookahead_check(frame, frame, ["size"])
>>> checks = LeakageChecks(ShuffledLabels(0.51, 0.02), *inputs)
>>> checks.passed, checks.table["passed"].to_list()
(False, [True, False, True])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from sklearn.metrics import roc_auc_score

from champion.errors import ModelError
from champion.indicators.numeric import unknown
from champion.modeling import estimators, training
from champion.modeling.estimators import Recipe
from champion.modeling.splits import PurgedWalkForward

__all__ = [
    "PLAUSIBLE",
    "LeakageChecks",
    "ShuffledLabels",
    "implausible_inputs",
    "input_ic",
    "lookahead_check",
    "shuffle",
    "shuffled_label_check",
]
__dir__ = __all__.copy

_LIMIT = 4.0  # standard errors: a leak shows at dozens, and at 3 one honest training in 370 would be refused
PLAUSIBLE = 0.25
"""Mean rank IC beyond which a single input is not believed; the best published daily signals have a fifth of it."""
_PLACES, _SHARE = 1.5, 0.02  # adjusted prices are rounded: where two are all but equal, ranks change by a place


@dataclass(frozen=True, slots=True)
class ShuffledLabels:
    """Skill found where there is none: AUC of a model trained on shuffled labels, and its standard error."""

    auc: float
    error: float

    @property
    def passed(self) -> bool:
        """Whether the AUC is what luck gives."""
        return abs(self.auc - 0.5) <= _LIMIT * self.error


@dataclass(frozen=True, slots=True)
class LeakageChecks:
    """What the canaries heard; the inputs named are those that should not be believed.

    `ahead` is None where nobody made the inputs anew.
    """

    shuffled: ShuffledLabels
    implausible: tuple[str, ...]
    ahead: tuple[str, ...] | None

    @property
    def passed(self) -> bool:
        """Whether all of them were run and heard nothing."""
        return self.shuffled.passed and not self.implausible and self.ahead == ()

    @property
    def table(self) -> pl.DataFrame:
        """Canary, passed and what was found, a row each."""
        ahead = "not run" if self.ahead is None else ", ".join(self.ahead) or "every input is made of the past"
        found = f"AUC {self.shuffled.auc:.4f}, standard error {self.shuffled.error:.4f}"
        return pl.DataFrame({
            "canary": ["shuffled labels", "implausible inputs", "inputs made anew"],
            "passed": [self.shuffled.passed, not self.implausible, self.ahead == ()],
            "found": [found, ", ".join(self.implausible) or f"no mean rank IC beyond {PLAUSIBLE}", ahead],
        })  # fmt: skip


def shuffled_label_check(
    frame: pl.DataFrame, recipe: Recipe, inputs: Sequence[str], splitter: PurgedWalkForward
) -> ShuffledLabels:
    """Return what the same training finds in labels shuffled within each session, on the last fold.

    Anything but an AUC of one half says that the score knows its own label by another way than the inputs.
    """
    rows = shuffle(training.labelled(frame), recipe.seed)
    *_, (train, test) = training.folds(rows, splitter)
    features, labels = training.matrix(rows, inputs), rows["label"].to_numpy()
    model = training.learn(recipe, features[train], labels[train])
    auc = float(roc_auc_score(labels[test], estimators.probability(model, features[test])))
    positives, negatives = float(labels[test].sum()), float((1 - labels[test]).sum())
    # Standard error of the Mann-Whitney statistic when scores are worthless.
    return ShuffledLabels(auc, float(np.sqrt((positives + negatives + 1) / (12 * positives * negatives))))


def shuffle(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return the rows with labels shuffled anew in every session.

    `shuffle(seed).over(...)` would deal every session the same permutation: what lasts, an instrument's drift under
    another's slow inputs, would then be there to find.
    """
    luck = pl.Series("_luck", np.random.default_rng(seed).random(rows.height))
    return rows.with_columns(luck).with_columns(pl.col("label").sort_by("_luck").over("trade_date")).drop("_luck")


def input_ic(frame: pl.DataFrame, inputs: Sequence[str], horizon: int) -> pl.DataFrame:
    """Return input, ic and sessions: each input's mean rank correlation with forward_return, worst suspect first.

    Every `horizon`-th session counts, so that labels do not overlap; sessions with fewer than 3 known pairs do not.
    """
    columns = ["forward_return", *inputs]
    known = frame.with_columns(unknown.known(pl.col(name)).alias(name) for name in columns).drop_nulls("forward_return")
    days = known["trade_date"].unique().sort().gather_every(max(1, horizon))
    chosen = known.filter(pl.col("trade_date").is_in(days.implode()))
    by_session = chosen.group_by("trade_date").agg(_rank_correlation(name) for name in inputs)
    means = by_session.select(pl.col(name).fill_nan(None).mean() for name in inputs)
    counts = by_session.select(pl.col(name).fill_nan(None).count() for name in inputs)
    table = pl.DataFrame({"input": list(inputs), "ic": means.row(0), "sessions": counts.row(0)}, strict=False)
    return table.sort(pl.col("ic").abs(), "input", descending=[True, False], nulls_last=True)


def implausible_inputs(
    frame: pl.DataFrame, inputs: Sequence[str], horizon: int, limit: float = PLAUSIBLE
) -> tuple[str, ...]:
    """Return the inputs whose mean rank IC lies beyond `limit` and beyond 4 standard errors of luck.

    A market of few instruments or sessions shows large correlations by chance: luck's error of a mean of S sessions
    with n instruments is 1 / sqrt(S (n - 1)).
    """
    found = input_ic(frame, inputs, horizon)
    each = frame.drop_nulls("forward_return").group_by("trade_date").len()["len"].mean()
    crowd = max(float(each) - 1, 1.0) if isinstance(each, float) else 1.0
    luck = _LIMIT / (pl.col("sessions") * crowd).sqrt()
    return tuple(found.filter((pl.col("ic").abs() > limit) & (pl.col("ic").abs() > luck))["input"])


def lookahead_check(learnt: pl.DataFrame, anew: pl.DataFrame, inputs: Sequence[str]) -> tuple[str, ...]:
    """Return the inputs that differ between what was learnt from and what could be known: those that look ahead.

    Both frames hold instrument_id, trade_date and the inputs, ranks within the session; `anew` was made from nothing
    later than its sessions. Rows that are not in `anew` are not looked at. An input differs where more than 2% of its
    rows are known in one frame only, or stand more than one place apart.

    Raises:
        ModelError: no row of `anew` was learnt from: nothing would be compared.
    """
    pairs = learnt.join(anew, on=["instrument_id", "trade_date"], suffix="_anew")
    if pairs.is_empty():
        raise ModelError("the inputs made anew are of none of the rows learnt from: choose sessions of the frame")
    return tuple(name for name in inputs if pairs.select(_differs(name)).item())


def _rank_correlation(name: str) -> pl.Expr:
    known = pl.col("forward_return").filter(pl.col(name).is_not_null())
    value = pl.col(name).drop_nulls()
    found = pl.corr(value.rank(), known.rank())
    return pl.when(value.len() >= 3).then(found).alias(name)  # noqa: PLR2004 - fewer have no correlation


def _differs(name: str) -> pl.Expr:
    one, other = pl.col(name), pl.col(f"{name}_anew")
    place = 1 / other.count().over("trade_date")
    moved = ((one - other).abs() > _PLACES * place).fill_null(value=False)
    return ((one.is_null() != other.is_null()) | moved).mean() > _SHARE
