"""Own features over bars, one instrument at a time: an expression sees the bars of its instrument and no others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from champion.base.counting import quantity
from champion.errors import UsageError
from champion.features.recursion import Lengths
from champion.features.sets import Feature

FAILURES = (pl.exceptions.PolarsError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What an expression, or a Python function in it, may raise."""
FEWEST = 8
"""Bars that an expression is evaluated over: fewer are padded."""


def per_instrument(bars: pl.DataFrame, counts: Lengths, features: Sequence[Feature]) -> pl.DataFrame:
    """Return one column a feature, in the features' types, of bars in session order by instrument.

    Each instrument's values are those that its bars alone give, to the last bit.

    Raises:
        UsageError: an expression fails, gives another number of rows, or gives another type than its feature declares.
    """
    empty = pl.DataFrame(schema={each.name: each.dtype for each in features})
    if not features:
        return empty
    return pl.concat([empty, *(_evaluated(own, features) for own in _by_instrument(bars, counts))])


def _by_instrument(bars: pl.DataFrame, counts: Lengths) -> Iterator[pl.DataFrame]:
    whole = bars.rechunk()  # where an instrument's rows lie in memory must not matter
    for end, count in zip(np.cumsum(counts).tolist(), counts.tolist(), strict=True):
        yield whole.slice(end - count, count)


def _evaluated(own: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    padded = own if own.height >= FEWEST else _padded(own)
    try:
        made = _columns(padded, features)
    except FAILURES:
        for each in features:  # to name the one that fails
            _checked(padded, each)
        raise
    return made.head(own.height)


def _padded(own: pl.DataFrame) -> pl.DataFrame:
    """Return few bars followed by copies of the last one, which change no value before them.

    Polars divides fewer than 4 values by a literal in another way than more of them, and the last bit may differ.
    Columns are made of lists: a concatenation of equal single values is a single value to Polars.
    """
    rows = {each.name: each.to_list() for each in own}
    longer = {name: values + values[-1:] * (FEWEST - len(values)) for name, values in rows.items()}
    return pl.DataFrame(longer, schema=own.schema)


def _checked(own: pl.DataFrame, feature: Feature) -> None:
    try:
        _columns(own, [feature])
    except FAILURES as error:
        raise UsageError(
            f"feature {feature.name} cannot be computed as {feature.dtype} from {quantity(own.height, 'bar')} of one "
            f"instrument: {str(error).splitlines()[0] if str(error) else type(error).__name__}; "
            "an expression gives one value a bar"
        ) from error


def _columns(own: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    expressions = [each.expression.alias(each.name) for each in features if each.kernel is None]
    asked = own.lazy().with_columns(expressions).select(e.name for e in features if e.kernel is None)
    made = asked.collect(engine="in-memory")  # the streaming engine restarts running sums in the middle of a column
    kernels = dict.fromkeys(each.kernel for each in features if each.kernel is not None)
    together = [kernel.compute(own, [e.name for e in features if e.kernel is kernel]) for kernel in kernels]
    return pl.concat([made, *together], how="horizontal").select(pl.col(e.name).cast(e.dtype) for e in features)
