"""A simulated exchange archive: the real one's paths, names and oddities, invented companies, prices from a seed.

`publish` writes it into a folder that then stands in for the exchange. It holds

- legacy bhavcopies to 2024-07-05 and UDiFF ones from 2024-01-01, with both UDiFF headers; a holiday is a missing file,
  Muhurat and drill sessions are thin;
- listings, delistings, renames, moves to BE, splits with a new ISIN, bonuses, both on one day, dividends;
- the symbol master, the symbol changes, and the corporate actions in the exchange's spellings.

The planted relationship: each equity's own return (beyond market and sector) is expected to give back, session by
session, `0.09 * signal` of its sum over the last five sessions. Past five-session returns, RSI, the distance to a short
average and the place in the Bollinger bands therefore foretell, with a negative sign, the next sessions' returns: the
rank correlation over five sessions is about 0.10 at `signal=0.5` and 0.18 at 1. At `signal=0` prices are martingales
with independent returns, and whatever finds more than luck in them has looked ahead.
"""

from __future__ import annotations

from champion.simulate.actions import Action
from champion.simulate.archive import SimulatedArchive, publish
from champion.simulate.changes import Change

__all__ = ["Action", "Change", "SimulatedArchive", "publish"]
