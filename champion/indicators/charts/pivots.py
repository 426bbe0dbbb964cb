"""Pivot points of a session, from the high, low and close of the bar before it: classic, Fibonacci and Camarilla."""

from __future__ import annotations

import polars as pl

from champion.indicators.numeric.mechanics import PRICE_UNIT, divide, sharing, units

_HIGH, _LOW, _CLOSE, _SUM, _RANGE = (pl.field(name) for name in ("top", "bottom", "last", "total", "reach"))


def classic_pivots(high: pl.Expr, low: pl.Expr, close: pl.Expr) -> pl.Expr:
    """Return the classic pivots as a struct of pivot, r1 to r3 and s1 to s3, in rupees, known before the session opens.

    The pivot is the mean of high, low and close of the bar before. r1 and s1 mirror its low and high in the pivot; r2
    and s2 are one range away from the pivot; r3 and s3 lie twice the distance of pivot and low, or high, beyond the
    high, or low. The fields are null on the first row, and where a value of the bar before is null. Person, A Complete
    Guide to Technical Trading Tactics (2004).

    >>> bars = pl.DataFrame({"high": [12.0, 11.0], "low": [9.0, 10.0], "close": [9.0, 10.5]})
    >>> bars.select(classic_pivots(*(pl.col(name) for name in bars.columns))).to_series()[1]
    {'pivot': 10.0, 'r1': 11.0, 'r2': 13.0, 'r3': 14.0, 's1': 8.0, 's2': 7.0, 's3': 5.0}
    """
    thirds = {
        "pivot": _SUM,
        "r1": 2 * _SUM - 3 * _LOW,
        "r2": _SUM + 3 * _RANGE,
        "r3": 3 * _HIGH + 2 * _SUM - 6 * _LOW,
        "s1": 2 * _SUM - 3 * _HIGH,
        "s2": _SUM - 3 * _RANGE,
        "s3": 3 * _LOW + 2 * _SUM - 6 * _HIGH,
    }
    return _levels(high, low, close, thirds, 3)


def fibonacci_pivots(high: pl.Expr, low: pl.Expr, close: pl.Expr) -> pl.Expr:
    """Return the Fibonacci pivots as a struct of pivot, r1 to r3 and s1 to s3, in rupees; nulls as `classic_pivots`.

    The levels lie 0.382, 0.618 and 1 of the range of the bar before away from the classic pivot.

    >>> bars = pl.DataFrame({"high": [12.0, 11.0], "low": [9.0, 10.0], "close": [9.0, 10.5]})
    >>> bars.select(fibonacci_pivots(*(pl.col(name) for name in bars.columns))).to_series()[1]["r2"]
    11.854
    """
    thirds = {"pivot": 1000 * _SUM}
    thirds |= {f"r{n}": 1000 * _SUM + 3 * share * _RANGE for n, share in enumerate((382, 618, 1000), start=1)}
    thirds |= {f"s{n}": 1000 * _SUM - 3 * share * _RANGE for n, share in enumerate((382, 618, 1000), start=1)}
    return _levels(high, low, close, thirds, 3000)


def camarilla_pivots(high: pl.Expr, low: pl.Expr, close: pl.Expr) -> pl.Expr:
    """Return the Camarilla pivots as a struct of r1 to r4 and s1 to s4, in rupees; nulls as `classic_pivots`.

    The levels lie 1.1 / 12, 1.1 / 6, 1.1 / 4 and 1.1 / 2 of the range of the bar before away from its close. Stott
    (1989).

    >>> bars = pl.DataFrame({"high": [12.0, 11.0], "low": [9.0, 10.0], "close": [9.0, 10.5]})
    >>> bars.select(camarilla_pivots(*(pl.col(name) for name in bars.columns))).to_series()[1]["r4"]
    10.65
    """
    parts = {f"r{n}": 120 * _CLOSE + 11 * times * _RANGE for n, times in enumerate((1, 2, 3, 6), start=1)}
    parts |= {f"s{n}": 120 * _CLOSE - 11 * times * _RANGE for n, times in enumerate((1, 2, 3, 6), start=1)}
    return _levels(high, low, close, parts, 120)


def _levels(high: pl.Expr, low: pl.Expr, close: pl.Expr, levels: dict[str, pl.Expr], parts: int) -> pl.Expr:
    """Return the levels of the bar before, each given in `parts` of a price unit."""
    derived = sharing(
        pl.struct(_HIGH, _LOW, _CLOSE, total=_HIGH + _LOW + _CLOSE, reach=_HIGH - _LOW),
        top=units(high).shift(1), bottom=units(low).shift(1), last=units(close).shift(1),
    )  # fmt: skip
    fields = {name: divide(level, parts * PRICE_UNIT) for name, level in levels.items()}
    packed = pl.struct(expression.alias(name) for name, expression in fields.items())
    return derived.struct.with_fields(_result=packed).struct.field("_result").alias("pivots")
