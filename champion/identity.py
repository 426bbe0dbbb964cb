"""Who an instrument is while its symbol changes.

An instrument is named after the first symbol it is known to have had, so a name once given never changes: a rename
tomorrow leads tomorrow's symbol back to it. The links between symbols come from the exchange's list of symbol changes
and, as the list is incomplete, from the bars: one ISIN under two symbols, one after the other, is one security. An ISIN
that changes (at a split) needs no link: the symbol stays.

A symbol may be used again. Whoever bears it after it was given up is somebody else, and is named after the symbol and
the date on which it became free: `DTIL@2010-07-26`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from typing import TypeAlias

import polars as pl

Change: TypeAlias = tuple[date, str, str]
"""First session under the new symbol, old symbol, new symbol."""
SCHEMA = {"before": pl.String(), "after": pl.String(), "session": pl.Date()}
_Timelines: TypeAlias = Mapping[str, Sequence[tuple[date, str]]]


@dataclass(frozen=True)
class Lineage:
    """All symbol changes, in order, each once."""

    changes: tuple[Change, ...] = ()

    @classmethod
    def of(cls, changes: pl.DataFrame) -> Lineage:
        """Return the lineage of a frame with before, after and session; a change to itself is none."""
        rows = changes.select("session", "before", "after").rows()
        return cls(tuple(sorted({row for row in rows if row[1] != row[2]})))

    def learning_from(self, successions: pl.DataFrame) -> Lineage:
        """Return the lineage with the changes that bars show and it does not know; on a date, bars are believed."""
        known = self
        for before, after, session in successions.select(list(SCHEMA)).rows():
            if known.name(before, session - timedelta(days=1)) != known.name(after, session):
                others = (change for change in known.changes if change[1:] != (before, after))
                known = Lineage(tuple(sorted({*others, (session, before, after)})))
        return known

    def name(self, symbol: str, session: date) -> str:
        """Return the first symbol of whoever bore `symbol` on `session`, dated where it was somebody else's before.

        >>> lineage = Lineage(((date(2010, 7, 26), "DTIL", "DPL"),))
        >>> [lineage.name(symbol, date(2024, 1, 15)) for symbol in ("DPL", "DTIL", "TCS")]
        ['DTIL', 'DTIL@2010-07-26', 'TCS']
        """
        return _at(self._names.get(symbol, ()), session) or symbol

    def names(self, symbols: Iterable[str], session: date) -> dict[str, str]:
        """Return, for those of the symbols that are not named after themselves, the name they had on `session`."""
        found = {symbol: self.name(symbol, session) for symbol in self._names.keys() & set(symbols)}
        return {symbol: name for symbol, name in found.items() if name != symbol}

    def symbol(self, name: str, session: date) -> str:
        """Return the symbol that the instrument of this name bore on `session`.

        >>> lineage = Lineage(((date(2022, 12, 5), "LTI", "LTIM"), (date(2026, 2, 27), "LTIM", "LTM")))
        >>> [lineage.symbol("LTI", date(year, 6, 1)) for year in (2022, 2024, 2026)]
        ['LTI', 'LTIM', 'LTM']
        """
        return _at(self._symbols.get(name, ()), session) or name.partition("@")[0]

    @cached_property
    def digest(self) -> str:
        """One SHA-256 over all changes: equal digests mean equal lineages."""
        return sha256("\n".join(map(str, self.changes)).encode()).hexdigest()

    @property
    def touched(self) -> frozenset[str]:
        """All symbols that a change names."""
        return frozenset(self._names)

    @cached_property
    def _names(self) -> _Timelines:
        """From each symbol to the names of its bearers and their first dates, by one walk forward through time."""
        found: dict[str, list[tuple[date, str]]] = {}
        for day, changes in groupby(self.changes, key=itemgetter(0)):
            for _, before, after in _in_turn(list(changes)):
                bearer = found[before][-1][1] if before in found else before
                found.setdefault(after, []).append((day, bearer))
                found.setdefault(before, []).append((day, f"{before}@{day}"))
        return found

    @cached_property
    def _symbols(self) -> _Timelines:
        """From each name to the symbols it bore and their first dates."""
        found: dict[str, list[tuple[date, str]]] = {}
        for symbol, bearers in self._names.items():
            for day, name in bearers:
                found.setdefault(name, []).append((day, symbol))
        return {name: sorted(symbols) for name, symbols in found.items()}


def digest(names: Mapping[str, str]) -> str:
    """Return one SHA-256 over the names of a session's symbols: equal digests mean equal identities."""
    return sha256("\n".join(f"{symbol} {name}" for symbol, name in sorted(names.items())).encode()).hexdigest()


def listings(rows: pl.LazyFrame) -> pl.DataFrame:
    """Return when each symbol stood under which ISIN: symbol, isin, first, last; one row each pair.

    `rows` has symbol, isin and session. Rows without an ISIN (the full reports have none) count for the ISIN that the
    symbol bears next, else for the one it bore last.
    """
    month = pl.col("session").dt.truncate("1mo").alias("_month")  # few enough rows to sort: a lake has millions
    span = {"first": pl.col("session").min(), "last": pl.col("session").max()}
    by_month = rows.group_by("symbol", "isin", month).agg(**span)
    return (
        by_month.sort("symbol", "first", "last", "isin", nulls_last=True)
        .with_columns(pl.col("isin").backward_fill().forward_fill().over("symbol"))
        .group_by("symbol", "isin")
        .agg(first=pl.col("first").min(), last=pl.col("last").max())
        .sort("isin", "first", "symbol")
        .collect()
    )


def successions(listed: pl.DataFrame) -> pl.DataFrame:
    """Return the symbol changes that the bars themselves show: before, after, session; see `listings`.

    An ISIN that stood under one symbol and then, later, under another is one security renamed.
    """
    later = _neighbours(listed).filter(pl.col("_last") < pl.col("first"))
    return later.select(**_CHANGE).sort("session", "after", "before")


def overlaps(listed: pl.DataFrame) -> pl.DataFrame:
    """Return the ISINs that stood under two symbols at once, from which nothing is concluded: isin and a change."""
    return _neighbours(listed).filter(pl.col("_last") >= pl.col("first")).select("isin", **_CHANGE).sort("isin")


_CHANGE = {"before": pl.col("_symbol"), "after": pl.col("symbol"), "session": pl.col("first")}


def _neighbours(listed: pl.DataFrame) -> pl.DataFrame:
    before = {f"_{name}": pl.col(name).shift(1).over("isin") for name in ("symbol", "last")}
    ordered = listed.drop_nulls("isin").sort("isin", "first", "symbol").with_columns(**before)
    return ordered.filter(pl.col("_symbol") != pl.col("symbol"))


def _at(timeline: Sequence[tuple[date, str]], session: date) -> str | None:
    """Return what holds on a session: the last entry that had begun by then."""
    position = bisect_right(timeline, session, key=itemgetter(0))
    return timeline[position - 1][1] if position else None


def _in_turn(changes: list[Change]) -> Iterator[Change]:
    """Yield one date's changes so that a symbol is reached before it is left: two renames can fall on one date."""
    while changes:
        reached = {after for _, _, after in changes}
        ready = [change for change in changes if change[1] not in reached] or changes
        yield from ready
        changes = [change for change in changes if change not in ready]
