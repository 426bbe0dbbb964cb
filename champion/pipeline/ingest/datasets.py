"""The datasets that each publication fills, and the pure function that normalizes its rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from champion import contracts
from champion.market import delivery, equity_bars, index_bars
from champion.market.reference import daily_lists
from champion.sources.indices import INDEX_CLOSES
from champion.sources.lists import daily
from champion.sources.publications import BHAVCOPY, BSE_BHAVCOPY, DELIVERY
from champion.sources.table import Publication


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """The raw, normalized and quarantine dataset that one publication fills; `dataset` is their common name.

    `normalize` returns the normalized rows of raw ones, row by row, and keeps `row_number`. Its second argument is the
    names of renamed symbols (`SymbolHistory.names`), which the raw column `symbol` holds. `version` names its rules.
    `entity` are the raw columns that together identify the subject of a raw row.
    """

    publication: Publication
    dataset: str
    entity: tuple[str, ...]
    normalize: Callable[[pl.DataFrame, Mapping[str, str]], pl.DataFrame]
    version: str
    symbol: str | None

    @property
    def raw(self) -> str:
        """The dataset of rows as published."""
        return f"raw_{self.dataset}"

    @property
    def normalized(self) -> str:
        """The dataset of canonical rows."""
        return f"normalized_{self.dataset}"

    @property
    def quarantine(self) -> str:
        """The dataset of rejected rows."""
        return f"quarantine_{self.dataset}"

    @property
    def series(self) -> str | None:
        """The raw column with the series of a row, which is part of most ids; None without one."""
        return next((name for name in _SERIES if name in contracts.load(self.raw).polars_schema), None)

    @property
    def names(self) -> tuple[str, str, str]:
        """The three datasets, in the order in which they are written."""
        return self.raw, self.quarantine, self.normalized


_SERIES = ("SctySrs", "SERIES", "Series")
_HIT, _EXTREME = ("SYMBOL", "SERIES", "HIGH_LOW"), ("SECURITY", "NEW_STATUS", "NEW")
_BARS = ("equity_ohlc", ("TckrSymb", "SctySrs", "Src"), equity_bars.normalize, equity_bars.VERSION, "TckrSymb")
LIST_SPECS = (
    DatasetSpec(
        daily.PRICE_BANDS, "price_bands", ("Symbol", "Series"), daily_lists.price_bands, daily_lists.VERSION, "Symbol"
    ),
    DatasetSpec(daily.BAN_LIST, "fo_ban", ("Symbol",), daily_lists.ban_list, daily_lists.VERSION, "Symbol"),
    DatasetSpec(daily.CIRCUIT_HITS, "circuit_hits", _HIT, daily_lists.circuit_hits, daily_lists.VERSION, "SYMBOL"),
    DatasetSpec(
        daily.WEEK52_EXTREMES, "week52_extremes", _EXTREME, daily_lists.extremes, daily_lists.VERSION, "SYMBOL"
    ),
    DatasetSpec(
        daily.MARKET_ACTIVITY,
        "market_activity",
        ("Index_Name",),
        daily_lists.market_activity,
        daily_lists.VERSION,
        None,
    ),
)
DATASET_SPECS = (
    DatasetSpec(BHAVCOPY, *_BARS),
    DatasetSpec(DELIVERY, "equity_delivery", ("SYMBOL", "SERIES"), delivery.normalize, delivery.VERSION, "SYMBOL"),
    DatasetSpec(
        INDEX_CLOSES, "index_ohlc", ("Index_Name",), lambda raw, _: index_bars.normalize(raw), index_bars.VERSION, None
    ),
    DatasetSpec(BSE_BHAVCOPY, *_BARS),
    *LIST_SPECS,
)
PUBLICATIONS = tuple(
    spec.publication for spec in DATASET_SPECS if spec.publication.exchange == "NSE" and spec not in LIST_SPECS
)
"""NSE's publications, fetched and ingested by default. The first one determines whether a date is a session."""
LISTS = tuple(spec.publication for spec in LIST_SPECS)
"""NSE's lists of every session: fetched after the session's bars, which never depend on them."""


def dataset_spec(publication: Publication) -> DatasetSpec:
    """Return the datasets that `publication` fills.

    >>> dataset_spec(DELIVERY).normalized
    'normalized_equity_delivery'
    """
    return next(entry for entry in DATASET_SPECS if entry.publication.name == publication.name)
