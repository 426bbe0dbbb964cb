"""Filter bars by index and sector, and say what the lists in the lake cover."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256

import polars as pl

from champion import workspace
from champion.base.counting import quantity
from champion.contracts.datasets import BARS, CONSTITUENTS, CONTRADICTIONS, INDEX_CHANGES, INDEX_MEMBERS, SECTORS
from champion.lake import Lake
from champion.market.reference.indices import membership as indices, sectors as sectors_of
from champion.market.reference.indices.change_checks import REFUSED_SCHEMA
from champion.market.reference.indices.index_lists import evidence
from champion.market.reference.indices.membership import Membership, stored, stored_aside, within
from champion.market.reference.indices.misdated_lists import HOLE
from champion.market.reference.indices.sectors import of_sectors, require_sectors_covered
from champion.market.reference.indices.sizes import sizes, wrong_sizes
from champion.market.reference.indices.steps import LIST
from champion.pipeline.reference import withdrawals
from champion.sources.lists.index_list import canonical_index

_SHOWN = 6
_HOLES = {"index_name": pl.String(), "after": pl.Date(), "until": pl.Date(), "days": pl.Int64()}


def coverage(lake: Lake) -> Mapping[str, tuple[date, date]]:
    """Return the first and last covered date of each index; empty without lists."""
    return _derived(lake).covered


def _derived(lake: Lake) -> Membership:
    """Return the members that were derived last; empty without lists."""
    read = workspace.last_derived(lake, INDEX_MEMBERS)
    return stored(lake.scan(INDEX_MEMBERS, read, read).collect())  # without a date, no partition has rows


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the lists of the lake cover, and what they leave open.

    `covered` has the first and last covered date of each index (`coverage`),
    `set_aside` the lists that are not as of their date (index_name, list_date, reason, content_before),
    `contradictions` the dated changes that were not applied, and the lines of lists that contradict another index
    (index_name, effective, member, joins, basis, reason), and `holes` the dates between two lists of an index
    (index_name, after, until, days): a change in between counts from `until` on, up to `days` too late. Only holes of
    more than `misdated_lists.HOLE` are named; an index is reviewed twice a year.
    `withdrawn` are the lists that a user withdrew (`withdrawals.latest`). `sizes` has the spans on which an index has
    another number of companies than its lists show, so that members are wrong or missing (`sizes.SIZES_SCHEMA`).
    `unresolved` are the members without an instrument between the first and the last session of the bars (index_name,
    company, first, last): no published list leads from their name to one, so no universe has them.
    """

    covered: Mapping[str, tuple[date, date]]
    set_aside: pl.DataFrame
    contradictions: pl.DataFrame
    holes: pl.DataFrame
    withdrawn: pl.DataFrame
    sizes: pl.DataFrame
    unresolved: pl.DataFrame


def open_evidence(lake: Lake) -> Evidence:
    """Return what the lists in the lake cover and leave open; empty without lists."""
    lists, changes = evidence(lake.scan(CONSTITUENTS).collect(), lake.scan(INDEX_CHANGES).collect())
    gone = withdrawals.latest(lake).filter(decision=withdrawals.WITHDRAW)
    read = [day for day in lake.sessions(CONTRADICTIONS) if day == lists.select(pl.col("list_date").max()).item()]
    rows = (
        lake.scan(CONTRADICTIONS, read[0], read[0]).collect() if read else lake.scan(CONTRADICTIONS).collect().clear()
    )
    aside = stored_aside(rows)
    not_applied = rows.filter(pl.col("kind") != LIST).select(
        "index_name", "basis", "reason", effective="dated", member="subject", joins=pl.col("kind") == "in"
    )
    holes = _holes(lists, changes, aside)
    derived = _derived(lake)
    wrong = wrong_sizes(derived.members, derived.covered, sizes(lists, aside))
    sessions = lake.sessions(BARS) or [date.min]  # without bars, nothing is missing
    unresolved = absent(derived, (), sessions[0], sessions[-1])
    return Evidence(derived.covered, aside, not_applied.select(list(REFUSED_SCHEMA)), holes, gone, wrong, unresolved)


