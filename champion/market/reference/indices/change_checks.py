"""Refuse dated changes of indices whose index or symbol nothing else knows: typing errors in the table of releases.

The register is the provider's own file and has no symbols, so only changes with a symbol are checked.

1. An index is known if it has a list. Without one, a change of it leads to no members.
2. A symbol is known if a bar, a list or a rename has it. Where the bars do not reach, a legitimate symbol may be in no
   list, so a change is refused only if its symbol is almost that of a known one.

A refused change leaves a hole: the members of its index (or of the index that was meant) are not known to be complete
from its date on, until a list shows them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches

import polars as pl

from champion.market.reference.indices.traded import Traded

REFUSED_SCHEMA = {
    "index_name": pl.String(),
    "effective": pl.Date(),
    "member": pl.String(),
    "joins": pl.Boolean(),
    "basis": pl.String(),
    "reason": pl.String(),
}
_NEAR, _ALMOST = 0.7, 0.85  # similarity, 0 to 1: of a proposal, and of a typing error


@dataclass(frozen=True, slots=True)
class CheckedChanges:
    """The changes that can be used, the refused ones (`REFUSED_SCHEMA`), and the dates of holes by index."""

    usable: pl.DataFrame
    refused: pl.DataFrame
    holes: Mapping[str, Collection[date]]


def checked(lists: pl.DataFrame, changes: pl.DataFrame, traded: Traded) -> CheckedChanges:
    """Return the changes without those of unknown indices and symbols.

    `lists` and `changes` have the columns of `membership.LISTS_SCHEMA` and `CHANGES_SCHEMA`.
    """
    indices = {*lists["index_name"]}
    symbols, instruments = (
        {*lists["symbol"], *traded.runs["symbol"], *traded.other_symbols},
        {*lists["instrument_id"], *traded.last_bars},
    )
    refused: list[tuple[object, ...]] = []
    holes: dict[str, set[date]] = {}
    typed = changes.filter(pl.col("symbol").is_not_null(), pl.col("joins").is_not_null())
    columns = ["index_name", "effective", "symbol", "joins", "basis", "instrument_id"]
    for index, day, symbol, joins, basis, instrument in typed.select(columns).iter_rows():
        meant = index
        if index not in indices:
            near = get_close_matches(index, indices, n=1, cutoff=_NEAR)
            meant = near[0] if near else ""
            why = f"there is no list of index {index!r}{_question(near)}"
        elif symbol in symbols or instrument in instruments or instrument != f"NSE:{symbol}":
            continue
        else:
            is_traded_then = bool(traded.sessions) and traded.sessions[0] <= day <= traded.sessions[-1]
            near = get_close_matches(symbol, symbols, n=1, cutoff=_NEAR if is_traded_then else _ALMOST)
            if not (is_traded_then or near):
                continue
            why = f"no bar, no list and no rename knows {symbol!r}{_question(near)}"
        refused.append((index, day, symbol, joins, basis, why))
        if meant:
            holes.setdefault(meant, set()).add(day)
    rows = pl.DataFrame(refused, REFUSED_SCHEMA, orient="row")
    key = ["index_name", "effective", "symbol", "joins", "basis"]
    found = rows.rename({"member": "symbol"}).select(key)
    return CheckedChanges(changes.join(found, on=key, how="anti", maintain_order="left"), rows, holes)


def _question(near: list[str]) -> str:
    return f"; did you mean {near[0]!r}?" if near else ""
