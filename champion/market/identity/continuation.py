"""Find shares that go on as another instrument: the symbol and the ISIN of a company changed on the same session.

The symbol history follows a rename by the ISIN. If a split or a reduction of capital gives the share a new ISIN on the
session of the rename, nothing joins the two instruments: PHILIPCARB ends, and PCBL begins. But the first nine
characters of an Indian ISIN name the issuer and the type of security (01 is a fully paid share), and a split changes
only the last three. So an instrument continues another one of the same issuer and type if

1. its first bar is later than the last bar of the other one, by `LONG_GAP` at most, or with the other's last close as
   its published previous close (so do 30 of the 32 such pairs in the files of 2019 to 2024, up to 468 days later), and
2. no third instrument of the issuer could be the other's successor, or its predecessor.

Rights, partly paid shares and bonds of the issuer have another type or prefix; a demerged company has another issuer.
Both keep their ids: stored features and scores name them.
"""

from __future__ import annotations

import polars as pl

from champion.market.identity.isin import OF_TYPE, is_valid
from champion.market.identity.succession import EQUAL
from champion.market.identity.symbol_runs import LONG_GAP

CONTINUATIONS = {
    "instrument_id": pl.String(), "last_bar": pl.Date(), "continued_as": pl.String(), "continued_on": pl.Date()
}  # fmt: skip
_ID = "instrument_id"
_SHARE = "01"  # characters 8 and 9 of the ISIN of a fully paid share


def candidates(runs: pl.DataFrame) -> pl.DataFrame:
    """Return the instruments whose issuer has several: instrument_id, issuer (nine characters), first, last.

    `runs` need instrument_id, isin, first and last.
    """
    spans = runs.group_by(_ID).agg(pl.col("first").min(), pl.col("last").max())
    issuer = pl.col("isin").str.head(OF_TYPE)
    shares = runs.filter(issuer.str.starts_with("INE") & issuer.str.ends_with(_SHARE)).select(_ID, "isin").unique()
    known = pl.Series([is_valid(isin) for isin in shares["isin"]], dtype=pl.Boolean)
    each = shares.filter(known).select(_ID, issuer=issuer).unique()
    return each.filter(pl.len().over("issuer") > 1).join(spans, on=_ID).sort("first", _ID)


def continuations(runs: pl.DataFrame) -> pl.DataFrame:
    """Return the instruments that go on as another one: instrument_id, last_bar, continued_as, continued_on, by date.

    `runs` are those of ordinary shares, as `symbol_runs.listings` returns them, with instrument_id; several rows of one
    instrument are allowed, and null prices. A null or invalid ISIN is no evidence. `continued_on` is the first session
    of the new instrument.

    >>> from datetime import date
    >>> days, prices = [date(2022, 1, 12), date(2022, 1, 13)], {"prev_close": [240.5, 247.05], "close": [247.05, 249.0]}
    >>> runs = {"instrument_id": ["N:PHILIPCARB", "N:PCBL"], "isin": ["INE602A01023", "INE602A01031"], **prices}
    >>> continuations(pl.DataFrame({**runs, "first": days, "last": days})).select("continued_as", "continued_on").row(0)
    ('N:PCBL', datetime.date(2022, 1, 13))
    """
    each = candidates(runs)
    of_each = runs.join(each, on=_ID, how="semi").sort("first", "last").group_by(_ID, maintain_order=True)
    priced = each.join(of_each.agg(pl.col("prev_close").first(), pl.col("close").last()), on=_ID)
    later = priced.select(
        "issuer", continued_as=_ID, continued_on="first", published=pl.col("prev_close").cast(pl.Float64)
    )
    gap = pl.col("continued_on") - pl.col("last")
    is_same = ((pl.col("published") / pl.col("close") - 1).abs() <= EQUAL).fill_null(value=False)
    pairs = priced.join(later, on="issuer").filter(
        pl.col(_ID) != pl.col("continued_as"), pl.col("continued_on") > pl.col("last"), (gap <= LONG_GAP) | is_same
    )
    found = pairs.rename({"last": "last_bar"}).select(list(CONTINUATIONS)).unique()
    only = (pl.len().over(_ID) == 1) & (pl.len().over("continued_as") == 1)
    return found.filter(only).sort("continued_on", _ID)
