"""Add to a training frame, or to scores, the styles and sectors as known on each session, and targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from champion.base.counting import quantity
from champion.contracts.datasets import BARS
from champion.errors import UsageError
from champion.lake import Lake
from champion.market.actions.adjustment import chained
from champion.market.reference.indices.sectors import UNKNOWN
from champion.modeling import targets
from champion.modeling.estimators import Recipe
from champion.modeling.labels import forward_return
from champion.modeling.leakage_checks import score_checks
from champion.modeling.multiplicity import widening
from champion.modeling.styles import LOOKBACK, SECTOR, STYLES, neutral_ic, styles
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.ingest.corporate_actions import known_factors, unadjusted_gaps
from champion.pipeline.models.frames import LAG
from champion.pipeline.reference.membership import with_sectors
from champion.portfolio.construction import Rule, target_weights

_KEY = ["instrument_id", "trade_date"]
_COLUMNS = (*_KEY, "symbol", "close", "turnover")


def with_styles(lake: Lake, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows (instrument_id, trade_date) with `styles.STYLES` and sector, in their order.

    A style is the rank among all bars of the session, and null if the instrument has too few bars. The sector is that
    of the lists up to the session, `Unknown` for an instrument in no list, and for all if the lake has no list.
    """
    if rows.is_empty():
        unknown = [pl.lit(None, pl.Float64).alias(name) for name in STYLES]
        return rows.with_columns(*unknown, pl.lit(UNKNOWN).alias(SECTOR))
    first: date = rows["trade_date"].min()  # type: ignore[assignment]
    last: date = rows["trade_date"].max()  # type: ignore[assignment]
    # Instruments that skip sessions need more of the calendar.
    before = lake.sessions(BARS, end=first)[-2 * LOOKBACK :]
    raw = equity_bars(lake, min([first, *before]), last, kinds=None).select(_COLUMNS).collect()
    bars = chained(raw, known_factors(lake))
    named = rows.drop([name for name in (*STYLES, SECTOR) if name in rows.columns])
    known = named.join(styles(bars), on=_KEY, how="left", maintain_order="left")
    return with_sectors(known, lake).with_columns(pl.col(SECTOR).fill_null(UNKNOWN))


def with_target(
    lake: Lake, frame: pl.DataFrame, recipe: Recipe, *, horizon: int, lag: int = LAG, total_return: bool = False
) -> pl.DataFrame:
    """Return a training frame with what the recipe's model learns as target; unchanged for the default target.

    The frame's forward_return is that of the longest horizon, `horizon`, so no label ends later than label_end. The
    returns of the recipe's shorter horizons are computed here from bars up to the frame's last label_end, with
    dividends if `total_return`. Only styles known at the close of a row's session are used.

    Raises:
        UsageError: the target is not known, or a horizon of the recipe is not shorter than `horizon`.
    """
    targets.find(recipe.target)
    if wrong := [each for each in recipe.horizons if not 1 <= each < horizon]:
        raise UsageError(
            f"horizons {', '.join(map(str, wrong))} cannot be combined with a horizon of "
            f"{quantity(horizon, 'session')}: they are at least 1 and shorter, since labels are purged by the "
            "longest; give the longest one as horizon"
        )
    if recipe.target == targets.DEFAULT and not recipe.horizons:
        return frame
    rows = with_styles(lake, frame) if targets.uses_styles(recipe.target) else frame
    columns = {f"_return_in_{each}": each for each in dict.fromkeys(recipe.horizons)}
    for name, returns in _returns(lake, frame, columns, lag, total_return=total_return).items():
        rows = rows.join(returns.rename({"forward_return": name}), on=_KEY, how="left", maintain_order="left")
    named: Sequence[str] = (*columns, "forward_return")
    return targets.add_target(rows, recipe.target, named).drop(columns)


@dataclass(frozen=True, slots=True)
class JudgedScores:
    """What the gate reads from scores: `checks`, as of `leakage_checks.score_checks`, `neutral_ic` and `wider`.

    Scores that fail their own check have neither ranks nor holdings: then `neutral_ic` is None, and `wider` NaN.

    >>> JudgedScores(pl.DataFrame()).neutral_ic is None
    True
    """

    checks: pl.DataFrame
    neutral_ic: pl.DataFrame | None = None
    wider: float = math.nan


