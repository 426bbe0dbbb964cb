"""Adjust bars for splits, bonuses, consolidations and other corporate actions. Pure: frames in, frames out.

Prices before an ex-date are divided by the action's price factor, and volumes multiplied by its volume factor; turnover
stays. Dividends count for total returns only.

There are three scales. `adjust` expresses all bars in the scale of the last session. `views` expresses, for each
session, the bars up to it in the scale of that session, so values computed from a view do not change with a later
split; `rescale` converts them to the scale of adjusted bars. `chained` expresses closes in the scale before the first
action: a later one changes no bit of an earlier close, where `adjust` rounds it again.

>>> from datetime import UTC
>>> bars = pl.DataFrame({
...     "instrument_id": "NSE:A",
...     "trade_date": [date(2024, 1, 15), date(2024, 1, 16)],
...     "close": [100.0, 51.0],
...     "volume": [10, 30],
... })
>>> split = {"instrument_id": "NSE:A", "ex_date": date(2024, 1, 16), "kind": "split", "price_factor": 2.0}
>>> factors = pl.DataFrame([split | {"volume_factor": 2.0, "known_at": datetime(2024, 1, 10, tzinfo=UTC)}])
>>> adjusted = adjust(bars, factors)
>>> adjusted.select("close", "volume", "adjustment_factor").rows()
[(50.0, 20, 2.0), (51.0, 30, 1.0)]
>>> seen, whose = views(bars, factors, since=date(2024, 1, 15))
>>> seen["close"].to_list()
[50.0, 51.0, 100.0]
>>> whose["view"].to_list()
['NSE:A', 'NSE:A before 2024-01-16']
>>> averages = pl.DataFrame({"instrument_id": "NSE:A", "trade_date": bars["trade_date"], "sma_5": [98.0, 50.0]})
>>> rescale(averages, adjusted, {"sma_5": "rupee"})["sma_5"].to_list()
[49.0, 50.0]
>>> chained(bars, factors)["close"].to_list()
[100.0, 102.0]
>>> effective_factors(factors, as_of=datetime(2024, 1, 5, tzinfo=UTC)).height
0
"""

from collections.abc import Mapping
from datetime import date, datetime

import polars as pl

PRICES = ("open", "high", "low", "close", "last_price", "settlement_price", "prev_close")
DIVIDEND = "dividend"
_STAMPS = ("adjustment_factor", "adjustment_date", "volume_factor")
_DECIMALS = 4  # of a rupee: features count prices in units of 1/10,000
_ID = "instrument_id"


def adjust(
    bars: pl.DataFrame,
    factors: pl.DataFrame,
    as_of: datetime | None = None,
    *,
    total_return: bool = False,
    until: date | None = None,
) -> pl.DataFrame:
    """Return the bars in the scale of `until`, by default their last session; rows and columns stay in order.

    Columns of `PRICES` and `volume` are adjusted if present. Prices are rounded to 1/10,000 rupee, volumes to whole
    shares. Nulls and bars without a later action stay unchanged. `prev_close` is a price of the instrument's previous
    bar and has the factor of that bar (of the day before, if that bar is missing). `adjustment_factor` is the divisor
    of the prices, `volume_factor` the multiplier of the volume, `adjustment_date` the latest ex-date whose action is
    included.

    `factors` has instrument_id, ex_date, kind, price_factor, volume_factor and known_at. Rows without a factor, after
    the last bar, or not known at `as_of` have no effect. Factors of one ex-date are multiplied. With `total_return`
    prices are adjusted for dividends too, so that their changes are total returns.
    """
    last = pl.lit(until or bars["trade_date"].max(), pl.Date)
    known = effective_factors(factors, as_of, total_return=total_return).filter(pl.col("ex_date") <= last)
    # Per instrument and ex-date, the products of its factors and all later ones, and the latest ex-date.
    latest_first = known.sort(_ID, "ex_date", "price_factor", "volume_factor", descending=[False, True, False, False])
    products = latest_first.select(
        *(_ID, "ex_date"),
        _factor=pl.col("price_factor").cum_prod().over(_ID),
        _volume=pl.col("volume_factor").cum_prod().over(_ID),
        _latest=pl.col("ex_date").max().over(_ID),
    )
    products = products.unique([_ID, "ex_date"], keep="last", maintain_order=True).sort("ex_date")
    numbered = bars.with_row_index("_row").sort("trade_date")
    before = pl.col("trade_date").shift(1).over(_ID).fill_null(pl.col("trade_date").dt.offset_by("-1d"))
    numbered = _join_products(numbered.with_columns(_before=before), products, "trade_date", "")
    numbered = _join_products(numbered, products, "_before", "_before")
    columns = {*bars.columns}
    values = {}
    for name in PRICES:  # unchanged, and not rounded, where the factor is null or 1
        factor = pl.col("_factor_before" if name == "prev_close" else "_factor")
        values[name] = pl.when(factor != 1.0).then((pl.col(name) / factor).round(_DECIMALS)).otherwise(name)
    volume = (pl.col("volume") * pl.col("_volume")).round().cast(pl.Int64)
    values["volume"] = pl.when(pl.col("_volume") != 1.0).then(volume).otherwise("volume")
    adjusted = numbered.sort("_row").with_columns(
        **{name: value for name, value in values.items() if name in columns},
        adjustment_factor=pl.col("_factor").fill_null(1.0),
        adjustment_date="_latest",
        volume_factor=pl.col("_volume").fill_null(1.0),
    )
    return adjusted.select(*bars.columns, *(name for name in _STAMPS if name not in columns))


