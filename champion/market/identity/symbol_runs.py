"""Find runs of bars: the first and last session of a symbol under one ISIN. Frames in, frames out.

Only a valid ISIN is evidence (`champion.market.identity.isin`). A bar without one gets the ISIN of the next bars of its
symbol, else of the previous ones, unless a long gap is in between.
"""

from datetime import timedelta

import polars as pl

from champion.market.identity.isin import is_valid

LONG_GAP = timedelta(days=180)
"""After a longer gap, a symbol may belong to another company."""
RUNS = {
    "symbol": pl.String(), "isin": pl.String(), "first": pl.Date(), "last": pl.Date(), "sessions": pl.UInt32(),
    "prev_close": pl.Float64(), "close": pl.Float64(),
}  # fmt: skip
_PRICES = ("prev_close", "close")
_MONTH = pl.col("session").dt.truncate("1mo")


def listings(rows: pl.LazyFrame) -> pl.DataFrame:
    """Return the runs in order: symbol, isin, first, last, sessions, prev_close, close.

    `rows` has symbol, isin and session, and if known prev_close and close in rupees, in any order. A run ends when its
    symbol gets another ISIN, its ISIN another symbol, or, without an ISIN, before a long gap. `prev_close` is that of
    its first bar, `close` that of its last one; both are null if the rows have no prices.

    >>> from datetime import date
    >>> found = {"symbol": ["A", "B"], "isin": ["INE002A01018", "DUMMY"], "session": [date(2024, 1, 2)] * 2}
    >>> listings(pl.LazyFrame(found)).select("symbol", "isin", "sessions").rows()
    [('A', 'INE002A01018', 1), ('B', None, 1)]
    """
    held = rows.collect_schema().names()
    typed = rows.select(
        "symbol",
        "isin",
        "session",
        *(pl.col(name).cast(pl.Float64) if name in held else pl.lit(None, pl.Float64).alias(name) for name in _PRICES),
    )
    groups = _split_overlaps(typed, _spans(typed, _MONTH))
    apart = (pl.col("first") - pl.col("last").shift(1) > LONG_GAP).fill_null(value=False).cum_sum().over("symbol")
    isin = pl.col("isin").backward_fill().forward_fill().over("symbol", "_stretch")
    runs = _runs(groups.with_columns(_stretch=apart).with_columns(isin))
    # The previous close of each run's first bar, and the close of its last one.
    ends = pl.concat([runs.select("symbol", session=name) for name in ("first", "last")]).unique()
    bars = typed.join(ends.lazy(), on=["symbol", "session"], how="semi")
    prices = bars.group_by("symbol", "session").agg(pl.col(_PRICES).max()).collect()
    for end, price in (("first", "prev_close"), ("last", "close")):
        known = prices.select("symbol", price, pl.col("session").alias(end))
        runs = runs.join(known, on=["symbol", end], how="left", maintain_order="left")
    return runs.select(list(RUNS))


def invalid(rows: pl.LazyFrame) -> pl.DataFrame:
    """Return the invalid ISINs, except null: symbol, isin, session of the first bar.

    >>> from datetime import date
    >>> found = {"symbol": ["A", "B"], "isin": ["INE002A01018", "DUMMY"], "session": [date(2024, 1, 2)] * 2}
    >>> invalid(pl.LazyFrame(found)).select("symbol", "isin").rows()
    [('B', 'DUMMY')]
    """
    known = rows.select(pl.col("isin").drop_nulls().unique()).collect()["isin"]
    wrong = [isin for isin in known if not is_valid(isin)]
    found = rows.filter(pl.col("isin").is_in(wrong)).group_by("symbol", "isin").agg(pl.col("session").min())
    return found.sort("session", "symbol", "isin").collect()


def _spans(rows: pl.LazyFrame, stretch: pl.Expr) -> pl.DataFrame:
    """Return the first and last bar by symbol, ISIN and stretch of time, because a lake has too many bars to sort."""
    span = {"first": pl.col("session").min(), "last": pl.col("session").max(), "sessions": pl.len()}
    found = rows.group_by("symbol", "isin", stretch.alias("_stretch")).agg(**span).collect()
    wrong = [isin for isin in found["isin"].unique().drop_nulls() if not is_valid(isin)]
    known = pl.when(pl.col("isin").is_in(wrong)).then(None).otherwise("isin").alias("isin")
    return found.with_columns(known).sort("symbol", "first", "last", "isin", nulls_last=True)


def _split_overlaps(rows: pl.LazyFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """Return the groups, by session instead of month if they overlap others: a mistyped ISIN, or a shared one."""
    valid = groups.drop_nulls("isin")
    found = []
    for key in ("symbol", "isin"):
        ordered = valid.sort(key, "first", "last")
        overlap = pl.col("first") <= pl.col("last").shift(1).cum_max().over(key)
        month = ordered.filter(overlap).select(key, "_stretch").unique()
        found.append(valid.join(month, on=[key, "_stretch"], how="semi").select("symbol", "_stretch"))
    mixed = pl.concat(found).unique()
    if mixed.is_empty():
        return groups
    few = rows.filter(pl.col("symbol").is_in(mixed["symbol"].unique().to_list())).with_columns(_stretch=_MONTH)
    by_session = _spans(few.join(mixed.lazy(), on=["symbol", "_stretch"], how="semi"), pl.col("session"))
    apart = pl.concat([groups.join(mixed, on=["symbol", "_stretch"], how="anti"), by_session])
    return apart.sort("symbol", "first", "last", "isin", nulls_last=True)


def _runs(groups: pl.DataFrame) -> pl.DataFrame:
    """Join adjacent groups of a symbol with one ISIN, unless another symbol had that ISIN in between."""
    ordered = groups.sort("isin", "first", "last", "symbol", nulls_last=True).with_columns(
        _elsewhere=pl.col("isin").is_not_null()
        & (pl.col("symbol").shift(1).over("isin") != pl.col("symbol")).fill_null(value=False)
    )
    # Without an ISIN, a symbol may be another security after a long gap: a list may show that.
    returned = (pl.col("first") - pl.col("last").shift(1).over("symbol") > LONG_GAP).fill_null(value=False)
    another = pl.col("isin").ne_missing(pl.col("isin").shift(1).over("symbol")) | pl.col("_elsewhere")
    new = another | (pl.col("isin").is_null() & returned)
    by_symbol = ordered.sort("symbol", "first", "last", "isin", nulls_last=True)
    numbered = by_symbol.with_columns(_run=new.cum_sum().over("symbol"))
    sessions = pl.col("sessions").sum()
    runs = numbered.group_by("symbol", "_run", maintain_order=True).agg(
        pl.col("isin").first(), pl.col("first").min(), pl.col("last").max(), sessions.cast(pl.UInt32)
    )
    return runs.drop("_run").sort("first", "symbol", "last", "isin", nulls_last=True)
