"""Bars and corporate actions as arrays of sessions and instruments, for the loop of the simulator."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from champion.base.counting import quantity
from champion.errors import UsageError
from champion.market.reference import band_inference, price_limits
from champion.portfolio.inputs import require_unique

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
FillPrice: TypeAlias = Literal["average", "open", "close"]
_REQUIRED = ("trade_date", "instrument_id", "open", "high", "low", "close", "prev_close", "volume", "turnover")
_OPTIONAL = {"average_price": pl.Float64, "upper_band": pl.Float64, "lower_band": pl.Float64, "series": pl.String}
_SAME_ISIN = ("bonus", "capital_reduction")  # after a reduction the new shares are credited before they are listed
_TRADE_FOR_TRADE = ("BE", "BZ", "ST", "SZ")
_UNREAD = {"instrument_id": pl.String, "session": pl.Date, "kind": pl.String, "purpose": pl.String}
_SAME_PRICE = 1e-6  # rupees
_SESSIONS_OF_VOLATILITY = 20


@dataclass(frozen=True, slots=True)
class MarketArrays:
    """One row per session, one column per instrument; prices are in rupees, NaN where there is no bar.

    `fill` is the price of a small order. `locked_up` and `locked_down` mark bars in which nothing could be bought or
    sold. `volatility` is the standard deviation of the 20 returns up to the session before. On an ex-date each share
    becomes `ratio` shares and pays `dividend` and `entitlement` in rupees: rights and demerged shares are sold on that
    day, at the value that the factor of the price gives them. `bonus` is the part of the ratio that is a bonus, and
    `replaced` marks splits and consolidations, after which the share has a new ISIN. `undecided` marks the ex-dates
    whose effect is not known.
    `sme` marks bars in series of small companies (SM, ST), which trade in lots, `delivery_only` those in series whose
    shares must be delivered before they are sold again (BE, BZ, ST, SZ); where no series is known, neither.
    `simple_return` is the return of a bar from the close before it, after the actions since; NaN without a bar.
    `ending` is what a holder got for a share that was traded no more, in rupees, on the session after its last one; NaN
    elsewhere. `unread` has the actions whose amount is not known: instrument_id, session, kind and purpose.

    >>> from datetime import date
    >>> names = ("open", "high", "low", "close", "prev_close")
    >>> bar = {"instrument_id": "A", **dict.fromkeys(names, 100.0), "volume": 1000, "turnover": 100_000.0}
    >>> bars = pl.DataFrame([bar | {"trade_date": date(2024, 1, day)} for day in (1, 2)])
    >>> market = market_arrays(bars)
    >>> isinstance(market, MarketArrays), market.close.shape
    (True, (2, 1))
    >>> market.wide(bars.head(1), "close").tolist()
    [[100.0], [nan]]
    >>> market.long(bars.head(1), market.close).to_list()
    [100.0]
    >>> market.since(date(2024, 1, 2)).close.shape
    (1, 1)
    """

    sessions: tuple[date, ...]
    instruments: tuple[str, ...]
    fill: Floats
    low: Floats
    high: Floats
    close: Floats
    volume: Floats
    locked_up: Flags
    locked_down: Flags
    volatility: Floats
    ratio: Floats
    dividend: Floats
    entitlement: Floats
    bonus: Floats
    replaced: Flags
    undecided: Flags
    sme: Flags
    delivery_only: Flags
    simple_return: Floats
    ending: Floats
    unread: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_UNREAD))

    def since(self, start: date) -> MarketArrays:
        """Return the market from the first session on that is not before `start`."""
        row = bisect_left(self.sessions, start)
        arrays = {each.name: getattr(self, each.name)[row:] for each in fields(self)[2:-1]}
        return replace(self, sessions=self.sessions[row:], **arrays)

    def wide(self, frame: pl.DataFrame, column: str) -> Floats:
        """Return a column of a frame with trade_date and instrument_id in the shape of the market, NaN where unknown.

        Raises:
            UsageError: a row is of another session or instrument.
        """
        return _Places.of(self.sessions, self.instruments, frame).wide(frame[column])

    def long(self, frame: pl.DataFrame, values: Floats) -> pl.Series:
        """Return an array of the market as a column of a frame with trade_date and instrument_id; NaN is null.

        Raises:
            UsageError: a row is of another session or instrument.
        """
        return _Places.of(self.sessions, self.instruments, frame).long(values)


def market_arrays(
    bars: pl.DataFrame,
    factors: pl.DataFrame | None = None,
    undecided: pl.DataFrame | None = None,
    *,
    endings: pl.DataFrame | None = None,
    unread: pl.DataFrame | None = None,
    fill: FillPrice = "average",
    start: date | None = None,
    sessions: Sequence[date] | None = None,
) -> MarketArrays:
    """Return bars as traded (never adjusted ones) as arrays.

    Args:
        bars: trade_date, instrument_id, volume (shares), and in rupees turnover, open, high, low, close and prev_close;
            if known, also series, average_price, and upper_band and lower_band, the prices that the session's band
            allows (infinity and 0 without a limit): a close at the band counts as locked. Where no band is known, a bar
            whose only price differs from the previous close does, and one that closed at its high (low) when this is
            the limit of a band of 2, 5, 10 or 20%. NaN is not known, as null.
        factors: instrument_id, ex_date, kind, price_factor and volume_factor, as `normalized_adjustment_factors`. A
            null factor raises UsageError.
        undecided: instrument_id and session of the ex-dates whose effect on price and shares is not known: a holding
            keeps its value there and is sold, because what became of it cannot be followed.
        endings: instrument_id, last and value of shares that are traded no more, as `endings.valued` returns them. The
            end of a share that has bars after `last` is left out.
        unread: instrument_id, session, kind and purpose of the actions whose amount is not known, for the notes.
        fill: the price of a small order: `average` is average_price, or else turnover over volume, between low and
            high. An order cannot be filled whole at open or close, so these are sensitivities only.
        start: first session of the result; earlier bars only serve the volatility, without which impact is 0.
        sessions: every session of the exchange, in order, by default those with bars. Without it, a session in which
            none of the instruments has a bar is none, and settlement and delisting count too few.

    Raises:
        UsageError: a column is missing, an instrument has two bars in a session, a bar is of no session, or `fill` is
            another word.

    >>> from datetime import date
    >>> names = ("open", "high", "low", "close", "prev_close")
    >>> bar = {"instrument_id": "A", **dict.fromkeys(names, 100.0), "volume": 1000, "turnover": 99_990.0}
    >>> market = market_arrays(pl.DataFrame([bar | {"trade_date": date(2024, 1, day)} for day in (1, 2)]))
    >>> market.sessions[0].isoformat(), market.instruments, market.fill[0, 0].item()
    ('2024-01-01', ('A',), 100.0)
    """
    if fill not in get_args(FillPrice):
        raise UsageError(f"no order is filled at {fill!r}; fill is one of {', '.join(get_args(FillPrice))}")
    if missing := [name for name in _REQUIRED if name not in bars.columns]:
        raise UsageError(f"the bars lack {', '.join(missing)}; they need {', '.join(_REQUIRED)}")
    require_unique("bars", bars)
    absent = [pl.lit(None, kind).alias(name) for name, kind in _OPTIONAL.items() if name not in bars.columns]
    known = bars.select(*_REQUIRED, *(name for name in _OPTIONAL if name in bars.columns), *absent)
    known = known.with_columns(pl.selectors.float().fill_nan(None)).sort("trade_date", "instrument_id")
    reference = (
        pl.coalesce("average_price", pl.col("turnover") / pl.col("volume")) if fill == "average" else pl.col(fill)
    )
    only = pl.min_horizontal("low", "close") == pl.max_horizontal("high", "close")
    dates, instruments = (tuple(known[name].unique().sort()) for name in ("trade_date", "instrument_id"))
    sessions = dates if sessions is None else tuple(sessions)
    places = _Places.of(sessions, instruments, known)
    close = places.wide(known["close"])
    ratio, dividend, entitlement, bonus, replaced = _entitlements(sessions, instruments, close, factors)
    # The published previous close is as traded: on an ex-date it is in another scale than the session's prices.
    known = known.with_columns(
        before=places.long(_before(places.wide(known["prev_close"]), close, ratio, dividend, entitlement))
    )
    up, down = pl.col("close") > pl.col("before"), pl.col("close") < pl.col("before")
    limits = (("high", up, price_limits.upper), ("low", down, price_limits.lower))
    at_high, at_low = (_closed_at_limit(known, *each) for each in limits)
    prepared = known.with_columns(
        fill=pl.when(pl.col("volume") > 0).then(reference.clip("low", "high")),
        locked_up=pl.when(pl.col("upper_band").is_null())
        .then(up & (only | at_high))
        .otherwise(pl.col("close") >= pl.col("upper_band") - _SAME_PRICE),
        locked_down=pl.when(pl.col("lower_band").is_null())
        .then(down & (only | at_low))
        .otherwise(pl.col("close") <= pl.col("lower_band") + _SAME_PRICE),
        sme=pl.col("series").is_in(price_limits.SME_SERIES),
        delivery_only=pl.col("series").is_in(_TRADE_FOR_TRADE),
        move=(pl.col("close") / pl.col("before")).log(),
    ).with_columns(
        volatility=pl.col("move").rolling_std(_SESSIONS_OF_VOLATILITY, min_samples=2).shift(1).over("instrument_id"),
    )

    def wide(name: str) -> Floats:
        return places.wide(prepared[name])

    def flags(name: str) -> Flags:
        return np.nan_to_num(wide(name)) > 0

    market = MarketArrays(
        sessions, instruments, wide("fill"), wide("low"), wide("high"), close, np.nan_to_num(wide("volume")),
        flags("locked_up"), flags("locked_down"), np.nan_to_num(wide("volatility")), ratio, dividend,
        entitlement, bonus, replaced, _undecided(sessions, instruments, undecided), flags("sme"),
        flags("delivery_only"),
        wide("close") / wide("before") - 1, _endings(sessions, instruments, close, endings),
        pl.DataFrame(schema=_UNREAD) if unread is None else unread.select(list(_UNREAD)),
    )  # fmt: skip
    return market if start is None else market.since(start)


def _closed_at_limit(
    bars: pl.DataFrame, extreme: str, moved: pl.Expr, limit: Callable[[pl.Expr, pl.Expr, pl.Expr], pl.Expr]
) -> pl.Series:
    """Return whether a bar closed at its high (low) and this is the limit of one of the usual bands.

    The limit is that of the published previous close, or of the close before it after the actions since. Which tick a
    share has since 2024-06-10 depends on a close of the month before, so the limits of both ticks count. Few bars can
    be so, and only for these the limits are computed: for all of them it would cost most of the time of the market.
    """
    closed = bars.with_row_index("_row").filter(moved & (pl.col("close") == pl.col(extreme)))
    series = pl.col("series").fill_null("EQ")
    finest = price_limits.tick(pl.col("trade_date"), series, pl.lit(0))  # the tick of a low price
    ticks = (pl.lit(price_limits.COARSE), finest)
    at = [
        price_limits.paise(pl.col("close")) == limit(before, pl.lit(band), tick)
        for tick in ticks
        for before in (price_limits.paise(pl.col(name)) for name in ("prev_close", "before"))
        for band in band_inference.BANDS
    ]
    flags = np.zeros(bars.height, bool)
    flags[closed.filter(pl.any_horizontal(at))["_row"].to_numpy()] = True
    return pl.Series(flags)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where each row of a frame belongs in arrays of sessions and instruments."""

    shape: tuple[int, int]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    @classmethod
    def of(cls, sessions: Sequence[date], instruments: Sequence[str], frame: pl.DataFrame) -> _Places:
        """Return the places of a frame with trade_date and instrument_id.

        Raises:
            UsageError: a row is of another session or instrument.
        """
        rows = frame["trade_date"].replace_strict(_places(sessions), default=None, return_dtype=pl.Int64)
        columns = frame["instrument_id"].replace_strict(_places(instruments), default=None, return_dtype=pl.Int64)
        if unknown := int((rows.is_null() | columns.is_null()).sum()):
            first = frame.filter(rows.is_null() | columns.is_null()).row(0, named=True)
            raise UsageError(
                f"{quantity(unknown, 'row')} outside the bars, first {first['instrument_id']} on "
                f"{first['trade_date']}; give the bars of every session and instrument that has a weight"
            )
        return cls((len(sessions), len(instruments)), rows.to_numpy(), columns.to_numpy())

    def wide(self, column: pl.Series) -> Floats:
        """Return a column of the frame as an array, NaN where it has no row or no value."""
        wide = np.full(self.shape, np.nan)
        wide[self.rows, self.columns] = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        return wide

    def long(self, wide: Floats) -> pl.Series:
        """Return an array as a column of the frame; NaN is null."""
        return pl.Series(wide[self.rows, self.columns]).fill_nan(None)


