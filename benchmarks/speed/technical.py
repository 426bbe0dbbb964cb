"""Feature set technical: its 61 patterns against a TA-Lib loop, and the cost of the set, whole and by one session.

`.venv/bin/python benchmarks/speed/technical.py [--instruments N] [--sessions N] [--repeats N] [--home HOME]` makes the
bars in memory, by default 2,500 instruments over 250 sessions, and runs all cases in turn, `--repeats` times; medians
of CPU seconds, which count all threads. TA-Lib gets the same prices in whole units, so its marks must be equal.

With `--home`, the adjusted bars of that workspace are used instead, and the marks are also compared with TA-Lib's for
prices in rupees, where rounding decides ties.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import talib

from benchmarks import meter
from champion import features
from champion.indicators import PRICE_UNIT, candles
from champion.lake import Lake
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.settings import Settings

Bars = list[dict[str, np.ndarray[Any, Any]]]


def main() -> None:
    """Measure and print; the exit code is 1 if a mark differs from TA-Lib's for whole units."""
    given = meter.arguments(__doc__, instruments=2_500, sessions=250, repeats=3, home=Path())
    real = given.home != Path()
    bars = _real_bars(given.home) if real else _random_bars(given.instruments, given.sessions)
    print(f"{bars.height:,} bars of {bars['instrument_id'].n_unique():,} instruments; {meter.machine()}")
    last = bars["trade_date"].max()
    today = pl.col("trade_date") == last
    states = {version: features.state_after(bars.filter(~today), version) for version in ("v1", "technical")}
    units = [{name: np.rint(one[name] * PRICE_UNIT) for name in candles.PRICES} for one in _by_instrument(bars)]
    cases: dict[str, Callable[[], object]] = {
        "61 patterns, Champion": lambda: candles.marks(bars, list(candles.PATTERNS)),
        "61 patterns, TA-Lib loop": lambda: _talib(units),
        "set technical, whole histories": lambda: features.build(bars, "technical"),
        "set technical, one more session": lambda: features.advance(
            states["technical"], bars.filter(today), "technical"
        ),
        "set v1, whole histories": lambda: features.build(bars, "v1"),
        "set v1, one more session": lambda: features.advance(states["v1"], bars.filter(today), "v1"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(given.repeats):
        for name, run in cases.items():
            began = time.process_time()
            run()
            seconds[name].append(time.process_time() - began)
    rows = [[name, statistics.median(each), min(each), max(each)] for name, each in seconds.items()]
    meter.print_table("CPU seconds", ["case", "median", "least", "most"], rows)
    sys.exit(_compare(bars, units, real=real))


def _compare(bars: pl.DataFrame, units: Bars, *, real: bool) -> int:
    """Print the marks that differ from TA-Lib's; return 1 if one for whole units does."""
    ours = features.build(bars, "technical").select(f"cdl_{name}" for name in candles.PATTERNS).fill_null(0).to_numpy()
    wrong = int((ours != _talib(units)).sum())
    print(f"{ours.size:,} marks, {int((ours != 0).sum()):,} of them not 0; {wrong:,} differ from TA-Lib in whole units")
    if real:
        rupees = int((ours != _talib(list(_by_instrument(bars)))).sum())
        print(f"{rupees:,} differ from TA-Lib in rupees, {rupees / ours.size:.2e} of all")
    return int(wrong > 0)


def _talib(bars: Bars) -> np.ndarray[Any, Any]:
    """Return TA-Lib's marks, a column each; 0 while a pattern warms up."""
    found = [
        [getattr(talib, f"CDL{name.upper()}")(*(own[price] for price in candles.PRICES)) for name in candles.PATTERNS]
        for own in bars
    ]
    return np.concatenate([np.stack(columns, axis=1) for columns in found])


def _by_instrument(bars: pl.DataFrame) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    for own in bars.partition_by("instrument_id", maintain_order=True):
        yield {name: own[name].to_numpy() for name in candles.PRICES}


def _real_bars(home: Path) -> pl.DataFrame:
    columns = [*features.required("v1"), "open"]
    bars = adjusted_bars(Lake(Settings(home=home).lake), columns=columns)
    return bars.select(columns).sort("instrument_id", "trade_date")


def _random_bars(instruments: int, sessions: int) -> pl.DataFrame:
    """Return random walks on ticks of 0.05 rupee, an eighth of them without a body."""
    rng = np.random.default_rng(1)
    shape = (instruments, sessions)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.02, shape), axis=1)) / 0.05)
    first = np.maximum(close + np.round(close * rng.normal(0, 0.01, shape)) * (rng.random(shape) > 1 / 8), 2)
    close = np.maximum(close, 2)
    reach = np.round(close * np.abs(rng.normal(0, 0.007, shape)))
    ticks = {"open": first, "high": np.maximum(first, close) + reach, "close": close}
    ticks["low"] = np.maximum(np.minimum(first, close) - reach[::-1], 1)
    names = np.repeat([f"I{number:05d}" for number in range(instruments)], sessions)
    bars = pl.DataFrame({name: np.round(values.ravel() * 0.05, 2) for name, values in ticks.items()})
    return bars.with_columns(
        instrument_id=pl.Series(names),
        symbol=pl.Series(names),
        trade_date=pl.date(2024, 1, 1) + pl.duration(days=pl.int_range(pl.len()) % sessions),
        volume=pl.Series(rng.integers(1, 10**6, instruments * sessions)),
    ).with_columns(turnover=pl.col("close") * pl.col("volume"))


if __name__ == "__main__":
    main()
