"""Quality gates: measured values, their limits, and the sessions and bars that fail. Frames in, frames out.

A gate of severity `error` stops publication, a `warning` does not. A gate is evaluated by session or by bar. A value
beyond the limit is a finding. A user can accept a finding (`champion.market.acceptance`): the gate then passes for this
finding, until its value becomes worse.

Sessions are not compared across a gap of missing sessions in the lake.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

import polars as pl

from champion.market.acceptance import ACCEPTED, SESSION, accepted_rows
from champion.market.actions.adjustment import adjust
from champion.market.equity_bars import EQUITY_SERIES
from champion.market.gate_report import FINDINGS, GATES, LESS_IS_WORSE, GateReport
from champion.settings.quality_limits import Limits

LOOKBACK = 20  # sessions before the first evaluated one that gates compare with
COLUMNS = (
    *("source", "instrument_id", "symbol", "series", "isin", "trade_date", "prev_close"),
    *("open", "high", "low", "close", "volume", "turnover"),
)
CRITICAL = ("symbol", "trade_date", "isin", "open", "high", "low", "close", "volume", "turnover", "prev_close")
TICKS = 0.10  # rupees: one tick of a penny share can be a gap of 100%
GAP = Limits().gap
"""Labels may not span a larger gap, unless a corporate action explains it."""
ERRORS = ("completeness", "validity", "uniqueness", "rejected", "row_count", "universe_churn", "ohlc_order")
"""The gates that stop publication; all others are warnings."""
_WITHOUT_ISIN = ("nse_cm_legacy", "nse_cm_full")  # the oldest bhavcopies and the full reports have none at all
_ROUNDED, _HALF_A_THOUSAND = "nse_cm_full", 500.0  # the full report gives turnover in lakhs with two decimals
QUESTIONS = {
    "actions_not_understood": "corporate actions whose text is not understood",
    "actions_undecided": "corporate actions without a ratio whose gap nothing explains",
    "actions_without_bars": "price-moving corporate actions on instruments without bars",
}
"""The gates of corporate actions that need a manual decision, and the description of each."""
_LAST_BAR = [
    pl.col(column).shift(1).over("instrument_id", order_by="trade_date").alias(name)
    for column, name in (("trade_date", "before"), ("close", "held"))
]


@dataclass(frozen=True, slots=True)
class GateInputs:
    """The data that gates evaluate: `bars` of the sessions, `context` with earlier bars too, refused rows, and factors.

    `accepted` are the findings that a user accepted (`ACCEPTED`). `identity` are the contradictions of symbols and
    ISINs, None if they were not searched. `questions` are the corporate actions of these sessions that need a manual
    decision, `index_lists` the lists and changes of indices that are not used, None without lists; both in the
    columns of findings.
    """

    bars: pl.DataFrame
    context: pl.DataFrame
    refused: pl.DataFrame
    factors: pl.DataFrame
    limits: Limits = field(default_factory=Limits)
    accepted: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ACCEPTED))
    identity: pl.DataFrame | None = None
    questions: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FINDINGS))
    index_lists: pl.DataFrame | None = None

    @property
    def sessions(self) -> list[date]:
        """The evaluated sessions, in order."""
        return self.bars["trade_date"].unique().sort().to_list()


def evaluate_gates(inputs: GateInputs, as_of: date | None = None) -> GateReport:
    """Evaluate all gates; with `as_of` also the number of days since the last session."""
    limits = inputs.limits
    bars, shares = inputs.bars.height, inputs.bars.filter(pl.col("series").is_in(EQUITY_SERIES)).height
    above = inputs.bars.filter(pl.col("close") > limits.highest_price)
    dear = _found(above, pl.col("close"), pl.format("close {}", "close"))
    repeated = 1 - pl.col("instrument_id").n_unique() / pl.len()
    uniqueness = inputs.bars.group_by(session="trade_date").agg(value=repeated, detail=pl.lit("repeated keys"))
    gaps = f"opens beyond {limits.gap:.0%} of the previous close, no action known"
    outside = "turnover over volume outside low and high"
    found = [
        _by_session("completeness", inputs, _completeness(inputs), limits.completeness),
        _by_bar("validity", inputs, dear, bars, 0.0, f"closes above {limits.highest_price:,.0f} rupees"),
        _by_session("uniqueness", inputs, uniqueness, 0.0),
        _by_session("rejected", inputs, _rejected(inputs), limits.rejected),
        _by_session("row_count", inputs, _row_count(inputs), limits.row_count),
        _by_session("universe_churn", inputs, _churn(inputs), limits.churn),
        _by_session("continuity", inputs, _continuity(inputs), limits.broken_closes),
        _by_bar("ohlc_order", inputs, _outside_range(inputs), 1, 0.0, "bars with prices out of order"),
        _by_bar("consistency", inputs, _inconsistent(inputs), bars, limits.inconsistent, outside),
        _by_bar("unexplained_gaps", inputs, _gaps(inputs), shares, limits.gap_share, gaps),
    ]
    for gate, what in QUESTIONS.items():
        found.append(_by_bar(gate, inputs, inputs.questions.filter(pl.col("gate") == gate), 1, 0.0, what))
    if inputs.identity is not None:
        found.append(_by_bar("identity", inputs, inputs.identity, 1, 0.0, "contradictions of symbol and ISIN"))
    if inputs.index_lists is not None:
        unused = "lists and changes of indices not used"
        found.append(_by_bar("index_lists", inputs, inputs.index_lists, 1, 0.0, unused))
    gates = [gate for gate, _, _ in found]
    if as_of is not None:
        last, limit = inputs.sessions[-1], limits.stale_days
        age = float((as_of - last).days)
        gates.append(("freshness", "warning", age, limit, age <= limit, f"last session {last}"))
    findings, accepted = _concat(rows for _, rows, _ in found), _concat(rows for _, _, rows in found)
    return GateReport(pl.DataFrame(gates, schema=GATES, orient="row"), findings, accepted)


def _concat(found: Iterable[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([rows.select(list(FINDINGS)) for rows in found]).sort("session", "gate", "instrument_id")


def unadjusted_gaps(bars: pl.DataFrame, factors: pl.DataFrame) -> pl.DataFrame:
    """Return instrument_id and session of each open more than 25% from the previous close, adjusted for `factors`.

    Labels compare these prices, so the previous close published by the exchange is not used. A dividend of that size
    counts as a gap, because prices are not adjusted for dividends. A gap with a manual decision is left out. `bars` are
    as traded, with instrument_id, trade_date, open and close.
    """
    adjusted = adjust(bars, factors).with_columns(_LAST_BAR)
    wide = ((pl.col("open") / pl.col("held") - 1).abs() > GAP) & ((pl.col("open") - pl.col("held")).abs() > TICKS)
    return _without_decision(adjusted.filter(wide), factors).select("instrument_id", session="trade_date")


def _without_decision(gaps: pl.DataFrame, factors: pl.DataFrame) -> pl.DataFrame:
    """Return the gaps without a manual decision, whose ex-date may be a holiday before the gap's session."""
    decisions = factors.filter(pl.col("basis") == "decision").select("instrument_id", "ex_date")
    within = (pl.col("before") < pl.col("ex_date")) & (pl.col("ex_date") <= pl.col("trade_date"))
    decided = gaps.join(decisions, on="instrument_id").filter(within)
    return gaps.join(decided, on=["instrument_id", "trade_date"], how="anti")


