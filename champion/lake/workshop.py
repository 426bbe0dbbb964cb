"""Room for what a build lays aside on its way: a folder on the lake's own disk, which no reader looks into."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from champion.files import Lock, sweep_left
from champion.lake import layout
from champion.objects import ObjectPath


@contextmanager
def workshop(root: Path) -> Iterator[Path]:
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
