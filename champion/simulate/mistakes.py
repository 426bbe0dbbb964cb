"""Plant mistakes of an exchange in the bhavcopies of a simulated archive: rows to reject, and a price to question.

Real bhavcopies have such rows. They are rare: at most one in a session of more than a hundred rows, so that no gate
stops the session. The other files of the session are correct.
"""

import polars as pl

LOW_ABOVE_HIGH = (33, 12)
"""Sessions before the last one in which one row has a low above its high: ingest rejects the row."""
WILD_OPEN = (21,)
"""Sessions before the last one in which one row opens 40% above its close: the quality gates question it."""
FEWEST_ROWS = 101  # one rejected row is less than 1%, which is the gate's limit
_FACTOR = 1.4
_PLACES = {33: 5, 12: 17, 21: 11}  # of the instrument, by its code


def planted(rows: pl.DataFrame, left: int) -> pl.DataFrame:
    """Return a session's rows (`files.bars`) with its mistake, if it has one; `left` sessions follow it.

    >>> row = {"code": 1, "series": "EQ", "open": 99.0, "high": 102.0, "low": 98.0, "close": 100.0}
    >>> rows = pl.DataFrame([row | {"code": code} for code in range(120)])
    >>> planted(rows, left=12).filter(pl.col("low") > pl.col("high"))["code"].to_list()
    [17]
    >>> planted(rows, left=21).filter(pl.col("open") > 120)["high"].to_list()
    [140.0]
    >>> planted(rows, left=20).equals(rows)
    True
    """
    if left not in _PLACES or rows.height < FEWEST_ROWS:
        return rows
    code = rows.filter(series="EQ")["code"].sort()[_PLACES[left]]
    wrong = pl.col("code") == code
    if left in LOW_ABOVE_HIGH:
        changed = {"low": pl.col("high") + 1, "high": pl.col("low")}
    else:
        opened = (pl.col("close") * _FACTOR).round(0)
        changed = {"open": opened, "high": pl.max_horizontal("high", opened)}
    return rows.with_columns(**{name: pl.when(wrong).then(value).otherwise(name) for name, value in changed.items()})
