"""Labels of the default universe below a limit, each with its cause: is one of them an unadjusted action?

`.venv/bin/python benchmarks/evidence/extreme_labels.py --home FOLDER [--start DATE] [--end DATE] [--limit -0.4]
[--horizon 5] [--out FILE]` reads a workspace with bars, lists and factors; it needs no features and writes nothing
there. The cause is that of the worst session inside the label: its open against the close before,
adjusted, and the actions of the lists on the days around it. `--out` keeps every label as Parquet.
"""

import argparse
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from benchmarks import meter
from champion.lake import Lake
from champion.modeling import universe
from champion.modeling.labels import forward_return
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.ingest.corporate_actions import known_factors, unadjusted_gaps
from champion.pipeline.models import frames

_ID = "instrument_id"
_BEFORE, _AFTER = timedelta(days=120), timedelta(days=45)
_GAP = -0.25  # beyond any price band: an action, or a share without a band
_NEAR = timedelta(days=10)


def main() -> None:
    """Print one line per label, and the counts by cause."""
    asked = meter.arguments(
        __doc__, {"--home": Path}, start=date(2019, 1, 1), end=date(2024, 12, 31), universe="liquid", horizon=5,
        limit=-0.4, out=Path,
    )  # fmt: skip
    lake = Lake(asked.home / "lake")
    years = [(date(year, 1, 1), date(year, 12, 31)) for year in range(asked.start.year, asked.end.year + 1)]
    found = [_year(lake, max(first, asked.start), min(last, asked.end), asked) for first, last in years]
    labels = pl.concat([labels for labels, *_ in found])
    across, known = (sum(number) for number in zip(*(rest for _, *rest in found), strict=True))
    print(f"{known:,} labels known, {across:,} left out across a gap, {labels.height:,} below {asked.limit:.0%}")
    counts = labels.group_by("cause").agg(labels=pl.len(), shares=pl.n_unique("symbol"))
    with pl.Config(tbl_rows=-1, tbl_cols=-1, fmt_str_lengths=90, tbl_width_chars=220, tbl_hide_dataframe_shape=True):
        print(counts.sort("labels", descending=True))
        print(_episodes(labels))
    if asked.out:
        labels.write_parquet(asked.out)


def _year(lake: Lake, start: date, end: date, asked: argparse.Namespace) -> tuple[pl.DataFrame, int, int]:
    """Return the labels of a year below the limit, the number left out across a gap, and the number known."""
    columns = [
        "instrument_id",
        "symbol",
        "isin",
        "trade_date",
        "series",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "turnover",
    ]
    bars = adjusted_bars(lake, start - _BEFORE, end + _AFTER, columns=columns, kinds=None)
    chosen = frames._members(lake, bars, universe.find(asked.universe))  # noqa: SLF001 - the universe of training
    factors = known_factors(lake)
    gaps = unadjusted_gaps(lake, start - _BEFORE, end + _AFTER, factors)
    labels = (
        forward_return(bars, asked.horizon, frames.LAG, gaps)
        .join(chosen, on=[_ID, "trade_date"], how="semi")
        .filter(pl.col("trade_date").is_between(start, end))
    )
    low = labels.filter(pl.col("forward_return") < asked.limit)
    return _explained(low, bars, factors), int(labels["across_gap"].sum()), labels["forward_return"].count()


def _explained(low: pl.DataFrame, bars: pl.DataFrame, factors: pl.DataFrame) -> pl.DataFrame:
    """Add the worst session inside each label, its moves and the actions near it, and name the cause."""
    before = pl.col("close").shift(1).over(_ID, order_by="trade_date")
    moves = bars.with_columns(_before=before).select(
        *(_ID, "symbol", "series", pl.col("trade_date").alias("worst")),
        opened=pl.col("open") / pl.col("_before") - 1,
        closed=pl.col("close") / pl.col("_before") - 1,
    )
    inside = (
        low.select(_ID, "trade_date", "forward_return", "label_end")
        .join(moves, on=_ID)
        .filter((pl.col("worst") > pl.col("trade_date")) & (pl.col("worst") <= pl.col("label_end")))
        .with_columns(falls=(pl.col("closed") < 0).sum().over(_ID, "trade_date"))
    )
    worst = inside.sort("closed").unique([_ID, "trade_date"], keep="first")
    actions = factors.select(_ID, "ex_date", "verdict", what=pl.format("{} {}", "kind", "ex_date"))
    near = (
        worst.select(_ID, "trade_date", "worst")
        .join(actions, on=_ID)
        .filter((pl.col("ex_date") - pl.col("worst")).abs() <= _NEAR)
        .group_by(_ID, "trade_date")
        .agg(actions=pl.col("what").str.join(", "))
    )
    cause = (
        pl.when(pl.col("opened") < _GAP)
        .then(pl.lit("an open beyond 25%: to be examined"))
        .when(pl.col("closed") < _GAP)
        .then(pl.lit("one session's fall beyond 25% while it traded: no price band"))
        .otherwise(pl.lit("falling sessions within the price band"))
    )
    return worst.join(near, on=[_ID, "trade_date"], how="left").with_columns(cause=cause)


def _episodes(labels: pl.DataFrame) -> pl.DataFrame:
    """Return one line per share and worst session."""
    return (
        labels.group_by("symbol", "series", "worst", "cause")
        .agg(
            *(pl.len().alias("labels"), pl.col("forward_return").min().round(3).alias("lowest")),
            pl.col("opened", "closed").first().round(3),
            *(pl.col("falls").max().alias("falling sessions"), pl.col("actions").first()),
        )
        .sort("worst", "symbol")
    )


if __name__ == "__main__":
    main()
