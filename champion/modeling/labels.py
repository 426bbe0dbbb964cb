"""Labels: what happened after a session; the only place that looks ahead."""

from __future__ import annotations

import numpy as np
import polars as pl

from champion.errors import UsageError
from champion.indicators.bars import check_bars

__all__ = ["average_uniqueness", "forward_return"]
__dir__ = __all__.copy


def forward_return(bars: pl.DataFrame, horizon: int, lag: int = 0, gaps: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the simple return that followed each bar: instrument_id, trade_date, forward_return, label_end, exit_date.

    With t the bar's session, forward_return is close[t + lag + horizon] / close[t + lag] - 1, a decimal. Sessions are
    counted on the market's calendar, all trade dates in `bars`; label_end is the session t + lag + horizon, by when the
    label is known, null where the bars end sooner. A lag of 0 measures from the close the features know; a lag of 1
    enters at the next close, which a trader can reach.

    A share that is suspended, delisted or merely not traded when its label ends is valued as its holder's books value
    it then, at the last close since entry: exit_date, equal to label_end for all others. Leaving it out would drop
    labels for what came after their beginning. Nothing later than label_end is used, so a delisting's loss beyond the
    last trade, which the exchange's files do not tell, is not in it. A share that does not trade on the session of
    entry was not to be had: forward_return and exit_date are null, as they are where label_end is.

    `gaps` (instrument_id, session) are gaps that no corporate action explains: an unadjusted split is no return. A
    label that reaches from before such a session to it or beyond has neither forward_return nor exit_date, and the
    additional column across_gap is true.

    Sorted by instrument_id and trade_date. Raises UsageError unless horizon >= 1 and lag >= 0, ContractError for bars
    that `check_bars` refuses.

    >>> from datetime import date
    >>> days = [date(2024, 1, day) for day in (1, 2, 3)]
    >>> bars = pl.DataFrame({
    ...     "instrument_id": ["A", "A", "A", "B", "B"],
    ...     "trade_date": [*days, *days[:2]],
    ...     "close": [100.0, 125.0, 150.0, 8.0, 6.0],
    ... })
    >>> labels = forward_return(bars, 2)  # B is not traded on the third: its last close is that of the second
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
    over = pl.col("label_end").is_not_null() & pl.col("_entered").is_not_null()
    made = (
        known.with_columns(_entry=entry, _end=end)
        .join(entries, on=["instrument_id", "_entry"], how="left", maintain_order="left")
        .join_asof(exits, on="_end", by="instrument_id", check_sortedness=False)  # both are sorted by session
        .join(calendar.select(_end="_session", label_end="trade_date"), on="_end", how="left")
        .select(
            "instrument_id",
            "trade_date",
            pl.when(over).then(pl.col("_left") / pl.col("_entered") - 1).alias("forward_return"),
            "label_end",
            pl.when(over).then("exit_date").alias("exit_date"),
            "_entry",
            "_end",
        )
        .sort("instrument_id", "trade_date")
    )
    return made.drop("_entry", "_end") if gaps is None else _without_gaps(made, gaps, calendar)


def _without_gaps(labels: pl.DataFrame, gaps: pl.DataFrame, calendar: pl.DataFrame) -> pl.DataFrame:
    """Return the labels without those that reach across a gap; `_entry` and `_end` number their sessions."""
    named = gaps.select("instrument_id", trade_date="session").unique().sort("trade_date")
    # A gap on a date without a session lies in the next one.
    numbered = named.join_asof(calendar.sort("trade_date"), on="trade_date", strategy="forward").drop_nulls("_session")
    last = numbered.select("instrument_id", _end="_session", _gap="_session").sort("_end")
    found = (
        labels.with_row_index("_row")
        .sort("_end")
        .join_asof(last, on="_end", by="instrument_id", check_sortedness=False)
        .sort("_row")
    )
    across = (pl.col("_gap") > pl.col("_entry")).fill_null(value=False) & pl.col("label_end").is_not_null()
    kept = [pl.when(~across).then(name).alias(name) for name in ("forward_return", "exit_date")]
    return found.with_columns(*kept, across_gap=across).drop("_row", "_entry", "_end", "_gap")


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