def _by_session(
    gate: str, inputs: GateInputs, values: pl.DataFrame, limit: float
) -> tuple[tuple[object, ...], pl.DataFrame, pl.DataFrame]:
    """Return a gate that is evaluated by its worst session, the sessions beyond the limit, and the accepted ones.

    `values` has session, value and detail. A session that cannot be compared has a null value; if none can be compared,
    the gate passes and its detail says so.
    """
    severity, sign = _severity(gate), -1 if gate in LESS_IS_WORSE else 1
    known = values.drop_nulls("value").filter(pl.col("session").is_in(inputs.sessions)).sort("value", "session")
    if known.is_empty():
        none = pl.DataFrame(schema=FINDINGS)
        return (gate, severity, 0.0, limit, True, "too few sessions to compare"), none, none
    beyond = known.filter((pl.col("value") - limit) * sign > 0).with_columns(
        pl.lit(gate).alias("gate"),
        pl.lit(None, pl.String).alias("series"),
        instrument_id=pl.lit(SESSION),
        symbol=pl.lit(SESSION),
    )
    accepted = accepted_rows(beyond, inputs.accepted, sign)
    rest = known.filter(~pl.col("session").is_in(accepted["session"].to_list()))
    worst = (rest if rest.height else known).row(-1 if sign > 0 else 0, named=True)
    passed = beyond.height == accepted.height
    detail = worst["detail"] + _also(accepted)
    return (gate, severity, worst["value"], limit, passed, detail), beyond, accepted


