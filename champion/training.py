"""Fitting and scoring in memory: purged walk-forward first, then the final model on everything known.

The label is whether an instrument's forward return beats the median of its session: the market's own direction, which
no ranking can trade, is out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from joblib import parallel_config
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from champion.errors import ModelError
from champion.metrics import rank_ic, summarise_ic
from champion.splits import PurgedWalkForward

Estimator: TypeAlias = Any  # scikit-learn ships no types
Progress: TypeAlias = Callable[[int, int, str], None]

_KEY = ("instrument_id", "symbol", "trade_date")
_IMPORTANCE_ROWS = 5_000
_THREADS = 2
_CANARY_LIMIT = 3.0  # standard errors: a leak shows at dozens


def _middle() -> SimpleImputer:
    """Put what is unknown in the middle of the pack: inputs are ranks centred on 0."""
    return SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)


def _logistic(seed: int) -> Pipeline:
    return make_pipeline(_middle(), StandardScaler(), LogisticRegression(C=0.1, max_iter=500, random_state=seed))


def _random_forest(seed: int) -> Pipeline:
    forest = RandomForestClassifier(
        n_estimators=200, max_depth=6, min_samples_leaf=100, max_samples=0.5, random_state=seed
    )
    return make_pipeline(_middle(), forest)


def _hist_gradient_boosting(seed: int) -> Pipeline:
    boosting = HistGradientBoostingClassifier(
        max_iter=150,
        learning_rate=0.05,
        max_leaf_nodes=15,
        min_samples_leaf=200,
        l2_regularization=1.0,
        early_stopping=False,  # it would hold out rows at random, across sessions whose labels overlap
        random_state=seed,
    )
    return make_pipeline(_middle(), boosting)  # a column without any value would stop its binning


MODELS: dict[str, Callable[[int], Pipeline]] = {
    "logistic": _logistic,
    "random_forest": _random_forest,
    "hist_gradient_boosting": _hist_gradient_boosting,
}
"""Model name to a function of the seed: small, strongly regularised models, as a daily signal is mostly noise."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """A fitted model and the proof of its skill.

    `out_of_sample` has instrument_id, symbol, trade_date, fold, score, forward_return, label; `folds` one row a fold;
    `importance` input and importance, the fall of AUC on the last fold when the input is shuffled; `metrics` are over
    all folds: accuracy, precision, recall, auc, rank_ic, rank_ic_t, icir, sessions, train_rows.
    """

    model: str
    estimator: Estimator
    inputs: tuple[str, ...]
    out_of_sample: pl.DataFrame
    folds: pl.DataFrame
    importance: pl.DataFrame
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Canary:
    """Skill found where there is none: AUC of a model trained on labels shuffled within each session, and its error."""

    auc: float
    error: float

    @property
    def passed(self) -> bool:
        """Whether the AUC is what luck gives."""
        return abs(self.auc - 0.5) <= _CANARY_LIMIT * self.error


def fit(
    frame: pl.DataFrame,
    *,
    model: str,
    inputs: Sequence[str],
    horizon: int,
    n_splits: int = 5,
    embargo: int = 5,
    seed: int = 7,
    progress: Progress | None = None,
) -> TrainingResult:
    """Return a model fitted on all labelled rows, and what it scored out of sample on the way.

    `frame` holds instrument_id, symbol, trade_date, the inputs (null where unknown), forward_return and label_end; rows
    whose forward_return is null are not learnt from, and in a fold none whose label_end comes later than the embargo
    before the test block allows. Deterministic by seed, whatever the order of rows.

    Raises:
        ModelError: the model is not known, or there are too few rows or sessions.
    """
    rows = _labelled(frame)
    splitter = PurgedWalkForward(n_splits=n_splits, horizon=horizon, embargo=embargo)
    features, labels = _matrix(rows, inputs), rows["label"].to_numpy()
    tested: list[pl.DataFrame] = []
    for fold, (train, test) in enumerate(_folds(rows, splitter), start=1):
        estimator = _fitted(model, seed, features[train], labels[train])
        scores = estimator.predict_proba(features[test])[:, 1]
        tested.append(rows[test].select(*_KEY, pl.lit(fold).alias("fold"), "forward_return", "label", score=scores))
        if progress:
            progress(fold, n_splits, f"fold {fold} of {n_splits}")
    importance = _importance(estimator, features[test], labels[test], inputs, seed)
    final = _fitted(model, seed, features, labels)
    out_of_sample = pl.concat(tested)
    return TrainingResult(
        model=model,
        estimator=final,
        inputs=tuple(inputs),
        out_of_sample=out_of_sample,
        folds=pl.DataFrame([{"fold": f["fold"][0], **_judge(f, horizon)} for f in tested]),
        importance=importance,
        metrics={**_judge(out_of_sample, horizon), "train_rows": float(rows.height)},
    )


def score(estimator: Estimator, frame: pl.DataFrame, inputs: Sequence[str]) -> pl.DataFrame:
    """Return instrument_id, symbol, trade_date, score (probability of beating the median) and rank (1 is best).

    Equal scores are ranked in the order of instrument_id.
    """
    scores = estimator.predict_proba(_matrix(frame, inputs))[:, 1]
    ranked = frame.select(_KEY).with_columns(score=pl.Series(scores)).sort("trade_date", "instrument_id")
    rank = pl.col("score").rank("ordinal", descending=True).over("trade_date")
    return ranked.with_columns(rank=rank.cast(pl.Int64))


def canary(
    frame: pl.DataFrame, *, model: str, inputs: Sequence[str], horizon: int, embargo: int = 5, seed: int = 7
) -> Canary:
    """Return what the same training finds in labels shuffled within each session, on one fold.

    Anything but an AUC of one half says that the score knows its own label by another way than the inputs.
    """
    rows = _shuffled(_labelled(frame), seed)
    splitter = PurgedWalkForward(n_splits=1, horizon=horizon, embargo=embargo)
    features, labels = _matrix(rows, inputs), rows["label"].to_numpy()
    train, test = next(_folds(rows, splitter))
    estimator = _fitted(model, seed, features[train], labels[train])
    auc = float(roc_auc_score(labels[test], estimator.predict_proba(features[test])[:, 1]))
    positives, negatives = float(labels[test].sum()), float((1 - labels[test]).sum())
    # Standard error of the Mann-Whitney statistic when scores are worthless.
    return Canary(auc, float(np.sqrt((positives + negatives + 1) / (12 * positives * negatives))))


def _labelled(frame: pl.DataFrame) -> pl.DataFrame:
    median = pl.col("forward_return").median().over("trade_date")
    rows = frame.drop_nulls("forward_return").sort("trade_date", "instrument_id")
    labelled = rows.with_columns(label=(pl.col("forward_return") > median).cast(pl.Int8))
    if labelled["label"].n_unique() < 2:  # noqa: PLR2004 - a classifier needs both
        raise ModelError(f"{labelled.height} labelled rows hold one class only: train on more sessions and instruments")
    return labelled


def _shuffled(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return the rows with labels shuffled anew in every session.

    `shuffle(seed).over(...)` would deal every session the same permutation: what lasts, an instrument's drift under
    another's slow inputs, would then be there to find.
    """
    luck = pl.Series("_luck", np.random.default_rng(seed).random(rows.height))
    return rows.with_columns(luck).with_columns(pl.col("label").sort_by("_luck").over("trade_date")).drop("_luck")


