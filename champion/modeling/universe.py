"""Universes: the instruments that a model may score on a session.

A universe is data: a name, or the filters themselves, so that a run's parameters define it completely. Membership uses
only data known at the close, so there is no survivorship bias.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import polars as pl

from champion.base.counting import known_names
from champion.base.strict_json import parse_json
from champion.contracts.instrument_kinds import EQUITY, KINDS
from champion.errors import UsageError

__all__ = ["TURNOVER_WINDOW", "UNIVERSES", "Universe", "find", "members", "refused", "stored"]
__dir__ = __all__.copy

TURNOVER_WINDOW = 20
"""Bars over which the median turnover is taken."""
NO_BAND = "none"
BANDS = ("2", "5", "10", "20", "40", NO_BAND)
"""Price bands in percent, and `none` for securities without a fixed one."""
_LISTS = ("series", "sectors", "kinds", "bands")
_OTHER_NAMES = {"kind": "kinds", "sector": "sectors", "band": "bands"}
_FROM_LISTS = (
    "index",
    "sectors",
    "bands",
)  # left out of the text if unused, so that the texts of stored models stay the same


@dataclass(frozen=True, slots=True)
class Universe:
    """Filters that an instrument must pass at the session's close.

    Args:
        min_turnover: minimum median turnover in rupees of the last 20 bars, the session's included. With fewer bars an
            instrument does not pass.
        kinds: allowed kinds of instruments, by default company shares alone; empty means every kind in the series of
            shares, also funds, rights entitlements and instruments of unknown kind.
        series: allowed series on the session, such as EQ; empty means every series of company shares.
        min_age: minimum number of calendar days since the instrument's first bar in the lake.
        min_close: minimum unadjusted close in rupees; at lower prices one tick is a large return.
        index: index of which an instrument must be a member on the session, such as NIFTY 500; empty means none.
        sectors: allowed sectors on the session, such as Healthcare, or Unknown; empty means all.
        bands: allowed price bands on the session in percent, such as 20, and `none` for no fixed band, as for shares
            with derivatives; empty means all. Only published lists count.

    >>> Universe(min_turnover=5e6, series=("EQ",)).text
    '{"kinds": ["equity"], "min_age": 0, "min_close": 0.0, "min_turnover": 5000000.0, "series": ["EQ"]}'
    """

    min_turnover: float = 0.0
    series: tuple[str, ...] = ()
    min_age: int = 0
    min_close: float = 0.0
    index: str = ""
    sectors: tuple[str, ...] = ()
    kinds: tuple[str, ...] = EQUITY
    bands: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Require finite bounds and existing kinds."""
        for wrong in sorted(set(self.kinds) - set(KINDS)):
            raise ValueError(f"no kind of instrument is called {wrong!r}: {known_names(wrong, KINDS)}")
        if bands := sorted(set(self.bands) - set(BANDS)):
            raise ValueError(f"no price band is {', '.join(bands)} percent; there are {', '.join(BANDS)}")
        if not (math.isfinite(self.min_turnover) and math.isfinite(self.min_close)):
            raise ValueError("min_turnover and min_close must be finite numbers")

    @property
    def text(self) -> str:
        """The filters as JSON text, which `find` accepts.

        >>> find(UNIVERSES["liquid"].text) == UNIVERSES["liquid"]
        True
        """
        filters = {name: value for name, value in asdict(self).items() if value or name not in _FROM_LISTS}
        return json.dumps(filters, sort_keys=True)


UNIVERSES: dict[str, Universe] = {
    "all": Universe(),
    "liquid": Universe(min_turnover=5e6),
    "main_board": Universe(min_turnover=5e6, series=("EQ", "BE", "BZ"), min_age=90),
    "large": Universe(min_turnover=2e8, series=("EQ",), min_age=180, min_close=20.0),
}
"""Universes by name: all company shares, liquid ones, liquid ones outside the SME platform, and the most traded."""


def stored(text: str) -> Universe:
    """Return the universe that a model's tag holds: one without `kinds` is from a time when it had all of them.

    >>> stored('{"min_age": 0, "min_close": 0.0, "min_turnover": 5000000.0, "series": []}').kinds
    ()
    """
    try:
        filters = json.loads(text)
    except (ValueError, RecursionError):
        return find(text)
    return find({"kinds": (), **filters} if isinstance(filters, dict) else text)


