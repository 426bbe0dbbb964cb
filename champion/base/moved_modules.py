"""Import modules of Champion 0.2 under their former names, with a warning, until the next minor release.

Kept notebooks and users' own models import these names. `champion.estimators` gives no warning, because saved models
contain that name.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_SILENT = "champion.estimators"
MOVED = {
    "actions": "market.actions.corporate_actions",
    "adjust": "market.actions.adjustment",
    "canaries": "modeling.leakage_checks",
    "clock": "base.clock",
    "data_summary": "market.data_summary",
    "delivery": "market.delivery",
    "doctor": "pipeline.operations.doctor",
    "drift": "modeling.drift",
    "envelope": "market.envelope",
    "estimators": "modeling.estimators",
    "factors": "market.actions.adjustment_factors",
    "files": "base.atomic_files",
    "identity": "market.identity.symbol_history",
    "indices": "market.index_bars",
    "inputs": "modeling.model_inputs",
    "labels": "modeling.labels",
    "lake.damage": "lake.verification",
    "lake.retired": "lake.vacuum",
    "lake.sealed": "lake.compaction",
    "masters": "market.symbol_master",
    "metrics": "modeling.metrics",
    "normalize": "market.equity_bars",
    "objects": "base.object_path",
    "overfitting": "modeling.overfitting",
    "pipeline.actions": "pipeline.ingest.corporate_actions",
    "pipeline.adjusted": "pipeline.ingest.adjusted_bars",
    "pipeline.audit": "pipeline.operations.verify_lake",
    "pipeline.bars": "pipeline.ingest.bars",
    "pipeline.build": "pipeline.feature_store.build",
    "pipeline.fetch": "pipeline.ingest.fetch",
    "pipeline.health": "pipeline.operations.health",
    "pipeline.identify": "pipeline.ingest.rename_instruments",
    "pipeline.learn": "pipeline.models.frames",
    "pipeline.lineage": "pipeline.ingest.symbol_changes",
    "pipeline.load": "pipeline.maintenance.load_warehouse",
    "pipeline.masters": "pipeline.ingest.symbol_master",
    "pipeline.morning": "pipeline.operations.session_report",
    "pipeline.outcomes": "pipeline.models.outcomes",
    "pipeline.promote": "pipeline.models.evaluate",
    "pipeline.publication": "pipeline.ingest.availability",
    "pipeline.quality": "pipeline.ingest.quality",
    "pipeline.ranges": "pipeline.ingest.availability",
    "pipeline.recompute": "pipeline.feature_store.verify",
    "pipeline.register": "pipeline.models.register",
    "pipeline.retain": "pipeline.maintenance.retention",
    "pipeline.score": "pipeline.models.score",
    "pipeline.status": "pipeline.operations.status",
    "pipeline.trace": "pipeline.provenance.graph",
    "pipeline.trace_back": "pipeline.provenance.upstream",
    "pipeline.trace_forward": "pipeline.provenance.downstream",
    "pipeline.trail": "pipeline.operations.activity",
    "pipeline.trials": "pipeline.models.trials",
    "purposes": "market.actions.action_text",
    "quality": "market.quality_gates",
    "quality_limits": "settings.quality_limits",
    "sources.archive": "sources.download.archive",
    "sources.staging": "sources.download.staging",
    "splits": "modeling.splits",
    "tracking.ledger": "tracking.promotion_ledger",
    "tracking.pages": "tracking.store",
    "training": "modeling.training",
    "universe": "modeling.universe",
    "validation": "market.validation",
    "warehouse.client": "warehouse.engine.client",
    "warehouse.query": "warehouse.engine.query",
}
"""Former and current names of modules, without `champion.`."""


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        package, _, name = fullname.partition(".")
        if package != "champion" or name not in MOVED:
            return None
        return ModuleSpec(fullname, _Loader(f"champion.{MOVED[name]}"))


class _Loader(Loader):
    """Loads the module under its current name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        if spec.name != _SILENT:
            # Python does not count the frames of the import system.
            text = f"{spec.name} is {self._name} now; the former name works until the next minor release"
            warnings.warn(text, DeprecationWarning, stacklevel=2)
        module = import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system had set the one of the former name


def install() -> None:
    """Make the former names importable; nothing is imported until it is used."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
