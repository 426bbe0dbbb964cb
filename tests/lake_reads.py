"""A lake that remembers which datasets were read from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl
from typing_extensions import override

from champion.lake import Lake


@dataclass(frozen=True)
class ReadLake(Lake):
    """The same lake; `read` has the datasets whose rows were scanned or counted."""

    read: set[str] = field(default_factory=set, compare=False)

    @override
    def scan(self, name: str, *arguments: Any, **options: Any) -> pl.LazyFrame:
        self.read.add(name)
        return Lake.scan(self, name, *arguments, **options)

    @override
    def rows(self, name: str, *arguments: Any, **options: Any) -> int:
        self.read.add(name)
        return Lake.rows(self, name, *arguments, **options)
