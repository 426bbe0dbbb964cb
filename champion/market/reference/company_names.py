"""Names of companies and funds that the list of shares lacks, from other published lists.

The exchange's list of shares has the shares of the main board that are listed when it is read. A share that was
delisted before, a share of the SME platform and a fund have names in other lists only: index lists, corporate actions,
price bands, and the reports of circuit hits and 52-week extremes, which cut names to 25 characters. A whole name
precedes a cut one, and a later name an earlier one. Names are as published.

As of a date, a name counts if it was known by then: the list is of that date or an earlier one, and was read by then
(`known_at`, where a list has it). A copy that is put under an earlier date, and a corrected list, name nothing before.

The register of index changes names companies without a symbol. The same lists lead from such a name to its instrument:
`with_instruments`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date

import polars as pl

from champion.base.clock import INDIA
from champion.contracts.datasets import ACTIONS, CIRCUIT_HITS, CONSTITUENTS, EXTREMES, PRICE_BANDS, SYMBOLS
from champion.market.reference.indices.index_identity import plain_name, present_names
from champion.market.reference.indices.traded import Traded

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
PUBLISHED = {"company": pl.String(), _ID: pl.String()}
"""The schema of names and instruments as one list has them in a line: see `published`."""
WHOLE, ROLLING = (SYMBOLS, ACTIONS), (PRICE_BANDS, CIRCUIT_HITS, EXTREMES)
"""The small lists with whole names, and the lists of every session, which are long."""
_CUT = 25  # characters
_IS_NAMED = pl.col("joins").is_not_null() & pl.col(_ID).is_null() & pl.col("company").is_not_null()
_SOON = 20  # sessions of the market: a share with a first bar this early traded before the bars begin


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


def unlisted(lists: pl.DataFrame, changes: pl.DataFrame) -> frozenset[str]:
    """Return the companies, by `plain_name`, that changes without a symbol name, and that no index list has.

    `lists` need company, `changes` joins, instrument_id and company. A former name counts as its present one too.
    """
    listed, present = {plain_name(company) for company in lists["company"].unique()}, present_names()
    named = {plain_name(company) for company in changes.filter(_IS_NAMED)["company"].unique()}
    return frozenset(name for name in named if name not in listed and present.get(name, name) not in listed)


def published(lists: Mapping[str, pl.LazyFrame], wanted: Collection[str]) -> pl.DataFrame:
    """Return company and instrument_id (`PUBLISHED`) of the lists' lines that name one of the `wanted` companies.

    `lists` are rows of datasets in `WHOLE` and `ROLLING`, `wanted` names as `plain_name`. A name that a list may have
    cut names no company.

    >>> rows = pl.LazyFrame({"company": ["KIOCL Limited", "Other Ltd."], "instrument_id": ["NSE:KIOCL", "NSE:OTHER"]})
    >>> published({ACTIONS: rows}, {"kiocl"}).rows()
    [('KIOCL Limited', 'NSE:KIOCL')]
    """
    both, present = {*wanted}, present_names()
    both |= {present[name] for name in wanted if name in present}
    found = [pl.DataFrame(schema=PUBLISHED)]
    for dataset, rows in lists.items():
        _, name, _, is_cut = SOURCES.get(dataset, (LIST_OF_SHARES, "company", "list_date", False))
        pairs = rows.select(company=name, instrument_id=_ID).drop_nulls().unique().collect()
        whole = pairs.filter(pl.col("company").str.len_chars() < _CUT) if is_cut else pairs
        is_wanted = [plain_name(company) in both for company in whole["company"]]
        found.append(whole.filter(pl.Series(is_wanted, dtype=pl.Boolean)))
    return pl.concat(found).unique().sort("company", _ID)


def unnamed(wanted: Collection[str], names: pl.DataFrame) -> frozenset[str]:
    """Return the companies, by `plain_name`, that no row of `names` (`PUBLISHED`) names, by former or present name.

    >>> unnamed({"kiocl"}, pl.DataFrame([("KIOCL Limited", "NSE:KIOCL")], PUBLISHED, orient="row"))
    frozenset()
    """
    named, present = {plain_name(company) for company in names["company"]}, present_names()
    return frozenset(name for name in wanted if name not in named and present.get(name, name) not in named)


def with_instruments(changes: pl.DataFrame, lists: pl.DataFrame, names: pl.DataFrame, traded: Traded) -> pl.DataFrame:
    """Return changes of indices with the instrument of each company that only the register and other lists name.

    `names` have `PUBLISHED`. All changes of a company get one instrument, or none: that of a company share whose bars
    begin by its last change, or with the lake. Of several instruments under one name, one that goes on as another is
    left out; then the only one that trades on the date of the last change counts. If several remain, the name is of
    none. Companies with a name in an index list are left as they are.
    """
    chosen = dict(resolved(changes, lists, names, traded))
    plain = [chosen.get(plain_name(company)) if company and chosen else None for company in changes["company"]]
    return changes.with_columns(pl.when(_IS_NAMED).then(pl.Series("found", plain, pl.String)).otherwise(_ID).alias(_ID))


def resolved(changes: pl.DataFrame, lists: pl.DataFrame, names: pl.DataFrame, traded: Traded) -> list[tuple[str, str]]:
    """Return the companies, by `plain_name`, that `with_instruments` resolves, each with its instrument."""
    wanted = unlisted(lists, changes)
    if not wanted or names.is_empty() or not traded.sessions:
        return []
    dated = changes.filter(_IS_NAMED).select("company", "effective").sort("effective")
    last = {plain_name(company): day for company, day in dated.iter_rows()}
    return list(_chosen({name: last[name] for name in wanted}, names, traded))


def _chosen(wanted: Mapping[str, date], names: pl.DataFrame, traded: Traded) -> Iterator[tuple[str, str]]:
    """Yield each company, by `plain_name`, whose names lead to one instrument; `wanted` has its last change."""
    spans = {
        name: (first, end)
        for name, first, end in traded.runs.group_by(_ID).agg(pl.col("first").min(), pl.col("last").max()).iter_rows()
    }
    goes_on = dict(traded.continued.select("instrument_id", "continued_as").iter_rows())
    by_name: dict[str, set[str]] = {}
    for company, instrument in names.iter_rows():
        if instrument in spans:
            by_name.setdefault(plain_name(company), set()).add(instrument)
    begin, present = traded.sessions[min(_SOON, len(traded.sessions)) - 1], present_names()
    for name, day in sorted(wanted.items()):
        known = by_name.get(name) or by_name.get(present.get(name, name), set())
        early = {one for one in known if spans[one][0] <= max(day, begin)}
        found = {one for one in early if goes_on.get(one) not in early}
        if len(found) > 1:
            found = {one for one in found if spans[one][0] <= day <= spans[one][1]}
        if len(found) == 1:
            yield name, found.pop()
