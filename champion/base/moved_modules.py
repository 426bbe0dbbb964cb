"""Import modules of Champion 0.2 under their former names, with a warning, until the next minor release.

Kept notebooks and users' own models import these names. `champion.estimators` gives no warning, because saved models
contain that name.
"""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_FORMER = {  # by current package: former names, with `=` and the current one if that differs
    "base": "clock files=atomic_files objects=object_path",
    "lake": "lake.damage=verification lake.retired=vacuum lake.sealed=compaction",
    "market": (
        "data_summary delivery envelope indices=index_bars masters=symbol_master normalize=equity_bars "
        "quality=quality_gates validation"
    ),
    "market.actions": "actions=corporate_actions adjust=adjustment factors=adjustment_factors purposes=action_text",
    "market.identity": "identity=symbol_history",
    "modeling": (
        "canaries=leakage_checks drift estimators inputs=model_inputs labels metrics overfitting splits training "
        "universe"
    ),
    "pipeline.feature_store": "pipeline.build pipeline.recompute=build",
    "pipeline.ingest": (
        "pipeline.actions=corporate_actions pipeline.adjusted=adjusted_bars pipeline.bars pipeline.fetch "
        "pipeline.identify=rename_instruments pipeline.lineage=symbol_changes pipeline.masters=symbol_master "
        "pipeline.publication=availability pipeline.quality pipeline.ranges=availability"
    ),
    "pipeline.maintenance": "pipeline.load=load_warehouse pipeline.retain=retention",
    "pipeline.models": (
        "pipeline.learn=frames pipeline.outcomes pipeline.promote=evaluate pipeline.register pipeline.score "
        "pipeline.trials"
    ),
    "pipeline.operations": (
        "doctor pipeline.audit=consistency pipeline.health pipeline.morning=session_report pipeline.status "
        "pipeline.trail=activity"
    ),
    "pipeline.provenance": "pipeline.trace=graph pipeline.trace_back=upstream pipeline.trace_forward=downstream",
    "settings": "quality_limits",
    "sources.download": "sources.archive sources.staging",
    "tracking": "tracking.ledger=promotion_ledger tracking.pages=store",
    "warehouse.engine": "warehouse.client warehouse.query",
}
MOVED = {
    name: f"{package}.{current or name.rpartition('.')[2]}"
    for package, names in _FORMER.items()
    for name, _, current in (one.partition("=") for one in names.split())
}
"""Former and current names of modules, without `champion.`."""


class _Finder(MetaPathFinder, Loader):
    """Finds a module under a former name, and loads it under its current name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        package, _, name = fullname.partition(".")
        return ModuleSpec(fullname, self) if package == "champion" and name in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        current = f"champion.{MOVED[spec.name.partition('.')[2]]}"
        if spec.name != "champion.estimators":
            # Python does not count the frames of the import system.
            text = f"{spec.name} is {current} now; the former name works until the next minor release"
            warnings.warn(text, DeprecationWarning, stacklevel=2)
        module = import_module(current)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:  # the import system had set the one of the former name
            module.__spec__ = module.__spec__.loader_state


def install() -> None:
    """Make the former names importable; nothing is imported until it is used."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
