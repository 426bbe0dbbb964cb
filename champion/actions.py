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
from champion.envelope import envelope
from champion.errors import ContractError
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


def normalize(rows: pl.DataFrame, changes: pl.DataFrame, origin: ListOrigin) -> pl.DataFrame:
    """Return one row per instrument, ex-date and kind; contract normalized_corporate_actions.

    `rows` and `changes` are what `sources.actions` parses. The list's symbols are the latest ones: `changes` leads
    back to the symbol that traded on the ex-date. A rename still splits an instrument_id, so an action after it does
    not reach the bars before it. Rows that say the same are one; where two rows give one kind different ratios
    neither is believed: the factor is null and the reason says so.

    Raises:
        ContractError: a row breaks the contract, as an ex-date outside the dates the list covers.
    """
    history = _by_new_symbol(changes)
    symbols = [traded_symbol(symbol, session, history) for symbol, session in rows.select("symbol", "ex_date").rows()]
    listed = rows.with_columns(pl.col("symbol").alias("listed_symbol"), symbol=pl.Series(symbols, dtype=pl.String))
    listed = listed.with_columns(
        instrument_id=instrument_id(pl.col("symbol"), pl.col("series"), pl.lit(EXCHANGE))
    ).with_row_index("row")
    found = [(row, action) for row, text in enumerate(listed["purpose"]) for action in parse_purpose(text)]
    parsed = listed.with_columns(pl.col("row").cast(pl.Int64)).join(_frame(found), on="row")
    checked = validation.validate(_stamped(_one_per_kind(parsed), origin), contracts.load(ACTIONS))
    if checked.rejected.height:
        shown = checked.rejected.select("symbol", "ex_date", "purpose", "reasons").head(3).rows()
        raise ContractError(f"{checked.rejected.height} corporate action(s) break {ACTIONS}: {shown}")
    return checked.accepted


def traded_symbol(symbol: str, session: date, history: dict[str, list[tuple[date, str]]]) -> str:
    """Return the symbol under which today's `symbol` traded on `session`.

    `history` has, for each new symbol, the dates and old symbols of its changes, the latest first.

    >>> history = {"LTM": [(date(2026, 2, 27), "LTIM")], "LTIM": [(date(2022, 12, 5), "LTI")]}
    >>> [traded_symbol("LTM", date(year, 6, 1), history) for year in (2022, 2024, 2026)]
    ['LTI', 'LTIM', 'LTM']
    """
    before = date.max
    while True:
        step = next(((day, old) for day, old in history.get(symbol, ()) if session < day < before), None)
        if step is None:
            return symbol
        before, symbol = step


def as_known(rows: pl.DataFrame, as_of: datetime | None = None) -> pl.DataFrame:
    """Return the actions believed at `as_of` (now, without one), one row per instrument, ex-date and kind.

    Of the lists read by then, the last that covers an ex-date is believed for it; `known_at` becomes the time an
    action first stood, with the same factor, in any of them.
    """
    then = rows if as_of is None else rows.filter(pl.col("known_at") <= as_of)
    lists = then.select("list_date", "known_at", "covers_from", "covers_to").unique()
    newer = lists.rename({name: f"newer_{name}" for name in lists.columns})
    replaced = then.select("list_date", *_KEY).join_where(
        newer,
        pl.col("newer_list_date") > pl.col("list_date"),
        pl.col("newer_covers_from") <= pl.col("ex_date"),
        pl.col("ex_date") <= pl.col("newer_covers_to"),
    )
    first = pl.col("known_at").min().over([*_KEY, "price_factor"])
    return (
        then.with_columns(known_at=first)
        .join(replaced, on=["list_date", *_KEY], how="anti")
        .sort("ex_date", "instrument_id", "kind")
    )


def _by_new_symbol(changes: pl.DataFrame) -> dict[str, list[tuple[date, str]]]:
    history: dict[str, list[tuple[date, str]]] = {}
    for before, after, session in changes.sort("session", descending=True).select("before", "after", "session").rows():
        history.setdefault(after, []).append((session, before))
    return history


def _frame(found: Iterable[tuple[int, Action]]) -> pl.DataFrame:
    values = [(row, a.kind, a.price_factor, a.amount, a.detail, a.reason) for row, a in found]
    return pl.DataFrame(values, schema=_PARSED, orient="row")


def _one_per_kind(parsed: pl.DataFrame) -> pl.DataFrame:
    distinct = parsed.unique([*_KEY, "detail"], keep="first", maintain_order=True)
    one = pl.col("detail").len() == 1
    conflict = pl.col("price_factor").is_not_null().any() & ~one
    listed = pl.col("purpose").unique(maintain_order=True).str.join(" | ")
    return distinct.group_by(_KEY, maintain_order=True).agg(
        pl.col("symbol", "listed_symbol", "series").first(),
        price_factor=pl.when(one).then(pl.col("price_factor").first()),
        amount=pl.when(pl.col("amount").count() > 0).then(pl.col("amount").sum()),
        detail=pl.col("detail").str.join(" | "),
        reason=pl.when(conflict).then(pl.lit("rows of one ex-date disagree")).otherwise(pl.col("reason").first()),
        purpose=listed,
    )


def _stamped(actions: pl.DataFrame, origin: ListOrigin) -> pl.DataFrame:
    contract = contracts.load(ACTIONS)
    read_at = pl.lit(origin.fetched_at).cast(pl.Datetime("ms", "UTC"))
    dated = actions.with_columns(
        list_date=pl.lit(origin.list_date),
        covers_from=pl.lit(origin.covers[0]),
        covers_to=pl.lit(origin.covers[1]),
        volume_factor=pl.col("price_factor"),
        known_at=read_at,
        source_sha256=pl.lit(origin.sha256),
    )
    stamped = dated.with_columns(
        envelope(
            contract,
            source=pl.lit(origin.source),
            ingest_time=read_at,
            entity_id=pl.col("instrument_id"),
            key=[*(pl.col(name) for name in contract.key), pl.lit(origin.sha256)],
        )
    )
    return stamped.select(list(contract.polars_schema))
