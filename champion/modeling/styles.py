"""Styles: what a score may be a bet on besides skill. Volatility, beta and liquidity, each known at the close.

A score that ranks calm shares first earns what calm shares earn. `exposures` measures such bets, and `neutralised`
removes them, with those on sectors, by a regression within each session. Traded value stands for size, of which there
is no history.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from champion.errors import UsageError
from champion.indicators import cross_section
from champion.indicators.bars import check_bars
from champion.indicators.numeric.unknown import known
from champion.modeling.metrics import rank_ic

__all__ = ["LOOKBACK", "SECTOR", "STYLES", "exposures", "neutral_ic", "neutralised", "styles"]
__dir__ = __all__.copy

STYLES = ("style_volatility", "style_beta", "style_liquidity")
"""The columns of the styles, in the order in which they are removed."""
LOOKBACK = 61
"""Bars of an instrument that its styles use, the session's included."""
SECTOR = "sector"
"""The column of the sector as known on the session; `Unknown` counts as one sector."""
_WINDOW, _FEWEST, _TURNOVERS = 60, 20, 20  # returns, the fewest of them, and bars of the median turnover
_BEST = 0.2  # share of the session's scores that counts as held
_ENOUGH = 3  # instruments that a correlation needs
_DIGITS = 12  # residuals that differ beyond them are equal


def styles(bars: pl.DataFrame) -> pl.DataFrame:
    """Return instrument_id, trade_date and `STYLES` for each bar, as ranks of the session from -0.5 to 0.5.

    `bars` are adjusted, in any row order: instrument_id, trade_date, close and turnover in rupees, with the `LOOKBACK`
    bars of each instrument up to the first session that matters. Of the last 60 daily returns of the instrument's own
    bars, at least 20, volatility is the standard deviation, and beta the slope on the mean return of all instruments of
    the session. Liquidity is the median turnover of the last 20 bars. A style is null where bars are missing.

    Raises:
        ContractError: `check_bars` rejects the bars.

    >>> from datetime import date, timedelta
    >>> days = [date(2024, 1, 1) + timedelta(n) for n in range(30)]
    >>> moves = [1.0, 1.1] * 15
    >>> bars = pl.DataFrame({
    ...     "instrument_id": ["A"] * 30 + ["B"] * 30, "trade_date": days * 2,
    ...     "close": [10 * move for move in moves] + [10.0] * 30, "turnover": [1e6] * 30 + [9e6] * 30,
    ... })
    >>> styles(bars).filter(trade_date=days[-1]).select(STYLES).rows()
    [(0.25, 0.25, -0.25), (-0.25, -0.25, 0.25)]
    """
    columns = ("instrument_id", "trade_date", "close", "turnover")
    check_bars(bars, columns)
    moves = (
        bars.select(columns)
        .sort("instrument_id", "trade_date")
        .with_columns(_move=known(pl.col("close") / pl.col("close").shift(1) - 1).over("instrument_id"))
        .with_columns(_market=pl.col("_move").mean().over("trade_date"))
    )
    market = pl.when(pl.col("_move").is_not_null()).then("_market")
    own, both = pl.col("_move"), pl.col("_move") * market
    mean, of_market, product = (value.rolling_mean(_WINDOW, min_samples=_FEWEST) for value in (own, market, both))
    variance = market.rolling_var(_WINDOW, min_samples=_FEWEST, ddof=0)
    raw = {
        "style_volatility": own.rolling_std(_WINDOW, min_samples=_FEWEST),
        "style_beta": known((product - mean * of_market) / variance),
        "style_liquidity": pl.col("turnover").cast(pl.Float64).rolling_median(_TURNOVERS),
    }
    valued = moves.with_columns(value.over("instrument_id").alias(name) for name, value in raw.items())
    ranked = (cross_section.rank(pl.col(name)).over("trade_date").alias(name) for name in STYLES)
    return valued.select("instrument_id", "trade_date", *ranked)


