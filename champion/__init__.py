"""Champion: a notebook-centric research workbench for quants on daily equities.

`import champion as ch` gives a notebook `ch.scan`, `ch.scan_adjusted`, `ch.share_moves`, `ch.instruments`,
`ch.members`, `ch.sectors`, `ch.benchmark`, `ch.sql`, `ch.query`, `ch.trials` and `ch.publish`, and the modules
`ch.features`, `ch.labels`, `ch.lists`, `ch.metrics`, `ch.pipeline`, `ch.plots`, `ch.portfolio`, `ch.training`,
`ch.risk`, `ch.workspace` and the rest.
Each is imported when first used, so that importing Champion costs nothing. `%load_ext champion` gives it `%%sql`.
"""

import warnings
from importlib import import_module
from typing import Any

from champion.base import moved_modules

_FUNCTIONS = {
    "benchmark": "champion.pipeline.reference.benchmarks",
    "instruments": "champion.pipeline.ingest.symbol_master",
    "load_ipython_extension": "champion.magic",
    "members": "champion.workspace",
    "publish": "champion.report",
    "query": "champion.workspace",
    "run_id": "champion.report",
    "scan": "champion.workspace",
    "scan_adjusted": "champion.pipeline.ingest.adjusted_bars",
    "sectors": "champion.workspace",
    "share_moves": "champion.pipeline.ingest.share_moves",
    "sql": "champion.workspace",
    "trials": "champion.pipeline.models.trials",
}
_PACKAGES = ("contracts", "features", "indicators", "pipeline", "plots", "portfolio", "workspace")
_MODELING = (
    "combination", "drift", "estimators", "gate_rules", "labels", "leakage_checks", "metrics", "model_inputs",
    "multiplicity", "risk", "splits", "styles", "targets", "training", "universe",
)  # fmt: skip
_MODULES = {
    "data_summary": "champion.market.data_summary",
    "lists": "champion.pipeline.reference.as_known",
    **{name: f"champion.{name}" for name in _PACKAGES},
    **{name: f"champion.modeling.{name}" for name in _MODELING},
}
_FORMER = {"canaries": "leakage_checks", "inputs": "model_inputs"}
__all__ = ["load_ipython_extension", *sorted({*_FUNCTIONS, *_MODULES} - {"load_ipython_extension"})]  # noqa: PLE0604

moved_modules.install()


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name in _FUNCTIONS:
        return getattr(import_module(_FUNCTIONS[name]), name)
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name in _FORMER:
        warnings.warn(f"ch.{name} is ch.{_FORMER[name]} now", DeprecationWarning, stacklevel=2)
        return import_module(_MODULES[_FORMER[name]])
    raise AttributeError(f"champion has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return list(__all__)
