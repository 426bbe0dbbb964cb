"""Corporate actions of the lake that wait for a person, how far its lists reach, and gaps that no label may cross."""

from __future__ import annotations

from datetime import date

import polars as pl

from champion import action_questions, quality
from champion.action_questions import Reach
from champion.actions import ACTIONS, VERSION
from champion.factors import FACTORS, VERSION as FACTORS_VERSION
from champion.lake import Lake
from champion.normalize import EQUITY_SERIES
from champion.pipeline.actions import known_factors
from champion.pipeline.bars import BARS

_COLUMNS = ("instrument_id", "trade_date", "open", "close")
_NAMED = 8


def questions(lake: Lake, start: date | None = None, end: date | None = None) -> pl.DataFrame:
    """Return the actions of company shares that wait for a person; see `action_questions.questions`."""
    found = action_questions.questions(known_factors(lake), lake.sessions(BARS))
    first, last = start or date.min, end or date.max
    return found.filter(pl.col("session").is_between(first, last))


def reach(lake: Lake) -> Reach:
    """Return the ex-dates that the lake's lists cover, and the sessions that none covers."""
    covers = lake.scan(ACTIONS).select("kind", "covers_from", "covers_to").unique().collect()
    return action_questions.reach(covers, lake.sessions(BARS))


def summary(waiting: pl.DataFrame) -> str:
    """Return how many actions wait, by what is wrong with them, with the latest names."""
    parts = []
    for gate, what in quality.QUESTIONS.items():
        mine = waiting.filter(pl.col("gate") == gate).sort("session", "symbol", descending=[True, False])
        if mine.height:
            names = ", ".join(f"{symbol} {day}" for symbol, day in mine.select("symbol", "ex_date").head(_NAMED).rows())
            parts.append(f"{mine.height:,} {what}: {names}" + (", ..." if mine.height > _NAMED else ""))
    return "; ".join(parts)


def left_out(lake: Lake, frame: pl.DataFrame) -> dict[str, str | int]:
    """Return, for the record of a training, how many labels of `frame` reach across a gap, and how far the lists reach.

    `frame` is what `learn.training_frame` returns.
    """
    return {"labels_across_gaps": int(frame["across_gap"].sum()), "corporate_actions": reach(lake).text}


def is_current(lake: Lake) -> bool:
    """Tell whether the lake's actions and factors follow the rules of this version of Champion."""
    for name, part, version in ((ACTIONS, "actions", VERSION), (FACTORS, "factors", FACTORS_VERSION)):
        held = lake.sessions(name)
        manifest = lake.manifest(name, held[-1]) if held else None
        if manifest is not None and manifest.current.inputs.get(part) != version:
            return False
    return True


def unadjusted_gaps(lake: Lake, start: date, end: date, factors: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return instrument_id and session of each gap from `start` to `end` that prices are not adjusted for.

    These are opens beyond 25% of the close before that no factor explains, and gaps of any size on the ex-date of an
    action that is not understood or undecided. A label across one of them is no return.
    """
    known = known_factors(lake) if factors is None else factors
    bars = lake.scan(BARS, start, end).filter(pl.col("series").is_in(EQUITY_SERIES)).select(_COLUMNS)
    held = pl.col("close").shift(1).over("instrument_id", order_by="trade_date")
    suspects = bars.filter((pl.col("open") / held - 1).abs() > quality.GAP).select("instrument_id")
    moved = known.lazy().filter(pl.col("price_factor").is_not_null() & (pl.col("kind") != "dividend"))
    asked = pl.concat([suspects, moved.select("instrument_id")]).unique()
    gaps = quality.unadjusted_gaps(bars.join(asked, on="instrument_id", how="semi").collect(), known)
    undecided = action_questions.label_gaps(known).filter(pl.col("session").is_between(start, end))
    return pl.concat([gaps, undecided]).unique().sort("session", "instrument_id")
