"""Leakage checks ("canaries"): three tests for look-ahead in the inputs, the labels or the training.

1. `shuffled_label_check` trains on labels shuffled within each session. Skill on these labels is leakage outside the
   inputs.
2. `implausible_inputs` finds inputs whose rank IC is higher than daily equities allow.
3. `lookahead_check` finds inputs that change when they are recomputed without later data. It catches a slow average
   with a lag of the wrong sign, whose rank IC is plausible.

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

from champion.base.counting import quantity
from champion.errors import ModelError
from champion.indicators.numeric import unknown
from champion.modeling import estimators, training
from champion.modeling.estimators import Recipe
from champion.modeling.splits import PurgedWalkForward
from champion.modeling.targets import TARGET

__all__ = [
    "PLAUSIBLE", "LeakageChecks", "ShuffledLabels", "implausible_inputs", "input_ic", "lookahead_check",
    "score_checks", "shuffle", "shuffled_label_check",
]  # fmt: skip
__dir__ = __all__.copy

_LIMIT = 4.0  # standard errors: leaks show at dozens; a limit of 3 would reject one sound training in 370
PLAUSIBLE = 0.25
"""Largest plausible mean rank IC of a single input; the best published daily signals have a fifth of it."""
_NEEDED = ("instrument_id", "trade_date", "forward_return", "label_end")
_PLACES, _SHARE = 1.5, 0.02  # adjusted prices are rounded, so the ranks of nearly equal values may swap


@dataclass(frozen=True, slots=True)
class ShuffledLabels:
    """AUC of a model trained on shuffled labels, and its standard error without skill."""

    auc: float
    error: float

    @property
    def passed(self) -> bool:
        """Whether the AUC is within 4 standard errors of one half."""
        return abs(self.auc - 0.5) <= _LIMIT * self.error


@dataclass(frozen=True, slots=True)
class LeakageChecks:
    """Results of the three canaries; `implausible` and `ahead` name the inputs that failed.

    `ahead` is None if the inputs were not recomputed.
    """

    shuffled: ShuffledLabels
    implausible: tuple[str, ...]
    ahead: tuple[str, ...] | None

    @property
    def passed(self) -> bool:
        """Whether all three tests were run and passed."""
        return self.shuffled.passed and not self.implausible and self.ahead == ()

    @property
    def table(self) -> pl.DataFrame:
        """One row per canary: canary, passed, found."""
        ahead = "not run" if self.ahead is None else ", ".join(self.ahead) or "no input looks ahead"
        auc = f"AUC {self.shuffled.auc:.4f}, standard error {self.shuffled.error:.4f}"
        return pl.DataFrame({
            "canary": ["shuffled labels", "implausible inputs", "recomputed inputs"],
            "passed": [self.shuffled.passed, not self.implausible, self.ahead == ()],
            "found": [auc, ", ".join(self.implausible) or f"no mean rank IC beyond {PLAUSIBLE}", ahead],
        })  # fmt: skip


def shuffled_label_check(
    frame: pl.DataFrame, recipe: Recipe, inputs: Sequence[str], splitter: PurgedWalkForward
) -> ShuffledLabels:
    """Train on labels shuffled within each session and test on the last fold.

    An AUC other than one half means that the score depends on the label of its row through something other than the
    inputs.
    """
    needed = [name for name in (*_NEEDED, TARGET) if name in frame.columns]
    rows, features = training.prepared(frame.select(*needed, *inputs), inputs)
    rows = shuffle(rows, recipe.seed)
    *_, (train, test) = training.folds(rows, splitter)
    labels = rows["label"].to_numpy()
    chosen, tested = training.training_rows(recipe, features, train), features[test]
    sessions = rows["trade_date"].to_numpy()[train]
    model = training.learn(recipe, chosen, training.outcome(rows, recipe)[train], sessions=sessions, spend=True)
    auc = float(roc_auc_score(labels[test], estimators.probability(model, tested)))
    positives, negatives = float(labels[test].sum()), float((1 - labels[test]).sum())
    # Standard error of the Mann-Whitney statistic when scores are worthless.
    return ShuffledLabels(auc, float(np.sqrt((positives + negatives + 1) / (12 * positives * negatives))))


def shuffle(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Shuffle labels and targets within each session, with a different permutation for each session.

    `shuffle(seed).over(...)` would apply one permutation to all sessions. A model could then learn the drift of one
    instrument from the slow inputs of another.
    """
    order = pl.Series("_order", np.random.default_rng(seed).random(rows.height))
    shuffled = [name for name in ("label", TARGET) if name in rows.columns]
    return rows.with_columns(order).with_columns(pl.col(shuffled).sort_by("_order").over("trade_date")).drop("_order")


def input_ic(frame: pl.DataFrame, inputs: Sequence[str], horizon: int) -> pl.DataFrame:
    """Return input, ic and sessions: each input's mean rank correlation with forward_return, the largest first.

    Only every `horizon`-th session is used, so that labels do not overlap. Sessions with fewer than 3 pairs are left
    out.
    """
    named = ["forward_return", *inputs]
    returns = frame.select("trade_date", unknown.known(pl.col("forward_return"))).drop_nulls("forward_return")
    days = returns["trade_date"].unique().sort().gather_every(max(1, horizon))
    # Sessions first: all rows of all inputs together would need the memory of the frame again.
    some = frame.select("trade_date", *named).filter(pl.col("trade_date").is_in(days.implode()))
    chosen = some.with_columns(unknown.known(pl.col(name)).alias(name) for name in named).drop_nulls("forward_return")
    by_session = chosen.group_by("trade_date", maintain_order=True).agg(_rank_correlation(name) for name in inputs)
    means = by_session.select(pl.col(name).fill_nan(None).mean() for name in inputs)
    counts = by_session.select(pl.col(name).fill_nan(None).count() for name in inputs)
    columns = {"input": pl.String, "ic": pl.Float64, "sessions": pl.Int64}  # also where no correlation is known
    rows = zip(inputs, means.row(0), counts.row(0), strict=True)
    table = pl.DataFrame(list(rows), schema=columns, orient="row", strict=False)
    return table.sort(pl.col("ic").abs(), "input", descending=[True, False], nulls_last=True)