def _by_bar(
    gate: str, inputs: GateInputs, found: pl.DataFrame, rows: int, limit: float, what: str
) -> tuple[tuple[object, ...], pl.DataFrame, pl.DataFrame]:
    """Return a gate that is evaluated by the share of bars in `found`, these bars, and the accepted ones."""
    named = found.with_columns(pl.lit(gate).alias("gate")).select(list(FINDINGS))
    accepted = accepted_rows(named, inputs.accepted, 1)
    left = named.join(accepted, on=["session", "gate", "instrument_id"], how="anti").sort("session", "symbol")
    value = left.height / max(rows, 1)
    shown = ", ".join(f"{symbol} {session}" for symbol, session in left.select("symbol", "session").head(3).rows())
    detail = f"{left.height} {what}{shown and f': {shown}'}" + _also(accepted)
    return (gate, _severity(gate), value, limit, value <= limit, detail), named, accepted


def _severity(gate: str) -> str:
    return "error" if gate in ERRORS else "warning"


def _also(accepted: pl.DataFrame) -> str:
    return f"; {accepted.height} accepted" if accepted.height else ""


def _completeness(inputs: GateInputs) -> pl.DataFrame:
    """Return the share of values in each session's least complete critical column that its format has."""
    share = [(1 - pl.col(name).null_count() / pl.len()).alias(name) for name in CRITICAL]
    absent = pl.when(pl.col("source").is_in(_WITHOUT_ISIN).all() & (pl.col("isin").null_count() == pl.len()))
    shares = inputs.bars.group_by(session="trade_date").agg(*share, absent=absent.then(1.0))
    known = shares.with_columns(pl.coalesce("absent", "isin").alias("isin"))
    ordered = known.unpivot(CRITICAL, index="session").sort("value", "session", "variable")
    least = ordered.unique("session", keep="first")
    return least.select("session", "value", detail=pl.format("least complete: {} on {}", "variable", "session"))


def _rejected(inputs: GateInputs) -> pl.DataFrame:
    kept = inputs.bars.group_by(session="trade_date").len("kept")
    counts = kept.join(inputs.refused.group_by("session").len("refused"), on="session", how="full", coalesce=True)
    none = pl.col("kept", "refused").fill_null(0)  # a session may lack rows of one kind
    total = pl.col("kept") + pl.col("refused")
    detail = pl.format("{} of {} rows in quarantine on {}", "refused", total, "session")
    return counts.with_columns(none).select("session", value=pl.col("refused") / total, detail=detail)


def _row_count(inputs: GateInputs) -> pl.DataFrame:
    """Compare each session's row count with the median of up to 20 sessions before it."""
    counts = _sides(inputs.context.group_by("trade_date").len("rows"), inputs.limits)
    usual = pl.col("rows").rolling_median(LOOKBACK, min_samples=5).shift(1).over("_side", order_by="trade_date")
    detail = pl.format("{}: {} rows, {} usual before", "trade_date", "rows", pl.col("_usual").round(0).cast(pl.Int64))
    change = (pl.col("rows") / pl.col("_usual") - 1).abs()
    return counts.with_columns(_usual=usual).select(session="trade_date", value=change, detail=detail)


def _churn(inputs: GateInputs) -> pl.DataFrame:
    """Return the fraction of instruments that appeared or disappeared since the previous session."""
    shares = inputs.context.filter(pl.col("series").is_in(EQUITY_SERIES)).select("trade_date", "instrument_id")
    order = _sides(shares.select(pl.col("trade_date").unique()), inputs.limits).with_columns(
        _number=pl.int_range(pl.len()), _first=pl.col("_side").ne_missing(pl.col("_side").shift(1))
    )
    numbered = shares.join(order.select("trade_date", "_number"), on="trade_date").drop("trade_date")
    before = numbered.with_columns(pl.col("_number") + 1)
    both = numbered.join(before, on=["_number", "instrument_id"], how="full", suffix="_before")
    counted = both.group_by(_number=pl.coalesce("_number", "_number_before")).agg(
        came=pl.col("_number_before").is_null().sum(), went=pl.col("_number").is_null().sum(), all=pl.len()
    )
    dated = counted.join(order.filter(~pl.col("_first")), on="_number")
    detail = pl.format("{}: {} shares came, {} went", "trade_date", "came", "went")
    return dated.select(session="trade_date", value=(pl.col("came") + pl.col("went")) / pl.col("all"), detail=detail)


