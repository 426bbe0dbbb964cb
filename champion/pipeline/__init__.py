"""The steps and their order: each step reads a dataset, calls a stage and writes the next dataset."""

from importlib import import_module
from types import ModuleType

__all__ = ["feature_store", "ingest", "maintenance", "models", "operations", "provenance"]
__dir__ = __all__.copy


def __getattr__(name: str) -> ModuleType:
    """Import a package of steps on first use."""
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"champion.pipeline has no {name!r}; it has {', '.join(__all__)}")
