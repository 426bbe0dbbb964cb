"""Random expressions of bar columns, as a quant may write them: some are sound features, some read later bars.

They are drawn as Python source, so that a failure shows an expression that can be pasted.
"""

from __future__ import annotations

import polars as pl
from hypothesis import strategies as st

_COLUMNS = ("open", "high", "low", "close", "volume", "turnover")
_PLAIN = (
    "cum_sum()", "cum_max()", "cum_count()", "rank()", "mean()", "max()", "std()", "first()", "last()", "reverse()",
    "forward_fill()", "backward_fill()", "abs()", "sign()", "log()", "sqrt()", "drop_nulls()", "sort()",
    "interpolate()", "is_first_distinct()", "median()", "peak_max()", "cum_sum(reverse=True)", "fill_null(0)",
    "rank().over('open')", "cum_sum().over(pl.col('volume') > 0)", "mean().over('volume')", "cast(pl.Int64)",
    "map_batches(lambda s: s.cast(pl.Float64).rolling_max(5), return_dtype=pl.Float64)",
    "map_batches(lambda s: s.cast(pl.Float64).shift(-1), return_dtype=pl.Float64)", "clip(1, 300)", "diff().abs()",
    "is_null()", "cum_prod()", "ewm_mean(alpha=0.9)", "ewm_mean(alpha=0.9, adjust=False)", "rle_id()", "head(3)",
)  # fmt: skip
_AROUND = (
    "({0} / 3)", "({0} * 0.7)", "({0} - {0}.mean())", "({0} / {0}.first())", "({0} * pl.len())", "(1 / {0})",
    "pl.when(pl.int_range(pl.len()) >= 3).then({0})", "pl.when(pl.col('close') > 100).then({0})", "(-{0})",
    "pl.when(pl.int_range(pl.len()) % 2 == 0).then({0})", "({0} + pl.int_range(pl.len()))", "({0} ** 2)",
)  # fmt: skip
_BINARY = (
    "({0} + {1})", "({0} - {1})", "({0} * {1})", "({0} / {1})", "pl.max_horizontal({0}, {1})", "({0} > {1})",
    "pl.when({0} > {1}).then({0}).otherwise({1})", "pl.rolling_corr({0}, {1}, window_size=7)",
    "pl.coalesce({0}, {1})",
)  # fmt: skip


def _unary() -> st.SearchStrategy[str]:
    how = st.sampled_from(["mean", "sum", "min", "max", "std", "median", "var"])
    windows = st.tuples(how, st.integers(2, 25), st.integers(1, 25))
    return st.one_of(
        st.tuples(st.sampled_from(["shift", "diff", "pct_change"]), st.integers(-1, 25)).map(
            lambda drawn: f"{{0}}.{drawn[0]}({drawn[1]})"
        ),
        windows.map(lambda drawn: f"{{0}}.rolling_{drawn[0]}({drawn[1]}, min_samples={min(drawn[1:])})"),
        st.integers(2, 25).map(lambda window: f"{{0}}.rolling_max({window}, center=True)"),
        st.integers(1, 25).map(lambda span: f"{{0}}.ewm_mean(span={span})"),
        st.sampled_from(_PLAIN).map(lambda call: f"{{0}}.{call}"),
        st.sampled_from(_AROUND),
    )


def sources() -> st.SearchStrategy[str]:
    """Return Python sources of expressions of bar columns, up to some levels deep."""
    leaves = st.sampled_from(_COLUMNS).map(lambda name: f"pl.col('{name}')")

    def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        one = st.tuples(_unary(), inner).map(lambda drawn: drawn[0].format(drawn[1]))
        two = st.tuples(st.sampled_from(_BINARY), inner, inner).map(lambda drawn: drawn[0].format(*drawn[1:]))
        return st.one_of(one, two)

    return st.recursive(leaves, deeper, max_leaves=4)


def evaluated(source: str) -> pl.Expr:
    """Return the expression of a source."""
    made: pl.Expr = eval(source, {"pl": pl})  # noqa: S307 - drawn from the grammar above
    return made
