"""Changes of a simulated instrument's names: symbol, series and ISIN."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from champion.simulate.universe import Instrument, next_isin


@dataclass(frozen=True)
class Change:
    """From `session` on, the instrument's `attribute` (symbol, series or isin) is `after` instead of `before`.

    `published` is False for a rename that is missing from the exchange's list of symbol changes.
    """

    position: int
    session: date
    attribute: Literal["symbol", "series", "isin"]
    before: str
    after: str
    published: bool = True


def rename_symbol(
    instrument: Instrument, position: int, session: date, taken: set[str], *, published: bool = True
) -> Change:
    """Return a rename to an unused symbol, and add that symbol to `taken`."""
    stem = instrument.symbol.replace("&", "").replace("-", "")
    after = next(name for suffix in ("IND", "LTD", "CORP", "NEW") if (name := f"{stem}{suffix}") not in taken)
    taken.add(after)
    return Change(position, session, "symbol", instrument.symbol, after, published)


def reissue_isin(instrument: Instrument, position: int, session: date) -> Change:
    """Return the change of ISIN after a new face value."""
    return Change(position, session, "isin", instrument.isin, next_isin(instrument.isin))
