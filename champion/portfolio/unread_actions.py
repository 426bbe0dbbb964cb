"""Corporate actions whose amount is not known, and those of them that moved the price.

The list of corporate actions gives some dividends without an amount, rights without a price, and bonuses of debentures
or preference shares. They have no factor, so an account books nothing for them. One rule says when this is wrong: the
open of the ex-date, after the other actions of that date and less the market's median gap, is away from the last
close by more than 1% and by more than three times the share's median gap. Such an action counts as undecided.
"""

from __future__ import annotations

import polars as pl

from champion.market.actions.action_text import NOT_IN_EQUITY
from champion.market.actions.adjustment_factors import DECISION, MIN_SHARES, OPEN, SMALLEST_GAP, USUAL_GAPS

_KEY = ["instrument_id", "ex_date"]


def unread_actions(factors: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Return instrument_id, session, kind, purpose and moved of each action of unknown amount with bars around it.

    `session` is the first with a bar from the ex-date on. `moved` is whether the price moved beyond what is explained.

    Args:
        factors: as `normalized_adjustment_factors`.
        bars: trade_date, instrument_id, open, close and prev_close, as traded.

    >>> from champion import contracts
    >>> factors = pl.DataFrame(schema=contracts.load("normalized_adjustment_factors").polars_schema)
    >>> unread_actions(factors, pl.DataFrame()).height
    0
    """
    unknown = pl.col("verdict").is_in(OPEN) | pl.col("reason").str.contains(NOT_IN_EQUITY, literal=True)
    found = factors.filter(pl.col("price_factor").is_null() & unknown & (pl.col("kind") != DECISION))
    if found.is_empty() or bars.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    own = bars.join(found.select("instrument_id").unique(), on="instrument_id", how="semi").sort("trade_date")
    known = pl.col("price_factor").is_not_null()
    measured = factors.filter(known & (pl.col("basis") == "ex_date_ratio"))  # such a factor has the whole gap
    found = found.join(measured, on=_KEY, how="anti")
    explained = factors.filter(known).group_by(_KEY).agg(_explained=pl.col("price_factor").product())
    last = own.select("instrument_id", _closed="trade_date", _held="close")
    placed = found.sort("ex_date").join_asof(
        last, left_on="ex_date", right_on="_closed", by="instrument_id", allow_exact_matches=False,
        check_sortedness=False,
    ).join_asof(
        own.select("instrument_id", session="trade_date", _open="open"), left_on="ex_date", right_on="session",
        by="instrument_id", strategy="forward", coalesce=False, check_sortedness=False,
    ).drop_nulls(["_held", "session"]).join(explained, on=_KEY, how="left")  # fmt: skip
    gap = pl.col("open") / pl.col("prev_close") - 1
    sessions = bars.filter(pl.col("trade_date").is_in(placed["session"].unique().implode()))
    market = sessions.group_by(session="trade_date").agg(_market=gap.median(), _shares=pl.len())
    past = own.select("instrument_id", "trade_date", _gap=gap.abs()).join(placed.select(*_KEY), on="instrument_id")
    usual = past.filter(pl.col("trade_date") < pl.col("ex_date")).group_by(_KEY).agg(_usual=pl.col("_gap").median())
    of_market = pl.when(pl.col("_shares") >= MIN_SHARES).then("_market").otherwise(0.0).fill_null(0.0)
    moved = pl.col("_open") * pl.col("_explained").fill_null(1.0) / pl.col("_held") - 1 - of_market
    limit = pl.max_horizontal(SMALLEST_GAP, USUAL_GAPS * pl.col("_usual").fill_null(0.0))
    joined = placed.join(market, on="session", how="left").join(usual.unique(_KEY), on=_KEY, how="left")
    return joined.with_columns(moved=moved.abs() > limit).select(list(_SCHEMA)).sort("session", "instrument_id", "kind")


_SCHEMA = {
    "instrument_id": pl.String(), "session": pl.Date(), "kind": pl.String(), "purpose": pl.String(),
    "moved": pl.Boolean(),
}  # fmt: skip
