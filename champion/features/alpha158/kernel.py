"""Compute the columns of `champion.features.alpha158` together, on contiguous arrays in blocks of rows.

A block fits the second-level cache. Each value depends on its window alone (`champion.indicators.numeric.windows`),
not on the block or the previous instrument. Computed in Float64 and stored in Float32, as in Qlib.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from champion.features.sets import Kernel
from champion.indicators.numeric.quantiles import quantiles
from champion.indicators.numeric.windows import WINDOWS, Array, comoments, highest, lowest, moments, ranks, sums, trends

Named = tuple[str, Array]
Columns = Mapping[str, Array]

_ROWS = 8192  # per block: arrays of 64 kB
_BEFORE = max(WINDOWS)  # rows before a block that its windows use
_TINY = 1e-12
_STILL = 2e-5  # standard deviation up to which Qlib treats values as equal


def _bar(bar: Columns) -> Iterator[Named]:
    opening, high, low, close = (bar[name] for name in ("open", "high", "low", "close"))
    upper, lower, spread = np.maximum(opening, close), np.minimum(opening, close), high - low + _TINY
    yield "KMID", (close - opening) / opening
    yield "KLEN", (high - low) / opening
    yield "KMID2", (close - opening) / spread
    yield "KUP", (high - upper) / opening
    yield "KUP2", (high - upper) / spread
    yield "KLOW", (lower - low) / opening
    yield "KLOW2", (lower - low) / spread
    yield "KSFT", (2 * close - high - low) / opening
    yield "KSFT2", (2 * close - high - low) / spread
    yield "OPEN0", opening / close
    yield "HIGH0", high / close
    yield "LOW0", low / close


def _trend(bar: Columns) -> Iterator[Named]:
    close = bar["close"]
    for n, (offset, spread, tilt) in trends(close).items():
        now, squares = close[n - 1 :], n * (n * n - 1) / 12
        deviation, slope = np.sqrt(spread / (n - 1)), tilt / squares
        yield f"ROC{n}", close[:-n] / close[n:]
        yield f"MA{n}", (now + offset) / now
        yield f"STD{n}", deviation / now
        yield f"BETA{n}", slope / now
        yield f"RSQR{n}", np.where(deviation > _STILL, tilt * slope / spread, np.nan)
        yield f"RESI{n}", (-offset - slope * ((n - 1) / 2)) / now


def _range(bar: Columns) -> Iterator[Named]:
    top, bottom = highest(bar["high"]), lowest(bar["low"])
    for n in WINDOWS:
        (high, since_high), (low, since_low), now = top[n], bottom[n], bar["close"][n - 1 :]
        yield f"MAX{n}", high / now
        yield f"MIN{n}", low / now
        yield f"RSV{n}", (now - low) / (high - low + _TINY)
        yield f"IMAX{n}", (n - since_high) / n
        yield f"IMIN{n}", (n - since_low) / n
        yield f"IMXD{n}", (since_low - since_high) / n


def _order(bar: Columns) -> Iterator[Named]:
    close = bar["close"]
    for n, (upper, lower) in quantiles(close, (0.8, 0.2)).items():
        yield f"QTLU{n}", upper / close[n - 1 :]
        yield f"QTLD{n}", lower / close[n - 1 :]
    for n, rank in ranks(close).items():
        yield f"RANK{n}", rank / n


def _ratio(values: Array) -> Array:
    return values[1:] / values[:-1]


def _correlation(name: str, left: Array, right: Array) -> Iterator[Named]:
    for n, (count, of_left, of_right, across) in comoments(left, right).items():
        least = _STILL * _STILL * (count - 1)
        moves = (of_left > least) & (of_right > least)
        yield f"{name}{n}", np.where(moves, across / np.sqrt(of_left * of_right), np.nan)


def _direction(bar: Columns) -> Iterator[Named]:
    step = np.diff(bar["close"])
    up, down = sums((step > 0).astype(np.float64)), sums((step < 0).astype(np.float64))
    for n in WINDOWS:
        yield f"CNTP{n}", up[n] / n
        yield f"CNTN{n}", down[n] / n
        yield f"CNTD{n}", (up[n] - down[n]) / n
    yield from _flow("SUM", step)


def _flow(name: str, step: Array) -> Iterator[Named]:
    gained, lost = sums(np.maximum(step, 0)), sums(np.maximum(-step, 0))
    for n in WINDOWS:
        total = gained[n] + lost[n] + _TINY
        yield f"{name}P{n}", gained[n] / total
        yield f"{name}N{n}", lost[n] / total
        yield f"{name}D{n}", (gained[n] - lost[n]) / total


def _volume(bar: Columns) -> Iterator[Named]:
    volume, close = bar["volume"], bar["close"]
    for n, (offset, spread) in moments(volume).items():
        now = volume[n - 1 :] + _TINY
        yield f"VMA{n}", (volume[n - 1 :] + offset) / now
        yield f"VSTD{n}", np.sqrt(spread / (n - 1)) / now
    flow = np.abs(_ratio(close) - 1) * volume[1:]
    for n, (offset, spread) in moments(flow).items():
        yield f"WVMA{n}", np.sqrt(spread / (n - 1)) / (flow[n - 1 :] + offset + _TINY)
    yield from _flow("VSUM", np.diff(volume))


_FAMILIES: tuple[tuple[str, str, Callable[[Columns], Iterable[Named]]], ...] = (
    # operators, the bar columns they need, and the function that computes them
    ("KMID KLEN KMID2 KUP KUP2 KLOW KLOW2 KSFT KSFT2 OPEN0 HIGH0 LOW0", "open high low close", _bar),
    # 0 / 0 without volume: NaN, which becomes null
    ("VWAP0", "turnover volume close", lambda bar: [("VWAP0", bar["turnover"] / bar["volume"] / bar["close"])]),
    ("ROC MA STD BETA RSQR RESI", "close", _trend),
    ("MAX MIN RSV IMAX IMIN IMXD", "high low close", _range),
    ("QTLU QTLD RANK", "close", _order),
    ("CORR", "close volume", lambda bar: _correlation("CORR", bar["close"], bar["log_volume"])),
    ("CORD", "close volume", lambda bar: _correlation("CORD", _ratio(bar["close"]), bar["log_change"][1:])),
    ("CNTP CNTN CNTD SUMP SUMN SUMD", "close", _direction),
    ("VMA VSTD WVMA VSUMP VSUMN VSUMD", "close volume", _volume),
)


def _compute(bars: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return the named columns as Float32, null where undefined; rows with fewer than 60 before them are arbitrary."""
    wanted = [(needs, family) for owned, needs, family in _FAMILIES if _names(owned) & set(names)]
    columns = _padded_columns(bars, {column for needs, _ in wanted for column in needs.split()})
    results: dict[str, npt.NDArray[np.float32]] = {name: np.empty(bars.height, np.float32) for name in names}
    with np.errstate(all="ignore"):  # windows across two instruments hold arbitrary values
        for start in range(0, bars.height, _ROWS):
            rows = min(_ROWS, bars.height - start)
            block = {name: array[start : start + _BEFORE + rows] for name, array in columns.items()}
            for name, values in (named for _, family in wanted for named in family(block)):
                if name in results:
                    results[name][start : start + rows] = values[-rows:]
    # NaN becomes null; the numbers are not copied.
    return pl.DataFrame([pl.Series(name, pa.array(values, from_pandas=True)) for name, values in results.items()])


def needs(name: str) -> tuple[str, ...]:
    """Return the bar columns that a feature and its family are computed from.

    >>> needs("IMAX5")
    ('high', 'low', 'close')
    """
    return next(tuple(columns.split()) for owned, columns, _ in _FAMILIES if name in _names(owned))


def _names(operators: str) -> set[str]:
    return {f"{operator}{window}" for operator in operators.split() for window in ("", *WINDOWS)}


def _padded_columns(bars: pl.DataFrame, needed: set[str]) -> dict[str, Array]:
    """Return the columns as contiguous arrays, padded in front for the first windows, and logs of volume."""
    if bars.is_empty():
        return {}
    columns = bars.select(pl.col(*needed).cast(pl.Float64))
    if "volume" in needed:
        volume = pl.col("volume")
        change = (volume / volume.shift(1) + 1).log()
        columns = columns.with_columns(log_volume=(volume + 1).log(), log_change=change)
    return {each.name: np.pad(each.to_numpy(), (_BEFORE, 0), mode="edge") for each in columns}


KERNEL = Kernel(_compute)
