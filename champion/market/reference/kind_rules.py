"""The rules that give an instrument its kind, as a reviewed table: the first rule that applies decides.

A rule applies if all its conditions do:

- `isin`: the start of the ISIN, characters 1 to 3 and, if given, the security type in characters 8 and 9 (`INE01`); `-`
  for a bar without a well-formed ISIN; empty for every ISIN.
- `series`: the allowed series, separated by spaces; `#` is any digit, `?` any letter or digit; empty for every series.
- `symbol`, `name`: regular expressions that symbol and company name match; empty for every symbol and name.

Every combination of series and ISIN type in the exchange's files of 2016-01-01, 2017-02, 2019 to 2024 and 2025-02 has a
rule (`benchmarks/evidence/instrument_kinds.py` counts them). Sources: the ISIN's structure by NSDL (INE companies, INF
mutual funds, IN9 partly paid or differential voting rights, IN0 central and IN1 to IN4 state governments), the
exchange's legend of series, and for each rule the securities in these files.

The first rule has no ISIN, because a window is one whatever trades in it: beside 713 of the 714 bars in BL, BO and T0
of 2019 to 2024, the same symbol or ISIN has a bar in its own series on the same session.
"""

from __future__ import annotations

from typing import Final, NamedTuple

NO_ISIN: Final = "-"


class Rule(NamedTuple):
    """One rule; see the module for its conditions."""

    isin: str
    series: str
    symbol: str
    name: str
    kind: str
    reason: str


RULES: Final = (
    Rule("", "BL BO IL T0", "", "", "trading_window",
         "a window for block deals (BL), a buy-back (BO), foreign investors (IL), same-day settlement (T0)"),
    Rule("INE01", "", r"DVR(EQS)?$", "", "dvr", "type 01, but the symbol ends in DVR, as SCAPDVR beside STAMPEDE"),
    Rule("INE01", "", "", "", "equity", "type 01: a fully paid equity share; the series says only how it is settled"),
    Rule("INE20", "", "", "", "rights_entitlement", "type 20: a right to shares or units, tradable for about a week"),
    Rule("INE03", "", "", "", "preference", "type 03: convertible preference shares, as UPL's series Q1 and Q2"),
    Rule("INE04", "", "", "", "preference", "type 04: preference shares"),
    Rule("INE07", "", "", "", "debt", "type 07: debentures"),
    Rule("INE08", "", "", "", "debt", "type 08: bonds"),
    Rule("INE11", "", "", "", "debt", "type 11: deep-discount bonds, as ICICI1098"),
    Rule("INE24", "", "", "", "debt", "type 24: municipal bonds, as IMC1"),
    Rule("INEA7", "", "", "", "debt", "type A7: debentures, the further numbers of an issuer with many"),
    Rule("INE13", "", "", "", "warrant", "type 13: warrants"),
    Rule("INE21", "", "", "", "depositary_receipt", "type 21: Indian depositary receipts, as STAN"),
    Rule("INE23", "", "", "", "reit_invit", "type 23: units of an infrastructure investment trust"),
    Rule("INE25", "", "", "", "reit_invit", "type 25: units of a real estate investment trust"),
    Rule("INF", "", "", "", "fund", "INF: units of a mutual fund, exchange-traded or closed-ended"),
    Rule("IN9", "", "DVR", "", "dvr", "IN9, and the symbol says DVR: differential voting rights, as TATAMTRDVR"),
    Rule("IN9", "E# X#", "", "", "partly_paid", "IN9 in the series of partly paid shares, as BHARTIARTL in E1"),
    Rule("IN9", "", "", "", "unknown", "IN9 is partly paid or DVR, and neither series nor symbol says which"),
    Rule("IN0", "GB", "", "", "gold_bond", "IN0 in series GB: sovereign gold bonds"),
    Rule("IN0", "", "", "", "government", "IN0: bonds and treasury bills of the central government"),
    Rule("IN1", "", "", "", "government", "IN1: loans of a state government"),
    Rule("IN2", "", "", "", "government", "IN2: loans of a state government"),
    Rule("IN3", "", "", "", "government", "IN3: loans of a state government"),
    Rule("IN4", "", "", "", "government", "IN4: loans of a state government"),
    Rule("-", "", r"-RE\d*$", "", "rights_entitlement", "the symbol ends in -RE: a rights entitlement"),
    Rule("-", "BE BZ EQ", r"DVR(EQS)?$", "", "dvr", "the symbol ends in DVR: such shares in all files"),
    Rule("-", "SM ST SZ", "", "", "equity", "the SME platform lists companies; rights there are named -RE"),
    Rule("-", "IT", "", "", "equity", "the institutional trading platform lists companies that no other series has"),
    Rule("-", "GB", "", "", "gold_bond", "series GB: sovereign gold bonds in all files"),
    Rule("-", "GS SG TB", "", "", "government", "series GS, SG, TB: government bonds and bills in all files"),
    Rule("-", "MF", "", "", "fund", "series MF: closed-ended funds in all files"),
    Rule("-", "IV RR", "", "", "reit_invit", "series IV and RR: units of investment trusts in all files"),
    Rule("-", "P# Q#", "", "", "preference", "series P and Q: preference shares in all files"),
    Rule("-", "W#", "", "", "warrant", "series W: warrants in all files"),
    Rule("-", "E# X#", "", "", "partly_paid", "series E and X: partly paid shares in all files"),
    Rule("-", "DR", "", "", "depositary_receipt", "series DR: depositary receipts in all files"),
    Rule("-", "N? Y? Z? D# HC", "", "", "debt", "series of debentures and bonds in all files"),
    Rule("-", "BE BZ EQ", "", r"\b(ETF|ETFS|BEES)\b|MUTUAL FUND|EXCHANGE TRADED|FUND HOUSE", "fund",
         "the published name is that of a fund"),
    Rule("-", "BE BZ EQ", "", "", "unknown", "the series holds shares, DVR and fund units alike, and no ISIN"),
    Rule("-", "A? B?", "", "", "debt", "series of debentures and bonds in all files, apart from BE, BZ and windows"),
)  # fmt: skip
"""The rules in order; what none of them covers is `unknown`."""
