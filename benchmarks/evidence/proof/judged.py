"""Quality: the gates over all sessions, and the gaps that no action explains."""

import polars as pl

from benchmarks.evidence.proof.page import Section, table, with_total
from benchmarks.evidence.proof.stages import Run
from champion.pipeline.ingest.bars import equity_bars

_GAP = "unexplained_gaps"
_PENNY = 5.0  # rupees
_AWAY = 20  # calendar days
_ROUND = 0.1  # relative distance from a whole number of shares
_SPLIT = 1.8  # the smallest ratio that counts as two shares for one
_FUND = "INF"  # the beginning of the ISINs of funds


def quality(run: Run) -> Section:
    """Return the gates, the findings by gate and year, and the unexplained gaps by probable kind."""
    found = run.verdict.findings
    gaps = _described(run, found.filter(pl.col("gate") == _GAP))
    by_year = found.group_by("gate", year=pl.col("session").dt.year()).len("bars")
    wide = by_year.sort("year").pivot("year", index="gate", values="bars").fill_null(0).sort("gate")
    by_kind = gaps.group_by("what", "series").len("gaps").pivot("series", index="what", values="gaps").fill_null(0)
    series = sorted(set(by_kind.columns) - {"what"})
    top = gaps.sort(pl.col("value").abs(), descending=True).head(12)
    shown = top.select("symbol", "series", "session", pl.col("value").round(2).alias("gap"), "what", "detail")
    gates = run.verdict.gates.with_columns(pl.col("value").round(5))
    return Section(
        "Quality gates and unexplained gaps",
        [
            table(gates),
            "The table counts the bars with a finding by year:",
            table(wide),
            (
                f"The table has the {gaps.height} unexplained gaps by probable kind. The list of actions has few funds "
                "and SME shares."
            ),
            table(with_total(by_kind.select("what", *series).sort(series[0], "what", descending=[True, False]), "all"))
            if series
            else "None.",
            "These are the widest gaps:",
            table(shown),
        ],
        {"findings": found, "gaps": gaps},
    )


def _described(run: Run, gaps: pl.DataFrame) -> pl.DataFrame:
    """Add the most probable kind of each gap, the first that applies; it is an aid for reading, not evidence."""
    bars = equity_bars(run.lake, run.start, run.end, kinds=None).select(
        "instrument_id", "trade_date", "isin", "prev_close"
    )
    chosen = bars.filter(pl.col("instrument_id").is_in(gaps["instrument_id"].unique().to_list())).collect()
    fund = chosen.group_by("instrument_id").agg(fund=pl.col("isin").str.starts_with(_FUND).any())
    close = chosen.select("instrument_id", pl.col("trade_date").alias("session"), "prev_close")
    last = pl.col("detail").str.extract(r"last bar (\d{4}-\d{2}-\d{2})").str.to_date()
    ratio = pl.max_horizontal(1 / (1 + pl.col("value")), 1 + pl.col("value"))
    whole = (ratio - ratio.round()).abs() <= _ROUND * ratio
    what = (
        pl.when("fund")
        .then(pl.lit("fund, units split or merged"))
        .when((pl.col("session") - last).dt.total_days() > _AWAY)
        .then(pl.lit("first trade after weeks"))
        .when(pl.col("prev_close") < _PENNY)
        .then(pl.lit("penny share"))
        .when(pl.col("series").is_in(["SM", "ST"]) & whole & (ratio > _SPLIT))
        .then(pl.lit("SME share, whole ratio: a bonus or split not in the list"))
        .when(whole & (ratio > _SPLIT))
        .then(pl.lit("whole ratio: an action not in the list?"))
        .otherwise(pl.lit("a move of the market, or unknown"))
    )
    return gaps.join(fund, on="instrument_id").join(close, on=["instrument_id", "session"]).with_columns(what=what)
