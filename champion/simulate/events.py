"""The events of the simulated instruments: listings, delistings, renames, series moves, corporate actions.

Each instrument has at most one of these; most instruments also have dividends or meetings every year. Yearly rates are
near the exchange's. An archive of twelve instruments and sixty sessions has at least one event of each kind in this
module, one of twenty instruments also one of each kind in `edge_cases`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from champion.simulate import edge_cases
from champion.simulate.actions import Action, Kind, capital
from champion.simulate.changes import Change, reissue_isin, rename_symbol
from champion.simulate.universe import Instrument

YEARLY_RATES = {
    "split": 0.015,
    "bonus": 0.015,
    "rename": 0.01,
    "listing": 0.02,
    "delisting": 0.01,
    "move": 0.01,
    "joined": 0.004,  # bonus and split in one row of the file
    "same day": 0.004,  # bonus and split as two rows of one ex-date
}
SHORTEST = 10  # sessions; a shorter archive has no events
DIVIDENDS = (
    "Interim Dividend - {} Per Share",
    "Dividend - {} Per Share",
    "Annual General Meeting/Dividend - {} Per Share",
    " Interim Dividend {}/- Per Share (Purpose Revised)",
    " Annual General Meeting/Dividend- {} Per Share",
)
MEETINGS = ("Annual General Meeting", " Buyback Of Shares", " Annual General Meeting")


@dataclass(frozen=True)
class Events:
    """All events of an archive; `first` and `last` are the indices of each instrument's first and last session."""

    first: tuple[int, ...]
    last: tuple[int, ...]
    actions: tuple[Action, ...]
    changes: tuple[Change, ...]


def plan(universe: tuple[Instrument, ...], sessions: tuple[date, ...], seed: int, *, corporate_actions: bool) -> Events:
    """Return the events of a universe: actions ordered by ex-date, changes by session."""
    rng = np.random.default_rng((seed, 2))
    pool = [int(place) for place in rng.permutation([i for i, one in enumerate(universe) if one.series == "EQ"])]
    most, yearly = max(1, len(pool) // 10), YEARLY_RATES if len(sessions) >= SHORTEST else {}
    counts = {
        kind: min(most, -int(-len(universe) * rate * len(sessions) // edge_cases.YEAR)) for kind, rate in yearly.items()
    }
    chosen = dict(zip(pool, [kind for kind, number in counts.items() for _ in range(number)], strict=False))
    when = {position: int(rng.integers(len(sessions) // 5, len(sessions) * 4 // 5)) for position in sorted(chosen)}
    first, last = [0] * len(universe), [len(sessions) - 1] * len(universe)
    changes: list[Change] = []
    actions: list[Action] = []
    taken = {instrument.symbol for instrument in universe}
    for position, kind in sorted(chosen.items()):
        instrument, index = universe[position], when[position]
        match kind:
            case "listing":
                first[position] = index
            case "delisting":
                last[position] = index
            case "rename":
                changes.append(rename_symbol(instrument, position, sessions[index], taken))
            case "move":
                changes.append(Change(position, sessions[index], "series", instrument.series, "BE"))
            case _ if corporate_actions:
                actions += capital(instrument, position, sessions[index], kind, rng)
                if kind != "bonus":
                    effective = min(index + int(rng.integers(3)), len(sessions) - 1)
                    changes.append(reissue_isin(instrument, position, sessions[effective]))
    adjusted = {action.position for action in actions}
    free = [position for position in pool if position not in chosen] if len(sessions) >= SHORTEST else []
    rare_actions, rare_changes = edge_cases.plan(universe, sessions, free, seed, taken)
    changes += [change for change in rare_changes if corporate_actions or change.attribute != "isin"]
    if corporate_actions:
        actions += rare_actions
        known = {(action.position, action.ex_date) for action in actions}
        paid = _yearly(universe, sessions, (first, last), adjusted, rng)
        actions += [action for action in paid if (action.position, action.ex_date) not in known]
    changes.sort(key=lambda change: (change.session, change.position))
    actions.sort(key=lambda action: (action.ex_date, action.position))
    return Events(tuple(first), tuple(last), _as_listed(actions, universe, changes), tuple(changes))


def _as_listed(
    actions: list[Action], universe: tuple[Instrument, ...], changes: Iterable[Change]
) -> tuple[Action, ...]:
    """Return the actions with the last symbol and face value, and with the symbol of their ex-date."""
    renames = {change.position: change for change in changes if change.attribute == "symbol"}
    faces = {one.position: one.face_value for one in actions if "split" in one.kind or one.kind == "consolidation"}
    listed = []
    for action in actions:
        rename = renames.get(action.position)
        symbol = rename.after if rename else universe[action.position].symbol
        traded = rename.before if rename and action.ex_date < rename.session else symbol
        face = faces.get(action.position, action.face_value)
        listed.append(replace(action, symbol=symbol, traded_symbol=traded, face_value=face))
    return tuple(listed)


def _yearly(
    universe: tuple[Instrument, ...],
    sessions: tuple[date, ...],
    listed: tuple[list[int], list[int]],
    adjusted: set[int],
    rng: np.random.Generator,
) -> list[Action]:
    """Return dividends and meetings: each equity has one or the other in two of three years."""
    actions = []
    for position, instrument in enumerate(universe):
        for year in range(0, len(sessions), edge_cases.YEAR):
            index, chance, spelling = year + int(rng.integers(edge_cases.YEAR)), rng.random(), int(rng.integers(5))
            payout = float(rng.uniform(0.003, 0.025))
            on_list = listed[0][position] < index <= listed[1][position]
            if not on_list or not instrument.is_equity or position in adjusted or chance > 2 / 3:
                continue
            pays = chance < 1 / 2
            kind: Kind = "dividend" if pays else "meeting"
            purpose = DIVIDENDS[spelling] if pays else MEETINGS[spelling % len(MEETINGS)]
            share = payout if pays else 0.0
            actions.append(Action(position, sessions[index], kind, 1.0, purpose, instrument.face_value, share=share))
    return actions
