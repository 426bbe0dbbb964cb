"""Recipes: names, import paths, preprocessing and sample weights."""

from __future__ import annotations

import importlib
from importlib.util import find_spec

import joblib
import numpy as np
import pytest
import skops.io
from scipy.stats import rankdata
from sklearn.utils.estimator_checks import check_estimator

from champion.errors import ModelError
from champion.modeling import estimators
from champion.modeling.estimators import Recipe, Winsorizer
from champion.tracking import model_types

RNG = np.random.default_rng(7)
INPUTS = RNG.normal(size=(300, 3))
LABELS = (INPUTS[:, 0] + 0.5 * RNG.normal(size=300) > 0).astype(np.int8)


@pytest.mark.filterwarnings("ignore")
def test_winsorizer_passes_scikit_learns_checks() -> None:
    found = check_estimator(Winsorizer(), on_skip=None)
    assert {check["status"] for check in found} <= {"passed", "skipped"}
    assert [check["check_name"] for check in found if check["status"] == "skipped"] == ["check_array_api_input"]


def test_winsorizer_clips_to_fitted_quantiles_and_keeps_nan() -> None:
    learnt = Winsorizer(tail=0.1).fit(np.column_stack([np.arange(101.0), np.full(101, np.nan)]))
    assert learnt.transform([[-5.0, 1.0], [1e9, np.nan]]).tolist()[0] == [10.0, 1.0]
    assert learnt.transform([[1e9, np.nan]])[0, 0] == 90.0
    assert np.isnan(learnt.transform([[np.nan, np.nan]])).all()


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ("sklearn.ensemble.ExtraTreesClassifier", {"n_estimators": 20}),
        ("sklearn.naive_bayes:GaussianNB", {}),
        ("sklearn.linear_model.Ridge", {"alpha": 2.0}),
        ("hist_gradient_boosting", {"max_iter": 5, "min_samples_leaf": 20}),
        ("mean_of_ranks", {"members": ["logistic", "ridge", "sklearn.naive_bayes.GaussianNB"]}),
    ],
)
def test_any_estimator_by_import_path_is_deterministic_and_saved_safely(
    model: str, parameters: dict[str, object]
) -> None:
    recipe = Recipe(model, parameters, seed=3)
    made = [estimators.fit(recipe.make(), INPUTS, LABELS) for _ in range(2)]
    first, second = (estimators.probability(one, INPUTS) for one in made)
    assert np.array_equal(first, second)
    assert first.min() >= 0
    assert first.max() <= 1
    assert np.corrcoef(first, LABELS)[0, 1] > 0.5
    content = skops.io.dumps(made[0])
    types = skops.io.get_untrusted_types(data=content)
    assert {name.split(".")[0] for name in types} <= {"sklearn", "numpy", "champion"}
    assert np.array_equal(estimators.probability(skops.io.loads(content, trusted=types), INPUTS), first)


@pytest.mark.parametrize("model", ["lightgbm", "lightgbm_regression", "lightgbm_ranking"])
def test_models_of_lightgbm_are_text_that_is_equal_for_equal_data(model: str) -> None:
    pytest.importorskip("lightgbm", reason="LightGBM is not installed: pip install 'champion[lightgbm]'")
    recipe = Recipe(model, {"n_estimators": 20, "min_child_samples": 10, "n_jobs": 1}, seed=3)
    sessions, order = np.repeat(np.arange(30), 10), INPUTS[:, 0].argsort().argsort() / 300
    outcomes = order if recipe.regresses else LABELS
    made = [estimators.fit(recipe.make(), INPUTS, outcomes, np.ones(300), sessions) for _ in range(2)]
    assert joblib.hash(made[0]) == joblib.hash(made[1])
    scores = estimators.probability(made[0], INPUTS)
    assert 0 <= scores.min() < scores.max() <= 1
    assert np.corrcoef(scores, order)[0, 1] > 0.5
    # The workspace trusts no further package, and the file has no object of LightGBM.
    content = skops.io.dumps(made[0])
    trusted = model_types.require_trusted(content, ())
    assert {name.rpartition(".")[0] for name in trusted} == {"champion.modeling.lightgbm_models", "numpy"}
    assert np.array_equal(estimators.probability(skops.io.loads(content, trusted=trusted), INPUTS), scores)
    # The oracle is LightGBM itself, given the stored text.
    booster = importlib.import_module("lightgbm").Booster(model_str=made[0].steps[-1][1].model_text_)
    assert booster.num_trees() == 20
    assert np.corrcoef(booster.predict(INPUTS).argsort().argsort(), scores.argsort().argsort())[0, 1] > 0.999


