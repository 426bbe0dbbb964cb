"""Corporate actions that need a manual decision, and the ex-dates that the lists cover. Frames in, frames out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from champion.market.actions.action_text import NOT_UNDERSTOOD
from champion.market.actions.adjustment_factors import DECISION, NO_BARS, NON_DIVIDENDS, UNDECIDED

_GATES = {NOT_UNDERSTOOD: "actions_not_understood", UNDECIDED: "actions_undecided", NO_BARS: "actions_without_bars"}


@dataclass(frozen=True, slots=True)
class ListCoverage:
    """The ex-dates that the lists cover, as ranges in order, and the sessions of the lake that no list covers.

    >>> coverage = ListCoverage(((date(2024, 1, 1), date(2024, 6, 28)),), (date(2024, 7, 1), date(2024, 7, 2)))
    >>> coverage.text
    'lists cover ex-dates 2024-01-01 to 2024-06-28; 2 sessions from 2024-07-01 to 2024-07-02 are covered by none'
    """

    covered: tuple[tuple[date, date], ...]
    unlisted: tuple[date, ...]

    @property
    def last(self) -> date | None:
        """The last covered ex-date; None without a list."""
        return self.covered[-1][1] if self.covered else None

    @property
    def text(self) -> str:
        """The coverage as a sentence."""
        ranges = ", ".join(f"{first} to {last}" for first, last in self.covered)
        found = f"lists cover ex-dates {ranges}" if ranges else "no list of corporate actions was read"
        if not self.unlisted:
            return found
        count, plural = len(self.unlisted), "s" if len(self.unlisted) > 1 else ""
        where = f"from {self.unlisted[0]} to {self.unlisted[-1]} are" if plural else f"{self.unlisted[0]} is"
        return f"{found}; {count:,} session{plural} {where} covered by none"


def list_coverage(actions: pl.DataFrame, sessions: Sequence[date]) -> ListCoverage:
    """Return the coverage of the lists in `actions`, contract normalized_corporate_actions, for the lake's sessions."""
    spans = actions.filter(pl.col("kind") != DECISION).select("covers_from", "covers_to").unique().sort(pl.all())
    merged: list[tuple[date, date]] = []
    for first, last in spans.rows():
        if merged and first <= merged[-1][1] + timedelta(days=1):
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    outside = [day for day in sessions if not any(first <= day <= last for first, last in merged)]
    return ListCoverage(tuple(merged), tuple(outside))


def questions(factors: pl.DataFrame, sessions: Sequence[date]) -> pl.DataFrame:
    """Return the actions of company shares that need a manual decision, as findings with ex_date and kind.

    Gates: `actions_not_understood`, `actions_undecided`, and `actions_without_bars` for price-moving actions whose
    instrument has no bar in the lake, though the lake has their ex-date. `session` is the first of `sessions` on or
    after the ex-date, `value` the unexplained gap. Actions before the first or after the last session, or before an
    instrument's first bar, are left out: they change no price in the lake.
    """
    calendar = pl.DataFrame({"session": sorted(sessions)}, schema={"session": pl.Date})
    shares = pl.col("instrument_id").str.count_matches(":", literal=True) == 1
    first = sessions[0] if sessions else date.max
    no_bars = (pl.col("verdict") == NO_BARS) & pl.col("kind").is_in([*NON_DIVIDENDS, DECISION])
    waits = pl.col("verdict").is_in([NOT_UNDERSTOOD, UNDECIDED]) & pl.col("prev_close").is_not_null()
    open_ = factors.filter(shares & (no_bars | waits) & (pl.col("ex_date") >= first)).sort("ex_date")
    found = open_.join_asof(calendar, left_on="ex_date", right_on="session", strategy="forward", coalesce=False)
    without_bars = pl.lit("the lake has no bar of this instrument")
    why = pl.when(pl.col("verdict") == NO_BARS).then(without_bars).otherwise("reason")
    return (
        found.drop_nulls("session")
        .select(
            "session",
            pl.col("verdict").replace_strict(_GATES, return_dtype=pl.String).alias("gate"),
            "instrument_id",
            "symbol",
            pl.lit("EQ").alias("series"),
            pl.col("gap").fill_null(0.0).alias("value"),
            pl.format("{} on {}: {} ({})", "kind", "ex_date", "purpose", why.fill_null("no reason given")).alias(
                "detail"
            ),
            "ex_date",
            "kind",
        )
        .sort("session", "gate", "symbol", "kind")
    )


def label_gaps(factors: pl.DataFrame) -> pl.DataFrame:
    """Return instrument_id and the ex-dates of gaps without a factor: actions not understood or undecided."""
    left = factors.filter(pl.col("verdict").is_in([NOT_UNDERSTOOD, UNDECIDED]) & pl.col("gap").is_not_null())
    return left.select("instrument_id", pl.col("ex_date").alias("session")).unique()
