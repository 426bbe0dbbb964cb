"""Corporate actions against prices: is the adjusted gap of an ex-date like that of other days?

The adjusted gap of an ex-date is its first adjusted open over the last adjusted close before it, less one: bars of the
lake, `adjusted_bars` with dividends. It is computed a second time from the bars as traded and the factors alone.
"""

import polars as pl

from benchmarks.evidence.proof.page import Section, percent, table
from benchmarks.evidence.proof.stages import Run
from champion.market.actions.adjustment_factors import BY_TEXT, DIVIDEND, KINDS, PRICE_BAND
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.ingest.corporate_actions import known_factors

_ID = "instrument_id"
_QUANTILES = (0.0005, 0.005, 0.05, 0.5, 0.95, 0.995, 0.9995)
_ROUNDED = 1e-9  # of a band's edge
_SAME = 0.001  # difference of the two computations: adjusted prices are rounded to 1/10,000 rupee
_WITHIN = (0.05, 0.10, PRICE_BAND)
_GROUPS: dict[str, pl.Expr] = {
    "split, bonus, consolidation": pl.col("by_text"),
    "rights": pl.col("kinds").list.contains("rights") & ~pl.col("by_text"),
    "demerger, scheme, reduction": pl.col("by_ratio"),
    "dividend alone": pl.col("kinds").list.eval(pl.element() == DIVIDEND).list.all(),
}


def proof(run: Run) -> Section:
    """Return the number of explained ex-dates, every other one with its reason, and the actions without a factor."""
    gaps = _gaps(run)
    moved = known_factors(run.lake).filter(pl.col("ex_date").is_between(run.start, run.end, closed="right"))
    events = _events(moved, gaps, _traded(run))
    ordinary = gaps.join(events, on=[_ID, "trade_date"], how="anti")["gap"]
    counted = events.filter(pl.col("factors") > 0)
    grouped = [(name, counted.filter(group)) for name, group in _GROUPS.items()]
    rows = [_row(name, group) for name, group in grouped]
    names = ["ex-dates with", "number", "as traded, median", "adjusted, median", *(f"within {w:.0%}" for w in _WITHIN)]
    beyond = counted.filter(pl.col("gap").abs() > PRICE_BAND + _ROUNDED).sort("gap")
    apart = (counted["gap"] - counted["by_hand"]).abs()
    text = moved.filter(pl.col("kind").is_in(BY_TEXT))
    return Section(
        "Adjustment proof",
        [
            _normal(ordinary),
            (
                f"The list has {moved.height:,} actions of the period that can move a price, {text.height:,} of them "
                f"splits, bonuses and consolidations. The table has the absolute gaps of the {counted.height:,} "
                "ex-dates that have a factor, and prices before and after the ex-date:"
            ),
            table(pl.DataFrame(rows, schema=names, orient="row")),
            (
                "A demerger's factor is computed from the open of the ex-date, so its gap is zero by construction and "
                "verifies only the arithmetic. The factors of splits, bonuses, consolidations, rights and dividends "
                "come from the text only (rights and dividends also use the previous close). "
                f"{counted.filter(pl.col('by_text') & pl.col('by_ratio')).height} ex-date(s) are counted in both rows."
            ),
            (
                "The gaps were also computed in a second way, from bars as traded and the factors: "
                f"{(apart > _SAME).sum()} of "
                f"{counted.height:,} gaps differ by more than {_SAME}."
            ),
            f"### Beyond the band of {PRICE_BAND:.0%}",
            table(_misses(beyond)),
            "### Without a factor",
            _without_note(events),
            table(_without(events, moved)),
        ],
        {"events": events.with_columns(pl.col("kinds", "reasons").list.join(" + "))},
    )


def _normal(ordinary: pl.Series) -> str:
    quantiles = ", ".join(f"{percent(q, 2)}: {percent(ordinary.quantile(q), 2)}" for q in _QUANTILES)
    inside = (ordinary.abs() <= PRICE_BAND + _ROUNDED).mean()
    return (
        f"The market's normal range comes from {ordinary.len():,} opens on days without any action, compared with the "
        f"previous close. Quantiles: {quantiles}. NSE's widest daily price band is {PRICE_BAND:.0%}; "
        f"{percent(float(str(inside)), 3)} of ordinary gaps lie within it."
    )


def _gaps(run: Run) -> pl.DataFrame:
    """Return the adjusted gap of every open to the bar before, and the number of sessions between."""
    columns = [_ID, "symbol", "series", "trade_date", "open", "close"]
    adjusted = adjusted_bars(run.lake, run.start, run.end, columns=columns, total_return=True, kinds=None)
    order = adjusted.select(pl.col("trade_date").unique().sort()).with_row_index("number").cast({"number": pl.Int64})
    before = pl.col("close", "number", "trade_date").shift(1).over(_ID, order_by="trade_date").name.prefix("before_")
    return (
        adjusted.join(order, on="trade_date")
        .with_columns(before)
        .drop_nulls(["before_close", "open"])
        .select(
            *(_ID, "symbol", "series", "trade_date", pl.col("before_trade_date").alias("before")),
            gap=pl.col("open") / pl.col("before_close") - 1,
            away=pl.col("number") - pl.col("before_number") - 1,
        )
    )