def find(universe: str | Mapping[str, Any] | Universe) -> Universe:
    """Return the universe of a name, or of filters as a mapping or as JSON text.

    Raises:
        UsageError: the name or a filter is not known; the message lists the known ones.

    >>> find('{"min_turnover": 1e6, "series": ["EQ"]}').series
    ('EQ',)
    """
    if isinstance(universe, Universe):
        return universe
    if isinstance(universe, str) and universe in UNIVERSES:
        return UNIVERSES[universe]
    try:
        filters = json.loads(universe) if isinstance(universe, str) else dict(universe)
    except (ValueError, RecursionError) as error:
        named = known_names(str(universe), UNIVERSES, "the names are")
        where = f" ({error})" if str(universe).lstrip().startswith(("{", "[")) else ""
        raise UsageError(
            f"universe {universe!r} is neither a name nor filters as JSON{where}: {named}; the members of an index are "
            """'{"index": "NIFTY 500"}'"""
        ) from error
    if not isinstance(filters, dict):
        raise UsageError(f"universe {universe!r}: filters are a JSON object such as {UNIVERSES['liquid'].text}")
    if doubled := [f"{one} and {both}" for one, both in _OTHER_NAMES.items() if {one, both} <= set(filters)]:
        raise UsageError(f"universe filters {', '.join(doubled)} are the same filter; give one of them")
    filters = {_OTHER_NAMES.get(name, name): value for name, value in filters.items()}
    known = [field.name for field in fields(Universe)]
    for unknown in sorted(set(filters) - set(known)):
        raise UsageError(f"universe filter {unknown!r} is not known: {known_names(unknown, known)}")
    if isinstance(bands := filters.get("bands"), int | float | list | tuple):
        filters["bands"] = [str(one) for one in (bands if isinstance(bands, list | tuple) else [bands])]
    filters |= {name: [filters[name]] for name in _LISTS if isinstance(filters.get(name), str)}
    try:
        return parse_json(Universe, json.dumps(filters))
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"universe {filters!r}: {error}; an example is {UNIVERSES['main_board'].text}") from error


def members(bars: pl.DataFrame, universe: Universe, first_bars: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the instrument_id and trade_date of each bar that is in the universe on its session.

    The filters `index`, `sectors` and `bands` need lists, not bars: `pipeline.reference.universe_lists.keep` applies
    them.
    `bars` needs instrument_id, trade_date and turnover, and for their filters series, close (unadjusted) and
    instrument_kind.
    `first_bars` (instrument_id, first_bar) gives the first bars of instruments listed before `bars` start.

    Raises:
        UsageError: a column that a filter uses is missing.

    >>> from datetime import date
    >>> prices = {"turnover": [1e6] * 2, "close": [5.0, 50.0], "instrument_kind": ["equity"] * 2}
    >>> bars = pl.DataFrame({"instrument_id": ["A", "B"], "trade_date": [date(2024, 1, 15)] * 2, **prices})
    >>> members(bars, Universe(min_close=20.0))["instrument_id"].to_list()
    ['B']
    """
    ordered, conditions = _conditions(bars, universe, first_bars)
    keep = [pl.lit(value=True), *conditions.values()]
    return ordered.filter(pl.all_horizontal(keep)).select("instrument_id", "trade_date")


def refused(bars: pl.DataFrame, universe: Universe, first_bars: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return instrument_id, trade_date and `refused_by` of each bar, in the order of both.

    `refused_by` is the first filter that the bar fails: liquidity, series, kind, price or age; null for the bars that
    `members` returns, which takes the same arguments and raises the same errors.

    >>> from datetime import date
    >>> prices = {"turnover": [1e6] * 2, "close": [5.0, 50.0], "instrument_kind": ["equity"] * 2}
    >>> bars = pl.DataFrame({"instrument_id": ["A", "B"], "trade_date": [date(2024, 1, 15)] * 2, **prices})
    >>> refused(bars, Universe(min_close=20.0))["refused_by"].to_list()
    ['price', None]
    """
    ordered, conditions = _conditions(bars, universe, first_bars)
    fails = [pl.when(~holds.fill_null(value=False)).then(pl.lit(name)) for name, holds in conditions.items()]
    return ordered.select("instrument_id", "trade_date", refused_by=pl.coalesce(*fails, pl.lit(None, pl.String)))


def _conditions(
    bars: pl.DataFrame, universe: Universe, first_bars: pl.DataFrame | None
) -> tuple[pl.DataFrame, dict[str, pl.Expr]]:
    """Return the bars in order, and by name the conditions that a bar in the universe meets."""
    needed = {"series": universe.series, "close": universe.min_close > 0, "instrument_kind": universe.kinds}
    if missing := [name for name, is_needed in needed.items() if is_needed and name not in bars.columns]:
        raise UsageError(f"the universe filters on {', '.join(missing)}, which the bars lack")
    found = dict[str, pl.Expr]()
    if universe.min_turnover > 0:
        median = pl.col("turnover").rolling_median(TURNOVER_WINDOW).over("instrument_id")
        found["liquidity"] = (median >= universe.min_turnover).fill_null(value=False)
    if universe.series:
        found["series"] = pl.col("series").is_in(list(universe.series))
    if universe.kinds:
        found["kind"] = pl.col("instrument_kind").is_in(list(universe.kinds))
    if universe.min_close > 0:
        found["price"] = pl.col("close") >= universe.min_close
    ordered = bars.sort("instrument_id", "trade_date")
    if universe.min_age > 0:
        if first_bars is None:
            first_bars = bars.group_by("instrument_id").agg(first_bar=pl.col("trade_date").min())
        ordered = ordered.join(first_bars.select("instrument_id", "first_bar"), on="instrument_id", how="left")
        found["age"] = (pl.col("trade_date") - pl.col("first_bar")).dt.total_days() >= universe.min_age
    return ordered, found
