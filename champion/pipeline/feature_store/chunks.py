"""Split whole histories into chunks of instruments, through files, so that memory does not grow with the years.

1. Bars are read one year at a time and split into chunks by the hash of the instrument's name.
2. The rows that are computed from a chunk's bars of all years are split by year.
3. The rows of a year are collected from all chunks.
"""

import shutil
from pathlib import Path

import polars as pl

ROWS = 700_000  # bars of a chunk; with the features computed from them, about 1 GB of memory


def count(rows: int, size: int = ROWS) -> int:
    """Return the number of chunks of about `size` bars for a number of bars.

    >>> count(ROWS), count(ROWS + 1)
    (1, 2)
    """
    return max(1, -(-rows // size))


def split_by_instrument(bars: pl.DataFrame, folder: Path, name: str, chunks: int) -> None:
    """Write the bars of each chunk of instruments into a subfolder by number, under `name`."""
    _split(bars, pl.col("instrument_id").hash(0) % chunks, folder, name)


def split_by_year(rows: pl.DataFrame, folder: Path, name: str) -> None:
    """Write the rows of each year into a subfolder by year, under `name`."""
    _split(rows, pl.col("trade_date").dt.year(), folder, name)


def collect_chunks(folder: Path) -> pl.DataFrame | None:
    """Return all rows of a subfolder and remove it; None if it does not exist."""
    if not folder.is_dir():
        return None
    rows = pl.concat([pl.read_ipc(path) for path in sorted(folder.iterdir())])
    shutil.rmtree(folder)
    return rows


def _split(rows: pl.DataFrame, part: pl.Expr, folder: Path, name: str) -> None:
    parts = rows.with_columns(_part=part).partition_by("_part", as_dict=True, include_key=False)
    for (value,), chunk in parts.items():
        (folder / f"{value}").mkdir(parents=True, exist_ok=True)
        chunk.write_ipc(folder / f"{value}" / f"{name}.arrow", compression="lz4")
