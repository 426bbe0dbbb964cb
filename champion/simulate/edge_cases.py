"""Rare events of the simulated market, for which joins by symbol, ISIN or published list give wrong results.

Each EQ instrument without another event of `champion.simulate.events` gets at most one. Every kind occurs once before
any kind occurs twice; none occurs in a special session. They have their own stream of random numbers.

- rights: the price falls to the theoretical ex-rights price;
- demerger: the price falls by a share that no list gives;
- consolidation: ten shares become one, with another ISIN;
- renamed split: a rename, and weeks later a split, which the list has under the new symbol;
- quiet rename: missing from the list of symbol changes, while the ISIN stays;
- round trip: from EQ to BE and weeks later back, with a bonus in between that is not of equity shares;
- special dividend: a large part of the price.
"""

from datetime import date

import numpy as np

from champion.simulate import actions as corporate, calendar
from champion.simulate.actions import Action
from champion.simulate.changes import Change, reissue_isin, rename_symbol
from champion.simulate.universe import Instrument

YEARLY_RATES = {
    "rights": 0.008,
    "demerger": 0.004,
    "consolidation": 0.002,
    "renamed split": 0.004,
    "quiet rename": 0.004,
    "round trip": 0.008,
    "special dividend": 0.003,
}
YEAR = 250  # sessions
ISIN_DELAY = 3  # sessions, excluded: 0 to 2


def plan(
    universe: tuple[Instrument, ...], sessions: tuple[date, ...], free: list[int], seed: int, taken: set[str]
) -> tuple[list[Action], list[Change]]:
    """Return the rare events of the `free` positions; new symbols are added to `taken`.

    The first date of an event is in the second fifth of the sessions, its second between their middle and the end of
    the fourth.
    """
    rng = np.random.default_rng((seed, 4))
    places = [int(place) for place in rng.permutation(sorted(free))]
    most = max(1, len(places) // 10)
    counts = {
        kind: min(most, -int(-len(universe) * rate * len(sessions) // YEAR)) for kind, rate in YEARLY_RATES.items()
    }
    kinds = [kind for turn in range(most) for kind, count in counts.items() if turn < count]
    usual = [session for session in sessions if not calendar.is_special(session)]
    fifth = len(usual) // 5
    actions: list[Action] = []
    changes: list[Change] = []
    for position, kind in zip(places, kinds, strict=False):
        instrument = universe[position]
        early, late = int(rng.integers(fifth, 2 * fifth)), int(rng.integers(5 * fifth // 2, 4 * fifth))
        first, second = usual[early], usual[late]
        delayed = min(sessions.index(second) + int(rng.integers(ISIN_DELAY)), len(sessions) - 1)
        reissue = reissue_isin(instrument, position, sessions[delayed])
        match kind:
            case "rights":
                actions.append(corporate.rights(instrument, position, second, rng))
            case "demerger":
                actions.append(corporate.demerger(instrument, position, first, rng))
            case "consolidation":
                actions.append(corporate.consolidation(position, second))
                changes.append(reissue)
            case "renamed split":
                actions += corporate.capital(instrument, position, second, "split", rng)
                changes += [rename_symbol(instrument, position, first, taken), reissue]
            case "quiet rename":
                changes.append(rename_symbol(instrument, position, second, taken, published=False))
            case "round trip":
                actions.append(corporate.preference_bonus(instrument, position, usual[(early + late) // 2]))
                changes.append(Change(position, first, "series", "EQ", "BE"))
                changes.append(Change(position, second, "series", "BE", "EQ"))
            case "special dividend":
                actions.append(corporate.special_dividend(instrument, position, first, rng))
    return actions, changes
