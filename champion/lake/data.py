"""Writing a data file: whole or absent, with the permissions of its layer."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl

from champion.contracts import Contract, storage
from champion.files import aside, commit, sha256
from champion.lake import layout

_ROW_GROUP = 64 * 1024  # a day is one group; a sealed year has its own, smaller ones
MANIFEST_MODE = 0o640
_READ_ONLY, _GROUP_WRITES = 0o440, 0o660  # set outright: the umask of the moment must not decide who reads the lake


def write(
    path: Path,
    contract: Contract,
    conformed: pl.DataFrame,
    compression: Literal["snappy", "zstd"] = "snappy",
    row_group: int = _ROW_GROUP,
) -> tuple[int, int, str]:
    """Write `conformed` in one step; return its rows, the bytes of the file and its SHA-256.

    The caller holds the dataset's lock, so what a killed writer left in the folder is removed.
    """
    for leftover in layout.present(path.parent, ".*.part"):
        leftover.unlink()
    with aside(path, shared=True) as temporary:
        storage.write(conformed, contract, temporary, compression=compression, row_group_size=row_group)
        temporary.chmod(mode(contract))
        digest, size = sha256(temporary), temporary.stat().st_size
        commit(temporary, layout.part_file(path, digest))
    return conformed.height, size, digest


def mode(contract: Contract) -> int:
    """Return the permissions of a contract's data files."""
    return _READ_ONLY if layout.is_append_only(contract) else _GROUP_WRITES
