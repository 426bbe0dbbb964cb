"""Normalize corporate actions to contract `normalized_corporate_actions`, and select the actions known at a given time.

Every list counts for the ex-dates it covers. It is complete for them, so if several lists cover an ex-date, the newest
list applies: an action that the exchange withdrew is missing from then on, and still present in an earlier `as_of`.
Manual decisions are stored beside the lists, and known from the time they were first read.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import attrgetter

import polars as pl

from champion import contracts
from champion.base.clock import INDIA
from champion.contracts.datasets import ACTIONS
from champion.market import validation
from champion.market.actions.action_text import MOVES_NO_PRICE, NOT_UNDERSTOOD, READ, WITHOUT_QUANTITY, parse_purpose
from champion.market.actions.adjustment_factors import DECISION, NON_DIVIDENDS, made_on
from champion.market.envelope import session_start_expr, stamp_list
from champion.market.equity_bars import instrument_id
from champion.market.identity.symbol_history import SymbolHistory

VERSION = "3"  # raise it when the meaning of the output changes: committed lists are then rebuilt
EXCHANGE = "NSE"
DECISIONS = "champion_decisions"
"""The source of manual decisions."""
LISTED = "list"
"""The kind of the one row per list that records its coverage, because a list may have no action."""
_AMENDED_WITHIN = timedelta(days=60)  # NSE 2016 to 2025: no share has one split, bonus or right twice in 120 days
_KEY = ["instrument_id", "ex_date", "kind"]
_PARSED = {
    "kind": pl.String(), "price_factor": pl.Float64(), "amount": pl.Float64(), "percent": pl.Float64(),
    "detail": pl.String(), "reason": pl.String(), "verdict": pl.String(),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ListOrigin:
    """The source of a list, the time it was first read, and the ex-dates it covers."""

    source: str
    sha256: str
    fetched_at: datetime
    covers: tuple[date, date]

    @property
    def list_date(self) -> date:
        """The date in India on which the list was first read."""
        return self.fetched_at.astimezone(INDIA).date()

    @property
    def made_on(self) -> date:
        """The date of the list's symbols and face values: the last it covers, or its first reading if earlier."""
        return min(self.list_date, self.covers[1])


def normalize(rows: pl.DataFrame, lineage: SymbolHistory, origin: ListOrigin) -> pl.DataFrame:
    """Return one row per instrument, ex-date and kind; contract normalized_corporate_actions.

    `rows` are parsed by `sources.actions`. The list's symbols are valid on the list's date: `lineage` gives the
    instrument, and its symbol on the ex-date. Equal rows are merged. If two rows give one kind different ratios,
    neither is used: the factor is null, and the reason says so.

    Raises:
        ContractError: a row breaks the contract, as an ex-date that the list does not cover.
    """
    names = [lineage.name(symbol, origin.made_on) for symbol in rows["symbol"]]
    symbols = [lineage.symbol(name, session) for name, session in zip(names, rows["ex_date"], strict=True)]
    listed = rows.with_columns(
        pl.col("symbol").alias("listed_symbol"),
        symbol=pl.Series(symbols, dtype=pl.String),
        instrument_id=pl.Series(names, dtype=pl.String),
    )
    ids = instrument_id(pl.col("instrument_id"), pl.col("series"), pl.lit(EXCHANGE))
    listed = listed.with_columns(ids).with_row_index("row")
    read = attrgetter(*_PARSED)
    values = [(row, *read(action)) for row, text in enumerate(listed["purpose"]) for action in parse_purpose(text)]
    found = pl.DataFrame(values, schema={"row": pl.Int64(), **_PARSED}, orient="row")
    parsed = listed.with_columns(pl.col("row").cast(pl.Int64)).join(found, on="row")
    breaks = ("corporate action breaks", "corporate actions break")
    stamped = _stamp(_one_per_kind(parsed), origin)
    return validation.require_valid(stamped, contracts.load(ACTIONS), breaks, ["symbol", "ex_date", "purpose"])