def _continuity(inputs: GateInputs) -> pl.DataFrame:
    """Compare each previous close with the close in the lake: if most differ, a session is missing in between."""
    shares = inputs.context.filter(pl.col("series").is_in(EQUITY_SERIES))
    sides = _sides(shares.select(pl.col("trade_date").unique()), inputs.limits)
    held = pl.col("close").shift(1).over("instrument_id", "_side", order_by="trade_date")
    both = shares.join(sides, on="trade_date").with_columns(_held=held).drop_nulls(["_held", "prev_close"])
    broken = both.group_by(session="trade_date").agg(value=(pl.col("_held") != pl.col("prev_close")).mean())
    text = "{}: {}% of previous closes are not those of the lake: is a session missing before it?"
    return broken.with_columns(detail=pl.format(text, "session", (pl.col("value") * 100).round(0).cast(pl.Int64)))


def _sides(sessions: pl.DataFrame, limits: Limits) -> pl.DataFrame:
    """Return the sessions in order, with a number that increases after each gap of missing sessions."""
    hole = (pl.col("trade_date").diff() > timedelta(days=limits.hole_days)).fill_null(value=False)
    return sessions.sort("trade_date").with_columns(_side=hole.cum_sum())


def _outside_range(inputs: GateInputs) -> pl.DataFrame:
    """Return bars whose prices are out of order; the contract allows none, so they were written without its check.

    Series T0 has the close of series EQ, so its published close may be outside low and high.
    """
    prices = pl.col("open", "close")
    apart = pl.any_horizontal((prices < pl.col("low")) | (prices > pl.col("high")))
    outside = inputs.bars.filter((pl.col("series") != "T0") & apart)
    return _found(outside, pl.col("close"), pl.format("close {}, low {}, high {}", "close", "low", "high"))


def _inconsistent(inputs: GateInputs) -> pl.DataFrame:
    """Return bars whose average price is outside low and high by more than the rounding of prices and turnover."""
    average = pl.col("turnover") / pl.col("volume")
    rounded = pl.when(pl.col("source") == _ROUNDED).then(_HALF_A_THOUSAND / pl.col("volume")).otherwise(0.0) + 0.005
    outside = (average < pl.col("low") - rounded) | (average > pl.col("high") + rounded)
    found = inputs.bars.filter((pl.col("volume") > 0) & outside)
    detail = pl.format("turnover over volume {}, low {}, high {}", average.round(4), "low", "high")
    return _found(found, average, detail)


def _gaps(inputs: GateInputs) -> pl.DataFrame:
    """Return the `unexplained` gaps of the evaluated sessions in series of shares."""
    shares = inputs.context.filter(pl.col("series").is_in(EQUITY_SERIES))
    wide = unexplained(shares, inputs.factors, inputs.limits.gap).join(inputs.bars, on="trade_date", how="semi")
    detail = pl.format("open {}, previous close {}, last bar {}", "open", "prev_close", "before")
    return _found(wide, pl.col("gap"), detail)


def unexplained(bars: pl.DataFrame, factors: pl.DataFrame, limit: float = GAP) -> pl.DataFrame:
    """Return the bars that opened far from the previous close, adjusted for dividends too, without a manual decision.

    `bars` are as traded, with instrument_id, trade_date, open, close and prev_close. They come back adjusted,
    with `gap` (open over previous close, less 1), and date and close of the bar before as `before` and `held`. An
    action without a factor explains no gap, because its effect on the price is unknown.

    The first bar of an instrument is left out, because on a listing day the previous close is the issue price; so are
    moves of penny shares by two ticks. After a suspension the exchange sets its own previous close, and after a missing
    session the last close in the lake is old; so an open counts as a gap only if it is far from both.
    """
    adjusted = adjust(bars, factors, total_return=True).with_columns(_LAST_BAR)
    gap, moved = pl.col("open") / pl.col("prev_close") - 1, (pl.col("open") - pl.col("prev_close")).abs()
    from_held = pl.col("open") / pl.col("held") - 1
    beyond = (gap.abs() > limit) & (from_held.abs() > limit) & (moved > TICKS)
    wide = adjusted.with_columns(gap=gap).filter(pl.col("before").is_not_null() & beyond)
    return _without_decision(wide, factors)


def _found(bars: pl.DataFrame, value: pl.Expr, detail: pl.Expr) -> pl.DataFrame:
    finding = {"value": value.cast(pl.Float64), "detail": detail}
    return bars.select(pl.col("trade_date").alias("session"), "instrument_id", "symbol", "series", **finding)
