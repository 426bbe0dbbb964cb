"""Which datasets each publication fills, and by which pure function: the one table that ingest goes by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from champion.market import delivery, equity_bars as bars, index_bars
from champion.sources.publications import BHAVCOPY, BSE_BHAVCOPY, DELIVERY, INDEX_CLOSES, Publication


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """The raw, normalized and quarantine contract of one publication.

    `normalize` makes the normalized rows of raw ones, row by row, and carries `row_number` along; it is given the names
    of renamed symbols (`identity.Lineage.names`), which stand in the raw column `symbol`. `version` names its meaning.
    `entity` are the raw columns that together name what a raw row is about.
    """

    publication: Publication
    raw: str
    normalized: str
    quarantine: str
    entity: tuple[str, ...]
    normalize: Callable[[pl.DataFrame, Mapping[str, str]], pl.DataFrame]
    version: str
    symbol: str | None

    @property
    def names(self) -> tuple[str, str, str]:
        """The three datasets, in the order in which they are written."""
        return self.raw, self.quarantine, self.normalized


def _bars(publication: Publication) -> DatasetSpec:
    return DatasetSpec(
        publication,
        "raw_equity_ohlc",
        "normalized_equity_ohlc",
        "quarantine_equity_ohlc",
        ("TckrSymb", "SctySrs", "Src"),
        bars.normalize,
        bars.VERSION,
        "TckrSymb",
    )


DATASET_SPECS = (
    _bars(BHAVCOPY),
    DatasetSpec(
        DELIVERY,
        "raw_equity_delivery",
        "normalized_equity_delivery",
        "quarantine_equity_delivery",
        ("SYMBOL", "SERIES"),
        delivery.normalize,
        delivery.VERSION,
        "SYMBOL",
    ),
    DatasetSpec(
        INDEX_CLOSES,
        "raw_index_ohlc",
        "normalized_index_ohlc",
        "quarantine_index_ohlc",
        ("Index_Name",),
        lambda raw, _names: index_bars.normalize(raw),
        index_bars.VERSION,
        None,
    ),
    _bars(BSE_BHAVCOPY),
)
PUBLICATIONS = (BHAVCOPY, DELIVERY, INDEX_CLOSES)
"""What is fetched and ingested unless told otherwise. The first decides whether a date is a session at all."""


def dataset_spec(publication: Publication) -> DatasetSpec:
    """Return what `publication` fills.

    >>> dataset_spec(DELIVERY).normalized
    'normalized_equity_delivery'
    """
    return next(entry for entry in DATASET_SPECS if entry.publication.name == publication.name)