def decision_rows(rows: pl.DataFrame, lineage: SymbolHistory, read_at: datetime, sha256: str) -> pl.DataFrame:
    """Return manual decisions as rows of contract normalized_corporate_actions, of kind `decision`.

    `rows` are parsed by `sources.decisions`; their instrument is an instrument_id (`NSE:ACME`) or the symbol on the
    ex-date. A withdrawn decision has no factor.
    """
    named = rows.select("instrument", "ex_date").rows()
    names = [one if ":" in one else f"{EXCHANGE}:{lineage.name(one, day)}" for one, day in named]
    symbols = [lineage.symbol(name.split(":")[1], day) for name, (_, day) in zip(names, named, strict=True)]
    factor = pl.format("factor {}", pl.col("factor").cast(pl.String).fill_null("withdrawn"))
    parsed = rows.select(
        pl.Series("instrument_id", names, pl.String),
        pl.Series("symbol", symbols, pl.String),
        "ex_date",
        "reason",
        pl.col("instrument").alias("listed_symbol"),
        pl.col("factor").alias("price_factor"),
        pl.col("who").alias("detail"),
        series=pl.lit("EQ"),
        kind=pl.lit(DECISION),
        verdict=pl.lit(READ),
        company=pl.lit(None, pl.String),
        purpose=factor,
        **dict.fromkeys(("amount", "percent", "face_value"), pl.lit(None, pl.Float64)),
    )
    parts = [
        _stamp(part, ListOrigin(DECISIONS, sha256, read_at, (ex_date, ex_date)))
        for (ex_date,), part in parsed.partition_by("ex_date", as_dict=True, maintain_order=True).items()
    ]
    contract = contracts.load(ACTIONS)
    return contract.conform(pl.concat(parts)) if parts else pl.DataFrame(schema=contract.polars_schema)


def list_row(name: str, origin: ListOrigin) -> pl.DataFrame:
    """Return the row that records the coverage of a list; contract normalized_corporate_actions."""
    row = pl.DataFrame({"instrument_id": f"{EXCHANGE}:LIST:{origin.sha256[:16]}", "purpose": name}).with_columns(
        *(pl.lit("").alias(column) for column in ("symbol", "listed_symbol", "series", "detail")),
        *(pl.lit(None, pl.Float64).alias(column) for column in ("price_factor", "amount", "percent", "face_value")),
        ex_date=pl.lit(origin.covers[1]),
        kind=pl.lit(LISTED),
        reason=pl.lit(None, pl.String),
        company=pl.lit(None, pl.String),
        verdict=pl.lit(MOVES_NO_PRICE),
    )
    return contracts.load(ACTIONS).conform(_stamp(row, origin))


def as_known(rows: pl.DataFrame, as_of: datetime | None = None) -> pl.DataFrame:
    """Return the actions known at `as_of`, by default now: one row per instrument, ex-date and kind.

    For each ex-date, the newest list applies that covers it and was read by `as_of`; if no list was read by then, the
    newest of the lists that were read first. If a later list has a split, bonus, right or scheme at another ex-date, at
    most 60 days away, the ex-date was amended: the action no longer applies at the earlier date. Dividends are
    excluded, because the same amount may be paid twice.

    `known_at` becomes the time an action first appeared, with the same factor, in any list. If that was on the first
    day on which a list covered its ex-date, the action counts as known by the ex-date at the latest, because the
    exchange announces it before. So a list read today is usable for the past, and a late amendment is not known before
    it was made.

    A manual decision is known from its first reading; a withdrawn one is left out.
    """
    public, manual = rows.filter(pl.col("kind") != DECISION), rows.filter(pl.col("kind") == DECISION)
    if as_of is not None:
        manual = manual.filter(pl.col("known_at") <= as_of)
    decisions = manual.sort("known_at").unique(_KEY, keep="last", maintain_order=True).drop_nulls("price_factor")
    known = pl.concat([_listed_actions(public, as_of), decisions]).sort("ex_date", "instrument_id", "kind")
    return known if as_of is None else known.filter(pl.col("known_at") <= as_of)


def _listed_actions(rows: pl.DataFrame, as_of: datetime | None) -> pl.DataFrame:
    """Return the rows of the list that applies to each ex-date."""
    numbered = rows.with_columns(_read=pl.col("known_at"), _read_on=_india("known_at"), _made=made_on())
    origins = numbered.select("source_sha256", "_read", "_read_on", "_made", "covers_from", "covers_to").unique()
    covers = pl.col("covers_from") <= pl.col("ex_date"), pl.col("ex_date") <= pl.col("covers_to")
    covering = numbered.select("ex_date").unique().join_where(origins, *covers)
    covering = covering.with_columns(_first=pl.col("_read_on").min().over("ex_date"))
    read_by_then = pl.lit(True) if as_of is None else pl.col("_read") <= as_of  # noqa: FBT003 - an expression
    none_yet = ~read_by_then.any().over("ex_date")
    known = covering.filter(read_by_then | (none_yet & (pl.col("_read_on") == pl.col("_first"))))
    ordered = known.sort("_made", "_read", "covers_from", "source_sha256")
    chosen = ordered.group_by("ex_date").agg(pl.col("source_sha256", "_read", "_first").last())
    first = pl.col("known_at").min().over([*_KEY, "price_factor"])
    announced = pl.min_horizontal(first, session_start_expr(pl.col("ex_date")))
    known_at = pl.when(_india("known_at") == pl.col("_first")).then(announced).otherwise("known_at")
    since = numbered.join(chosen.select("ex_date", "_first"), on="ex_date", maintain_order="left")
    since = since.with_columns(known_at=first).with_columns(known_at=known_at)
    applicable = since.join(chosen.drop("_first"), on=["ex_date", "source_sha256", "_read"], how="semi")
    return _without_amended(applicable.filter(pl.col("kind") != LISTED)).select(rows.columns)


