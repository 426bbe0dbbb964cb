"""Build an estimator with its preprocessing: by name, or any scikit-learn-compatible class by import path.

Everything that is fitted, scalers and imputers included, is a step of one pipeline, so no step is fitted on a fold's
test rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    OneToOneFeatureMixin,
    RegressorMixin,
    TransformerMixin,
    is_classifier,
    is_regressor,
)
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import QuantileTransformer, RobustScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data
from typing_extensions import override

from champion.base.counting import known_names, quantity
from champion.errors import ModelError
from champion.modeling import lightgbm_models
from champion.modeling.targets import DEFAULT

__all__ = [
    "MODELS", "PREPARATIONS", "Estimator", "MeanOfRanks", "PairwiseRanker", "Recipe", "Winsorizer", "fit",
    "probability", "zero_impute",
]  # fmt: skip
__dir__ = __all__.copy

Estimator: TypeAlias = Any  # scikit-learn ships no types
_STEPS = 1001  # quantiles of the scores of a combination's member


class Winsorizer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Clip each input to two quantiles of the training rows; NaN stays NaN.

    Args:
        tail: share of the values clipped at each end.

    >>> clipped = Winsorizer(tail=0.25).fit([[0.0], [1.0], [2.0], [3.0], [4.0]])
    >>> clipped.transform([[-9.0], [9.0]]).tolist()
    [[1.0], [3.0]]
    """

    def __init__(self, tail: float = 0.01) -> None:
        self.tail = tail

    def fit(self, X: Any, y: Any = None) -> Winsorizer:  # noqa: N803, ARG002 - scikit-learn's signature
        """Compute the quantiles; a column without values is not clipped."""
        values = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        empty = np.isnan(values).all(axis=0)
        known = np.where(empty, 0.0, values)
        low, high = np.nanquantile(known, [self.tail, 1 - self.tail], axis=0)
        self.low_, self.high_ = np.where(empty, -np.inf, low), np.where(empty, np.inf, high)
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the clipped inputs."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        return np.asarray(np.clip(values, self.low_, self.high_), dtype=np.float64)

    @override
    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class PairwiseRanker(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Learn from random pairs of rows which of the two has the higher target (Herbrich et al. 2000, RankNet's loss).

    A logistic regression without a constant on the differences of the inputs. Predictions are between 0 and 1 and rank
    the rows; the mean row of the training data gets 0.5. Targets are ranks within a session, so rows of two sessions
    compare too. Rows of equal targets form no pair.

    Args:
        pairs: number of random pairs.
        C: inverse strength of the regularisation, per pair.
        random_state: the same seed draws the same pairs.

    >>> ranker = PairwiseRanker(pairs=500, random_state=1).fit([[0.0], [1.0], [2.0]], [0.1, 0.5, 0.9])
    >>> ranker.predict([[2.0], [1.0]]).round(2).tolist()[1]
    0.5
    """

    def __init__(self, pairs: int = 200_000, C: float = 1e-4, random_state: int | None = None) -> None:  # noqa: N803
        self.pairs = pairs
        self.C = C
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> PairwiseRanker:  # noqa: N803
        """Fit the direction; a pair's weight is the product of the weights of its rows."""
        values, targets = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        rng = np.random.default_rng(self.random_state)
        left, right = rng.integers(0, len(values), (2, self.pairs))
        unequal = targets[left] != targets[right]
        left, right = left[unequal], right[unequal]
        higher = targets[left] > targets[right]
        if higher.all() or not higher.any():
            raise ModelError(f"no pair of {quantity(len(values), 'row')} has different targets: train on more rows")
        weights = None if sample_weight is None else np.asarray(sample_weight)[left] * np.asarray(sample_weight)[right]
        linear = LogisticRegression(C=self.C, fit_intercept=False, max_iter=500, random_state=self.random_state)
        linear.fit(values[left] - values[right], higher, sample_weight=weights)
        self.coef_, self.centre_ = linear.coef_[0], values.mean(axis=0)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the probability that each row has a higher target than the mean row."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(1 / (1 + np.exp(-(values - self.centre_) @ self.coef_)), dtype=np.float64)


class MeanOfRanks(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Combine several models: the mean of the ranks of their scores, each among the scores of the training rows.

    Scores of two models have no common unit; ranks have. A rank is the share of training rows with a lower score, ties
    counted half, by `_STEPS` quantiles. Nothing but the members is fitted, so no weight can know the outcome. Each
    member has its own default preprocessing.

    Args:
        members: names of `MODELS`, or import paths; two or more.
        random_state: the seed of each member.

    >>> inputs, labels = np.arange(40.0).reshape(-1, 1), np.repeat([0, 1], 20)
    >>> model = MeanOfRanks(("logistic", "ridge"), random_state=1).fit(inputs, labels)
    >>> model.predict_proba([[0.0], [19.5], [39.0]])[:, 1].round(2).tolist()
    [0.0, 0.5, 1.0]
    >>> model.predict([[0.0], [39.0]]).tolist()
    [0, 1]
    """

    def __init__(
        self, members: Sequence[str] = ("logistic", "hist_gradient_boosting"), random_state: int | None = None
    ) -> None:
        self.members = members
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MeanOfRanks:  # noqa: N803
        """Fit each member, and the quantiles of its scores.

        Raises:
            ModelError: there are fewer than two members, one is named twice, is not known, or is a combination itself.
        """
        names = list(self.members)
        if len(set(names)) < 2 or len(set(names)) < len(names) or "mean_of_ranks" in names:  # noqa: PLR2004
            raise ModelError(
                f"members {', '.join(map(str, names)) or 'none'} are no combination: give two or more models, each once"
            )
        values, labels = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
        self.classes_ = np.unique(labels)
        seed = 0 if self.random_state is None else self.random_state
        made = [Recipe(name, seed=seed).make() for name in names]
        self.members_ = [fit(each, values, labels, sample_weight) for each in made]
        steps = np.linspace(0, 1, _STEPS)
        self.quantiles_ = np.array([np.quantile(probability(each, values), steps) for each in self.members_])
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return 1 less the mean rank, and the mean rank, from 0 to 1."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        ranks = np.zeros(len(values))
        for member, grid in zip(self.members_, self.quantiles_, strict=True):
            scores = probability(member, values)
            below = sum(np.searchsorted(grid, scores, side) for side in ("left", "right"))
            ranks += below / (2 * len(grid))
        mean = ranks / len(self.members_)
        return np.column_stack([1 - mean, mean])

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the class whose probability is above one half."""
        return np.asarray(self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(int)])  # noqa: PLR2004

    @override
    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def zero_impute() -> SimpleImputer:
    """Impute unknown inputs with 0, the middle of the session: inputs are ranks centred on 0."""
    return SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)


PREPARATIONS: dict[str, Callable[[int], Estimator]] = {
    "middle": lambda _: zero_impute(),
    "median": lambda _: SimpleImputer(strategy="median", keep_empty_features=True),
    "standard": lambda _: StandardScaler(),
    "robust": lambda _: RobustScaler(),
    "normal": lambda seed: QuantileTransformer(n_quantiles=100, output_distribution="normal", random_state=seed),
    "winsorize": lambda _: Winsorizer(),
}
"""Preprocessing steps by name: imputers, scalers and clipping, fitted on training rows only."""

MODELS: dict[str, Callable[[int], Estimator]] = {
    "logistic": lambda seed: LogisticRegression(C=0.1, max_iter=500, random_state=seed),
    "random_forest": lambda seed: RandomForestClassifier(
        n_estimators=200, max_depth=6, min_samples_leaf=100, max_samples=0.5, random_state=seed
    ),
    # No early stopping: its validation rows are random, so their labels overlap those of training rows.
    "hist_gradient_boosting": lambda seed: HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.05, max_leaf_nodes=15, min_samples_leaf=200, l2_regularization=1.0,
        early_stopping=False, random_state=seed,
    ),
    "ridge": lambda seed: Ridge(alpha=1_000.0, random_state=seed),
    "hist_gradient_boosting_regression": lambda seed: HistGradientBoostingRegressor(
        max_iter=150, learning_rate=0.05, max_leaf_nodes=15, min_samples_leaf=200, l2_regularization=1.0,
        early_stopping=False, random_state=seed,
    ),
    "pairwise": lambda seed: PairwiseRanker(random_state=seed),
    "lightgbm": lambda seed: lightgbm_models.LightGBMClassifier(random_state=seed),
    "lightgbm_regression": lambda seed: lightgbm_models.LightGBMRegressor(random_state=seed),
    "lightgbm_ranking": lambda seed: lightgbm_models.LightGBMRanker(random_state=seed),
    "mean_of_ranks": lambda seed: MeanOfRanks(random_state=seed),
}  # fmt: skip
"""Classifiers, regressors, ranking models and a combination by name, as functions of the seed.

They are small and strongly regularised, because a daily signal is mostly noise. Those of LightGBM need an extra: see
`lightgbm_models`.
"""

