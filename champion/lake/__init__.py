"""The lake: partitions of Parquet files that are committed whole; no other code reads or writes these files."""

from champion.lake.compaction import Sealed, index, seal
from champion.lake.manifest import Manifest
from champion.lake.store import Lake, Month
from champion.lake.vacuum import sweep
from champion.lake.verification import Damage

__all__ = ["Damage", "Lake", "Manifest", "Month", "Sealed", "index", "seal", "sweep"]
