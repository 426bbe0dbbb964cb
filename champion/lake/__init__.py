"""The lake: partitions of Parquet files that are committed whole, and the only code that touches them."""

from champion.lake.manifest import Manifest
from champion.lake.store import Lake

__all__ = ["Lake", "Manifest"]
