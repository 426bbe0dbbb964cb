"""Apply the filters of a universe that need lists: index, sectors and price bands, each as of its session."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import polars as pl

from champion.contracts.datasets import BARS, PRICE_BANDS
from champion.errors import UsageError
from champion.lake import Lake
from champion.market.reference import price_bands
from champion.market.reference.covered import ranges
from champion.market.reference.indices.sectors import require_sectors
from champion.modeling.universe import NO_BAND, Universe
from champion.pipeline.reference import membership
from champion.sources.lists.index_list import canonical_index

_KEY = ["instrument_id", "trade_date"]


def keep(rows: pl.DataFrame, lake: Lake, universe: Universe) -> pl.DataFrame:
    """Return the rows (instrument_id, trade_date) that the universe's index, sectors and bands allow on their date.

    Raises:
        UsageError: the lists do not cover a date of the rows, or there is no such index or sector.
    """
    kept = membership.keep(rows, lake, universe.index, universe.sectors)
    return kept.join(_in_bands(lake, kept, universe.bands), on=_KEY, how="semi", maintain_order="left")


def digests(lake: Lake, universe: Universe, end: date) -> dict[str, str]:
    """Return the digests, by dataset, of the lists up to `end` that `keep` uses; none if it filters nothing."""
    found = membership.digests(lake, universe.index, universe.sectors, end)
    return {**found, PRICE_BANDS: lake.digest(PRICE_BANDS, end=end)} if universe.bands else found


def require_known(lake: Lake, universe: Universe) -> None:
    """Do nothing if there are lists of the universe's index, sectors and bands.

    Raises:
        UsageError: there is no such index or sector, or no list; the message has the known names.
    """
    require_sectors(universe.sectors)
    if universe.index and canonical_index(universe.index) not in (known := membership.coverage(lake)):
        have = ", ".join(sorted(known)) or "of no index"
        raise UsageError(f"the lake has no list of {universe.index!r}; it has lists {have}")
    if universe.bands and not lake.sessions(PRICE_BANDS):
        raise UsageError("the lake has no list of price bands: run `champion lists fetch START END`")


def _in_bands(lake: Lake, rows: pl.DataFrame, bands: Collection[str]) -> pl.DataFrame:
    """Return the rows whose security has one of the bands on the session; all of them if no band is asked for.

    Raises:
        UsageError: no list applies to a session of the rows.
    """
    if rows.is_empty() or not bands:
        return rows.select(_KEY)
    wanted = rows["trade_date"].unique().sort().to_list()
    sessions = lake.sessions(BARS)
    applies = price_bands.list_dates_by_session(lake.sessions(PRICE_BANDS), sessions)
    if missing := [day for day in wanted if day not in applies]:
        raise UsageError(
            f"the universe filters on price bands, and no list applies to {missing[0]} "
            f"({len(missing)} of {len(wanted)} sessions); lists cover the sessions {ranges(list(applies), sessions)}. "
            "Load others by `champion lists fetch START END`, or ask for these sessions"
        )
    lists = lake.scan(PRICE_BANDS, applies[wanted[0]], applies[wanted[-1]])
    band = pl.coalesce(pl.col("band_percent").cast(pl.String), pl.lit(NO_BAND))
    lines = lists.filter(band.is_in(list(bands))).select("instrument_id", list_date="trade_date").unique().collect()
    after = pl.DataFrame(
        [(applies[day], day) for day in wanted], {"list_date": pl.Date, "trade_date": pl.Date}, orient="row"
    )
    return lines.join(after, on="list_date").select(_KEY)
