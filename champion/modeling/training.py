"""Train and score in memory: a purged walk-forward, then the final model on all labelled rows.

The label is whether an instrument's forward return, or its target if the frame has a column target, is above the median
of its session. The label does not depend on the market's direction, which a ranking cannot trade. Classifiers learn the
label, regressors the target, or the label without one.

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
>>> result = fit(frame, Recipe("logistic"), ["size"], splitter)
>>> isinstance(result, TrainingResult), round(result.metrics["rank_ic"], 2), result.folds.height
(True, 1.0, 2)
>>> score(result.estimator, frame.tail(4), ["size"]).select("symbol", "rank").rows()
[('A', 1), ('B', 2), ('C', 3), ('D', 4)]
>>> paths(frame, Recipe("logistic"), ["size"], CombinatorialPurged(n_groups=4, horizon=2, embargo=0)).height
3
>>> rows = labelled(frame)
>>> [(len(train), len(test)) for train, test in folds(rows, splitter)]
[(80, 76), (156, 76)]
>>> inputs, labels = matrix(rows, ["size"]), rows["label"].to_numpy()
>>> model = learn(Recipe("logistic"), inputs, labels)
>>> judge(rows.with_columns(score=estimators.probability(model, inputs)), horizon=2)["auc"]
1.0
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from joblib import parallel_config
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score
from sklearn.pipeline import Pipeline

from champion.base.counting import quantity
from champion.errors import ModelError
from champion.indicators.numeric.unknown import known
from champion.modeling import estimators
from champion.modeling.estimators import Estimator, Recipe
from champion.modeling.labels import average_uniqueness
from champion.modeling.metrics import information_coefficient, rank_ic, summarise_ic
from champion.modeling.splits import CombinatorialPurged, Fold, PurgedWalkForward
from champion.modeling.targets import TARGET

__all__ = ["TrainingResult", "fit", "folds", "judge", "labelled", "learn", "matrix", "outcome", "paths",
    "prepared", "score", "training_rows",
]  # fmt: skip
__dir__ = __all__.copy

Progress: TypeAlias = Callable[[int, int, str], None]
Splitter: TypeAlias = PurgedWalkForward | CombinatorialPurged

_KEY = ("instrument_id", "symbol", "trade_date")
_SESSION_FIRST = ("trade_date", "instrument_id")
_IMPORTANCE_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """A fitted model and its out-of-sample results.

    `out_of_sample` has instrument_id, symbol, trade_date, fold, score, forward_return, label; `folds` one row per fold.
    `scores` has instrument_id, symbol, trade_date and score of the same sessions, with the rows whose forward return is
    not known: whether it would be, as when a share is not traded the day after, was unknown at the time of the score.
    `importance` has input and importance, the loss of AUC on the last fold when the input is shuffled. `metrics` are
    over all folds: accuracy, precision, recall, auc, ic, rank_ic, rank_ic_t, icir, sessions, train_rows, and with a
    target target_ic, the mean rank correlation of scores and targets. `out_of_sample` then has target too.
    """

    recipe: Recipe
    estimator: Estimator
    inputs: tuple[str, ...]
    out_of_sample: pl.DataFrame
    folds: pl.DataFrame
    importance: pl.DataFrame
    metrics: dict[str, float]
    scores: pl.DataFrame = field(default_factory=pl.DataFrame)


def fit(
    frame: pl.DataFrame,
    recipe: Recipe,
    inputs: Sequence[str],
    splitter: PurgedWalkForward,
    progress: Progress | None = None,
) -> TrainingResult:
    """Run the walk-forward, then fit the final model on all labelled rows.

    `frame` holds instrument_id, symbol, trade_date, the inputs (null where unknown), forward_return and label_end, and
    may hold target (see `targets.add_target`). Rows with a null forward_return or target are left out, and in a fold
    also those whose label_end is in the embargo or later.
    Deterministic for a seed, in any order of rows.

    Raises:
        ModelError: the model is not known, or there are too few rows or sessions.
    """
    rows, features = prepared(frame, inputs)
    labels = rows["label"].to_numpy()
    unlabelled = frame.filter(pl.col("forward_return").is_null())
    tested, others = list[pl.DataFrame](), list[pl.DataFrame]()
    for fold, (train, test) in enumerate(folds(rows, splitter), start=1):
        estimator = _train(recipe, rows, features, train)
        tested.append(_predict(estimator, rows, features, test, fold))
        same = unlabelled.filter(pl.col("trade_date").is_in(tested[-1]["trade_date"].unique().implode()))
        if not same.is_empty():
            others.append(score(estimator, same, inputs))
        if progress:
            progress(fold, splitter.n_splits, f"fold {fold} of {splitter.n_splits}")
    few = test[np.random.default_rng(recipe.seed).permutation(len(test))[:_IMPORTANCE_ROWS]]

    def auc(model: Estimator, rows: NDArray[np.float64], outcomes: NDArray[np.int8]) -> float:
        return float(roc_auc_score(outcomes, estimators.probability(model, rows)))

    losses = permutation_importance(
        estimator, features[few], labels[few], scoring=auc, n_repeats=3, random_state=recipe.seed
    )
    importance = pl.DataFrame({"input": list(inputs), "importance": losses.importances_mean})
    final = _train(recipe, rows, features, np.arange(rows.height), spend=True)
    out_of_sample = pl.concat(tested)
    return TrainingResult(
        recipe=recipe,
        estimator=final,
        inputs=tuple(inputs),
        out_of_sample=out_of_sample,
        folds=pl.DataFrame([{"fold": f["fold"][0], **judge(f, splitter.horizon)} for f in tested]),
        importance=importance.sort("importance", "input", descending=[True, False]),
        metrics={**judge(out_of_sample, splitter.horizon), "train_rows": float(rows.height)},
        scores=pl.concat([each.select(*_KEY, "score") for each in (*tested, *others)]).sort(_SESSION_FIRST),
    )


def paths(
    frame: pl.DataFrame,
    recipe: Recipe,
    inputs: Sequence[str],
    splitter: CombinatorialPurged,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Return the metrics of `judge` for each path of a combinatorial purged cross-validation.

    The spread over the paths shows how much of a single walk-forward's result is chance.
    """
    rows, features = prepared(frame, inputs)
    tested = []
    for number, (train, test) in enumerate(folds(rows, splitter)):
        tested.append(_predict(_train(recipe, rows, features, train), rows, features, test, number))
        if progress:
            progress(number + 1, splitter.get_n_splits(), f"split {number + 1} of {splitter.get_n_splits()}")
    days = rows["trade_date"].unique().sort()
    blocks = [pl.Series(part) for part in np.array_split(days.to_numpy(), splitter.n_groups)]
    results = []
    for path, parts in enumerate(splitter.paths(), start=1):
        joined = pl.concat(tested[n].filter(pl.col("trade_date").is_in(blocks[b].implode())) for b, n in parts)
        results.append({"path": path, **judge(joined, splitter.horizon)})
    return pl.DataFrame(results)


