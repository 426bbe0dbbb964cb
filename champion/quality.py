"""Quality gates: what was measured, against which limit, and which bars somebody should look at. Frames in, frames out.

A gate of severity `error` stops publication, a `warning` is for people. Limits come from 1,483 real sessions of 2019 to
2024: their row counts stay within 8.5% of the recent median, their universes within 6.6% of the session before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import polars as pl

from champion.adjust import adjust
from champion.counting import quantity
from champion.errors import QualityGateError
from champion.normalize import EQUITY_SERIES

LOOKBACK = 20  # sessions before the first judged one that gates compare with
COLUMNS = (
    *("source", "instrument_id", "symbol", "series", "isin", "trade_date", "prev_close"),
    *("open", "high", "low", "close", "volume", "turnover"),
)
CRITICAL = ("symbol", "trade_date", "isin", "open", "high", "low", "close", "volume", "turnover", "prev_close")
COMPLETENESS = 0.995
REJECTED_SHARE = 0.01
HIGHEST_PRICE = 1_000_000.0
OUT_OF_RANGE_SHARE = 0.001
SWING = 0.25  # no real session comes near half of it
CHURN = 0.25
BROKEN_CLOSES = 0.05  # 4% on a day of mass relisting; above 90% where a session is missing
GAP = 0.25  # wider than the widest daily price band, 20%
TICKS = 0.10  # rupees: one tick of a penny share is a gap of 100% and no event
GAP_SHARE = 0.0002
STALE_DAYS = 4
_WITHOUT_ISIN = ("nse_cm_legacy", "nse_cm_full")  # the oldest bhavcopies and the full reports have none at all
_ROUNDED, _HALF_A_THOUSAND = "nse_cm_full", 500.0  # the full report gives turnover in lakhs with two decimals
GATES = {
    "gate": pl.String(),
    "severity": pl.String(),
    "value": pl.Float64(),
    "limit": pl.Float64(),
    "passed": pl.Boolean(),
    "detail": pl.String(),
}
FINDINGS = {
    "session": pl.Date(),
    "gate": pl.String(),
    "instrument_id": pl.String(),
    "symbol": pl.String(),
    "series": pl.String(),
    "value": pl.Float64(),
    "detail": pl.String(),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """What gates look at: `bars` of the judged sessions, `before` and they together, refused rows, and factors."""

    bars: pl.DataFrame
    context: pl.DataFrame
    refused: pl.DataFrame
    factors: pl.DataFrame

    @property
    def sessions(self) -> list[date]:
        """The judged sessions, in order."""
        return self.bars["trade_date"].unique().sort().to_list()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`gates` has gate, severity, value, limit, passed, detail; `findings` keeps contract quality_findings."""

    gates: pl.DataFrame
    findings: pl.DataFrame

    def worse(self, other: Verdict) -> Verdict:
        """Return, gate by gate, the worse of two, and the findings of both."""
        both = pl.concat([self.gates, other.gates]).with_row_index("_order")
        order = both.group_by("gate").agg(pl.col("_order").min())
        beyond = (pl.col("value") - pl.col("limit")) * pl.when(gate="completeness").then(-1).otherwise(1)
        worst = both.with_columns(_beyond=beyond).sort("_beyond", descending=True).unique("gate", keep="first")
        gates = worst.drop("_order").join(order, on="gate").sort("_order").select(list(GATES))
        return Verdict(gates, pl.concat([self.findings, other.findings]))

    @property
    def failed(self) -> list[str]:
        """The gates that did not pass."""
        return self.gates.filter(~pl.col("passed"))["gate"].to_list()


def judge(judged: Judged, as_of: date | None = None) -> Verdict:
    """Return what all gates say; `as_of`, if given, also judges how many days the last session lies behind it."""
    suspicious = {"ohlc_order": _outside_range(judged), "consistency": _inconsistent(judged)}
    suspicious["unexplained_gaps"] = _gaps(judged)
    shares = judged.bars.filter(pl.col("series").is_in(EQUITY_SERIES)).height
    gates = [
        _completeness(judged),
        _validity(judged),
        _uniqueness(judged),
        _rejected(judged),
        _row_count(judged),
        _churn(judged),
        _continuity(judged),
        _most("ohlc_order", "error", float(suspicious["ohlc_order"].height), 0.0, "bars with prices out of order"),
        _few(
            "consistency",
            suspicious["consistency"],
            judged.bars.height,
            OUT_OF_RANGE_SHARE,
            "turnover over volume outside low and high",
        ),
        _few(
            "unexplained_gaps",
            suspicious["unexplained_gaps"],
            shares,
            GAP_SHARE,
            f"opens beyond {GAP:.0%} of the previous close, no action known",
        ),
        *([] if as_of is None else [_freshness(judged, as_of)]),
    ]
    named = [
        frame.select(pl.lit(gate).alias("gate"), pl.all()).select(list(FINDINGS)) for gate, frame in suspicious.items()
    ]
    return Verdict(pl.DataFrame(gates, schema=GATES, orient="row"), pl.concat(named).sort("session", "gate", "symbol"))


