"""Gradient boosting by LightGBM, an extra, as scikit-learn estimators whose fitted state is LightGBM's text format.

The trees of a fitted model are one string, `model_text_`, and the estimator has no other fitted state than its classes
and the number of inputs. So a model is stored as plain data, without pickle, and loading it runs no code of LightGBM;
the text is parsed when the model predicts. Training is deterministic for a seed and a number of threads, so equal data
give the same text, byte for byte. More threads than free cores wait for each other actively: kernels of Champion set
`OMP_WAIT_POLICY=passive`.

Needs `pip install 'champion[lightgbm]'`. Without it `require` raises ModelError, before anything is trained.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from champion.base.counting import quantity
from champion.errors import ModelError

__all__ = ["LightGBMClassifier", "LightGBMRanker", "LightGBMRegressor", "require"]
__dir__ = __all__.copy

PACKAGE = "lightgbm"
_GRADES = 10  # relevance grades of the ranking model: tenths of the target
_MOST_ROWS = 10_000  # rows of a session that LightGBM ranks
_CLASSES = 2


def require() -> None:
    """Require LightGBM.

    Raises:
        ModelError: it is not installed; the message says how to install it.
    """
    if find_spec(PACKAGE) is None:
        raise ModelError("LightGBM is not installed: pip install 'champion[lightgbm]', or choose another model")


class _Boosting(BaseEstimator):  # type: ignore[misc]
    """The parameters of the three models, under the names of LightGBM's own scikit-learn interface.

    Args:
        n_estimators: number of trees. There is no early stopping, as its validation rows would overlap those of
            training.
        learning_rate: factor of each tree.
        num_leaves: most leaves of a tree.
        min_child_samples: fewest rows of a leaf.
        reg_lambda: L2 regularisation.
        colsample_bytree: share of the inputs that each tree sees.
        max_bin: most bins of an input.
        n_jobs: threads. Another number may change the last bits of a model.
        random_state: the same seed gives the same model.
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's estimators take their parameters one by one
        self,
        *,
        n_estimators: int = 150,
        learning_rate: float = 0.05,
        num_leaves: int = 15,
        min_child_samples: int = 200,
        reg_lambda: float = 1.0,
        colsample_bytree: float = 1.0,
        max_bin: int = 255,
        n_jobs: int = 2,
        random_state: int | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.min_child_samples = min_child_samples
        self.reg_lambda = reg_lambda
        self.colsample_bytree = colsample_bytree
        self.max_bin = max_bin
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _boost(
        self,
        values: NDArray[np.float64],
        labels: NDArray[Any],
        weights: Any,
        objective: dict[str, Any],
        group: Any = None,
    ) -> None:
        """Train, and keep the trees as text."""
        require()
        import lightgbm  # noqa: PLC0415 - an optional extra

        parameters = {
            **objective,
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self.min_child_samples,
            "lambda_l2": self.reg_lambda,
            "feature_fraction": self.colsample_bytree,
            "max_bin": self.max_bin,
            "num_threads": self.n_jobs,
            "seed": 0 if self.random_state is None else self.random_state,
            # The same sums in the same order on each machine, at some cost of time.
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        try:
            data = lightgbm.Dataset(values, labels, weight=weights, group=group, params=parameters, free_raw_data=True)
            booster = lightgbm.train(parameters, data, num_boost_round=self.n_estimators)
        except lightgbm.basic.LightGBMError as error:
            raise ModelError(f"LightGBM refuses {self.get_params()}: {error}") from error
        self.model_text_ = booster.model_to_string()

    def _predicted(self, X: Any, *, raw: bool = False) -> NDArray[np.float64]:  # noqa: N803 - scikit-learn's name
        check_is_fitted(self)
        require()
        import lightgbm  # noqa: PLC0415 - an optional extra

        values = validate_data(self, X, dtype=np.float64, reset=False)
        booster = lightgbm.Booster(model_str=self.model_text_)
        return np.asarray(booster.predict(values, raw_score=raw, num_threads=self.n_jobs), dtype=np.float64)


class LightGBMClassifier(ClassifierMixin, _Boosting):  # type: ignore[misc]
    """Two classes by logistic loss; see `_Boosting` for the parameters.

    >>> LightGBMClassifier(n_estimators=20).get_params()["n_estimators"]
    20
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LightGBMClassifier:  # noqa: N803
        """Fit the trees on two classes.

        Raises:
            ModelError: LightGBM is not installed or refuses a parameter, or there are not two classes.
        """
        values, labels = validate_data(self, X, y, dtype=np.float64)
        self.classes_, places = np.unique(labels, return_inverse=True)
        if len(self.classes_) != _CLASSES:
            raise ModelError(f"{len(self.classes_)} classes in {len(labels)} labels: LightGBMClassifier needs two")
        self._boost(values, places, sample_weight, {"objective": "binary"})
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the probabilities of both classes, a row per row."""
        upper = self._predicted(X)
        return np.column_stack([1 - upper, upper])

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the class of the higher probability for each row."""
        return np.asarray(self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(int)])  # noqa: PLR2004 - even odds


class LightGBMRegressor(RegressorMixin, _Boosting):  # type: ignore[misc]
    """The target by squared loss; see `_Boosting` for the parameters.

    >>> LightGBMRegressor().learning_rate
    0.05
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LightGBMRegressor:  # noqa: N803
        """Fit the trees on the target.

        Raises:
            ModelError: LightGBM is not installed, or refuses a parameter.
        """
        values, targets = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        self._boost(values, targets, sample_weight, {"objective": "regression"})
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the expected target of each row."""
        return self._predicted(X)


class LightGBMRanker(RegressorMixin, _Boosting):  # type: ignore[misc]
    """The order within each session by LambdaMART (Burges 2010); see `_Boosting` for the parameters.

    The relevance of a row is the tenth of its target, a number from 0 to 1, with gains that rise linearly. Predictions
    are between 0 and 1, the logistic function of the model's score, and rank the rows of a session.

    >>> LightGBMRanker(num_leaves=7).num_leaves
    7
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None, sessions: Any = None) -> LightGBMRanker:  # noqa: N803
        """Fit the trees; `sessions` is the session of each row, equal ones side by side; None is one session.

        Raises:
            ModelError: LightGBM is not installed or refuses a parameter, the rows of a session are not side by side, or
                a session has more than 10,000 rows.
        """
        values, targets = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        groups = _group_sizes(len(values), sessions)
        grades = np.clip(np.floor(targets * _GRADES), 0, _GRADES - 1).astype(np.int32)
        objective = {"objective": "lambdarank", "label_gain": list(range(_GRADES))}
        self._boost(values, grades, sample_weight, objective, groups)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the logistic function of each row's score."""
        return np.asarray(1 / (1 + np.exp(-self._predicted(X, raw=True))), dtype=np.float64)


def _group_sizes(rows: int, sessions: Any) -> NDArray[np.int64]:
    """Return the number of rows of each session, in order."""
    of_row = np.zeros(rows) if sessions is None else np.asarray(sessions)
    if len(of_row) != rows:
        raise ModelError(
            f"the sessions are of {quantity(len(of_row), 'row')} instead of {rows}: each row needs its session"
        )
    starts = np.flatnonzero(np.concatenate([[True], of_row[1:] != of_row[:-1]]))
    if len(starts) != len(np.unique(of_row)):
        raise ModelError("the rows of a session are not side by side: sort them by session")
    sizes = np.diff(np.append(starts, rows))
    if sizes.max() > _MOST_ROWS:
        raise ModelError(
            f"a session has {quantity(sizes.max(), 'row')}, and LightGBM ranks at most {_MOST_ROWS:,}: name the "
            "session of each row, choose a smaller universe, or the model lightgbm_regression"
        )
    return sizes
