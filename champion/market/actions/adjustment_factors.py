"""Compute adjustment factors from corporate actions and bars: contract `normalized_adjustment_factors`.

1. The exchange's text gives the factor of splits, bonuses and consolidations. Only they change the number of shares, so
   only they change volumes.
2. Rights M:N at an issue price I, with a last close P: P over the theoretical ex-rights price (N P + M I) / (N + M).
   The issue price is the premium plus the face value at the ex-date. The list has the face value at its date, which
   is multiplied by the splits between the ex-date and that day.
3. Demergers have no ratio in the list: the factor is the last close over the first open of the ex-date, divided by the
   factors of other actions of that date. Schemes of arrangement and capital reductions may leave the price unchanged:
   they get that ratio only if it exceeds the exchange's widest daily price band, which no normal open exceeds. A gap
   within the band that neither the market's median nor the share's usual gaps explain is `undecided` and needs a manual
   decision.
4. Dividends D: P / (P - D), for total returns only. A dividend in per cent refers to the face value at the ex-date.
5. A manual decision is the whole factor of its ex-date, except dividends: it replaces all other actions.

An action that is not understood has no factor and explains no gap. Bonuses and rights in other securities than equity
shares have none either, as their value is not known. For both, `gap` is what is left of the open of the ex-date after
the other actions, the market's median gap and what is usual for the share: the price moved by an unknown amount. It is
measured here, over all shares of the lake, and nowhere else.
"""

import polars as pl

from champion import contracts
from champion.base.clock import INDIA
from champion.contracts.datasets import FACTORS
from champion.market.actions.action_text import MOVES_NO_PRICE, NOT_IN_EQUITY, NOT_UNDERSTOOD, READ
from champion.market.envelope import session_close_expr, stamp_list

VERSION = "4"  # raise it when the meaning of the output changes: committed factors are then rebuilt
PRICE_BAND = 0.20
BY_TEXT = ("split", "bonus", "consolidation")
DIVIDEND = "dividend"
DECISION = "decision"
"""The kind of a manual decision, and its basis."""
UNDECIDED, DECIDED, NO_BARS = "undecided", "decided", "no_bars"
OPEN = (NOT_UNDERSTOOD, UNDECIDED)
"""Verdicts that need a manual decision."""
OF_UNKNOWN_AMOUNT = pl.col("verdict").is_in(OPEN) | pl.col("reason").str.contains(NOT_IN_EQUITY, literal=True)
"""Whether an action without a factor may have moved the price by an amount that nothing states."""
_BY_RATIO = ("demerger", "scheme", "capital_reduction")
NON_DIVIDENDS = (*BY_TEXT, "rights", *_BY_RATIO)
KINDS = (*NON_DIVIDENDS, DIVIDEND)
SMALLEST_GAP = 0.01  # of the last close: a gap below it needs no explanation
USUAL_GAPS = 3.0  # times the median gap of the sessions before: a gap up to it is usual for the share
MIN_SHARES = 20  # for the median gap of a session to represent the market
_USUAL_SESSIONS = 60
_PERCENT = 100.0
_ID = "instrument_id"
_EX = [_ID, "ex_date"]


