"""The kinds of instruments, and those that are company shares."""

from typing import Final

KINDS: Final = (
    "equity", "dvr", "partly_paid", "rights_entitlement", "preference", "fund", "reit_invit", "warrant", "debt",
    "government", "gold_bond", "depositary_receipt", "trading_window", "unknown",
)  # fmt: skip
"""What an instrument can be; `unknown` where the evidence decides nothing."""
UNKNOWN: Final = "unknown"
WINDOW: Final = "trading_window"
"""A further series in which an instrument trades beside its own: block deals, same-day settlement, a buy-back.

Its bars are a part of the trading in another instrument, so it is neither listed nor delisted, and never a company
share.
"""
EQUITY: Final = ("equity",)
"""The kinds of company shares: the default of universes, breadth, movers, reports and explorers.

A share with differential voting rights (`dvr`) is not one of them. It is a second line of a company whose ordinary
share is there already, so it would count the company twice. TATAMTRDVR, the only liquid one, ended in 2024.
"""
