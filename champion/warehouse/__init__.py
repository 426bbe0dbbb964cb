"""The ClickHouse warehouse: one writer at a time, readers on private snapshots, loads that replace whole months."""

from champion.warehouse.engine.client import close, reader, writer
from champion.warehouse.engine.query import frame, sql
from champion.warehouse.load import LoadResult, load_month, load_months
from champion.warehouse.migrations import migrate

__all__ = ["LoadResult", "close", "frame", "load_month", "load_months", "migrate", "reader", "sql", "writer"]
