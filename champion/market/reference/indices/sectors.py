"""The industry of a company as of a date, from the index lists, and a sector that is continuous across schemes.

The lists have the old scheme (capitals, 18 to 20 industries) until 2022-03-18 and the new one (20 to 22) from
2022-08-16. `sector_map.csv` maps both to sectors, with a reason for each line. A company that was in no list has no
sector: its sector is `Unknown`, a separate group.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from operator import itemgetter
from pathlib import Path

import polars as pl

from champion.base.counting import known_names, quantity
from champion.errors import FormatError, UsageError
from champion.market.reference.indices.identities import Identities, Identity
from champion.market.reference.indices.index_identity import identify
from champion.market.reference.indices.membership import CHANGES_SCHEMA, within
from champion.market.reference.indices.traded import Traded, states_in_force

VERSION = "2"  # raise it when the meaning of the output or the map changes: stored sectors are then derived again
UNKNOWN = "Unknown"
SECTORS_SCHEMA = {
    "instrument_id": pl.String(),
    "symbol": pl.String(),
    "isin": pl.String(),
    "company": pl.String(),
    "industry": pl.String(),
    "scheme": pl.String(),
    "sector": pl.String(),
    "sector_from": pl.Date(),
    "sector_until": pl.Date(),
    "member": pl.String(),
}


@cache
def sector_map() -> dict[str, tuple[str, str]]:
    """Return scheme ('old' or 'new') and sector of each industry, as the lists spell it.

    >>> sector_map()["PHARMA"], sector_map()["Healthcare"]
    (('old', 'Healthcare'), ('new', 'Healthcare'))
    """
    with Path(__file__).with_name("sector_map.csv").open(encoding="utf-8", newline="") as stream:
        return {row["industry"]: (row["scheme"], row["sector"]) for row in csv.DictReader(stream)}


def sectors() -> list[str]:
    """Return the names of all sectors, without `Unknown`."""
    return sorted({sector for _, sector in sector_map().values()})


def require_known_industries(name: str, industries: pl.Series) -> None:
    """Do nothing if the map has all industries of a list; null is a company without one.

    Raises:
        FormatError: a new industry must be added to the map first.
    """
    if unknown := sorted({*industries.drop_nulls()} - sector_map().keys()):
        raise FormatError(
            f"{name}: industry {', '.join(map(repr, unknown))} is in neither scheme; known are "
            f"{', '.join(sorted(sector_map()))}. Add a line to sector_map.csv, with its reason"
        )


def industry_periods(
    lists: pl.DataFrame,
    set_aside: pl.DataFrame | None = None,
    *,
    known: date | None = None,
    traded: Traded | None = None,
) -> pl.DataFrame:
    """Return a row per company and period with one industry, symbol and ISIN; columns of `SECTORS_SCHEMA`.

    `lists` has the columns of `membership.LISTS_SCHEMA` and `industry`. A stale list of `set_aside` may have the old
    scheme: it counts from the day before its `content_before`, and not at all without this date. `known` leaves out
    lists that became known later. `traded` are the bars of company shares: from its first bar on, a company has the
    instrument and the symbol that trade.

    `sector_from` is the date of the first list with this industry, an upper bound of the true date. `sector_until` is
    the date of the first list with another one, null if there is none: an industry counts until a list changes it,
    also after the company has left the indices. Nothing is filled backward. An industry that an older list shows again
    replaces nothing (`traded.in_force`).
    """
    bars = (traded or Traded.nothing()) if known is None else (traded or Traded.nothing()).until(known)
    rows = lists.filter(~pl.col("is_dummy"))
    if set_aside is not None:
        rows = rows.join(set_aside, on=["index_name", "list_date"], how="left")
        before = pl.col("content_before").dt.offset_by("-1d")
        rows = rows.filter(pl.col("reason").is_null() | before.is_not_null())
        rows = rows.with_columns(list_date=pl.min_horizontal("list_date", before))
    if known is not None:
        rows = rows.filter(pl.col("known_on") <= known)
    nothing = pl.DataFrame(schema=CHANGES_SCHEMA)
    chain = dict(bars.continued.select("instrument_id", "continued_as").iter_rows())
    rows, nothing = identify(bars.name(rows), nothing, chain)
    identities = Identities.of(rows, nothing, bars).by_member
    periods = [row for member, states in _industries(rows).items() for row in _periods(member, states, identities)]
    scheme, sector = ({industry: both[place] for industry, both in sector_map().items()} for place in (0, 1))
    columns = ["member", "sector_from", "sector_until", "industry", "instrument_id", "symbol", "isin", "company"]
    found = pl.DataFrame(periods, {name: SECTORS_SCHEMA[name] for name in columns}, orient="row")
    industry = pl.col("industry")
    return (
        found.with_columns(
            scheme=industry.replace_strict(scheme, default=None, return_dtype=pl.String),
            sector=industry.replace_strict(sector, default=None, return_dtype=pl.String).fill_null(UNKNOWN),
        )
        .select(list(SECTORS_SCHEMA))
        .sort("symbol", "sector_from")
    )


def _industries(rows: pl.DataFrame) -> dict[str, list[tuple[date, str | None]]]:
    """Return the industries of each member with the first list that has them, in order."""
    ordered = rows.sort("list_date", "industry")
    found = states_in_force(ordered, "member", ["industry"], "list_date", "list_date")
    return {member: [(day, industry) for day, (industry,) in states] for member, states in found.items()}


def _periods(
    member: str, states: Sequence[tuple[date, str | None]], identities: Mapping[str, Sequence[tuple[date, Identity]]]
) -> Iterator[tuple[object, ...]]:
    """Yield the periods of one member, split where its industry, instrument, symbol or ISIN changes."""
    known = identities[member]
    days = sorted({*(day for day, _ in states), *(day for day, _ in known if day > states[0][0])})
    for day, until in zip(days, [*days[1:], None], strict=True):
        industry = states[bisect_right(states, day, key=itemgetter(0)) - 1][1]
        identity = known[max(0, bisect_right(known, day, key=itemgetter(0)) - 1)][1]
        yield member, day, until, industry, *identity


def require_sectors(wanted: Collection[str]) -> None:
    """Do nothing if all names are sectors or `Unknown`.

    Raises:
        UsageError: one is not; the message lists the sectors.
    """
    known = [*sectors(), UNKNOWN]
    for wrong in sorted(set(wanted) - set(known)):
        raise UsageError(f"no sector is called {wrong!r}: {known_names(wrong, known)}")


def require_sectors_covered(covered: tuple[date, date], first: date, last: date) -> None:
    """Do nothing if index lists cover the dates from `first` to `last`.

    An industry counts until a list changes it, so a date after the last list is as unknown as one before the first.

    Raises:
        UsageError: they do not; the message names the covered dates.
    """
    start, end = covered
    if first < start or last > end:
        span = f"{first}" if first == last else f"{first} to {last}"
        raise UsageError(
            f"the sectors on {span} are not known: index lists cover {start} to {end}. "
            "Load a list of that date, or ask for a covered one"
        )


def of_sectors(rows: pl.DataFrame, periods: pl.DataFrame, wanted: Collection[str]) -> pl.DataFrame:
    """Return the rows (instrument_id, trade_date) of instruments in one of the sectors on their date.

    `Unknown` is the group of instruments that were in no list by then.

    Raises:
        UsageError: there is no such sector.
    """
    require_sectors(wanted)
    named = periods.filter(pl.col("sector") != UNKNOWN)
    chosen = within(rows, named.filter(pl.col("sector").is_in(list(wanted))), "sector_from", "sector_until")
    if UNKNOWN not in wanted:
        return chosen
    key = ["instrument_id", "trade_date"]
    unknown = rows.join(within(rows, named, "sector_from", "sector_until"), on=key, how="anti")
    return rows.join(pl.concat([chosen, unknown]), on=key, how="semi", maintain_order="left")


def with_sectors(rows: pl.DataFrame, periods: pl.DataFrame, covered: tuple[date, date]) -> pl.DataFrame:
    """Return the rows (instrument_id, trade_date) in order with `sector` on their date, and `Unknown` without one.

    The sector is null on dates outside of `covered`: there, not even the unknown is known.

    >>> day = date(2024, 1, 15)
    >>> rows = pl.DataFrame({"instrument_id": ["A", "B"], "trade_date": [day, day]})
    >>> periods = pl.DataFrame({"instrument_id": ["A"], "sector": ["Energy"], "sector_from": [day]})
    >>> named = with_sectors(rows, periods.with_columns(sector_until=pl.lit(None, pl.Date)), (day, day))
    >>> named["sector"].to_list()
    ['Energy', 'Unknown']
    """
    known = periods.select("instrument_id", "sector", "sector_from", "sector_until")
    until = pl.col("sector_until").fill_null(date.max)
    key = ["instrument_id", "trade_date"]
    pairs = rows.select(key).unique().join(known, on="instrument_id")
    inside = pairs.filter(pl.col("trade_date") >= pl.col("sector_from"), pl.col("trade_date") < until)
    found = inside.select(*key, "sector").unique(key, keep="first", maintain_order=True)
    named = rows.join(found, on=key, how="left", maintain_order="left")
    return named.with_columns(
        pl.when(pl.col("trade_date").is_between(*covered)).then(pl.col("sector").fill_null(UNKNOWN)).alias("sector")
    )


def unknown_share(rows: pl.DataFrame) -> str:
    """Return how many of the rows, and how much of their turnover, have no known sector, as a sentence.

    `rows` need trade_date, turnover and the sector of `with_sectors`.

    >>> day, sectors = [date(2024, 1, 15)] * 4, ["Energy", "Unknown", "Energy", None]
    >>> unknown_share(pl.DataFrame({"trade_date": day, "turnover": [6.0, 1.0, 2.0, 1.0], "sector": sectors}))
    'sector unknown for 25.0% of 4 rows and 10.0% of turnover; no list covers 25.0% of rows and 10.0% of turnover'
    """
    if rows.is_empty():
        return "sectors: no rows"
    turnover = pl.col("turnover").sum()
    total, texts = float(rows.select(turnover).item()) or 1.0, list[str]()
    missing = {"sector unknown for": pl.col("sector") == UNKNOWN, "no list covers": pl.col("sector").is_null()}
    for what, is_missing in missing.items():
        part = rows.filter(is_missing)
        of_rows = f" of {quantity(rows.height, 'row')}" if not texts else " of rows"
        traded = float(part.select(turnover).item()) / total
        if part.height or not texts:
            texts.append(f"{what} {part.height / rows.height:.1%}{of_rows} and {traded:.1%} of turnover")
    return "; ".join(texts)


def sectors_on(periods: pl.DataFrame, day: date, *, fill_backward: bool = False) -> pl.DataFrame:
    """Return the industry and sector of every company on a date, by symbol; columns of `SECTORS_SCHEMA` and `basis`.

    `basis` is `list` for a list of the date or earlier. With `fill_backward`, companies that were first in a list after
    the date have its industry, with basis `later list`: use it only where knowing the future does no harm.
    """
    current = (pl.col("sector_from") <= day) & (pl.col("sector_until").fill_null(date.max) > day)
    found = periods.filter(current).with_columns(basis=pl.lit("list"))
    if fill_backward:
        first = periods.sort("sector_from").unique("member", keep="first", maintain_order=True)
        later = first.filter(pl.col("sector_from") > day).with_columns(basis=pl.lit("later list"))
        found = pl.concat([found, later])
    return found.sort("symbol")
