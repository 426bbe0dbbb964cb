"""What happens to the simulated instruments: listings, delistings, renames, series moves, corporate actions.

Each instrument gets at most one of these, but dividends and meetings, which come to most of them every year. Yearly
rates are near the exchange's; an archive of twelve instruments and sixty sessions already holds one of each kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from champion.simulate.universe import next_isin

if TYPE_CHECKING:
    from datetime import date

    from champion.simulate.universe import Instrument

Kind = Literal["split", "bonus", "bonus and split", "dividend", "meeting"]
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
YEAR = 250  # sessions
SHORTEST = 10  # sessions; a shorter archive has no events
NEW_FACES = {10: (5, 2, 1), 5: (1,), 2: (1,)}
SPLITS = (
    " Face Value Split (Sub-Division) - From Rs {0}/- Per Share To {1} {2}/- Per Share",
    "Face Value Split (Sub-Division) - From Rs {0} Per Share To {1} {2} Per Share",
    " Fv Splt Frm Rs {0} To {1} {2}",
    "Face Value Split (Sub-Division) - From Rs{0}/- Per Share To {1} {2}/- Per Share",
    " Face Value Split From Rs {0} To {1} {2}",
)
BONUSES = (
    (1, 1, "Bonus 1:1"),
    (1, 2, " Bonus 1: 2"),
    (2, 1, " Bonus 2:1"),
    (1, 2, "Bonus- 1:2"),
    (1, 4, " Bonus  1:4"),
)
DIVIDENDS = (
    "Interim Dividend - {} Per Share",
    "Dividend - {} Per Share",
    "Annual General Meeting/Dividend - {} Per Share",
    " Interim Dividend {}/- Per Share (Purpose Revised)",
    " Annual General Meeting/Dividend- {} Per Share",
)
MEETINGS = ("Annual General Meeting", " Buyback Of Shares", " Annual General Meeting")


@dataclass(frozen=True)
class Action:
    """One corporate action. Prices before `ex_date` are divided by `price_factor` to compare with those after.

    `symbol` and `face_value` are the instrument's last ones, as in the exchange's list; `traded_symbol` its one on the
    ex-date.
    A dividend's purpose has a gap for the amount: `dividend_yield` of the previous close, to five paise.
    """

    position: int
    symbol: str
    traded_symbol: str
    ex_date: date
    kind: Kind
    price_factor: float
    dividend_yield: float
    purpose: str
    face_value: int


@dataclass(frozen=True)
class Change:
    """From `session` on, the instrument's `attribute` (symbol, series or isin) is `after` instead of `before`."""

    position: int
    session: date
    attribute: Literal["symbol", "series", "isin"]
    before: str
    after: str


@dataclass(frozen=True)
class Events:
    """All events of an archive; `first` and `last` are each instrument's first and last listed session's index."""

    first: tuple[int, ...]
    last: tuple[int, ...]
    actions: tuple[Action, ...]
    changes: tuple[Change, ...]


def plan(universe: tuple[Instrument, ...], sessions: tuple[date, ...], seed: int, *, corporate_actions: bool) -> Events:
    """Return the events of a universe over its sessions, actions ordered by ex-date, changes by session."""
    rng = np.random.default_rng((seed, 2))
    chosen = _choose(universe, len(sessions), rng)
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
                after = _unused(instrument.symbol, taken)
                changes.append(Change(position, sessions[index], "symbol", instrument.symbol, after))
            case "move":
                changes.append(Change(position, sessions[index], "series", instrument.series, "BE"))
            case _ if corporate_actions:
                actions += _capital(instrument, position, sessions[index], kind, rng)
                if kind != "bonus":
                    effective = min(index + int(rng.integers(3)), len(sessions) - 1)
                    after = next_isin(instrument.isin)
                    changes.append(Change(position, sessions[effective], "isin", instrument.isin, after))
    if corporate_actions:
        actions += _yearly(universe, sessions, (first, last), changes, {action.position for action in actions}, rng)
    changes.sort(key=lambda change: (change.session, change.position))
    actions.sort(key=lambda action: (action.ex_date, action.position))
    return Events(tuple(first), tuple(last), tuple(actions), tuple(changes))


def _choose(universe: tuple[Instrument, ...], length: int, rng: np.random.Generator) -> dict[int, str]:
    """Return the one kind of event of each chosen instrument; only EQ instruments are chosen."""
    pool = [int(place) for place in rng.permutation([i for i, one in enumerate(universe) if one.series == "EQ"])]
    if length < SHORTEST:
        return {}
    most = max(1, len(pool) // 10)
    counts = {kind: min(most, -int(-len(universe) * rate * length // YEAR)) for kind, rate in YEARLY_RATES.items()}
    kinds = [kind for kind, number in counts.items() for _ in range(number)]
    return dict(zip(pool, kinds, strict=False))


def _unused(symbol: str, taken: set[str]) -> str:
    """Return a new symbol for a renamed company, and take it."""
    stem = symbol.replace("&", "").replace("-", "")
    after = next(f"{stem}{suffix}" for suffix in ("IND", "LTD", "CORP", "NEW") if f"{stem}{suffix}" not in taken)
    taken.add(after)
    return after


def _capital(instrument: Instrument, position: int, ex_date: date, kind: str, rng: np.random.Generator) -> list[Action]:
    """Return the split, the bonus or both of one instrument."""
    spelling = int(rng.integers(len(SPLITS)))
    face, new_face = instrument.face_value, int(rng.choice(NEW_FACES[instrument.face_value]))
    last_face = face if kind == "bonus" else new_face
    split_text = SPLITS[spelling].format(face, "Re" if new_face == 1 else "Rs", new_face)
    new, held, bonus_text = BONUSES[int(rng.integers(len(BONUSES)))]
    split, bonus = face / new_face, (new + held) / held

    def action(kind: Kind, factor: float, purpose: str) -> Action:
        return Action(position, instrument.symbol, instrument.symbol, ex_date, kind, factor, 0.0, purpose, last_face)

    if kind == "joined":
        return [action("bonus and split", split * bonus, f"{bonus_text}/{split_text.strip()}")]
    actions = [action("split", split, split_text), action("bonus", bonus, bonus_text)]
    return {"split": actions[:1], "bonus": actions[1:]}.get(kind, actions)


def _yearly(
    universe: tuple[Instrument, ...],
    sessions: tuple[date, ...],
    listed: tuple[list[int], list[int]],
    changes: list[Change],
    adjusted: set[int],
    rng: np.random.Generator,
) -> list[Action]:
    """Return dividends and meetings: each equity has one or the other in two of three years."""
    renames = {change.position: change for change in changes if change.attribute == "symbol"}
    actions = []
    for position, instrument in enumerate(universe):
        for year in range(0, len(sessions), YEAR):
            index, chance, spelling = year + int(rng.integers(YEAR)), rng.random(), int(rng.integers(5))
            payout = float(rng.uniform(0.003, 0.025))
            on_list = listed[0][position] < index <= listed[1][position]
            if not on_list or not instrument.is_equity or position in adjusted or chance > 2 / 3:
                continue
            rename = renames.get(position)
            symbol = rename.after if rename else instrument.symbol
            traded = symbol if rename is None or rename.session <= sessions[index] else rename.before
            pays = chance < 1 / 2
            kind: Kind = "dividend" if pays else "meeting"
            purpose = DIVIDENDS[spelling] if pays else MEETINGS[spelling % len(MEETINGS)]
            share = payout if pays else 0.0
            actions.append(
                Action(position, symbol, traded, sessions[index], kind, 1.0, share, purpose, instrument.face_value)
            )
    return actions
