"""Filter bars by index and sector, and say what the lists in the lake cover."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from hashlib import sha256

import polars as pl

from champion import workspace
from champion.contracts.datasets import CONSTITUENTS, INDEX_CHANGES, INDEX_MEMBERS, SECTORS
from champion.lake import Lake
from champion.market.reference.indices.index_lists import evidence
from champion.market.reference.indices.membership import SET_ASIDE_SCHEMA, memberships, require_covered, stored, within
from champion.market.reference.indices.sectors import UNKNOWN, of_sectors, require_sectors_covered
from champion.sources.lists.index_list import canonical_index


def coverage(lake: Lake) -> Mapping[str, tuple[date, date]]:
    """Return the first and last covered date of each index; empty without lists."""
    return stored(workspace.latest_list(lake, INDEX_MEMBERS)).covered if lake.sessions(INDEX_MEMBERS) else {}


def set_aside(lake: Lake) -> pl.DataFrame:
    """Return the stale lists: index_name, list_date, reason, content_before; empty without lists."""
    lists, changes = evidence(lake.scan(CONSTITUENTS).collect(), lake.scan(INDEX_CHANGES).collect())
    return pl.DataFrame(schema=SET_ASIDE_SCHEMA) if lists.is_empty() else memberships(lists, changes).set_aside


def keep(rows: pl.DataFrame, lake: Lake, index: str, sectors: Collection[str]) -> pl.DataFrame:
    """Return the rows (instrument_id, trade_date) of members of an index, and of sectors, on their date.

    An empty index or no sector does not filter.

    Raises:
        UsageError: the lists do not cover a date of the rows, or there is no such index or sector.
    """
    if rows.is_empty():
        return rows
    dates = rows.select(first=pl.col("trade_date").min(), last=pl.col("trade_date").max()).row(0)
    if index:
        found, name = stored(workspace.latest_list(lake, INDEX_MEMBERS)), canonical_index(index)
        require_covered(found.covered, name, *dates)
        rows = within(rows, found.members.filter(index_name=name), "member_from", "member_until")
    if sectors:
        periods = workspace.latest_list(lake, SECTORS)
        require_sectors_covered(workspace.sectors_covered(lake, periods), *dates)
        rows = of_sectors(rows, periods, sectors)
    return rows


def with_sectors(rows: pl.DataFrame, lake: Lake) -> pl.DataFrame:
    """Return the rows (instrument_id, trade_date) with `sector`, that of their date; null where none was listed.

    All sectors are null in a lake without lists.
    """
    if not lake.sessions(SECTORS):
        return rows.with_columns(sector=pl.lit(None, pl.String))
    periods = workspace.latest_list(lake, SECTORS).filter(pl.col("sector") != UNKNOWN).drop_nulls("instrument_id")
    known = periods.select("instrument_id", "sector", "sector_from", "sector_until").sort("sector_from")
    ordered = rows.with_row_index("_order").sort("trade_date")
    joined = ordered.join_asof(
        known, left_on="trade_date", right_on="sector_from", by="instrument_id", check_sortedness=False
    )
    ended = pl.col("trade_date") >= pl.col("sector_until")
    sector = pl.when(ended.fill_null(value=False)).then(None).otherwise("sector")
    return joined.sort("_order").select(*rows.columns, sector=sector)


def digests(lake: Lake, index: str, sectors: Collection[str], end: date) -> dict[str, str]:
    """Return the digests, by dataset, of the periods up to `end` that `keep` uses; none if it filters nothing."""
    used = {INDEX_MEMBERS: ("member_from", pl.col("index_name") == canonical_index(index))} if index else {}
    used |= {SECTORS: ("sector_from", pl.lit(value=True))} if sectors else {}
    found = {}
    for name, (first, chosen) in used.items():
        columns = ["instrument_id", first, f"{first.partition('_')[0]}_until", *(["sector"] if name == SECTORS else [])]
        rows = workspace.latest_list(lake, name).filter(chosen & (pl.col(first) <= end)).select(columns)
        found[name] = sha256(repr(rows.sort(columns).rows()).encode()).hexdigest()
    return found
