"""Bars as traded, of company shares or of other kinds of instruments, as known now or at an earlier moment."""

from collections.abc import Collection
from datetime import date, datetime
from functools import partial

import polars as pl

from champion import contracts
from champion.base.clock import INDIA
from champion.contracts.datasets import BARS, RAW_BARS, SYMBOLS
from champion.contracts.instrument_kinds import EQUITY, UNKNOWN
from champion.lake import Lake
from champion.market import validation
from champion.market.envelope import session_close
from champion.market.equity_bars import EQUITY_SERIES, normalize
from champion.market.reference import instrument_kind
from champion.pipeline.ingest.symbol_changes import symbol_history


def equity_bars(
    lake: Lake,
    start: date | None = None,
    end: date | None = None,
    as_of: datetime | None = None,
    *,
    kinds: Collection[str] | None = EQUITY,
) -> pl.LazyFrame:
    """Return the bars in series of company shares as traded, by default of company shares alone.

    Funds, DVR shares and rights entitlements trade in these series too: `kinds` names the wanted ones, None all of them
    without asking what they are. Debt and other series are never included. An instrument of unknown kind is left out
    unless `kinds` names `unknown`; see `champion.market.reference.instrument_kind`.

    With `as_of`, they are the bars of the sessions closed by then, sorted by session, from the files published by then;
    the evidence of kinds is from these too. A file that the exchange corrected later is normalized again in its earlier
    version.
    """
    bars = _share_series(lake, start, end, as_of)
    return bars if kinds is None else instrument_kind.of_kinds(bars, kinds, partial(classified, lake, as_of))


def with_kinds(lake: Lake, bars: pl.DataFrame) -> pl.DataFrame:
    """Return bars (instrument_id, symbol, isin and series) with the column `instrument_kind`, in the same order."""
    return instrument_kind.with_kinds(bars, partial(classified, lake, None))


def unknown_kinds(lake: Lake, start: date | None = None, end: date | None = None) -> int:
    """Return the number of instruments in series of shares that have a bar in the range and whose kind is not known."""
    unknown = equity_bars(lake, start, end, kinds=(UNKNOWN,))
    return int(unknown.select(pl.col("instrument_id").n_unique()).collect().item())


def classified(lake: Lake, as_of: datetime | None, instruments: list[str]) -> pl.DataFrame:
    """Return `instrument_kind.classify` of some instruments, from all their bars and the list of shares in the lake."""
    bars = lake.scan(BARS)
    if as_of is not None:
        known = [day for day in lake.sessions(BARS) if session_close(day) <= as_of and not _corrected(lake, day, as_of)]
        bars = lake.scan(BARS, end=known[-1]).filter(pl.col("trade_date").is_in(known)) if known else bars.clear()
    chosen = pl.col("instrument_id").is_in(instruments)
    lists = [day for day in lake.sessions(SYMBOLS) if as_of is None or day < as_of.astimezone(INDIA).date()]
    listed = lake.scan(SYMBOLS, lists[-1]).filter(chosen).collect() if lists else None
    return instrument_kind.classify(bars.filter(chosen), listed)


def _share_series(lake: Lake, start: date | None, end: date | None, as_of: datetime | None) -> pl.LazyFrame:
    shares = pl.col("series").is_in(EQUITY_SERIES)
    if as_of is None:
        return lake.scan(BARS, start, end).filter(shares)
    if not (closed := [session for session in lake.sessions(BARS, start, end) if session_close(session) <= as_of]):
        return lake.scan(BARS).clear()
    corrected = [session for session in closed if _corrected(lake, session, as_of)]
    known = lake.scan(BARS, start, closed[-1]).filter(~pl.col("trade_date").is_in(corrected))
    earlier = [_as_published(lake, session, as_of).lazy() for session in corrected]
    return pl.concat([known, *earlier]).filter(shares).sort("trade_date", maintain_order=True)


def _corrected(lake: Lake, session: date, as_of: datetime) -> bool:
    """Return whether a session's file was corrected since `as_of`."""
    manifest = lake.manifest(RAW_BARS, session)
    if manifest is None or len(manifest.parts) == 1:
        return False
    return lake.files(RAW_BARS, session, session, as_of=as_of) != lake.files(RAW_BARS, session, session)


def _as_published(lake: Lake, session: date, as_of: datetime) -> pl.DataFrame:
    raw = lake.scan(RAW_BARS, session, session, as_of=as_of).collect()
    names = symbol_history(lake).names(raw["TckrSymb"], session)
    return validation.validate(normalize(raw, names), contracts.load(BARS)).accepted
