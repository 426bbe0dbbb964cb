"""Bars as traded to bars that can be compared across splits, bonuses and consolidations. Pure: frames in, frames out.

Prices before an ex-date are divided by the action's price factor, volumes multiplied by its volume factor, turnover
left: rupees are rupees. Dividends count for total returns only.

Two scales matter. `adjust` expresses all bars in the rupees of the last one. `views` expresses, for each session, the
bars up to it in the rupees of that session: what is computed from a view never changes when a later split arrives, and
`rescale` brings it to the scale of adjusted bars.

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
>>> effective_factors(factors, as_of=datetime(2024, 1, 5, tzinfo=UTC)).height
0
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

import polars as pl

PRICES = ("open", "high", "low", "close", "last_price", "settlement_price", "prev_close")
DIVIDEND = "dividend"
_STAMPS = ("adjustment_factor", "adjustment_date", "volume_factor")
_DECIMALS = 4  # features count prices in units of 1/10,000 rupee
_ID = "instrument_id"


def adjust(
    bars: pl.DataFrame,
    factors: pl.DataFrame,
    as_of: datetime | None = None,
    *,
    total_return: bool = False,
    until: date | None = None,
) -> pl.DataFrame:
    """Return the bars in the scale of `until`, by default the last session among them; rows and columns stay in order.

    Columns of `PRICES` and `volume` are adjusted where they are present; prices are rounded to 1/10,000 rupee, volumes
    to whole shares; nulls stay null, bars without an action stay as they are. `prev_close` is a price of the
    instrument's bar before and takes that one's factor (of the day before, where that bar is not here).
    `adjustment_factor` is the divisor of the bar's prices, `volume_factor` what its volume was multiplied by,
    `adjustment_date` the latest ex-date in them.

    `factors` has instrument_id, ex_date, kind, price_factor, volume_factor and known_at; those without a factor, after
    the last bar, or not known at `as_of` change nothing. Several on one ex-date multiply. With `total_return` prices
    are adjusted for dividends too: their changes are what an owner earned.
    """
    last = pl.lit(until or bars["trade_date"].max(), pl.Date)
    known = effective_factors(factors, as_of, total_return=total_return).filter(pl.col("ex_date") <= last)
    products = _products(known)
    numbered = bars.with_row_index("_row").sort("trade_date")
    before = pl.col("trade_date").shift(1).over(_ID).fill_null(pl.col("trade_date").dt.offset_by("-1d"))
    numbered = _joined(numbered.with_columns(_before=before), products, "trade_date", "")
    numbered = _joined(numbered, products, "_before", "_before")
    prices = [_divided(name, "_factor_before" if name == "prev_close" else "_factor") for name in PRICES]
    volume = pl.when(_changes("_volume")).then((pl.col("volume") * pl.col("_volume")).round().cast(pl.Int64))
    columns = {*bars.columns}
    adjusted = numbered.sort("_row").with_columns(
        *(price for price in prices if price.meta.output_name() in columns),
        *([volume.otherwise("volume").alias("volume")] if "volume" in columns else []),
        adjustment_factor=pl.col("_factor").fill_null(1.0),
        adjustment_date="_latest",
        volume_factor=pl.col("_volume").fill_null(1.0),
    )
    return adjusted.select(*bars.columns, *(name for name in _STAMPS if name not in columns))


def effective_factors(
    factors: pl.DataFrame, as_of: datetime | None = None, *, total_return: bool = False
) -> pl.DataFrame:
    """Return the factors that count: there is one, it was known at `as_of`, and a dividend only for total returns."""
    chosen = factors.filter(pl.col("price_factor").is_not_null() & (total_return | (pl.col("kind") != DIVIDEND)))
    return chosen if as_of is None else chosen.filter(pl.col("known_at") <= as_of)


def views(
    bars: pl.DataFrame, factors: pl.DataFrame, since: date, until: date | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return adjusted bars as each session from `since` to `until` saw them, and whose they are.

    `until` is the last session among the bars, unless it is given: some instruments' bars alone may end before.

    An instrument with actions on n ex-dates after `since` comes n + 1 times, each time with the bars before the next
    ex-date in their own scale, under an instrument_id of its own. The second frame tells the rows apart: view (that
    id), instrument_id, and the sessions [view_from, view_to) that saw the bars so.
    """
    last = until or (bars["trade_date"].max() if bars.height else since)
    cuts = (
        effective_factors(factors)
        .filter(pl.col("ex_date").is_between(since, last, closed="right"))
        .join(bars.select(_ID).unique(), on=_ID, how="semi")
        .select(_ID, pl.col("ex_date").alias("view_to"))
        .unique()
        .sort(_ID, "view_to")
        .with_columns(view_from=pl.col("view_to").shift(1).over(_ID).fill_null(date.min))
        .with_columns(view=pl.format("{} before {}", _ID, "view_to"))
    )
    current = (
        bars.select(_ID)
        .unique()
        .join(cuts.group_by(_ID).agg(view_from=pl.col("view_to").max()), on=_ID, how="left")
        .select(pl.col(_ID).alias("view"), _ID, pl.col("view_from").fill_null(date.min), view_to=pl.lit(date.max))
    )
    seen = [bars, *_before_each(cuts, bars, "trade_date")]
    adjusted = adjust(pl.concat(seen), pl.concat([factors, *_before_each(cuts, factors, "ex_date")]), until=until)
    return adjusted, pl.concat([current, cuts.select(current.columns)])


