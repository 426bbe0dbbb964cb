"""The ClickHouse warehouse: one writer at a time, readers on private snapshots, loads that replace whole months."""

from champion.warehouse.engine.client import close, reader, writer
from champion.warehouse.engine.query import frame, sql
from champion.warehouse.load import LoadResult, load_month, load_months
from champion.warehouse.migrations import migrate
from champion.warehouse.retention import apply_retention, keeps_from

__all__ = [
    "LoadResult",
    "apply_retention",
    "close",
    "frame",
    "keeps_from",
    "load_month",
    "load_months",
    "migrate",
    "reader",
    "sql",
    "writer",
]
