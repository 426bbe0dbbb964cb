"""Summarise a frame of market data for the ledger: size, nulls, ranges, and statistics of each column."""

from math import isfinite

import polars as pl

from champion.indicators.numeric.unknown import known

__all__ = ["metrics", "statistics"]
__dir__ = __all__.copy

_BYTES_PER_MB = 1 << 20
_DESCRIBED = (pl.List, pl.Array, pl.Struct, pl.Binary, pl.Object)


def metrics(rows: pl.DataFrame, prefix: str = "") -> dict[str, float]:
    """Return the metrics of a frame; a mean of no values is left out.

    `row_count`, `column_count`, `memory_usage_mb` and `null_percentage` (of all values, 0 to 100). With a column
    `volume`, in shares: `total_volume`, `avg_volume`, `zero_volume_count`. With a column `close`, in rupees:
    `avg_close_price`, `min_close_price`, `max_close_price`. Nulls, NaN and infinity are ignored.

    >>> frame = pl.DataFrame({"volume": [0, 30, None], "close": [1.0, 2.0, 6.0]})
    >>> found = metrics(frame)
    >>> found["row_count"], round(found["null_percentage"], 2), found["total_volume"], found["avg_volume"]
    (3, 16.67, 30.0, 15.0)
    >>> found["zero_volume_count"], found["avg_close_price"], found["max_close_price"]
    (1, 3.0, 6.0)
    """
    values = rows.height * rows.width
    found: dict[str, float | None] = {
        "row_count": rows.height,
        "column_count": rows.width,
        "memory_usage_mb": rows.estimated_size() / _BYTES_PER_MB,
        "null_percentage": 100 * sum(rows.null_count().row(0)) / values if values else None,
    }
    if "volume" in rows.columns:
        volume = _known(rows["volume"])
        found |= {
            "total_volume": _number(volume.sum()),
            "avg_volume": _number(volume.mean()),
            "zero_volume_count": int((volume == 0).sum()),
        }
    if "close" in rows.columns:
        close = _known(rows["close"])
        found |= {
            "avg_close_price": _number(close.mean()),
            "min_close_price": _number(close.min()),
            "max_close_price": _number(close.max()),
        }
    return {f"{prefix}{name}": value for name, value in found.items() if value is not None}


def statistics(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row per statistic (count, null_count, mean, std, min, 25%, 50%, 75%, max), with the same columns.

    Columns of lists, structs and bytes are left out.

    >>> statistics(pl.DataFrame({"close": [1.0, 3.0]})).filter(statistic="mean")["close"].item()
    2.0
    """
    kept = [name for name, dtype in rows.schema.items() if not isinstance(dtype, _DESCRIBED)]
    if not kept:
        return pl.DataFrame(schema={"statistic": pl.String})
    return rows.select(kept).describe()


def _known(column: pl.Series) -> pl.Series:
    """Return the finite values of a column as floats, and null for others: a sum of large integers would overflow."""
    return column.to_frame().select(known(pl.first().cast(pl.Float64))).to_series()


def _number(value: object) -> float | None:
    """Return the value if it is a finite number, else None, as for an empty column."""
    return value if isinstance(value, int | float) and isfinite(value) else None