def neutralised(frame: pl.DataFrame, name: str, by: Sequence[str] = STYLES) -> pl.Series:
    """Return what is left of a column after a regression, within each session, on styles and sectors.

    `frame` has trade_date, the column, the styles `by` and, if sectors shall be removed too, sector. The residual has
    the column's unit, the mean 0 in each sector and session, and no correlation with a style. It is null where the
    column, a style or the sector is null: an instrument of unknown style is not judged. In row order.

    Raises:
        UsageError: a column is missing.

    >>> from datetime import date
    >>> frame = pl.DataFrame({"score": [0.9, 0.6, 0.4, 0.3], "beta": [0.4, 0.2, 0.0, -0.2]})
    >>> neutralised(frame.with_columns(trade_date=date(2024, 1, 1)), "score", ["beta"]).round(2).to_list()
    [0.05, -0.05, -0.05, 0.05]
    """
    if missing := [column for column in ("trade_date", name, *by) if column not in frame.columns]:
        raise UsageError(f"the frame lacks {', '.join(missing)}; it has {', '.join(frame.columns)}")
    groups = ["trade_date", *([SECTOR] if SECTOR in frame.columns else [])]
    numbers = [known(pl.col(column).cast(pl.Float64)) for column in (name, *by)]
    whole = pl.all_horizontal(*(number.is_not_null() for number in numbers), pl.col(groups[-1]).is_not_null())
    # Frisch and Waugh (1933): demeaned within sectors, a regression on styles is one on styles and sectors.
    places = [f"_{place}" for place in range(len(numbers))]
    masked = [pl.when(whole).then(number).alias(place) for place, number in zip(places, numbers, strict=True)]
    centred = (
        frame.select(*groups, *masked)
        .with_columns(cross_section.demean(pl.col(place)).over(groups).alias(place) for place in places)
        .with_columns(
            cross_section.neutralise(pl.col(places[0]), *(pl.col(place) for place in places[1:])).over("trade_date")
        )
    )
    return centred[places[0]].alias(name)


def neutral_ic(scores: pl.DataFrame, by: Sequence[str] = STYLES) -> pl.DataFrame:
    """Return trade_date and ic: the rank correlation of scores and returns after both are neutralised, per session.

    `scores` has trade_date, score, forward_return, the styles `by` and, to remove sectors, sector. What a score earns
    as a bet on a style or a sector is not in it. Sessions are left out as in `metrics.rank_ic`.

    >>> from datetime import date
    >>> scores = pl.DataFrame({"score": [0.9, 0.6, 0.4, 0.3], "beta": [0.4, 0.2, 0.0, -0.2]})
    >>> scores = scores.with_columns(trade_date=date(2024, 1, 1), forward_return=pl.col("beta") / 10 + pl.col("score"))
    >>> neutral_ic(scores, ["beta"])["ic"].round(4).to_list()
    [1.0]
    """
    paired = scores.with_columns(known(pl.col(name)).alias(name) for name in ("score", "forward_return"))
    paired = paired.drop_nulls(["score", "forward_return"])
    left = [neutralised(paired, name, by) for name in ("score", "forward_return")]
    return rank_ic(paired.select("trade_date").with_columns(column.round(_DIGITS) for column in left))


def exposures(scores: pl.DataFrame, by: Sequence[str] = STYLES) -> pl.DataFrame:
    """Return style, correlation, held and sessions: how much scores are a bet on each style.

    `scores` has trade_date, score and the styles `by` as ranks. `correlation` is the mean over sessions of the rank
    correlation of score and style, from -1 to 1. `held` is the mean style rank of the best fifth less that of all, from
    -0.5 to 0.5. Rows of unknown style or score are left out; NaN without a session of three instruments.

    >>> from datetime import date
    >>> scores = pl.DataFrame({"score": [1.0, 2.0, 3.0, 4.0], "beta": [0.4, 0.1, -0.1, -0.4]})
    >>> exposures(scores.with_columns(trade_date=date(2024, 1, 1)), ["beta"]).rows()
    [('beta', -1.0, -0.4, 1)]
    """
    rows = []
    for style in by:
        pair = [known(pl.col(column)).alias(column) for column in ("score", style)]
        chosen = scores.select("trade_date", *pair).drop_nulls()
        size = (pl.len() * _BEST).floor().clip(1)
        best = pl.col(style).filter(pl.col("score").rank("ordinal", descending=True) <= size)
        sessions = (
            chosen.group_by("trade_date", maintain_order=True)
            .agg(
                correlation=pl.corr(pl.col("score").rank(), pl.col(style).rank()),
                held=best.mean() - pl.col(style).mean(),
                count=pl.len(),
            )
            .filter((pl.col("count") >= _ENOUGH) & pl.col("correlation").is_finite())
        )
        means = sessions.select(pl.col("correlation", "held").mean()).fill_null(float("nan")).row(0)
        rows.append((style, *means, sessions.height))
    return pl.DataFrame(rows, schema=["style", "correlation", "held", "sessions"], orient="row")
