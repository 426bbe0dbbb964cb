"""Check what a person gives: scores, weights and settings; and count the scores that no account can follow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from numbers import Integral, Real
from typing import Any, TypeVar

import polars as pl

from champion.base.counting import quantity
from champion.errors import UsageError

KEY = ("trade_date", "instrument_id")
_SHOWN = 3
_T = TypeVar("_T")
_UNKNOWN_SECTOR = "Unknown"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Scores that the account does not follow, in rows; each row counts once.

    `unknown` are null or NaN, or have no session or instrument; `sessions` are of days without a session of the market,
    `instruments` of instruments without bars, `small` of shares in series of small companies, and `volatility` of
    shares whose volatility is not known, where the rule weighs by it. `names` has the first instruments without bars,
    `days` the first days without a session.

    >>> LeftOut(10, instruments=2, names=("NSE:OTHER",)).text
    '2 of 10 scores were left out: 2 of instruments without bars (NSE:OTHER)'
    >>> isinstance(LeftOut(10), LeftOut), LeftOut(10).text, LeftOut(10, small=3).counts
    (True, '', {'small': 3})
    """

    scores: int
    unknown: int = 0
    sessions: int = 0
    instruments: int = 0
    small: int = 0
    volatility: int = 0
    days: tuple[date, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """The rows by reason, without reasons that left out nothing."""
        reasons = ("unknown", "sessions", "instruments", "small", "volatility")
        return {name: count for name in reasons if (count := getattr(self, name))}

    @property
    def text(self) -> str:
        """One sentence that counts and names what was left out; empty if it is nothing."""
        words = {
            "unknown": "without a value",
            "sessions": f"of days without a session ({', '.join(map(str, self.days))})",
            "instruments": f"of instruments without bars ({', '.join(self.names)})",
            "small": "of small companies (series SM and ST)",
            "volatility": "of unknown volatility",
        }
        parts = ", ".join(f"{count:,} {words[name]}" for name, count in self.counts.items())
        total = sum(self.counts.values())
        left = quantity(total, "score was", "scores were") if total == self.scores else f"{total:,} of {self.scores:,}"
        scores = "" if total == self.scores else " scores were"
        return f"{left}{scores} left out: {parts}" if parts else ""


def checked_scores(scores: Any, needed: Sequence[str] = ()) -> pl.DataFrame:
    """Return scores as trade_date, instrument_id, score (Float64) and the needed columns, with NaN as null.

    Args:
        scores: trade_date (Date), instrument_id (String) and score (numbers).
        needed: further columns, `volatility` or `sector`.

    Raises:
        UsageError: no DataFrame of Polars, a column is missing or of another type, a score is infinite, a volatility
            infinite or not above 0, or an instrument has two scores in a session.

    >>> checked_scores(pl.DataFrame({"trade_date": [date(2024, 1, 1)], "instrument_id": ["A"], "score": [1]})).row(0)
    (datetime.date(2024, 1, 1), 'A', 1.0)
    """
    columns = [*KEY, "score", *needed]
    require_frame("scores", scores, columns)
    numbers = [name for name in ("score", "volatility") if name in columns]
    _require_types("scores", scores, dict.fromkeys(numbers, "numbers"))
    known: pl.DataFrame = scores.select(columns).with_columns(
        pl.col("instrument_id").cast(pl.String), *(pl.col(name).cast(pl.Float64).fill_nan(None) for name in numbers)
    )
    _refuse(known.filter(pl.col("score").is_infinite()), "score", "finite, or null if it is not known")
    if "volatility" in needed:
        wrong = known.filter((pl.col("volatility") <= 0) | pl.col("volatility").is_infinite())
        _refuse(wrong, "volatility", "above 0 and finite, or null if it is not known")
    require_unique("scores", known.drop_nulls(KEY))
    return known


def require_frame(what: str, frame: Any, columns: Sequence[str]) -> None:
    """Refuse what is no DataFrame with these columns, whose trade_date are dates and instrument_id texts.

    Raises:
        UsageError: it is no such frame; the message says what to do.

    >>> require_frame("scores", pl.LazyFrame(), KEY)
    Traceback (most recent call last):
    ...
    champion.errors.UsageError: the scores are a polars LazyFrame; give a polars DataFrame: call .collect() first
    """
    if not isinstance(frame, pl.DataFrame):
        kind = f"{type(frame).__module__.partition('.')[0]} {type(frame).__name__}"
        cure = {"polars LazyFrame": ": call .collect() first", "pandas DataFrame": ": call pl.from_pandas(...) first"}
        raise UsageError(f"the {what} are a {kind}; give a polars DataFrame{cure.get(kind, '')}")
    if missing := [name for name in columns if name not in frame.columns]:
        raise UsageError(f"the {what} lack {', '.join(missing)}; they have {', '.join(frame.columns)}")
    keys = {"trade_date": "dates", "instrument_id": "texts"}
    _require_types(what, frame, {name: kind for name, kind in keys.items() if name in frame.columns})


def require_numbers(what: str, frame: pl.DataFrame, columns: Sequence[str]) -> None:
    """Refuse columns that hold no numbers.

    Raises:
        UsageError: one of them holds something else.

    >>> require_numbers("trades", pl.DataFrame({"price": ["5"]}), ["price"])
    Traceback (most recent call last):
    ...
    champion.errors.UsageError: price of the trades are String; give numbers
    """
    _require_types(what, frame, dict.fromkeys(columns, "numbers"))


def require_kind(name: str, value: Any, kind: type[_T]) -> _T:
    """Return a setting of the expected class.

    Raises:
        UsageError: it is of another one.

    >>> require_kind("rule", {"top": 5}, LeftOut)
    Traceback (most recent call last):
    ...
    champion.errors.UsageError: rule is a dict; give a LeftOut, as LeftOut(**rule)
    """
    if not isinstance(value, kind):
        raise UsageError(
            f"{name} is a {type(value).__name__}; give a {kind.__name__}, as {kind.__name__}"
            f"({'**' + name if isinstance(value, dict) and all(isinstance(key, str) for key in value) else '...'})"
        )
    return value


def require_day(name: str, value: Any) -> None:
    """Refuse what is neither None nor a date without a time.

    Raises:
        UsageError: it is something else.

    >>> require_day("end", "2024-01-31")
    Traceback (most recent call last):
    ...
    champion.errors.UsageError: end is a str, '2024-01-31'; give a date, as date.fromisoformat("2024-01-31")
    """
    if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
        raise UsageError(
            f'{name} is a {type(value).__name__}, {value!r}; give a date, as date.fromisoformat("2024-01-31")'
        )


def require_sessions(name: str, value: Any) -> None:
    """Refuse what is no number of sessions from 0 on.

    Raises:
        UsageError: it is something else.

    >>> require_sessions("after", 5)
    """
    if not is_whole(value) or value < 0:
        raise UsageError(f"{name} is {value!r}; give a whole number of sessions, at least 0")


def require_unique(what: str, frame: pl.DataFrame) -> None:
    """Refuse a frame that names an instrument twice in a session.

    Raises:
        UsageError: it does; the message names the first one.

    >>> require_unique("groups", pl.DataFrame({"trade_date": ["2024-01-01"] * 2, "instrument_id": ["A", "A"]}))
    Traceback (most recent call last):
    ...
    champion.errors.UsageError: the groups name A twice on 2024-01-01; give one row per instrument and session
    """
    by_session = frame.group_by("trade_date").agg(
        pl.len() > pl.col("instrument_id").n_unique()
    )  # cheap: no keys of two
    if by_session["len"].any():
        twice = frame.filter(pl.struct(KEY).is_duplicated())
        first = twice.sort(KEY).row(0, named=True)
        raise UsageError(
            f"the {what} name {first['instrument_id']} twice on {first['trade_date']}; give one row per instrument "
            "and session"
        )


def followed(
    scores: pl.DataFrame, sessions: Sequence[date], instruments: Sequence[str], small: pl.DataFrame
) -> tuple[pl.DataFrame, LeftOut]:
    """Return the checked scores that an account can follow, and the count of the others.

    Args:
        scores: as `checked_scores` returns them.
        sessions: those of the market.
        instruments: those that have bars.
        small: trade_date and instrument_id of shares in series of small companies that must not be bought.

    Raises:
        UsageError: no score is left; the message counts and names why.

    >>> rows = {"trade_date": [date(2024, 1, 1)] * 2, "instrument_id": ["A", "B"], "score": [1.0, 2.0]}
    >>> kept, left = followed(pl.DataFrame(rows), [date(2024, 1, 1)], ["A"], pl.DataFrame(rows).clear())
    >>> kept.height, left.counts, left.names
    (1, {'instruments': 1}, ('B',))
    """
    known = scores.drop_nulls([*KEY, "score"])
    on_days = known.filter(pl.col("trade_date").is_in(list(sessions)))
    inside = on_days.filter(pl.col("instrument_id").is_in(list(instruments)))
    kept = inside.join(small.select(KEY), on=KEY, how="anti", maintain_order="left")
    days = known.join(on_days, on="trade_date", how="anti")["trade_date"].unique().sort()
    names = on_days.join(inside, on="instrument_id", how="anti")["instrument_id"].unique().sort()
    left = LeftOut(
        scores.height,
        unknown=scores.height - known.height,
        sessions=known.height - on_days.height,
        instruments=on_days.height - inside.height,
        small=inside.height - kept.height,
        days=tuple(days.head(_SHOWN)),
        names=tuple(names.head(_SHOWN)),
    )
    if kept.is_empty():
        raise UsageError(
            f"no score can be followed. {left.text}; give scores of sessions and instruments that the lake has bars of"
        )
    return kept, left


def is_number(value: object) -> bool:
    """Return whether a setting is a finite number, and no truth value.

    >>> [is_number(value) for value in (1, 0.5, float("inf"), "5", True, None)]
    [True, True, False, False, False, False]
    """
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def is_whole(value: object) -> bool:
    """Return whether a setting is a whole number, and no truth value.

    >>> [is_whole(value) for value in (2, 2.0, "2", True)]
    [True, False, False, False]
    """
    return not isinstance(value, bool) and isinstance(value, Integral)


def require_sectors(scores: pl.DataFrame) -> None:
    """Refuse scores without any known sector: a sector cap would take all shares as one sector.

    Raises:
        UsageError: every sector is null or Unknown.

    >>> require_sectors(pl.DataFrame({"sector": [None, "Metals"]}))
    """
    if scores.height and scores["sector"].cast(pl.String).fill_null(_UNKNOWN_SECTOR).eq(_UNKNOWN_SECTOR).all():
        raise UsageError(
            "sector_cap needs sectors, and that of no scored instrument is known: all of them would share one cap; "
            "read a list of sectors into the lake, give a column sector, or leave sector_cap at 1"
        )


def _require_types(what: str, frame: pl.DataFrame, kinds: dict[str, str]) -> None:
    for name, kind in kinds.items():
        found = frame.schema[name]
        holds = {
            "dates": found == pl.Date,
            "texts": found in {pl.String, pl.Categorical, pl.Enum},
            "numbers": found.is_numeric() or found == pl.Null,
        }
        if not holds[kind]:
            cure = {pl.String: ", as by .str.to_date()", pl.Datetime: ", as by .dt.date()"}.get(found.base_type(), "")
            raise UsageError(f"{name} of the {what} are {found}; give {kind}{cure if kind == 'dates' else ''}")


def _refuse(wrong: pl.DataFrame, name: str, allowed: str) -> None:
    if wrong.is_empty():
        return
    first = wrong.sort(KEY).row(0, named=True)
    raise UsageError(
        f"{quantity(wrong.height, 'score')} with an impossible {name}, first {first[name]} of "
        f"{first['instrument_id']} on {first['trade_date']}; a {name} is {allowed}"
    )