def _before(previous: Floats, close: Floats, ratio: Floats, dividend: Floats, entitlement: Floats) -> Floats:
    """Return the close before each bar in the scale of the bar: after the actions since the bar before."""
    changed = (ratio != 1) | (dividend != 0) | (entitlement != 0)
    before, last = previous.copy(), np.full(close.shape[1], np.nan)
    pending = np.zeros(close.shape[1], bool)
    for row, paid in enumerate(dividend + entitlement):
        last = np.where(changed[row], (last - paid) / ratio[row], last)
        pending |= changed[row]
        known = pending & np.isfinite(last) & (last > 0)
        before[row] = np.where(known, last, previous[row])
        traded = ~np.isnan(close[row])
        last, pending = np.where(traded, close[row], last), pending & ~traded
    return before


def _undecided(sessions: Sequence[date], instruments: Sequence[str], undecided: pl.DataFrame | None) -> Flags:
    marked = np.zeros((len(sessions), len(instruments)), bool)
    if undecided is not None and not undecided.is_empty():
        held = undecided.filter(pl.col("instrument_id").is_in(list(instruments)))
        placed, names = _on_sessions(held.rename({"session": "ex_date"}), sessions), _places(instruments)
        for name, row in placed.select("instrument_id", "row").iter_rows():
            marked[row, names[name]] = True
    return marked


