"""Find the securities behind the symbols, from the bars alone.

The runs of `champion.market.identity.symbol_runs` are read in the order of their first sessions. Three questions decide
each run:

1. Does the symbol continue? A new ISIN under a symbol that continues to trade is a split, not another security. A
   symbol that returns after a long gap with another ISIN and a price break is another security, unless a list explains
   it.
2. Is it a rename? The ISIN belonged to another symbol, which stopped before, and the new symbol did not trade under
   another ISIN until then. The exchange publishes the last close of the old symbol as the previous close of the new
   one: if both are equal, that alone proves the rename.
3. Is the ISIN evidence? An ISIN between two runs of another ISIN, one that two symbols have at the same time, or one of
   only the first few bars of a symbol is mistyped. It is reported and not used.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby, pairwise
from operator import attrgetter
from typing import TypeAlias

import polars as pl

from champion.base.counting import quantity
from champion.market.identity.symbol_runs import LONG_GAP, RUNS

Change: TypeAlias = tuple[date, str, str]
"""First session under the new symbol, old symbol, new symbol."""
PRICE_BREAK = 0.25
"""A larger difference between last close and previous close is a price break; the widest daily price band is 20%."""
FEW_SESSIONS = 5
EQUAL = 1e-3
"""Largest relative difference of two prices that are the same price."""


@dataclass(frozen=True, slots=True)
class Run:
    """A symbol under one ISIN; prices in rupees, None if unknown."""

    symbol: str
    isin: str | None
    first: date
    last: date
    sessions: int
    prev_close: float | None
    close: float | None


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Evidence that was not used: its kind, session, symbol and the reason."""

    kind: str
    session: date
    symbol: str
    detail: str


@dataclass(frozen=True, slots=True)
class Stint:
    """One security under one symbol, from its first bar there to its last."""

    symbol: str
    runs: tuple[Run, ...]
    previous_symbol: str | None
    next_symbol: str | None

    @property
    def first(self) -> date:
        """The session of the first bar."""
        return self.runs[0].first

    @property
    def last(self) -> date:
        """The session of the last bar."""
        return self.runs[-1].last

    @property
    def isins(self) -> list[str]:
        """The known ISINs, in order of time."""
        return [run.isin for run in self.runs if run.isin]

    def spans(self, day: date) -> bool:
        """Return whether it has bars before and on or after `day`, without a long gap around it.

        A gap within a run does not count: the ISIN shows that it is the same security.
        """
        near = [(one.last, two.first) for one, two in pairwise(self.runs) if two.first - one.last <= LONG_GAP]
        return any(first < day <= last for first, last in [*near, *((run.first, run.last) for run in self.runs)])


@dataclass(frozen=True, slots=True)
class Securities:
    """The securities in the bars.

    `renames` are changes of symbol; `restarts` are the sessions on which a symbol is reused for another security;
    `stints` are each symbol's periods of trading in order; `contradictions` is the evidence that was not used.
    """

    renames: tuple[Change, ...] = ()
    restarts: tuple[tuple[date, str], ...] = ()
    stints: Mapping[str, Sequence[Stint]] = field(default_factory=dict)
    contradictions: tuple[Contradiction, ...] = ()


Explains: TypeAlias = Callable[[Run, Run], bool]
"""Return whether a list shows that two runs of a symbol, with a long gap between, are of the same security."""


def securities(listed: pl.DataFrame, explains: Explains = lambda _before, _after: False) -> Securities:
    """Return the securities behind the runs that `symbol_runs.listings` returns."""
    runs = [Run(*row) for row in listed.select(list(RUNS)).iter_rows()]
    return _Walk(runs, explains).securities()


def same_price(held: float | None, published: float | None) -> bool:
    """Return whether a published previous close equals the last close in the bars; False if one is unknown.

    >>> same_price(101.5, 101.5), same_price(101.5, 20.3), same_price(None, 20.3)
    (True, False, False)
    """
    return bool(held and published) and abs(published / held - 1) <= EQUAL  # type: ignore[operator]


def price_break(held: float | None, published: float | None) -> bool:
    """Return whether a published previous close is far from the last close in the bars; False if one is unknown.

    >>> price_break(100.0, 20.0), price_break(100.0, 98.0), price_break(None, 98.0)
    (True, False, False)
    """
    return bool(held and published) and abs(published / held - 1) > PRICE_BREAK  # type: ignore[operator]


@dataclass(eq=False, slots=True)
class _Security:
    """One security, while the runs are read."""

    runs: list[Run]

    @property
    def latest(self) -> Run:
        return self.runs[-1]

    @property
    def isin(self) -> str | None:
        return next((run.isin for run in reversed(self.runs) if run.isin), None)