def judged_scores(
    lake: Lake, scores: pl.DataFrame, out_of_sample: pl.DataFrame, rule: Rule, horizon: int
) -> JudgedScores:
    """Return what the gate reads from scores that an account follows by a rule.

    `scores` has trade_date, instrument_id and score; `out_of_sample` has those with a known forward_return over
    `horizon` sessions.
    """
    checks = checked(lake, scores, out_of_sample, horizon)
    if not checks["passed"][0]:
        return JudgedScores(checks)
    return JudgedScores(checks, neutral_ic(with_styles(lake, out_of_sample)), clustered(lake, scores, rule))


def checked(lake: Lake, scores: pl.DataFrame, out_of_sample: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Return the checks of scores, `leakage_checks.score_checks`, with the returns that they could know too early."""
    known = scores.select(*_KEY, "score")
    if known.is_empty():
        unknown = pl.lit(None, pl.Float64)
        return score_checks(known.with_columns(forward_return=unknown, next_return=unknown), horizon)
    first: date = known["trade_date"].min()  # type: ignore[assignment]
    bars = adjusted_bars(lake, first, columns=_COLUMNS, kinds=None)
    ahead = forward_return(bars, 1).select(*_KEY, next_return="forward_return")
    labels = out_of_sample.select(*_KEY, "forward_return").unique(_KEY)
    return score_checks(known.join(labels, on=_KEY, how="left").join(ahead, on=_KEY, how="left"), horizon)


def returns_between(lake: Lake, first: date, every: int) -> pl.DataFrame:
    """Return the forward_return of all instruments from `first` on, as `clustered` needs it for rules of `every`."""
    bars = adjusted_bars(lake, first, columns=_COLUMNS, kinds=None)
    return forward_return(bars, every, LAG).select(*_KEY, "forward_return").drop_nulls()


def clustered(lake: Lake, scores: pl.DataFrame, rule: Rule | None = None, ahead: pl.DataFrame | None = None) -> float:
    """Return the factor `multiplicity.widening` of a portfolio that follows scores by a rule, before costs.

    `scores` has trade_date, instrument_id and score. Each decision's instruments count from the close of the next
    session to that of the session after the next decision; the benchmark holds all scored instruments equally. NaN if
    no return is known. `ahead` is what `returns_between` returns, to judge many portfolios.
    """
    rule = replace(rule or Rule(), risk_limit=None)  # it leaves the relative weights as they are
    known = scores.drop_nulls(["trade_date", "instrument_id", "score"])
    chosen = target_weights(known, rule).with_columns(
        weight=pl.col("weight") / pl.col("weight").sum().over("trade_date")
    )
    if chosen.is_empty():
        return math.nan
    ahead = returns_between(lake, known["trade_date"].min(), rule.every) if ahead is None else ahead  # type: ignore[arg-type]
    decided = known.join(chosen.select("trade_date").unique(), on="trade_date", how="semi").select(_KEY)
    rows = decided.join(ahead, on=_KEY).join(chosen, on=_KEY, how="left").with_columns(pl.col("weight").fill_null(0.0))
    held = pl.col("weight").sum().over("trade_date")
    rows = rows.with_columns(
        active=pl.col("forward_return") - pl.col("forward_return").mean().over("trade_date"),
        benchmark=1 / pl.len().over("trade_date"),
        # Instruments without a known return are in neither of both, so their weights add up to the same.
        weight=pl.when(held > 0).then(pl.col("weight") / held).otherwise(0.0),
    )
    if rows.is_empty():
        return math.nan
    wide = (rows.pivot("instrument_id", index="trade_date", values=name) for name in ("weight", "benchmark", "active"))
    return widening(*(each.drop("trade_date").fill_null(0.0).to_numpy() for each in wide))


def _returns(
    lake: Lake, frame: pl.DataFrame, columns: dict[str, int], lag: int, *, total_return: bool
) -> dict[str, pl.DataFrame]:
    if not columns or (last := frame["label_end"].max()) is None:
        return {}
    first: date = frame["trade_date"].min()  # type: ignore[assignment]
    bars = adjusted_bars(lake, first, last, columns=_COLUMNS, kinds=None, total_return=total_return)  # type: ignore[arg-type]
    gaps = unadjusted_gaps(lake, first, last)  # type: ignore[arg-type]
    return {
        name: forward_return(bars, horizon, lag, gaps).select(*_KEY, "forward_return")
        for name, horizon in columns.items()
    }