def require(gates: pl.DataFrame) -> None:
    """Do nothing where every gate of severity 'error' passed.

    Raises:
        QualityGateError: naming those that did not; nothing downstream may be published.
    """
    broken = gates.filter((pl.col("severity") == "error") & ~pl.col("passed"))
    if broken.height:
        text = pl.format("{} is {}, limit {} ({})", "gate", pl.col("value").round(4), "limit", "detail")
        shown = "; ".join(broken.select(text).to_series())
        raise QualityGateError(f"publication stopped by {quantity(broken.height, 'quality gate')}: {shown}")


def _completeness(judged: Judged) -> tuple[object, ...]:
    """Take the least complete critical column of the worst session; a column its format does not have is no gap."""
    share = [(1 - pl.col(name).null_count() / pl.len()).alias(name) for name in CRITICAL]
    absent = pl.when(pl.col("source").is_in(_WITHOUT_ISIN).all() & (pl.col("isin").null_count() == pl.len()))
    shares = (
        judged.bars.group_by(session="trade_date")
        .agg(*share, absent=absent.then(1.0))
        .with_columns(pl.coalesce("absent", "isin").alias("isin"))
    )
    worst = shares.unpivot(CRITICAL, index="session").sort("value", "session", "variable").row(0, named=True)
    detail = f"least complete: {worst['variable']} on {worst['session']}"
    return ("completeness", "error", worst["value"], COMPLETENESS, worst["value"] >= COMPLETENESS, detail)


def _validity(judged: Judged) -> tuple[object, ...]:
    dear = judged.bars.filter(pl.col("close") > HIGHEST_PRICE)
    share = dear.height / judged.bars.height
    return _most("validity", "error", share, 0.0, f"{dear.height} closes above {HIGHEST_PRICE:,.0f} rupees")


def _uniqueness(judged: Judged) -> tuple[object, ...]:
    keys = judged.bars.select("trade_date", "instrument_id").n_unique()
    return _most("uniqueness", "error", 1 - keys / judged.bars.height, 0.0, "repeated keys")


def _rejected(judged: Judged) -> tuple[object, ...]:
    kept = judged.bars.group_by(session="trade_date").len("kept")
    counts = kept.join(judged.refused.group_by("session").len("refused"), on="session", how="full", coalesce=True)
    none = pl.col("kept", "refused").fill_null(0)  # a session without rows of a kind has zero of them
    shares = counts.with_columns(none).with_columns(share=pl.col("refused") / (pl.col("kept") + pl.col("refused")))
    worst = shares.sort("share", "session").row(-1, named=True)
    rows = quantity(worst["kept"] + worst["refused"], "row")
    detail = f"{worst['refused']:,} of {rows} in quarantine on {worst['session']}"
    return _most("rejected", "error", worst["share"], REJECTED_SHARE, detail)


def _row_count(judged: Judged) -> tuple[object, ...]:
    """Compare each session's row count with the median of up to 20 sessions before it."""
    counts = judged.context.group_by("trade_date").len("rows").sort("trade_date")
    usual = pl.col("rows").rolling_median(LOOKBACK, min_samples=5).shift(1)
    swings = counts.with_columns(usual=usual, value=(pl.col("rows") / usual - 1).abs())
    return _worst(
        "row_count",
        judged,
        swings,
        SWING,
        lambda row: f"{quantity(row['rows'], 'row')}, {row['usual']:,.0f} usual before",
    )


def _churn(judged: Judged) -> tuple[object, ...]:
    """Compare each session's shares with those of the session before: how many came or went."""
    shares = judged.context.filter(pl.col("series").is_in(EQUITY_SERIES)).select("trade_date", "instrument_id")
    order = shares.select(pl.col("trade_date").unique().sort()).with_row_index("_number").cast({"_number": pl.Int64})
    numbered = shares.join(order, on="trade_date").drop("trade_date")
    before = numbered.with_columns(pl.col("_number") + 1)
    both = numbered.join(before, on=["_number", "instrument_id"], how="full", suffix="_before")
    counted = (
        both.group_by(_number=pl.coalesce("_number", "_number_before"))
        .agg(came=pl.col("_number_before").is_null().sum(), went=pl.col("_number").is_null().sum(), all=pl.len())
        .filter(pl.col("_number") > 0)
        .join(order, on="_number")
        .with_columns(value=(pl.col("came") + pl.col("went")) / pl.col("all"))
    )
    return _worst(
        "universe_churn",
        judged,
        counted,
        CHURN,
        lambda row: f"{quantity(row['came'], 'share came', 'shares came')}, {row['went']} went",
    )


def _continuity(judged: Judged) -> tuple[object, ...]:
    """Compare each previous close with the close the lake holds: where most differ, a session is missing between."""
    held = pl.col("close").shift(1).over("instrument_id", order_by="trade_date")
    broken = (
        judged.context.filter(pl.col("series").is_in(EQUITY_SERIES))
        .with_columns(_held=held)
        .drop_nulls(["_held", "prev_close"])
        .group_by("trade_date")
        .agg(value=(pl.col("_held") != pl.col("prev_close")).mean())
    )
    return _worst(
        "continuity",
        judged,
        broken,
        BROKEN_CLOSES,
        lambda row: f"{row['value']:.0%} of previous closes are not those of the lake: is a session missing before it?",
        severity="warning",
    )