def rescale(frame: pl.DataFrame, bars: pl.DataFrame, units: Mapping[str, str | None]) -> pl.DataFrame:
    """Return `frame`, in the scale of each of its sessions, in the scale of the adjusted `bars`.

    `units` names the unit of each column: rupee is divided by the bar's adjustment_factor, share multiplied by its
    volume_factor, all else left. A row without a bar has null there.
    """
    factors = bars.select(_ID, "trade_date", _factor="adjustment_factor", _volume="volume_factor")
    joined = frame.join(factors, on=[_ID, "trade_date"], how="left", maintain_order="left")
    scaled = []
    for name, dtype in frame.schema.items():
        if units.get(name) in {"rupee", "share"}:
            value = pl.col(name)
            moved = value / pl.col("_factor") if units[name] == "rupee" else value * pl.col("_volume")
            scaled.append((moved.round().cast(dtype) if dtype.is_integer() else moved).alias(name))
    return joined.with_columns(scaled).drop("_factor", "_volume")


def _products(factors: pl.DataFrame) -> pl.DataFrame:
    """Return, per instrument and ex-date, the products of its factors and all later ones, and the latest ex-date."""
    running = {
        "_factor": pl.col("price_factor").cum_prod().over(_ID),
        "_volume": pl.col("volume_factor").cum_prod().over(_ID),
        "_latest": pl.col("ex_date").max().over(_ID),
    }
    return (
        factors.select(_ID, "ex_date", "price_factor", "volume_factor")
        .sort(_ID, "ex_date", "price_factor", "volume_factor", descending=[False, True, False, False])
        .with_columns(**running)
        .group_by(_ID, "ex_date", maintain_order=True)
        .agg(pl.col(name).last() for name in running)
        .sort("ex_date")
    )


def _joined(bars: pl.DataFrame, products: pl.DataFrame, session: str, suffix: str) -> pl.DataFrame:
    """Add the product of the factors that come after `session`, and the latest of their ex-dates; null without one."""
    named = products.rename({name: f"{name}{suffix}" for name in ("_factor", "_volume", "_latest")})
    return (
        bars.sort(session)
        .join_asof(
            named,
            left_on=session,
            right_on="ex_date",
            by=_ID,
            strategy="forward",
            allow_exact_matches=False,
            coalesce=False,
            check_sortedness=False,
        )
        .drop("ex_date")
    )


def _changes(factor: str) -> pl.Expr:
    return pl.col(factor).fill_null(1.0) != 1.0


def _divided(name: str, factor: str) -> pl.Expr:
    price = (pl.col(name) / pl.col(factor)).round(_DECIMALS)
    return pl.when(_changes(factor)).then(price).otherwise(name).alias(name)


def _before_each(cuts: pl.DataFrame, rows: pl.DataFrame, session: str) -> list[pl.DataFrame]:
    """Return each cut's rows before it, under the view's name; nothing where there is no cut."""
    if cuts.is_empty():
        return []
    copies = rows.join(cuts.select(_ID, "view", "view_to"), on=_ID).filter(pl.col(session) < pl.col("view_to"))
    return [copies.with_columns(pl.col("view").alias(_ID)).select(rows.columns)]
