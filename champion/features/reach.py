"""Derive how many bars an expression reads, and whether it reads later ones, without evaluating it.

An expression is a tree of Polars nodes. Each node is one of these:

1. Pointwise: it reads the bars that its operands read.
2. A shift or a window: it reads that many more bars.
3. Memory (`ewm_mean`, `cum_sum`, a forward fill): it reads every bar since the first.
4. Whole-history (`mean()`, `rank()`, `shift(-1)`): it reads later bars, which a feature must not do.
5. Opaque: anything else, including Python functions. Nothing is known about it.

A window is `exact` if equal bars give equal bits. A running sum of decimals is not exact: its last bits depend on the
bar where it starts, so such a window is computed from the first bar, as memory is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import polars as pl

Node: TypeAlias = Any  # a node of Polars' JSON: a name, or a map from its kind to its parts

_POINTWISE = frozenset({
    "Abs", "Atan2", "Bitwise", "Ceil", "Clip", "Coalesce", "Exp", "FillNull", "Floor", "Log", "Log1p",
    "MaxHorizontal", "MeanHorizontal", "MinHorizontal", "Negate", "Pow", "Round", "RoundSF", "Sign", "SumHorizontal",
    "Trigonometry",
})  # fmt: skip
_POINTWISE_TESTS = frozenset({
    "AllHorizontal", "AnyHorizontal", "IsBetween", "IsFinite", "IsIn", "IsInfinite", "IsNan", "IsNotNan", "IsNotNull",
    "IsNull", "Not",
})  # fmt: skip
_MEMORY = frozenset({"EwmMean", "EwmStd", "EwmVar", "CumSum", "CumProd", "CumMin", "CumMax", "CumCount"})
_LATER = frozenset({"Rank", "Reverse", "Interpolate", "PeakMax", "PeakMin"})
_FINITE = frozenset({"Abs", "Negate", "Sign", "Round", "Floor", "Ceil", "MaxHorizontal", "MinHorizontal"})
_WHOLE = frozenset({"Abs", "Negate", "Sign"})
_SELECTIONS = frozenset({"Min", "Max", "Quantile", "Rank"})
_ARITHMETIC = frozenset({"Plus", "Minus", "Multiply"})
_CONSTANT_AFTER = {"GtEq": 1, "Lt": 1, "Gt": 2, "LtEq": 2, "Eq": 2, "NotEq": 2}
"""Number of bars after which a comparison of the row number with 0 is constant."""
_COUNTS, _PRICES = frozenset({"volume", "trades"}), frozenset({"open", "high", "low", "close"})


@dataclass(frozen=True, slots=True)
class Reach:
    """The bars that an expression reads.

    `bars` counts the bars that the value depends on, its own included; None if that is every bar, or not known. `later`
    names the parts that read later bars. `exact`: equal windows give equal bits. `opaque`: some part is not known.
    `finite`: no operand becomes NaN or infinity; `whole`: the values are whole numbers; `positive`: never 0. `leading`:
    it consists of an instrument's first known values instead of one per bar; `first`: their largest number in any part.
    `fields` are those of a struct.
    """

    bars: int | None = 1
    later: tuple[str, ...] = ()
    exact: bool = True
    opaque: bool = False
    finite: bool = False
    whole: bool = False
    positive: bool = False
    leading: bool = False
    first: int = 0
    fields: Mapping[str, Reach] = field(default_factory=dict, repr=False)

    def is_window_of(self, lookback: int) -> bool:
        """Return whether `lookback` bars alone determine every bit of the value."""
        return self.bars is not None and self.bars <= lookback and self.exact and not (self.opaque or self.later)

    def after(self, more: int) -> Reach:
        """Return the reach of a function that reads `more` additional bars back."""
        return replace(self, bars=None if self.bars is None else self.bars + more)


_UNKNOWN = Reach(bars=None, exact=False, opaque=True)
_ZERO = Reach(finite=True, whole=True)


def reach_of(expression: pl.Expr) -> Reach:
    """Return the reach of an expression.

    >>> close = pl.col("close")
    >>> reach_of(close / close.shift(20) - 1).bars
    21
    >>> reach_of(close.ewm_mean(span=12)).bars is None, reach_of(close.shift(-1)).later
    (True, ('shift(-1)',))
    >>> reach_of(close.rolling_mean(5)).exact, reach_of(pl.col("volume").rolling_sum(5)).is_window_of(5)
    (False, True)
    """
    try:
        tree = json.loads(expression.meta.serialize(format="json"))
    except (pl.exceptions.PolarsError, ValueError, TypeError, RecursionError):
        return _UNKNOWN  # a Python function that cannot be serialized
    try:
        return _reach(tree, {})
    except (RecursionError, KeyError, TypeError, ValueError, IndexError, AttributeError):
        return _UNKNOWN  # a node of an unexpected shape


def _reach(node: Node, fields: Mapping[str, Reach]) -> Reach:
    if node == "Len":
        return replace(_UNKNOWN, later=("len()",))
    if not isinstance(node, dict) or len(node) != 1:
        return _UNKNOWN
    ((kind, parts),) = node.items()
    return _READERS[kind](parts, fields) if kind in _READERS else _UNKNOWN


def _ternary(parts: Mapping[str, Node], fields: Mapping[str, Reach]) -> Reach:
    predicate = replace(_reach(parts["predicate"], fields), whole=True, finite=True)
    return _combine([predicate, *(_reach(parts[name], fields) for name in ("truthy", "falsy"))])


def _combine(operands: Sequence[Reach]) -> Reach:
    """Return the reach of a pointwise function of the operands."""
    bars = [each.bars for each in operands]
    known = [count for count in bars if count is not None]
    return Reach(
        bars=None if len(known) < len(bars) else max(known, default=1),
        later=tuple(dict.fromkeys(name for each in operands for name in each.later)),
        exact=all(each.exact for each in operands),
        opaque=any(each.opaque for each in operands),
        finite=all(each.finite for each in operands),
        whole=all(each.whole for each in operands),
        leading=any(each.leading for each in operands),
        first=max((each.first for each in operands), default=0),
    )


def _cast(parts: Mapping[str, Node], fields: Mapping[str, Reach]) -> Reach:
    inner, dtype = _reach(parts["expr"], fields), parts["dtype"].get("Literal", "")
    whole = isinstance(dtype, str) and dtype.startswith(("Int", "UInt"))
    return replace(inner, whole=whole, finite=whole or inner.finite, positive=False)


def _binary(parts: Mapping[str, Node], fields: Mapping[str, Reach]) -> Reach:
    operator, left, right = parts["op"], parts["left"], parts["right"]
    first, number = _row_number(left), _whole_number(right)
    if first is not None and number is not None:
        if operator == "Multiply" and number == 0:
            return _ZERO
        if operator in _CONSTANT_AFTER:
            return Reach(bars=max(1, number - first + _CONSTANT_AFTER[operator]), finite=True)
    left_reach, right_reach = _reach(left, fields), _reach(right, fields)
    both = _combine([left_reach, right_reach])
    if operator in _ARITHMETIC:
        return both
    safe = left_reach.finite and (right_reach.positive or bool(number))
    comparison = operator not in {"TrueDivide", "FloorDivide", "RustDivide", "Modulus"}
    return replace(both, whole=False, finite=safe or comparison)


def _struct(parts: Mapping[str, Node], fields: Mapping[str, Reach]) -> Reach:
    """Return the reach of a struct with added fields, which are expressions of its fields."""
    given = _reach(parts["expr"], fields)
    try:
        added = {each["Alias"][1]: _reach(each, {**fields, **given.fields}) for each in parts["evaluation"]}
    except (KeyError, TypeError):
        return _UNKNOWN
    every = {**given.fields, **added} if given.fields else {}
    return replace(_combine([given, *added.values()]), fields=every)


def _aggregate(parts: Mapping[str, Node], fields: Mapping[str, Reach]) -> Reach:
    ((kind, inner),) = parts.items()
    values = _reach(inner.get("input", inner) if isinstance(inner, dict) else inner, fields)
    if kind == "First":
        return replace(values, bars=None, leading=False)
    if values.leading:  # later bars have no effect once there are enough values; earlier bars are tested
        return replace(values, bars=None, exact=False, leading=False)
    return Reach(bars=None, exact=False, later=(f"{kind.lower()}()",))


def _slice(parts: Mapping[str, Node], fields: Mapping[str, Reach]) -> Reach:
    """Return the reach of the first n values that are not null; other slices are opaque."""
    inner, numbers = parts["input"], [_whole_number(parts[name]) for name in ("offset", "length")]
    known = isinstance(inner, dict) and inner.get("Function", {}).get("function") == "DropNulls"
    counts = [number for number in numbers if number is not None and number >= 0]
    if not known or len(counts) < len(numbers):
        return replace(_UNKNOWN, later=_reach(inner, fields).later)
    values = _reach(inner["Function"]["input"][0], fields)
    return replace(values, bars=None, exact=False, leading=True, first=max(values.first, sum(counts)))


def _call(parts: Mapping[str, Node], fields: Mapping[str, Reach]) -> Reach:
    """Return the reach of a function of columns."""
    inputs, function = parts["input"], parts["function"]
    kind, options = (function, None) if isinstance(function, str) else next(iter(function.items()))
    if kind == "Range":
        return Reach(bars=None, whole=True, finite=True) if _row_number_of(inputs, options) is not None else _UNKNOWN
    operands = [_reach(each, fields) for each in inputs]
    joined = replace(_combine(operands), whole=False, finite=False)
    if kind == "AsStruct":
        return replace(joined, fields={_label(each): reach for each, reach in zip(inputs, operands, strict=True)})
    if kind == "StructExpr":  # one field of a struct
        chosen = options.get("FieldByName") if isinstance(options, dict) else None
        return operands[0].fields.get(str(chosen), joined)
    if kind in {"Shift", "ShiftAndFill", "Diff", "PctChange"}:
        return _lag(kind, inputs, operands)
    return _function(kind, options, _combine(operands))


def _function(kind: str, options: Node, values: Reach) -> Reach:
    if kind == "RollingExpr":
        result = _rolling(options, values)
    elif kind in _POINTWISE or (kind == "Boolean" and _name(options) in _POINTWISE_TESTS):
        finite = kind == "Boolean" or (values.finite and kind in {*_FINITE, "Clip", "Coalesce", "FillNull"})
        result = replace(values, finite=finite, whole=values.whole and kind in _WHOLE)
    elif kind in _MEMORY:
        later = ("reverse=True",) if isinstance(options, dict) and options.get("reverse") else ()
        result = replace(values, bars=None, exact=False, finite=False, later=(*values.later, *later))
    elif kind == "FillNullWithStrategy":
        strategy = _name(options)
        later = () if strategy == "Forward" else (f"fill_null of strategy {strategy.lower()}",)
        filled = replace(values, bars=None, exact=False, later=(*values.later, *later))
        result = values if strategy in {"Zero", "One"} else filled
    elif kind in _LATER:
        result = replace(values, bars=None, exact=False, later=(*values.later, f"{kind.lower()}()"))
    else:
        result = replace(_UNKNOWN, later=values.later)
    return result


def _lag(kind: str, inputs: Sequence[Node], operands: Sequence[Reach]) -> Reach:
    """Return the reach of a shift, a difference or a relative change over a number of bars."""
    values, lag = operands[0], _whole_number(inputs[1])
    if lag is None:
        return replace(_UNKNOWN, later=values.later)
    name = {"Shift": "shift", "ShiftAndFill": "shift", "Diff": "diff", "PctChange": "pct_change"}[kind]
    result = values.after(max(lag, 0))
    if lag < 0:
        result = replace(result, bars=None, later=(*result.later, f"{name}({lag})"))
    if kind == "PctChange":  # it fills nulls forward
        column = "Column" in inputs[0]
        return replace(result, bars=result.bars if column else None, whole=False, finite=values.positive)
    return result if kind == "Shift" else replace(result, positive=False)


def _rolling(options: Mapping[str, Node], values: Reach) -> Reach:
    """Return the reach of a rolling function. Minima, maxima, quantiles and sums of whole numbers are exact."""
    function, settings = _name(options["function"]), options["options"]
    window = settings["window_size"]
    if function == "CorrCov":
        window = options["function"]["CorrCov"]["corr_cov_options"]["window_size"]
    if function == "Map" or not isinstance(window, int):
        return replace(_UNKNOWN, later=values.later)
    selects = function in _SELECTIONS and values.finite
    sums = function == "Sum" and values.whole
    plain = settings.get("weights") is None
    result = replace(
        values.after(window - 1),
        exact=values.exact and plain and (selects or sums),
        whole=values.whole and function in {"Min", "Max", "Sum"},
        finite=selects or sums,
        positive=False,
    )
    return replace(result, bars=None, later=(*result.later, "center=True")) if settings.get("center") else result


def _row_number(node: Node) -> int | None:
    """Return the first row number of `int_range(len())`; None for any other node."""
    function = node.get("Function") if isinstance(node, dict) else None
    if not isinstance(function, dict) or not isinstance(function["function"], dict):
        return None
    options = function["function"].get("Range")
    return None if options is None else _row_number_of(function["input"], options)


def _row_number_of(inputs: Sequence[Node], options: Mapping[str, Node] | None) -> int | None:
    step = (options or {}).get("IntRange", {}).get("step")
    first = _whole_number(inputs[0]) if inputs else None
    if step != 1 or first is None or len(inputs) != 2:  # noqa: PLR2004 - start and end
        return None
    longer = {"BinaryExpr": {"left": "Len", "op": "Plus", "right": {"Literal": {"Dyn": {"Int": first}}}}}
    return first if inputs[1] == ("Len" if first == 0 else longer) else None


def _whole_number(node: Node) -> int | None:
    """Return the value of a whole-number literal; None for any other node."""
    try:
        (kind, value), *_ = next(iter(node["Literal"].values())).items()
    except (KeyError, TypeError, AttributeError, ValueError, StopIteration):
        return None
    return value if isinstance(value, int) and (kind == "Int" or kind.startswith(("Int", "UInt"))) else None


def _label(node: Node) -> str:
    """Return the name of a struct's field."""
    ((kind, parts),) = node.items() if isinstance(node, dict) else (("", ""),)
    return str(parts[1]) if kind == "Alias" else str(parts)


def _name(part: Node) -> str:
    return part if isinstance(part, str) else str(next(iter(part), ""))


_READERS: Mapping[str, Callable[[Node, Mapping[str, Reach]], Reach]] = {
    "Column": lambda name, _: Reach(finite=True, whole=name in _COUNTS, positive=name in _PRICES),
    "Literal": lambda value, _: Reach(finite=True, whole=_whole_number({"Literal": value}) is not None),
    "Field": lambda name, fields: fields.get(name[0], _UNKNOWN),
    "Alias": lambda parts, fields: _reach(parts[0], fields),
    "Cast": _cast,
    "BinaryExpr": _binary,
    "Ternary": _ternary,
    "StructEval": _struct,
    "Agg": _aggregate,
    "Function": _call,
    "Slice": _slice,
}
"""The function that reads each kind of node; other kinds are opaque."""
