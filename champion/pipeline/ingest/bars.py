"""Bars of company shares as traded, as known now or at an earlier moment."""

from datetime import date, datetime

import polars as pl

from champion import contracts
from champion.contracts.datasets import BARS, RAW_BARS
from champion.lake import Lake
from champion.market import validation
from champion.market.envelope import session_close
from champion.market.equity_bars import EQUITY_SERIES, normalize
from champion.pipeline.ingest.symbol_changes import symbol_history


def equity_bars(
    lake: Lake, start: date | None = None, end: date | None = None, as_of: datetime | None = None
) -> pl.LazyFrame:
    """Return the bars of company shares and ETFs as traded; debt and other series have no features.

    With `as_of`, they are the bars of the sessions closed by then, sorted by session, from the files published by then.
    A file that the exchange corrected later is normalized again in its earlier version.
    """
    if as_of is None:
        return lake.scan(BARS, start, end).filter(pl.col("series").is_in(EQUITY_SERIES))
    if not (closed := [session for session in lake.sessions(BARS, start, end) if session_close(session) <= as_of]):
        return lake.scan(BARS).clear()
    corrected = [session for session in closed if _corrected_since(lake, session, as_of)]
    known = lake.scan(BARS, start, closed[-1]).filter(~pl.col("trade_date").is_in(corrected))
    earlier = [_as_published(lake, session, as_of).lazy() for session in corrected]
    shares = pl.concat([known, *earlier]).filter(pl.col("series").is_in(EQUITY_SERIES))
    return shares.sort("trade_date", maintain_order=True)


def _corrected_since(lake: Lake, session: date, as_of: datetime) -> bool:
    manifest = lake.manifest(RAW_BARS, session)
    if manifest is None or len(manifest.parts) == 1:
        return False
    return lake.files(RAW_BARS, session, session, as_of=as_of) != lake.files(RAW_BARS, session, session)


def _as_published(lake: Lake, session: date, as_of: datetime) -> pl.DataFrame:
    raw = lake.scan(RAW_BARS, session, session, as_of=as_of).collect()
    names = symbol_history(lake).names(raw["TckrSymb"], session)
    return validation.validate(normalize(raw, names), contracts.load(BARS)).accepted
