"""Publish a notebook's results in one call: metrics, figures, tables, documents, values and output digests.

Under the runner the results become files in the folder named by `CHAMPION_RESULT_DIR`. `result.json` is written last,
so that a reader finds all of them or none. In JupyterLab the call returns them as a dict.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from champion.base import atomic_files
from champion.base.strict_json import parse_json
from champion.errors import NotebookError, UsageError, in_one_line

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

JSON: TypeAlias = Any  # what json.dumps writes: None, bool, int, finite float, str, list, dict with text keys

RESULT_DIR = "CHAMPION_RESULT_DIR"
RESULT = "result.json"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_DPI = 110
_FIGURE = "a figure is a matplotlib figure, as plots return"
_TABLE = "a table is a Polars DataFrame; collect a lazy one"
_JSON: Mapping[str, Any] = {"allow_nan": False, "indent": 1, "sort_keys": True}
_KINDS = ("metrics", "figures", "tables", "values", "outputs")


@dataclass(frozen=True, slots=True)
class _Published:
    metrics: dict[str, float]
    values: dict[str, JSON]
    outputs: dict[str, str]
    figures: dict[str, str]
    tables: dict[str, str]
    documents: dict[str, str] = field(default_factory=dict)


def publish(
    *positional: object,
    metrics: Mapping[str, float] | None = None,
    figures: Mapping[str, Figure] | None = None,
    tables: Mapping[str, pl.DataFrame] | None = None,
    documents: Mapping[str, JSON] | None = None,
    values: Mapping[str, JSON] | None = None,
    outputs: Mapping[str, str] | None = None,
    **unknown: object,
) -> dict[str, Any]:
    """Return the published results; under the runner they are on disk when this returns.

    Metrics are finite numbers; figures become PNG files, tables Parquet files, documents JSON files; values are JSON;
    outputs name the written datasets, with their digests. A notebook publishes once: under the runner, a second call
    raises.

    Raises:
        UsageError: an argument is unknown or not a mapping; a name contains other characters than letters, digits and
            `_ . -`; a metric is not a finite number, a figure not a figure, a table not a DataFrame, a value not JSON;
            or results were published before. A notebook shows it in one line.

    >>> publish(metrics={"rows": 2}, values={"session": "2024-01-15"})["metrics"]
    {'rows': 2.0}
    """
    try:
        _require_known(positional, unknown)
        result: dict[str, Any] = {
            "metrics": {name: _number(name, value) for name, value in _items("metrics", metrics)},
            "values": {name: _json(name, value) for name, value in _items("values", values)},
            "outputs": {name: _digest(name, value) for name, value in _items("outputs", outputs)},
        }
        shown: dict[str, Any] = {
            "figures": {n: _with_method("savefig", f"figure {n!r}", f, _FIGURE) for n, f in _items("figures", figures)},
            "tables": {
                n: _with_method("write_parquet", f"table {n!r}", t, _TABLE) for n, t in _items("tables", tables)
            },
            "documents": {name: _json(name, value) for name, value in _items("documents", documents)},
        }
        folder = os.environ.get(RESULT_DIR)
        return result | (_write(Path(folder), result, shown) if folder else shown)
    except UsageError as error:
        raise in_one_line(error) from None


def read(folder: Path) -> dict[str, Any]:
    """Return what a notebook published into `folder`; empty if it published nothing.

    Raises:
        NotebookError: the file there was not written by `publish`.
    """
    path = folder / RESULT
    if not path.exists():
        return {}
    try:
        found = parse_json(_Published, path.read_bytes())
        for name, value in found.metrics.items():
            _number(_named("metric", name), value)
    except (ValueError, UsageError) as error:
        raise NotebookError(f"{path} was not written by report.publish ({error}): call it, once") from error
    return asdict(found)


def _write(folder: Path, result: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    if (folder / RESULT).exists():
        raise UsageError("this notebook run has published already: collect its results and call report.publish once")
    names: dict[str, dict[str, str]] = {}
    for kind, (suffix, write) in _WRITERS.items():
        names[kind] = {name: f"{kind}/{name}{suffix}" for name in shown[kind]}
        for name, value in shown[kind].items():
            with atomic_files.replacing(folder / names[kind][name]) as path:
                write(value, path)
    atomic_files.write_bytes(folder / RESULT, json.dumps({**result, **names}, **_JSON).encode())
    return names


_WRITERS: dict[str, tuple[str, Callable[[Any, Path], object]]] = {
    "figures": (".png", lambda figure, path: figure.savefig(path, format="png", dpi=_DPI, bbox_inches="tight")),
    "tables": (".parquet", lambda table, path: table.write_parquet(path)),
    "documents": (".json", lambda value, path: path.write_text(json.dumps(value, **_JSON), encoding="utf-8")),
}


def _require_known(positional: Sequence[object], unknown: Mapping[str, object]) -> None:
    if positional or unknown:
        wrong = [*(f"a {type(value).__name__} without a name" for value in positional), *unknown]
        raise UsageError(f"publish does not take {', '.join(wrong)}; it takes {', '.join(_KINDS)}, each by name")


def _items(kind: str, given: object) -> list[tuple[str, Any]]:
    """Return the names and values of an argument."""
    if given is None:
        return []
    if not isinstance(given, Mapping):
        raise UsageError(f"{kind} is a {type(given).__name__}; publish takes a dict by name, as {kind}={{'name': ...}}")
    return [(_named(kind.removesuffix("s"), name), value) for name, value in given.items()]


def _with_method(method: str, name: str, value: object, hint: str) -> object:
    """Return a figure or a table, recognised by the method that writes it."""
    if not callable(getattr(value, method, None)):
        raise UsageError(f"{name} is a {type(value).__name__}: {hint}")
    return value


def _named(kind: str, name: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(
            f"{kind} name {name!r}: a name is up to 100 letters, digits and _ . - and does not start with . or -"
        )
    return name


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise UsageError(f"metric {name!r} is {value!r} ({type(value).__name__}): a metric is a finite number")
    number = float(value)
    if not math.isfinite(number):
        raise UsageError(
            f"metric {name!r} is {number}: a metric is a finite number; leave it out, or publish the reason as a value"
        )
    return number


def _json(name: str, value: JSON) -> JSON:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(f"value {name!r} is not JSON ({error}): write dates as ISO text, frames as tables") from error


def _digest(name: str, value: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"output {name!r} is {value!r}: an output is its digest, a text")
    return value


def run_id() -> str | None:
    """Return the MLflow run that records this notebook, or None outside the runner.

    >>> run_id() is None  # outside a run
    True
    """
    return os.environ.get("MLFLOW_RUN_ID")