def _traded(run: Run) -> pl.DataFrame:
    bars = equity_bars(run.lake, run.start, run.end, kinds=None).select(_ID, "trade_date", "open", "close").collect()
    close = pl.col("close").shift(1).over(_ID, order_by="trade_date")
    return bars.with_columns(traded_close=close).rename({"open": "traded_open"}).drop("close")


def _events(moved: pl.DataFrame, gaps: pl.DataFrame, traded: pl.DataFrame) -> pl.DataFrame:
    """Return one row per instrument and first bar since an ex-date, with all actions in between."""
    actions = moved.select(_ID, "ex_date", "kind", "price_factor", "reason", "purpose").sort("ex_date")
    placed = actions.join_asof(
        gaps.sort("trade_date"), left_on="ex_date", right_on="trade_date", by=_ID, strategy="forward", coalesce=False,
        check_sortedness=False,
    ).filter(pl.col("before") < pl.col("ex_date"))  # fmt: skip
    known = pl.col("price_factor").is_not_null()
    grouped = placed.group_by(_ID, "trade_date", "symbol", "series", "before", "gap", "away").agg(
        pl.col("ex_date").first(),
        kinds=pl.col("kind").filter(known).unique().sort(),
        factors=known.sum(),
        factor=pl.col("price_factor").product(),
        by_text=(pl.col("kind").is_in(BY_TEXT) & known).any(),
        by_ratio=(pl.col("kind").is_in(["demerger", "scheme", "capital_reduction"]) & known).any(),
        reasons=pl.format("{}: {}", "kind", "reason").drop_nulls().unique().sort(),
        purpose=pl.col("purpose").unique().sort().str.join(" | "),
    )
    joined = grouped.join(traded, on=[_ID, "trade_date"]).with_columns(
        as_traded=pl.col("traded_open") / pl.col("traded_close") - 1,
        by_hand=pl.col("traded_open") * pl.col("factor") / pl.col("traded_close") - 1,
    )
    return joined.sort("ex_date", _ID)


def _row(name: str, events: pl.DataFrame) -> tuple[object, ...]:
    size = events["gap"].abs()
    within = [f"{int((size <= limit + _ROUNDED).sum()):,}" for limit in _WITHIN]
    traded = events["as_traded"].abs().median()
    return (name, events.height, percent(_number(traded)), percent(_number(size.median())), *within)


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))


def _misses(beyond: pl.DataFrame) -> pl.DataFrame:
    why = (
        pl.when(pl.col("away") > 0)
        .then(pl.format("first trade after {} sessions without one", "away"))
        .when(pl.col("reasons").list.len() > 0)
        .then(pl.concat_str(pl.lit("an action of that date has no factor: "), pl.col("reasons").list.join("; ")))
        .when(pl.col("by_text"))
        .then(pl.lit("not explained"))
        .otherwise(pl.format("the market's own move on that day (as traded {}%)", (100 * pl.col("as_traded")).round(1)))
    )
    shown = [pl.col("symbol"), pl.col("ex_date").alias("ex-date"), pl.col("kinds").list.join(" + ").alias("actions")]
    return beyond.select(*shown, pl.col("factor").round(4), pl.col("gap").round(3), why.alias("reason"))


def _without_note(events: pl.DataFrame) -> str:
    bare = events.filter(pl.col("factors") == 0)
    wide = bare.filter(pl.col("gap").abs() > PRICE_BAND + _ROUNDED)
    return (
        f"{bare.height:,} ex-dates have prices before and after, but no factor. The open of {wide.height} of these "
        "ex-dates is beyond the band"
        f"{': ' + ', '.join(f'{row[0]} {row[1]}' for row in wide.select('symbol', 'ex_date').rows()[:20]) or ''}. "
        "The table has all actions of the period without a factor, with the reason recorded in the lake:"
    )


def _without(events: pl.DataFrame, moved: pl.DataFrame) -> pl.DataFrame:
    bare = moved.filter(pl.col("price_factor").is_null(), pl.col("kind").is_in(KINDS))
    priced = events.select(_ID, "ex_date").unique().with_columns(priced=True)
    marked = bare.join(priced, on=[_ID, "ex_date"], how="left")
    examples = pl.col("symbol").filter("priced").unique(maintain_order=True).head(8).str.join(", ")
    return (
        marked.group_by("kind", "reason")
        .agg(
            pl.len().alias("actions"),
            pl.col("priced").is_not_null().sum().alias("with prices on both sides"),
            examples.alias("such as"),
        )
        .sort("kind", "actions", descending=[False, True])
    )
