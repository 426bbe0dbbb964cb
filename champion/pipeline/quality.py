"""Quality gates over a range of sessions: what was measured, against which limit, and whether it may be published."""

from __future__ import annotations

from datetime import date

import polars as pl

from champion.adjust import adjust
from champion.errors import QualityGateError
from champion.lake import Lake
from champion.normalize import EQUITY_SERIES
from champion.pipeline.actions import known_actions
from champion.pipeline.ingest import BARS, QUARANTINE

CRITICAL = ("symbol", "trade_date", "isin", "open", "high", "low", "close", "volume", "turnover", "prev_close")
COMPLETENESS = 0.995
REJECTED_SHARE = 0.01
HIGHEST_PRICE = 1_000_000.0
ROW_SWING = 0.25
GAP = 0.35
GAP_SHARE = 0.0002  # 2024 had 0.0001 (SME shares, ETFs and rights entitlements), and 0.0003 without any adjustment
STALE_DAYS = 4
_SCHEMA = {
    "gate": pl.String,
    "severity": pl.String,
    "value": pl.Float64,
    "limit": pl.Float64,
    "passed": pl.Boolean,
    "detail": pl.String,
}


def check(lake: Lake, start: date, end: date, *, as_of: date | None = None) -> pl.DataFrame:
    """Return one row per gate: gate, severity ('error' stops publication), value, limit, passed, detail.

    Completeness and rejected rows are those of the worst session: a broken session does not hide among sound ones.
    `as_of`, if given, also checks freshness: how many days the last session lies behind it.

    Raises:
        QualityGateError: the range has no session at all.
    """
    bars = lake.scan(BARS, start, end).collect()
    if bars.is_empty():
        raise QualityGateError(f"no sessions in the lake from {start} to {end}: ingest them first")
    keys = bars.select("trade_date", "instrument_id").n_unique()
    dear = _share(bars, pl.col("close") > HIGHEST_PRICE)
    gates = [
        _completeness(bars),
        _most("validity", "error", dear, 0.0, f"closes above {HIGHEST_PRICE:,.0f} rupees"),
        _most("uniqueness", "error", 1 - keys / bars.height, 0.0, "repeated keys"),
        _rejected(bars, lake.scan(QUARANTINE, start, end).collect()),
        _most(
            "consistency",
            "warning",
            _share(bars, (pl.col("volume") > 0) & ~_within(pl.col("turnover") / pl.col("volume"))),
            0.001,
            "turnover over volume outside low and high",
        ),
        _row_swing(bars),
        _unexplained_gaps(bars, known_actions(lake)),
    ]
    if as_of is not None:
        last = bars["trade_date"].max()
        assert isinstance(last, date)  # noqa: S101 - the frame is not empty; narrows the type
        gates.append(_most("freshness", "warning", float((as_of - last).days), STALE_DAYS, f"last session {last}"))
    return pl.DataFrame(gates, schema=_SCHEMA, orient="row")


def require(gates: pl.DataFrame) -> None:
    """Do nothing where every gate of severity 'error' passed.

    Raises:
        QualityGateError: naming those that did not; nothing downstream may be published.
    """
    broken = gates.filter((pl.col("severity") == "error") & ~pl.col("passed"))
    if broken.height:
        text = pl.format("{} is {}, limit {} ({})", "gate", pl.col("value").round(4), "limit", "detail")
        shown = "; ".join(broken.select(text).to_series())
        raise QualityGateError(f"publication stopped by {broken.height} quality gate(s): {shown}")


def _completeness(bars: pl.DataFrame) -> tuple[object, ...]:
    """Take the least complete critical column of the worst session; a column its format does not have is no gap."""
    share = [(1 - pl.col(name).null_count() / pl.len()).alias(name) for name in CRITICAL]
    # The oldest bhavcopies and the full report have no ISIN at all.
    without = pl.col("source").is_in(["nse_cm_legacy", "nse_cm_full"]).all()
    absent = pl.when(without & (pl.col("isin").null_count() == pl.len()))
    shares = (
        bars.group_by(session="trade_date")
        .agg(*share, absent=absent.then(1.0))
        .with_columns(pl.coalesce("absent", "isin").alias("isin"))
    )
    worst = shares.unpivot(CRITICAL, index="session").sort("value", "session", "variable").row(0, named=True)
    detail = f"least complete: {worst['variable']} on {worst['session']}"
    return ("completeness", "error", worst["value"], COMPLETENESS, worst["value"] >= COMPLETENESS, detail)


