"""Normalize index lists, the register and press-release changes to their contracts, and read them back.

The lake keeps what was published. The modules `membership` and `sectors` derive members and sectors from it.
`normalize_members` and `normalize_sectors` give both the form in which lake and warehouse hold them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time

import polars as pl

from champion import contracts
from champion.base.clock import INDIA
from champion.contracts.datasets import CONSTITUENTS, CONTRADICTIONS, INDEX_CHANGES, INDEX_MEMBERS, REVISIONS, SECTORS
from champion.market import validation
from champion.market.envelope import stamp_list
from champion.market.identity.symbol_history import SymbolHistory
from champion.market.reference.indices.membership import Membership
from champion.market.reference.indices.sectors import UNKNOWN, require_known_industries, sector_map
from champion.market.reference.indices.steps import LIST, PRESS_RELEASE, REGISTER

VERSION = "1"  # raise it when the meaning of the output changes: committed lists are then rebuilt
REGISTER_SOURCE, RELEASES_SOURCE, LIST_SOURCE = "nse_index_register", "index_press_releases", "nse_index_list"
_BASIS = {REGISTER_SOURCE: REGISTER, RELEASES_SOURCE: PRESS_RELEASE, LIST_SOURCE: LIST}
_DERIVED = "champion"
_EXCHANGE = "NSE"


@dataclass(frozen=True, slots=True)
class ListFile:
    """One file of a list: its name, its digest, the time it was first read, and the date under which a copy is dated.

    `dated` is null for a file under the address of the current list: its date is that of the first reading. `is_served`
    says that the exchange served it then, so that it is as of that date; a file in a folder may be older.
    `is_correction` says that it replaces an earlier file of the same date; it was not known before it was read.
    """

    name: str
    sha256: str
    fetched_at: datetime
    dated: date | None = None
    is_served: bool = False
    is_correction: bool = False

    @property
    def list_date(self) -> date:
        """The date of the list, an upper bound of the date it describes."""
        return self.dated or self.fetched_at.astimezone(INDIA).date()


def normalize_list(rows: pl.DataFrame, history: SymbolHistory, file: ListFile) -> pl.DataFrame:
    """Return the lines of one index list, as `sources.lists.index_list` parses it; contract `CONSTITUENTS`.

    A list is known since the end of its date, a correction and a list without a date since they were read.

    Raises:
        FormatError: an industry is in neither scheme.
        ContractError: a line breaks the contract.
    """
    return _stamp(_lines(rows, history, file), CONSTITUENTS, LIST_SOURCE, file.fetched_at, "isin")


def normalize_revision(
    rows: pl.DataFrame, history: SymbolHistory, file: ListFile, replaced_at: datetime
) -> pl.DataFrame:
    """Return the lines of a list that was corrected at `replaced_at`; contract `REVISIONS`.

    Raises:
        FormatError: an industry is in neither scheme.
        ContractError: a line breaks the contract.
    """
    lines = _lines(rows, history, file).with_columns(replaced_at=_moment(replaced_at))
    return _stamp(lines, REVISIONS, LIST_SOURCE, file.fetched_at, "isin")


def _lines(rows: pl.DataFrame, history: SymbolHistory, file: ListFile) -> pl.DataFrame:
    require_known_industries(file.name, rows["industry"])
    sector = {industry: sector for industry, (_, sector) in sector_map().items()}
    day = file.list_date
    is_known_since = file.dated and not file.is_correction
    known_at = min(file.fetched_at, _end_of(day)) if is_known_since else file.fetched_at
    return rows.with_columns(
        list_date=pl.lit(day),
        as_of_from=pl.lit(day if file.is_served else None, pl.Date),
        instrument_id=_instruments(pl.col("symbol"), history.names(rows["symbol"], day)),
        sector=pl.col("industry").replace_strict(sector, default=UNKNOWN, return_dtype=pl.String),
        known_at=_moment(known_at),
        source_sha256=pl.lit(file.sha256),
    )


def normalize_changes(rows: pl.DataFrame, history: SymbolHistory, source: str, file: ListFile) -> pl.DataFrame:
    """Return the changes of the register or of press releases, as their parsers give them; contract `INDEX_CHANGES`.

    Raises:
        ContractError: a change breaks the contract.
    """
    if source == REGISTER_SOURCE:
        rows = rows.with_columns(
            change=pl.when("is_inclusion").then(pl.lit("in")).otherwise(pl.lit("out")),
            symbol=pl.lit(None, pl.String),
            announced=pl.lit(None, pl.Date),
            reference=pl.lit(None, pl.String),
        )
    else:
        rows = rows.with_columns(company=pl.lit(None, pl.String))
    read_at = _moment(file.fetched_at)
    public = pl.coalesce("announced", "effective").cast(pl.Datetime("ms")) + pl.duration(
        days=1, milliseconds=-1, time_unit="ms"
    )
    symbols = rows.select("symbol", "effective").rows()
    names = [f"{_EXCHANGE}:{history.name(symbol, day)}" if symbol else None for symbol, day in symbols]
    named = rows.with_columns(
        pl.Series("instrument_id", names, pl.String),
        list_date=pl.lit(file.list_date),
        subject=pl.coalesce("symbol", "company", pl.lit("")),
        known_at=pl.min_horizontal(public.dt.replace_time_zone(INDIA.key).dt.convert_time_zone("UTC"), read_at),
        source_sha256=pl.lit(file.sha256),
    )
    return _stamp(named, INDEX_CHANGES, source, file.fetched_at, "index_name")


def confirmations(lists: Mapping[str, str], read_at: datetime) -> pl.DataFrame:
    """Return a row of contract `INDEX_CHANGES` for each list that was read unchanged: index name to digest."""
    day = read_at.astimezone(INDIA).date()
    rows = [(index, day, "none", digest, digest) for index, digest in sorted(lists.items())]
    texts = ("change", "subject", "source_sha256")
    schema = {"index_name": pl.String, "effective": pl.Date} | dict.fromkeys(texts, pl.String)
    named = pl.DataFrame(rows, schema, orient="row").with_columns(
        *(pl.lit(None, pl.String).alias(name) for name in ("symbol", "instrument_id", "company", "reference")),
        announced=pl.lit(None, pl.Date),
        list_date=pl.lit(day),
        known_at=_moment(read_at),
    )
    return _stamp(named, INDEX_CHANGES, LIST_SOURCE, read_at, "index_name")


def as_known(constituents: pl.DataFrame, revisions: pl.DataFrame, known: date) -> pl.DataFrame:
    """Return the lines of the files that counted at the end of a date in India; columns of `constituents`.

    Of a list that was corrected later, it is the version before; of a list that was not read yet, none.
    """
    replaced = pl.lit(None, pl.Datetime("ms", "UTC")).alias("replaced_at")
    columns = constituents.columns
    # A crash between two commits may leave a version in both: its revision says when it was replaced.
    lines = pl.concat([revisions.select(*columns, "replaced_at"), constituents.with_columns(replaced)])
    once = lines.unique(["list_date", "index_name", "source_sha256", "symbol"], keep="first", maintain_order=True)
    counted = (_day(pl.col("known_at")) <= known) & ~(_day(pl.col("replaced_at")) <= known).fill_null(value=False)
    return once.filter(counted).select(columns)


def evidence(constituents: pl.DataFrame, changes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return lists and changes as `membership.memberships` takes them, from rows of both contracts."""
    is_confirmation = pl.col("source") == LIST_SOURCE
    seen = changes.filter(is_confirmation).group_by("index_name", "source_sha256").agg(seen=pl.col("effective").max())
    lists = constituents.join(seen, on=["index_name", "source_sha256"], how="left").with_columns(
        seen_until=pl.max_horizontal("list_date", "seen"), known_on=_day(pl.col("known_at"))
    )
    change = pl.col("change")
    latest = pl.col("list_date") == pl.col("list_date").max().over("source")  # each version holds all changes
    dated = changes.filter(~is_confirmation & latest).select(
        "index_name",
        "effective",
        pl.when(change != "none").then(change == "in").alias("joins"),
        "instrument_id",
        "symbol",
        "company",
        pl.col("source").replace_strict(_BASIS, return_dtype=pl.String).alias("basis"),
        _day(pl.col("known_at")).alias("known_on"),
    )
    return lists, dated


