"""Who an instrument is while its symbol changes.

An instrument is named after the first symbol it is known to have had, so a name once given never changes: a rename
tomorrow leads tomorrow's symbol back to it. The links between symbols come from the exchange's list of symbol changes
and from the bars (`champion.market.identity.succession`). The list is incomplete and has errors, so the bars decide
where the two disagree (`champion.market.identity.rename_review`).

A symbol may be used again. The instrument that has it afterwards is another one. It is named after the symbol and the
date on which the symbol became free, or on which it returned: `DTIL@2010-07-26`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from typing import TypeAlias

import polars as pl

from champion.market.identity.rename_review import review
from champion.market.identity.succession import Change, Contradiction, Securities, securities
from champion.market.identity.symbol_runs import listings

__all__ = ["Change", "SymbolHistory", "digest", "listings", "securities"]

_Timelines: TypeAlias = Mapping[str, Sequence[tuple[date, str]]]


@dataclass(frozen=True)
class SymbolHistory:
    """All symbol changes, in order, each once.

    `restarts` are the sessions on which a symbol returns as another security that no change brings there. `swaps` are
    the symbols that one security leaves and another takes on the same date.
    """

    changes: tuple[Change, ...] = ()
    restarts: tuple[tuple[date, str], ...] = ()
    swaps: frozenset[tuple[date, str]] = frozenset()

    @classmethod
    def of(cls, changes: pl.DataFrame) -> SymbolHistory:
        """Return the lineage of a frame with before, after and session; a change to itself is none."""
        rows = changes.select("session", "before", "after").rows()
        return cls(tuple(sorted({row for row in rows if row[1] != row[2]})))

    def reviewed(self, bars: Securities) -> tuple[SymbolHistory, tuple[Contradiction, ...]]:
        """Return the lineage of the changes that the bars do not contradict and of those they show, and what is not so.

        The bars decide: see `champion.market.identity.rename_review`.
        """
        found = review(self.changes, bars)
        return SymbolHistory(found.changes, found.restarts, found.swaps), found.contradictions

    def name(self, symbol: str, session: date) -> str:
        """Return the first symbol of whoever bore `symbol` on `session`, dated where it was somebody else's before.

        >>> lineage = SymbolHistory(((date(2010, 7, 26), "DTIL", "DPL"),))
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

        >>> lineage = SymbolHistory(((date(2022, 12, 5), "LTI", "LTIM"), (date(2026, 2, 27), "LTIM", "LTM")))
        >>> [lineage.symbol("LTI", date(year, 6, 1)) for year in (2022, 2024, 2026)]
        ['LTI', 'LTIM', 'LTM']
        """
        return _at(self._symbols.get(name, ()), session) or name.partition("@")[0]

    @cached_property
    def digest(self) -> str:
        """One SHA-256 over all changes: equal digests mean equal lineages."""
        facts = [*self.changes, *self.restarts, *sorted(self.swaps)]
        return sha256("\n".join(map(str, facts)).encode()).hexdigest()

    @property
    def touched(self) -> frozenset[str]:
        """All symbols that a change names."""
        return frozenset(self._names)

    @cached_property
    def _names(self) -> _Timelines:
        """From each symbol to the names of its bearers and their first dates, by one walk forward through time."""
        found: dict[str, list[tuple[date, str]]] = {}
        changes = {day: list(of_day) for day, of_day in groupby(self.changes, key=itemgetter(0))}
        returned = {day: list(of_day) for day, of_day in groupby(self.restarts, key=itemgetter(0))}
        for day in sorted(changes.keys() | returned.keys()):
            for _, symbol in returned.get(day, ()):
                found.setdefault(symbol, []).append((day, f"{symbol}@{day}"))
            for together in self._in_turn(changes.get(day, [])):
                bearers = [found[before][-1][1] if before in found else before for _, before, _ in together]
                for _, before, _ in together:  # all leave before one arrives: two securities may swap symbols
                    found.setdefault(before, []).append((day, f"{before}@{day}"))
                for (_, _, after), bearer in zip(together, bearers, strict=True):
                    found.setdefault(after, []).append((day, bearer))
        return found

    def _in_turn(self, changes: list[Change]) -> Iterator[list[Change]]:
        """Yield one date's changes so that a symbol is reached before it is left: two renames can fall on one date.

        A symbol that two securities swap is left first; changes that are yielded together happen at the same time.
        """
        while changes:
            reached = {after for day, _, after in changes if (day, after) not in self.swaps}
            left = {before for day, before, _ in changes if (day, before) in self.swaps}
            ready = [one for one in changes if one[1] not in reached and one[2] not in left] or changes
            yield ready
            changes = [change for change in changes if change not in ready]

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


def _at(timeline: Sequence[tuple[date, str]], session: date) -> str | None:
    """Return what holds on a session: the last entry that had begun by then."""
    position = bisect_right(timeline, session, key=itemgetter(0))
    return timeline[position - 1][1] if position else None
