"""Where the files that travel with the code are: schemas, SQL and notebooks.

In a checkout they are the top-level folders; in an installed wheel they lie inside the package.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Return the folder `name` ('schemas', 'sql' or 'notebooks').

    >>> folder("schemas").joinpath("raw_equity_ohlc_v1.avsc").exists()
    True
    """
    packaged = _PACKAGE / "_data" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent / name
