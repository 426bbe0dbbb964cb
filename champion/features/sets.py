"""What a feature set is: features, what the recursive ones carry from bar to bar, and how far each looks back."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import polars as pl

from champion.base.counting import quantity
from champion.errors import UsageError

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
BAR_COLUMNS = ("open", "high", "low", "close", "volume", "turnover", "trades")
"""The columns of a bar that expressions may use."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """Computes several columns in one go, which share most of their work, from bars in session order.

    `compute` is given bar columns and the names wanted, and returns these columns, one value a row. A value depends on
    its row and the rows before it, as an expression's does, and to the last bit on the feature's `lookback` rows alone.

    >>> moves = Kernel(lambda bars, names: bars.select(up=pl.col("close").diff(), level="close").select(names))
    >>> bars = pl.DataFrame({"close": [10.0, 12.0]})
    >>> bars.select(moves.expression("up", ["close"], pl.Float64())).to_series().to_list()
    [None, 2.0]
    """

    compute: Callable[[pl.DataFrame, Sequence[str]], pl.DataFrame]

    @staticmethod
    def select(frame: pl.DataFrame, wanted: Sequence[tuple[str, pl.Expr, Kernel | None]]) -> pl.DataFrame:
        """Return named columns of a frame: by its expression, or in one call all those of a kernel."""
        kernels = dict.fromkeys(kernel for _, _, kernel in wanted if kernel is not None)
        alone = (expression.alias(name) for name, expression, kernel in wanted if kernel is None)
        made = frame.lazy().select(*alone).collect()  # lazy: what they share, once
        together = [each.compute(frame, [name for name, _, kernel in wanted if kernel is each]) for each in kernels]
        return pl.concat([made, *together], how="horizontal").select(name for name, _, _ in wanted)

    def expression(self, name: str, columns: Sequence[str], dtype: pl.DataType) -> pl.Expr:
        """Return one of its features as an expression of bar columns."""

        def alone(bars: pl.Series) -> pl.Series:
            return self.compute(bars.struct.unnest(), [name]).to_series()

        return pl.struct(*columns).map_batches(alone, return_dtype=dtype)


@dataclass(frozen=True)
class Carried:
    """One value an instrument carries from bar to bar, null until it has `lookback` bars, never after.

    `expression` gives it over all bars of the instrument. `step` gives the same, to the last bit, from one bar's
    columns and the carried values before it, each under its name. An exponential `mean` or a running `total` says
    just what it takes in with each bar, its `values`; its step follows, and whole histories are quicker. A `kernel`
    gives the same values, together with others' and quicker still.

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

    @classmethod
    def mean(cls, name: str, lookback: int, expression: pl.Expr, values: pl.Expr, alpha: float) -> Carried:
        """Return what starts as `expression` and then moves by `alpha` * (`values` - what it was)."""
        step = pl.col(name) + (values - pl.col(name)) * alpha
        return cls(name, lookback, expression, step, values=values, alpha=alpha)

    @classmethod
    def total(cls, name: str, lookback: int, expression: pl.Expr, values: pl.Expr) -> Carried:
        """Return what starts as `expression` and then grows by `values`, both whole numbers (Int64)."""
        return cls(name, lookback, expression, pl.col(name) + values, pl.Int64(), values)


@dataclass(frozen=True)
class Feature:
    """One column of a feature set; `lookback` counts the bars its first value needs, the session's own included.

    `recursive` is found out when the set is first used (`champion.features.examination`): True where `lookback` bars
    alone do not give the value to the last bit. A recursive feature that says what it has `carried` and the `value` it
    makes of that after each bar need not be computed from the first bar again; without, each build reads the whole
    history. Features of one `kernel` are computed together; their expressions are for using one alone. A feature is
    computed for one instrument at a time, unless `spans_instruments`: then over all of them at once, which only
    Champion's own features, tested for it, may do.

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
        """Whether it is computed for one instrument at a time, and from its expression alone."""
        return not self.spans_instruments and not self.carried


@dataclass(frozen=True)
class FeatureSet:
    """Features that are built, stored and versioned together, in column order.

    Raises:
        UsageError: two features share a name, there is none, one looks back no bar, or uses what no bar has.

    >>> since = pl.col("open") - pl.col("close").shift()
    >>> gap = Feature("gap", "trend", 2, pl.Float64(), "Open less the close before.", since)
    >>> own = FeatureSet("own_gaps", "gaps1", (gap,))
    >>> own.contract, own.state_contract, own.lookback, own.columns, own.bar_columns
    ('features_own_gaps', 'features_own_gaps_state', 2, ['gap'], ['open', 'close'])
    >>> own.carried, own.advances, own.recent
    ((), True, {'open': 1, 'close': 1})
    """

    name: str
    version: str
    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        """Refuse what could be neither built nor stored."""
        problems = [] if self.features else ["it has no features"]
        groups = [feature.group for feature in self.features]
        words = [name for name in (self.name, self.version, *groups, *self.columns) if not _WORD.fullmatch(name)]
        problems += [f"{word!r} is no word of letters, digits and _, as files and columns need" for word in words]
        problems += [f"{name} comes twice" for name in sorted({n for n in self.columns if self.columns.count(n) > 1})]
        for feature in self.features:
            unknown = set(feature.expression.meta.root_names()) - {*BAR_COLUMNS}
            if unknown:
                problems.append(f"{feature.name} uses {sorted(unknown)}; a bar has {', '.join(BAR_COLUMNS)}")
            if feature.lookback < 1:
                problems.append(f"{feature.name} looks back {quantity(feature.lookback, 'bar')}; its own bar is 1")
            if bool(feature.carried) != (feature.value is not None):
                problems.append(f"{feature.name} must say both what it has carried and its value of that, or neither")
        if problems:
            raise UsageError(f"feature set {self.name} {self.version}: {'; '.join(problems)}")

    @property
    def contract(self) -> str:
        """The name of the dataset that holds its features."""
        return f"features_{self.name}"

    @property
    def state_contract(self) -> str:
        """The name of the dataset that holds its carried state."""
        return f"features_{self.name}_state"

    @property
    def lookback(self) -> int:
        """Bars per instrument that give every feature that is not recursive its value; recursive ones need them all."""
        return max((feature.lookback for feature in self.features if not feature.recursive), default=1)

    @property
    def columns(self) -> list[str]:
        """The names of the features, in order."""
        return [feature.name for feature in self.features]

    @property
    def bar_columns(self) -> list[str]:
        """The columns of a bar that its expressions use."""
        used = {name for feature in self.features for name in feature.expression.meta.root_names()}
        return [name for name in BAR_COLUMNS if name in used]

    @property
    def carried(self) -> tuple[Carried, ...]:
        """What its recursive features carry, each value once."""
        return tuple({each.name: each for feature in self.features for each in feature.carried}.values())

    @property
    def advances(self) -> bool:
        """Whether its features can be computed from carried state and one more bar."""
        return all(feature.carried for feature in self.features if feature.recursive)

    @property
    def recent(self) -> dict[str, int]:
        """How many values of each bar column, before the session's own, its windows and first values need."""
        found: dict[str, int] = {}
        windows: list[Feature | Carried] = [feature for feature in self.features if not feature.recursive]
        for each in (*windows, *self.carried):
            for name in each.expression.meta.root_names():
                found[name] = max(found.get(name, 0), each.lookback - 1)
        return {name: found[name] for name in BAR_COLUMNS if found.get(name)}