# Others have `middle` alone, as binning fails on a column without values.
_DEFAULT_PREPARE = dict.fromkeys(("logistic", "ridge", "pairwise"), ("middle", "standard"))


@dataclass(frozen=True)
class Recipe:
    """The model, its parameters, its preprocessing and its seed.

    Args:
        model: a name of `MODELS`, or an import path such as `sklearn.ensemble.ExtraTreesClassifier`.
        parameters: arguments of the estimator besides the seed.
        prepare: names of `PREPARATIONS`, in order; None selects the default of the model.
        seed: the same seed gives the same model.
        weighted: whether rows are weighted by the uniqueness of their labels (`labels.average_uniqueness`).
        target: a name of `targets.TARGETS`, what the model learns.
        horizons: shorter horizons in sessions, whose targets are combined with that of the task's horizon.

    >>> pipeline = Recipe("sklearn.ensemble.ExtraTreesClassifier", {"n_estimators": 50}, prepare=("median",)).make()
    >>> [name for name, _ in pipeline.steps]
    ['simpleimputer', 'extratreesclassifier']
    """

    model: str = "logistic"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    prepare: tuple[str, ...] | None = None
    seed: int = 7
    weighted: bool = True
    target: str = DEFAULT
    horizons: tuple[int, ...] = ()

    @property
    def regresses(self) -> bool:
        """Whether the model is a regressor, which learns the target itself.

        >>> Recipe("ridge").regresses, Recipe("logistic").regresses
        (True, False)
        """
        return bool(is_regressor(self._estimator()))

    def make(self) -> Pipeline:
        """Return the unfitted pipeline.

        Raises:
            ModelError: a name is not known, the import path names no class with fit and predict, or the model needs an
                extra that is not installed.
        """
        names = _DEFAULT_PREPARE.get(self.model, ("middle",)) if self.prepare is None else self.prepare
        if unknown := [name for name in names if name not in PREPARATIONS]:
            raise ModelError(f"preparation {', '.join(unknown)} is not known; there are {', '.join(PREPARATIONS)}")
        return make_pipeline(*(PREPARATIONS[name](self.seed) for name in names), self._estimator())

    def _estimator(self) -> Estimator:
        if self.model in MODELS:
            if self.model.startswith(lightgbm_models.PACKAGE):
                lightgbm_models.require()
            return MODELS[self.model](self.seed).set_params(**self.parameters)
        try:
            estimator = _import_estimator(self.model)(**self.parameters)
        except TypeError as error:
            raise ModelError(f"{self.model} does not take {dict(self.parameters)}: {error}") from error
        if "random_state" in estimator.get_params() and "random_state" not in self.parameters:
            estimator.set_params(random_state=self.seed)
        if is_classifier(estimator) and not hasattr(estimator, "predict_proba"):
            raise ModelError(f"{self.model} gives no probabilities: wrap it, or choose a classifier that does")
        return estimator