def _rejected(bars: pl.DataFrame, refused: pl.DataFrame) -> tuple[object, ...]:
    kept = bars.group_by(session="trade_date").len("kept")
    counts = kept.join(refused.group_by("session").len("refused"), on="session", how="full", coalesce=True)
    none = pl.col("kept", "refused").fill_null(0)  # a session without rows of a kind has zero of them
    shares = counts.with_columns(none).with_columns(share=pl.col("refused") / (pl.col("kept") + pl.col("refused")))
    worst = shares.sort("share", "session").row(-1, named=True)
    detail = f"{worst['refused']:,} of {worst['kept'] + worst['refused']:,} rows in quarantine on {worst['session']}"
    return _most("rejected", "error", worst["share"], REJECTED_SHARE, detail)


def _row_swing(bars: pl.DataFrame) -> tuple[object, ...]:
    """Compare each session's row count with the median of up to 20 sessions before it."""
    counts = bars.group_by("trade_date").len("rows").sort("trade_date")
    usual = pl.col("rows").rolling_median(20, min_samples=5).shift(1)
    swings = counts.with_columns(swing=(pl.col("rows") / usual - 1).abs()).drop_nulls("swing").sort("swing")
    if swings.is_empty():
        return ("row_count", "warning", 0.0, ROW_SWING, True, "too few sessions to compare")
    worst = swings.row(-1, named=True)
    detail = f"{worst['rows']:,} rows on {worst['trade_date']}, against the median of the sessions before"
    return ("row_count", "warning", worst["swing"], ROW_SWING, worst["swing"] <= ROW_SWING, detail)


def _unexplained_gaps(bars: pl.DataFrame, actions: pl.DataFrame) -> tuple[object, ...]:
    """Count opens far from the previous close after adjustment, where no action without a factor could be why.

    An instrument's first bar in the range is not judged: on a listing day the previous close is the issue price.
    """
    equities = adjust(bars.filter(pl.col("series").is_in(EQUITY_SERIES)), actions).sort("trade_date")
    before = pl.col("trade_date").shift(1).over("instrument_id")
    gaps = equities.with_columns(before=before).filter(
        pl.col("before").is_not_null() & ((pl.col("open") / pl.col("prev_close") - 1).abs() > GAP)
    )
    moving = actions.filter(pl.col("reason").is_not_null()).select("instrument_id", "ex_date")
    explained = gaps.join(moving, on="instrument_id").filter(
        (pl.col("before") < pl.col("ex_date")) & (pl.col("ex_date") <= pl.col("trade_date"))
    )
    found = gaps.join(explained, on=["instrument_id", "trade_date"], how="anti")
    shown = ", ".join(f"{symbol} {session}" for symbol, session in found.select("symbol", "trade_date").head(3).rows())
    detail = f"{found.height} opens beyond {GAP:.0%} of the previous close, no action known{shown and f': {shown}'}"
    return _most("unexplained_gaps", "warning", found.height / max(equities.height, 1), GAP_SHARE, detail)


def _within(price: pl.Expr) -> pl.Expr:
    """Tell whether an average price lies in the session's range; half a paisa is rounding."""
    return (price >= pl.col("low") - 0.005) & (price <= pl.col("high") + 0.005)


def _share(bars: pl.DataFrame, condition: pl.Expr) -> float:
    return float(bars.select(condition.fill_null(value=False).mean()).item())


def _most(gate: str, severity: str, value: float, limit: float, detail: str) -> tuple[object, ...]:
    return (gate, severity, value, limit, value <= limit, detail)
