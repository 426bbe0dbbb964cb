"""What the bars say about the securities of index lists: their instruments, when a symbol changed, the last bar.

A list states no date, and it may be older than it claims. So the bars decide wherever they exist:

1. A line is of the instrument that has its ISIN in the bars. An old symbol on a stale list is the same instrument.
2. From its first bar on, a member has the instrument and the symbol that trade. If its company goes on as another
   instrument (`champion.market.identity.continuation`), the member does too.
3. A member without a bar in `QUIET` sessions of the market is no member any longer, unless a later list names it.

Nothing is concluded from missing bars: an instrument that has none at all stays what its lists say.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from hashlib import sha256
from typing import TypeVar

import polars as pl

from champion.market.identity.continuation import continuations
from champion.market.identity.symbol_runs import LONG_GAP, RUNS
from champion.market.reference import instrument_kind
from champion.market.reference.life import QUIET

_ID = "instrument_id"
_State = TypeVar("_State")


@dataclass(frozen=True)
class Traded:
    """The bars of company shares: their runs (`symbol_runs.listings`, with instrument_id) and the market's sessions.

    `other_symbols` are symbols of more bars, if the runs are those of some shares only.
    """

    runs: pl.DataFrame
    sessions: Sequence[date]
    other_symbols: Collection[str] = ()

    @classmethod
    def nothing(cls) -> Traded:
        """Return the evidence of a lake without bars."""
        return cls(pl.DataFrame(schema={**RUNS, _ID: pl.String()}), ())

    def until(self, day: date) -> Traded:
        """Return what was known on a date."""
        runs = self.runs.filter(pl.col("first") <= day).with_columns(pl.min_horizontal("last", pl.lit(day)))
        return Traded(runs, self.sessions[: bisect_right(self.sessions, day)], self.other_symbols)

    @cached_property
    def continued(self) -> pl.DataFrame:
        """The shares that go on as another instrument, at most `LONG_GAP` after their last bar (`CONTINUATIONS`)."""
        kind = instrument_kind.kind(pl.col("isin"), pl.lit("EQ"), pl.col("symbol"))
        found = continuations(self.runs.filter(kind == "equity"))
        return found.filter(pl.col("continued_on") - pl.col("last_bar") <= LONG_GAP)

    @cached_property
    def symbols(self) -> Mapping[str, Sequence[tuple[date, str]]]:
        """The dates from which each instrument has a symbol, in order."""
        found = states_in_force(self.runs.sort("first", "symbol"), _ID, ["symbol"], "first", "last")
        return {name: [(day, symbol) for day, (symbol,) in states if symbol] for name, states in found.items()}

    @cached_property
    def isins(self) -> Mapping[str, Sequence[str]]:
        """The ISINs of each instrument, in order of time."""
        known = self.runs.drop_nulls("isin").sort("first", "isin")
        return dict(known.group_by(_ID).agg(pl.col("isin").unique(maintain_order=True)).iter_rows())

    @cached_property
    def last_bars(self) -> Mapping[str, date]:
        """The session of the last bar of each instrument."""
        return dict(self.runs.group_by(_ID).agg(pl.col("last").max()).iter_rows())

    def quiet_on(self, last_bar: date) -> date | None:
        """Return the session on which `QUIET` sessions without a bar are over; None if they are not yet."""
        place = bisect_right(self.sessions, last_bar) - 1 + QUIET
        return self.sessions[place] if place < len(self.sessions) else None

    def name(self, lines: pl.DataFrame) -> pl.DataFrame:
        """Return lines of lists or changes with the instruments that the bars have; others keep theirs.

        `lines` need instrument_id and symbol, and may have an isin. The instrument with the line's ISIN is the line's
        own if it is one of several, else the one with most bars. A name such as `A@2022-03-07` is that of a symbol
        which its share has given up; without a bar it is no security, but the share that had the symbol.
        """
        if self.runs.is_empty():
            return lines
        named = lines
        if "isin" in lines.columns:
            holders = self.runs.drop_nulls("isin").group_by("isin", _ID).agg(pl.col("sessions").sum())
            most = holders.sort("isin", "sessions", _ID, descending=[False, True, False]).unique("isin", keep="first")
            own = holders.select("isin", _ID, _own=pl.lit(value=True))
            named = named.join(own, on=["isin", _ID], how="left", maintain_order="left")
            named = named.join(most.select("isin", _most=_ID), on="isin", how="left", maintain_order="left")
            chosen = pl.when(pl.col("_own").is_null()).then(pl.coalesce("_most", _ID)).otherwise(_ID)
            named = named.with_columns(chosen.alias(_ID)).drop("_own", "_most")
        bearers = self.runs.sort("last").unique("symbol", keep="last").select("symbol", _bearer=_ID)
        is_phantom = pl.col(_ID).str.contains("@", literal=True) & ~pl.col(_ID).is_in(list(self.last_bars))
        named = named.join(bearers, on="symbol", how="left", maintain_order="left")
        replaced = pl.when(is_phantom).then(pl.coalesce("_bearer", _ID)).otherwise(_ID).alias(_ID)
        return named.with_columns(replaced).drop("_bearer")

    def digest(self, lines: pl.DataFrame, others: Iterable[str] = ()) -> str:
        """Return one SHA-256 over all that members use of the bars; other bars do not change it.

        Members are those of lines of lists, and `others`: instruments that no list has.
        """
        wanted = {*self.name(lines)[_ID], *others} & self.last_bars.keys()
        chain = self.continued.filter(pl.col(_ID).is_in(sorted(wanted)))
        facts = [
            (name, self.symbols[name], self.isins.get(name, ()), day if (day := self.ended(name)) else None)
            for name in sorted({*wanted, *chain["continued_as"]})
        ]
        judged = lines.filter(pl.col("list_date") <= max(self.sessions, default=date.min))["list_date"].n_unique()
        return sha256(repr([facts, chain.rows(), judged]).encode()).hexdigest()

    def ended(self, *names: str) -> tuple[date, date] | None:
        """Return the last bar of some instruments, and the session on which `QUIET` sessions without one are over."""
        last = max((self.last_bars[name] for name in names if name in self.last_bars), default=None)
        quiet = self.quiet_on(last) if last else None
        return (last, quiet) if last and quiet else None


def in_force(states: Sequence[tuple[date, date, _State]]) -> list[tuple[date, _State]]:
    """Return the states in order, each with its first date, of those that are seen between a first and a last date.

    A state that is seen later than another one replaces it. So a list that is older than its date turns nothing
    backward, and a state that begins and ends while another one goes on is not used.

    >>> day = [date(2022, 8, number) for number in range(1, 6)]
    >>> in_force([(day[0], day[2], "OLD"), (day[1], day[4], "NEW"), (day[2], day[3], "TYPING ERROR")])
    [(datetime.date(2022, 8, 1), 'OLD'), (datetime.date(2022, 8, 2), 'NEW')]
    """
    found: list[tuple[date, _State]] = []
    for first, _, state in sorted(states, key=lambda each: each[1::-1], reverse=True):
        if not found or first < found[-1][0]:
            found.append((first, state))
    return found[::-1]


def states_in_force(
    rows: pl.DataFrame, key: str, state: Sequence[str], first: str, last: str, carried: Sequence[str] = ()
) -> dict[str, list[tuple[date, tuple[str | None, ...]]]]:
    """Return the states in force by the value of a column, in order, each with its first date (`in_force`).

    A state is a row's values of `state`, seen from the date in column `first` to that in `last`; with the values of
    `carried` in its first row. Of equal spans, the state that comes first in the rows has precedence.
    """
    values = [pl.col(name).first() for name in carried]
    seen = rows.group_by(key, *state, maintain_order=True).agg(
        *values, first_date=pl.col(first).min(), last_date=pl.col(last).max()
    )
    found: dict[str, list[tuple[date, date, tuple[str | None, ...]]]] = {}
    for name, begin, end, *found_state in seen.select(key, "first_date", "last_date", *state, *carried).iter_rows():
        found.setdefault(name, []).append((begin, end, tuple(found_state)))
    return {name: in_force(states) for name, states in found.items()}
