"""Compute own features one instrument at a time, so an expression sees only the bars of its instrument."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from champion.base.counting import quantity
from champion.errors import UsageError
from champion.features.recursion import Lengths
from champion.features.sets import Feature

FAILURES = (pl.exceptions.PolarsError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""Exceptions that an expression, or a Python function in it, may raise."""
FEWEST = 8
"""Minimum number of bars that an expression is evaluated over; fewer are padded."""


def per_instrument(bars: pl.DataFrame, counts: Lengths, features: Sequence[Feature]) -> pl.DataFrame:
    """Return one column per feature, in its type, for bars sorted by instrument and session.

    An instrument's values are bit-identical to a computation over its bars alone.

    Raises:
        UsageError: an expression fails, or its number of rows or its type is not the declared one.
    """
    empty = pl.DataFrame(schema={each.name: each.dtype for each in features})
    if not features:
        return empty
    whole = bars.rechunk()  # values must not depend on the chunks in memory
    parts = zip(np.cumsum(counts).tolist(), counts.tolist(), strict=True)
    return pl.concat([empty, *(_evaluate(whole.slice(end - count, count), features) for end, count in parts)])


def _evaluate(own: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    padded = own if own.height >= FEWEST else _pad(own)
    try:
        return _columns(padded, features).head(own.height)
    except FAILURES:
        for each in features:  # to name the one that fails
            _check(padded, each)
        raise


def _pad(own: pl.DataFrame) -> pl.DataFrame:
    """Append copies of the last bar, which do not change the values of earlier bars.

    Polars divides fewer than 4 values by a literal with a different method, which may change the last bit. The columns
    are built from lists because Polars treats a concatenation of equal single values as a scalar.
    """
    rows = {each.name: each.to_list() for each in own}
    longer = {name: values + values[-1:] * (FEWEST - len(values)) for name, values in rows.items()}
    return pl.DataFrame(longer, schema=own.schema)


def _check(own: pl.DataFrame, feature: Feature) -> None:
    try:
        _columns(own, [feature])
    except FAILURES as error:
        raise UsageError(
            f"feature {feature.name} cannot be computed as {feature.dtype} from {quantity(own.height, 'bar')} of one "
            f"instrument: {str(error).splitlines()[0] if str(error) else type(error).__name__}; "
            "an expression gives one value per bar"
        ) from error


def _columns(own: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    expressions = [each.expression.alias(each.name) for each in features if each.kernel is None]
    query = own.lazy().with_columns(expressions).select(e.name for e in features if e.kernel is None)
    alone = query.collect(engine="in-memory")  # the streaming engine restarts running sums within a column
    kernels = dict.fromkeys(each.kernel for each in features if each.kernel is not None)
    together = [kernel.compute(own, [e.name for e in features if e.kernel is kernel]) for kernel in kernels]
    return pl.concat([alone, *together], how="horizontal").select(pl.col(e.name).cast(e.dtype) for e in features)
