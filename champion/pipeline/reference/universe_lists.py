"""Apply the filters of a universe that need lists: index, sectors and price bands, each as of its session."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta

import polars as pl

from champion import workspace
from champion.base.counting import known_names, quantity
from champion.contracts.datasets import BARS, CONSTITUENTS, INDEX_CHANGES, INDEX_MEMBERS, PRICE_BANDS, SECTORS
from champion.errors import UsageError
from champion.lake import Lake
from champion.market.equity_bars import EQUITY_SERIES
from champion.market.reference import price_bands
from champion.market.reference.covered import ranges
from champion.market.reference.indices.membership import stored
from champion.market.reference.indices.sectors import require_sectors, unknown_share
from champion.market.reference.indices.sizes import summary
from champion.modeling.universe import NO_BAND, TURNOVER_WINDOW, Universe
from champion.pipeline.reference import membership
from champion.pipeline.reference.as_known import market_sessions
from champion.sources.lists.index_list import canonical_index

_SHOWN = 6
_KEY = ["instrument_id", "trade_date"]


def keep(rows: pl.DataFrame, lake: Lake, universe: Universe) -> pl.DataFrame:
    """Return the rows (instrument_id, trade_date) that the universe's index, sectors and bands allow on their date.

    Raises:
        UsageError: the lists do not cover a date of the rows, or there is no such index or sector.
    """
    kept = membership.keep(rows, lake, universe.index, universe.sectors)
    return kept.join(_in_bands(lake, kept, universe.bands), on=_KEY, how="semi", maintain_order="left")


def datasets(universe: Universe) -> tuple[str, ...]:
    """Return the datasets that `keep` reads besides bars; none if it filters nothing.

    >>> datasets(Universe(bands=("20",)))
    ('normalized_price_bands',)
    """
    by_list = (INDEX_MEMBERS, SECTORS, CONSTITUENTS, INDEX_CHANGES) if universe.index or universe.sectors else ()
    return (*by_list, *((PRICE_BANDS,) if universe.bands else ()))


def digests(lake: Lake, universe: Universe, end: date) -> dict[str, str]:
    """Return the digests, by dataset, of the lists up to `end` that `keep` uses; none if it filters nothing."""
    found = membership.digests(lake, universe.index, universe.sectors, end)
    return {**found, PRICE_BANDS: lake.digest(PRICE_BANDS, end=end)} if universe.bands else found


def notes(lake: Lake, universe: Universe, rows: pl.DataFrame) -> list[str]:
    """Return what the lists of a universe know about its rows (instrument_id, trade_date), as sentences.

    For an index: the members of the last session, those that do not trade, the members that no bar of the rows' dates
    can be of, the holes between its lists, and each span of dates with another number of companies than its lists
    have. For sectors: how many of the shares that trade on the last session have an unknown one, and their part of the
    turnover. Empty without such filters.
    """
    found: list[str] = []
    if rows.is_empty():
        return found
    days = rows.select(first=pl.col("trade_date").min(), last=pl.col("trade_date").max()).row(0)
    if universe.index:
        name = canonical_index(universe.index)
        found += _index_notes(lake, name, *days)
    if universe.sectors:
        shares = lake.scan(BARS, days[1], days[1]).filter(pl.col("series").is_in(EQUITY_SERIES))
        traded = membership.with_sectors(shares.select(*_KEY, "turnover").collect(), lake)
        found.append(f"shares traded on {days[1]}: {unknown_share(traded)}")
    return found


def _index_notes(lake: Lake, name: str, first: date, last: date) -> list[str]:
    """Return what the lists of an index know about the dates from `first` to `last`, as sentences."""
    left_open, found = membership.open_evidence(lake), [_members_note(lake, name, last)]
    members = stored(workspace.latest_list(lake, INDEX_MEMBERS))
    traded = lake.scan(BARS, first, last).select(pl.col("instrument_id").unique()).collect()["instrument_id"]
    untraded = members.members.filter(index_name=name)["instrument_id"].drop_nulls().unique()
    silent = untraded.filter(~untraded.is_in(traded.to_list())).to_list() if traded.len() else []
    lost = membership.absent(members, silent, first, last).filter(index_name=name)
    found += [f"{name}: no bar can be of {text}" for text in membership.absent_text(lost).values()]
    holes = left_open.holes.filter(pl.col("index_name") == name, pl.col("until") > first, pl.col("after") < last)
    spans = [f"{after} and {until}" for after, until in holes.select("after", "until").iter_rows()]
    if spans:
        found.append(f"{name}: no list between {', '.join(spans)}; a change in between counts from the later one")
    wrong = left_open.sizes.filter(pl.col("index_name") == name, pl.col("last") >= first, pl.col("first") <= last)
    clipped = wrong.with_columns(pl.max_horizontal("first", pl.lit(first)), pl.min_horizontal("last", pl.lit(last)))
    found += [f"{name} has {text}: members are wrong or missing" for text in summary(clipped).values()]
    if clipped.height > 1:
        each = [f"{count} from {since} to {end}" for _, since, end, count, *_ in clipped.iter_rows()]
        more = f" and {len(each) - _SHOWN} more spans" if len(each) > _SHOWN else ""
        found.append(f"{name}: companies by span: {', '.join(each[:_SHOWN])}{more}")
    return found


def _members_note(lake: Lake, name: str, day: date) -> str:
    members = stored(workspace.latest_list(lake, INDEX_MEMBERS)).on(name, day)
    bars = lake.scan(BARS, day, day).select("instrument_id").collect()
    without = members.join(bars, on="instrument_id", how="anti")
    symbols = ", ".join(pl.select(pl.coalesce(without["symbol"], without["company"])).to_series().sort()[:_SHOWN])
    named = f": {symbols}{', ...' if without.height > _SHOWN else ''}" if without.height else ""
    return f"{name} on {day}: {quantity(members.height, 'member')}, {without.height} of them without a bar{named}"


def require_known(lake: Lake, universe: Universe, sessions: Sequence[date] = ()) -> None:
    """Do nothing if lists answer the universe's filters: names that exist, and dates that are covered.

    Call it before a run, so that a wrong name or date is refused immediately. Sessions at the start of the lake on
    which no instrument can pass the universe's filters on turnover and age need no list.

    Raises:
        UsageError: there is no such index or sector, no list, or a list does not cover a session; the message has the
            known names, or the covered dates.
    """
    require_sectors(universe.sectors)
    if universe.index and (name := canonical_index(universe.index)) not in (known := membership.coverage(lake)):
        raise UsageError(f"the lake has no list of {universe.index!r}: {known_names(name, known, 'it has lists of')}")
    if universe.bands and not lake.sessions(PRICE_BANDS):
        raise UsageError("the lake has no list of price bands: run `champion lists fetch START END`")
    if used := _filtered(lake, universe, sessions):
        membership.require_covered(lake, universe.index, universe.sectors, used[0], used[-1])
        _applying(lake, universe.bands, used)


def _filtered(lake: Lake, universe: Universe, sessions: Sequence[date]) -> list[date]:
    """Return the sessions on which an instrument can be in the universe, by the bars that its other filters need."""
    if not (universe.index or universe.sectors or universe.bands) or not sessions:
        return []
    held = lake.sessions(BARS, end=max(sessions))
    enough = held[TURNOVER_WINDOW - 1 :] if universe.min_turnover > 0 else held
    if not enough:
        return []
    since = max(enough[0], held[0] + timedelta(universe.min_age))
    return [session for session in sorted(sessions) if session >= since]


def _in_bands(lake: Lake, rows: pl.DataFrame, bands: Collection[str]) -> pl.DataFrame:
    """Return the rows whose security has one of the bands on the session; all of them if no band is asked for.

    Raises:
        UsageError: no list applies to a session of the rows.
    """
    if rows.is_empty() or not bands:
        return rows.select(_KEY)
    wanted = rows["trade_date"].unique().sort().to_list()
    applies = _applying(lake, bands, wanted)
    lists = lake.scan(PRICE_BANDS, applies[wanted[0]], applies[wanted[-1]])
    band = pl.coalesce(pl.col("band_percent").cast(pl.String), pl.lit(NO_BAND))
    lines = lists.filter(band.is_in(list(bands))).select("instrument_id", list_date="trade_date").unique().collect()
    after = pl.DataFrame(
        [(applies[day], day) for day in wanted], {"list_date": pl.Date, "trade_date": pl.Date}, orient="row"
    )
    return lines.join(after, on="list_date").select(_KEY)


def _applying(lake: Lake, bands: Collection[str], wanted: Sequence[date]) -> dict[date, date]:
    """Return the date of the list of price bands that applies to each session; empty if no band is asked for.

    Raises:
        UsageError: no list applies to one of the wanted sessions.
    """
    if not bands:
        return {}
    sessions = market_sessions(lake)
    applies = price_bands.list_dates_by_session(lake.sessions(PRICE_BANDS), sessions)
    if missing := [day for day in wanted if day not in applies]:
        raise UsageError(
            f"the universe filters on price bands, and no list applies to {missing[0]} "
            f"({len(missing)} of {quantity(len(wanted), 'session')}); lists cover the sessions "
            f"{ranges(list(applies), sessions)}. Load others by `champion lists fetch START END`, "
            "or ask for these sessions"
        )
    return applies