def score(estimator: Estimator, frame: pl.DataFrame, inputs: Sequence[str]) -> pl.DataFrame:
    """Return instrument_id, symbol, trade_date, score (from 0 to 1) and rank (1 is best).

    A classifier's score is the probability of a label of 1, a regressor's the target that it predicts. Equal scores are
    ranked in the order of instrument_id.
    """
    scores = estimators.probability(estimator, matrix(frame, inputs))
    ranked = frame.select(_KEY).with_columns(score=pl.Series(scores)).sort("trade_date", "instrument_id")
    rank = pl.col("score").rank("ordinal", descending=True).over("trade_date")
    return ranked.with_columns(rank=rank.cast(pl.Int64))


def labelled(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with a forward return and, if there is one, a target, sorted, with `label`.

    The label is 1 if the target, or without one the forward return, is above the median of the session, else 0.

    Raises:
        ModelError: only one class is left, or a forward return or target is NaN or infinite.
    """
    target = TARGET if TARGET in frame.columns else "forward_return"
    for name in dict.fromkeys(("forward_return", target)):
        _require_finite(frame, name)
    median = pl.col(target).median().over("trade_date")
    rows = frame.drop_nulls(["forward_return", target]).sort("trade_date", "instrument_id")
    rows = rows.with_columns(label=(pl.col(target) > median).cast(pl.Int8))
    if rows["label"].n_unique() < 2:  # noqa: PLR2004 - a classifier needs both
        few = quantity(rows.height, "labelled row")
        raise ModelError(f"{few} of one class only: train on more sessions and instruments")
    return rows


def prepared(frame: pl.DataFrame, inputs: Sequence[str]) -> tuple[pl.DataFrame, NDArray[np.float64]]:
    """Return the rows of `labelled` without the inputs, and the inputs of these rows as `matrix` returns them.

    The array has the values of a row side by side, so that the rows of a fold need no copy.

    >>> rows = pl.DataFrame({"instrument_id": ["B", "A"], "forward_return": [0.1, 0.2], "size": [0.5, -0.5]})
    >>> prepared(rows.with_columns(trade_date=1), ["size"])[1].tolist()
    [[-0.5], [0.5]]
    """
    rows = labelled(frame.drop(inputs).with_row_index("_row"))
    features = np.empty((rows.height, len(inputs)))
    for column, name in enumerate(inputs):  # one by one: all together would need the memory twice
        features[:, column] = matrix(frame.select(pl.col(name).gather(rows["_row"])), [name])[:, 0]
    return rows.drop("_row"), features


def outcome(rows: pl.DataFrame, recipe: Recipe) -> NDArray[Any]:
    """Return what a recipe's model learns of labelled rows: the target if it is a regressor and there is one, or label.

    >>> rows = pl.DataFrame({"label": [1, 0], "target": [0.7, 0.2]})
    >>> outcome(rows, Recipe("ridge")).tolist(), outcome(rows, Recipe("logistic")).tolist()
    ([0.7, 0.2], [1, 0])
    """
    return rows[TARGET if TARGET in rows.columns and recipe.regresses else "label"].to_numpy()


def _require_finite(frame: pl.DataFrame, name: str) -> None:
    """Raise ModelError if a column holds NaN or infinity; null is allowed and means unknown."""
    wrong = frame.filter(~pl.col(name).is_finite())
    if wrong.height:
        few = ", ".join(f"{row[0]} {row[1]}" for row in wrong.select("instrument_id", "trade_date").head(5).rows())
        raise ModelError(
            f"{name} is NaN or infinite in {wrong.height} of {quantity(frame.height, 'row')}: {few}. An unknown "
            "value must be null: correct the computation, or set it to null"
        )


def folds(rows: pl.DataFrame, splitter: Splitter) -> Iterator[Fold]:
    """Yield the row numbers (train, test) of each fold, without training labels that end within the embargo.

    The splitter counts the sessions of the rows. If sessions of the market are missing there, labels end later than it
    assumes.
    """
    days, ends = rows["trade_date"].to_numpy(), rows["label_end"].to_numpy()
    sessions = np.unique(days)
    for train, test in splitter.split(days, groups=days):
        tested = np.isin(sessions, np.unique(days[test]))
        starts = np.flatnonzero(tested & ~np.roll(tested, 1) | tested & (np.arange(len(sessions)) == 0))
        # The first test session after each training row, and the last label end that leaves the embargo before it.
        following = np.searchsorted(sessions[starts], days[train])
        last = np.append(starts - splitter.embargo - 1, len(sessions) - 1)[following]
        safe = (following == len(starts)) | ((last >= 0) & (ends[train] <= sessions[np.maximum(last, 0)]))
        if not safe.any():
            raise ModelError("no training label ends before the first test block: train on more sessions")
        yield train[safe], test


def matrix(frame: pl.DataFrame, inputs: Sequence[str]) -> NDArray[np.float64]:
    """Return the inputs as an array with a row per row of `frame`; null, NaN and infinity are NaN."""
    numbers = (known(pl.col(name).cast(pl.Float64)).fill_null(float("nan")).alias(name) for name in inputs)
    return frame.select(numbers).to_numpy()


def learn(
    recipe: Recipe,
    features: NDArray[np.float64],
    labels: NDArray[Any],
    weights: NDArray[np.float64] | None = None,
    *,
    sessions: NDArray[Any] | None = None,
    spend: bool = False,
) -> Pipeline:
    """Fit a pipeline; the same seed gives a bit-identical pipeline.

    `sessions` are those of the rows, for a model that ranks within a session. With `spend` the array is not needed
    afterwards: unknown values are imputed in it, which saves a copy.
    """
    pipeline = recipe.make()
    first = pipeline.steps[0][1]
    in_place = spend and isinstance(first, SimpleImputer)
    if in_place:
        first.copy = False
    # Parallel fits only: a forest that predicts in threads adds its trees in any order, which changes the last bits.
    with parallel_config(backend="threading", n_jobs=2):
        fitted = estimators.fit(pipeline, features, labels, weights, sessions)
    if in_place:
        first.copy = True
    return fitted


def judge(scores: pl.DataFrame, horizon: int) -> dict[str, float]:
    """Return the metrics that `TrainingResult` lists, for scores with label, forward_return and perhaps target."""
    _require_finite(scores, "score")
    labels, predicted = scores["label"].to_numpy(), scores["score"].to_numpy() > 0.5  # noqa: PLR2004 - even odds
    ranked = summarise_ic(rank_ic(scores), horizon)
    targeted = rank_ic(scores.with_columns(forward_return=TARGET)) if TARGET in scores.columns else None
    aimed = {} if targeted is None else {"target_ic": summarise_ic(targeted, horizon)["mean"]}
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "precision": float(precision_score(labels, predicted, zero_division=0.0)),
        "recall": float(recall_score(labels, predicted, zero_division=0.0)),
        "auc": float(roc_auc_score(labels, scores["score"].to_numpy())),
        "ic": summarise_ic(information_coefficient(scores), horizon)["mean"],
        "rank_ic": ranked["mean"],
        "rank_ic_t": ranked["t"],
        **{name: ranked[name] for name in ("icir", "sessions")},
        **aimed,
    }


def _train(
    recipe: Recipe,
    rows: pl.DataFrame,
    features: NDArray[np.float64],
    train: NDArray[np.intp],
    *,
    spend: bool = False,
) -> Pipeline:
    chosen = rows.select("instrument_id", "trade_date", "label_end")[train]
    sessions, weights = chosen["trade_date"].to_numpy(), None
    if recipe.weighted:
        unique = average_uniqueness(chosen).to_numpy()
        weights = unique / unique.mean()  # with mean 1 the regularisation is as strong as without weights
    inputs, outcomes = training_rows(recipe, features, train), outcome(rows, recipe)[train]
    return learn(recipe, inputs, outcomes, weights, sessions=sessions, spend=spend)


def training_rows(recipe: Recipe, features: NDArray[np.float64], train: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the rows of a fold: without a copy if they are consecutive and the model, as all named ones, spares them.

    >>> training_rows(Recipe("ridge"), np.array([[0.5], [0.1], [0.2]]), np.array([0, 1])).tolist()
    [[0.5], [0.1]]
    """
    consecutive = train[-1] - train[0] == len(train) - 1  # train is sorted, without duplicates
    return features[train[0] : train[-1] + 1] if consecutive and recipe.model in estimators.MODELS else features[train]


def _predict(
    estimator: Estimator, rows: pl.DataFrame, features: NDArray[np.float64], test: NDArray[np.intp], fold: int
) -> pl.DataFrame:
    targets = [TARGET] if TARGET in rows.columns else []
    tested = rows.select(*_KEY, pl.lit(fold).alias("fold"), "forward_return", *targets, "label")[test]
    return tested.with_columns(score=pl.Series(estimators.probability(estimator, features[test])))
