"""Corporate actions and bars to factors: contract `normalized_adjustment_factors`.

1. Splits, bonuses and consolidations have their factor in the exchange's text; they alone change what a share is, so
   they alone move volumes.
2. Rights M:N at an issue price I, with a last close P: P over the theoretical price without the right,
   (N P + M I) / (N + M). The issue price is the premium and the face value of that time: the list has today's, which
   later splits have divided.
3. Demergers give no ratio: the factor is the last close over the first open of the ex-date, less what other actions of
   that date explain. Schemes of arrangement and capital reductions may take nothing: they get that ratio only where it
   lies beyond the exchange's widest daily price band, which no ordinary open can leave.
4. Dividends D: P / (P - D), for total returns only.
"""

from __future__ import annotations

import polars as pl

from champion import contracts
from champion.envelope import session_close_expr, stamp_list

FACTORS = "normalized_adjustment_factors"
VERSION = "1"  # raise it when the meaning of the output changes: committed factors are then made anew
PRICE_BAND = 0.20
BY_TEXT = ("split", "bonus", "consolidation")
DIVIDEND = "dividend"
_BY_RATIO = ("demerger", "scheme", "capital_reduction")
KINDS = (*BY_TEXT, "rights", *_BY_RATIO, DIVIDEND)
_ID = "instrument_id"


def factors(actions: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Return one row per action that can move a price: its factors, or the reason why there is none.

    `actions` are those believed now (`actions.as_known`), with list_date; `bars` are as traded, with instrument_id,
    trade_date, open and close. Actions that no bar stands before have no factor: there is nothing to adjust.
    """
    moving = actions.filter(pl.col("kind").is_in(KINDS)).sort("ex_date", _ID, "kind")
    priced = _priced(moving, bars).with_columns(_face_value(moving))
    judged = _by_ratio(priced.with_columns(_text_factor(), _issue_price()).with_columns(_theoretical()))
    known = pl.when(pl.col("basis") == "ex_date_ratio").then(session_close_expr(pl.col("_opened")))
    found = judged.with_columns(
        volume_factor=pl.when(pl.col("kind").is_in(BY_TEXT)).then("price_factor").otherwise(1.0),
        known_at=pl.max_horizontal("known_at", known),
        reason=pl.when(pl.col("price_factor").is_null()).then(_reason()),
    )
    return stamp_list(
        found,
        contracts.load(FACTORS),
        source=pl.col("source"),
        read_at=pl.col("ingest_time"),
        entity=_ID,
    )


def _priced(actions: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Add the last close before the ex-date, and the first open from it on with its session."""
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
    """Return the face value of each action's time: today's, times every later split of the face."""
    faces = actions.filter(pl.col("kind").is_in(["split", "consolidation"])).select(_ID, "ex_date", "price_factor")
    rows = actions.with_row_index("_row").select("_row", _ID, "ex_date")
    later = rows.join(faces, on=_ID, suffix="_later").filter(pl.col("ex_date_later") > pl.col("ex_date"))
    product = later.group_by("_row").agg(_later=pl.col("price_factor").product())
    grown = rows.join(product, on="_row", how="left", maintain_order="left")["_later"].fill_null(1.0)
    return (actions["face_value"] * grown).alias("_face_value")


def _text_factor() -> pl.Expr:
    return pl.when(pl.col("kind").is_in(BY_TEXT)).then("price_factor").alias("_text_factor")


def _issue_price() -> pl.Expr:
    return (pl.col("amount") + pl.col("_face_value")).alias("_issue_price")


def _theoretical() -> list[pl.Expr]:
    ratio = pl.col("detail").str.extract_groups(r"^(\d+):(\d+)$")
    new, held = ratio.struct[0].cast(pl.Float64), ratio.struct[1].cast(pl.Float64)
    close, issue = pl.col("prev_close"), pl.col("_issue_price")
    rights = (new + held) * close / (held * close + new * issue)
    dividend = close / (close - pl.col("amount"))
    value = pl.when(kind="rights").then(rights).when(kind=DIVIDEND).then(dividend)
    worth = pl.when(value.is_finite() & (value > 1)).then(value)
    return [
        pl.coalesce("_text_factor", worth).alias("price_factor"),
        pl.when(pl.col("kind").is_in(BY_TEXT))
        .then(pl.lit("text"))
        .when(pl.col("kind").is_in(_BY_RATIO))
        .then(pl.lit("ex_date_ratio"))
        .otherwise(pl.lit("theoretical"))
        .alias("basis"),
    ]


def _by_ratio(priced: pl.DataFrame) -> pl.DataFrame:
    explained = pl.when(pl.col("basis") != "ex_date_ratio").then("price_factor").product().over(_ID, "ex_date")
    first = pl.col("kind").is_in(_BY_RATIO).cum_sum().over(_ID, "ex_date") == 1  # one gap is explained once
    ratio = pl.col("prev_close") / pl.col("_open") / explained
    beyond = (ratio > 1 + PRICE_BAND) | (ratio < 1 - PRICE_BAND)
    moved = first & ((pl.col("kind") == "demerger") | beyond)
    found = pl.when(pl.col("basis") != "ex_date_ratio").then("price_factor").when(moved).then(ratio)
    return priced.with_columns(price_factor=found)


def _reason() -> pl.Expr:
    """Return why an action has no factor, the first that holds."""
    kind, text = pl.col("kind"), pl.col("reason")
    return (
        pl.when(kind.is_in(BY_TEXT))
        .then(pl.coalesce(text, pl.lit("the text gives no ratio")))
        .when(pl.col("prev_close").is_null())
        .then(pl.lit("no bar before the ex-date"))
        .when(kind.is_in(_BY_RATIO) & pl.col("_open").is_null())
        .then(pl.lit("no bar since the ex-date"))
        .when(kind.is_in(_BY_RATIO))
        .then(pl.lit("it opened within the daily price band, or another action of that date explains the gap"))
        .when(pl.col("amount").is_null())
        .then(pl.lit("the text gives no amount"))
        .when(kind == "rights")
        .then(pl.lit("no ratio or face value, or issued at the market's price or above: the right is worth nothing"))
        .otherwise(pl.lit("the amount is zero, or the whole price"))
    )
