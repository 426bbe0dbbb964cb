"""Where the time of a measured command goes, told from inside each of its processes; see pipeline.py.

`pipeline.py` copies this file as `sitecustomize.py` onto PYTHONPATH, so that every Python process of the command starts
with it, and has IPython call `watch_cells` in every kernel. Times are exclusive: an import within a call, or a call
within a notebook's cell, counts once, for the innermost. Standard library only, so that it costs next to nothing.
"""

from __future__ import annotations

import atexit
import builtins
import functools
import importlib
import inspect
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = "BENCHMARK_PROBE"
WATCHED = (
    "champion.pipeline.ingest.fetch",
    "champion.pipeline.ingest.ingest",
    "champion.pipeline.ingest.quality",
    "champion.pipeline.feature_store.build",
    "champion.pipeline.maintenance.load_warehouse",
    "champion.pipeline.models.frames",
    "champion.pipeline.models.score",
    "champion.pipeline.models.evaluate",
    "champion.modeling.metrics",
    "champion.modeling.training",
    "champion.tracking.promotion",
    "champion.tracking.registry",
    "champion.tracking.runs",
    "champion.tracking.store",
    "champion.runner.engine",
    "champion.runner.identity",
    "champion.runner.html_report",
)
_EXECUTE = "champion.runner.engine.execute"
_OURS = frozenset({"champion", "flows"})
_born = time.perf_counter()
_boot: dict[str, float] = {}
_totals: dict[str, list[float]] = {}  # label: calls, wall seconds, CPU seconds
_executed: list[float] = []  # clock times at which notebooks were done, their kernels gone
_unwatched = set(WATCHED)


class _Thread(threading.local):
    """What a thread is in: label, start (wall, CPU), and the time of what lies within."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, float, float, list[float]]] = []


_thread = _Thread()


def _enter(label: str) -> None:
    _thread.spans.append((label, time.perf_counter(), _cpu(label), [0.0, 0.0]))


def _cpu(label: str) -> float:
    """Imports work in one thread, and others go on meanwhile; all else may work in many."""
    return time.thread_time() if label.startswith("import ") else time.process_time()


def _leave() -> None:
    label, wall_began, cpu_began, inner = _thread.spans.pop()
    wall, cpu = time.perf_counter() - wall_began, _cpu(label) - cpu_began
    if _thread.spans:
        outer = _thread.spans[-1][3]
        outer[0] += wall
        outer[1] += cpu
    total = _totals.setdefault(label, [0, 0.0, 0.0])
    total[0] += 1
    total[1] += wall - inner[0]
    total[2] += cpu - inner[1]
    if label == _EXECUTE:
        _executed.append(time.time())


def _timed(label: str, call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def within(*args: Any, **kwargs: Any) -> Any:
        _enter(label)
        try:
            return call(*args, **kwargs)
        finally:
            _leave()

    return within


def _timed_import(load: Callable[..., Any]) -> Callable[..., Any]:
    """Time imports under the package that was asked for; what it imports in turn is part of it."""

    @functools.wraps(load)
    def within(name: str, *args: Any, **kwargs: Any) -> Any:
        if _thread.spans and _is_foreign(_thread.spans[-1][0]):
            return load(name, *args, **kwargs)
        asked = _package(name, args, kwargs)
        _enter(f"import {asked}")
        try:
            return load(name, *args, **kwargs)
        finally:
            _leave()
            if asked in _OURS and _unwatched:
                _watch_new()

    return within


def _is_foreign(label: str) -> bool:
    return label.startswith("import ") and label[7:] not in _OURS


def _package(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Return the package asked for, by the arguments of `__import__` or of `importlib.import_module`."""
    level = kwargs.get("level", args[3] if len(args) == 4 else 0)  # noqa: PLR2004 - of `__import__`, the last
    if not level and not name.startswith("."):
        return name.partition(".")[0]
    anchor = args[0] if args else kwargs.get("globals", kwargs.get("package"))
    return str(anchor.get("__package__") if isinstance(anchor, Mapping) else anchor).partition(".")[0]


def _watch_new() -> None:
    """Time the public functions of watched modules that have just been imported."""
    for name in sorted(_unwatched & sys.modules.keys()):
        module = sys.modules[name]
        if getattr(module.__spec__, "_initializing", False):
            continue
        _unwatched.discard(name)
        for public, function in _functions(module):
            setattr(module, public, _timed(f"{name}.{public}", function))


def _functions(module: ModuleType) -> list[tuple[str, Callable[..., Any]]]:
    found = inspect.getmembers(module, inspect.isfunction)
    return [(name, f) for name, f in found if name[0] != "_" and f.__module__ == module.__name__]


def watch_cells(shell: Any) -> None:
    """Time a kernel's cells, by what they are for; what came before is the kernel's start."""
    _boot.update(wall=time.perf_counter() - _born, cpu=time.process_time())
    _totals.clear()
    atexit.unregister(_write)  # its account ends with the last cell
    shell.events.register("pre_run_cell", lambda cell: _enter(f"cell {_purpose(cell.raw_cell)}"))
    shell.events.register("post_run_cell", lambda _: _end_cell())


def _end_cell() -> None:
    if _thread.spans:
        _leave()
    _write()


def _purpose(source: str) -> str:
    if "plots." in source:
        return "plots"
    return "publish" if "publish(" in source else "other"


def _write() -> None:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    account = {
        "boot": _boot,
        "cpu": time.process_time(),
        "children": children.ru_utime + children.ru_stime,
        "ended": time.time(),
        "executed": _executed,
        "totals": _totals,
    }
    path = Path(os.environ[FOLDER]) / f"{os.getpid()}.json"
    path.write_text(json.dumps(account), encoding="utf-8")


if FOLDER in os.environ:
    builtins.__import__ = _timed_import(builtins.__import__)
    importlib.import_module = _timed_import(importlib.import_module)
    atexit.register(_write)
