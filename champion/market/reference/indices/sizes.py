"""The number of companies of an index, and the dates on which its derived members are more or fewer.

An index has a fixed number of companies, and its lists show it: 50 of NIFTY 50, and 51 while a demerged company is
in it too. A list that is shorter than its index is refused when it is read. So a derived number below the smallest or
above the largest list proves that a change is missing or was not applied, although nothing says which one. There is no
tolerance beside it. Companies are counted, not lines: shares of one issuer (ordinary and with other voting rights) are
one company.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import NamedTuple

import polars as pl

from champion.market.identity.isin import OF_ISSUER

SIZES_SCHEMA = {
    "index_name": pl.String(),
    "first": pl.Date(),
    "last": pl.Date(),
    "companies": pl.Int64(),
    "smallest": pl.Int64(),
    "largest": pl.Int64(),
}
_DAY = timedelta(1)


class Size(NamedTuple):
    """The number of companies in the smallest and in the largest list of an index."""

    smallest: int
    largest: int

    def surplus(self, companies: int) -> int:
        """Return how many companies are too many; a negative number if some are missing.

        >>> Size(50, 51).surplus(49), Size(50, 51).surplus(51), Size(50, 51).surplus(53)
        (-1, 0, 2)
        """
        return max(companies - self.largest, 0) + min(companies - self.smallest, 0)

    def __str__(self) -> str:
        return f"{self.smallest}" if self.smallest == self.largest else f"{self.smallest} to {self.largest}"


def company() -> pl.Expr:
    """Return what two lines of one company have in common: the issuer in their ISINs, else the instrument or name.

    An ISIN with IN9 is that of a further class of shares, and its issuer is the one of the same letters after INE.

    >>> isins = {"isin": ["INE155A01022", "IN9155A01020", None], "instrument_id": ["N:A", "N:B", "N:C"], "company": "C"}
    >>> pl.DataFrame(isins).select(company()).to_series().to_list()
    ['INE155A', 'INE155A', 'N:C']
    """
    issuer = pl.col("isin").str.replace("^IN9", "INE").str.head(OF_ISSUER)
    return pl.coalesce(issuer, "instrument_id", "company")


def sizes(lists: pl.DataFrame, set_aside: pl.DataFrame) -> dict[str, Size]:
    """Return the size of each index by the lists that count.

    `lists` need index_name, list_date, isin, instrument_id, company and is_dummy; `set_aside` index_name and list_date.
    """
    kept = lists.filter(~pl.col("is_dummy")).join(set_aside, on=["index_name", "list_date"], how="anti")
    counts = kept.group_by("index_name", "list_date").agg(count=company().n_unique())
    ranges = counts.group_by("index_name").agg(smallest=pl.col("count").min(), largest=pl.col("count").max())
    return {index: Size(*found) for index, *found in ranges.sort("index_name").iter_rows()}


def wrong_sizes(
    members: pl.DataFrame, covered: Mapping[str, tuple[date, date]], expected: Mapping[str, Size]
) -> pl.DataFrame:
    """Return the spans of covered dates on which an index has another number of companies than its lists show.

    `members` has the columns of `membership.MEMBERS_SCHEMA`. The result (`SIZES_SCHEMA`) has a row for each span with
    one number; `last` is included.
    """
    rows: list[tuple[object, ...]] = []
    for index in sorted(covered.keys() & expected.keys()):
        start, end = covered[index]
        periods = members.filter(index_name=index).select(
            company().alias("who"), since="member_from", until=pl.col("member_until").fill_null(date.max)
        )
        edges = pl.concat([periods["since"], periods["until"]]).unique()
        days = [start, *edges.filter((edges > start) & (edges <= end)).sort()]
        spans = pl.DataFrame({"day": days}).with_columns(next=pl.col("day").shift(-1).fill_null(end + _DAY))
        inside = (pl.col("since") <= pl.col("day")) & (pl.col("until") > pl.col("day"))
        counts = periods.join_where(spans, inside).group_by("day").agg(count=pl.col("who").n_unique())
        counted = spans.join(counts, on="day", how="left").with_columns(pl.col("count").fill_null(0)).sort("day")
        run = counted.with_columns(run=pl.col("count").rle_id())
        merged = run.group_by("run").agg(pl.col("day").first(), pl.col("next").last(), pl.col("count").first())
        for day, following, count in merged.sort("day").select("day", "next", "count").iter_rows():
            if expected[index].surplus(count):
                rows.append((index, day, following - _DAY, count, *expected[index]))
    return pl.DataFrame(rows, SIZES_SCHEMA, orient="row")


def summary(wrong: pl.DataFrame) -> dict[str, str]:
    """Return one sentence for each index in the rows of `wrong_sizes`.

    >>> days = [date(2024, 4, 5), date(2024, 4, 29)]
    >>> summary(pl.DataFrame([("NIFTY 500", *days, 527, 500, 501)], SIZES_SCHEMA, orient="row"))["NIFTY 500"]
    '527 companies instead of 500 to 501 on 25 dates between 2024-04-05 and 2024-04-29'
    """
    found = wrong.group_by("index_name").agg(
        pl.col("first").min(),
        pl.col("last").max(),
        pl.col("smallest", "largest").first(),
        fewest=pl.col("companies").min(),
        most=pl.col("companies").max(),
        dates=((pl.col("last") - pl.col("first")).dt.total_days() + 1).sum(),
    )
    columns = ["index_name", "fewest", "most", "smallest", "largest", "dates", "first", "last"]
    return {
        index: f"{Size(fewest, most)} companies instead of {Size(smallest, largest)} on {dates:,} "
        f"{'date' if dates == 1 else 'dates'} between {first} and {last}"
        for index, fewest, most, smallest, largest, dates, first, last in found.sort("index_name")
        .select(columns)
        .iter_rows()
    }