def _endings(
    sessions: Sequence[date], instruments: Sequence[str], close: Floats, endings: pl.DataFrame | None
) -> Floats:
    """Return what a share paid at its end, in rupees, on the session after its last one; NaN elsewhere."""
    ending = np.full(close.shape, np.nan)
    if endings is None or endings.is_empty():
        return ending
    held = endings.filter(pl.col("instrument_id").is_in(list(instruments)))
    placed = _on_sessions(held.with_columns(ex_date=pl.col("last") + timedelta(days=1)), sessions)
    names = _places(instruments)
    for name, row, value in placed.select("instrument_id", "row", "value").iter_rows():
        if np.isnan(close[row:, names[name]]).all():
            ending[row, names[name]] = value
    return ending


def _on_sessions(actions: pl.DataFrame, sessions: Sequence[date]) -> pl.DataFrame:
    """Add `row`, the place of the first session from the ex-date on; ex-dates up to the first session are left out."""
    inside = actions.filter(pl.col("ex_date").is_between(sessions[0], sessions[-1], closed="right")).sort("ex_date")
    days = pl.DataFrame({"session": list(sessions), "row": range(len(sessions))})
    return inside.join_asof(days, left_on="ex_date", right_on="session", strategy="forward")


def _places(names: Sequence[Any]) -> dict[Any, int]:
    return {name: place for place, name in enumerate(names)}


