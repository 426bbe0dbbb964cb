"""Fingerprints of rows: exact sums that Polars computes over the lake and ClickHouse over the warehouse.

1. Each value has a 64-bit code: the bits of a float, an integer, the last 64 bits of a decimal's unscaled value, the
   days or milliseconds of a time, the xxHash64 of a text or of bytes, or a constant for null.
2. Each row has a weight, computed from the codes of its key, so that values swapped between rows change the sum.
3. The fingerprint of a column is the sum of code times weight modulo 2**64. It does not depend on the order of rows.
"""

from typing import Any

import numpy as np
import polars as pl

from champion.contracts import Contract
from champion.errors import WarehouseError
from champion.warehouse.engine.database import Executor

_NULL = 7_046_029_254_386_353_131
_SEPARATOR = "\x1f"
_WEIGHT = "weight_of_the_row"  # a contract may have a column weight


def of_frame(contract: Contract, rows: pl.DataFrame) -> dict[str, int]:
    """Return the number of rows (key '') and the fingerprint of each column, computed by Polars."""
    keys = {name: _codes(rows[name]) for name in contract.key}
    weight = sum(keys.values(), np.zeros(rows.height, dtype=np.uint64)) * np.uint64(2) + np.uint64(1)
    sums = {"": rows.height}
    for name in contract.polars_schema:  # one column at a time: the codes of all are as large as the rows
        code = keys[name] if name in keys else _codes(rows[name])
        sums[name] = int((code * weight).sum(dtype=np.uint64))
    return sums


def of_table(client: Executor, contract: Contract, table: str, where: str = "true") -> dict[str, int]:
    """Return the same for the rows of `table` that satisfy `where`, computed by ClickHouse."""
    codes = {name: _code_sql(name, dtype) for name, dtype in contract.polars_schema.items()}
    weight = " + ".join(codes[name] for name in contract.key)
    sums = ", ".join(f"sumWithOverflow(({code}) * {_WEIGHT})" for code in codes.values())
    text = f"with ({weight}) * 2 + 1 as {_WEIGHT} select count(), {sums} from {table} where {where}"  # noqa: S608 - our own names
    return dict(zip(("", *codes), (int(value) for value in client.query(text).result_rows[0]), strict=True))


def _codes(values: pl.Series) -> np.ndarray[Any, np.dtype[np.uint64]]:
    dtype = values.dtype
    if dtype.is_float():
        bits = values.cast(pl.Float64).fill_null(0.0).to_numpy().view(np.uint64)
    elif dtype.is_decimal():
        bits = values.to_physical().cast(pl.UInt64, wrap_numerical=True).fill_null(0).to_numpy()
    elif dtype.is_integer() or dtype.is_temporal() or dtype == pl.Boolean:
        number = values.cast(pl.UInt8) if dtype == pl.Boolean else values.to_physical()
        bits = number.cast(pl.Int64).fill_null(0).to_numpy().view(np.uint64)
    else:
        bits = _hashes(values).fill_null(0).to_numpy()
    return np.where(values.is_null().to_numpy(), np.uint64(_NULL), bits)


def _hashes(values: pl.Series) -> pl.Series:
    import polars_hash as plh  # noqa: PLC0415

    dtype = values.dtype
    if dtype == pl.List(pl.String):
        values = values.list.join(_SEPARATOR)
    elif dtype.base_type() in {pl.Enum, pl.Categorical}:
        values = values.cast(pl.String)
    elif dtype not in {pl.String, pl.Binary}:
        raise _unknown(values.name, dtype)
    return values.to_frame("value").select(plh.col("value").nchash.xxhash64())["value"]


def _code_sql(name: str, dtype: pl.DataType) -> str:
    present = f"assumeNotNull({name})"
    if dtype.is_float():
        code = f"reinterpretAsUInt64(toFloat64({present}))"
    elif isinstance(dtype, pl.Decimal):
        code = f"reinterpretAsUInt64(toDecimal128({present}, {dtype.scale}))"
    elif isinstance(dtype, pl.Datetime):
        code = f"toUInt64(toUnixTimestamp64{'Milli' if dtype.time_unit == 'ms' else 'Micro'}({present}))"
    elif dtype.is_integer() or dtype in {pl.Date, pl.Boolean}:
        code = f"toUInt64(toInt64({present}))"
    elif dtype == pl.Binary:  # in ClickHouse a UUID
        code = f"xxHash64(UUIDStringToNum(toString({present})))"
    elif dtype == pl.String or dtype.base_type() == pl.Enum:
        code = f"toUInt64(xxHash64(toString({present})))"
    elif dtype == pl.List(pl.String):
        return f"xxHash64(arrayStringConcat({name}, '{_SEPARATOR}'))"
    else:
        raise _unknown(name, dtype)
    return f"if(isNull({name}), toUInt64({_NULL}), {code})"


def _unknown(name: str, dtype: pl.DataType) -> WarehouseError:
    return WarehouseError(
        f"column {name} is {dtype}, which cannot be compared with the lake; add the type to fingerprint.py"
    )
