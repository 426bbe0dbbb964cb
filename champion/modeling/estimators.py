"""Estimators: by name, or any scikit-learn-compatible one by import path, with what prepares its inputs.

Everything that learns from data, scalers and imputers too, is a step of one pipeline, so that a fold's test rows never
reach what is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import QuantileTransformer, RobustScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data
from typing_extensions import override

from champion.base.counting import quantity
from champion.errors import ModelError

__all__ = ["MODELS", "PREPARATIONS", "Estimator", "Recipe", "Winsorizer", "fit", "probability", "zero_impute"]
__dir__ = __all__.copy

Estimator: TypeAlias = Any  # scikit-learn ships no types


class Winsorizer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Clip each input to two quantiles of what it was fitted on; NaN stays NaN.

    Args:
        tail: share of the values clipped at each end.

    >>> clipped = Winsorizer(tail=0.25).fit([[0.0], [1.0], [2.0], [3.0], [4.0]])
    >>> clipped.transform([[-9.0], [9.0]]).tolist()
    [[1.0], [3.0]]
    """

    def __init__(self, tail: float = 0.01) -> None:
        self.tail = tail

    def fit(self, X: Any, y: Any = None) -> Winsorizer:  # noqa: N803, ARG002 - scikit-learn's signature
        """Learn the quantiles; a column without any value is left alone."""
        values = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        empty = np.isnan(values).all(axis=0)
        known = np.where(empty, 0.0, values)
        low, high = np.nanquantile(known, [self.tail, 1 - self.tail], axis=0)
        self.low_, self.high_ = np.where(empty, -np.inf, low), np.where(empty, np.inf, high)
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the inputs, clipped."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        clipped: NDArray[np.float64] = np.clip(values, self.low_, self.high_)
        return clipped

    @override
    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def zero_impute() -> SimpleImputer:
    """Put what is unknown in the middle of the pack: inputs are ranks centred on 0."""
    return SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)


PREPARATIONS: dict[str, Callable[[int], Estimator]] = {
    "middle": lambda _: zero_impute(),
    "median": lambda _: SimpleImputer(strategy="median", keep_empty_features=True),
    "standard": lambda _: StandardScaler(),
    "robust": lambda _: RobustScaler(),
    "normal": lambda seed: QuantileTransformer(n_quantiles=100, output_distribution="normal", random_state=seed),
    "winsorize": lambda _: Winsorizer(),
}
"""What may prepare the inputs, by name: imputers, scalers and clipping, each fitted on training rows only."""

MODELS: dict[str, Callable[[int], Estimator]] = {
    "logistic": lambda seed: LogisticRegression(C=0.1, max_iter=500, random_state=seed),
    "random_forest": lambda seed: RandomForestClassifier(
        n_estimators=200, max_depth=6, min_samples_leaf=100, max_samples=0.5, random_state=seed
    ),
    "hist_gradient_boosting": lambda seed: HistGradientBoostingClassifier(
        max_iter=150,
        learning_rate=0.05,
        max_leaf_nodes=15,
        min_samples_leaf=200,
        l2_regularization=1.0,
        early_stopping=False,  # it would hold out rows at random, across sessions whose labels overlap
        random_state=seed,
    ),
}
"""Model name to a function of the seed: small, strongly regularised models, as a daily signal is mostly noise."""

_USUAL = {"logistic": ("middle", "standard")}  # the others: `middle`; a column without any value would stop binning


@dataclass(frozen=True)
class Recipe:
    """How a model is made.

    Args:
        model: a name of `MODELS`, or an import path as `sklearn.ensemble.ExtraTreesClassifier`.
        parameters: arguments of the estimator besides the seed.
        prepare: names of `PREPARATIONS`, in order; None means what the model usually needs.
        seed: same seed, same model.
        weighted: whether overlapping labels count for as much as they say alone (`labels.average_uniqueness`).

    >>> pipeline = Recipe("sklearn.ensemble.ExtraTreesClassifier", {"n_estimators": 50}, prepare=("median",)).make()
    >>> [name for name, _ in pipeline.steps]
    ['simpleimputer', 'extratreesclassifier']
    """

    model: str = "logistic"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    prepare: tuple[str, ...] | None = None
    seed: int = 7
    weighted: bool = True

    def make(self) -> Pipeline:
        """Return the unfitted pipeline.

        Raises:
            ModelError: a name is not known, or the import path leads to nothing that fits and predicts.
        """
        names = _USUAL.get(self.model, ("middle",)) if self.prepare is None else self.prepare
        if unknown := [name for name in names if name not in PREPARATIONS]:
            raise ModelError(f"preparation {', '.join(unknown)} is not known; there are {', '.join(PREPARATIONS)}")
        return make_pipeline(*(PREPARATIONS[name](self.seed) for name in names), self._estimator())

    def _estimator(self) -> Estimator:
        if self.model in MODELS:
            return MODELS[self.model](self.seed).set_params(**self.parameters)
        kind = _imported(self.model)
        try:
            made = kind(**self.parameters)
        except TypeError as error:
            raise ModelError(f"{self.model} does not take {dict(self.parameters)}: {error}") from error
        if "random_state" in made.get_params() and "random_state" not in self.parameters:
            made.set_params(random_state=self.seed)
        if is_classifier(made) and not hasattr(made, "predict_proba"):
            raise ModelError(f"{self.model} gives no probabilities: wrap it, or choose a classifier that does")
        return made


def fit(
    pipeline: Pipeline, inputs: NDArray[np.float64], labels: NDArray[Any], weights: NDArray[Any] | None = None
) -> Pipeline:
    """Return the pipeline, fitted; weights reach its last step where that takes them."""
    name, last = pipeline.steps[-1]
    weighted = weights is not None and has_fit_parameter(last, "sample_weight")
    return pipeline.fit(inputs, labels, **({f"{name}__sample_weight": weights} if weighted else {}))


def probability(model: Estimator, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of label 1 for each row; of a regressor of the label its prediction, from 0 to 1.

    Raises:
        ModelError: a score is NaN or infinite: it would rank above every number.
    """
    proper = hasattr(model, "predict_proba")
    made = model.predict_proba(inputs)[:, 1] if proper else model.predict(inputs)
    scores = np.asarray(made, dtype=np.float64)
    unknown = np.flatnonzero(~np.isfinite(scores))
    if unknown.size:
        raise ModelError(
            f"{type(_last(model)).__name__} scores NaN or infinity in {unknown.size} of "
            f"{quantity(scores.size, 'row')}, the first of them row {unknown[0]}: a score is a number from 0 to 1. Let "
            "the model predict one for inputs that are unknown too, or impute them first (prepare=('median',))"
        )
    return scores if proper else np.clip(scores, 0.0, 1.0)


def _last(model: Estimator) -> Estimator:
    return model.steps[-1][1] if isinstance(model, Pipeline) else model


def _imported(path: str) -> Callable[..., Estimator]:
    module, _, name = path.replace(":", ".").rpartition(".")
    if not module:
        raise ModelError(
            f"model {path!r} is not known; there are {', '.join(MODELS)}, and any import path of a scikit-learn-"
            "compatible estimator, as sklearn.ensemble.ExtraTreesClassifier"
        )
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ModelError(f"model {path!r} cannot be imported: {error}") from error
    if not (isinstance(found, type) and hasattr(found, "fit") and hasattr(found, "predict")):
        raise ModelError(f"model {path!r} is no estimator: it needs fit and predict, as scikit-learn's have")
    made: Callable[..., Estimator] = found
    return made
