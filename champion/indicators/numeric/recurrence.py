"""Values that depend on decisions at earlier bars, computed bar by bar for many instruments at the same time.

One function advances the state of all instruments by one bar. Whole histories and a single new session use the same
function on the same numbers, so both give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

Array = npt.NDArray[np.float64]
Columns = Mapping[str, Array]
BARS = "bars"
"""The column with the number of bars that the instrument has, the current one included."""


@dataclass(frozen=True, eq=False)
class Recurrence:
    """`step` takes the state before a bar and the bar, one number an instrument, and returns the state after it.

    A state column has one number an instrument, or as many lines of them as `widths` states. NaN is unknown; before the
    first bar all are. `step` reads the columns `reads` of the bar and `BARS`, and may overwrite the arrays of the
    state.

    >>> highest = Recurrence(("top",), ("high",), lambda state, bar: {"top": np.fmax(state["top"], bar["high"])})
    >>> highest.over({"high": np.array([3.0, 2.0, 4.0, 1.0])}, np.array([3, 1]), ["top"])[0]["top"].tolist()
    [3.0, 3.0, 4.0, 1.0]
    """

    names: tuple[str, ...]
    reads: tuple[str, ...]
    step: Callable[[Columns, Columns], Columns]
    widths: Mapping[str, int] = field(default_factory=dict)

    def start(self, count: int) -> dict[str, Array]:
        """Return the state before the first bar."""
        shapes = {name: (self.widths[name], count) if name in self.widths else (count,) for name in self.names}
        return {name: np.full(shape, np.nan) for name, shape in shapes.items()}

    def over(
        self, bars: Columns, counts: npt.NDArray[np.int64], wanted: Sequence[str]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return the columns `wanted` after each bar, and the state after the last bar of each instrument.

        Bars are sorted by instrument and session; `counts` has the number of bars of each instrument.
        """
        order = np.argsort(-counts, kind="stable")  # those with a bar left stay in front
        first, last = (np.cumsum(counts) - counts)[order], counts[order]
        state = self.start(counts.size)
        columns = {name: np.empty(int(counts.sum())) for name in wanted}
        with np.errstate(all="ignore"):
            for number in range(int(counts.max(initial=0))):
                left = int(np.searchsorted(-last, -number, side="left"))
                rows = first[:left] + number
                bar = {name: bars[name][rows] for name in self.reads} | {BARS: np.full(left, number + 1.0)}
                after = self.step({name: values[..., :left] for name, values in state.items()}, bar)
                for name, values in after.items():
                    state[name][..., :left] = values
                for name, column in columns.items():
                    column[rows] = after[name]
        back = np.argsort(order, kind="stable")
        return columns, {name: values[..., back] for name, values in state.items()}

    def column(self, name: str, bars: pl.Series) -> pl.Series:
        """Return one column for the bars of one instrument, null where it is unknown or a value of the bar is null.

        A bar with a null is skipped: it leaves the state unchanged.
        """
        frame = bars.struct.unnest()
        known = frame.select(pl.all_horizontal(pl.all().is_not_null()).arg_true()).to_series()
        arrays = {each.name: each.to_numpy().astype(np.float64) for each in frame[known]}
        columns, _ = self.over(arrays, np.array([known.len()], np.int64), [name])
        values = pl.Series(columns[name]).fill_nan(None)
        return pl.repeat(None, frame.height, dtype=pl.Float64, eager=True).scatter(known, values)
