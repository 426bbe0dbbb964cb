"""The registry of datasets: their names, and facts derived from their contracts.

A new dataset is a contract in `schemas/` and the module that writes it; `champion schema draft` writes its sample and
the migration of its table. Everything else is derived:

| Fact | Derived from | Function |
|---|---|---|
| which datasets there are | the files in `schemas/` | `contracts.names` |
| which of them the warehouse holds | the tables that migrations create | `warehouse.migrations.datasets` |
| what a publication fills | the dataset's name in each layer | `pipeline.ingest.datasets.DatasetSpec` |
| whether it is a list | the column of its session | `is_list` |
| which datasets hold features | the layer | `feature_datasets` |
| how many years are kept | its layer | `kept_years` |

The constants are for the datasets that several modules read or write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from champion.contracts.catalog import load, names

if TYPE_CHECKING:
    from champion.settings import Settings

RAW_BARS, BARS, QUARANTINED_BARS = "raw_equity_ohlc", "normalized_equity_ohlc", "quarantine_equity_ohlc"
DELIVERY, INDEX_BARS = "normalized_equity_delivery", "normalized_index_ohlc"
ACTIONS, FACTORS = "normalized_corporate_actions", "normalized_adjustment_factors"
SYMBOLS, CHANGES = "normalized_symbol_master", "normalized_symbol_changes"
FEATURES, PREDICTIONS = "features_equity_indicators", "predictions_equity_scores"
TARGETS = "predictions_equity_targets"
PRICE_BANDS, BAN_LIST = "normalized_price_bands", "normalized_fo_ban"
CIRCUIT_HITS, EXTREMES = "normalized_circuit_hits", "normalized_week52_extremes"
MARKET_ACTIVITY, LOTS, INDEX_HISTORY = "normalized_market_activity", "normalized_fo_lots", "normalized_index_history"
FINDINGS, ACCEPTANCES = "quality_findings", "quality_acceptances"
CONSTITUENTS, INDEX_CHANGES = "normalized_index_constituents", "normalized_index_changes"
INDEX_MEMBERS, SECTORS = "normalized_index_members", "normalized_sectors"
REVISIONS, LIST_DECISIONS = "normalized_index_list_revisions", "normalized_index_list_decisions"
CONTRADICTIONS = "normalized_index_contradictions"
PUBLISHED_LISTS = (ACTIONS, SYMBOLS, CHANGES, CONSTITUENTS, REVISIONS, INDEX_CHANGES, LOTS, INDEX_HISTORY)

REFUSED_LISTS = "quarantine_reference_lists"

REFERENCE_LISTS = (
    CONSTITUENTS,
    REVISIONS,
    INDEX_CHANGES,
    LIST_DECISIONS,
    INDEX_MEMBERS,
    SECTORS,
    CONTRADICTIONS,
    LOTS,
    INDEX_HISTORY,
    REFUSED_LISTS,
)
"""The lists that `champion lists refresh` reads, decisions about them, what is derived from them, and refused files."""


def is_list(name: str) -> bool:
    """Return whether a session of the dataset is the date on which a whole list was read, not a trading session.

    >>> is_list(SYMBOLS), is_list(BARS)
    (True, False)
    """
    return load(name).session == "list_date"


def feature_datasets() -> list[str]:
    """Return the datasets of all feature sets, without the state that builds carry.

    >>> FEATURES in feature_datasets()
    True
    """
    return [name for name in names() if load(name).layer == "features" and not name.endswith("_state")]


def kept_years(settings: Settings) -> dict[str, int | None]:
    """Return how many years of each layer the settings keep; None, or a layer that is not listed, keeps all."""
    return {
        "raw": settings.raw_years,
        "quarantine": settings.raw_years,
        "normalized": settings.normalized_years,
        "quality": settings.normalized_years,
        "features": settings.features_years,
    }
