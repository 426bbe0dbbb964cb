"""Check the exchange's list of symbol changes against the bars, and report contradictions.

A row of the list can have a wrong date, a wrong symbol or both. The bars decide: no row may split a symbol that
continues to trade, or assign a company's bars to another company. Each row that is not applied unchanged is a finding.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from champion.market.identity.succession import Change, Contradiction, Securities, Stint, price_break
from champion.market.identity.symbol_runs import LONG_GAP

_FORGOTTEN = timedelta(days=730)


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The valid changes, the sessions on which a symbol returns as another security, and the contradictions."""

    changes: tuple[Change, ...]
    restarts: tuple[tuple[date, str], ...]
    swaps: frozenset[tuple[date, str]]
    contradictions: tuple[Contradiction, ...]


def review(listed: Iterable[Change], bars: Securities) -> Reviewed:
    """Return the changes of the list and of the bars that agree with the bars."""
    rest, accepted, found = list(bars.renames), list[Change](), list(bars.contradictions)
    given_up = {(day, before) for day, before, _ in bars.renames}
    swaps = frozenset(given_up & {(day, after) for day, _, after in bars.renames})  # and taken on the same date
    for change in sorted(set(listed)):
        day, before, after = change
        if before == after:
            continue
        shown = min((one for one in rest if one[1:] == change[1:]), key=lambda one: abs(one[0] - day), default=None)
        if shown is not None:
            rest.remove(shown)
            agrees = _dates_agree(bars, change, shown)
            swapped = swaps & {(shown[0], before), (shown[0], after)}  # both changes of a swap keep one date
            accepted.append(change if agrees and not swapped else shown)
            if not agrees:
                found.append(_contradiction("rename_dated", shown, f"the list says {day}, the bars {shown[0]}"))
            continue
        moved, reason = _check(change, bars)
        rivals = [one for one in accepted if one[0] == moved and (one[1] == before or one[2] == after)]
        if reason is None and rivals:
            reason = f"another row says {rivals[0][1]} to {rivals[0][2]} on that date"
        if reason is not None:
            found.append(_contradiction("rename_contradicted", change, reason))
            continue
        accepted.append((moved, before, after))
        if moved != day:
            found.append(_contradiction("rename_dated", accepted[-1], f"the list says {day}, the bars {moved}"))
    changes = tuple(sorted({*accepted, *rest}))
    # The bars show which security had a renamed symbol before and since its date, so no other security had it in
    # between, not even one that a change from the list alone names on that date.
    alone = {(day, symbol) for day, *symbols in set(changes).difference(bars.renames) for symbol in symbols}
    swaps |= alone & {(day, symbol) for day, *symbols in bars.renames for symbol in symbols}
    restarts = tuple(one for one in bars.restarts if not _has_change(one, changes, bars))
    order = sorted(set(found), key=lambda one: (one.session, one.symbol, one.kind, one.detail))
    return Reviewed(changes, restarts, swaps, tuple(order))


def _check(change: Change, bars: Securities) -> tuple[date, str | None]:
    """Return the date of a listed change according to the bars, and the reason to reject it, None if there is none."""
    day, before, after = change
    old, new = bars.stints.get(before, ()), bars.stints.get(after, ())
    crossing = next((one for one in (*new, *old) if one.spans(day)), None)
    left = next((one for one in reversed(old) if one.first < day), None)
    taken = next((one for one in new if one.last >= day), None)
    if crossing is not None:
        # The date may be wrong: the old symbol stops, and only then the new one begins.
        if left and taken and _can_follow(left, taken) and abs(taken.first - day) <= LONG_GAP:
            return taken.first, None
        return day, f"{crossing.symbol} traded from {crossing.first} to {crossing.last}"
    if left and left.next_symbol:
        return day, f"{before} went on as {left.next_symbol}"
    if taken and taken.previous_symbol:
        return day, f"{after} was {taken.previous_symbol} before"
    if left and taken and _are_unrelated(left, taken):
        return day, f"{before} closed at {left.runs[-1].close}, {after} began at {taken.runs[0].prev_close}"
    return day, None


def _can_follow(left: Stint, taken: Stint) -> bool:
    """Return whether a stint can continue another one under a new symbol."""
    free = left.next_symbol is None and taken.previous_symbol is None
    return free and left.last < taken.first and not _isins_differ(left, taken) and not _has_price_break(left, taken)


def _are_unrelated(left: Stint, taken: Stint) -> bool:
    """Return whether two stints are of different companies: a price break, and another ISIN or years between them."""
    apart = taken.first - left.last > _FORGOTTEN
    same_isin = bool(left.isins and taken.isins) and left.isins[-1] == taken.isins[0]
    return _has_price_break(left, taken) and (_isins_differ(left, taken) or (apart and not same_isin))


def _isins_differ(left: Stint, taken: Stint) -> bool:
    return bool(left.isins and taken.isins) and left.isins[-1] != taken.isins[0]


def _has_price_break(left: Stint, taken: Stint) -> bool:
    before = next((run for run in reversed(left.runs) if run.first < taken.first), left.runs[-1])
    return price_break(before.close, taken.runs[0].prev_close)


def _dates_agree(bars: Securities, change: Change, shown: Change) -> bool:
    """Return whether no bar is between the list's date and the bars' date, which is not earlier."""
    day, *symbols = change
    stints = (one for symbol in symbols for one in bars.stints[symbol])
    last = max((one.last for one in stints if one.last < shown[0]), default=date.min)
    return last < day <= shown[0]


def _has_change(restart: tuple[date, str], changes: Sequence[Change], bars: Securities) -> bool:
    """Return whether a change between the last bar and the restart already assigns the symbol to another security."""
    day, symbol = restart
    last = max((one.last for one in bars.stints[symbol] if one.last < day), default=date.min)
    return any(last < one[0] <= day and symbol in one[1:] for one in changes)


def _contradiction(kind: str, change: Change, reason: str) -> Contradiction:
    day, before, after = change
    return Contradiction(kind, day, after, f"{before} to {after} on {day}: {reason}")