def absent(found: Membership, instruments: Collection[str], first: date, last: date) -> pl.DataFrame:
    """Return the members between two dates that have no instrument, or that of `instruments`, with their dates.

    Columns: index_name, company (the symbol if there is one), first and last date as a member between the two.

    >>> member = {"index_name": "NIFTY 500", "company": "KIOCL Ltd.", "member_until": date(2019, 9, 27)}
    >>> row = pl.DataFrame([member | {"member_from": date(2018, 6, 29)}], indices.MEMBERS_SCHEMA)
    >>> absent(stored(row.with_columns(covered_from=None, covered_until=None)), (), date(2019, 1, 1), date.max).rows()
    [('NIFTY 500', 'KIOCL Ltd.', datetime.date(2019, 1, 1), datetime.date(2019, 9, 26))]
    """
    left = pl.col("member_until").fill_null(date.max)
    lost = pl.col("instrument_id").is_null() | pl.col("instrument_id").is_in(list(instruments))
    rows = found.members.filter(lost & (pl.col("member_from") <= last) & (left > first))
    covered = pl.col("index_name").replace_strict(
        {index: end for index, (_, end) in found.covered.items()}, default=date.max, return_dtype=pl.Date
    )
    return rows.select(
        "index_name",
        pl.coalesce("symbol", "company").alias("company"),
        pl.max_horizontal("member_from", pl.lit(first)).alias("first"),
        pl.min_horizontal(left - timedelta(1), covered, pl.lit(last)).alias("last"),
    ).sort("index_name", "first", "company")


def absent_text(rows: pl.DataFrame) -> dict[str, str]:
    """Return a sentence for each index in the rows of `absent`: who is absent, and when.

    >>> days = [date(2019, 1, 1), date(2019, 9, 26)]
    >>> columns = ["index_name", "company", "first", "last"]
    >>> absent_text(pl.DataFrame([("NIFTY 500", "KIOCL Ltd.", *days)], columns, orient="row"))
    {'NIFTY 500': '1 member: KIOCL Ltd. (2019-01-01 to 2019-09-26)'}
    """
    found: dict[str, str] = {}
    for (index,), part in rows.group_by("index_name", maintain_order=True):
        each = [f"{name} ({since} to {end})" for name, since, end in part.select("company", "first", "last").rows()]
        more = f" and {len(each) - _SHOWN} more" if len(each) > _SHOWN else ""
        found[str(index)] = f"{quantity(len(each), 'member')}: {', '.join(each[:_SHOWN])}{more}"
    return found


def _holes(lists: pl.DataFrame, changes: pl.DataFrame, aside: pl.DataFrame) -> pl.DataFrame:
    dated = lists.select("index_name", "list_date", "seen_until").unique()
    kept = dated.join(aside, on=["index_name", "list_date"], how="anti").sort("index_name", "list_date")
    complete = changes.group_by("index_name").agg(complete=pl.col("effective").max())
    before = pl.max_horizontal(pl.col("seen_until").shift(1).over("index_name"), "complete")
    bounded = kept.join(complete, on="index_name", how="left", maintain_order="left").with_columns(after=before)
    is_first = pl.col("list_date") == pl.col("list_date").min().over("index_name")
    spans = bounded.with_columns(days=(pl.col("list_date") - pl.col("after")).dt.total_days(), until="list_date")
    return spans.filter(~is_first & (pl.col("days") > HOLE.days)).select(list(_HOLES))


def keep(rows: pl.DataFrame, lake: Lake, index: str, sectors: Collection[str]) -> pl.DataFrame:
    """Return the rows (instrument_id, trade_date) of members of an index, and of sectors, on their date.

    An empty index or no sector does not filter.

    Raises:
        UsageError: the lists do not cover a date of the rows, or there is no such index or sector.
    """
    if rows.is_empty():
        return rows
    dates = rows.select(first=pl.col("trade_date").min(), last=pl.col("trade_date").max()).row(0)
    require_covered(lake, index, sectors, *dates)
    if index:
        members = stored(workspace.latest_list(lake, INDEX_MEMBERS)).members
        rows = within(rows, members.filter(index_name=canonical_index(index)), "member_from", "member_until")
    if sectors:
        rows = of_sectors(rows, workspace.latest_list(lake, SECTORS), sectors)
    return rows


def require_covered(lake: Lake, index: str, sectors: Collection[str], first: date, last: date) -> None:
    """Do nothing if the lists cover the dates from `first` to `last`; an empty index or no sector needs no list.

    Raises:
        UsageError: they do not, or there is no such index; the message names the covered dates.
    """
    if index:
        members = stored(workspace.latest_list(lake, INDEX_MEMBERS))
        indices.require_covered(members.covered, canonical_index(index), first, last)
    if sectors:
        require_sectors_covered(workspace.sectors_covered(lake, workspace.latest_list(lake, SECTORS)), first, last)


def with_sectors(rows: pl.DataFrame, lake: Lake) -> pl.DataFrame:
    """Return the rows (instrument_id, trade_date) with their `sector` as of the date, `Unknown` where none was listed.

    The sector is null on dates that no list covers, and everywhere in a lake without lists.
    """
    if workspace.last_derived(lake, SECTORS) is None:
        return rows.with_columns(sector=pl.lit(None, pl.String))
    periods = workspace.latest_list(lake, SECTORS)
    return sectors_of.with_sectors(rows, periods, workspace.sectors_covered(lake, periods))


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