def _without_amended(listed: pl.DataFrame) -> pl.DataFrame:
    """Remove actions whose ex-date a later list amends, even if that list does not cover the earlier ex-date."""
    once = listed.filter(pl.col("kind").is_in(NON_DIVIDENDS))
    same = ["instrument_id", "kind", "detail"]
    pairs = once.join(once.select(*same, "ex_date", "_made", "_read"), on=same, suffix="_later")
    days = (pl.col("ex_date_later") - pl.col("ex_date")).abs()
    made, read = pl.col("_made"), pl.col("_read")
    is_later = (made < pl.col("_made_later")) | (made == pl.col("_made_later")) & (read < pl.col("_read_later"))
    amended = pairs.filter(days > timedelta(0), days <= _AMENDED_WITHIN, is_later)
    return listed.join(amended, on=_KEY, how="anti", maintain_order="left")


def _india(moment: str) -> pl.Expr:
    return pl.col(moment).dt.convert_time_zone(INDIA.key).dt.date()


def _one_per_kind(parsed: pl.DataFrame) -> pl.DataFrame:
    """Join the rows of one instrument, ex-date and kind: amounts add up, factors must agree, the worst verdict counts.

    A row that moves no price is ignored if another row of its kind moves it, as a bonus of debentures beside a bonus of
    shares; a text without a quantity is ignored if another text has a quantity.
    """
    moves = (pl.col("verdict") != MOVES_NO_PRICE).any().over(_KEY)
    label = pl.when(kind="dividend").then(pl.col("detail").str.replace(r" [^ ]*\d[^ ]*$", "")).otherwise(pl.lit(""))
    stated = (pl.col("verdict") == READ).any().over([*_KEY, label.alias("_label")])
    relevant = parsed.filter(
        (~moves | (pl.col("verdict") != MOVES_NO_PRICE))
        & ~(stated & pl.col("reason").is_in(WITHOUT_QUANTITY).fill_null(value=False))
    )
    distinct = relevant.unique([*_KEY, "detail", "amount", "verdict"], keep="first", maintain_order=True)
    one, adds = pl.col("detail").len() == 1, pl.col("kind").is_in(["dividend"])
    same = one | ((pl.col("price_factor").n_unique() == 1) & pl.col("price_factor").is_not_null().all())
    unclear = (pl.col("verdict") == NOT_UNDERSTOOD).any()
    rated = pl.col("price_factor").is_not_null().any() | (pl.col("kind").first() == "rights")
    differs = ~same & ~adds.first() & rated
    verdict = pl.when(unclear | differs).then(pl.lit(NOT_UNDERSTOOD)).otherwise(pl.col("verdict").first())
    why = pl.col("reason").filter(pl.col("verdict") == NOT_UNDERSTOOD).first()
    disagree = pl.lit("rows of one ex-date disagree")
    return distinct.group_by(_KEY, maintain_order=True).agg(
        pl.col("symbol", "listed_symbol", "series", "face_value", "company").first(),
        price_factor=pl.when(same & ~unclear).then(pl.col("price_factor").first()),
        amount=pl.when(pl.col("amount").count() > 0).then(pl.col("amount").sum()),
        percent=pl.when(pl.col("percent").count() > 0).then(pl.col("percent").sum()),
        detail=pl.col("detail").str.join(" | "),
        reason=pl.when(differs).then(disagree).otherwise(pl.coalesce(why, pl.col("reason").first())),
        purpose=pl.col("purpose").unique(maintain_order=True).str.join(" | "),
        verdict=verdict,
    )


def _stamp(actions: pl.DataFrame, origin: ListOrigin) -> pl.DataFrame:
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