def fit(
    pipeline: Pipeline,
    inputs: NDArray[np.float64],
    labels: NDArray[Any],
    weights: NDArray[Any] | None = None,
    sessions: NDArray[Any] | None = None,
) -> Pipeline:
    """Fit the pipeline and return it; the last step gets the weights and the sessions of the rows if it accepts them.

    Its `fit` accepts them as `sample_weight` and `sessions`.
    """
    name, last = pipeline.steps[-1]
    offered = {"sample_weight": weights, "sessions": sessions}
    accepted = {
        f"{name}__{word}": value
        for word, value in offered.items()
        if value is not None and has_fit_parameter(last, word)
    }
    return pipeline.fit(inputs, labels, **accepted)


def probability(model: Estimator, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of label 1 for each row; for a regressor, its prediction clipped to 0 to 1.

    Raises:
        ModelError: a score is NaN or infinite, which would rank above every number.
    """
    is_probability = hasattr(model, "predict_proba")
    predicted = model.predict_proba(inputs)[:, 1] if is_probability else model.predict(inputs)
    scores = np.asarray(predicted, dtype=np.float64)
    unknown = np.flatnonzero(~np.isfinite(scores))
    if unknown.size:
        last = model.steps[-1][1] if isinstance(model, Pipeline) else model
        raise ModelError(
            f"{type(last).__name__} scores NaN or infinity in {unknown.size} of "
            f"{quantity(scores.size, 'row')}, the first in row {unknown[0]}: a score is a number from 0 to 1. Let "
            "the model predict for unknown inputs too, or impute them first (prepare=('median',))"
        )
    return scores if is_probability else np.clip(scores, 0.0, 1.0)


_ALIKE = dict.fromkeys(("xgboost", "catboost", "gbm", "xgb"), "lightgbm") | {
    **dict.fromkeys(("forest", "rf", "extra_trees"), "random_forest"),
    **dict.fromkeys(("linear", "ols", "lasso", "elastic_net"), "ridge"),
    "logit": "logistic",
}
"""Common names of models, and the known name whose model is most like it."""


def _import_estimator(path: str) -> Callable[..., Estimator]:
    module, _, name = path.replace(":", ".").rpartition(".")
    if not module:
        known = known_names(_ALIKE.get(path.lower(), path), MODELS)
        raise ModelError(
            f"model {path!r} is not known; {known}, and any import path of a scikit-learn-compatible estimator, such "
            "as sklearn.ensemble.ExtraTreesClassifier"
        )
    try:
        kind = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ModelError(f"model {path!r} cannot be imported: {error}") from error
    if not (isinstance(kind, type) and hasattr(kind, "fit") and hasattr(kind, "predict")):
        raise ModelError(f"model {path!r} is not an estimator: it needs the methods fit and predict")
    return kind
