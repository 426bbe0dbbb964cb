"""A hostile model file: its admitted and refused nodes; and fitted models of scikit-learn, which are admitted."""

from __future__ import annotations

import io
import json
import operator
import warnings
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import sklearn.utils._testing
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from champion.errors import ModelError
from champion.modeling.estimators import Winsorizer
from champion.tracking.model_types import require_trusted

INPUTS = np.random.default_rng(7).normal(size=(60, 3))
CLASSES = (INPUTS[:, 0] > 0).astype(int)


def saved(model: Any) -> bytes:
    return bytes(skops.io.dumps(model))


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        make_pipeline(Winsorizer(), StandardScaler(), FunctionTransformer(np.arctan), LogisticRegression()),
        make_pipeline(KBinsDiscretizer(quantile_method="averaged_inverted_cdf"), DecisionTreeClassifier()),
        RandomForestClassifier(3),
        HistGradientBoostingClassifier(max_iter=3),
        KNeighborsClassifier(),
        GaussianProcessClassifier(),
        SVC(),
        *(CalibratedClassifierCV(LogisticRegression(), method=method) for method in ("sigmoid", "isotonic")),
    ],
    ids=lambda model: type(model).__name__,
)
def test_fitted_estimators_are_admitted_and_predict_as_before(model: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        fitted = model.fit(np.abs(INPUTS), CLASSES)
        content = saved(fitted)
        loaded = skops.io.loads(content, trusted=require_trusted(content, ()))
        assert (loaded.predict(np.abs(INPUTS)) == fitted.predict(np.abs(INPUTS))).all()


def test_a_neural_network_is_admitted() -> None:
    content = saved(MLPClassifier((3,), max_iter=400, tol=1.0).fit(INPUTS, CLASSES))
    assert require_trusted(content, ())


@pytest.mark.parametrize(
    "value",
    [
        np.memmap,
        np.lib.npyio.NpzFile,
        np.lib.npyio.DataSource,
        scipy.io.netcdf_file,
        scipy.io.FortranFile,
        sklearn.utils._testing.TempMemmap,  # it writes a file when it is made
        CountVectorizer,
        np.fromfile,
        np.load,
        np.savetxt,
        partial(np.fromfile, "theirs"),
        operator.methodcaller("tofile", "theirs"),
        Path,
        open,
        CountVectorizer(input="filename").build_analyzer,
        StandardScaler().fit,
    ],
    ids=lambda value: getattr(value, "__qualname__", type(value).__qualname__),
)
def test_callables_are_refused(value: Any) -> None:
    try:
        content = saved(FunctionTransformer(value))
    except Exception as error:  # noqa: BLE001 - skops has no spelling for some
        pytest.skip(f"skops cannot write it: {error}")
    with pytest.raises(ModelError, match="types that are not allowed"):
        require_trusted(content, ())


def test_library_classes_are_refused_as_values() -> None:
    """Each class of numpy's and scipy's public modules, except the dtypes, which only compute."""
    modules = (np, np.lib, np.lib.npyio, np.lib.format, np.random, np.ma, scipy.io, scipy.io.arff, scipy.io.wavfile)
    classes = {one for module in modules for one in vars(module).values() if isinstance(one, type)}
    known = {"numpy", "scipy"}
    classes = {one for one in classes if one.__module__.partition(".")[0] in known and not issubclass(one, np.generic)}
    admitted = []
    for one in sorted(classes, key=str):
        try:
            content = saved(FunctionTransformer(one))
            require_trusted(content, ())
        except ModelError:
            continue
        except Exception:  # noqa: BLE001, S112 - no spelling for it in the format
            continue
        admitted.append(one)
    assert len(classes) > 30
    assert admitted == []


def forged(loader: str, module: str, name: str, **content: Any) -> bytes:
    """Return the file of a transformer whose `func` is a forged node."""
    stream = io.BytesIO(saved(FunctionTransformer(np.log1p)))
    with zipfile.ZipFile(stream) as archive:
        schema = json.loads(archive.read("schema.json"))
    schema["content"]["content"]["func"] = {"__loader__": loader, "__module__": module, "__class__": name, **content}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    return made.getvalue()


ARGUMENT = {
    "__loader__": "TupleNode",
    "__module__": "builtins",
    "__class__": "tuple",
    "content": [{"__loader__": "JsonNode", "__module__": "builtins", "__class__": "str", "content": '"theirs"'}],
}


@pytest.mark.parametrize(
    ("loader", "module", "name"),
    [
        ("ConstructorFromReduceNode", "numpy", "memmap"),
        ("ConstructorFromReduceNode", "scipy.io", "netcdf_file"),
        ("ConstructorFromReduceNode", "scipy.io._netcdf", "netcdf_file"),
        ("ConstructorFromReduceNode", "sklearn.utils._testing", "TempMemmap"),
        ("ConstructorFromReduceNode", "sklearn.ensemble._forest", "catch_warnings"),  # imported there, not its own
        ("ConstructorFromReduceNode", "champion.modeling.estimators", "Callable"),
        ("ConstructorFromReduceNode", "champion.modeling.estimators", "Pipeline"),
        ("ConstructorFromReduceNode", "this", "s"),
        ("ConstructorFromReduceNode", "sklearn.conftest", "Anything"),
        ("TypeNode", "sklearn.tree._tree", "Tree"),
        ("TypeNode", "sklearn.linear_model._logistic", "LogisticRegression"),
        ("FunctionNode", "sklearn.datasets._base", "load_files"),
        ("FunctionNode", "champion.modeling.estimators", "import_module"),
    ],
)
def test_a_forged_node_is_refused(loader: str, module: str, name: str) -> None:
    content = {} if loader != "ConstructorFromReduceNode" else {"content": ARGUMENT}
    with pytest.raises(ModelError, match=name):
        require_trusted(forged(loader, module, name, **content), ())


def test_trusted_package_admits_only_its_own_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_of_types.py").write_text(
        "from numpy import memmap, load\nfrom sklearn.base import BaseEstimator\nclass Mine(BaseEstimator): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("memmap", "load"):
        with pytest.raises(ModelError, match=name):
            require_trusted(
                forged("ConstructorFromReduceNode", "mine_of_types", name, content=ARGUMENT), ["mine_of_types"]
            )
    mine = forged("ObjectNode", "mine_of_types", "Mine")
    assert require_trusted(mine, ["mine_of_types"]) == ["mine_of_types.Mine"]
    with pytest.raises(ModelError, match="CHAMPION_MODEL_PACKAGES=mine_of_types"):
        require_trusted(mine, ())


def test_an_estimator_that_opens_the_files_its_inputs_name_is_refused() -> None:
    with pytest.raises(ModelError, match="CountVectorizer"):
        require_trusted(saved(make_pipeline(CountVectorizer(input="filename"), LogisticRegression())), ())