class _Walk:
    """The runs in order of time, and the current security of each symbol (`bearer`) and ISIN (`owner`)."""

    def __init__(self, runs: Sequence[Run], explains: Explains) -> None:
        self.contradictions: list[Contradiction] = []
        self.explains = explains
        self.runs = self._without_mistyped(runs)
        self.of_symbol: dict[str, list[Run]] = defaultdict(list)
        self.of_isin: dict[str, list[Run]] = defaultdict(list)
        for run in self.runs:
            self.of_symbol[run.symbol].append(run)
            if run.isin:
                self.of_isin[run.isin].append(run)
        self.following = {one: two for runs in self.of_symbol.values() for one, two in pairwise(runs)}
        self.bearer: dict[str, _Security] = {}
        self.owner: dict[str, _Security] = {}
        self.placed: dict[Run, _Security] = {}
        self.found: list[_Security] = []
        self.restarts: list[tuple[date, str]] = []

    def securities(self) -> Securities:
        """Assign every run to a security, and return the result."""
        for _, events in groupby(self.runs, key=attrgetter("first")):
            pending = list(events)
            while pending:  # a security gives up a symbol before another takes it on the same date
                ready = [run for run in pending if not self._occupied(run)] or pending[:1]
                for run in ready:
                    self._place(run)
                pending = [run for run in pending if run not in ready]
        stints: dict[str, list[Stint]] = defaultdict(list)
        for security in self.found:
            parts = [tuple(runs) for _, runs in groupby(security.runs, key=attrgetter("symbol"))]
            symbols = [None, *(part[0].symbol for part in parts), None]
            for place, part in enumerate(parts):
                stints[part[0].symbol].append(Stint(part[0].symbol, part, symbols[place], symbols[place + 2]))
        by_date = {symbol: sorted(found, key=attrgetter("first")) for symbol, found in stints.items()}
        renames = [
            (stint.first, stint.previous_symbol, symbol)
            for symbol, found in by_date.items()
            for stint in found
            if stint.previous_symbol is not None
        ]
        order = attrgetter("session", "symbol", "kind", "detail")
        contradictions = tuple(sorted(set(self.contradictions), key=order))
        return Securities(tuple(sorted(renames)), tuple(sorted(self.restarts)), by_date, contradictions)

    def _without_mistyped(self, runs: Sequence[Run]) -> list[Run]:
        """Remove the ISIN of runs between two runs of another ISIN, which no other symbol had in between."""
        of_isin: dict[str, list[Run]] = defaultdict(list)
        for run in runs:
            if run.isin:
                of_isin[run.isin].append(run)
        wrong: dict[Run, Run] = {}
        for mine in _stretches(runs):
            latest: dict[str | None, int] = {run.isin: place for place, run in enumerate(mine) if run.isin}
            place = 0
            while place < len(mine):
                begin, end = mine[place], latest.get(mine[place].isin, place)
                others = (one for one in of_isin[begin.isin or ""] if one.symbol != begin.symbol)
                if end > place and not any(begin.last < one.first < mine[end].first for one in others):
                    counts = Counter[str | None]()
                    for run in mine[place : end + 1]:
                        counts[run.isin] += run.sessions
                    between = [run for run in mine[place + 1 : end] if run.isin != begin.isin]
                    wrong |= {run: begin for run in between if counts[run.isin] <= counts[begin.isin]}
                    place = end
                else:
                    place += 1
        for run, around in wrong.items():
            if run.isin:
                detail = f"ISIN {run.isin} for {quantity(run.sessions, 'session')} between two runs of {around.isin}"
                self._report("isin_mistyped", run, detail)
        return [replace(run, isin=None) if run in wrong else run for run in runs]

    def _occupied(self, run: Run) -> bool:
        """Return whether a run seems to be a rename to a symbol that another security still has."""
        holder, owner = self.bearer.get(run.symbol), self.owner.get(run.isin or "")
        return owner is not None and owner is not holder and holder is not None and _continues(holder, run)

    def _place(self, run: Run) -> None:
        holder, owner = self.bearer.get(run.symbol), self.owner.get(run.isin or "")
        if owner is not None and owner is not holder:
            refused = self._refusal(run, holder, owner)
            if refused is None:
                if self.bearer.get(owner.latest.symbol) is owner:
                    del self.bearer[owner.latest.symbol]
                if holder is not None and self._starts_mistyped(run, holder, owner):
                    self._absorb(holder, owner)
                self._append(owner, run)
                return
            self._report("isin_shared", run, f"ISIN {run.isin} is that of {owner.latest.symbol}: {refused}")
        known = run.isin if owner is None else None
        if holder is None or self._restarts(holder, run):
            if holder is not None:
                self.restarts.append((run.first, run.symbol))
                before = f"last bar {holder.latest.last} under {holder.isin} at {holder.latest.close}"
                self._report("symbol_reused", run, f"{run.isin} from {run.first} at {run.prev_close}, {before}")
            holder = _Security([])
            self.found.append(holder)
        self._append(holder, run)
        if known:
            self.owner[known] = holder

    def _append(self, security: _Security, run: Run) -> None:
        security.runs.append(run)
        self.bearer[run.symbol] = security
        self.placed[run] = security

    def _restarts(self, holder: _Security, run: Run) -> bool:
        """Return whether a symbol returns after a long gap as another security."""
        if _continues(holder, run) or not run.isin or not holder.isin or run.isin == holder.isin:
            return False
        return price_break(holder.latest.close, run.prev_close) and not self.explains(holder.latest, run)

    def _refusal(self, run: Run, holder: _Security | None, owner: _Security) -> str | None:
        """Return why a run with another security's ISIN is not a rename; None if it is one."""
        mistyped = holder is not None and self._starts_mistyped(run, holder, owner)
        linked = mistyped or same_price(owner.latest.close, run.prev_close)
        after = self.following.get(owner.latest)
        if after is not None and run.last < after.first and run.isin == after.isin and run.sessions > FEW_SESSIONS:
            after = None  # renamed, and later renamed back
        if (last := owner.latest.last) >= run.first:
            return f"which traded until {last}"
        if after is not None and after.first - last <= LONG_GAP and not linked and not self._taken(after, owner):
            return f"which still traded on {after.first}"
        if holder is not None and _continues(holder, run):
            unbroken = same_price(holder.latest.close, run.prev_close)
            replaced = not unbroken and (linked or self._moves(holder, run))
            if not mistyped and not replaced:
                return f"{run.symbol} traded under {holder.isin or 'no ISIN'} until {holder.latest.last}"
        follows = self.following.get(run)
        if run.sessions <= FEW_SESSIONS and not linked and follows is not None and follows.isin not in {None, run.isin}:
            return f"after {quantity(run.sessions, 'session')} {run.symbol} has an ISIN of its own, {follows.isin}"
        return None

    def _starts_mistyped(self, run: Run, holder: _Security, owner: _Security) -> bool:
        """Return whether the first few bars of a symbol have a wrong ISIN and follow the owner's last close."""
        first = holder.runs[0]
        few = sum(one.sessions for one in holder.runs) <= FEW_SESSIONS and holder.latest.symbol == first.symbol
        follows = owner.latest.last < first.first and same_price(owner.latest.close, first.prev_close)
        return few and follows and _continues(holder, run)

    def _absorb(self, holder: _Security, owner: _Security) -> None:
        self.found.remove(holder)
        self.owner = {isin: one for isin, one in self.owner.items() if one is not holder}
        detail = f"ISIN {holder.isin} on the first bars, {owner.latest.symbol} renamed"
        self._report("isin_mistyped", holder.runs[0], detail)
        for run in holder.runs:
            self._append(owner, run)

    def _taken(self, run: Run, owner: _Security) -> bool:
        """Return whether a run after a security's last one belongs to another security."""
        other = self.placed.get(run, self.owner.get(run.isin or ""))
        return other is not None and other is not owner

    def _moves(self, holder: _Security, run: Run) -> bool:
        """Return whether a security continues under another symbol, which begins to trade with its ISIN."""
        for one in self.of_isin.get(holder.isin or "", ()):
            if one.symbol != run.symbol and holder.latest.last < one.first <= run.first + LONG_GAP:
                runs = self.of_symbol[one.symbol]
                place = runs.index(one)
                if place == 0 or one.first - runs[place - 1].last > LONG_GAP:
                    return True
        return False

    def _report(self, kind: str, run: Run, detail: str) -> None:
        self.contradictions.append(Contradiction(kind, run.first, run.symbol, detail))


def _stretches(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Yield the consecutive runs of each symbol without a long gap."""
    mine: list[Run] = []
    for run in sorted(runs, key=attrgetter("symbol", "first", "last")):
        if mine and (run.symbol != mine[-1].symbol or run.first - mine[-1].last > LONG_GAP):
            yield mine
            mine = []
        mine.append(run)
    yield mine


def _continues(security: _Security, run: Run) -> bool:
    return run.first - security.latest.last <= LONG_GAP