def _outside_range(judged: Judged) -> pl.DataFrame:
    """Return bars whose prices are out of order: the contract lets none in, so somebody wrote past it.

    Series T0 copies its close from series EQ: there a close outside low and high is as published.
    """
    prices = pl.col("open", "close")
    apart = pl.any_horizontal((prices < pl.col("low")) | (prices > pl.col("high")))
    outside = judged.bars.filter((pl.col("series") != "T0") & apart)
    return _found(outside, pl.col("close"), pl.format("close {}, low {}, high {}", "close", "low", "high"))


def _inconsistent(judged: Judged) -> pl.DataFrame:
    """Return bars whose average price lies outside low and high, by more than prices and turnover are rounded."""
    average = pl.col("turnover") / pl.col("volume")
    rounded = pl.when(pl.col("source") == _ROUNDED).then(_HALF_A_THOUSAND / pl.col("volume")).otherwise(0.0) + 0.005
    outside = (average < pl.col("low") - rounded) | (average > pl.col("high") + rounded)
    found = judged.bars.filter((pl.col("volume") > 0) & outside)
    detail = pl.format("turnover over volume {}, low {}, high {}", average.round(4), "low", "high")
    return _found(found, average, detail)


def _gaps(judged: Judged) -> pl.DataFrame:
    """Return opens far from the previous close, adjusted for dividends too, that no action without a factor explains.

    An instrument's first bar is not judged: on a listing day the previous close is the issue price. Nor are penny
    shares that moved by two ticks. After a suspension the exchange sets a previous close of its own, after a session
    that the lake lacks the last close is old: a gap is one from both.
    """
    shares = judged.context.filter(pl.col("series").is_in(EQUITY_SERIES))
    last = {
        "before": pl.col("trade_date").shift(1).over("instrument_id", order_by="trade_date"),
        "held": pl.col("close").shift(1).over("instrument_id", order_by="trade_date"),
    }
    adjusted = adjust(shares, judged.factors, total_return=True).with_columns(**last)
    gap, moved = pl.col("open") / pl.col("prev_close") - 1, (pl.col("open") - pl.col("prev_close")).abs()
    from_held = pl.col("open") / pl.col("held") - 1
    wide = adjusted.join(judged.bars.select("trade_date").unique(), on="trade_date", how="semi").filter(
        pl.col("before").is_not_null() & (gap.abs() > GAP) & (from_held.abs() > GAP) & (moved > TICKS)
    )
    moving = judged.factors.filter(pl.col("reason").is_not_null()).select("instrument_id", "ex_date")
    explained = wide.join(moving, on="instrument_id").filter(
        (pl.col("before") < pl.col("ex_date")) & (pl.col("ex_date") <= pl.col("trade_date"))
    )
    found = wide.join(explained, on=["instrument_id", "trade_date"], how="anti")
    detail = pl.format("open {}, previous close {}, last bar {}", "open", "prev_close", "before")
    return _found(found, gap, detail)


def _freshness(judged: Judged, as_of: date) -> tuple[object, ...]:
    last = judged.sessions[-1]
    return _most("freshness", "warning", float((as_of - last).days), STALE_DAYS, f"last session {last}")


def _found(bars: pl.DataFrame, value: pl.Expr, detail: pl.Expr) -> pl.DataFrame:
    named = bars.select(
        pl.col("trade_date").alias("session"), "instrument_id", "symbol", "series", value=value, detail=detail
    )
    return named.cast({"value": pl.Float64})


def _few(gate: str, found: pl.DataFrame, rows: int, limit: float, what: str) -> tuple[object, ...]:
    first = found.select("symbol", "session").head(3).rows()
    shown = ", ".join(f"{symbol} {session}" for symbol, session in first)
    return _most(gate, "warning", found.height / max(rows, 1), limit, f"{found.height} {what}{shown and f': {shown}'}")


def _worst(
    gate: str,
    judged: Judged,
    values: pl.DataFrame,
    limit: float,
    said: Callable[[dict[str, object]], str],
    severity: str = "error",
) -> tuple[object, ...]:
    """Judge by the worst of the judged sessions; where none can be compared the gate passes and says so."""
    mine = values.drop_nulls("value").filter(pl.col("trade_date").is_in(judged.sessions)).sort("value", "trade_date")
    if mine.is_empty():
        return (gate, severity, 0.0, limit, True, "too few sessions to compare")
    row = mine.row(-1, named=True)
    return _most(gate, severity, row["value"], limit, f"{row['trade_date']}: {said(row)}")


def _most(gate: str, severity: str, value: float, limit: float, detail: str) -> tuple[object, ...]:
    return (gate, severity, value, limit, value <= limit, detail)
