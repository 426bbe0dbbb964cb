"""Restrict the types in a stored model to estimators and their parts, and refuse all callables.

skops runs no code when it opens a file, but the rebuilt objects are used later: a class or function stored as a
*value*, as in `FunctionTransformer(func=numpy.memmap)`, is called with the model's inputs. So this module checks each
node of a file twice.

1. It must be an object. Classes, functions, bound methods and partial functions as values are refused. skops itself
   admits builtin types, dtypes and ufuncs, which only compute.
2. Its class must be admitted: estimators of scikit-learn and the parts that fitted ones contain. Classes that read or
   write files, open connections or import modules are not admitted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib import import_module
from io import BytesIO
from typing import Any
from zipfile import ZipFile

from champion.errors import ModelError

_CALLED = frozenset({"TypeNode", "FunctionNode", "MethodNode", "PartialNode", "OperatorFuncNode"})
LIGHTGBM = "champion.modeling.lightgbm_models"
"""The module of models that need LightGBM to predict."""
# The second one is in models of Champion 0.2 and earlier.
_OWN = ("champion.modeling.estimators", "champion.estimators", LIGHTGBM)
_LIBRARIES = ("sklearn", "numpy", "scipy", *_OWN)
_PARTS = frozenset(  # parts of fitted estimators besides numbers
    "numpy.dtype scipy.interpolate._bsplines.BSpline scipy.interpolate._interpolate.interp1d "
    "sklearn.calibration._CalibratedClassifier sklearn.calibration._SigmoidCalibration "
    "sklearn.calibration._TemperatureScaling sklearn.cluster._bisect_k_means._BisectingTree "
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper "
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor "
    "sklearn.neighbors._ball_tree.BallTree sklearn.neighbors._ball_tree.BallTree64 "
    "sklearn.neighbors._kd_tree.KDTree sklearn.neighbors._kd_tree.KDTree64 "
    "sklearn.tree._tree.Tree sklearn.utils._bunch.Bunch".split()
)
_PART_MODULES = frozenset(  # modules whose classes are all such parts
    "sklearn._loss._loss sklearn._loss.link sklearn._loss.loss sklearn.gaussian_process.kernels "
    "sklearn.metrics._dist_metrics sklearn.neural_network._stochastic_optimizers".split()
)
_NO_ESTIMATORS = frozenset({"conftest", "datasets", "externals", "tests", "utils", "_build_utils"})
_READERS = frozenset(  # estimators that open files named by their inputs
    f"sklearn.feature_extraction.text.{name}" for name in ("CountVectorizer", "HashingVectorizer", "TfidfVectorizer")
)


def require_trusted(content: bytes, packages: Iterable[str]) -> list[str]:
    """Return the names of a file's types that skops must be given as trusted; all are allowed.

    `packages` are further packages whose classes are admitted. A class belongs to the package that defines it, not to
    those that import it.

    Raises:
        ModelError: the file contains another type, or a callable as a value.
        BadZipFile, KeyError, ValueError: it is not a file in the skops format.
    """
    import skops.io  # noqa: PLC0415 - brings scikit-learn

    untrusted = skops.io.get_untrusted_types(data=content)
    nodes = set(_nodes(json.loads(ZipFile(BytesIO(content)).read("schema.json"))))
    called = {name for loader, name in nodes if loader in _CALLED}
    always = {name for loader, name in nodes if loader == "MethodNode" or name in _READERS}
    known = tuple(packages)
    refused = always | {name for name in untrusted if name in called or not _is_admitted(name, known)}
    if refused:
        foreign = {name.partition(".")[0] for name in refused} - {"sklearn", "numpy", "scipy", "champion"}
        named = ",".join(sorted(foreign))
        raise ModelError(
            f"the model contains types that are not allowed: {', '.join(sorted(refused)[:5])}. Allowed are estimators "
            f"and their parts from {', '.join((*_LIBRARIES, *known))}, but no callables. Build it of scikit-learn "
            "estimators, so that it can be loaded without running foreign code"
            + (f"; or, if you trust the code, set CHAMPION_MODEL_PACKAGES={named}" if named else "")
        )
    return list(untrusted)


def _nodes(part: Any) -> Iterator[tuple[str, str]]:
    """Yield the loader and the full name of each node in a schema."""
    if isinstance(part, dict) and "__loader__" in part:
        yield str(part["__loader__"]), f"{part.get('__module__')}.{part.get('__class__')}"
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _nodes(value)


def _is_admitted(name: str, packages: tuple[str, ...]) -> bool:
    module, _, attribute = name.rpartition(".")
    of_package = name.startswith(tuple(f"{package}." for package in (*_OWN, *packages)))
    if name in _PARTS or module in _PART_MODULES or of_package:
        return _defined(module, attribute) is not None
    if not name.startswith("sklearn.") or _NO_ESTIMATORS.intersection(name.split(".")):
        return False
    from sklearn.base import BaseEstimator  # noqa: PLC0415

    found = _defined(module, attribute)
    return found is not None and issubclass(found, BaseEstimator)


def _defined(module: str, attribute: str) -> type | None:
    """Return the class that a module defines under a name; None for an imported name, or if it is not a class."""
    if "__" in module:  # importing a `__main__` runs it
        return None
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError):
        return None
    is_own = isinstance(found, type) and (found.__module__, found.__name__) == (module, attribute)
    return found if is_own else None