def test_the_ranking_model_of_lightgbm_ranks_within_sessions() -> None:
    """Inputs that order the sessions, and not the rows of a session, teach it nothing."""
    pytest.importorskip("lightgbm", reason="LightGBM is not installed: pip install 'champion[lightgbm]'")
    sessions = np.repeat(np.arange(30), 10)
    inputs = np.column_stack([sessions, RNG.normal(size=300)])
    target = (sessions / 60 + 0.5 * (inputs[:, 1] > 0)).clip(0, 1)
    recipe = Recipe("lightgbm_ranking", {"n_estimators": 10, "min_child_samples": 10, "n_jobs": 1})
    within = estimators.fit(recipe.make(), inputs, target, None, sessions).steps[-1][1]
    across = estimators.fit(recipe.make(), inputs, target).steps[-1][1]
    level = [[0.0, 1.0], [29.0, 1.0]]
    assert np.ptp(within.predict(level)) < np.ptp(across.predict(level))
    for wrong, message in {
        (0,) * 299 + (1, 0): "of 301 rows instead of 300",
        (0, 1) * 150: "not side by side",
    }.items():
        with pytest.raises(ModelError, match=message):
            estimators.fit(recipe.make(), inputs, target, None, np.array(wrong))


@pytest.mark.skipif(find_spec("lightgbm") is not None, reason="LightGBM is installed")
def test_models_of_lightgbm_need_the_extra() -> None:
    with pytest.raises(ModelError, match=r"pip install 'champion\[lightgbm\]'"):
        Recipe("lightgbm").make()


@pytest.mark.parametrize("names", [("winsorize", "median", "normal"), ("middle", "robust"), ("median", "standard")])
def test_preparations_by_name_are_saved_with_the_model(names: tuple[str, ...]) -> None:
    made = estimators.fit(Recipe(prepare=names).make(), INPUTS, LABELS)
    content = skops.io.dumps(made)
    loaded = skops.io.loads(content, trusted=skops.io.get_untrusted_types(data=content))
    assert np.array_equal(loaded.predict_proba(INPUTS), made.predict_proba(INPUTS))
    assert len(made.steps) == len(names) + 1


def test_weights_reach_a_last_step_that_accepts_them() -> None:
    weights = np.where(INPUTS[:, 1] > 0, 5.0, 0.1)
    for model, takes in (("logistic", True), ("sklearn.neighbors.KNeighborsClassifier", False)):
        plain, weighted = (estimators.fit(Recipe(model).make(), INPUTS, LABELS, w) for w in (None, weights))
        same = np.array_equal(plain.predict_proba(INPUTS), weighted.predict_proba(INPUTS))
        assert same is not takes


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe("oracle"), "'oracle' is not known; there are logistic, random_forest, hist_gradient"),
        (Recipe("sklearn.nowhere.Model"), "cannot be imported"),
        (Recipe("sklearn.linear_model.Oracle"), "cannot be imported"),
        (Recipe("os.path.join"), "is not an estimator"),
        (Recipe("sklearn.preprocessing.StandardScaler"), "is not an estimator"),
        (Recipe("sklearn.svm.LinearSVC"), "gives no probabilities"),
        (Recipe("sklearn.linear_model.Ridge", {"depth": 3}), "does not take"),
        (Recipe(prepare=("magic",)), "preparation magic is not known; there are middle, median"),
    ],
)
def test_invalid_recipes_are_refused(recipe: Recipe, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        recipe.make()


def test_a_combination_scores_by_the_mean_of_its_members_ranks() -> None:
    """Each member's rank among the training scores, by scipy, agrees within the spacing of the quantiles."""
    members = ("logistic", "ridge")
    made = estimators.fit(Recipe("mean_of_ranks", {"members": members}, seed=3).make(), INPUTS, LABELS)
    apart = [
        estimators.probability(estimators.fit(Recipe(name, seed=3).make(), INPUTS, LABELS), INPUTS) for name in members
    ]
    ranks = np.mean([(rankdata(each) - 0.5) / len(each) for each in apart], axis=0)
    assert estimators.probability(made, INPUTS) == pytest.approx(ranks, abs=1 / 300)
    assert made.predict(INPUTS).tolist() == (estimators.probability(made, INPUTS) > 0.5).astype(int).tolist()
    unknown = INPUTS.copy()
    unknown[:, 1] = np.nan
    assert np.isfinite(estimators.probability(made, unknown)).all()


@pytest.mark.parametrize("members", [["logistic"], ["ridge", "ridge"], ["logistic", "mean_of_ranks"]])
def test_a_combination_of_fewer_than_two_models_is_refused(members: list[str]) -> None:
    with pytest.raises(ModelError, match=f"members {', '.join(members)} are no combination"):
        estimators.fit(Recipe("mean_of_ranks", {"members": members}).make(), INPUTS, LABELS)
