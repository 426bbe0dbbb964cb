"""The lake: partitions of Parquet files that are committed whole, and the only code that touches them."""

from champion.lake.damage import Damage
from champion.lake.indexing import index
from champion.lake.manifest import Manifest
from champion.lake.retired import sweep
from champion.lake.sealed import Sealed, seal
from champion.lake.store import Lake, Month

__all__ = ["Damage", "Lake", "Manifest", "Month", "Sealed", "index", "seal", "sweep"]