def chained(bars: pl.DataFrame, factors: pl.DataFrame, *, total_return: bool = False) -> pl.DataFrame:
    """Return the bars with each close times the price factors of the ex-dates up to its session, in their order.

    The changes of these closes are returns, and total returns with `total_return`. Neither a later bar nor a later
    action changes a value, not even its last bit: ranks of returns, where equal values decide, are those that were
    known on the session. `factors` is as in `adjust`; closes are not rounded.
    """
    known = effective_factors(factors, total_return=total_return).sort(_ID, "ex_date", "price_factor")
    products = known.select(_ID, "ex_date", _factor=pl.col("price_factor").cum_prod().over(_ID))
    products = products.unique([_ID, "ex_date"], keep="last", maintain_order=True).sort("ex_date")
    numbered = bars.with_row_index("_row").sort("trade_date")
    joined = numbered.join_asof(
        products, left_on="trade_date", right_on="ex_date", by=_ID, strategy="backward", coalesce=False,
        check_sortedness=False,
    )  # fmt: skip
    scaled = joined.sort("_row").with_columns(close=pl.col("close") * pl.col("_factor").fill_null(1.0))
    return scaled.select(bars.columns)


def effective_factors(
    factors: pl.DataFrame, as_of: datetime | None = None, *, total_return: bool = False
) -> pl.DataFrame:
    """Return the factors that are not null and were known at `as_of`; dividend factors only for total returns."""
    chosen = factors.filter(pl.col("price_factor").is_not_null() & (total_return | (pl.col("kind") != DIVIDEND)))
    return chosen if as_of is None else chosen.filter(pl.col("known_at") <= as_of)


def views(
    bars: pl.DataFrame, factors: pl.DataFrame, since: date, until: date | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return adjusted bars in the scale of each session from `since` to `until`, and the key of these views.

    `until` is by default the last session of the bars; pass it if the bars of some instruments end earlier.

    An instrument with actions on n ex-dates after `since` has n + 1 views. Each has the bars before the next ex-date in
    their scale, under its own instrument_id. The second frame has, per view, that id as `view`, the instrument_id, and
    the sessions [view_from, view_to) whose scale it is.
    """
    last = until or (bars["trade_date"].max() if bars.height else since)
    instruments = bars.select(_ID).unique()
    later = effective_factors(factors).filter(pl.col("ex_date").is_between(since, last, closed="right"))
    ex_dates = later.join(instruments, on=_ID, how="semi").select(_ID, view_to="ex_date").unique().sort(_ID, "view_to")
    since_cut = pl.col("view_to").shift(1).over(_ID).fill_null(date.min)
    cuts = ex_dates.with_columns(view_from=since_cut, view=pl.format("{} before {}", _ID, "view_to"))
    last_cut = cuts.group_by(_ID).agg(view_from=pl.col("view_to").max())
    current = instruments.join(last_cut, on=_ID, how="left")
    since_last = pl.col("view_from").fill_null(date.min)
    current = current.select(pl.col(_ID).alias("view"), _ID, since_last, view_to=pl.lit(date.max))
    seen = [bars, *_rows_before(cuts, bars, "trade_date")]
    adjusted = adjust(pl.concat(seen), pl.concat([factors, *_rows_before(cuts, factors, "ex_date")]), until=until)
    return adjusted, pl.concat([current, cuts.select(current.columns)])


def rescale(frame: pl.DataFrame, bars: pl.DataFrame, units: Mapping[str, str | None]) -> pl.DataFrame:
    """Convert `frame` from the scale of each of its sessions to the scale of the adjusted `bars`.

    `units` has the unit of each column: rupee is divided by the bar's adjustment_factor, share is multiplied by its
    volume_factor, other columns stay. A row without a bar has null in these columns.
    """
    factors = bars.select(_ID, "trade_date", _factor="adjustment_factor", _volume="volume_factor")
    joined = frame.join(factors, on=[_ID, "trade_date"], how="left", maintain_order="left")
    scaled = []
    for name, dtype in frame.schema.items():
        if (unit := units.get(name)) in {"rupee", "share"}:
            moved = pl.col(name) / pl.col("_factor") if unit == "rupee" else pl.col(name) * pl.col("_volume")
            scaled.append((moved.round().cast(dtype) if dtype.is_integer() else moved).alias(name))
    return joined.with_columns(scaled).drop("_factor", "_volume")


def _join_products(bars: pl.DataFrame, products: pl.DataFrame, session: str, suffix: str) -> pl.DataFrame:
    """Add the product of the factors after `session` and the latest of their ex-dates; null if there are none."""
    names = {name: f"{name}{suffix}" for name in ("_factor", "_volume", "_latest")}
    later = products.rename({"ex_date": session, **names})
    return bars.sort(session).join_asof(
        later, on=session, by=_ID, strategy="forward", allow_exact_matches=False, check_sortedness=False
    )


def _rows_before(cuts: pl.DataFrame, rows: pl.DataFrame, session: str) -> list[pl.DataFrame]:
    """Return the rows before each cut, under the id of the cut's view; empty without a cut."""
    if cuts.is_empty():
        return []
    copies = rows.join(cuts.select(_ID, "view", "view_to"), on=_ID).filter(pl.col(session) < pl.col("view_to"))
    return [copies.with_columns(pl.col("view").alias(_ID)).select(rows.columns)]
