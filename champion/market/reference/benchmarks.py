"""Estimate a total return index from a price index and its dividend yield, and measure the error of the estimate.

The estimate lets dividends accrue evenly. Between two sessions it grows by

    close / close before + yield before / 100 * days / 365

where the yield is the trailing one of the session before, so nothing is known too early. Companies pay most dividends
from June to September, so the estimate is ahead of the truth in spring and behind it in autumn. Over years it is wrong
by the growth of dividends and by what the yield leaves out. `error_by_year` measures this where both are published.
"""

import polars as pl

from champion.errors import UsageError

ESTIMATED = "estimated"
_YEAR = 365  # days
_PERCENT, _BASIS_POINTS = 100, 10_000
_LONGEST_GAP = 10  # days between two sessions


def estimate_total_return(history: pl.DataFrame) -> pl.DataFrame:
    """Return an estimated total return index: trade_date, level, basis (`estimated`), oldest first.

    `history` has trade_date, close (index points) and dividend_yield (percent, trailing). The level begins at the first
    close that has a yield.

    >>> from datetime import date
    >>> days = [date(2024, 1, 1), date(2024, 1, 2)]
    >>> history = pl.DataFrame({"trade_date": days, "close": [100.0, 101.0], "dividend_yield": [3.65, 3.6]})
    >>> estimate_total_return(history)["level"].round(6).to_list()
    [100.0, 101.01]

    Raises:
        UsageError: a session within the history has no close or no yield, or more than ten days lie between two
            sessions; the message has the first of them.
    """
    ordered = history.select("trade_date", "close", "dividend_yield").sort("trade_date")
    first = ordered.drop_nulls()["trade_date"].min()
    known = ordered.filter(pl.col("trade_date") >= first) if first is not None else ordered.clear()
    days = pl.col("trade_date").diff().dt.total_days()
    is_bad = pl.col("close").is_null() | pl.col("dividend_yield").is_null() | (days > _LONGEST_GAP)
    bad = known.with_columns(before=pl.col("trade_date").shift(1), days=days).filter(is_bad)
    if bad.height or not known.height:
        raise UsageError(f"the estimate needs close and yield of every session; {_lacking(bad)}")
    growth = pl.col("close") / pl.col("close").shift(1)
    income = pl.col("dividend_yield").shift(1) / _PERCENT * days / _YEAR
    level = (growth + income).fill_null(1.0).cum_prod() * pl.col("close").first()
    return known.select("trade_date", level=level, basis=pl.lit(ESTIMATED))


def _lacking(bad: pl.DataFrame) -> str:
    """Return what the first session lacks on which the estimate cannot go on."""
    if bad.is_empty():
        return "no session has both"
    day, before, gap = bad.select("trade_date", "before", "days").row(0)
    if gap is not None and gap > _LONGEST_GAP:
        return f"none is there between {before} and {day}, more than {_LONGEST_GAP} days"
    return f"{len(bad)} lack one, first {day}"


def error_by_year(estimated: pl.DataFrame, published: pl.DataFrame) -> pl.DataFrame:
    """Return how wrong an estimate is in each calendar year: year, sessions, published, estimated, error_bp, widest_bp.

    `published` and `estimated` are returns from the last common session of the year before to the last of the year;
    a year before the first such session begins at its own first one. `error_bp` is the estimate less the published
    return in basis points; `widest_bp` is the largest absolute gap within the year, from the same start.

    Raises:
        UsageError: the two have no two sessions in common.

    >>> from datetime import date
    >>> days = [date(2024, 1, 1), date(2024, 12, 31)]
    >>> guess, truth = (pl.DataFrame({"trade_date": days, "level": [100.0, level]}) for level in (110.0, 111.0))
    >>> error_by_year(guess, truth).select("year", "sessions", pl.col("error_bp").round(6)).row(0)
    (2024, 2, -100.0)
    """
    both = estimated.select("trade_date", guess="level").join(
        published.select("trade_date", truth="level"), on="trade_date", how="inner", maintain_order="left"
    )
    if both.height <= 1:
        raise UsageError("The estimate and the published index have no two sessions in common.")
    year = pl.col("trade_date").dt.year()
    ends = both.group_by(year.alias("year")).last().with_columns(year=pl.col("year") + 1)
    start = ends.select("year", start_guess="guess", start_truth="truth")
    joined = both.with_columns(year=year).join(start, on="year", how="left", maintain_order="left")
    guess = pl.col("guess") / pl.col("start_guess").fill_null(pl.col("guess").first()) - 1
    truth = pl.col("truth") / pl.col("start_truth").fill_null(pl.col("truth").first()) - 1
    gap = (guess - truth) * _BASIS_POINTS
    return (
        joined.group_by("year", maintain_order=True)
        .agg(
            pl.len().alias("sessions"),
            truth.last().alias("published"),
            guess.last().alias("estimated"),
            gap.last().alias("error_bp"),
            gap.abs().max().alias("widest_bp"),
        )
        .sort("year")
    )
