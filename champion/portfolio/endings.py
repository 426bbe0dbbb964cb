"""What holders got for shares that ended: a reviewed table with a source for each row.

The bars do not say why a share is traded no more. `endings.csv` has the cases whose terms are known:

- `merger`: `shares` of the `successor` for `held` shares. `difference` checks the terms against the exchange's bars: by
  how many per cent their value at the successor's close exceeds the share's own last close. It lies between -3 and 12,
  but NSE:ALBK closed a third above its terms (-25). `benchmarks/evidence/endings.py` measures it.
- `reduction`: `shares` for `held` shares of the same company, which the lake has as the same instrument or, if its
  identity is not known to have continued, as the `successor`.
- `extinguished`: the holders got nothing.

`evidence` is `official` for a notice of an exchange and `press` for a newspaper or news service, which `source` names
with its day. The schemes themselves were not read.

`last` is the last session of the share before its end. A share that is not in the table ends for an unknown reason, and
the simulator takes its haircut.
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
    "held": pl.Float64, "difference": pl.Float64, "evidence": pl.String, "source": pl.String,
}  # fmt: skip


@cache
def known_endings() -> pl.DataFrame:
    """Return the table: instrument_id, last, kind, successor, shares, held, difference, evidence and source.

    The successor is null for shares that were extinguished, and difference (per cent) is known for mergers only.

    >>> known_endings().filter(instrument_id="NSE:HDFC").select("kind", "successor", "shares", "held").row(0)
    ('merger', 'NSE:HDFCBANK', 42.0, 25.0)
    """
    return pl.read_csv(_TABLE, schema=_TYPES)


def valued(endings: pl.DataFrame, closes: pl.DataFrame) -> pl.DataFrame:
    """Return instrument_id, last, kind and value: what a holder got for one share, in rupees, at the close of `last`.

    It is valued at the first close of the successor from the share's last session on, and `last` is that session: after
    a reduction the new shares were often traded months later. Endings without that close, and reductions of shares that
    keep their instrument, are left out: the former are of unknown value, and the latter did not end (`reductions`).

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
    known = closes.select("close", successor="instrument_id", _valued="trade_date").drop_nulls("close")
    priced = endings.sort("last").join_asof(
        known.sort("_valued"), left_on="last", right_on="_valued", by="successor", strategy="forward", coalesce=False,
        check_sortedness=False,
    )  # fmt: skip
    nothing = pl.col("kind") == "extinguished"
    value = pl.when(nothing).then(0.0).otherwise(pl.col("close") * pl.col("shares") / pl.col("held"))
    last = pl.when(nothing).then("last").otherwise(pl.coalesce("_valued", "last"))
    return (
        priced.select("instrument_id", "kind", last=last, value=value)
        .drop_nulls("value")
        .select("instrument_id", "last", "kind", "value")
    )


def reductions(endings: pl.DataFrame, closes: pl.DataFrame) -> pl.DataFrame:
    """Return the reductions of shares that came back as the same instrument, as factors of corporate actions.

    The columns are instrument_id, last, ex_date (of the first later bar), kind, and price_factor and volume_factor:
    both are the new shares for one held, so that a holding keeps its last value until the new shares have a price.

    >>> from datetime import date
    >>> days = [date(2019, 11, 13), date(2020, 1, 27)]
    >>> closes = pl.DataFrame({"trade_date": days, "instrument_id": ["NSE:RUCHISOYA"] * 2, "close": [3.35, 17.0]})
    >>> reductions(known_endings(), closes).select("ex_date", "volume_factor").row(0)
    (datetime.date(2020, 1, 27), 0.01)
    """
    reduced = endings.filter(kind="reduction").join(closes.select("instrument_id", "trade_date"), on="instrument_id")
    later = reduced.filter(pl.col("trade_date") > pl.col("last"))
    factor = (pl.col("shares") / pl.col("held")).first()
    found = later.group_by("instrument_id", "last").agg(
        ex_date=pl.col("trade_date").min(), kind=pl.lit("capital_reduction"), price_factor=factor, volume_factor=factor
    )
    return found.sort("ex_date", "instrument_id")


def without_reduced(actions: pl.DataFrame, reduced: pl.DataFrame, day: str) -> pl.DataFrame:
    """Return actions, or gaps, without those in the break of trading of a reduction, whose terms stand in their place.

    `day` is the column with the ex-date or session, `reduced` as `reductions`.

    >>> from datetime import date
    >>> gap = pl.DataFrame({"instrument_id": ["A", "B"], "session": [date(2020, 1, 27)] * 2})
    >>> break_ = {"instrument_id": ["A"], "last": [date(2019, 11, 13)], "ex_date": [date(2020, 1, 27)]}
    >>> without_reduced(gap, pl.DataFrame(break_), "session")["instrument_id"].to_list()
    ['B']
    """
    if reduced.is_empty():
        return actions
    spans = reduced.select("instrument_id", _after="last", _until="ex_date")
    inside = actions.join(spans, on="instrument_id").filter(
        pl.col(day) > pl.col("_after"), pl.col(day) <= pl.col("_until")
    )
    return actions.join(inside, on=["instrument_id", day], how="anti", maintain_order="left")
