"""Published corporate actions to contract `normalized_corporate_actions`, and which of them were known when.

A list is complete for the ex-dates it covers, so a later list replaces an earlier one there: what the exchange took
back is gone from then on, and a look back (`as_of`) still sees it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import polars as pl

from champion import contracts, validation
from champion.counting import quantity
from champion.envelope import session_start_expr, stamp_list
from champion.errors import ContractError
from champion.identity import Lineage
from champion.normalize import instrument_id
from champion.purposes import Action, parse_purpose

VERSION = "1"  # raise it when the meaning of the output changes: committed lists are then made anew
ACTIONS = "normalized_corporate_actions"
EXCHANGE = "NSE"
_KEY = ["instrument_id", "ex_date", "kind"]
_PARSED = {
    "row": pl.Int64(),
    "kind": pl.String(),
    "price_factor": pl.Float64(),
    "amount": pl.Float64(),
    "detail": pl.String(),
    "reason": pl.String(),
}


@dataclass(frozen=True, slots=True)
class ListOrigin:
    """Where a list came from, when it was first read, and the ex-dates it covers."""

    source: str
    sha256: str
    fetched_at: datetime
    covers: tuple[date, date]

    @property
    def list_date(self) -> date:
        """The date in India on which the list was first read."""
        return self.fetched_at.astimezone(ZoneInfo("Asia/Kolkata")).date()


def normalize(rows: pl.DataFrame, lineage: Lineage, origin: ListOrigin) -> pl.DataFrame:
    """Return one row per instrument, ex-date and kind; contract normalized_corporate_actions.

    `rows` are what `sources.actions` parses. The list's symbols are those of the day it was read: `lineage` leads to
    the instrument, and to the symbol it bore on the ex-date. Rows that say the same are one; where two rows give one
    kind different ratios neither is believed: the factor is null and the reason says so.

    Raises:
        ContractError: a row breaks the contract, as an ex-date outside the dates the list covers.
    """
    names = [lineage.name(symbol, origin.list_date) for symbol in rows["symbol"]]
    symbols = [lineage.symbol(name, session) for name, session in zip(names, rows["ex_date"], strict=True)]
    listed = rows.with_columns(
        pl.col("symbol").alias("listed_symbol"),
        symbol=pl.Series(symbols, dtype=pl.String),
        instrument_id=pl.Series(names, dtype=pl.String),
    )
    listed = listed.with_columns(
        instrument_id=instrument_id(pl.col("instrument_id"), pl.col("series"), pl.lit(EXCHANGE))
    ).with_row_index("row")
    found = [(row, action) for row, text in enumerate(listed["purpose"]) for action in parse_purpose(text)]
    parsed = listed.with_columns(pl.col("row").cast(pl.Int64)).join(_frame(found), on="row")
    checked = validation.validate(_stamped(_one_per_kind(parsed), origin), contracts.load(ACTIONS))
    if checked.rejected.height:
        shown = checked.rejected.select("symbol", "ex_date", "purpose", "reasons").head(3).rows()
        broken = quantity(checked.rejected.height, "corporate action breaks", "corporate actions break")
        raise ContractError(f"{broken} {ACTIONS}: {shown}")
    return checked.accepted


def as_known(rows: pl.DataFrame, as_of: datetime | None = None) -> pl.DataFrame:
    """Return the actions believed at `as_of` (now, without one), one row per instrument, ex-date and kind.

    Of the lists read by then, the last that covers an ex-date is believed for it; where none was, the first that was
    ever read. `known_at` becomes the time an action first stood, with the same factor, in any list; if that was the
    first list of all that covers its ex-date, the action counts as known at least since that date: the exchange
    announces before it. So a list read today serves a look back, and a late amendment is not foretold.
    """
    read = pl.col("_read") if as_of is None else pl.when(pl.col("_read") <= as_of).then("_read")
    covering = (
        rows.select("ex_date")
        .unique()
        .join_where(
            rows.select(pl.col("known_at").alias("_read"), "covers_from", "covers_to").unique(),
            pl.col("covers_from") <= pl.col("ex_date"),
            pl.col("ex_date") <= pl.col("covers_to"),
        )
        .group_by("ex_date")
        .agg(_first=pl.col("_read").min(), _believed=pl.coalesce(read.max(), pl.col("_read").min()))
    )
    first = pl.col("known_at").min().over([*_KEY, "price_factor"])
    since = pl.when(first == pl.col("_first")).then(pl.min_horizontal(first, session_start_expr(pl.col("ex_date"))))
    believed = (
        rows.join(covering, on="ex_date")
        .with_columns(_read=pl.col("known_at"), known_at=since.otherwise(first))
        .filter(pl.col("_read") == pl.col("_believed"))
        .select(rows.columns)
        .sort("ex_date", "instrument_id", "kind")
    )
    return believed if as_of is None else believed.filter(pl.col("known_at") <= as_of)


def _frame(found: Iterable[tuple[int, Action]]) -> pl.DataFrame:
    values = [(row, a.kind, a.price_factor, a.amount, a.detail, a.reason) for row, a in found]
    return pl.DataFrame(values, schema=_PARSED, orient="row")


def _one_per_kind(parsed: pl.DataFrame) -> pl.DataFrame:
    distinct = parsed.unique([*_KEY, "detail"], keep="first", maintain_order=True)
    one = pl.col("detail").len() == 1
    conflict = pl.col("price_factor").is_not_null().any() & ~one
    listed = pl.col("purpose").unique(maintain_order=True).str.join(" | ")
    return distinct.group_by(_KEY, maintain_order=True).agg(
        pl.col("symbol", "listed_symbol", "series", "face_value").first(),
        price_factor=pl.when(one).then(pl.col("price_factor").first()),
        amount=pl.when(pl.col("amount").count() > 0).then(pl.col("amount").sum()),
        detail=pl.col("detail").str.join(" | "),
        reason=pl.when(conflict).then(pl.lit("rows of one ex-date disagree")).otherwise(pl.col("reason").first()),
        purpose=listed,
    )


def _stamped(actions: pl.DataFrame, origin: ListOrigin) -> pl.DataFrame:
    read_at = pl.lit(origin.fetched_at).cast(pl.Datetime("ms", "UTC"))
    dated = actions.with_columns(
        list_date=pl.lit(origin.list_date),
        covers_from=pl.lit(origin.covers[0]),
        covers_to=pl.lit(origin.covers[1]),
        volume_factor=pl.col("price_factor"),
        known_at=read_at,
        source_sha256=pl.lit(origin.sha256),
    )
    contract = contracts.load(ACTIONS)
    return stamp_list(dated, contract, source=pl.lit(origin.source), read_at=read_at, entity="instrument_id")
