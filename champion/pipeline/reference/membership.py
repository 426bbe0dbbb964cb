"""Filter bars by index and sector, and say what the lists in the lake cover."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

import polars as pl

from champion import workspace
from champion.contracts.datasets import CONSTITUENTS, INDEX_CHANGES, INDEX_MEMBERS, SECTORS
from champion.lake import Lake
from champion.market.reference.index_lists import evidence
from champion.market.reference.membership import SET_ASIDE_SCHEMA, memberships, require_covered, stored, within
from champion.market.reference.sectors import of_sectors
from champion.sources.lists.index_list import canonical_index


def coverage(lake: Lake) -> Mapping[str, tuple[date, date]]:
    """Return the first and last covered date of each index; empty without lists."""
    return stored(workspace.latest_list(lake, INDEX_MEMBERS)).covered if lake.sessions(INDEX_MEMBERS) else {}


def set_aside(lake: Lake) -> pl.DataFrame:
    """Return the stale lists: index_name, list_date, reason, content_before; empty without lists."""
    lists, changes = evidence(lake.scan(CONSTITUENTS).collect(), lake.scan(INDEX_CHANGES).collect())
    return pl.DataFrame(schema=SET_ASIDE_SCHEMA) if lists.is_empty() else memberships(lists, changes).set_aside


def keep(rows: pl.DataFrame, lake: Lake, index: str, sectors: Collection[str], start: date, end: date) -> pl.DataFrame:
    """Return the rows (instrument_id, trade_date) of members of an index, and of sectors, on their date.

    An empty index or no sector does not filter. `start` and `end` are the sessions that must be covered.

    Raises:
        UsageError: the lists do not cover them, or there is no such index or sector.
    """
    if index:
        found, name = stored(workspace.latest_list(lake, INDEX_MEMBERS)), canonical_index(index)
        require_covered(found.covered, name, start, end)
        rows = within(rows, found.members.filter(index_name=name), "member_from", "member_until")
    return of_sectors(rows, workspace.latest_list(lake, SECTORS), sectors) if sectors else rows
