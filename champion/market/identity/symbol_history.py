"""Identify instruments across changes of their symbols.

The name of an instrument is its first known symbol, so it never changes: after a rename, the new symbol leads back to
it. The links between symbols come from the exchange's list of symbol changes and from the bars
(`champion.market.identity.succession`). The list is incomplete and has errors, so the bars decide if the two disagree
(`champion.market.identity.rename_review`).

A symbol may be used again by another instrument. Its name is the symbol and the date on which the symbol became free,
or on which it returned: `DTIL@2010-07-26`.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from typing import Self, TypeAlias

import polars as pl

from champion.market.identity.rename_review import review
from champion.market.identity.succession import Change, Contradiction, Securities, securities
from champion.market.identity.symbol_runs import listings

__all__ = ["JOINED_LATER", "Change", "SymbolHistory", "digest", "listings", "securities"]

JOINED_LATER = frozenset({"SZ"})
"""Series of shares whose rows had separate ids in earlier versions (`NSE:BRIGHT:SZ`)."""
_Timelines: TypeAlias = Mapping[str, Sequence[tuple[date, str]]]


@dataclass(frozen=True)
class SymbolHistory:
    """All symbol changes in order, without duplicates.

    `restarts` are the sessions on which a symbol returns as another security without a change. `swaps` are the symbols
    that one security gives up and another takes on the same date.
    """

    changes: tuple[Change, ...] = ()
    restarts: tuple[tuple[date, str], ...] = ()
    swaps: frozenset[tuple[date, str]] = frozenset()

    @classmethod
    def of(cls, changes: pl.DataFrame) -> Self:
        """Return the history of a frame with before, after and session; a change to the same symbol is ignored."""
        rows = changes.select("session", "before", "after").rows()
        return cls(tuple(sorted({row for row in rows if row[1] != row[2]})))

    def review(self, bars: Securities) -> tuple["SymbolHistory", tuple[Contradiction, ...]]:
        """Return the history of changes that agree with the bars or that only the bars show, and the contradictions.

        See `champion.market.identity.rename_review`.
        """
        found = review(self.changes, bars)
        return SymbolHistory(found.changes, found.restarts, found.swaps), found.contradictions

    def name(self, symbol: str, session: date) -> str:
        """Return the first symbol of the instrument with `symbol` on `session`, with a date if another had it before.

        >>> lineage = SymbolHistory(((date(2010, 7, 26), "DTIL", "DPL"),))
        >>> [lineage.name(symbol, date(2024, 1, 15)) for symbol in ("DPL", "DTIL", "TCS")]
        ['DTIL', 'DTIL@2010-07-26', 'TCS']
        """
        return _value_at(self._names.get(symbol, ()), session) or symbol

    def instrument(self, symbol: str, session: date) -> str:
        """Return the id of the share with `symbol` on `session`: the exchange and its name.

        >>> SymbolHistory().instrument("TCS", date(2024, 1, 15))
        'NSE:TCS'
        """
        return f"NSE:{self.name(symbol, session)}"

    def names(self, symbols: Iterable[str], session: date) -> dict[str, str]:
        """Return the names on `session` of symbols whose instrument has another name."""
        found = {symbol: self.name(symbol, session) for symbol in self._names.keys() & set(symbols)}
        return {symbol: name for symbol, name in found.items() if name != symbol}

    def symbol(self, name: str, session: date) -> str:
        """Return the symbol of the instrument with this name on `session`.

        >>> lineage = SymbolHistory(((date(2022, 12, 5), "LTI", "LTIM"), (date(2026, 2, 27), "LTIM", "LTM")))
        >>> [lineage.symbol("LTI", date(year, 6, 1)) for year in (2022, 2024, 2026)]
        ['LTI', 'LTIM', 'LTM']
        """
        return _value_at(self._symbols.get(name, ()), session) or name.partition("@")[0]

    @cached_property
    def digest(self) -> str:
        """One SHA-256 over all changes: equal digests mean equal histories."""
        facts = [*self.changes, *self.restarts, *sorted(self.swaps)]
        return sha256("\n".join(map(str, facts)).encode()).hexdigest()

    @property
    def changed_symbols(self) -> frozenset[str]:
        """All symbols in the changes and restarts."""
        return frozenset(self._names)

    @cached_property
    def _names(self) -> _Timelines:
        """Per symbol, the names of its instruments and their first dates."""
        found: dict[str, list[tuple[date, str]]] = {}
        changes = {day: list(of_day) for day, of_day in groupby(self.changes, key=itemgetter(0))}
        returned = {day: list(of_day) for day, of_day in groupby(self.restarts, key=itemgetter(0))}
        for day in sorted(changes.keys() | returned.keys()):
            for _, symbol in returned.get(day, ()):
                found.setdefault(symbol, []).append((day, f"{symbol}@{day}"))
            for together in self._in_turn(changes.get(day, [])):
                bearers = [found[before][-1][1] if before in found else before for _, before, _ in together]
                for _, before, _ in together:  # all are given up before one is taken: two securities may swap symbols
                    found.setdefault(before, []).append((day, f"{before}@{day}"))
                for (_, _, after), bearer in zip(together, bearers, strict=True):
                    found.setdefault(after, []).append((day, bearer))
        return found

    def _in_turn(self, changes: list[Change]) -> Iterator[list[Change]]:
        """Yield one date's changes in order: a symbol is taken before it is given up, as two renames can have one date.

        A symbol that two securities swap is given up first. Changes that are yielded together are simultaneous.
        """
        while changes:
            reached = {after for day, _, after in changes if (day, after) not in self.swaps}
            left = {before for day, before, _ in changes if (day, before) in self.swaps}
            ready = [one for one in changes if one[1] not in reached and one[2] not in left] or changes
            yield ready
            changes = [change for change in changes if change not in ready]

    @cached_property
    def _symbols(self) -> _Timelines:
        """Per name, its symbols and their first dates."""
        found: dict[str, list[tuple[date, str]]] = {}
        for symbol, bearers in self._names.items():
            for day, name in bearers:
                found.setdefault(name, []).append((day, symbol))
        return {name: sorted(symbols) for name, symbols in found.items()}


def digest(names: Mapping[str, str], series: Iterable[str] = ()) -> str:
    """Return one SHA-256 over the names of a session's symbols: equal digests mean equal instrument ids.

    `series` are those of the session's rows. Without one that joined the series of shares later, the digest is that of
    lakes written before; with one, a session written before is outdated.
    """
    joined = [f"series {one}" for one in sorted(JOINED_LATER.intersection(series))]
    lines = [f"{symbol} {name}" for symbol, name in sorted(names.items())]
    return sha256("\n".join([*lines, *joined]).encode()).hexdigest()


def _value_at(timeline: Sequence[tuple[date, str]], session: date) -> str | None:
    """Return the value on a session: the value of the last entry on or before it; None if no entry is that early."""
    position = bisect_right(timeline, session, key=itemgetter(0))
    return timeline[position - 1][1] if position else None