def last_seen(constituents: pl.LazyFrame, changes: pl.LazyFrame) -> date | None:
    """Return the last date on which a list was seen: its own, or that of its last confirmation; None without lists."""
    key = ["index_name", "source_sha256"]
    listed = constituents.select(*key, "list_date").unique()
    confirmed = changes.filter(pl.col("source") == LIST_SOURCE).join(listed, on=key, how="semi")
    days = pl.concat([listed.select("list_date"), confirmed.select(list_date="effective")])
    last: date | None = days.max().collect().item()
    return last


def normalize_members(found: Membership, list_date: date, read_at: datetime) -> pl.DataFrame:
    """Return the members by period; contract `INDEX_MEMBERS`.

    Raises:
        ContractError: a row breaks the contract.
    """
    covered = pl.DataFrame(
        [(index, *dates) for index, dates in found.covered.items()],
        {"index_name": pl.String, "covered_from": pl.Date, "covered_until": pl.Date},
        orient="row",
    )
    subject = pl.coalesce("isin", "symbol", "company")
    named = found.members.join(covered, on="index_name").with_columns(
        subject=subject, subject_id=pl.coalesce("instrument_id", subject)
    )
    return _derived(named, INDEX_MEMBERS, list_date, read_at, "subject_id")


def normalize_sectors(periods: pl.DataFrame, list_date: date, read_at: datetime) -> pl.DataFrame:
    """Return the sectors by period; contract `SECTORS`.

    Raises:
        ContractError: a row breaks the contract.
    """
    return _derived(periods, SECTORS, list_date, read_at, "instrument_id")


