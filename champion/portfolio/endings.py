"""What holders got for shares that ended: a reviewed table with a source for each row.

The bars do not say why a share is traded no more. `endings.csv` has the cases whose terms are known:

- `merger`: `shares` of the `successor` for `held` shares. Evidence `bars` means that the terms were compared with the
  last closes of both shares in the bars of the exchange: they agree within 12%. NSE:ALBK is the exception: it closed a
  third above its terms.
- `reduction`: `shares` for `held` shares of the same company.
- `extinguished`: the holders got nothing.

`last` is the last session of the share. A share that is not in the table ends for an unknown reason, and the simulator
takes its haircut.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import polars as pl

from champion.errors import UsageError
from champion.portfolio.inputs import require_frame

KINDS = ("merger", "reduction", "extinguished")
"""Why a share ended."""
_TABLE = Path(__file__).with_name("endings.csv")
_TYPES = {
    "instrument_id": pl.String, "last": pl.Date, "kind": pl.String, "successor": pl.String, "shares": pl.Float64,
    "held": pl.Float64, "evidence": pl.String, "source": pl.String,
}  # fmt: skip


@cache
def known_endings() -> pl.DataFrame:
    """Return the table: instrument_id, last, kind, successor (null without one), shares, held, evidence and source.

    >>> known_endings().filter(instrument_id="NSE:HDFC").select("kind", "successor", "shares", "held").row(0)
    ('merger', 'NSE:HDFCBANK', 42.0, 25.0)
    """
    return pl.read_csv(_TABLE, schema=_TYPES)


def valued(endings: pl.DataFrame, closes: pl.DataFrame) -> pl.DataFrame:
    """Return instrument_id, last, kind and value: the rupees that a holder got for each share, at the close of `last`.

    A merger is valued at the successor's close of that session, a reduction at the share's own. Endings without that
    close are left out: they are of unknown value.

    Args:
        endings: as `known_endings`.
        closes: trade_date, instrument_id and close (rupees) of the shares and their successors, as traded.

    Raises:
        UsageError: a frame lacks a column, or an ending is of an unknown kind.

    >>> from datetime import date
    >>> day = date(2023, 7, 12)
    >>> closes = pl.DataFrame({"trade_date": [day], "instrument_id": ["NSE:HDFCBANK"], "close": [1632.95]})
    >>> valued(known_endings(), closes).filter(instrument_id="NSE:HDFC").row(0)
    ('NSE:HDFC', datetime.date(2023, 7, 12), 'merger', 2743.356)
    """
    require_frame("closes", closes, ("trade_date", "instrument_id", "close"))
    if unknown := set(endings["kind"]) - set(KINDS):
        raise UsageError(f"no share ended by {', '.join(sorted(unknown))}; the kinds are {', '.join(KINDS)}")
    wanted = endings.with_columns(_priced=pl.coalesce("successor", "instrument_id"))
    known = closes.select("close", _priced="instrument_id", last="trade_date")
    priced = wanted.join(known, on=["_priced", "last"], how="left")
    nothing = pl.col("kind") == "extinguished"
    value = pl.when(nothing).then(0.0).otherwise(pl.col("close") * pl.col("shares") / pl.col("held"))
    return priced.select("instrument_id", "last", "kind", value=value).drop_nulls("value")
