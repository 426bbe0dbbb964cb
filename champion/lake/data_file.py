"""Writing a data file: whole or absent, with the permissions of its layer."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Literal

import polars as pl

from champion.base.atomic_files import Lock, aside, commit, sha256, sweep_left
from champion.base.object_path import ObjectPath
from champion.contracts import Contract, storage
from champion.lake import layout

_ROW_GROUP = 64 * 1024  # a day is one group; a sealed year has its own, smaller ones
MANIFEST_MODE = 0o640
_READ_ONLY, _GROUP_WRITES = 0o440, 0o660  # set outright: the umask of the moment must not decide who reads the lake


def write_data_file(
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


@contextmanager
def scratch_folder(root: Path) -> Iterator[Path]:
    """Yield an empty folder, gone at the end; what a killed build left goes first. For a lake on s3, elsewhere."""
    if isinstance(root, ObjectPath):
        with tempfile.TemporaryDirectory(prefix="champion-") as elsewhere:
            yield Path(elsewhere)
        return
    building = root / layout.BUILDING
    building.mkdir(exist_ok=True)
    sweep_left(building)
    folder = building / token_hex(8)
    with Lock(folder.with_suffix(".lock")) as held:
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            Path(held.lock_file).unlink(missing_ok=True)
