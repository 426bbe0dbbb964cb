"""Bars of company shares as traded, now or as they were known on a date."""

from __future__ import annotations

from datetime import date, datetime

import polars as pl

from champion import contracts
from champion.contracts.datasets import BARS, RAW_BARS
from champion.lake import Lake
from champion.market import validation
from champion.market.envelope import session_close
from champion.market.equity_bars import EQUITY_SERIES, normalize
from champion.pipeline.ingest.symbol_changes import lineage


def equity_bars(
    lake: Lake, start: date | None = None, end: date | None = None, as_of: datetime | None = None
) -> pl.LazyFrame:
    """Return the bars of company shares as traded, ETFs among them: debt and other series carry no features.

    With `as_of` they are those of the sessions closed by then, from the files published by then: where the exchange
    corrected a file later, the earlier one is normalized once more; they are in the order of their sessions.
    """
    if as_of is None:
        return lake.scan(BARS, start, end).filter(pl.col("series").is_in(EQUITY_SERIES))
    closed = [session for session in lake.sessions(BARS, start, end) if session_close(session) <= as_of]
    if not closed:
        return lake.scan(BARS).clear()
    corrected = [session for session in closed if _corrected_since(lake, session, as_of)]
    known = lake.scan(BARS, start, closed[-1]).filter(~pl.col("trade_date").is_in(corrected))
    earlier = [_as_published(lake, session, as_of).lazy() for session in corrected]
    found = pl.concat([known, *earlier]).filter(pl.col("series").is_in(EQUITY_SERIES))
    return found.sort("trade_date", maintain_order=True)


def _corrected_since(lake: Lake, session: date, as_of: datetime) -> bool:
    manifest = lake.manifest(RAW_BARS, session)
    if manifest is None or len(manifest.parts) == 1:
        return False
    return lake.files(RAW_BARS, session, session, as_of=as_of) != lake.files(RAW_BARS, session, session)


def _as_published(lake: Lake, session: date, as_of: datetime) -> pl.DataFrame:
    raw = lake.scan(RAW_BARS, session, session, as_of=as_of).collect()
    names = lineage(lake).names(raw["TckrSymb"], session)
    return validation.validate(normalize(raw, names), contracts.load(BARS)).accepted
