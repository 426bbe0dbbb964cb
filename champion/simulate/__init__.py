"""Simulate an exchange archive: real paths, formats and oddities, invented companies, prices from a seed.

`publish` writes it into a folder that replaces the exchange. It contains

- legacy bhavcopies to 2024-07-05 and UDiFF ones from 2024-01-01, with both UDiFF headers; a holiday has no file,
  Muhurat and drill sessions have little volume;
- the full report with delivery figures of every session, without some debt and series T0;
- from a hundred instruments on, securities that are no company shares: funds and a DVR share in series EQ, a rights
  entitlement in BE, a REIT, an InvIT, partly paid and preference shares, a warrant, a gold bond;
- index closes of every session: three equity indices, dividend points and a volatility index;
- price bands, F&O ban list, PR bundle and market activity report of every session, lots and index histories;
- listings, delistings, permanent and temporary moves to BE, and renames, one of them missing from the exchange's list;
- splits and consolidations with a new ISIN up to two sessions later, one of them after a rename; bonuses; both on one
  day; rights issues, demergers, dividends, special dividends, and a bonus that is not of equity shares;
- the symbol master, the symbol changes, and the corporate actions in the exchange's spellings, a few of them twice.

`SimulatedArchive.actions` and `.changes` are the true actions and changes, from which the lists are written. Twelve
instruments have the common events, twenty over ten months at least one of each (see `champion.simulate.events` and
`champion.simulate.edge_cases`).

The planted relationship is a reversal: in each session, the expected own return of an equity (without market and
sector) is minus `0.09 * signal` times the sum of its last five own returns. So past five-session returns, RSI, the
distance to a short average and the position in the Bollinger bands predict the next returns with a negative sign: the
rank correlation over five sessions is about 0.10 at `signal=0.5`, 0.18 at 1 and 0.26 at 2. At `signal=0` log prices,
adjusted for all actions, are martingales with independent returns, so a model that ranks them better than luck uses
future data. Volatile shares then drift up in rupees. With `martingale="price"` prices are martingales instead, so
that no portfolio earns anything on average, before costs.
"""

from champion.simulate.actions import Action
from champion.simulate.archive import SimulatedArchive, publish
from champion.simulate.changes import Change

__all__ = ["Action", "Change", "SimulatedArchive", "publish"]
