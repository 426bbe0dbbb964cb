"""Names of companies and funds that the list of shares lacks, from other published lists.

The exchange's list of shares has the shares of the main board that are listed when it is read. A share that was
delisted before, a share of the SME platform and a fund have names in other lists only: index lists, corporate actions,
price bands, and the reports of circuit hits and 52-week extremes, which cut names to 25 characters. A whole name
precedes a cut one, and a later name an earlier one. Names are as published.

As of a date, a name counts if it was known by then: the list is of that date or an earlier one, and was read by then
(`known_at`, where a list has it). A copy that is put under an earlier date, and a corrected list, name nothing before.
"""

from collections.abc import Iterable, Mapping
from datetime import date

import polars as pl

from champion.base.clock import INDIA
from champion.contracts.datasets import ACTIONS, CIRCUIT_HITS, CONSTITUENTS, EXTREMES, PRICE_BANDS

LIST_OF_SHARES = "list of shares"
SOURCES: Mapping[str, tuple[str, str, str, bool]] = {
    CONSTITUENTS: ("index list", "company", "list_date", False),
    ACTIONS: ("corporate actions", "company", "list_date", False),
    PRICE_BANDS: ("price bands", "security_name", "trade_date", False),
    CIRCUIT_HITS: ("circuit hits", "security_name", "trade_date", True),
    EXTREMES: ("52-week extremes", "security_name", "trade_date", True),
}
"""By dataset: the label of the source, its columns with name and date, and whether it cuts names."""
_ID = "instrument_id"
_NAMES = {_ID: pl.String(), "company": pl.String(), "company_source": pl.String()}


def latest(lists: Mapping[str, pl.LazyFrame], wanted: Iterable[str], as_of: date | None = None) -> pl.DataFrame:
    """Return instrument_id, company and company_source of those of the `wanted` instruments that a list names.

    `lists` are the rows of the datasets in `SOURCES`. A row that was not known by the end of `as_of` is not used.

    >>> columns = {"instrument_id": ["N:A", "N:A"], "security_name": ["OLD LTD", "NEW LTD"]}
    >>> rows = pl.LazyFrame(columns | {"trade_date": [date(2024, 1, 15), date(2024, 1, 16)]})
    >>> latest({PRICE_BANDS: rows}, ["N:A"]).row(0), latest({PRICE_BANDS: rows}, ["N:A"], date(2024, 1, 15)).row(0)
    (('N:A', 'NEW LTD', 'price bands'), ('N:A', 'OLD LTD', 'price bands'))
    """
    ids, found = list(wanted), [pl.LazyFrame(schema={**_NAMES, "day": pl.Date(), "is_whole": pl.Boolean()})]
    for dataset, rows in lists.items():
        label, name, day, is_cut = SOURCES[dataset]
        named = _known(rows, day, as_of).filter(pl.col(_ID).is_in(ids) & (pl.col(name) != ""))
        last = named.group_by(_ID, company=name).agg(day=pl.col(day).max())
        found.append(
            last.select(_ID, "company", company_source=pl.lit(label), day="day", is_whole=pl.lit(value=not is_cut))
        )
    ordered = pl.concat(found).sort("is_whole", "day", "company", "company_source")
    return ordered.unique(_ID, keep="last", maintain_order=True).select(list(_NAMES)).sort(_ID).collect()


def _known(rows: pl.LazyFrame, day: str, as_of: date | None) -> pl.LazyFrame:
    """Return the rows that were known by the end of `as_of` in India."""
    if as_of is None:
        return rows
    published = rows.filter(pl.col(day) <= as_of)
    if "known_at" not in rows.collect_schema():
        return published  # published after the session, and then known
    return published.filter(pl.col("known_at").dt.convert_time_zone(INDIA.key).dt.date() <= as_of)
