"""A simulated exchange archive: the real one's paths, names and oddities, invented companies, prices from a seed.

`publish` writes it into a folder that then stands in for the exchange. It holds

- legacy bhavcopies to 2024-07-05 and UDiFF ones from 2024-01-01, with both UDiFF headers; a holiday is a missing file,
  Muhurat and drill sessions are thin;
- the full report with delivery figures of every session, which leaves some debt and series T0 out;
- index closes of every session: three indices of the equities, dividend points, and a volatility index;
- listings, delistings, moves to BE for good or for weeks, renames, one of which is missing from the exchange's list;
- splits and consolidations with a new ISIN up to two sessions later, one of them after a rename; bonuses, both on one
  day; rights issues, demergers, dividends, special dividends, and a bonus that is not of equity shares;
- the symbol master, the symbol changes, and the corporate actions in the exchange's spellings, a few of them twice.

`SimulatedArchive.actions` and `.changes` are the truth behind the lists. Twelve instruments hold the common events,
twenty over ten months one of each (see `champion.simulate.events` and `champion.simulate.edge_cases`).

The planted relationship: each equity's own return (beyond market and sector) is expected to give back, session by
session, `0.09 * signal` of its sum over the last five sessions. Past five-session returns, RSI, the distance to a short
average and the place in the Bollinger bands therefore foretell, with a negative sign, the next sessions' returns: the
rank correlation over five sessions is about 0.10 at `signal=0.5` and 0.18 at 1. At `signal=0` log prices are
martingales with independent returns, and whatever ranks them better than luck has looked ahead; adjusted for all
actions, they are so across every ex-date too.
"""

from __future__ import annotations

from champion.simulate.actions import Action
from champion.simulate.archive import SimulatedArchive, publish
from champion.simulate.changes import Change

__all__ = ["Action", "Change", "SimulatedArchive", "publish"]
