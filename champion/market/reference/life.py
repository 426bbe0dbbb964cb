"""When an instrument was listed, when it last traded, and whether it still trades, as of a session.

An instrument without a bar on `QUIET` sessions of the market is no longer active. In the bars of 2019 to 2024, 784
shares and funds reached 40 sessions without a bar, and 446 of them (57%) never traded again; of the 949 that reached 30
sessions, 447 did not (47%). So 40 is the shortest round number after which an end is more likely than a return. An
instrument that returns is active again.

A share that goes on as another instrument (`champion.market.identity.continuation`) is neither delisted nor suspended:
its company trades on under another symbol and ISIN.

The exchange's list of shares says why others ended: a share that is still listed is suspended, one that the list no
longer has is delisted. The list has company shares of the main board alone, so of an SME share, a fund or a right it
says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import polars as pl

from champion.contracts.instrument_kinds import WINDOW
from champion.market.identity.continuation import CONTINUATIONS

__all__ = ["LISTED_SERIES", "QUIET", "STATUSES", "life"]
__dir__ = __all__.copy

QUIET: Final = 40
"""Sessions of the market without a bar after which an instrument is not active."""
LISTED_SERIES: Final = ("EQ", "BE", "BZ")
"""The series whose company shares the exchange's list of shares contains."""
STATUSES: Final = ("active", "continued", "suspended", "delisted", "inactive", "window")
"""`inactive` is an end of trading that no list explains; a `window` neither lists nor ends (see `window_of`)."""
_ID = "instrument_id"


def life(
    instruments: pl.DataFrame,
    sessions: Sequence[date],
    lists: pl.DataFrame | None = None,
    continued: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return the instruments with continued_as, listed_on, status, status_since and is_active, as of the last session.

    Args:
        instruments: instrument_id, series, instrument_kind, first_session and last_session, as of the same session.
        sessions: all sessions of the market up to the date of the question, in order.
        lists: instrument_id, list_date and listed_on of every list of shares read by then; None if there is none.
        continued: the shares that went on as another instrument by then, as `continuation.continuations` returns them.

    `status` is one of `STATUSES`. `continued_as` is the instrument as which a share goes on, null for all others; its
    status is `continued` from the first bar of the other one. `status_since` is the first session of the market without
    a bar of the instrument; null while it is active, and for a trading window. `listed_on` is the date of listing in
    the latest list that gives one, else null: the first session in the bars is no listing if the lake begins with it.
    Nothing after the last of `sessions` is used if `lists` and `continued` hold none.

    >>> days = [date(2024, 1, day) for day in range(1, 31)] + [date(2024, 2, day) for day in range(1, 29)]
    >>> share = {"series": "EQ", "instrument_kind": "equity", "first_session": days[0]}
    >>> shares = [{"instrument_id": "N:A", "last_session": days[9]}, {"instrument_id": "N:B", "last_session": days[-1]}]
    >>> life(pl.DataFrame([share | one for one in shares]), days).select("status", "status_since").rows()
    [('inactive', datetime.date(2024, 1, 11)), ('active', None)]
    """
    calendar = pl.DataFrame({"session": sessions}, schema={"session": pl.Date}).with_row_index("number")
    after = calendar.with_columns(next_session=pl.col("session").shift(-1))
    placed = instruments.join(after, left_on="last_session", right_on="session", how="left", maintain_order="left")
    idle = calendar.height - 1 - pl.col("number").cast(pl.Int64)
    chain = pl.DataFrame(schema=CONTINUATIONS) if continued is None else continued
    placed = placed.join(chain.select(_ID, "continued_as"), on=_ID, how="left", maintain_order="left")
    dated = placed.join(_listings(lists), on=_ID, how="left", maintain_order="left")
    newest = pl.lit(None if lists is None else lists["list_date"].max(), pl.Date)
    read_since = (newest > pl.col("last_session")).fill_null(value=False)
    covered = (pl.col("instrument_kind") == "equity") & pl.col("series").is_in(LISTED_SERIES)
    status = (
        pl.when(pl.col("instrument_kind") == WINDOW)
        .then(pl.lit("window"))
        .when(pl.col("continued_as").is_not_null())
        .then(pl.lit("continued"))
        .when(idle < QUIET)
        .then(pl.lit("active"))
        .when(read_since & (pl.col("_last_list") == newest))
        .then(pl.lit("suspended"))
        .when(read_since & (covered | pl.col("_last_list").is_not_null()))
        .then(pl.lit("delisted"))
        .otherwise(pl.lit("inactive"))
    )
    is_active, has_ended = pl.col("status") == "active", ~pl.col("status").is_in(["active", "window"])
    return dated.with_columns(status=status).select(
        *instruments.columns,
        "continued_as",
        "listed_on",
        "status",
        status_since=pl.when(has_ended).then("next_session"),
        is_active=is_active,
    )


def _listings(lists: pl.DataFrame | None) -> pl.DataFrame:
    """Return by instrument the newest list that has it, and the date of listing that it gives."""
    if lists is None:
        return pl.DataFrame(schema={_ID: pl.String, "_last_list": pl.Date, "listed_on": pl.Date})
    ordered = lists.sort("list_date")
    return ordered.group_by(_ID, maintain_order=True).agg(
        pl.col("list_date").max().alias("_last_list"), pl.col("listed_on").drop_nulls().last()
    )