def _folds(rows: pl.DataFrame, splitter: PurgedWalkForward) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield row numbers (train, test) per fold, without training labels that end too late.

    The splitter counts the sessions of the rows; where some of the market's are missing, a label reaches further.
    """
    days, ends = rows["trade_date"].to_numpy(), rows["label_end"].to_numpy()
    sessions = np.unique(days)
    for train, test in splitter.split(rows, groups=rows["trade_date"].to_list()):
        first = np.searchsorted(sessions, days[test[0]])
        kept = train[ends[train] <= sessions[first - splitter.embargo - 1]]
        if not kept.size:
            raise ModelError("no training label ends before the first test block: train on more sessions")
        yield kept, test


def _matrix(frame: pl.DataFrame, inputs: Sequence[str]) -> NDArray[np.float64]:
    return frame.select(pl.col(list(inputs)).cast(pl.Float64).fill_null(float("nan"))).to_numpy()


def _fitted(model: str, seed: int, features: NDArray[np.float64], labels: NDArray[np.int8]) -> Pipeline:
    if model not in MODELS:
        raise ModelError(f"model {model!r} is not known; there are {', '.join(MODELS)}")
    # Parallel here only: a forest that predicts in threads adds up its trees in any order, and the last bits with them.
    with parallel_config(backend="threading", n_jobs=_THREADS):
        return MODELS[model](seed).fit(features, labels)


def _judge(scores: pl.DataFrame, horizon: int) -> dict[str, float]:
    labels, said = scores["label"].to_numpy(), scores["score"].to_numpy() > 0.5  # noqa: PLR2004 - as likely as not
    ic = summarise_ic(rank_ic(scores), horizon)
    return {
        "accuracy": float(accuracy_score(labels, said)),
        "precision": float(precision_score(labels, said, zero_division=0.0)),
        "recall": float(recall_score(labels, said, zero_division=0.0)),
        "auc": float(roc_auc_score(labels, scores["score"].to_numpy())),
        "rank_ic": ic["mean"],
        "rank_ic_t": ic["t"],
        "icir": ic["icir"],
        "sessions": ic["sessions"],
    }


def _importance(
    estimator: Estimator, features: NDArray[np.float64], labels: NDArray[np.int8], inputs: Sequence[str], seed: int
) -> pl.DataFrame:
    chosen = np.random.default_rng(seed).permutation(len(labels))[:_IMPORTANCE_ROWS]
    found = permutation_importance(
        estimator, features[chosen], labels[chosen], scoring="roc_auc", n_repeats=3, random_state=seed
    )
    frame = pl.DataFrame({"input": list(inputs), "importance": found.importances_mean})
    return frame.sort("importance", "input", descending=[True, False])
