"""Labels: the returns that follow a session. No other module looks ahead."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import polars as pl

from champion.errors import UsageError
from champion.indicators.bars import check_bars

__all__ = ["Returns", "average_uniqueness", "forward_return"]
__dir__ = __all__.copy

Returns: TypeAlias = Literal["price", "total"]
"""What a return counts: the change of the price, or the dividends too."""


def forward_return(bars: pl.DataFrame, horizon: int, lag: int = 0, gaps: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the forward return of each bar: instrument_id, trade_date, forward_return, label_end, exit_date.

    For a bar of session t, forward_return is close[t + lag + horizon] / close[t + lag] - 1, a decimal. Sessions are
    all trade dates in `bars`. label_end is session t + lag + horizon, when the label becomes known; it is null where
    the bars end earlier. With lag 0 the entry is the last close that the features use; with lag 1 it is the next close,
    at which an order can still be filled. Bars that are adjusted for dividends too give total returns.

    A share without a trade on label_end (suspended, delisted or illiquid) is valued at its last close since entry, and
    exit_date is the session of that close; otherwise exit_date is label_end. Dropping such labels would be a look-ahead
    bias. Nothing later than label_end is used, so a loss between the last trade and a delisting, which the exchange
    does not publish, is not included. A share without a trade on the session of entry cannot be bought: forward_return
    and exit_date are null, as they are where label_end is null.

    `gaps` (instrument_id, session) are price gaps that no corporate action explains, such as an unadjusted split. A
    label that starts before such a session and ends on it or later has a null forward_return and exit_date, and the
    additional column across_gap is true.

    Sorted by instrument_id and trade_date.

    Raises:
        UsageError: `horizon` is below 1 or `lag` below 0.
        ContractError: `check_bars` rejects the bars.

    >>> from datetime import date
    >>> days = [date(2024, 1, day) for day in (1, 2, 3)]
    >>> bars = pl.DataFrame({
    ...     "instrument_id": ["A", "A", "A", "B", "B"],
    ...     "trade_date": [*days, *days[:2]],
    ...     "close": [100.0, 125.0, 150.0, 8.0, 6.0],
    ... })
    >>> labels = forward_return(bars, 2)  # B has no bar on the third: its exit is the close of the second
    >>> labels.filter(trade_date=days[0])["forward_return"].to_list()
    [0.5, -0.25]
    """
    if horizon < 1 or lag < 0:
        raise UsageError(f"a label needs horizon >= 1 and lag >= 0 sessions, got horizon {horizon} and lag {lag}")
    check_bars(bars, ("instrument_id", "trade_date", "close"))
    calendar = bars.select(pl.col("trade_date").unique().sort()).with_row_index("_session")
    known = bars.select("instrument_id", "trade_date", "close").join(calendar, on="trade_date").sort("_session")
    entry, end = pl.col("_session") + lag, pl.col("_session") + lag + horizon
    entries = known.select("instrument_id", _entry="_session", _entered="close")
    exits = known.select("instrument_id", _end="_session", _left="close", exit_date="trade_date")
    is_known = pl.col("label_end").is_not_null() & pl.col("_entered").is_not_null()
    labels = (
        known.with_columns(_entry=entry, _end=end)
        .join(entries, on=["instrument_id", "_entry"], how="left", maintain_order="left")
        .join_asof(exits, on="_end", by="instrument_id", check_sortedness=False)  # both are sorted by session
        .join(calendar.select(_end="_session", label_end="trade_date"), on="_end", how="left")
        .select(
            "instrument_id",
            "trade_date",
            pl.when(is_known).then(pl.col("_left") / pl.col("_entered") - 1).alias("forward_return"),
            "label_end",
            pl.when(is_known).then("exit_date").alias("exit_date"),
            "_entry",
            "_end",
        )
        .sort("instrument_id", "trade_date")
    )
    return labels.drop("_entry", "_end") if gaps is None else _without_gaps(labels, gaps, calendar)


def _without_gaps(labels: pl.DataFrame, gaps: pl.DataFrame, calendar: pl.DataFrame) -> pl.DataFrame:
    """Set the labels that span a gap to null; `_entry` and `_end` are session numbers."""
    named = gaps.select("instrument_id", trade_date="session").unique().sort("trade_date")
    # A gap on a date without a session counts on the next session.
    numbered = named.join_asof(calendar.sort("trade_date"), on="trade_date", strategy="forward").drop_nulls("_session")
    last = numbered.select("instrument_id", _end="_session", _gap="_session").sort("_end")
    by_end = labels.with_row_index("_row").sort("_end")
    joined = by_end.join_asof(last, on="_end", by="instrument_id", check_sortedness=False).sort("_row")
    across = (pl.col("_gap") > pl.col("_entry")).fill_null(value=False) & pl.col("label_end").is_not_null()
    kept = pl.when(~across).then(pl.col("forward_return", "exit_date"))
    return joined.with_columns(kept, across_gap=across).drop("_row", "_entry", "_end", "_gap")


def average_uniqueness(labels: pl.DataFrame) -> pl.Series:
    """Return the average uniqueness of each row's label, in row order: a sample weight above 0 and at most 1.

    A label spans the sessions after trade_date up to label_end. Its weight is the mean over these sessions of one over
    the number of the instrument's labels that span the session. Sessions are the dates in either column. Only dates are
    used, no outcome. Columns: instrument_id, trade_date, label_end, none null. Source: M. Lopez de Prado, Advances in
    Financial Machine Learning (2018), chapter 4.

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
    concurrent = np.cumsum(np.bincount(first, minlength=size) - np.bincount(last, minlength=size))
    shares = np.divide(1.0, concurrent, out=np.zeros(size), where=concurrent > 0)
    total = np.concatenate([[0.0], np.cumsum(shares)])
    return pl.Series("weight", (total[last] - total[first]) / (last - first))
