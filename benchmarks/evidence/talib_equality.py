"""Every indicator against TA-Lib on every adjusted bar of a lake.

`.venv/bin/python benchmarks/evidence/talib_equality.py HOME [--instruments N] [--indicators NAME ...]` prints a line
for each indicator. The exit code is 1 if an indicator has nulls on other rows than TA-Lib's, or if a value is wrong. A
value is wrong if its relative difference to TA-Lib's value is more than 1e-9, and its error against the exact value
(exact.py: decimal arithmetic of 50 digits) is more than 1e-9 of this value and more than rounding. Running sums in
TA-Lib, and differences of nearly equal numbers, can be off by more than 1e-9 in doubles. `judged` counts these rows,
`nearer` the rows where Champion's value is at least as near to the exact value as TA-Lib's; the last two columns are
the largest errors of both, in units of the numbers that are subtracted or summed (`_scale`). At the end the built
feature set v1 must be bit-identical to its indicators.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import meter
from benchmarks.evidence.exact import EXACT
from benchmarks.evidence.talib_pairs import PAIRS, Theirs
from champion import features
from champion.lake import Lake
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.settings import Settings

TOLERANCE = 1e-9
ROUNDING = 1e-12
"""Of an indicator's scale: what doubles may lose when they subtract nearly equal numbers."""

_COLUMNS = ("high", "low", "close", "volume", "market")
Array = np.ndarray[Any, Any]


@dataclass
class Result:
    """The comparison of an indicator; errors are relative to the scale, on judged rows against exact values."""

    name: str
    rows: int = 0
    warm_up: int = 0
    worst: float = 0.0
    judged: int = 0
    nearer: int = 0
    wrong: int = 0
    our_error: float = 0.0
    their_error: float = 0.0


def bars_of(home: Path, instruments: int | None) -> pl.DataFrame:
    """Return the adjusted bars of a lake, of all or some random instruments, sorted by instrument and session.

    `market` is an index of the median return of each session.
    """
    bars = adjusted_bars(Lake(Settings(home=home).lake), kinds=None).sort("instrument_id", "trade_date")
    past = (pl.col("close") / pl.col("close").shift(1)).over("instrument_id")
    market = bars.select("trade_date", past=past).group_by("trade_date").agg(market=pl.col("past").median())
    level = (pl.col("market").fill_null(1).cum_prod() * 10_000).round(2)
    bars = bars.join(market.sort("trade_date").with_columns(level), on="trade_date").sort("instrument_id", "trade_date")
    bars = bars.select("market", *features.required("v1"))
    if instruments is None:
        return bars
    chosen = bars["instrument_id"].unique(maintain_order=True)
    return bars.join(chosen.sample(min(instruments, chosen.len()), seed=4).to_frame(), on="instrument_id", how="semi")


def compare(bars: pl.DataFrame, pairs: Mapping[str, tuple[pl.Expr, Theirs]]) -> Iterator[Result]:
    """Yield the result of each indicator, bars being sorted by instrument and session."""
    lengths = bars.group_by("instrument_id", maintain_order=True).len()["len"].to_list()
    edges = [0, *np.cumsum(lengths).tolist()]
    columns = {name: bars[name].cast(pl.Float64).to_numpy() for name in _COLUMNS}
    for name, (expression, theirs) in pairs.items():
        ours = bars.select(expression.cast(pl.Float64).over("instrument_id")).to_series().to_numpy()
        result = Result(name)
        for start, end in pairwise(edges):
            one = {column: values[start:end] for column, values in columns.items()}
            _count(result, one, ours[start:end], theirs(one))
        yield result


def not_as_built(bars: pl.DataFrame) -> list[str]:
    """Return the features of v1 whose built values differ in any bit from their expression over each instrument."""
    built = features.build(bars.drop("market"))
    made = ((f.name, bars.select(f.expression.over("instrument_id")).to_series()) for f in features.find("v1").features)
    return [name for name, expected in made if not built[name].equals(expected)]


def _count(result: Result, columns: dict[str, Array], ours: Array, theirs: Array) -> None:
    """Add the rows of one instrument."""
    there = ~np.isnan(theirs)
    result.rows += int(there.sum())
    result.warm_up += int((there != ~np.isnan(ours)).sum())
    size = np.maximum(np.abs(ours), np.abs(theirs))
    apart = np.divide(np.abs(ours - theirs), size, out=np.zeros_like(theirs), where=there & (size > 0))
    result.worst = max(result.worst, float(apart.max(initial=0.0)))
    beyond = np.flatnonzero(apart > TOLERANCE)
    if beyond.size:
        _compare_exactly(result, columns, beyond, ours, theirs)


def _compare_exactly(result: Result, columns: dict[str, Array], beyond: Array, ours: Array, theirs: Array) -> None:
    """Compare the rows where both differ with exact arithmetic."""
    result.judged += beyond.size
    if result.name not in EXACT:
        result.wrong += beyond.size
        return
    exact = EXACT[result.name]({name: [_decimal(value) for value in values] for name, values in columns.items()})
    largest = Decimal(_scale(result.name, columns, theirs))
    for row in beyond:
        truth = exact[row]
        if truth is None:
            result.wrong += 1
            continue
        our_error, their_error = (abs(Decimal(float(side[row])) - truth) for side in (ours, theirs))
        result.nearer += our_error <= their_error
        result.wrong += our_error > max(Decimal(TOLERANCE) * abs(truth), Decimal(ROUNDING) * largest)
        result.our_error = max(result.our_error, float(our_error / largest))
        result.their_error = max(result.their_error, float(their_error / largest))


def _scale(name: str, columns: dict[str, Array], theirs: Array) -> float:
    """Return the size of the numbers that are subtracted or summed for the indicator, or of the indicator itself."""
    if name.startswith(("stochastic", "mfi", "ppo", "trix", "cmo", "ultimate")):
        return 100.0
    if name.startswith(("macd", "signal", "histogram", "bollinger")):
        return float(columns["close"].max())
    if name == "beta":
        return 1.0
    if name in {"accumulation", "chaikin_oscillator"}:
        return float(columns["volume"].sum())
    return float(np.nanmax(np.abs(theirs)))


def _decimal(value: float) -> Decimal:
    """Return the price or volume with 4 decimals that a double represents."""
    return Decimal(f"{value:.4f}")


def main() -> int:
    """Print the table; return 1 if an indicator has wrong values or nulls on other rows than TA-Lib's."""
    chosen = meter.arguments(__doc__, {"home": Path}, instruments=int, indicators=list(PAIRS))
    bars = bars_of(chosen.home, chosen.instruments)
    print(f"{bars.height:,} bars of {bars['instrument_id'].n_unique():,} instruments")
    print("indicator                 rows warm-up    worst  judged  nearer     ours   TA-Lib")
    failed = []
    for one in compare(bars, {name: PAIRS[name] for name in chosen.indicators}):
        errors = f"{one.nearer:7,} {one.our_error:8.1e} {one.their_error:8.1e}" if one.judged else ""
        print(f"{one.name:20} {one.rows:9,} {one.warm_up:7,} {one.worst:8.1e} {one.judged:7,} {errors}", flush=True)
        if one.warm_up or one.wrong:
            failed.append(f"{one.name}: {one.warm_up} warm-up rows, {one.wrong} values")
    failed += [f"{name} of v1: not built as its indicator" for name in not_as_built(bars)]
    print("\n".join(["not TA-Lib's:", *failed] if failed else ["equal, or exact to rounding where judged; so is v1"]))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
