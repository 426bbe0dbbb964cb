"""Whole histories of some instruments at a time, through files: memory does not grow with the years.

1. Bars are read a year at a time and dealt into portions; the hash of its name says to which an instrument belongs.
2. What is made of a portion's bars of all years is dealt by year.
3. A year's rows of all portions come together again.

"""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl

ROWS = 700_000  # bars of a portion: with all that is made of them, about a GB
_ID = "instrument_id"


def count(rows: int, size: int = ROWS) -> int:
    """Return into how many portions of about `size` so many bars are dealt.

    >>> count(ROWS), count(ROWS + 1)
    (1, 2)
    """
    return max(1, -(-rows // size))


def deal_by_instrument(bars: pl.DataFrame, folder: Path, name: str, portions: int) -> None:
    """Write each portion's bars into a folder of its own, under `name`."""
    dealt = bars.with_columns(_portion=pl.col(_ID).hash(0) % portions)
    for (number,), rows in dealt.partition_by("_portion", as_dict=True, include_key=False).items():
        _write(rows, folder / f"{number}", name)


def deal_by_year(rows: pl.DataFrame, folder: Path, name: str) -> None:
    """Write each year's rows into a folder of its own, under `name`."""
    dealt = rows.with_columns(_year=pl.col("trade_date").dt.year())
    for (year,), of_year in dealt.partition_by("_year", as_dict=True, include_key=False).items():
        _write(of_year, folder / f"{year}", name)


def collect_chunks(folder: Path) -> pl.DataFrame | None:
    """Return all rows that were dealt into a folder, which is then gone; None where none were."""
    if not folder.is_dir():
        return None
    found = pl.concat([pl.read_ipc(path) for path in sorted(folder.iterdir())])
    shutil.rmtree(folder)
    return found


def _write(rows: pl.DataFrame, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows.write_ipc(folder / f"{name}.arrow", compression="lz4")