def _entitlements(
    sessions: Sequence[date], instruments: Sequence[str], close: Floats, factors: pl.DataFrame | None
) -> tuple[Floats, Floats, Floats, Floats, Flags]:
    """Return for each ex-date what a share becomes and pays: shares per share, and rupees of dividends and others.

    Then the part of the ratio that is a bonus, and whether the share is replaced by one with a new ISIN. An ex-date
    without a session counts on the next one.
    """
    shape = close.shape
    ratio, dividend, entitlement = np.ones(shape), np.zeros(shape), np.zeros(shape)
    bonus, replaced = np.ones(shape), np.zeros(shape, bool)
    if factors is None or factors.is_empty():
        return ratio, dividend, entitlement, bonus, replaced
    placed = _on_sessions(factors.filter(pl.col("instrument_id").is_in(list(instruments))), sessions)
    if not (unknown := placed.filter(pl.col("price_factor").is_null())).is_empty():
        first = unknown.row(0, named=True)
        raise UsageError(
            f"{quantity(unknown.height, 'corporate action')} without a factor, first {first['kind']} of "
            f"{first['instrument_id']} on {first['ex_date']}: decide them, or give their ex-dates as undecided"
        )
    names = _places(instruments)
    last = pl.DataFrame(close).fill_nan(None).fill_null(strategy="forward").to_numpy()
    for row in placed.iter_rows(named=True):
        day, place = row["row"], names[row["instrument_id"]]
        shares = row["volume_factor"] or 1.0
        value = last[day - 1, place] * (1 - shares / row["price_factor"])  # of one share before the ex-date
        ratio[day, place] *= shares
        bonus[day, place] *= shares if row["kind"] == "bonus" else 1.0
        replaced[day, place] |= shares != 1 and row["kind"] not in _SAME_ISIN
        if np.isfinite(value) and abs(value) > 1e-9 * last[day - 1, place]:
            (dividend if row["kind"] == "dividend" else entitlement)[day, place] += value
    return ratio, dividend, entitlement, bonus, replaced
