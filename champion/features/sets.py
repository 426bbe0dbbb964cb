"""Features, their carried values, and the sets that they form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from champion.base.counting import quantity
from champion.errors import UsageError
from champion.indicators.numeric.recurrence import Recurrence

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
BAR_COLUMNS = ("open", "high", "low", "close", "volume", "turnover", "trades")
"""The columns of a bar that expressions may use."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """Compute several columns that share most of their work together, from bars in session order.

    `compute` takes bar columns and names and returns the named columns, one value per row. As with an expression, a
    value depends only on its row and earlier rows; all its bits depend only on the last `lookback` rows.

    >>> moves = Kernel(lambda bars, names: bars.select(up=pl.col("close").diff(), level="close").select(names))
    >>> bars = pl.DataFrame({"close": [10.0, 12.0]})
    >>> bars.select(moves.expression("up", ["close"], pl.Float64())).to_series().to_list()
    [None, 2.0]
    """

    compute: Callable[[pl.DataFrame, Sequence[str]], pl.DataFrame]

    @staticmethod
    def select(frame: pl.DataFrame, wanted: Sequence[tuple[str, pl.Expr, Kernel | None]]) -> pl.DataFrame:
        """Return the named columns: each from its expression, and the columns of a kernel in one call."""
        kernels = dict.fromkeys(kernel for _, _, kernel in wanted if kernel is not None)
        alone = (expression.alias(name) for name, expression, kernel in wanted if kernel is None)
        columns = frame.lazy().select(*alone).collect()  # lazy evaluation computes common subexpressions once
        together = [each.compute(frame, [name for name, _, kernel in wanted if kernel is each]) for each in kernels]
        return pl.concat([columns, *together], how="horizontal").select(name for name, _, _ in wanted)

    def expression(self, name: str, columns: Sequence[str], dtype: pl.DataType) -> pl.Expr:
        """Return one column of the kernel as an expression of bar columns."""

        def alone(bars: pl.Series) -> pl.Series:
            return self.compute(bars.struct.unnest(), [name]).to_series()

        return pl.struct(*columns).map_batches(alone, return_dtype=dtype)


@dataclass(frozen=True, eq=False)
class StateKernel:
    """Advance several carried values of all instruments together, one bar at a time, by a `recurrence`.

    Besides bar columns the recurrence reads the windows `inputs`; `dtypes` has the type of each carried value.

    >>> import numpy as np
    >>> top = Recurrence(("top",), ("high",), lambda state, bar: {"top": np.fmax(state["top"], bar["high"])})
    >>> StateKernel(top, {"top": pl.Float64()}).carried[0].name
    'top'
    """

    recurrence: Recurrence
    dtypes: Mapping[str, pl.DataType]
    inputs: tuple[Feature, ...] = ()

    @property
    def bar_columns(self) -> list[str]:
        """The bar columns that the recurrence reads, without those of its inputs."""
        windows = {feature.name for feature in self.inputs}
        return [name for name in self.recurrence.reads if name not in windows]

    @cached_property
    def carried(self) -> tuple[Carried, ...]:
        """The carried values of the recurrence, in its order."""
        columns = pl.struct(*self.bar_columns)
        each = self.dtypes.items()
        return tuple(Carried(name, 1, columns, columns, dtype, together=self) for name, dtype in each)


@dataclass(frozen=True)
class Carried:
    """A value that is carried from bar to bar for each instrument; null before its `lookback`-th bar, never after.

    `expression` computes it over all bars of the instrument. `step` computes it, bit for bit the same, from the columns
    of one bar and the previous carried values under their names. An exponential `mean` or a running `total` needs only
    the `values` of each bar; its step follows, and whole histories are computed faster. A `kernel` computes the
    `values` of several carried values together, faster still. The values of a `StateKernel` may be null at any bar;
    their `expression` only names the columns that they depend on.

    >>> shares = Carried.total("shares", 1, pl.col("volume").cum_sum(), pl.col("volume"))
    >>> shares.lookback, shares.dtype
    (1, Int64)
    >>> close = pl.col("close")
    >>> smooth = Carried.mean("smooth", 3, close.ewm_mean(alpha=0.5, adjust=False), close, alpha=0.5)
    >>> pl.DataFrame({"smooth": [10.0], "close": [12.0]}).select(smooth.step).item()
    11.0
    """

    name: str
    lookback: int
    expression: pl.Expr = field(repr=False, compare=False)
    step: pl.Expr = field(repr=False, compare=False)
    dtype: pl.DataType = field(default_factory=pl.Float64)
    values: pl.Expr | None = field(default=None, repr=False, compare=False)
    alpha: float | None = None
    kernel: Kernel | None = field(default=None, repr=False, compare=False)
    together: StateKernel | None = field(default=None, repr=False, compare=False)

    @classmethod
    def mean(cls, name: str, lookback: int, expression: pl.Expr, values: pl.Expr, alpha: float) -> Carried:
        """Return a value that starts as `expression` and then changes by `alpha` * (`values` - previous value)."""
        step = pl.col(name) + (values - pl.col(name)) * alpha
        return cls(name, lookback, expression, step, values=values, alpha=alpha)

    @classmethod
    def total(cls, name: str, lookback: int, expression: pl.Expr, values: pl.Expr) -> Carried:
        """Return a value that starts as `expression` and then grows by `values`, both whole numbers (Int64)."""
        return cls(name, lookback, expression, pl.col(name) + values, pl.Int64(), values)


@dataclass(frozen=True)
class Feature:
    """One column of a feature set; `lookback` is the number of bars that its first value needs, its own included.

    `recursive` is determined on the first use of the set (`champion.features.examination`): True if `lookback` bars
    alone do not give every bit of the value. A recursive feature may declare its `carried` values and the `value`
    computed from them; without, each build computes it from the instrument's first bar. Features with the same `kernel`
    are computed together; the expression computes one alone. A feature is computed for one instrument at a time, unless
    `spans_instruments`: then over all instruments together, which only the features that Champion ships may do.

    >>> momentum = Feature("mom_1", "momentum", 2, pl.Float64(), "Rupees since the bar before.", pl.col("close").diff())
    >>> pl.DataFrame({"close": [10.0, 12.0]}).select(momentum.expression).to_series().to_list()
    [None, 2.0]
    >>> momentum.is_own
    True
    """

    name: str
    group: str
    lookback: int
    dtype: pl.DataType
    doc: str
    expression: pl.Expr = field(repr=False, compare=False)
    recursive: bool = field(default=False, compare=False)
    unit: str = "1"
    carried: tuple[Carried, ...] = ()
    value: pl.Expr | None = field(default=None, repr=False, compare=False)
    kernel: Kernel | None = field(default=None, repr=False, compare=False)
    spans_instruments: bool = field(default=False, repr=False, compare=False)

    @property
    def is_own(self) -> bool:
        """Whether it is computed for one instrument at a time, without carried values."""
        return not self.spans_instruments and not self.carried


@dataclass(frozen=True)
class FeatureSet:
    """Features that are built, stored and versioned together, in column order.

    Raises:
        UsageError: two features share a name, there are none, a lookback is below 1, or a column is not one of a bar.

    >>> since = pl.col("open") - pl.col("close").shift()
    >>> gap = Feature("gap", "trend", 2, pl.Float64(), "Open less the close before.", since)
    >>> own = FeatureSet("own_gaps", "gaps1", (gap,))
    >>> own.contract, own.state_contract, own.lookback, own.columns, own.bar_columns
    ('features_own_gaps', 'features_own_gaps_state', 2, ['gap'], ['open', 'close'])
    >>> own.carried, own.state_kernels, own.advances, own.recent
    ((), [], True, {'open': 1, 'close': 1})
    """

    name: str
    version: str
    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        """Require names, columns and lookbacks that can be built and stored."""
        problems = [] if self.features else ["it has no features"]
        groups = [feature.group for feature in self.features]
        words = [name for name in (self.name, self.version, *groups, *self.columns) if not _WORD.fullmatch(name)]
        problems += [f"{word!r} is not a name of letters, digits and _, as files and columns need" for word in words]
        problems += [f"{name} occurs twice" for name in sorted({n for n in self.columns if self.columns.count(n) > 1})]
        for feature in self.features:
            unknown = set(feature.expression.meta.root_names()) - {*BAR_COLUMNS}
            if unknown:
                problems.append(f"{feature.name} uses {sorted(unknown)}; a bar has {', '.join(BAR_COLUMNS)}")
            if feature.lookback < 1:
                problems.append(f"{feature.name} looks back {quantity(feature.lookback, 'bar')}; its own bar is 1")
            if bool(feature.carried) != (feature.value is not None):
                problems.append(f"{feature.name} must declare carried values and a value, or neither")
        if problems:
            raise UsageError(f"feature set {self.name} {self.version}: {'; '.join(problems)}")

    @property
    def contract(self) -> str:
        """The name of the dataset that holds its features."""
        return f"features_{self.name}"

    @property
    def state_contract(self) -> str:
        """The name of the dataset that holds its carried state."""
        return f"{self.contract}_state"

    @property
    def lookback(self) -> int:
        """Bars per instrument that the features need, except recursive ones, which need all."""
        return max((feature.lookback for feature in self.features if not feature.recursive), default=1)

    @property
    def columns(self) -> list[str]:
        """The names of the features, in order."""
        return [feature.name for feature in self.features]

    @property
    def bar_columns(self) -> list[str]:
        """The bar columns that its expressions use."""
        used = {name for feature in self.features for name in feature.expression.meta.root_names()}
        return [name for name in BAR_COLUMNS if name in used]

    @property
    def carried(self) -> tuple[Carried, ...]:
        """The carried values of its recursive features, each once."""
        return tuple({each.name: each for feature in self.features for each in feature.carried}.values())

    @property
    def state_kernels(self) -> list[StateKernel]:
        """The kernels that advance carried values together, each once."""
        return list(dict.fromkeys(each.together for each in self.carried if each.together is not None))

    @property
    def advances(self) -> bool:
        """Whether its features can be computed from carried state and one more bar."""
        return all(feature.carried for feature in self.features if feature.recursive)

    @property
    def recent(self) -> dict[str, int]:
        """Number of earlier values of each bar column that its windows and the starts of carried values need."""
        counts: dict[str, int] = {}
        windows: list[Feature | Carried] = [feature for feature in self.features if not feature.recursive]
        windows += [feature for kernel in self.state_kernels for feature in kernel.inputs]
        for each in (*windows, *self.carried):
            for name in each.expression.meta.root_names():
                counts[name] = max(counts.get(name, 0), each.lookback - 1)
        return {name: counts[name] for name in BAR_COLUMNS if counts.get(name)}
