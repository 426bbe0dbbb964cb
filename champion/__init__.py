"""Champion: a notebook-centric research workbench for quants on daily equities.

`import champion as ch` gives a notebook `ch.scan`, `ch.scan_adjusted`, `ch.share_moves`, `ch.sql`, `ch.query` and
`ch.publish`, and the modules `ch.features`, `ch.labels`, `ch.metrics`, `ch.pipeline`, `ch.plots`, `ch.training`,
`ch.workspace` and the rest.
Each is imported when first used, so that importing Champion costs nothing. `%load_ext champion` gives it `%%sql`.
"""

from importlib import import_module
from typing import Any

_FUNCTIONS = {
    "load_ipython_extension": "champion.magic",
    "publish": "champion.report",
    "query": "champion.workspace",
    "run_id": "champion.report",
    "scan": "champion.workspace",
    "scan_adjusted": "champion.pipeline.adjusted",
    "share_moves": "champion.pipeline.moves",
    "sql": "champion.workspace",
}
_MODULES = frozenset({
    "canaries", "contracts", "data_summary", "drift", "estimators", "features", "indicators", "inputs", "labels",
    "metrics", "pipeline", "plots", "splits", "training", "universe", "workspace",
})  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name in _FUNCTIONS:
        return getattr(import_module(_FUNCTIONS[name]), name)
    if name in _MODULES:
        return import_module(f"champion.{name}")
    raise AttributeError(f"champion has no {name!r}; it has {', '.join(sorted([*_FUNCTIONS, *_MODULES]))}")
