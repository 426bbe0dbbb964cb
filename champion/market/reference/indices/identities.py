"""The instrument, symbol, ISIN and company of the members of indices over time, and which of them stopped trading."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from typing import NamedTuple

import polars as pl

from champion.market.reference.indices.traded import Traded, states_in_force


class Identity(NamedTuple):
    """What a member is called from a date on."""

    instrument: str | None
    symbol: str | None
    isin: str | None
    company: str | None


@dataclass(frozen=True, slots=True)
class Identities:
    """The identities of each member with their first dates, in order, and the members that stopped trading.

    `ended` has the last bar of a member, and the session on which `life.QUIET` sessions without a bar are over.
    """

    by_member: Mapping[str, Sequence[tuple[date, Identity]]]
    ended: Mapping[str, tuple[date, date]]

    @classmethod
    def of(cls, lists: pl.DataFrame, changes: pl.DataFrame, traded: Traded) -> Identities:
        """Return the identities of the members that `index_identity.identify` found.

        From the first bar on, instrument and symbol are those of the bars; before it, and without bars, those of the
        lists. A member that is in no list has those of its first change. The ISIN is that of the lists, unless the
        instrument never had it.
        """
        listed = _listed(lists)
        for member, day, identity in _changed(changes):
            listed.setdefault(member, [(day, identity)])
        chain = dict(traded.continued.select("instrument_id", "continued_as").iter_rows())
        found, ended = {}, {}
        for member, names in _instruments(lists, changes).items():
            all_names = _with_continued(names, chain)
            found[member] = _merged(listed[member], traded, all_names)
            if end := traded.ended(*all_names):
                ended[member] = end
        without = {member: states for member, states in listed.items() if member not in found}
        return cls(found | without, ended)

    def name(self, member: str, day: date) -> str:
        """Return the symbol of a member on a date, else its company or the member itself."""
        if not (known := self.by_member.get(member)):
            return member
        identity = known[max(0, bisect_right(known, day, key=itemgetter(0)) - 1)][1]
        return identity.symbol or identity.company or member


def _listed(lists: pl.DataFrame) -> dict[str, list[tuple[date, Identity]]]:
    """Return the symbols and ISINs of each member in the lists, with the first date of each."""
    ordered = lists.sort("list_date", "index_name")
    found = states_in_force(
        ordered, "member", ["symbol", "isin"], "list_date", "list_date", ["instrument_id", "company"]
    )
    return {
        member: [(day, Identity(name, symbol, isin, company)) for day, (symbol, isin, name, company) in states]
        for member, states in found.items()
    }


def _changed(changes: pl.DataFrame) -> Iterable[tuple[str, date, Identity]]:
    others = changes.filter(pl.col("joins").is_not_null()).sort(pl.col("symbol").is_null(), maintain_order=True)
    for member, day, name, symbol, company in others.select(
        "member", "effective", "instrument_id", "symbol", "company"
    ).iter_rows():  # a change with a symbol says more than one with a name
        yield member, day, Identity(name, symbol, None, company)


def _instruments(lists: pl.DataFrame, changes: pl.DataFrame) -> dict[str, list[str]]:
    """Return the instruments of each member; an instrument of two members is not used."""
    pairs = pl.concat([frame.select("member", "instrument_id").drop_nulls() for frame in (lists, changes)]).unique()
    single = pairs.filter(pl.len().over("instrument_id") == 1).sort("member", "instrument_id")
    return dict(single.group_by("member", maintain_order=True).agg("instrument_id").iter_rows())


def _with_continued(names: Iterable[str], chain: Mapping[str, str]) -> list[str]:
    found = list(names)
    for name in found:
        if (later := chain.get(name)) and later not in found:
            found.append(later)
    return found


def _merged(
    listed: Sequence[tuple[date, Identity]], traded: Traded, names: Sequence[str]
) -> Sequence[tuple[date, Identity]]:
    """Return the identities from lists until the first bar, and from then on those of the bars."""
    bars = sorted((day, name, symbol) for name in names for day, symbol in traded.symbols.get(name, ()))
    if not bars:
        return listed
    found: list[tuple[date, Identity]] = []
    for day in sorted({day for day, _ in listed} | {day for day, _, _ in bars}):
        of_list = listed[max(0, bisect_right(listed, day, key=itemgetter(0)) - 1)][1]
        identity, place = of_list, bisect_right(bars, day, key=itemgetter(0))
        if place:
            _, name, symbol = bars[place - 1]
            isins = traded.isins.get(name, ())
            isin = of_list.isin if of_list.isin in isins or not isins else isins[0]
            identity = Identity(name, symbol, isin, of_list.company)
        if not found or found[-1][1][:3] != identity[:3]:
            found.append((day, identity))
    return found
