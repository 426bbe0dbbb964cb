"""Published files: fetched from the archive, recognised by their header, parsed into one raw frame."""

from champion.sources.parse import parse
from champion.sources.table import Published

__all__ = ["Published", "parse"]