def factors(actions: pl.DataFrame, bars: pl.DataFrame, market: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return one row per action that can move a price: its factors, or the reason why it has none.

    `actions` are the current ones (`corporate_actions.as_known`), with list_date; `bars` are as traded, with
    instrument_id, trade_date, open and close; `market` has, per trade_date, `market_gap`: the median over all shares of
    open over previous close, minus 1, taken as 0 if unknown. Actions without an earlier bar have no factor, as there is
    nothing to adjust.
    """
    verdict = pl.col("verdict").fill_null(READ)
    chosen = pl.col("kind").is_in([*KINDS, DECISION]) | (verdict == NOT_UNDERSTOOD)
    moving = actions.with_columns(verdict=verdict).filter(chosen).sort("ex_date", _ID, "kind")
    priced = _with_prices(moving, bars).with_columns(_face_value(moving))
    stated = pl.col("kind").is_in([*BY_TEXT, DECISION]) & (pl.col("verdict") == READ)
    valued = priced.with_columns(
        _text_factor=pl.when(stated).then("price_factor"),
        _issue_price=pl.col("amount") + pl.col("_face_value"),
        _amount=_amount(),
    )
    judged = _with_gaps(_by_ratio(valued.with_columns(_theoretical())), bars, market)
    ruled = _apply_decisions(judged.with_columns(_verdict()).with_columns(reason=_reason()))
    traded = pl.col(_ID).is_in(bars[_ID].unique().implode())
    known = pl.when(pl.col("basis") == "ex_date_ratio").then(session_close_expr(pl.col("_opened")))
    found = ruled.with_columns(
        known_at=pl.max_horizontal("known_at", known),
        gap=pl.when(OF_UNKNOWN_AMOUNT).then("gap"),
        verdict=pl.when(traded).then("verdict").otherwise(pl.lit(NO_BARS)),
        reason=pl.when(pl.col("price_factor").is_null() | (pl.col("kind") == DECISION)).then("reason"),
    )
    source, read_at = pl.col("source"), pl.col("ingest_time")
    return stamp_list(found, contracts.load(FACTORS), source=source, read_at=read_at, entity=_ID)


def made_on() -> pl.Expr:
    """Return the date of a list's symbols and face values: the last it covers, or its download if that was earlier."""
    read_on = pl.col("ingest_time").dt.convert_time_zone(INDIA.key).dt.date()
    return pl.min_horizontal(read_on, "covers_to")


def _with_prices(actions: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Add the last close before the ex-date, and the first open on or after it with its session."""
    ordered = bars.select(_ID, "trade_date", "open", "close").sort("trade_date")
    before = ordered.select(_ID, pl.col("trade_date").alias("_closed"), pl.col("close").alias("prev_close"))
    after = ordered.select(_ID, pl.col("trade_date").alias("_opened"), pl.col("open").alias("_open"))
    joined = actions.join_asof(
        before, left_on="ex_date", right_on="_closed", by=_ID, allow_exact_matches=False, check_sortedness=False
    )
    return joined.join_asof(
        after, left_on="ex_date", right_on="_opened", by=_ID, strategy="forward", coalesce=False, check_sortedness=False
    )


def _face_value(actions: pl.DataFrame) -> pl.Series:
    """Return the face value at each ex-date: the list's, times all splits between ex-date and the list's day.

    Null if such a split is not understood.
    """
    faces = actions.filter(pl.col("kind").is_in(["split", "consolidation"])).select(*_EX, "price_factor")
    rows = actions.with_row_index("_row").select("_row", *_EX, _made=made_on())
    later = rows.join(faces, on=_ID, suffix="_later").filter(
        (pl.col("ex_date_later") > pl.col("ex_date")) & (pl.col("ex_date_later") <= pl.col("_made"))
    )
    all_known = pl.col("price_factor").is_not_null().all()
    growth = pl.when(all_known).then(pl.col("price_factor").product()).otherwise(float("nan"))
    product = later.group_by("_row").agg(_later=growth)
    grown = rows.join(product, on="_row", how="left", maintain_order="left")["_later"].fill_null(1.0).fill_nan(None)
    return (actions["face_value"] * grown).alias("_face_value")


def _amount() -> pl.Expr:
    """Return a dividend in rupees: the sum of its parts in rupees and in per cent; null if a part is unknown."""
    by_percent = pl.col("percent") / _PERCENT * pl.col("_face_value")
    return pl.when(pl.col("percent").is_null()).then("amount").otherwise(pl.col("amount").fill_null(0.0) + by_percent)


def _theoretical() -> list[pl.Expr]:
    """Return the factor from the text or from the theoretical price, and its basis."""
    ratio = pl.col("detail").str.extract_groups(r"^(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)$")
    new, held = ratio.struct[0].cast(pl.Float64), ratio.struct[1].cast(pl.Float64)
    close, issue = pl.col("prev_close"), pl.col("_issue_price")
    rights = (new + held) * close / (held * close + new * issue)
    dividend = close / (close - pl.col("_amount"))
    value = pl.when(kind="rights").then(rights).when(kind=DIVIDEND).then(dividend)
    worth = pl.when(value.is_finite() & (value > 1) & (pl.col("verdict") == READ)).then(value)
    basis = dict.fromkeys(_BY_RATIO, "ex_date_ratio") | dict.fromkeys(("rights", DIVIDEND), "theoretical")
    basis[DECISION] = "decision"
    return [
        pl.coalesce("_text_factor", worth).alias("price_factor"),
        pl.col("kind").replace_strict(basis, default="text", return_dtype=pl.String).alias("basis"),
    ]


def _by_ratio(priced: pl.DataFrame) -> pl.DataFrame:
    """Add the ratio of the ex-date if the kind uses it, and `gap`: the open's gap without that of other actions."""
    given = ~pl.col("basis").is_in(["ex_date_ratio", "decision"])
    explained = pl.when(given).then("price_factor").product().over(_EX)
    first = pl.col("kind").is_in(_BY_RATIO).cum_sum().over(_EX) == 1  # several actions share one gap
    ratio = pl.col("prev_close") / pl.col("_open") / explained
    beyond = (ratio > 1 + PRICE_BAND) | (ratio < 1 - PRICE_BAND)
    takes = pl.col("kind").is_in(_BY_RATIO) & (pl.col("verdict") == READ)
    moved = takes & first & ((pl.col("kind") == "demerger") | beyond)
    found = pl.when(moved).then(ratio).when(pl.col("basis") != "ex_date_ratio").then("price_factor")
    unexplained = pl.when(~moved.any().over(_EX)).then("gap")
    return priced.with_columns(price_factor=found, gap=1 / ratio - 1).with_columns(gap=unexplained)


def _with_gaps(judged: pl.DataFrame, bars: pl.DataFrame, market: pl.DataFrame | None) -> pl.DataFrame:
    """Subtract the market's gap from each gap; null if the rest is small, or usual for the share."""
    if market is None:
        market = pl.DataFrame(schema={"trade_date": pl.Date, "market_gap": pl.Float64})
    moves = market.select("trade_date", "market_gap")
    waiting = judged.filter(pl.col("price_factor").is_null() & pl.col("gap").is_not_null()).select(*_EX).unique()
    of_market = pl.col("market_gap").fill_null(0.0)
    shares = bars.join(waiting, on=_ID, how="semi").sort(_ID, "trade_date")
    opened = shares.join(moves, on="trade_date", how="left", maintain_order="left")
    gap = pl.col("open") / pl.col("close").shift(1).over(_ID) - 1 - of_market
    past = waiting.join(opened.select(_ID, "trade_date", _gap=gap), on=_ID)
    before = past.filter(pl.col("trade_date") < pl.col("ex_date")).sort("trade_date")
    usual_gap = pl.col("_gap").tail(_USUAL_SESSIONS).abs().median() * USUAL_GAPS
    usual = before.group_by(_EX).agg(_usual=usual_gap)
    left = pl.col("gap") - of_market
    limit = pl.max_horizontal(pl.lit(SMALLEST_GAP), pl.col("_usual").fill_null(0.0))
    compared = judged.join(moves, left_on="_opened", right_on="trade_date", how="left", maintain_order="left")
    compared = compared.join(usual, on=_EX, how="left", maintain_order="left")
    return compared.with_columns(gap=pl.when(left.abs() > limit).then(left))


def _verdict() -> pl.Expr:
    """Return the verdict on each action; see the contract."""
    kind, waits = pl.col("kind"), pl.col("price_factor").is_null() & (pl.col("verdict") == READ)
    unknown = kind.is_in([*_BY_RATIO]) & pl.col("gap").is_not_null()
    no_face = (kind == "rights") & pl.col("_issue_price").is_null() & pl.col("prev_close").is_not_null()
    no_amount = (kind == DIVIDEND) & pl.col("_amount").is_null()
    too_much = (kind == DIVIDEND) & (pl.col("_amount") >= pl.col("prev_close"))
    return (
        pl.when(waits & (unknown | no_face | no_amount | too_much))
        .then(pl.lit(UNDECIDED))
        .when(waits & pl.col("prev_close").is_not_null() & kind.is_in([*_BY_RATIO, "rights"]))
        .then(pl.lit(MOVES_NO_PRICE))
        .otherwise("verdict")
        .alias("verdict")
    )


def _reason() -> pl.Expr:
    """Return the first applicable reason why an action has no factor."""
    kind, text = pl.col("kind"), pl.col("reason")
    unexplained = "the text gives no ratio, and neither the market nor another action explains the gap of {}%"
    return (
        pl.when(kind == DECISION)
        .then(text)
        .when(pl.col("verdict") == NOT_UNDERSTOOD)
        .then(pl.format("not understood: {}", pl.coalesce(text, pl.lit("no known word"))))
        .when(kind.is_in(BY_TEXT) | (pl.col("verdict") == MOVES_NO_PRICE) & text.str.contains(NOT_IN_EQUITY))
        .then(pl.coalesce(text, pl.lit("the text gives no ratio")))
        .when(pl.col("prev_close").is_null())
        .then(pl.lit("no bar before the ex-date"))
        .when(kind.is_in(_BY_RATIO) & pl.col("_open").is_null())
        .then(pl.lit("no bar since the ex-date"))
        .when(kind.is_in(_BY_RATIO) & (pl.col("verdict") == UNDECIDED))
        .then(pl.format(unexplained, (pl.col("gap") * _PERCENT).round(1)))
        .when(kind.is_in(_BY_RATIO))
        .then(pl.lit("the market, the share's usual gaps or another action of that date explain the open"))
        .when((kind == "rights") & pl.col("_issue_price").is_null())
        .then(pl.lit("the face value of that time is not known"))
        .when(kind == "rights")
        .then(pl.lit("issued at the market's price or above: the right is worth nothing"))
        .when(pl.col("_amount").is_null())
        .then(pl.lit("the text gives no amount, or the face value of that time is not known"))
        .otherwise(pl.lit("the amount is zero, or the whole price"))
    )


def _apply_decisions(judged: pl.DataFrame) -> pl.DataFrame:
    """Let each decision replace all other actions of its ex-date except dividends, and add the volume factors."""
    is_decision, own = pl.col("kind") == DECISION, pl.col("kind").is_in(BY_TEXT)
    who = pl.when(is_decision).then("detail").max().over(_EX)
    shares = pl.when(own).then("price_factor").product().over(_EX)
    unread = (own & pl.col("price_factor").is_null() & (pl.col("verdict") == NOT_UNDERSTOOD)).any().over(_EX)
    of_decision = pl.when(unread).then("price_factor").otherwise(shares)
    volume = pl.when(is_decision).then(of_decision).when(own).then("price_factor").otherwise(1.0)
    replaced = is_decision.any().over(_EX) & ~is_decision & (pl.col("kind") != DIVIDEND)
    return judged.with_columns(volume_factor=volume).with_columns(
        pl.when(~replaced).then(pl.col("price_factor", "volume_factor")),
        verdict=pl.when(replaced).then(pl.lit(DECIDED)).otherwise("verdict"),
        reason=pl.when(replaced).then(pl.format("decided by {}", who)).otherwise("reason"),
    )