def implausible_inputs(
    frame: pl.DataFrame, inputs: Sequence[str], horizon: int, limit: float = PLAUSIBLE
) -> tuple[str, ...]:
    """Return the inputs whose absolute mean rank IC is above `limit` and above 4 standard errors.

    The standard error of the mean over S sessions of n instruments is 1 / sqrt(S (n - 1)) for an input without skill:
    few instruments or sessions show large correlations by chance.
    """
    labelled = frame.select("trade_date", "forward_return").drop_nulls("forward_return")
    breadth = labelled.group_by("trade_date").len()["len"].mean()
    freedom = max(float(breadth) - 1, 1.0) if isinstance(breadth, float) else 1.0
    chance = _LIMIT / (pl.col("sessions") * freedom).sqrt()
    size = pl.col("ic").abs()
    return tuple(input_ic(frame, inputs, horizon).filter((size > limit) & (size > chance))["input"])


def lookahead_check(frame: pl.DataFrame, recomputed: pl.DataFrame, inputs: Sequence[str]) -> tuple[str, ...]:
    """Return the inputs that look ahead: those that change when they are recomputed without later data.

    Both frames hold instrument_id, trade_date and the inputs, as ranks within the session; `recomputed` uses no data
    after each of its sessions. Only rows in both are compared. An input differs where more than 2% of its rows are
    known in one frame only, or have ranks more than one place apart.

    Raises:
        ModelError: the frames have no row in common.
    """
    pairs = frame.join(recomputed, on=["instrument_id", "trade_date"], suffix="_recomputed")
    if pairs.is_empty():
        raise ModelError("the recomputed inputs have no row of the training frame: recompute sessions of that frame")
    return tuple(name for name in inputs if pairs.select(_differs(name)).item())


def score_checks(scores: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Return canary, passed and found of what out-of-sample scores show about themselves.

    A score is refused if it is unknown, named twice in a session, or constant in most sessions; and if it ranks the
    next session's return, or the label of its row, better than is plausible (see `implausible_inputs`).

    Args:
        scores: trade_date, instrument_id, score, forward_return and next_return, the return from the close of
            trade_date to the next close; both returns may be null.
        horizon: sessions of forward_return.

    >>> rows = {"trade_date": [1] * 3, "instrument_id": ["A", "B", "C"], "score": [0.5, None, float("nan")]}
    >>> unknown = pl.DataFrame(rows).with_columns(forward_return=0.0, next_return=0.0)
    >>> score_checks(unknown, horizon=5).row(0)
    ('scores', False, '2 of 3 scores are unknown or infinite')
    """
    number = unknown.known(pl.col("score"))
    sessions = scores.group_by("trade_date").agg(varies=number.n_unique() > 1, alone=pl.len() == 1)
    constant = sessions.filter(~pl.col("varies"), ~pl.col("alone")).height
    doubled = scores.select("trade_date", "instrument_id").is_duplicated().sum()
    missing = scores.select(number.null_count()).item() if scores.height else 0
    faults = [
        *([] if scores.height else ["no score"]),
        *([f"{missing:,} of {scores.height:,} scores are unknown or infinite"] if missing else []),
        *([f"{doubled:,} scores of an instrument that has several in one session"] if doubled else []),
        *([f"equal scores of all instruments in {constant:,} of {quantity(sessions.height, 'session')}"]
          if constant * 2 > sessions.height else []),
    ]  # fmt: skip
    rows = [("scores", not faults, "; ".join(faults) or f"{scores.height:,} known scores")]
    for canary, column, ahead in (
        ("score of the next session", "next_return", 1),
        ("score of its own label", "forward_return", horizon),
    ):
        judged = scores.select("trade_date", "score", forward_return=column)
        (mean,) = input_ic(judged, ["score"], ahead)["ic"]
        is_implausible = bool(implausible_inputs(judged, ["score"], ahead))
        rows.append(
            (canary, not is_implausible, "no rank IC is known" if mean is None else f"a mean rank IC of {mean:.2f}")
        )
    return pl.DataFrame(rows, schema={"canary": pl.String, "passed": pl.Boolean, "found": pl.String}, orient="row")


def _rank_correlation(name: str) -> pl.Expr:
    known = pl.col("forward_return").filter(pl.col(name).is_not_null())
    value = pl.col(name).drop_nulls()
    return pl.when(value.len() >= 3).then(pl.corr(value.rank(), known.rank())).alias(name)  # noqa: PLR2004 - fewer have no correlation


def _differs(name: str) -> pl.Expr:
    one, other = pl.col(name), pl.col(f"{name}_recomputed")
    place = 1 / other.count().over("trade_date")
    moved = ((one - other).abs() > _PLACES * place).fill_null(value=False)
    return ((one.is_null() != other.is_null()) | moved).mean() > _SHARE