def normalize_contradictions(found: Membership, list_date: date, read_at: datetime) -> pl.DataFrame:
    """Return the lists and changes that are not used, each with its reason; contract `CONTRADICTIONS`.

    Raises:
        ContractError: a row breaks the contract.
    """
    lists = found.set_aside.select(
        "index_name",
        "content_before",
        "reason",
        kind=pl.lit(LIST),
        dated="list_date",
        subject=pl.lit(""),
        basis=pl.lit(LIST),
    )
    changes = found.contradictions.select(
        "index_name",
        "reason",
        "basis",
        content_before=pl.lit(None, pl.Date),
        kind=pl.when("joins").then(pl.lit("in")).otherwise(pl.lit("out")),
        dated="effective",
        subject="member",
    )
    rows = pl.concat([lists, changes.select(lists.columns)])
    key = ["index_name", "kind", "dated", "subject", "basis"]
    reasons = pl.col("reason").unique(maintain_order=True).str.join("; ")  # a member may contradict two indices
    once = rows.group_by(key, maintain_order=True).agg(pl.col("content_before").min(), reasons)
    return _derived(once, CONTRADICTIONS, list_date, read_at, "index_name")


def _instruments(symbols: pl.Expr, names: Mapping[str, str]) -> pl.Expr:
    """Return the ids of instruments, null without a symbol; `names` are those of renamed symbols."""
    return pl.format("{}:{}", pl.lit(_EXCHANGE), symbols.replace(names)).alias("instrument_id")


def _derived(rows: pl.DataFrame, dataset: str, list_date: date, read_at: datetime, entity: str) -> pl.DataFrame:
    named = rows.with_columns(list_date=pl.lit(list_date), source_sha256=pl.lit(""))
    return _stamp(named, dataset, _DERIVED, read_at, entity)


def _stamp(named: pl.DataFrame, dataset: str, source: str, read_at: datetime, entity: str) -> pl.DataFrame:
    contract = contracts.load(dataset)
    stamped = stamp_list(named, contract, source=pl.lit(source), read_at=_moment(read_at), entity=entity)
    return validation.require_valid(stamped, contract, ("row breaks", "rows break"), list(contract.key))


def _moment(instant: datetime) -> pl.Expr:
    return pl.lit(instant).cast(pl.Datetime("ms", "UTC"))


def _day(instant: pl.Expr) -> pl.Expr:
    return instant.dt.convert_time_zone(INDIA.key).dt.date()


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time.max, tzinfo=INDIA)
