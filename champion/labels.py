"""Labels: what happened after a session; the only place that looks ahead."""

from __future__ import annotations

import numpy as np
import polars as pl

from champion.errors import UsageError
from champion.indicators.bars import check_bars


def forward_return(bars: pl.DataFrame, horizon: int, lag: int = 0) -> pl.DataFrame:
    """Return the simple return that followed each bar: instrument_id, trade_date, forward_return, label_end.

    With t the bar's session, forward_return is close[t + lag + horizon] / close[t + lag] - 1, a decimal. Sessions are
    counted on the market's calendar, all trade dates in `bars`: an instrument without a bar on either session gets
    null, never a stale or a later price. label_end is the session t + lag + horizon, by when the label is known; it is
    null, as the return is, where the bars end sooner. A lag of 0 measures from the close the features know; a lag of 1
    enters at the next close, which a trader can reach. Sorted by instrument_id and trade_date.

    Raises UsageError unless horizon >= 1 and lag >= 0, ContractError for bars that `check_bars` refuses.

    >>> from datetime import date
    >>> bars = pl.DataFrame({
    ...     "instrument_id": ["A", "A"],
    ...     "trade_date": [date(2024, 1, 1), date(2024, 1, 2)],
    ...     "close": [100.0, 125.0],
    ... })
    >>> forward_return(bars, 1)["forward_return"].to_list()
    [0.25, None]
    """
    if horizon < 1 or lag < 0:
        raise UsageError(f"a label needs horizon >= 1 and lag >= 0 sessions, got horizon {horizon} and lag {lag}")
    check_bars(bars, ("instrument_id", "trade_date", "close"))
    calendar = bars.select(pl.col("trade_date").unique().sort()).with_row_index("_session")
    known = bars.select("instrument_id", "trade_date", "close").join(calendar, on="trade_date")
    entry, end = pl.col("_session") + lag, pl.col("_session") + lag + horizon
    return (
        known.with_columns(_entry=entry, _end=end)
        .join(_closes(known, "_entry"), on=["instrument_id", "_entry"], how="left")
        .join(_closes(known, "_end"), on=["instrument_id", "_end"], how="left")
        .join(calendar.select(pl.col("_session").alias("_end"), label_end="trade_date"), on="_end", how="left")
        .select(
            "instrument_id",
            "trade_date",
            (pl.col("close_end") / pl.col("close_entry") - 1).alias("forward_return"),
            "label_end",
        )
        .sort("instrument_id", "trade_date")
    )


def _closes(known: pl.DataFrame, session: str) -> pl.DataFrame:
    """Return each instrument's close by session number, named for the role the session plays."""
    return known.select("instrument_id", pl.col("_session").alias(session), pl.col("close").alias(f"close{session}"))


def average_uniqueness(labels: pl.DataFrame) -> pl.Series:
    """Return one weight a row, in row order: how much of its label's span it does not share with other labels.

    Each session between trade_date (not included) and label_end is shared by all labels of the instrument that span it;
    the weight is the mean over the label's sessions of one over their number, above 0 and at most 1. Sessions are those
    that occur in either column. Only dates are used, no outcome. Columns: instrument_id, trade_date, label_end, none of
    them null. Source: M. Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 4.

    >>> from datetime import date
    >>> labels = pl.DataFrame({
    ...     "instrument_id": ["A", "A"],
    ...     "trade_date": [date(2024, 1, 1), date(2024, 1, 2)],
    ...     "label_end": [date(2024, 1, 3), date(2024, 1, 4)],
    ... })
    >>> average_uniqueness(labels).to_list()
    [0.75, 0.75]
    """
    calendar = pl.concat([labels["trade_date"], labels["label_end"]]).unique().sort().to_frame("_day")
    number = calendar.with_row_index("_number").with_columns(pl.col("_number").cast(pl.Int64))
    spans = (
        labels.select("instrument_id", "trade_date", "label_end")
        .join(number.rename({"_number": "_start"}), left_on="trade_date", right_on="_day", how="left")
        .join(number.rename({"_number": "_end"}), left_on="label_end", right_on="_day", how="left")
        .with_columns(_instrument=pl.col("instrument_id").rank("dense").cast(pl.Int64) - 1)
    )
    instruments, sessions = labels["instrument_id"].n_unique(), calendar.height
    row = spans["_instrument"].to_numpy() * (sessions + 1)
    first, last = row + spans["_start"].to_numpy() + 1, row + spans["_end"].to_numpy() + 1
    size = instruments * (sessions + 1) + 1
    alive = np.cumsum(np.bincount(first, minlength=size) - np.bincount(last, minlength=size))
    shares = np.divide(1.0, alive, out=np.zeros(size), where=alive > 0)
    total = np.concatenate([[0.0], np.cumsum(shares)])
    return pl.Series("weight", (total[last] - total[first]) / (last - first))
