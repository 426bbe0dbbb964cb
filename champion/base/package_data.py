"""Locate the files that are shipped with the code: schemas, SQL, notebooks, deployments.

In a checkout they are the top-level folders; in an installed wheel they are inside the package.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def folder(name: str) -> Path:
    """Return the folder `name` ('schemas', 'sql' or 'notebooks').

    >>> folder("schemas").joinpath("raw_equity_ohlc_v1.avsc").exists()
    True
    """
    return path(name)


def path(name: str) -> Path:
    """Return the shipped file or folder `name`.

    >>> path("prefect.yaml").is_file()
    True
    """
    packaged = _PACKAGE / "_data" / name
    return packaged if packaged.exists() else _PACKAGE.parent / name
