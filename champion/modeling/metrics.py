"""Metrics of scores out of sample: information coefficients, quantile returns and a long-short portfolio.

Frames hold trade_date, instrument_id, score and forward_return (a decimal), one row per instrument and session. Rows
without a forward return are left out; NaN and infinity are treated as null. Scores of a session that differ only by
rounding (`indicators.numeric.variation`) are equal. Sharpe ratios are annualised with `SESSIONS_PER_YEAR` sessions.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import polars as pl

from champion.indicators import realised
from champion.indicators.numeric.unknown import known
from champion.indicators.numeric.variation import varies

__all__ = [
    "SESSIONS_PER_YEAR", "deflated_sharpe_ratio", "information_coefficient", "long_short_return", "max_drawdown",
    "quantile_returns", "rank_ic", "sharpe_ratio", "summarise_ic",
]  # fmt: skip
__dir__ = __all__.copy

SESSIONS_PER_YEAR = realised.SESSIONS_PER_YEAR
_NORMAL = NormalDist()
_FEWEST = 3  # instruments that the correlation of a session needs


def information_coefficient(scores: pl.DataFrame) -> pl.DataFrame:
    """Return trade_date and ic: the Pearson correlation of score and forward_return per session.

    Sessions with fewer than 3 instruments, or where all scores or all returns are equal, are left out.

    >>> from datetime import date
    >>> scores = {"trade_date": [date(2024, 1, 1)] * 3, "score": [1, 2, 3], "forward_return": [0.0, 0.1, 0.5]}
    >>> information_coefficient(pl.DataFrame(scores))["ic"].round(4).to_list()
    [0.9449]
    """
    return _per_session(scores, pl.corr("score", "forward_return"))


def rank_ic(scores: pl.DataFrame) -> pl.DataFrame:
    """Return trade_date and ic: the Spearman correlation of score and forward_return per session.

    >>> from datetime import date
    >>> scores = {"trade_date": [date(2024, 1, 1)] * 3, "score": [1, 2, 3], "forward_return": [0.0, 0.1, 0.2]}
    >>> rank_ic(pl.DataFrame(scores))["ic"].to_list()
    [1.0]
    """
    return _per_session(scores, pl.corr(pl.col("score").rank(), pl.col("forward_return").rank()))


def summarise_ic(ic: pl.DataFrame, horizon: int = 1) -> dict[str, float]:
    """Return mean, std, icir (mean over std), t and sessions of the coefficients of `ic`.

    Labels over `horizon` sessions overlap, so only every `horizon`-th coefficient is independent: t is
    icir * sqrt(sessions / horizon). This also holds in small samples, where Newey-West errors call three times as
    many worthless models significant as their level states. If all coefficients are equal, std is 0 and icir and t are
    NaN; with fewer than two coefficients all but sessions are NaN.

    >>> summary = summarise_ic(pl.DataFrame({"ic": [0.02, 0.04, 0.06]}), horizon=3)
    >>> {name: round(value, 4) for name, value in summary.items()}
    {'mean': 0.04, 'std': 0.02, 'icir': 2.0, 't': 2.0, 'sessions': 3.0}
    """
    values = _numbers(ic["ic"])
    count = values.len()
    if count < 2:  # noqa: PLR2004 - a variance needs two
        return {**dict.fromkeys(("mean", "std", "icir", "t"), math.nan), "sessions": float(count)}
    mean = float(values.mean())  # type: ignore[arg-type]
    std = float(values.std()) if _varies(values) else 0.0  # type: ignore[arg-type]
    icir = mean / std if std else math.nan
    return {"mean": mean, "std": std, "icir": icir, "t": icir * math.sqrt(count / horizon), "sessions": float(count)}


def quantile_returns(scores: pl.DataFrame, quantiles: int = 5) -> pl.DataFrame:
    """Return quantile (1 has the lowest scores) and mean_return, a decimal: the mean of the session means.

    Equal scores share a quantile, so the order of rows has no effect.

    >>> from datetime import date
    >>> scores = pl.DataFrame({"score": [1, 2, 3, 4], "forward_return": [0.0, 0.02, 0.04, 0.06]})
    >>> quantile_returns(scores.with_columns(trade_date=date(2024, 1, 1)), quantiles=2).rows()
    [(1, 0.01), (2, 0.05)]
    """
    place = ((pl.col("score").rank("average") - 0.5) * quantiles / pl.len()).floor().over("trade_date") + 1
    return (
        _known(scores)
        .with_columns(quantile=place.cast(pl.Int32))
        .group_by("trade_date", "quantile", maintain_order=True)  # so that sums have one order
        .agg(pl.col("forward_return").mean())
        .group_by("quantile", maintain_order=True)
        .agg(mean_return=pl.col("forward_return").mean())
        .sort("quantile")
    )


def long_short_return(scores: pl.DataFrame, *, horizon: int, cost_bps: float = 0.0, share: float = 0.2) -> pl.DataFrame:
    """Return trade_date, gross_return, turnover, cost, net_return (decimals) and equity (growth of 1), per rebalance.

    The portfolio is long the best `share` of instruments and short the worst, equally weighted, with half the capital
    on each side. It is rebalanced every `horizon` sessions, so holding periods do not overlap. `turnover` is the traded
    weight, about 2 if both sides are replaced; each unit costs `cost_bps` basis points. It is measured from the weights
    as they drifted since the last rebalance (weight * (1 + return) over the capital before costs), so keeping the same
    instruments also trades. `equity` is sampled at rebalances. Instruments with equal scores are held together or not
    at all; if that leaves a side empty, as when all scores are equal, nothing is held until the next rebalance.

    >>> from datetime import date
    >>> scores = pl.DataFrame({
    ...     "trade_date": [date(2024, 1, 1)] * 4,
    ...     "instrument_id": ["A", "B", "C", "D"],
    ...     "score": [0.2, 0.4, 0.6, 0.8],
    ...     "forward_return": [-0.02, 0.0, 0.0, 0.04],
    ... })
    >>> portfolio = long_short_return(scores, horizon=5, cost_bps=10.0, share=0.25)
    >>> portfolio.select(pl.col("gross_return", "turnover", "cost", "net_return").round(4)).row(0)
    (0.03, 1.0, 0.001, 0.029)
    """
    known = _known(scores)
    rebalances = known["trade_date"].unique().sort().gather_every(horizon)
    size = (pl.len() * share).floor().cast(pl.Int64).clip(1)
    place = pl.col("score").rank("average") - 0.5
    side = pl.when(place > pl.len() - size).then(1).when(place < size).then(-1)
    weights = (
        known.filter(pl.col("trade_date").is_in(rebalances.implode()))
        .with_columns(_side=side.over("trade_date"))
        .drop_nulls("_side")
        .filter(pl.col("_side").n_unique().over("trade_date") > 1)
        .with_columns(weight=0.5 * pl.col("_side") / pl.len().over("trade_date", "_side"))
    )
    gross = weights.group_by("trade_date", maintain_order=True).agg(
        gross_return=(pl.col("weight") * pl.col("forward_return")).sum()
    )
    return (
        _turnover(weights, rebalances)
        .join(gross, on="trade_date", how="left")
        .select("trade_date", pl.col("gross_return").fill_null(0.0), "turnover")  # no positions, no return
        .sort("trade_date")
        .with_columns(cost=pl.col("turnover") * cost_bps / 10_000)
        .with_columns(net_return=pl.col("gross_return") - pl.col("cost"))
        .with_columns(equity=(1 + pl.col("net_return")).cum_prod())
    )


def sharpe_ratio(returns: pl.Series, periods_per_year: float) -> float:
    """Return the annualised Sharpe ratio of per-period returns; NaN with fewer than 2 or if all are equal.

    It is the mean over the standard deviation; no risk-free rate is subtracted.
    `periods_per_year` is `SESSIONS_PER_YEAR` over the sessions of a period.

    >>> round(sharpe_ratio(pl.Series([0.01, 0.03]), 1), 4)
    1.4142
    """
    returns = _numbers(returns)
    mean, std = returns.mean(), returns.std()
    if not isinstance(std, float) or not isinstance(mean, float) or not _varies(returns):
        return math.nan
    return mean / std * math.sqrt(periods_per_year)


def deflated_sharpe_ratio(
    sharpe: float, *, trials: int, variance: float, periods: int, skew: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Return the probability that a Sharpe ratio is above the expected best of `trials` strategies without skill.

    `sharpe` is per period, not annualised; `variance` is the variance of the trials' Sharpe ratios. NaN with fewer than
    2 periods, or if no distribution has this skew, kurtosis and Sharpe ratio. Source: D. Bailey and
    M. Lopez de Prado, The Deflated Sharpe Ratio, Journal of Portfolio Management 40 (2014).

    >>> yearly = {"trials": 100, "variance": 0.5 / 250, "periods": 1250, "skew": -3, "kurtosis": 10}
    >>> round(deflated_sharpe_ratio(2.5 / 250**0.5, **yearly), 4)
    0.9004
    """
    expected = 0.0
    if trials > 1:
        euler = 0.5772156649015329
        best = (1 - euler) * _NORMAL.inv_cdf(1 - 1 / trials) + euler * _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
        expected = math.sqrt(variance) * best
    variance_of_sharpe = 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if not variance_of_sharpe > 0 or periods < 2:  # noqa: PLR2004 - a variance needs two
        return math.nan
    return _NORMAL.cdf((sharpe - expected) * math.sqrt(periods - 1) / math.sqrt(variance_of_sharpe))


