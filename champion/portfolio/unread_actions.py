"""Corporate actions whose amount is not known, and those of them that moved the price.

The list of corporate actions gives some dividends without an amount, rights without a price, and bonuses of debentures
or preference shares. They have no factor, so an account books nothing for them. Whether this is wrong is measured with
the factors (`adjustment_factors`), over all shares of the lake: `gap` is what nothing explains of the open of the
ex-date. An action with a gap counts as undecided. So it does not depend on which instruments are scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from champion.market.actions.adjustment_factors import DECISION, OF_UNKNOWN_AMOUNT

_KEY = ["instrument_id", "ex_date"]
_COLUMNS = ["instrument_id", "session", "kind", "purpose", "moved"]


def unread_actions(factors: pl.DataFrame, sessions: Sequence[date]) -> pl.DataFrame:
    """Return instrument_id, session, kind, purpose and moved of each action of unknown amount of a traded share.

    `session` is the first from the ex-date on. `moved` is whether the price moved beyond what is explained. Actions
    before the first or after the last session, and those on the ex-date of another one whose factor was measured, and
    so has the whole gap, are left out.

    Args:
        factors: as `normalized_adjustment_factors`.
        sessions: those of the exchange, in order.

    >>> from champion import contracts
    >>> factors = pl.DataFrame(schema=contracts.load("normalized_adjustment_factors").polars_schema)
    >>> unread_actions(factors, [date(2024, 1, 1)]).columns
    ['instrument_id', 'session', 'kind', 'purpose', 'moved']
    """
    traded = pl.col("prev_close").is_not_null() & (pl.col("kind") != DECISION)
    found = factors.filter(pl.col("price_factor").is_null() & OF_UNKNOWN_AMOUNT & traded)
    measured = factors.filter(pl.col("price_factor").is_not_null() & (pl.col("basis") == "ex_date_ratio"))
    days = pl.DataFrame({"session": sessions}, schema={"session": pl.Date})
    inside = found.join(measured, on=_KEY, how="anti").filter(pl.col("ex_date") >= (sessions[0] if sessions else None))
    placed = inside.sort("ex_date").join_asof(days, left_on="ex_date", right_on="session", strategy="forward",
                                              coalesce=False)  # fmt: skip
    known = placed.drop_nulls("session").with_columns(moved=pl.col("gap").is_not_null())
    return known.select(_COLUMNS).sort("session", "instrument_id", "kind")