def max_drawdown(equity: pl.Series) -> float:
    """Return the largest fall from a peak as a decimal of the peak, at most 0; 0 for an empty series.

    Only the given values count: `equity` of `long_short_return` has one per rebalance, so falls between two rebalances
    are not seen. The capital of 1 before the first value counts as a peak.

    >>> round(max_drawdown(pl.Series([1.0, 1.2, 0.9, 1.3])), 4)
    -0.25
    """
    equity = _numbers(equity)
    fall = (equity / pl.concat([pl.Series([1.0]), equity]).cum_max().slice(1) - 1).min()
    return min(float(fall), 0.0) if isinstance(fall, float) else 0.0


def _known(scores: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with score and return; scores of a session that differ only by rounding become equal."""
    columns = ["score", "forward_return"]
    kept = scores.with_columns(known(pl.col(name)).alias(name) for name in columns).drop_nulls(columns)
    score = pl.when(varies(pl.col("score"))).then("score").otherwise(pl.col("score").first())
    return kept.with_columns(score=score.over("trade_date"))


def _numbers(values: pl.Series) -> pl.Series:
    return values.to_frame("values").select(known(pl.col("values"))).to_series().drop_nulls()


def _varies(values: pl.Series) -> bool:
    """Return whether returns or coefficients differ by more than rounding."""
    return bool(values.to_frame("value").select(varies(pl.col("value"), scale=1.0)).item())


def _per_session(scores: pl.DataFrame, correlation: pl.Expr) -> pl.DataFrame:
    moves = varies(pl.col("score")) & varies(pl.col("forward_return"), scale=1.0)
    return (
        _known(scores)
        .group_by("trade_date")
        .agg(ic=correlation, count=pl.len(), moves=moves)
        .filter((pl.col("count") >= _FEWEST) & pl.col("moves") & pl.col("ic").is_not_nan())
        .select("trade_date", "ic")
        .sort("trade_date")
    )


def _turnover(weights: pl.DataFrame, rebalances: pl.Series) -> pl.DataFrame:
    """Return the turnover of each rebalance, measured from the drifted weights."""
    order = pl.DataFrame({"trade_date": rebalances}).with_row_index("_number").cast({"_number": pl.Int64})
    held = weights.join(order, on="trade_date").select("_number", "instrument_id", "weight", "forward_return")
    worth = pl.col("weight") * (1 + pl.col("forward_return"))
    capital = 1 + (pl.col("weight") * pl.col("forward_return")).sum().over("_number")
    # After a total loss there is no capital, so the weights stay as they were.
    drifted = pl.when(capital > 0).then(worth / capital).otherwise("weight")
    left = held.select(pl.col("_number") + 1, "instrument_id", weight=-drifted)
    both = pl.concat([held.drop("forward_return"), left])
    changes = both.group_by("_number", "instrument_id", maintain_order=True).agg(pl.col("weight").sum().abs())
    traded = changes.group_by("_number", maintain_order=True).agg(turnover=pl.col("weight").sum())
    # Without positions before and after a rebalance, the turnover is known to be 0.
    return order.join(traded, on="_number", how="left").select("trade_date", pl.col("turnover").fill_null(0.0))
